/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds descriptor chains against a hostile driver (virtio 1.3, 2.7.5): whatever the table says,
 * each descriptor is read once, judged, and either gives bytes of guest memory or breaks the queue;
 * every walk ends.
 */
#include "unit.h"

#include "virtq_fixture.h"

#include <string.h>

#define SIZE 8u

enum { NEXT = DRIVER_DESC_NEXT, WRITE = DRIVER_DESC_WRITE, INDIRECT = DRIVER_DESC_INDIRECT };

static struct virtq_fixture f;

/* Writes descriptor `i` of the ring's table; the address is relative to the buffers'. */
static void desc(unsigned int i, uint64_t offset, uint32_t len, unsigned int flags, uint16_t next)
{
	driver_write_desc(driver_desc_at(&f.driver, i), f.data + offset, len, (uint16_t)flags,
	                  next);
}

/* The same for a table of the buffers' memory, at `table`. */
static void table_desc(uint64_t table, unsigned int i, uint64_t offset, uint32_t len,
                       unsigned int flags, uint16_t next)
{
	struct driver_desc *at = guest_memory_at(&f.memory, table + 16ull * i, 16);

	driver_write_desc(at, f.data + offset, len, (uint16_t)flags, next);
}

static struct virtq_chain offer(uint16_t head)
{
	uint16_t idx = *driver_avail_idx(&f.driver);
	struct virtq_chain chain;

	*driver_avail_entry(&f.driver, idx % SIZE) = head;
	driver_store16(driver_avail_idx(&f.driver), (uint16_t)(idx + 1));
	assert_int_equal(virtq_peek(&f.vq, &chain), VIRTQ_OK);
	return chain;
}

/* Walks all of a chain; the number of bytes of that direction, or -1 if it broke the queue. */
static int64_t walk(struct virtq_chain *chain, bool writable)
{
	int64_t total = 0;

	for (;;) {
		enum virtq_result r = virtq_chain_ready(&f.vq, chain, writable);
		void *bytes;
		size_t len;

		if (r == VIRTQ_END)
			return total;
		if (r == VIRTQ_BROKEN)
			return -1;
		r = virtq_chain_next(&f.vq, chain, SIZE_MAX, &bytes, &len);
		if (r != VIRTQ_OK)
			return -1;
		assert_true(len > 0);
		/* ASan sees it if this isn't memory. */
		if (writable)
			memset(bytes, 'w', len < 4096 ? len : 4096);
		else
			assert_true(((volatile uint8_t *)bytes)[len - 1] <= 255);
		total += (int64_t)len;
	}
}

static void set_up(uint64_t features)
{
	virtq_fixture_init(&f, SIZE, 0xfffe, features);
}

static void tear_down(void)
{
	virtq_fixture_deinit(&f);
}

static void assert_walk(const char *what, uint16_t head, int64_t expected)
{
	struct virtq_chain chain = offer(head);
	int64_t got = walk(&chain, false);

	if (got != expected)
		fail_msg("%s: %lld, expected %lld", what, (long long)got, (long long)expected);
	if ((f.vq.broken != NULL) != (expected < 0))
		fail_msg("%s: the queue is%s broken", what, f.vq.broken ? "" : "n't");
}

TEST(a_head_behind_the_table_breaks_the_queue)
{
	static const uint16_t heads[] = {SIZE, SIZE + 1, 0x7fff, 0x8000, 0xffff};

	for (size_t i = 0; i < ROWS(heads); i++) {
		struct virtq_chain chain;

		set_up(0);
		*driver_avail_entry(&f.driver, 0xfffe % SIZE) = heads[i];
		driver_store16(driver_avail_idx(&f.driver), 0xffff);
		assert_int_equal(virtq_peek(&f.vq, &chain), VIRTQ_BROKEN);
		assert_non_null(f.vq.broken);
		tear_down();
	}
}

static void one(void)
{
	desc(0, 0, 100, 0, 0);
}

static void next_is_ignored_without_its_flag(void)
{
	desc(0, 0, 100, 0, 0xffff);
}

static void whole_table(void)
{
	for (unsigned int i = 0; i < SIZE; i++)
		desc(i, 0, 10, i + 1 < SIZE ? NEXT : 0, (uint16_t)(i + 1));
}

