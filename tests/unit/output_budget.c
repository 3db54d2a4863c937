/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds how slow a reader may make the guest: what it takes lets it hold the device up for so long
 * as that takes at OUTPUT_PACE, and what it hasn't used of that is bounded; beyond that it lags.
 *
 * The loop isn't turned: its time is what the test says.
 */
#include "unit.h"

#include "loop/loop_impl.h"
#include "output_fixture.h"

enum {
	RING = 64 * 1024,
	LARGE_RING = 1 << 20,
	STEP_MS = 8, /* within OUTPUT_PATIENCE_MS, and a reader's pace in it: */
	AT_PACE = STEP_MS * OUTPUT_PACE,
};

static uint8_t kept[LARGE_RING];

static void set_up_ring(size_t size)
{
	set_up();
	byte_ring_init(&f.output.port.output, &f.state, kept, size);
	output_init(&f.output, &f.scope.scope);
	join(&f.a);
}

/* The reader takes as much as the ring holds without holding anybody up. */
static void take_a_ring(struct test_reader *r)
{
	size_t size = f.output.port.output.size;

	for (size_t len = 0; len < size; len += SIZE) {
		write_bytes(SIZE);
		read_bytes(r, SIZE);
	}
}

/* The device waits for the reader, which can't be sent anything for STEP_MS and takes `len` then.
 */
static void hold(struct test_reader *r, size_t len)
{
	assert_room(0);
	block(r);
	f.loop->now_ms += STEP_MS;
	reader_set_blocked(&r->reader, false);
	if (len > 0)
		read_bytes(r, len);
	write_bytes(len);
}

/* For how many ms the reader holds the device up until it lags, if it takes `len` each STEP_MS. */
static uint64_t held_until_it_lags(struct test_reader *r, size_t len)
{
	uint64_t ms = 0;

	for (write_bytes(f.output.port.output.size); !r->reader.lagging; ms += STEP_MS) {
		assert_in_range(ms, 0, 1000000);
		hold(r, len);
	}
	return ms;
}

TEST(who_keeps_the_pace_is_waited_for_for_ever)
{
	set_up_ring(RING);
	write_bytes(RING);
	for (unsigned int i = 0; i < 10000; i++)
		hold(&f.a, AT_PACE);
	assert_false(f.a.reader.lagging);
	leave(&f.a);
	tear_down();
}

TEST(who_does_not_keep_it_has_a_ring_of_time)
{
	uint64_t ms;

	set_up_ring(RING);
	take_a_ring(&f.a);
	take_a_ring(&f.a);
	ms = held_until_it_lags(&f.a, AT_PACE / 4);
	/* A quarter of it is paid by what it takes meanwhile. */
	assert_in_range(ms * 3 / 4, RING / OUTPUT_PACE - STEP_MS, RING / OUTPUT_PACE + STEP_MS);
	/* Nothing holds the device from now on. */
	assert_room(RING);
	leave(&f.a);
	tear_down();
}

TEST(a_large_ring_is_no_more_than_a_second)
{
	uint64_t ms;

	set_up_ring(LARGE_RING);
	take_a_ring(&f.a);
	ms = held_until_it_lags(&f.a, 0);
	assert_in_range(ms, 1000 - STEP_MS, 1000 + STEP_MS);
	leave(&f.a);
	tear_down();
}

/* Else one that comes again and again could hold the device for ever. */
TEST(who_has_just_come_has_no_more_than_the_patience)
{
	set_up_ring(RING);
	assert_in_range(held_until_it_lags(&f.a, 1), OUTPUT_PATIENCE_MS, 2 * STEP_MS);
	leave(&f.a);
	tear_down();
}

TEST(only_those_are_charged_that_hold_the_device)
{
	set_up_ring(RING);
	join(&f.b);
	take_a_ring(&f.a);
	f.a.reader.budget = RING;
	write_bytes(RING);
	reader_take_gap(&f.b.reader);
	read_bytes(&f.b, RING / 2);
	block(&f.b);
	for (unsigned int ms = 0; ms < RING / OUTPUT_PACE; ms += STEP_MS)
		hold(&f.a, 0);
	assert_true(f.a.reader.lagging);
	reader_set_blocked(&f.b.reader, false);
	assert_false(f.b.reader.lagging);
	leave(&f.a);
	leave(&f.b);
	tear_down();
}

TEST(who_can_be_sent_something_is_not_charged)
{
	set_up_ring(RING);
	write_bytes(RING);
	assert_room(0);
	f.loop->now_ms += 1000000;
	reader_set_blocked(&f.a.reader, false);
	assert_false(f.a.reader.lagging);
	leave(&f.a);
	tear_down();
}

/* Nor one that was blocked while nobody waited for it. */
TEST(time_in_which_the_device_does_not_wait_is_not_charged)
{
	set_up_ring(RING);
	write_bytes(RING);
	block(&f.a);
	f.loop->now_ms += 1000000;
	assert_room(0);
	reader_set_blocked(&f.a.reader, false);
	assert_false(f.a.reader.lagging);
	leave(&f.a);
	tear_down();
}

static uint64_t in_socket;

static uint64_t queued(struct reader *reader)
{
	(void)reader;
	return in_socket;
}

/* A socket has room only when much of it has been taken: that counts as it is taken, and once. */
TEST(what_the_peer_takes_counts_before_there_is_room_and_not_again_then)
{
	enum { STEPS = 100 };

	set_up_ring(RING);
	f.a.reader.queued = queued;
	in_socket = STEPS * AT_PACE;
	write_bytes(RING);
	assert_room(0);
	block(&f.a);
	for (unsigned int i = 0; i < STEPS; i++) {
		f.loop->now_ms += STEP_MS;
		in_socket -= AT_PACE;
		block(&f.a);
		assert_false(f.a.reader.lagging);
	}
	assert_int_equal(f.a.reader.budget, OUTPUT_PATIENCE_MS * OUTPUT_PACE);
	read_bytes(&f.a, RING);
	assert_int_equal(f.a.reader.budget, OUTPUT_PATIENCE_MS * OUTPUT_PACE);
	leave(&f.a);
	tear_down();
}

/* A piece each STEP_MS, until it has taken two rings; it is never at the end. */
static void take_two_rings(size_t piece)
{
	for (size_t taken = 0; taken < 2 * RING && f.a.reader.lagging; taken += piece) {
		f.loop->now_ms += STEP_MS;
		write_bytes(RING);
		reader_take_gap(&f.a.reader);
		read_bytes(&f.a, piece);
	}
}

TEST(who_lags_is_waited_for_again_when_it_keeps_the_pace)
{
	set_up_ring(RING);
	held_until_it_lags(&f.a, 1);
	take_two_rings(AT_PACE / 4);
	assert_true(f.a.reader.lagging);
	take_two_rings(2 * AT_PACE);
	assert_false(f.a.reader.lagging);
	leave(&f.a);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(who_keeps_the_pace_is_waited_for_for_ever),
	    UNIT(who_does_not_keep_it_has_a_ring_of_time),
	    UNIT(a_large_ring_is_no_more_than_a_second),
	    UNIT(who_has_just_come_has_no_more_than_the_patience),
	    UNIT(only_those_are_charged_that_hold_the_device),
	    UNIT(who_can_be_sent_something_is_not_charged),
	    UNIT(time_in_which_the_device_does_not_wait_is_not_charged),
	    UNIT(what_the_peer_takes_counts_before_there_is_room_and_not_again_then),
	    UNIT(who_lags_is_waited_for_again_when_it_keeps_the_pace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
