/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the policy of a full output ring (design, section 5), which stands in output.c: who can be
 * sent something holds the device and loses nothing, who can't for OUTPUT_PATIENCE_MS lags and
 * never holds it until it has caught up; without readers the oldest bytes go.
 *
 * Time is the loop's: it stands still between turns. Judged is the order of events, not how long
 * they took.
 */
#include "unit.h"

#include "output_fixture.h"

#include <stdio.h>
#include <string.h>

TEST(without_readers_there_is_always_room)
{
	set_up();
	assert_room(SIZE);
	write_bytes(10);
	assert_room(SIZE);
	write_bytes(10 * SIZE);
	assert_room(SIZE);
	assert_int_equal(f.output.wanted, 0);
	tear_down();
}

TEST(a_reader_leaves_the_room_of_what_it_has_read)
{
	set_up();
	join(&f.a);
	assert_room(SIZE);
	for (size_t i = 1; i < SIZE; i++) {
		write_bytes(1);
		assert_room(SIZE - i);
	}
	read_bytes(&f.a, 10);
	assert_room(11);
	read_bytes(&f.a, SIZE - 1 - 10);
	assert_room(SIZE);
	leave(&f.a);
	tear_down();
}

TEST(the_slowest_reader_counts)
{
	set_up();
	join(&f.a);
	join(&f.b);
	write_bytes(40);
	read_bytes(&f.a, 40);
	assert_room(SIZE - 40);
	read_bytes(&f.b, 15);
	assert_room(SIZE - 25);
	leave(&f.b);
	assert_room(SIZE);
	leave(&f.a);
	tear_down();
}

TEST(a_held_device_is_told_as_soon_as_there_is_room)
{
	set_up();
	join(&f.a);
	write_bytes(SIZE);
	assert_room(0);
	assert_room(0);
	assert_int_equal(f.pumps, 0);
	read_bytes(&f.a, 0);
	assert_int_equal(f.pumps, 0);
	read_bytes(&f.a, 5);
	assert_int_equal(f.pumps, 1);
	assert_room(5);
	read_bytes(&f.a, 5);
	assert_int_equal(f.pumps, 1);
	leave(&f.a);
	tear_down();
}

TEST(a_device_that_wants_more_waits_until_there_is_so_much)
{
	set_up();
	join(&f.a);
	write_bytes(SIZE - 10);
	assert_int_equal(f.output.port.room(&f.output.port, 10), 10);
	assert_int_equal(f.output.wanted, 0);
	assert_int_equal(f.output.port.room(&f.output.port, 30), 10);
	read_bytes(&f.a, 19);
	assert_int_equal(f.pumps, 0);
	read_bytes(&f.a, 1);
	assert_int_equal(f.pumps, 1);
	assert_int_equal(f.output.port.room(&f.output.port, 30), 30);
	leave(&f.a);
	tear_down();
}

TEST(who_cannot_be_sent_anything_lags_after_the_patience_and_not_before)
{
	uint64_t held_at;

	set_up();
	turn_some(f.loop);
	join(&f.a);
	write_bytes(SIZE);
	assert_room(0);
	block(&f.a);
	held_at = loop_now_ms(f.loop);
	turn_until(f.loop, f.a.reader.lagging || f.pumps);
	assert_true(f.a.reader.lagging);
	assert_int_equal(f.pumps, 1);
	assert_true(loop_now_ms(f.loop) - held_at >= OUTPUT_PATIENCE_MS);
	assert_room(SIZE);
	leave(&f.a);
	tear_down();
}

/* If only this process has been slow, nobody is to blame. */
TEST(who_can_be_sent_something_does_not_lag_however_long_it_takes)
{
	set_up();
	join(&f.a);
	write_bytes(SIZE);
	assert_room(0);
	let_pass(5 * OUTPUT_PATIENCE_MS);
	assert_false(f.a.reader.lagging);
	assert_room(0);
	read_bytes(&f.a, 1);
	assert_int_equal(f.pumps, 1);
	leave(&f.a);
	tear_down();
}

TEST(a_patient_reader_never_lags)
{
	set_up();
	join(&f.a);
	f.a.reader.patient = true;
	write_bytes(SIZE);
	assert_room(0);
	block(&f.a);
	let_pass(5 * OUTPUT_PATIENCE_MS);
	assert_false(f.a.reader.lagging);
	assert_int_equal(f.pumps, 0);
	leave(&f.a);
	tear_down();
}

