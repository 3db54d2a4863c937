/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the byte ring to its contract: bytes come out as they went in, at every place of the wrap,
 * its positions only grow, and no call touches a byte beyond the ring.
 */
#include "unit.h"

#include "base/byte_ring.h"

#include <stdbool.h>
#include <string.h>

#define SIZE  16u
#define GUARD 0xa5

struct fixture {
	struct byte_ring ring;
	struct byte_ring_state state;
	uint8_t memory[SIZE + 16]; /* the ring in the middle, guards around it */
};

static void set_up(struct fixture *f, uint64_t pos)
{
	memset(f->memory, GUARD, sizeof(f->memory));
	f->state = (struct byte_ring_state){.head = pos, .tail = pos};
	byte_ring_init(&f->ring, &f->state, f->memory + 8, SIZE);
}

static void assert_guards(const struct fixture *f)
{
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(f->memory[i], GUARD);
		assert_int_equal(f->memory[8 + SIZE + i], GUARD);
	}
}

static void fill(uint8_t *bytes, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(seed + i * 7);
}

TEST(an_empty_ring_has_all_free)
{
	struct fixture f;

	set_up(&f, 0);
	assert_int_equal(byte_ring_used(&f.ring), 0);
	assert_int_equal(byte_ring_free(&f.ring), SIZE);
	assert_int_equal(byte_ring_get(&f.ring, &(uint8_t){0}, 1), 0);
}

TEST(bytes_come_out_as_they_went_in_at_every_offset_and_length)
{
	uint8_t in[SIZE], out[SIZE];
	struct fixture f;

	for (uint64_t at = 0; at < 2 * SIZE; at++) {
		for (size_t len = 0; len <= SIZE; len++) {
			set_up(&f, at);
			fill(in, len, (unsigned int)at);
			byte_ring_put(&f.ring, in, len);
			assert_int_equal(byte_ring_used(&f.ring), len);
			assert_int_equal(byte_ring_head(&f.ring), at + len);
			assert_int_equal(byte_ring_get(&f.ring, out, SIZE), len);
			assert_memory_equal(in, out, len);
			assert_int_equal(byte_ring_tail(&f.ring), at + len);
			assert_guards(&f);
		}
	}
}

TEST(positions_go_on_beyond_32_bits)
{
	uint64_t start = (1ull << 32) - 5;
	uint8_t in[SIZE], out[SIZE];
	struct fixture f;

	set_up(&f, start);
	fill(in, SIZE, 3);
	byte_ring_put(&f.ring, in, SIZE);
	assert_int_equal(byte_ring_head(&f.ring), start + SIZE);
	assert_int_equal(byte_ring_free(&f.ring), 0);
	assert_int_equal(byte_ring_get(&f.ring, out, SIZE), SIZE);
	assert_memory_equal(in, out, SIZE);
}

TEST(a_ring_goes_on_from_a_state_that_is_there)
{
	struct byte_ring again;
	struct fixture f;
	uint8_t out[4];

	set_up(&f, 13);
	byte_ring_put(&f.ring, "abcdef", 6);
	byte_ring_init(&again, &f.state, f.memory + 8, SIZE);
	assert_int_equal(byte_ring_used(&again), 6);
	assert_int_equal(byte_ring_get(&again, out, 4), 4);
	assert_memory_equal(out, "abcd", 4);
}

TEST(overwriting_drops_the_oldest_only_where_there_is_no_room)
{
	static const struct {
		size_t before, len, lost;
	} rows[] = {{0, 0, 0},    {0, SIZE, 0},     {4, 12, 0},      {4, 13, 1},
	            {SIZE, 1, 1}, {SIZE, SIZE, 16}, {SIZE - 1, 2, 1}};

	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t kept = rows[i].before - rows[i].lost;
		uint8_t in[2 * SIZE], out[SIZE];
		struct fixture f;

		set_up(&f, 11);
		fill(in, sizeof(in), 9);
		byte_ring_put(&f.ring, in, rows[i].before);
		byte_ring_overwrite(&f.ring, in + rows[i].before, rows[i].len);
		assert_int_equal(byte_ring_tail(&f.ring), 11 + rows[i].lost);
		assert_int_equal(byte_ring_get(&f.ring, out, SIZE), kept + rows[i].len);
		assert_memory_equal(out, in + rows[i].lost, kept + rows[i].len);
		assert_guards(&f);
	}
}