static void next_behind_the_table(void)
{
	desc(0, 0, 100, NEXT, SIZE);
}

static void next_far_behind_the_table(void)
{
	desc(0, 0, 100, NEXT, 0xffff);
}

static void loop_of_one(void)
{
	desc(0, 0, 100, NEXT, 0);
}

static void loop_of_two(void)
{
	desc(0, 0, 100, NEXT, 1);
	desc(1, 0, 100, NEXT, 0);
}

static void loop_of_nothing(void)
{
	desc(0, 0, 0, NEXT, 1);
	desc(1, 0, 0, NEXT, 0);
}

static void loop_of_the_other_direction(void)
{
	desc(0, 0, 100, NEXT | WRITE, 1);
	desc(1, 0, 100, NEXT | WRITE, 0);
}

static void loop_behind_the_head(void)
{
	desc(0, 0, 100, NEXT, 1);
	desc(1, 0, 100, NEXT, 2);
	desc(2, 0, 100, NEXT, 1);
}

static void outside(void)
{
	driver_write_desc(driver_desc_at(&f.driver, 0), guest_memory_outside(&f.memory, 100), 100,
	                  0, 0);
}

static void over_the_end(void)
{
	driver_write_desc(driver_desc_at(&f.driver, 0), guest_memory_last_bytes(&f.memory, 1, 10),
	                  11, 0, 0);
}

static void up_to_the_end(void)
{
	driver_write_desc(driver_desc_at(&f.driver, 0), guest_memory_last_bytes(&f.memory, 1, 10),
	                  10, 0, 0);
}

static void over_2_to_the_64(void)
{
	driver_write_desc(driver_desc_at(&f.driver, 0), UINT64_MAX - 10, 100, 0, 0);
}

static void longest_length(void)
{
	desc(0, 0, UINT32_MAX, 0, 0);
}

static void user_address(void)
{
	driver_write_desc(driver_desc_at(&f.driver, 0), guest_memory_to_uva(&f.memory, f.data), 100,
	                  0, 0);
}

static void across_regions(void)
{
	driver_write_desc(driver_desc_at(&f.driver, 0), guest_memory_crossing(&f.memory, 64), 64, 0,
	                  0);
}

/* R7: nothing is nowhere. */
static void no_bytes_at_bad_addresses(void)
{
	driver_write_desc(driver_desc_at(&f.driver, 0), 0, 0, NEXT, 1);
	driver_write_desc(driver_desc_at(&f.driver, 1), UINT64_MAX, 0, NEXT, 2);
	desc(2, 0, 7, NEXT, 3);
	driver_write_desc(driver_desc_at(&f.driver, 3), guest_memory_outside(&f.memory, 1), 0, 0,
	                  0);
}

static void only_no_bytes(void)
{
	driver_write_desc(driver_desc_at(&f.driver, 0), UINT64_MAX, 0, 0, 0);
}

static void other_direction_is_passed_over(void)
{
	desc(0, 0, 5, NEXT | WRITE, 1);
	desc(1, 0, 7, NEXT, 2);
	desc(2, 0, 9, NEXT | WRITE, 3);
	desc(3, 0, 11, 0, 0);
}

static void other_direction_at_a_bad_address(void)
{
	driver_write_desc(driver_desc_at(&f.driver, 0), UINT64_MAX, 5, NEXT | WRITE, 1);
	desc(1, 0, 7, 0, 0);
}

static void indirect_where_none_may_be(void)
{
	table_desc(f.data + 0x1000, 0, 0, 10, 0, 0);
	desc(0, 0x1000, 16, INDIRECT, 0);
}

