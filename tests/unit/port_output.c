/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds a port's way out (virtio 1.3, 5.3.6): every byte once and in order, buffers back as soon as
 * they are copied, held where the backend has no room, in bounded pieces whatever the driver does.
 */
#include "unit.h"

#include "port_fixture.h"

#include <string.h>

#define EVENT_IDX 1ull << 29
#define INDIRECT  1ull << 28

static struct port_fixture f;

static void set_up(uint64_t features)
{
	port_fixture_init(&f, 64, PORT_OUTPUT_BYTES, features);
}

static void tear_down(void)
{
	port_fixture_deinit(&f);
}

/* As long as the queue isn't empty when kicks are asked for; what came of all of it. */
static struct port_outcome pump(void)
{
	struct port_outcome all = {0}, one;

	do {
		one = console_pump(&f.console, 1);
		all.call |= one.call;
		all.moved |= one.moved;
		all.again = one.again;
	} while (one.empty && console_rest(&f.console, 1));
	return all;
}

static void assert_outcome(struct port_outcome outcome, bool call, bool again, bool moved)
{
	assert_int_equal(outcome.call, call);
	assert_int_equal(outcome.again, again);
	assert_int_equal(outcome.moved, moved);
}

/* How many buffers came back, each with no byte written. */
static unsigned int harvest(void)
{
	struct driver_used used;
	unsigned int n = 0;

	for (; driver_harvest(&f.transmit, &used); n++)
		assert_int_equal(used.len, 0);
	return n;
}

TEST(nothing_is_nothing)
{
	set_up(0);
	assert_outcome(pump(), false, false, false);
	tear_down();
}

TEST(a_buffer_goes_out_and_comes_back_in_the_same_pump)
{
	set_up(0);
	port_transmit(&f, 0, 100, 0);
	assert_outcome(pump(), true, false, true);
	assert_int_equal(harvest(), 1);
	assert_int_equal(port_take_output(&f, 0), 100);
	assert_outcome(pump(), false, false, false);
	tear_down();
}

TEST(many_buffers_go_out_in_order)
{
	uint64_t pos = 0;

	set_up(EVENT_IDX);
	for (uint32_t i = 0; i < 50; i++) {
		port_transmit(&f, i * 64, i, pos);
		pos += i;
	}
	assert_outcome(pump(), true, false, true);
	assert_int_equal(harvest(), 50);
	assert_int_equal(port_take_output(&f, 0), pos);
	tear_down();
}

TEST(a_call_comes_only_when_the_driver_wants_it)
{
	set_up(0);
	driver_ask_calls(&f.transmit, false);
	port_transmit(&f, 0, 10, 0);
	assert_outcome(pump(), false, false, true);
	driver_ask_calls(&f.transmit, true);
	port_transmit(&f, 0, 10, 10);
	assert_outcome(pump(), true, false, true);
	tear_down();
}

TEST(a_chain_of_all_sorts_goes_out_in_order)
{
	uint64_t crossing;
	uint8_t bytes[64];

	set_up(0);
	crossing = guest_memory_crossing(&f.memory, 64);
	const struct driver_buffer chain[] = {
	    {f.data, 10, false},       {f.data + 100, 0, false}, {crossing, 64, false},
	    {f.data + 200, 30, false}, {f.data + 300, 5, true},
	};

	support_fill_pattern(guest_memory_at(&f.memory, f.data, 10), 10, 0);
	support_fill_pattern(bytes, 64, 10);
	guest_memory_write(&f.memory, crossing, bytes, 64);
	support_fill_pattern(guest_memory_at(&f.memory, f.data + 200, 30), 30, 74);
	assert_true(driver_add(&f.transmit, chain, ROWS(chain), 0));
	driver_publish(&f.transmit);
	assert_outcome(pump(), true, false, true);
	assert_int_equal(port_take_output(&f, 0), 104);
	assert_int_equal(harvest(), 1);
	tear_down();
}

/* A driver mustn't do so, but it isn't worth more than an empty buffer. */
TEST(a_buffer_for_the_device_to_write_is_given_back_empty)
{
	set_up(0);
	driver_add(&f.transmit, &(struct driver_buffer){f.data, 50, true}, 1, 0);
	port_transmit(&f, 100, 10, 0);
	assert_outcome(pump(), true, false, true);
	assert_int_equal(harvest(), 2);
	assert_int_equal(port_take_output(&f, 0), 10);
	tear_down();
}

