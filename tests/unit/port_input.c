/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds a port's way in (virtio 1.3, 5.3.6): input fills the driver's buffers byte for byte, waits
 * where there are none, and kicks are asked for only while it waits. And the configuration space.
 */
#include "unit.h"

#include "port_fixture.h"

#include <string.h>

#define EVENT_IDX 1ull << 29

static struct port_fixture f;

static void set_up(uint64_t features)
{
	port_fixture_init(&f, 64, PORT_OUTPUT_BYTES, features);
}

static void tear_down(void)
{
	port_fixture_deinit(&f);
}

static struct port_outcome pump(void)
{
	return console_pump(&f.console, 0);
}

static void assert_outcome(struct port_outcome outcome, bool call, bool again, bool moved)
{
	assert_int_equal(outcome.call, call);
	assert_int_equal(outcome.again, again);
	assert_int_equal(outcome.moved, moved);
}

static void post(uint32_t at, uint32_t len)
{
	struct driver_buffer buffer = {f.data + at, len, true};

	memset(guest_memory_at(&f.memory, buffer.gpa, len), 0, len);
	assert_true(driver_add(&f.receive, &buffer, 1, at));
	driver_publish(&f.receive);
}

static void assert_bytes(uint64_t gpa, size_t len, uint64_t pos)
{
	uint8_t got[PORT_INPUT_BYTES], expected[PORT_INPUT_BYTES];

	guest_memory_read(&f.memory, gpa, got, len);
	support_fill_pattern(expected, len, pos);
	assert_memory_equal(got, expected, len);
}

TEST(input_goes_into_the_next_buffer_and_no_byte_more)
{
	struct driver_used used;

	set_up(0);
	post(0, 100);
	port_put_input(&f, 30, 0);
	assert_outcome(pump(), true, false, true);
	assert_true(driver_harvest(&f.receive, &used));
	assert_int_equal(used.len, 30);
	assert_bytes(f.data, 30, 0);
	assert_int_equal(*(uint8_t *)guest_memory_at(&f.memory, f.data + 30, 1), 0);
	assert_int_equal(byte_ring_used(&f.port.input), 0);
	tear_down();
}

TEST(one_burst_fills_several_buffers_with_one_call)
{
	uint64_t pos = 0;

	set_up(EVENT_IDX);
	for (uint32_t i = 0; i < 10; i++)
		post(i * 100, 70);
	port_put_input(&f, 500, 0);
	assert_outcome(pump(), true, false, true);
	for (uint32_t i = 0; i < 8; i++) {
		struct driver_used used;

		assert_true(driver_harvest(&f.receive, &used));
		assert_int_equal(used.len, i < 7 ? 70 : 10);
		assert_bytes(f.data + i * 100, used.len, pos);
		pos += used.len;
	}
	assert_int_equal(driver_used_count(&f.receive), 0);
	assert_int_equal(driver_outstanding(&f.receive), 2);
	tear_down();
}

TEST(a_chain_is_filled_descriptor_by_descriptor)
{
	struct driver_used used;
	uint64_t crossing;

	set_up(0);
	crossing = guest_memory_crossing(&f.memory, 20);
	const struct driver_buffer chain[] = {
	    {f.data + 900, 8, false}, {f.data, 10, true},        {f.data + 100, 0, true},
	    {crossing, 20, true},     {f.data + 200, 100, true},
	};

	assert_true(driver_add(&f.receive, chain, ROWS(chain), 0));
	driver_publish(&f.receive);
	port_put_input(&f, 60, 0);
	assert_outcome(pump(), true, false, true);
	assert_true(driver_harvest(&f.receive, &used));
	assert_int_equal(used.len, 60);
	assert_bytes(f.data, 10, 0);
	assert_bytes(crossing, 20, 10);
	assert_bytes(f.data + 200, 30, 30);
	tear_down();
}

TEST(input_across_the_end_of_its_ring_stays_in_order)
{
	struct driver_used used;
	uint64_t pos = 0;

	set_up(0);
	for (unsigned int i = 0; i < 100; i++) {
		post(0, 900);
		port_put_input(&f, 700, pos);
		pump();
		assert_true(driver_harvest(&f.receive, &used));
		assert_int_equal(used.len, 700);
		assert_bytes(f.data, 700, pos);
		pos += 700;
	}
	tear_down();
}

