/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the console's configuration space (virtio 1.3, 5.3.4): what is read at any offset and of
 * any length, the size of the window, and the emergency write, also where a frontend knows only
 * the whole space.
 */
#include "unit.h"

#include "console/console.h"

#include <string.h>

#define RING 64u

static struct {
	struct byte_ring_state state;
	uint8_t memory[RING];
	struct backend_port port;
	struct virtq virtqs[CONSOLE_VRINGS(1)];
	struct console_record record;
	struct console_port console_port;
	struct console console;
} f;

static void set_up(void)
{
	memset(&f, 0, sizeof(f));
	byte_ring_init(&f.port.output, &f.state, f.memory, RING);
	console_init(&f.console, &f.record, f.virtqs, &f.console_port, 1);
	console_plug(&f.console, 0, &f.port, NULL, NULL);
}

static void expect_output(const char *text)
{
	char bytes[RING + 1] = {0};

	byte_ring_get(&f.port.output, bytes, RING);
	assert_string_equal(bytes, text);
}

/* As QEMU's generic device does: the driver's one byte, and all the rest as it was last seen. */
static void write_whole(uint8_t cols, uint8_t byte)
{
	uint8_t bytes[12] = {cols, 0, 24, 0, 1, 0, 0, 0, byte, 0, 0, 0};

	console_write_config(&f.console, 0, bytes, sizeof(bytes));
}

TEST(what_is_behind_the_end_reads_as_zero)
{
	static const uint8_t space[12] = {80, 0, 24, 0, 1};
	uint8_t bytes[256], expected[256];

	set_up();
	console_set_size(&f.console, 0, 80, 24);
	for (uint32_t offset = 0; offset < 20; offset++) {
		for (uint32_t len = 1; len <= sizeof(bytes) - offset; len++) {
			memset(bytes, 0xa5, sizeof(bytes));
			memset(expected, 0, sizeof(expected));
			for (uint32_t i = 0; i < len && offset + i < sizeof(space); i++)
				expected[i] = space[offset + i];
			console_read_config(&f.console, offset, bytes, len);
			assert_memory_equal(bytes, expected, len);
			if (len < sizeof(bytes))
				assert_int_equal(bytes[len], 0xa5);
		}
	}
}

TEST(an_emergency_write_of_any_width_puts_its_low_byte_out)
{
	static const uint8_t bytes[] = {'e', 1, 2, 3};

	set_up();
	for (uint32_t len = 1; len <= sizeof(bytes); len++)
		assert_true(console_write_config(&f.console, 8, bytes, len));
	expect_output("eeee");
}

TEST(an_emergency_write_leaves_zero_behind)
{
	uint8_t bytes[12];

	set_up();
	console_write_config(&f.console, 8, (const uint8_t *)"x", 1);
	console_read_config(&f.console, 0, bytes, sizeof(bytes));
	assert_int_equal(bytes[8], 0);
}

TEST(writes_that_do_not_cover_its_first_byte_are_nothing)
{
	static const uint8_t bytes[256] = {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'};

	set_up();
	assert_false(console_write_config(&f.console, 0, bytes, 8));
	assert_false(console_write_config(&f.console, 9, bytes, 3));
	assert_false(console_write_config(&f.console, 12, bytes, 244));
	assert_false(console_write_config(&f.console, 255, bytes, 1));
	assert_false(console_write_config(&f.console, 8, (const uint8_t *)"\0", 1));
	expect_output("");
}

/* The same byte twice is two writes; the same byte beside another field's change is the old one. */
TEST(a_frontend_that_writes_the_whole_space_does_not_repeat_the_byte)
{
	uint8_t bytes[12];

	set_up();
	console_set_size(&f.console, 0, 80, 24);
	console_read_config(&f.console, 0, bytes, sizeof(bytes));
	write_whole(80, 'l');
	write_whole(80, 'l');
	write_whole(81, 'l'); /* the driver has written cols */
	write_whole(81, 'o');
	expect_output("llo");
}

/* The window has changed, and the frontend hasn't looked since: that isn't the driver's doing. */
TEST(a_new_size_does_not_spoil_an_emergency_write)
{
	uint8_t bytes[12];

	set_up();
	console_set_size(&f.console, 0, 80, 24);
	console_read_config(&f.console, 0, bytes, sizeof(bytes));
	console_set_size(&f.console, 0, 100, 24);
	write_whole(80, '!');
	expect_output("!");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(what_is_behind_the_end_reads_as_zero),
	    UNIT(an_emergency_write_of_any_width_puts_its_low_byte_out),
	    UNIT(an_emergency_write_leaves_zero_behind),
	    UNIT(writes_that_do_not_cover_its_first_byte_are_nothing),
	    UNIT(a_frontend_that_writes_the_whole_space_does_not_repeat_the_byte),
	    UNIT(a_new_size_does_not_spoil_an_emergency_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
