/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds a reader's own buffer: what is delivered in any pieces is what was in the ring, encoded,
 * with the line of a gap in its place, and never more than the buffer holds.
 */
#include "unit.h"

#include "backends/stage.h"
#include "turning.h"

#include <stdio.h>
#include <string.h>

#define RING  64u
#define BYTES 128u

static struct {
	struct loop *loop;
	struct watched_scope scope;
	struct backend_device device;
	struct byte_ring_state state;
	uint8_t memory[RING];
	struct output output;
	struct reader reader;
	struct stage stage;
	uint8_t bytes[BYTES + 8];
	bool eager; /* whoever delivers does so whenever it is woken, */
	char got[256];
	size_t got_len;
} f;

static void on_wake(struct reader *reader)
{
	(void)reader;
}

/* which it may be when the device is told of room. */
static void on_pump(struct backend_device *device)
{
	(void)device;
	while (f.eager && stage_pending(&f.stage)) {
		void *bytes;
		size_t n;

		stage_fill(&f.stage);
		n = stage_rest(&f.stage, &bytes);
		assert_true(f.got_len + n <= sizeof(f.got));
		memcpy(f.got + f.got_len, bytes, n);
		f.got_len += n;
		stage_delivered(&f.stage, n);
	}
}

static void set_up(void)
{
	memset(&f, 0, sizeof(f));
	f.loop = turning_loop();
	watched_scope_init(&f.scope, f.loop);
	f.device.pump = on_pump;
	f.output.port.device = &f.device;
	byte_ring_init(&f.output.port.output, &f.state, f.memory, RING);
	output_init(&f.output, &f.scope.scope);
	reader_init(&f.reader, &f.output, on_wake);
	memset(f.bytes + BYTES, 0xa5, 8);
	stage_init(&f.stage, &f.reader, f.bytes, BYTES);
}

static void tear_down(void)
{
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(f.bytes[BYTES + i], 0xa5);
	reader_deinit(&f.reader);
	watched_scope_end(&f.scope);
	loop_free(f.loop);
}

static void guest_writes(const char *text)
{
	for (; *text; text++)
		byte_ring_overwrite(&f.output.port.output, text, 1);
}

/* Delivers everything in pieces of at most `piece` bytes. */
static void deliver(char *got, size_t size, size_t piece)
{
	size_t len = 0;

	while (stage_pending(&f.stage)) {
		void *bytes;
		size_t n;

		stage_fill(&f.stage);
		n = stage_rest(&f.stage, &bytes);
		assert_true(n > 0);
		n = n < piece ? n : piece;
		assert_true(len + n < size);
		memcpy(got + len, bytes, n);
		len += n;
		stage_delivered(&f.stage, n);
	}
	got[len] = '\0';
}

TEST(bytes_come_out_as_they_are_in_any_pieces)
{
	for (size_t piece = 1; piece < 20; piece++) {
		char got[256];

		set_up();
		guest_writes("The quick brown fox ");
		deliver(got, sizeof(got), piece);
		assert_string_equal(got, "The quick brown fox ");
		guest_writes("jumps over the lazy dog and on and on and on");
		deliver(got, sizeof(got), piece);
		assert_string_equal(got, "jumps over the lazy dog and on and on and on");
		assert_int_equal(f.reader.buffered, 0);
		tear_down();
	}
}

/* In two pieces, of which the first makes room. */
TEST(bytes_come_out_once_whoever_is_told_of_the_room)
{
	set_up();
	guest_writes("0123456789");
	deliver(f.got, sizeof(f.got), 10);
	guest_writes("0123456789012345678901234567890123456789012345678901234567890123");
	assert_int_equal(f.output.port.room(&f.output.port, 1), 0);
	f.eager = true;
	stage_fill(&f.stage);
	on_pump(&f.device);
	assert_int_equal(f.got_len, RING);
	assert_memory_equal(
	    f.got, "0123456789012345678901234567890123456789012345678901234567890123", RING);
	f.eager = false;
	tear_down();
}