TEST(input_without_buffers_waits_for_the_kick)
{
	static const uint64_t features[] = {0, EVENT_IDX};

	for (size_t i = 0; i < ROWS(features); i++) {
		struct driver_used used;

		set_up(features[i]);
		port_put_input(&f, 50, 0);
		assert_outcome(pump(), false, false, false);
		assert_int_equal(byte_ring_used(&f.port.input), 50);
		post(0, 20);
		assert_true(driver_wants_kick(&f.receive));
		assert_outcome(pump(), true, false, true);
		assert_int_equal(byte_ring_used(&f.port.input), 30);
		assert_true(driver_harvest(&f.receive, &used));
		assert_int_equal(used.len, 20);
		driver_ask_calls(&f.receive, true);
		post(100, 100);
		assert_true(driver_wants_kick(&f.receive));
		assert_outcome(pump(), true, false, true);
		assert_true(driver_harvest(&f.receive, &used));
		assert_int_equal(used.len, 30);
		assert_bytes(f.data + 100, 30, 20);
		tear_down();
	}
}

/* A driver that fills its queue as it starts doesn't wake us for each buffer. */
TEST(without_input_buffers_stay_where_they_are_and_kicks_are_off)
{
	static const uint64_t features[] = {0, EVENT_IDX};

	for (size_t i = 0; i < ROWS(features); i++) {
		unsigned int kicks = 0;

		set_up(features[i]);
		post(0, 100);
		assert_outcome(pump(), false, false, false);
		assert_int_equal(f.states[0].next_avail, 0xfffe);
		driver_wants_kick(&f.receive);
		for (uint32_t k = 1; k < 50; k++) {
			post(k * 100, 100);
			kicks += driver_wants_kick(&f.receive);
		}
		/* With EVENT_IDX the field has a value, zero here, which is passed once. */
		assert_in_range(kicks, 0, i);
		assert_int_equal(driver_used_count(&f.receive), 0);
		tear_down();
	}
}

/* A driver mustn't do so; the input isn't lost over it. */
TEST(buffers_without_room_come_back_empty_and_lose_nothing)
{
	struct driver_used used;

	set_up(0);
	driver_add(&f.receive, &(struct driver_buffer){f.data + 500, 10, false}, 1, 0);
	driver_add(&f.receive, &(struct driver_buffer){f.data + 600, 0, true}, 1, 0);
	post(0, 100);
	port_put_input(&f, 10, 0);
	assert_outcome(pump(), true, false, true);
	for (unsigned int i = 0; i < 3; i++) {
		assert_true(driver_harvest(&f.receive, &used));
		assert_int_equal(used.len, i == 2 ? 10 : 0);
	}
	assert_bytes(f.data, 10, 0);
	tear_down();
}

TEST(a_pump_takes_at_most_its_descriptors_and_says_that_there_is_more)
{
	struct port_outcome outcome;
	unsigned int pumps = 0, back = 0, n;

	port_fixture_init(&f, 8192, PORT_OUTPUT_BYTES, 0);
	for (uint32_t i = 0; i < 8191; i++)
		driver_add(&f.receive, &(struct driver_buffer){f.data, 0, true}, 1, 0);
	post(0, 10);
	port_put_input(&f, 10, 0);
	do {
		struct driver_used used;

		outcome = pump();
		for (n = 0; driver_harvest(&f.receive, &used); n++)
			;
		/* A chain counts as one more than it has. */
		assert_in_range(n, 0, PORT_BUDGET_DESCS / 2);
		back += n;
		pumps++;
	} while (outcome.again);
	assert_int_equal(back, 8192);
	assert_in_range(pumps, 4, 5);
	assert_bytes(f.data, 10, 0);
	tear_down();
}

/* A buffer counts as often as there are regions that it lies in. */
TEST(crumbs_do_not_escape_the_budget_of_descriptors)
{
	struct port_outcome outcome;
	struct driver_buffer crumbs = {.write = true};
	uint64_t moved = 0;

	port_fixture_init(&f, 8192, PORT_OUTPUT_BYTES, 0);
	crumbs.gpa = port_crumble(&f, &crumbs.len);
	for (uint32_t i = 0; i < 1000; i++)
		assert_true(driver_add(&f.receive, &crumbs, 1, 0));
	driver_publish(&f.receive);
	port_put_input(&f, PORT_INPUT_BYTES, 0);
	do {
		uint64_t before = byte_ring_tail(&f.port.input);

		outcome = pump();
		moved = byte_ring_tail(&f.port.input);
		assert_in_range(moved - before, 1, PORT_BUDGET_DESCS + GMEM_REGIONS_MAX);
	} while (outcome.again);
	assert_int_equal(moved, PORT_INPUT_BYTES);
	tear_down();
}