/* A byte a turn is progress: a client at any speed loses nothing while it reads. */
TEST(who_makes_progress_never_lags_however_slow)
{
	uint64_t until;

	set_up();
	join(&f.a);
	f.greedy = true;
	fill();
	until = loop_now_ms(f.loop) + 10 * OUTPUT_PATIENCE_MS;
	while (loop_now_ms(f.loop) < until) {
		uint64_t before = loop_now_ms(f.loop);

		block(&f.a);
		turning_step(f.loop, UINT64_MAX, "");
		/* Only if the machine stood still for all of the patience. */
		if (f.a.reader.lagging) {
			assert_true(loop_now_ms(f.loop) - before >= OUTPUT_PATIENCE_MS);
			break;
		}
		assert_int_equal(reader_take_gap(&f.a.reader), 0);
		read_bytes(&f.a, 1);
	}
	f.greedy = false;
	leave(&f.a);
	tear_down();
}

static uint64_t queued_now, queued_step;

/* The peer takes something between two looks, as long as there is a step. */
static uint64_t queued(struct reader *reader)
{
	(void)reader;
	return queued_now -= queued_step;
}

/* A socket that holds much has no room for long, though its peer reads all the time. */
TEST(what_the_peer_takes_of_what_was_sent_is_progress)
{
	set_up();
	join(&f.a);
	f.a.reader.queued = queued;
	queued_now = 1000000;
	queued_step = 1;
	write_bytes(SIZE);
	assert_room(0);
	block(&f.a);
	let_pass(10 * OUTPUT_PATIENCE_MS);
	assert_false(f.a.reader.lagging);
	queued_step = 0;
	turn_until(f.loop, f.a.reader.lagging);
	leave(&f.a);
	tear_down();
}

TEST(a_lagging_reader_never_holds_until_it_has_caught_up)
{
	set_up();
	join(&f.a);
	write_bytes(SIZE);
	assert_room(0);
	wait_until_lagging(&f.a);
	assert_room(SIZE);
	write_bytes(SIZE);
	assert_room(SIZE);
	/* Progress alone isn't enough. */
	assert_int_equal(reader_take_gap(&f.a.reader), SIZE);
	read_bytes(&f.a, SIZE - 1);
	assert_true(f.a.reader.lagging);
	assert_room(SIZE);
	read_bytes(&f.a, 1);
	assert_false(f.a.reader.lagging);
	write_bytes(SIZE);
	assert_room(0);
	leave(&f.a);
	tear_down();
}

/* It reads as fast as others again, and is only behind. */
TEST(who_has_taken_as_much_as_the_ring_holds_without_a_stop_is_waited_for_again)
{
	size_t taken = 0;

	set_up();
	join(&f.a);
	write_bytes(SIZE);
	assert_room(0);
	wait_until_lagging(&f.a);
	reader_set_blocked(&f.a.reader, false);
	/* The first piece ends the stop; from then on it counts. */
	read_bytes(&f.a, 1);
	for (; f.a.reader.lagging && taken < 3 * SIZE; taken += 8) {
		write_bytes(8);
		reader_take_gap(&f.a.reader);
		read_bytes(&f.a, 8);
		/* It is never at the end: that isn't it. */
		assert_true(reader_pending(&f.a.reader));
	}
	assert_in_range(taken, SIZE - 8, SIZE + 8);
	assert_false(f.a.reader.lagging);
	leave(&f.a);
	tear_down();
}

TEST(a_lagging_reader_does_not_cost_another_one_a_byte)
{
	set_up();
	join(&f.a);
	join(&f.b);
	write_bytes(SIZE);
	read_bytes(&f.b, 20);
	assert_room(0);
	wait_until_lagging(&f.a);
	assert_room(20);
	read_bytes(&f.b, SIZE - 20);
	assert_room(SIZE);
	write_bytes(30);
	assert_room(SIZE - 30);
	assert_int_equal(reader_take_gap(&f.b.reader), 0);
	leave(&f.a);
	leave(&f.b);
	tear_down();
}