TEST(direct_chains)
{
	static const struct {
		const char *what;
		void (*make)(void);
		int64_t readable; /* bytes, or -1: broken */
	} rows[] = {
	    {"one", one, 100},
	    {"a next one without its flag", next_is_ignored_without_its_flag, 100},
	    {"the whole table", whole_table, 80},
	    {"next behind the table", next_behind_the_table, -1},
	    {"next far behind the table", next_far_behind_the_table, -1},
	    {"loop of one", loop_of_one, -1},
	    {"loop of two", loop_of_two, -1},
	    {"loop of nothing", loop_of_nothing, -1},
	    {"loop of the other direction", loop_of_the_other_direction, -1},
	    {"loop behind the head", loop_behind_the_head, -1},
	    {"outside", outside, -1},
	    {"over the end", over_the_end, -1},
	    {"up to the end", up_to_the_end, 10},
	    {"over 2^64", over_2_to_the_64, -1},
	    {"longest length", longest_length, -1},
	    {"a user address", user_address, -1},
	    {"across regions", across_regions, 64},
	    {"no bytes at bad addresses", no_bytes_at_bad_addresses, 7},
	    {"only no bytes", only_no_bytes, 0},
	    {"the other direction", other_direction_is_passed_over, 18},
	    {"the other direction at a bad address", other_direction_at_a_bad_address, -1},
	    {"indirect, not negotiated", indirect_where_none_may_be, -1},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		set_up(0);
		rows[i].make();
		assert_walk(rows[i].what, 0, rows[i].readable);
		tear_down();
	}
}

/* Indirect tables (2.7.5.3). `len` and `flags` are those of the descriptor that refers to one. */
TEST(lengths_and_flags_of_an_indirect_descriptor)
{
	static const struct {
		const char *what;
		uint32_t len;
		unsigned int flags;
		int64_t readable;
	} rows[] = {
	    {"one descriptor", 16, INDIRECT, 10},
	    {"more room than it uses", 64, INDIRECT, 10},
	    {"the write flag doesn't count", 16, INDIRECT | WRITE, 10},
	    {"no length", 0, INDIRECT, -1},
	    {"less than a descriptor", 15, INDIRECT, -1},
	    {"a descriptor and a byte", 17, INDIRECT, -1},
	    {"with a next one", 16, INDIRECT | NEXT, -1},
	    {"longer than memory", 0xfffffff0, INDIRECT, -1},
	    {"the longest length", 0xffffffff, INDIRECT, -1},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		set_up(F_INDIRECT_DESC);
		table_desc(f.data + 0x1000, 0, 0, 10, 0, 0);
		desc(0, 0x1000, rows[i].len, rows[i].flags, 1);
		desc(1, 0, 5, 0, 0);
		assert_walk(rows[i].what, 0, rows[i].readable);
		tear_down();
	}
}

#define TABLE (f.data + 0x1000)

static void chain_in_a_table(void)
{
	table_desc(TABLE, 0, 0, 10, NEXT, 3);
	table_desc(TABLE, 3, 0, 20, NEXT, 1);
	table_desc(TABLE, 1, 0, 30, 0, 0);
}

static void next_behind_its_table(void)
{
	table_desc(TABLE, 0, 0, 10, NEXT, 4);
	table_desc(TABLE, 4, 0, 10, 0, 0);
}

static void loop_in_a_table(void)
{
	table_desc(TABLE, 0, 0, 10, NEXT, 1);
	table_desc(TABLE, 1, 0, 10, NEXT, 0);
}

static void nested(void)
{
	table_desc(TABLE, 0, 0x2000, 16, INDIRECT, 0);
	table_desc(f.data + 0x2000, 0, 0, 10, 0, 0);
}

static void nested_in_itself(void)
{
	table_desc(TABLE, 0, 0x1000, 64, INDIRECT, 0);
}

static void bad_address_in_a_table(void)
{
	table_desc(TABLE, 0, -f.data - 1, 10, 0, 0);
}

TEST(tables)
{
	static const struct {
		const char *what;
		void (*make)(void);
		int64_t readable;
	} rows[] = {
	    {"a chain", chain_in_a_table, 60},
	    {"next behind the table", next_behind_its_table, -1},
	    {"a loop", loop_in_a_table, -1},
	    {"nested", nested, -1},
	    {"nested in itself", nested_in_itself, -1},
	    {"a bad address", bad_address_in_a_table, -1},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		set_up(F_INDIRECT_DESC);
		rows[i].make();
		desc(0, 0x1000, 64, INDIRECT, 0);
		assert_walk(rows[i].what, 0, rows[i].readable);
		tear_down();
	}
}