TEST(a_bad_buffer_breaks_the_queue_after_those_before_it)
{
	struct driver_used used;

	set_up(0);
	post(0, 10);
	driver_add(&f.receive,
	           &(struct driver_buffer){guest_memory_outside(&f.memory, 10), 10, true}, 1, 0);
	driver_publish(&f.receive);
	port_put_input(&f, 30, 0);
	assert_outcome(pump(), true, false, true);
	assert_non_null(f.vqs[0].broken);
	assert_true(driver_harvest(&f.receive, &used));
	assert_false(driver_harvest(&f.receive, &used));
	/* What wasn't given to the guest is still there. */
	assert_int_equal(byte_ring_used(&f.port.input), 20);
	tear_down();
}

TEST(there_is_nothing_to_settle_on_the_way_in)
{
	set_up(0);
	post(0, 10);
	port_put_input(&f, 30, 0);
	pump();
	assert_outcome(console_settle(&f.console, 0), false, false, false);
	tear_down();
}

TEST(virtqueues_beyond_the_ports_do_nothing)
{
	set_up(0);
	port_put_input(&f, 30, 0);
	post(0, 100);
	port_transmit(&f, 500, 10, 0);
	for (unsigned int vring = 2; vring < 256; vring++) {
		assert_outcome(console_pump(&f.console, vring), false, false, false);
		assert_outcome(console_settle(&f.console, vring), false, false, false);
	}
	assert_int_equal(byte_ring_used(&f.port.input), 30);
	assert_int_equal(byte_ring_used(&f.port.output), 0);
	tear_down();
}

/* virtio 1.3, 5.3.4: le16 cols, rows; le32 max_nr_ports, emerg_wr. */
TEST(the_configuration_space_can_be_read_at_every_offset_and_size)
{
	static const uint8_t space[256] = {[4] = 1};

	set_up(0);
	for (uint32_t offset = 0; offset < 256; offset++) {
		for (uint32_t len = 0; len <= 256 - offset; len++) {
			uint8_t bytes[258];

			memset(bytes, 0xcc, sizeof(bytes));
			console_read_config(&f.console, offset, bytes + 1, len);
			assert_int_equal(bytes[0], 0xcc);
			assert_int_equal(bytes[1 + len], 0xcc);
			if (len > 0)
				assert_memory_equal(bytes + 1, space + offset, len);
		}
	}
	console_read_config(&f.console, UINT32_MAX, (uint8_t[4]){0}, 4);
	tear_down();
}

TEST(all_that_a_console_can_be_is_offered)
{
	/* SIZE, MULTIPORT, EMERG_WRITE; VERSION_1, EVENT_IDX, INDIRECT_DESC, IN_ORDER. */
	assert_same(CONSOLE_FEATURES, 1ull << 0 | 1ull << 1 | 1ull << 2 | 1ull << 28 | 1ull << 29 |
	                                  1ull << 32 | 1ull << 35);
	assert_same(CONSOLE_CONFIG_FEATURES, 1ull << 0 | 1ull << 1 | 1ull << 2);
}

TEST(the_size_of_the_window_is_columns_then_rows)
{
	static const uint8_t space[] = {0x39, 0x30, 0x50, 0, 1, 0, 0, 0, 0, 0, 0, 0};
	uint8_t bytes[12];

	set_up(0);
	console_set_size(&f.console, 0, 12345, 80);
	console_read_config(&f.console, 0, bytes, sizeof(bytes));
	assert_memory_equal(bytes, space, sizeof(bytes));
	tear_down();
}

/* A write of `len` bytes at `offset` of a space that has `byte` at emerg_wr. */
static bool write_space(uint32_t offset, uint32_t len, uint8_t byte)
{
	uint8_t space[256];

	console_read_config(&f.console, 0, space, 12);
	memset(space + 12, 0, sizeof(space) - 12);
	space[8] = byte;
	return console_write_config(&f.console, offset, space + offset, len);
}