TEST(get_takes_no_more_than_is_asked_for)
{
	struct fixture f;
	uint8_t out[3] = {0, 0, GUARD};

	set_up(&f, 15);
	byte_ring_put(&f.ring, "xyz", 3);
	assert_int_equal(byte_ring_get(&f.ring, out, 2), 2);
	assert_memory_equal(out, "xy", 2);
	assert_int_equal(out[2], GUARD);
	assert_int_equal(byte_ring_used(&f.ring), 1);
}

TEST(drop_forgets_the_oldest)
{
	struct fixture f;
	uint8_t out[SIZE];

	set_up(&f, 14);
	byte_ring_put(&f.ring, "abcdef", 6);
	byte_ring_drop(&f.ring, 4);
	assert_int_equal(byte_ring_get(&f.ring, out, SIZE), 2);
	assert_memory_equal(out, "ef", 2);
	byte_ring_drop(&f.ring, 0);
}

TEST(what_is_put_back_comes_first)
{
	static const uint64_t starts[] = {0, 1, SIZE - 1, SIZE, 1ull << 40};
	struct fixture f;
	uint8_t got[SIZE];

	for (size_t i = 0; i < ROWS(starts); i++) {
		for (size_t len = 0; len <= SIZE - 3; len++) {
			set_up(&f, starts[i]);
			byte_ring_put(&f.ring, "new", 3);
			byte_ring_unget(&f.ring, "ABCDEFGHIJKLM", len);
			assert_int_equal(byte_ring_used(&f.ring), len + 3);
			assert_int_equal(byte_ring_get(&f.ring, got, SIZE), len + 3);
			assert_memory_equal(got, "ABCDEFGHIJKLM", len);
			assert_memory_equal(got + len, "new", 3);
			assert_guards(&f);
		}
	}
}

TEST(skipping_passes_bytes_that_nobody_wrote)
{
	static const uint64_t lens[] = {0, 1, SIZE, 1ull << 40};

	for (size_t i = 0; i < ROWS(lens); i++) {
		struct fixture f;

		set_up(&f, 14);
		byte_ring_put(&f.ring, "abcdef", 6);
		byte_ring_skip(&f.ring, lens[i]);
		assert_int_equal(byte_ring_head(&f.ring), 20 + lens[i]);
		assert_int_equal(byte_ring_used(&f.ring), 0);
		assert_int_equal(byte_ring_free(&f.ring), SIZE);
		assert_guards(&f);
	}
}

TEST(spans_are_one_piece_or_two_and_leave_the_ring_as_it_is)
{
	static const struct {
		uint64_t from; /* relative to the tail at 12 */
		size_t len, first, second;
		unsigned int count;
	} rows[] = {
	    {0, 0, 0, 0, 0},  {0, 1, 1, 0, 1},  {0, 4, 4, 0, 1},   {0, 5, 4, 1, 2},
	    {3, 4, 1, 3, 2},  {4, 6, 6, 0, 1},  {0, 100, 4, 6, 2}, {2, 100, 2, 6, 2},
	    {10, 5, 0, 0, 0}, {10, 0, 0, 0, 0}, {9, 9, 1, 0, 1},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct iovec spans[2] = {{0}};
		struct fixture f;

		set_up(&f, 12);
		byte_ring_put(&f.ring, "0123456789", 10);
		assert_int_equal(byte_ring_spans(&f.ring, 12 + rows[i].from, rows[i].len, spans),
		                 rows[i].count);
		if (rows[i].count > 0) {
			assert_int_equal(spans[0].iov_len, rows[i].first);
			assert_memory_equal(spans[0].iov_base, &"0123456789"[rows[i].from],
			                    rows[i].first);
		}
		if (rows[i].count > 1) {
			assert_int_equal(spans[1].iov_len, rows[i].second);
			assert_ptr_equal(spans[1].iov_base, f.memory + 8);
		}
		assert_int_equal(byte_ring_used(&f.ring), 10);
	}
}