/* So that hardly ever one is half done when the queue stops. */
TEST(a_chain_is_begun_when_there_is_room_for_all_of_it)
{
	static const uint64_t rooms[] = {0, 1, 50, 99};

	set_up(0);
	port_transmit(&f, 0, 100, 0);
	for (size_t i = 0; i < ROWS(rooms); i++) {
		f.room_until = rooms[i];
		assert_outcome(pump(), false, false, false);
		assert_int_equal(f.wanted, 100);
		assert_int_equal(f.states[1].next_avail, 0xfffe);
	}
	f.room_until = 100;
	assert_outcome(pump(), true, false, true);
	assert_int_equal(harvest(), 1);
	assert_int_equal(port_take_output(&f, 0), 100);
	tear_down();
}

TEST(a_chain_larger_than_the_ring_is_taken_in_pieces)
{
	static const uint64_t rooms[] = {10, 10, 11, 4000, 7000, 9999};
	uint64_t taken = 0;

	set_up(0);
	port_transmit(&f, 0, 10000, 0);
	for (size_t i = 0; i < ROWS(rooms); i++) {
		uint64_t before = byte_ring_head(&f.port.output);

		f.room_until = rooms[i];
		assert_outcome(pump(), false, false, rooms[i] > before);
		assert_int_equal(byte_ring_head(&f.port.output), rooms[i]);
		assert_int_equal(harvest(), 0);
		taken += port_take_output(&f, taken);
	}
	f.room_until = UINT64_MAX;
	assert_outcome(pump(), true, false, true);
	assert_int_equal(harvest(), 1);
	taken += port_take_output(&f, taken);
	assert_int_equal(taken, 10000);
	tear_down();
}

TEST(without_room_nothing_is_lost_and_all_goes_on_when_there_is_some)
{
	set_up(0);
	f.room_until = 0;
	port_transmit(&f, 0, 100, 0);
	port_transmit(&f, 100, 100, 100);
	assert_outcome(pump(), false, false, false);
	assert_outcome(pump(), false, false, false);
	assert_int_equal(harvest(), 0);
	f.room_until = UINT64_MAX;
	assert_outcome(pump(), true, false, true);
	assert_int_equal(harvest(), 2);
	assert_int_equal(port_take_output(&f, 0), 200);
	tear_down();
}

/* The buffers before the one that doesn't fit are back at once: Linux's hvc spins on its own. */
TEST(buffers_before_the_one_that_is_held_come_back)
{
	set_up(0);
	f.room_until = 25;
	for (uint32_t i = 0; i < 5; i++)
		port_transmit(&f, i * 10, 10, i * 10);
	assert_outcome(pump(), true, false, true);
	assert_int_equal(harvest(), 2);
	f.room_until = UINT64_MAX;
	pump();
	assert_int_equal(harvest(), 3);
	assert_int_equal(port_take_output(&f, 0), 50);
	tear_down();
}

TEST(room_in_small_pieces_is_asked_for_again)
{
	set_up(0);
	f.piece = 7;
	port_transmit(&f, 0, 10000, 0);
	assert_outcome(pump(), true, false, true);
	assert_int_equal(harvest(), 1);
	assert_int_equal(port_take_output(&f, 10000 - PORT_OUTPUT_BYTES), PORT_OUTPUT_BYTES);
	assert_in_range(f.asked, 10000 / 7, 10000 / 7 + 2);
	tear_down();
}

TEST(a_backend_that_lets_the_oldest_go_takes_more_than_its_ring)
{
	set_up(0);
	for (uint32_t i = 0; i < 10; i++)
		port_transmit(&f, i * 1000, 1000, i * 1000);
	assert_outcome(pump(), true, false, true);
	assert_int_equal(harvest(), 10);
	assert_int_equal(port_take_output(&f, 10000 - PORT_OUTPUT_BYTES), PORT_OUTPUT_BYTES);
	tear_down();
}

TEST(kicks_are_wanted_when_all_is_done)
{
	static const uint64_t features[] = {0, EVENT_IDX};

	for (size_t i = 0; i < ROWS(features); i++) {
		set_up(features[i]);
		for (unsigned int k = 0; k < 5; k++) {
			pump();
			port_transmit(&f, 0, 10, 0);
			assert_true(driver_wants_kick(&f.transmit));
		}
		tear_down();
	}
}

/* The budget. */