TEST(an_emergency_write_is_output_whatever_its_size)
{
	static const struct {
		uint32_t offset, len;
		uint8_t byte;
		bool written;
	} rows[] = {
	    {8, 1, 'x', true},   {8, 2, 'x', true}, {8, 4, 'x', true},  {0, 12, 'x', true},
	    {0, 256, 'x', true}, {4, 5, 'x', true}, {0, 8, 'x', false}, {9, 3, 'x', false},
	    {12, 4, 'x', false}, {8, 4, 0, false},  {0, 12, 0, false},  {255, 1, 'x', false},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		set_up(0);
		if (write_space(rows[i].offset, rows[i].len, rows[i].byte) != rows[i].written)
			fail_msg("offset %u, %u bytes", rows[i].offset, rows[i].len);
		assert_int_equal(byte_ring_used(&f.port.output), rows[i].written);
		if (rows[i].written)
			assert_int_equal(f.output[0], 'x');
		tear_down();
	}
}

/* Nothing of a data port's output is lost for it: it comes when there is room. */
TEST(an_emergency_write_to_a_full_data_port_waits)
{
	struct byte_ring_state positions = {0};
	struct byte_ring spill;
	uint8_t memory[2], got[4], bytes[] = {'a'};

	set_up(0);
	byte_ring_init(&spill, &positions, memory, sizeof(memory));
	console_unplug(&f.console, 0);
	console_plug(&f.console, 0, &f.port, &spill, NULL);
	f.reclaimable = 0;
	f.room_until = 0;
	assert_true(console_write_config(&f.console, 8, bytes, 1));
	/* The backend pumps when there is room. */
	assert_int_equal(f.wanted, 1);
	bytes[0] = 'b';
	assert_true(console_write_config(&f.console, 8, bytes, 1));
	assert_false(console_write_config(&f.console, 8, bytes, 1));
	assert_int_equal(byte_ring_used(&f.port.output), 0);
	f.reclaimable = SIZE_MAX;
	f.room_until = UINT64_MAX;
	bytes[0] = 'c';
	assert_true(console_write_config(&f.console, 8, bytes, 1));
	assert_int_equal(byte_ring_get(&f.port.output, got, sizeof(got)), 3);
	assert_memory_equal(got, "abc", 3);
	tear_down();
}

/* QEMU's generic device writes the whole space for each byte, with an old emerg_wr in it. */
TEST(an_old_emergency_write_is_not_repeated_with_another_field)
{
	uint8_t space[12] = {0};

	set_up(0);
	assert_true(write_space(0, 12, 'x'));
	memcpy(space, (uint8_t[]){0x50, 0, 0, 0, 1, 0, 0, 0, 'x', 0, 0, 0}, sizeof(space));
	assert_false(console_write_config(&f.console, 0, space, sizeof(space)));
	/* The same byte once more, with nothing else changed, is one more. */
	assert_true(console_write_config(&f.console, 0, space, sizeof(space)));
	assert_int_equal(byte_ring_used(&f.port.output), 2);
	/* It reads as zero. */
	console_read_config(&f.console, 0, space, sizeof(space));
	assert_int_equal(space[8], 0);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(input_goes_into_the_next_buffer_and_no_byte_more),
	    UNIT(one_burst_fills_several_buffers_with_one_call),
	    UNIT(a_chain_is_filled_descriptor_by_descriptor),
	    UNIT(input_across_the_end_of_its_ring_stays_in_order),
	    UNIT(input_without_buffers_waits_for_the_kick),
	    UNIT(without_input_buffers_stay_where_they_are_and_kicks_are_off),
	    UNIT(buffers_without_room_come_back_empty_and_lose_nothing),
	    UNIT(a_pump_takes_at_most_its_descriptors_and_says_that_there_is_more),
	    UNIT(crumbs_do_not_escape_the_budget_of_descriptors),
	    UNIT(a_bad_buffer_breaks_the_queue_after_those_before_it),
	    UNIT(there_is_nothing_to_settle_on_the_way_in),
	    UNIT(virtqueues_beyond_the_ports_do_nothing),
	    UNIT(the_configuration_space_can_be_read_at_every_offset_and_size),
	    UNIT(all_that_a_console_can_be_is_offered),
	    UNIT(the_size_of_the_window_is_columns_then_rows),
	    UNIT(an_emergency_write_is_output_whatever_its_size),
	    UNIT(an_emergency_write_to_a_full_data_port_waits),
	    UNIT(an_old_emergency_write_is_not_repeated_with_another_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
