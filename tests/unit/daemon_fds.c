/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds how descriptors are shared out: whatever all guests have of memory, and whatever clients
 * there are, nobody lacks what it needs.
 */
#include "unit.h"

#include "daemon_fds.h"
#include "guest.h"

#include <stdlib.h>

static struct config make_config(unsigned int guests)
{
	struct config config = {.guests_count = guests};

	config.guests = calloc(guests, sizeof(*config.guests));
	assert_non_null(config.guests);
	for (unsigned int i = 0; i < guests; i++)
		config.guests[i].max_ports = 1 + i % 3;
	return config;
}

TEST(nobody_can_use_up_what_others_need)
{
	static const unsigned int counts[] = {1, 2, 100, 1015, 1016, 5000};

	for (size_t i = 0; i < ROWS(counts); i++) {
		struct config config = make_config(counts[i]);
		uint64_t needed = daemon_share_fds(&config, 0).needed;
		uint64_t before = 0;

		for (uint64_t more = 0; more < 1u << 20; more = 2 * more + 1) {
			struct daemon_fds fds = daemon_share_fds(&config, needed + more);
			uint64_t regions =
			    (uint64_t)counts[i] * (fds.regions - GUEST_REGIONS_LEAST);

			assert_int_equal(fds.needed, needed);
			assert_in_range(fds.regions, GUEST_REGIONS_LEAST, GMEM_REGIONS_MAX);
			assert_true(fds.regions >= before);
			/* All of them at once leave half to clients. */
			assert_true(regions <= more / 2);
			assert_true(fds.reserved >= needed + regions);
			before = fds.regions;
		}
		free(config.guests);
	}
}

TEST(regions_are_shared_by_descriptors_and_by_mappings)
{
	static const struct {
		unsigned int guests;
		uint64_t more, regions;
	} rows[] = {
	    {1, 0, GUEST_REGIONS_LEAST},
	    {1, 200, GUEST_REGIONS_LEAST + 100},
	    {1, 1 << 20, GMEM_REGIONS_MAX},
	    {10, 200, GUEST_REGIONS_LEAST + 10},
	    {127, 1 << 20, GMEM_REGIONS_MAX},
	    {130, 1 << 20, 500},
	    {5000, 1 << 20, 64}, /* least, by mappings */
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct config config = make_config(rows[i].guests);
		uint64_t needed = daemon_share_fds(&config, 0).needed;

		assert_int_equal(daemon_share_fds(&config, needed + rows[i].more).regions,
		                 rows[i].regions);
		free(config.guests);
	}
}

/* They work as far as it goes; the start has warned. */
TEST(a_limit_that_is_too_low_leaves_the_least)
{
	struct config config = make_config(100);

	assert_int_equal(daemon_share_fds(&config, 64).regions, GUEST_REGIONS_LEAST);
	assert_true(daemon_share_fds(&config, 64).reserved > 64);
	assert_int_equal(daemon_share_fds(&config, UINT64_MAX).regions, GMEM_REGIONS_MAX);
	free(config.guests);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(nobody_can_use_up_what_others_need),
	    UNIT(regions_are_shared_by_descriptors_and_by_mappings),
	    UNIT(a_limit_that_is_too_low_leaves_the_least),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