TEST(patience_counts_from_the_last_progress_of_each)
{
	set_up();
	join(&f.a);
	join(&f.b);
	write_bytes(SIZE);
	assert_room(0);
	block(&f.a);
	block(&f.b);
	/* b goes on until a lags; then b's patience has only begun. */
	while (!f.a.reader.lagging) {
		uint64_t before = loop_now_ms(f.loop);

		turning_step(f.loop, before + support_deadline_ms(), "a lags");
		/* Unless the machine stood still for all of b's patience. */
		if (loop_now_ms(f.loop) - before < OUTPUT_PATIENCE_MS)
			assert_false(f.b.reader.lagging);
		if (reader_pending(&f.b.reader))
			read_bytes(&f.b, 1);
		reader_set_blocked(&f.b.reader, reader_pending(&f.b.reader));
	}
	leave(&f.a);
	leave(&f.b);
	tear_down();
}

TEST(who_has_read_all_is_never_lagging)
{
	set_up();
	join(&f.a);
	join(&f.b);
	write_bytes(SIZE);
	read_bytes(&f.b, SIZE);
	assert_room(0);
	wait_until_lagging(&f.a);
	assert_false(f.b.reader.lagging);
	leave(&f.a);
	leave(&f.b);
	tear_down();
}

/* What the kernel is sending must stay where it is, whoever sends it. */
TEST(bytes_on_their_way_are_reserved)
{
	set_up();
	join(&f.a);
	write_bytes(SIZE);
	assert_room(0);
	wait_until_lagging(&f.a);
	f.pumps = 0;
	write_bytes(16);
	assert_int_equal(reader_take_gap(&f.a.reader), 16);
	reader_sending(&f.a.reader);
	assert_room(0);
	/* No patience with that: it isn't the client that is waited for. */
	let_pass(3 * OUTPUT_PATIENCE_MS);
	assert_room(0);
	assert_int_equal(f.pumps, 0);
	reader_sent(&f.a.reader, 8);
	assert_int_equal(f.pumps, 1);
	assert_room(SIZE);
	leave(&f.a);
	tear_down();
}

TEST(what_may_be_reclaimed_is_all_but_the_bytes_on_their_way)
{
	set_up();
	join(&f.a);
	write_bytes(SIZE);
	assert_int_equal(f.output.port.reclaim(&f.output.port), SIZE);
	read_bytes(&f.a, 20);
	reader_sending(&f.a.reader);
	assert_int_equal(f.output.port.reclaim(&f.output.port), 20);
	reader_sent(&f.a.reader, 10);
	assert_int_equal(f.output.port.reclaim(&f.output.port), SIZE);
	leave(&f.a);
	tear_down();
}

/* The ring goes on while a send is on its way: what was sent wasn't missed. */
TEST(what_is_sent_while_it_is_overtaken_counts_as_sent)
{
	static const struct {
		size_t sent, missed;
	} rows[] = {{0, 40}, {1, 39}, {39, 1}, {40, 0}, {50, 0}, {SIZE, 0}};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uint64_t told;

		set_up();
		join(&f.a);
		write_bytes(SIZE);
		reader_sending(&f.a.reader);
		write_bytes(40);
		output_wake(&f.output);
		reader_sent(&f.a.reader, rows[i].sent);
		told = reader_take_gap(&f.a.reader);
		assert_int_equal(told, rows[i].missed);
		assert_int_equal(f.a.reader.pos, rows[i].sent + told);
		leave(&f.a);
		tear_down();
	}
}

TEST(an_abandoned_reader_holds_only_what_is_on_its_way)
{
	set_up();
	join(&f.a);
	write_bytes(SIZE);
	reader_sending(&f.a.reader);
	assert_room(0);
	reader_abandon(&f.a.reader);
	assert_int_equal(f.pumps, 0);
	assert_room(0);
	reader_sent(&f.a.reader, 0);
	assert_int_equal(f.pumps, 1);
	assert_room(SIZE);
	leave(&f.a);
	tear_down();
}

TEST(a_reader_that_leaves_releases_the_device)
{
	set_up();
	join(&f.a);
	write_bytes(SIZE);
	assert_room(0);
	leave(&f.a);
	assert_int_equal(f.pumps, 1);
	assert_room(SIZE);
	tear_down();
}