TEST(a_pump_takes_at_most_its_bytes_and_says_that_there_is_more)
{
	unsigned int pumps = 0, back = 0;
	struct port_outcome outcome;

	set_up(0);
	for (uint32_t i = 0; i < 64; i++)
		port_transmit(&f, 0, 20000, 0);
	do {
		uint64_t before = byte_ring_head(&f.port.output);

		outcome = pump();
		back += harvest();
		pumps++;
		assert_true(byte_ring_head(&f.port.output) - before <= PORT_BUDGET_BYTES);
		assert_true(outcome.moved);
	} while (outcome.again);
	assert_int_equal(byte_ring_head(&f.port.output), 64 * 20000);
	assert_int_equal(back, 64);
	assert_int_equal(pumps, (64 * 20000 + PORT_BUDGET_BYTES - 1) / PORT_BUDGET_BYTES);
	tear_down();
}

TEST(a_pump_takes_at_most_its_descriptors_and_says_that_there_is_more)
{
	unsigned int pumps = 0, back = 0;
	struct port_outcome outcome;

	port_fixture_init(&f, 8192, PORT_OUTPUT_BYTES, 0);
	for (uint32_t i = 0; i < 8192; i++)
		port_transmit(&f, 0, i % 2, 0);
	do {
		unsigned int n;

		outcome = pump();
		n = harvest();
		/* A chain counts as one more than it has. */
		assert_in_range(n, 0, PORT_BUDGET_DESCS / 2);
		back += n;
		pumps++;
	} while (outcome.again);
	assert_int_equal(back, 8192);
	assert_in_range(pumps, 4, 5);
	tear_down();
}

/* An indirect table of `count` descriptors, all of the same `len` bytes. */
static void transmit_table(uint32_t count, uint32_t len)
{
	uint64_t table = guest_memory_alloc(&f.memory, 0, 16ull * count, 16);
	struct driver_desc *desc = guest_memory_at(&f.memory, table, 16ull * count);

	for (uint32_t i = 0; i < count; i++)
		driver_write_desc(&desc[i], f.data, len, i + 1 < count ? DRIVER_DESC_NEXT : 0,
		                  (uint16_t)(i + 1));
	driver_write_desc(driver_desc_at(&f.transmit, 0), table, 16 * count, DRIVER_DESC_INDIRECT,
	                  0);
	*driver_avail_entry(&f.transmit, *driver_avail_idx(&f.transmit) % 64) = 0;
	driver_store16(driver_avail_idx(&f.transmit),
	               (uint16_t)(*driver_avail_idx(&f.transmit) + 1));
}

TEST(a_long_chain_does_not_escape_the_budget_of_descriptors)
{
	static const uint32_t lens[] = {1, 0};

	for (size_t i = 0; i < ROWS(lens); i++) {
		struct port_outcome outcome;
		unsigned int pumps = 0;
		uint32_t id, len;

		set_up(INDIRECT);
		transmit_table(32768, lens[i]);
		do {
			uint64_t before = byte_ring_head(&f.port.output);

			outcome = pump();
			pumps++;
			if (byte_ring_head(&f.port.output) - before > PORT_BUDGET_DESCS)
				fail_msg("%llu descriptors in one pump",
				         (unsigned long long)byte_ring_head(&f.port.output));
		} while (outcome.again);
		assert_true(driver_harvest_raw(&f.transmit, &id, &len));
		if (pumps < 32768 / PORT_BUDGET_DESCS)
			fail_msg("32768 descriptors of %u bytes in %u pumps", lens[i], pumps);
		assert_int_equal(byte_ring_head(&f.port.output), 32768 * lens[i]);
		tear_down();
	}
}

/* A buffer counts as often as there are regions that it lies in. */
TEST(crumbs_do_not_escape_the_budget_of_descriptors)
{
	enum { TABLES = 32, IN_TABLE = VIRTQ_BORDERS_MAX / GMEM_REGIONS_MAX };
	struct port_outcome outcome;
	uint32_t crumbs;

	set_up(INDIRECT);
	f.data = port_crumble(&f, &crumbs);
	for (unsigned int i = 0; i < TABLES; i++)
		transmit_table(IN_TABLE, crumbs);
	do {
		uint64_t before = byte_ring_head(&f.port.output);

		outcome = pump();
		assert_in_range(byte_ring_head(&f.port.output) - before, 0,
		                PORT_BUDGET_DESCS + GMEM_REGIONS_MAX);
	} while (outcome.again);
	assert_int_equal(byte_ring_head(&f.port.output), TABLES * IN_TABLE * crumbs);
	tear_down();
}