TEST(a_chain_may_end_in_an_indirect_descriptor)
{
	set_up(F_INDIRECT_DESC);
	chain_in_a_table();
	desc(0, 0, 5, NEXT, 7);
	desc(7, 0x1000, 64, INDIRECT, 0);
	assert_walk("direct, then indirect", 0, 65);
	tear_down();
}

TEST(a_table_may_be_longer_than_the_ring)
{
	enum { COUNT = 1000 };

	set_up(F_INDIRECT_DESC);
	for (unsigned int i = 0; i < COUNT; i++)
		table_desc(TABLE, i, 0, 1, i + 1 < COUNT ? NEXT : 0, (uint16_t)(i + 1));
	desc(0, 0x1000, COUNT * 16, INDIRECT, 0);
	assert_walk("a long table", 0, COUNT);
	tear_down();
}

TEST(a_table_has_to_be_in_memory_wholly)
{
	uint64_t end;

	for (unsigned int over = 0; over < 3; over++) {
		set_up(F_INDIRECT_DESC);
		end = f.memory.region[1].gpa + f.memory.region[1].size;
		table_desc(end - 32, 0, 0, 10, 0, 0);
		driver_write_desc(driver_desc_at(&f.driver, 0), end - 32, 32 + 16 * over, INDIRECT,
		                  0);
		assert_walk("a table at the end", 0, over ? -1 : 10);
		tear_down();
	}
	set_up(F_INDIRECT_DESC);
	driver_write_desc(driver_desc_at(&f.driver, 0), -16ull, 32, INDIRECT, 0);
	assert_walk("a table over 2^64", 0, -1);
	tear_down();
}

TEST(a_table_may_lie_across_regions)
{
	uint64_t table;

	set_up(F_INDIRECT_DESC);
	table = guest_memory_crossing(&f.memory, 64);
	for (unsigned int i = 0; i < 4; i++)
		table_desc(table, i, 0, 10, i < 3 ? NEXT : 0, (uint16_t)(i + 1));
	driver_write_desc(driver_desc_at(&f.driver, 0), table, 64, INDIRECT, 0);
	assert_walk("a table across regions", 0, 40);
	tear_down();
}

/* What was read once isn't looked at again. */

TEST(a_descriptor_that_changes_after_it_was_read_changes_nothing)
{
	struct virtq_chain chain;
	uint8_t *first, *rest;
	void *bytes;
	size_t len;

	set_up(0);
	desc(0, 0x100, 100, NEXT, 1);
	desc(1, 0x300, 50, 0, 0);
	chain = offer(0);
	assert_int_equal(virtq_chain_ready(&f.vq, &chain, false), VIRTQ_OK);
	driver_write_desc(driver_desc_at(&f.driver, 0), UINT64_MAX, UINT32_MAX, NEXT | WRITE,
	                  0xffff);
	assert_int_equal(virtq_chain_next(&f.vq, &chain, 30, &bytes, &len), VIRTQ_OK);
	first = bytes;
	assert_ptr_equal(first, gmem_guest(&f.gmem, f.data + 0x100, 1));
	assert_int_equal(len, 30);
	assert_int_equal(virtq_chain_ready(&f.vq, &chain, false), VIRTQ_OK);
	assert_int_equal(virtq_chain_next(&f.vq, &chain, 1000, &bytes, &len), VIRTQ_OK);
	rest = bytes;
	assert_ptr_equal(rest, first + 30);
	assert_int_equal(len, 70);
	/* And on to the next one that there was. */
	assert_int_equal(virtq_chain_ready(&f.vq, &chain, false), VIRTQ_OK);
	assert_int_equal(virtq_chain_next(&f.vq, &chain, 1000, &bytes, &len), VIRTQ_OK);
	assert_ptr_equal(bytes, gmem_guest(&f.gmem, f.data + 0x300, 1));
	assert_int_equal(len, 50);
	assert_int_equal(virtq_chain_ready(&f.vq, &chain, false), VIRTQ_END);
	tear_down();
}