/* A late client: it is sent what is kept and told of the rest. */
TEST(a_late_reader_holds_the_device_like_any_other)
{
	static const struct {
		size_t written, room;
	} rows[] = {
	    {0, SIZE}, {10, SIZE - 10}, {SIZE, 0}, {SIZE + 1, 0}, {2 * SIZE, 0}, {1000 * SIZE, 0},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t room, kept = MIN(rows[i].written, SIZE);
		struct iovec spans[2];

		set_up();
		write_bytes(rows[i].written);
		join(&f.a);
		room = f.output.port.room(&f.output.port, 1);
		if (room != rows[i].room)
			fail_msg("%zu bytes written before: room for %zu", rows[i].written, room);
		assert_int_equal(reader_take_gap(&f.a.reader), rows[i].written - kept);
		reader_spans(&f.a.reader, SIZE, spans);
		read_bytes(&f.a, kept);
		assert_room(SIZE);
		leave(&f.a);
		tear_down();
	}
}

TEST(the_patience_does_not_wake_anybody_when_nobody_is_held)
{
	uint64_t before;

	set_up();
	join(&f.a);
	write_bytes(SIZE);
	assert_room(0);
	read_bytes(&f.a, SIZE);
	turn_until(f.loop, !f.output.patience.op.armed);
	before = loop_completions(f.loop);
	let_pass(3 * OUTPUT_PATIENCE_MS);
	assert_int_equal(loop_completions(f.loop), before);
	leave(&f.a);
	tear_down();
}

TEST(readers_are_woken_when_there_is_something_to_read)
{
	set_up();
	join(&f.a);
	join(&f.b);
	output_wake(&f.output);
	assert_int_equal(f.a.wakes + f.b.wakes, 0);
	write_bytes(4);
	read_bytes(&f.b, 4);
	output_wake(&f.output);
	assert_int_equal(f.a.wakes, 1);
	assert_int_equal(f.b.wakes, 0);
	leave(&f.a);
	leave(&f.b);
	tear_down();
}

TEST(a_gap_is_told_in_one_line)
{
	static const uint64_t gaps[] = {1, 12345, UINT64_MAX};

	for (size_t i = 0; i < ROWS(gaps); i++) {
		char line[READER_GAP_LINE_MAX], expected[READER_GAP_LINE_MAX];
		size_t len = reader_gap_line(line, gaps[i]);

		snprintf(expected, sizeof(expected),
		         "\r\n[vhost-user-console: %llu bytes skipped]\r\n",
		         (unsigned long long)gaps[i]);
		assert_int_equal(len, strlen(expected));
		assert_memory_equal(line, expected, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(without_readers_there_is_always_room),
	    UNIT(a_reader_leaves_the_room_of_what_it_has_read),
	    UNIT(the_slowest_reader_counts),
	    UNIT(a_held_device_is_told_as_soon_as_there_is_room),
	    UNIT(a_device_that_wants_more_waits_until_there_is_so_much),
	    UNIT(who_cannot_be_sent_anything_lags_after_the_patience_and_not_before),
	    UNIT(who_can_be_sent_something_does_not_lag_however_long_it_takes),
	    UNIT(a_patient_reader_never_lags),
	    UNIT(who_makes_progress_never_lags_however_slow),
	    UNIT(what_the_peer_takes_of_what_was_sent_is_progress),
	    UNIT(a_lagging_reader_never_holds_until_it_has_caught_up),
	    UNIT(who_has_taken_as_much_as_the_ring_holds_without_a_stop_is_waited_for_again),
	    UNIT(a_lagging_reader_does_not_cost_another_one_a_byte),
	    UNIT(patience_counts_from_the_last_progress_of_each),
	    UNIT(who_has_read_all_is_never_lagging),
	    UNIT(bytes_on_their_way_are_reserved),
	    UNIT(what_may_be_reclaimed_is_all_but_the_bytes_on_their_way),
	    UNIT(what_is_sent_while_it_is_overtaken_counts_as_sent),
	    UNIT(an_abandoned_reader_holds_only_what_is_on_its_way),
	    UNIT(a_reader_that_leaves_releases_the_device),
	    UNIT(a_late_reader_holds_the_device_like_any_other),
	    UNIT(the_patience_does_not_wake_anybody_when_nobody_is_held),
	    UNIT(readers_are_woken_when_there_is_something_to_read),
	    UNIT(a_gap_is_told_in_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
