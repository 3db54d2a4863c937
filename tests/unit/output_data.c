/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what output.c does for data ports beyond what console ports need: who is patient is waited
 * for, and that costs nothing; what one has got the next one doesn't get again.
 */
#include "unit.h"

#include "output_fixture.h"

/* A log that has all of it isn't judged again and again while the port's client is slow. */
TEST(a_device_that_waits_for_a_patient_reader_costs_nothing)
{
	uint64_t before;

	set_up();
	f.output.port.data = true;
	join(&f.a);
	reader_make_patient(&f.a.reader);
	join(&f.b);
	write_bytes(SIZE);
	read_bytes(&f.b, SIZE);
	block(&f.a);
	assert_room(0);
	turn_until(f.loop, !f.output.patience.op.armed);
	before = loop_completions(f.loop);
	turn_some(f.loop);
	assert_int_equal(loop_completions(f.loop), before);
	assert_int_equal(f.output.wanted, 1);
	read_bytes(&f.a, SIZE);
	assert_int_equal(f.pumps, 1);
	leave(&f.b);
	leave(&f.a);
	tear_down();
}

static void join_patient(struct test_reader *r)
{
	join(r);
	reader_make_patient(&r->reader);
}

static void expect_left(struct test_reader *r, size_t len)
{
	struct iovec spans[2];
	size_t left = 0;

	for (unsigned int i = 0, n = reader_spans(&r->reader, SIZE, spans); i < n; i++)
		left += spans[i].iov_len;
	assert_int_equal(left, len);
}

/* One that takes another's place while that is still being sent something gets none of it twice. */
TEST(a_reader_begins_behind_what_is_on_its_way_to_the_one_before)
{
	set_up();
	f.output.port.data = true;
	join_patient(&f.a);
	write_bytes(SIZE);
	assert_room(0);
	reader_sending(&f.a.reader);
	join_patient(&f.b);
	reader_abandon(&f.a.reader);
	reader_sent(&f.a.reader, SIZE - 5);
	leave(&f.a);
	assert_int_equal(f.pumps, 0);
	expect_left(&f.b, 5);
	/* The device that waited for room has it now. */
	assert_int_equal(f.pumps, 1);
	read_bytes(&f.b, 5);
	assert_room(SIZE);
	leave(&f.b);
	tear_down();
}

/* What comes while it is there isn't anybody else's alone. */
TEST(a_reader_that_has_not_begun_gets_what_has_come_since)
{
	set_up();
	f.output.port.data = true;
	join_patient(&f.a);
	write_bytes(20);
	join_patient(&f.b);
	write_bytes(10);
	read_bytes(&f.a, 30);
	expect_left(&f.b, 10);
	leave(&f.b);
	leave(&f.a);
	tear_down();
}

/* Of several each gets all that comes while it is there. */
TEST(a_reader_that_has_begun_gets_what_others_have_got)
{
	set_up();
	f.output.port.data = true;
	join_patient(&f.a);
	join_patient(&f.b);
	write_bytes(20);
	expect_left(&f.b, 20);
	read_bytes(&f.b, 1);
	read_bytes(&f.a, 20);
	expect_left(&f.b, 19);
	leave(&f.b);
	leave(&f.a);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_device_that_waits_for_a_patient_reader_costs_nothing),
	    UNIT(a_reader_begins_behind_what_is_on_its_way_to_the_one_before),
	    UNIT(a_reader_that_has_not_begun_gets_what_has_come_since),
	    UNIT(a_reader_that_has_begun_gets_what_others_have_got),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
