/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the end of a port's output: output_finish() waits for every reader that still takes what is
 * left, gives up on the others, and says so once.
 */
#include "unit.h"

#include "output_fixture.h"

static void on_finished(struct output *output)
{
	(void)output;
	f.finished++;
}

TEST(finishing_without_readers_ends_later_than_its_call)
{
	set_up();
	write_bytes(10);
	output_finish(&f.output, on_finished);
	assert_int_equal(f.finished, 0);
	turn_until(f.loop, f.finished);
	let_pass(3 * OUTPUT_PATIENCE_MS);
	assert_int_equal(f.finished, 1);
	tear_down();
}

TEST(finishing_waits_for_every_reader)
{
	set_up();
	join(&f.a);
	join(&f.b);
	write_bytes(10);
	output_finish(&f.output, on_finished);
	assert_int_equal(f.a.wakes, 1);
	let_pass(2 * OUTPUT_PATIENCE_MS);
	read_bytes(&f.a, 10);
	let_pass(2 * OUTPUT_PATIENCE_MS);
	assert_int_equal(f.finished, 0);
	read_bytes(&f.b, 10);
	turn_until(f.loop, f.finished);
	leave(&f.a);
	leave(&f.b);
	tear_down();
}

TEST(finishing_waits_for_what_a_reader_has_buffered)
{
	set_up();
	join(&f.a);
	write_bytes(10);
	reader_taken(&f.a.reader, 10);
	output_finish(&f.output, on_finished);
	let_pass(3 * OUTPUT_PATIENCE_MS);
	assert_int_equal(f.finished, 0);
	reader_delivered(&f.a.reader, false);
	let_pass(3 * OUTPUT_PATIENCE_MS);
	assert_int_equal(f.finished, 0);
	reader_delivered(&f.a.reader, true);
	turn_until(f.loop, f.finished);
	leave(&f.a);
	tear_down();
}

/* A slow one that lags but reads on is still one that takes what is left. */
TEST(finishing_waits_for_a_lagging_reader_that_makes_progress)
{
	set_up();
	join(&f.a);
	write_bytes(SIZE);
	assert_room(0);
	wait_until_lagging(&f.a);
	output_finish(&f.output, on_finished);
	for (size_t i = 0; i < SIZE; i++) {
		let_pass(2);
		if (f.finished)
			fail_msg("finished with %zu bytes left", SIZE - i);
		read_bytes(&f.a, 1);
	}
	turn_until(f.loop, f.finished);
	leave(&f.a);
	tear_down();
}

TEST(finishing_gives_up_on_who_makes_no_progress)
{
	uint64_t began;

	set_up();
	turn_some(f.loop);
	join(&f.a);
	write_bytes(10);
	began = loop_now_ms(f.loop);
	output_finish(&f.output, on_finished);
	turn_until(f.loop, f.finished);
	assert_true(loop_now_ms(f.loop) - began >= OUTPUT_FINISH_MS);
	leave(&f.a);
	tear_down();
}

/* Not even who takes a byte now and then keeps the process for ever. */
TEST(finishing_has_an_end)
{
	uint64_t began;

	set_up();
	turn_some(f.loop);
	join(&f.a);
	write_bytes(SIZE);
	began = loop_now_ms(f.loop);
	output_finish(&f.output, on_finished);
	while (!f.finished) {
		let_pass(OUTPUT_FINISH_MS / 2);
		write_bytes(1);
		reader_take_gap(&f.a.reader);
		read_bytes(&f.a, 1);
		assert_true(loop_now_ms(f.loop) - began < 3 * OUTPUT_FINISH_TOTAL_MS);
	}
	assert_true(loop_now_ms(f.loop) - began >= OUTPUT_FINISH_TOTAL_MS);
	leave(&f.a);
	tear_down();
}

TEST(finishing_can_be_taken_back)
{
	set_up();
	assert_false(output_cancel_finish(&f.output));
	join(&f.a);
	write_bytes(10);
	output_finish(&f.output, on_finished);
	assert_true(output_cancel_finish(&f.output));
	assert_false(output_cancel_finish(&f.output));
	read_bytes(&f.a, 10);
	let_pass(3 * OUTPUT_PATIENCE_MS);
	assert_int_equal(f.finished, 0);
	leave(&f.a);
	tear_down();
}

TEST(a_held_device_does_not_keep_the_end_waiting)
{
	set_up();
	join(&f.a);
	write_bytes(SIZE);
	assert_room(0);
	output_finish(&f.output, on_finished);
	read_bytes(&f.a, SIZE);
	turn_until(f.loop, f.finished);
	leave(&f.a);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(finishing_without_readers_ends_later_than_its_call),
	    UNIT(finishing_waits_for_every_reader),
	    UNIT(finishing_waits_for_what_a_reader_has_buffered),
	    UNIT(finishing_waits_for_a_lagging_reader_that_makes_progress),
	    UNIT(finishing_gives_up_on_who_makes_no_progress),
	    UNIT(finishing_has_an_end),
	    UNIT(finishing_can_be_taken_back),
	    UNIT(a_held_device_does_not_keep_the_end_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