TEST(room_is_the_piece_behind_the_head_and_commit_passes_it)
{
	static const struct {
		uint64_t pos;
		size_t used, room;
	} rows[] = {{0, 0, 16}, {3, 0, 13}, {12, 4, 12}, {12, 2, 2}, {12, 3, 1}, {5, 16, 0}};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct fixture f;
		uint8_t in[SIZE] = {0}, out[SIZE];
		void *room;

		set_up(&f, rows[i].pos);
		byte_ring_put(&f.ring, in, rows[i].used);
		assert_int_equal(byte_ring_room(&f.ring, &room), rows[i].room);
		memset(room, 'r', rows[i].room);
		assert_guards(&f);
		byte_ring_commit(&f.ring, rows[i].room);
		byte_ring_drop(&f.ring, rows[i].used);
		assert_int_equal(byte_ring_get(&f.ring, out, SIZE), rows[i].room);
		for (size_t k = 0; k < rows[i].room; k++)
			assert_int_equal(out[k], 'r');
	}
}

TEST(many_random_steps_agree_with_a_plain_queue)
{
	uint8_t next_in = 0, next_out = 0, bytes[SIZE];
	unsigned int random = 12345;
	struct fixture f;

	set_up(&f, UINT32_MAX - 100);
	for (unsigned int step = 0; step < 100000; step++) {
		size_t len;

		random = random * 1103515245 + 12345;
		len = (random >> 16) % (SIZE + 1);
		if (random >> 31) {
			len = len < byte_ring_free(&f.ring) ? len : byte_ring_free(&f.ring);
			for (size_t i = 0; i < len; i++)
				bytes[i] = next_in++;
			byte_ring_put(&f.ring, bytes, len);
			continue;
		}
		len = byte_ring_get(&f.ring, bytes, len);
		for (size_t i = 0; i < len; i++)
			assert_int_equal(bytes[i], next_out++);
	}
	assert_guards(&f);
}

/* What lies behind the head isn't there before it is committed, at every place of the wrap. */
TEST(what_is_put_ahead_comes_out_once_it_is_committed)
{
	uint8_t data[16], got[16];

	for (uint64_t start = 0; start < sizeof(data); start++) {
		struct byte_ring_state positions = {start, start};
		struct byte_ring ring;

		byte_ring_init(&ring, &positions, data, sizeof(data));
		byte_ring_put(&ring, "ab", 2);
		byte_ring_put_ahead(&ring, 3, "fghi", 4);
		byte_ring_put_ahead(&ring, 0, "cde", 3);
		byte_ring_put_ahead(&ring, 7, "jklmnop", 7);
		assert_int_equal(byte_ring_used(&ring), 2);
		byte_ring_commit(&ring, 14);
		assert_int_equal(byte_ring_get(&ring, got, sizeof(got)), sizeof(got));
		assert_memory_equal(got, "abcdefghijklmnop", sizeof(got));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(an_empty_ring_has_all_free),
	    UNIT(bytes_come_out_as_they_went_in_at_every_offset_and_length),
	    UNIT(positions_go_on_beyond_32_bits),
	    UNIT(a_ring_goes_on_from_a_state_that_is_there),
	    UNIT(overwriting_drops_the_oldest_only_where_there_is_no_room),
	    UNIT(get_takes_no_more_than_is_asked_for),
	    UNIT(drop_forgets_the_oldest),
	    UNIT(what_is_put_back_comes_first),
	    UNIT(skipping_passes_bytes_that_nobody_wrote),
	    UNIT(spans_are_one_piece_or_two_and_leave_the_ring_as_it_is),
	    UNIT(what_is_put_ahead_comes_out_once_it_is_committed),
	    UNIT(room_is_the_piece_behind_the_head_and_commit_passes_it),
	    UNIT(many_random_steps_agree_with_a_plain_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