TEST(what_is_missing_is_told_where_it_is_missing)
{
	char got[256];

	set_up();
	guest_writes("0123456789012345678901234567890123456789012345678901234567890123");
	guest_writes("abcd");
	deliver(got, sizeof(got), 7);
	assert_string_equal(got,
	                    "\r\n[vhost-user-console: 4 bytes skipped]\r\n"
	                    "456789012345678901234567890123456789012345678901234567890123abcd");
	tear_down();
}

TEST(lines_of_ours_come_between_and_fit_or_not)
{
	char got[256], line[BYTES];

	set_up();
	memset(line, 'n', sizeof(line));
	guest_writes("guest");
	assert_true(stage_append(&f.stage, "[ours]", 6));
	deliver(got, sizeof(got), 3);
	assert_string_equal(got, "[ours]guest");
	assert_true(stage_append(&f.stage, line, BYTES));
	assert_false(stage_append(&f.stage, "x", 1));
	deliver(got, sizeof(got), 100);
	assert_int_equal(strlen(got), BYTES);
	assert_true(stage_append(&f.stage, "x", 1));
	deliver(got, sizeof(got), 1);
	assert_string_equal(got, "x");
	tear_down();
}

/* Each byte becomes five, so that what the ring holds doesn't fit into the buffer. */
static size_t five_times(struct stage *stage, const uint8_t *bytes, size_t len)
{
	size_t taken = 0;
	char five[5];

	while (taken < len && stage_room(stage) >= sizeof(five)) {
		memset(five, bytes[taken++], sizeof(five));
		assert_true(stage_append(stage, five, sizeof(five)));
	}
	return taken;
}

/* In whichever pieces the ring has them, of which the second waits for the rest of the first. */
TEST(bytes_that_grow_wait_in_the_ring_until_there_is_room)
{
	static const char text[] =
	    "0123456789012345678901234567890123456789012345678901234567890123";

	for (unsigned int before = 0; before < RING; before++) {
		char got[512] = "";

		set_up();
		for (unsigned int i = 0; i < before; i++)
			guest_writes("x");
		deliver(got, sizeof(got), 1);
		f.stage.encode = five_times;
		assert_true(stage_append(&f.stage, "!", 1));
		guest_writes(text);
		deliver(got, sizeof(got), 7);
		assert_int_equal(strlen(got), 1 + 5 * RING);
		assert_int_equal(got[0], '!');
		for (unsigned int i = 0; i < 5 * RING; i++)
			assert_int_equal(got[1 + i], text[i / 5]);
		assert_int_equal(f.reader.buffered, 0);
		tear_down();
	}
}

TEST(what_is_reserved_is_left_for_lines_of_ours)
{
	static const char text[] =
	    "0123456789012345678901234567890123456789012345678901234567890123";
	char got[256], line[BYTES] = {0};

	set_up();
	f.stage.reserve = BYTES - 60;
	memset(line, 'n', BYTES - 60);
	guest_writes(text);
	stage_fill(&f.stage);
	assert_int_equal(stage_room(&f.stage), 0);
	assert_true(stage_append(&f.stage, line, BYTES - 60));
	assert_false(stage_append(&f.stage, "x", 1));
	deliver(got, sizeof(got), 50);
	assert_memory_equal(got, text, 60);
	assert_memory_equal(got + 60, line, BYTES - 60);
	assert_string_equal(got + BYTES, text + 60);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(bytes_come_out_as_they_are_in_any_pieces),
	    UNIT(bytes_come_out_once_whoever_is_told_of_the_room),
	    UNIT(what_is_missing_is_told_where_it_is_missing),
	    UNIT(lines_of_ours_come_between_and_fit_or_not),
	    UNIT(bytes_that_grow_wait_in_the_ring_until_there_is_room),
	    UNIT(what_is_reserved_is_left_for_lines_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