/* When its queue stops, a chain is worked to its end, whatever that is. */
TEST(a_chain_of_too_many_crumbs_breaks_its_queue)
{
	uint32_t crumbs;

	set_up(INDIRECT);
	f.data = port_crumble(&f, &crumbs);
	transmit_table(1 + VIRTQ_BORDERS_MAX / (crumbs - 1), crumbs);
	while (pump().again)
		;
	assert_non_null(f.vqs[console_transmitq_of(&f.console, 0)].broken);
	tear_down();
}

TEST(a_chain_of_gigabytes_is_worked_in_pieces)
{
	uint64_t before;

	set_up(INDIRECT);
	transmit_table(32768, 1 << 20);
	for (unsigned int i = 0; i < 20; i++) {
		before = byte_ring_head(&f.port.output);
		assert_outcome(pump(), false, true, true);
		assert_in_range(byte_ring_head(&f.port.output) - before, 1, PORT_BUDGET_BYTES);
	}
	tear_down();
}

/* A broken queue. */

TEST(what_comes_before_the_fault_goes_out_and_the_rest_stays)
{
	set_up(0);
	port_transmit(&f, 0, 10, 0);
	driver_add(&f.transmit,
	           (struct driver_buffer[]){{f.data + 500, 10, false},
	                                    {guest_memory_outside(&f.memory, 10), 10, false}},
	           2, 0);
	support_fill_pattern(guest_memory_at(&f.memory, f.data + 500, 10), 10, 10);
	port_transmit(&f, 100, 10, 0);
	assert_outcome(pump(), true, false, true);
	assert_non_null(f.vqs[1].broken);
	assert_int_equal(harvest(), 1);
	/* A chain may be judged before it is begun. */
	assert_in_range(port_take_output(&f, 0), 10, 20);
	console_settle(&f.console, 1);
	assert_int_equal(harvest(), 0);
	assert_int_equal(byte_ring_used(&f.port.output), 0);
	assert_false(f.console_port.port.at_hand);
	tear_down();
}

/* The queue is about to stop or to move. */

static struct port_outcome settle(void)
{
	return console_settle(&f.console, 1);
}

TEST(nothing_in_part_is_nothing_to_settle)
{
	set_up(0);
	assert_outcome(settle(), false, false, false);
	port_transmit(&f, 0, 10, 0);
	assert_outcome(settle(), false, false, false);
	pump();
	assert_outcome(settle(), false, false, false);
	tear_down();
}

/* It is still the driver's next one, wherever the queue goes on. */
TEST(a_chain_that_was_not_begun_stays_where_it_is)
{
	set_up(0);
	f.room_until = 30;
	port_transmit(&f, 0, 100, 0);
	pump();
	assert_outcome(settle(), false, false, false);
	assert_int_equal(harvest(), 0);
	assert_int_equal(f.states[1].next_avail, 0xfffe);
	f.room_until = UINT64_MAX;
	assert_outcome(pump(), true, false, true);
	assert_int_equal(port_take_output(&f, 0), 100);
	tear_down();
}

TEST(a_chain_that_a_budget_cut_is_finished_without_waiting_for_room)
{
	enum { LEN = 400000 };

	port_fixture_init(&f, 64, 1 << 20, 0);
	port_transmit(&f, 0, LEN, 0);
	port_transmit(&f, LEN, 100, LEN);
	assert_outcome(pump(), false, true, true);
	assert_int_equal(harvest(), 0);
	f.room_until = 0;
	assert_outcome(settle(), true, false, true);
	assert_int_equal(harvest(), 1);
	assert_int_equal(port_take_output(&f, 0), LEN);
	assert_outcome(settle(), false, false, false);
	/* The next chain is still to be taken. */
	f.room_until = UINT64_MAX;
	pump();
	assert_int_equal(port_take_output(&f, LEN), 100);
	tear_down();
}

TEST(of_a_chain_larger_than_the_ring_the_newest_is_kept_and_the_rest_counts)
{
	set_up(0);
	f.room_until = 1000;
	port_transmit(&f, 0, 20000, 0);
	pump();
	assert_int_equal(byte_ring_head(&f.port.output), 1000);
	assert_outcome(settle(), true, false, true);
	assert_int_equal(harvest(), 1);
	assert_int_equal(byte_ring_head(&f.port.output), 20000);
	assert_int_equal(port_take_output(&f, 20000 - PORT_OUTPUT_BYTES), PORT_OUTPUT_BYTES);
	tear_down();
}