TEST(an_indirect_table_that_moves_after_it_was_entered_is_read_where_it_was)
{
	struct virtq_chain chain;

	set_up(F_INDIRECT_DESC);
	chain_in_a_table();
	desc(0, 0x1000, 64, INDIRECT, 0);
	chain = offer(0);
	assert_int_equal(virtq_chain_ready(&f.vq, &chain, false), VIRTQ_OK);
	driver_write_desc(driver_desc_at(&f.driver, 0), UINT64_MAX, 16, INDIRECT, 0);
	assert_int_equal(walk(&chain, false), 60);
	tear_down();
}

TEST(a_head_that_changes_after_it_was_taken_goes_back_as_it_was)
{
	struct virtq_chain chain;
	uint32_t id, len;

	set_up(0);
	desc(3, 0, 20, WRITE, 0);
	chain = offer(3);
	*driver_avail_entry(&f.driver, 0xfffe % SIZE) = 5;
	assert_int_equal(walk(&chain, true), 20);
	virtq_push(&f.vq, &chain);
	virtq_publish(&f.vq);
	assert_true(driver_harvest_raw(&f.driver, &id, &len));
	assert_int_equal(id, 3);
	assert_int_equal(len, 20);
	tear_down();
}

TEST(what_the_device_writes_counts_and_what_it_reads_does_not)
{
	struct virtq_chain chain;

	set_up(0);
	other_direction_is_passed_over();
	chain = offer(0);
	assert_int_equal(walk(&chain, true), 14);
	assert_int_equal(chain.written, 14);
	chain = offer(0);
	assert_int_equal(walk(&chain, false), 18);
	assert_int_equal(chain.written, 0);
	tear_down();
}

TEST(the_rest_of_a_chain_is_counted_without_walking_it)
{
	static const struct {
		bool writable;
		uint64_t limit, rest;
	} rows[] = {
	    {false, UINT64_MAX, 18}, {true, UINT64_MAX, 14}, {false, 18, 18},
	    {false, 17, 17},         {false, 1, 1},          {true, 0, 0},
	};

	set_up(0);
	other_direction_is_passed_over();
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct virtq_chain chain = offer(0), before = chain;

		assert_int_equal(virtq_chain_rest(&f.vq, &chain, rows[i].writable, rows[i].limit),
		                 rows[i].rest);
		assert_true(before.budget - chain.budget <= 4);
		/* Nothing but the budget has changed. */
		before.budget = chain.budget;
		assert_memory_equal(&chain, &before, sizeof(chain));
		*driver_avail_idx(&f.driver) = 0xfffe;
	}
	tear_down();
}

TEST(the_rest_of_gigabytes_does_not_overflow)
{
	struct virtq_chain chain;

	set_up(F_INDIRECT_DESC);
	for (unsigned int i = 0; i < 2000; i++)
		table_desc(f.data + 0x1000, i, 0, 0x400000, i < 1999 ? NEXT : 0, (uint16_t)(i + 1));
	desc(0, 0x1000, 2000 * 16, INDIRECT, 0);
	chain = offer(0);
	assert_same(virtq_chain_rest(&f.vq, &chain, false, UINT64_MAX), 2000ull * 0x400000);
	assert_int_equal(UINT32_MAX - chain.budget,
	                 2001); /* and the one that refers to the table */
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_head_behind_the_table_breaks_the_queue),
	    UNIT(direct_chains),
	    UNIT(lengths_and_flags_of_an_indirect_descriptor),
	    UNIT(tables),
	    UNIT(a_chain_may_end_in_an_indirect_descriptor),
	    UNIT(a_table_may_be_longer_than_the_ring),
	    UNIT(a_table_has_to_be_in_memory_wholly),
	    UNIT(a_table_may_lie_across_regions),
	    UNIT(a_descriptor_that_changes_after_it_was_read_changes_nothing),
	    UNIT(an_indirect_table_that_moves_after_it_was_entered_is_read_where_it_was),
	    UNIT(a_head_that_changes_after_it_was_taken_goes_back_as_it_was),
	    UNIT(the_rest_of_a_chain_is_counted_without_walking_it),
	    UNIT(the_rest_of_gigabytes_does_not_overflow),
	    UNIT(what_the_device_writes_counts_and_what_it_reads_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
