/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what output.c does for data ports beyond what console ports need: who is patient is waited
 * for, and that costs nothing.
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_device_that_waits_for_a_patient_reader_costs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