/* What the system is sending stays as it is. Nothing is written where it may lie. */
TEST(what_is_on_its_way_is_not_touched_by_settling)
{
	static const size_t reclaimable[] = {0, 1, 500, PORT_OUTPUT_BYTES - 1};
	uint8_t before[PORT_OUTPUT_BYTES];

	for (size_t i = 0; i < ROWS(reclaimable); i++) {
		set_up(0);
		f.room_until = PORT_OUTPUT_BYTES;
		port_transmit(&f, 0, 20000, 0);
		pump();
		memcpy(before, f.output, sizeof(before));
		f.reclaimable = reclaimable[i];
		assert_outcome(settle(), true, false, true);
		assert_int_equal(harvest(), 1);
		/* Only `reclaimable` bytes behind the head, which is at the ring's beginning. */
		assert_memory_equal(before + reclaimable[i], f.output + reclaimable[i],
		                    sizeof(before) - reclaimable[i]);
		assert_int_equal(byte_ring_head(&f.port.output), 20000);
		tear_down();
	}
}

TEST(a_hostile_chain_of_gigabytes_is_settled_promptly)
{
	uint32_t id, len;

	set_up(INDIRECT);
	transmit_table(32768, 1 << 20);
	pump();
	assert_true(f.console_port.port.at_hand);
	while (f.console_port.port.needs > 0)
		pump();
	for (unsigned int i = 0; i < 1000; i++)
		settle();
	assert_same(byte_ring_head(&f.port.output), 32768ull << 20);
	assert_int_equal(byte_ring_used(&f.port.output), PORT_OUTPUT_BYTES);
	assert_true(driver_harvest_raw(&f.transmit, &id, &len));
	assert_false(driver_harvest_raw(&f.transmit, &id, &len));
	tear_down();
}

TEST(a_chain_that_turns_out_broken_is_settled_without_being_given_back)
{
	struct driver_buffer chain[] = {{f.data, 10000, false}, {f.data, 10, false}};

	set_up(0);
	chain[0].gpa = chain[1].gpa = f.data;
	driver_add(&f.transmit, chain, 2, 0);
	driver_publish(&f.transmit);
	f.room_until = 5;
	pump();
	/* The driver has second thoughts. */
	driver_write_desc(driver_desc_at(&f.transmit, 1), guest_memory_outside(&f.memory, 10), 10,
	                  0, 0);
	settle();
	assert_non_null(f.vqs[1].broken);
	assert_false(f.console_port.port.at_hand);
	assert_int_equal(harvest(), 0);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(nothing_is_nothing),
	    UNIT(a_buffer_goes_out_and_comes_back_in_the_same_pump),
	    UNIT(many_buffers_go_out_in_order),
	    UNIT(a_call_comes_only_when_the_driver_wants_it),
	    UNIT(a_chain_of_all_sorts_goes_out_in_order),
	    UNIT(a_buffer_for_the_device_to_write_is_given_back_empty),
	    UNIT(a_chain_is_begun_when_there_is_room_for_all_of_it),
	    UNIT(a_chain_larger_than_the_ring_is_taken_in_pieces),
	    UNIT(without_room_nothing_is_lost_and_all_goes_on_when_there_is_some),
	    UNIT(buffers_before_the_one_that_is_held_come_back),
	    UNIT(room_in_small_pieces_is_asked_for_again),
	    UNIT(a_backend_that_lets_the_oldest_go_takes_more_than_its_ring),
	    UNIT(kicks_are_wanted_when_all_is_done),
	    UNIT(a_pump_takes_at_most_its_bytes_and_says_that_there_is_more),
	    UNIT(a_pump_takes_at_most_its_descriptors_and_says_that_there_is_more),
	    UNIT(a_long_chain_does_not_escape_the_budget_of_descriptors),
	    UNIT(crumbs_do_not_escape_the_budget_of_descriptors),
	    UNIT(a_chain_of_too_many_crumbs_breaks_its_queue),
	    UNIT(a_chain_of_gigabytes_is_worked_in_pieces),
	    UNIT(what_comes_before_the_fault_goes_out_and_the_rest_stays),
	    UNIT(nothing_in_part_is_nothing_to_settle),
	    UNIT(a_chain_that_was_not_begun_stays_where_it_is),
	    UNIT(a_chain_that_a_budget_cut_is_finished_without_waiting_for_room),
	    UNIT(of_a_chain_larger_than_the_ring_the_newest_is_kept_and_the_rest_counts),
	    UNIT(what_is_on_its_way_is_not_touched_by_settling),
	    UNIT(a_hostile_chain_of_gigabytes_is_settled_promptly),
	    UNIT(a_chain_that_turns_out_broken_is_settled_without_being_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
