/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "base/clock.h"

static bool start_is_over;

bool clock_wait_for_release(uint64_t since_ms)
{
	struct timespec little = {.tv_nsec = 20000000};

	if (start_is_over || clock_now_ms() - since_ms >= CLOCK_RELEASE_MS)
		return false;
	nanosleep(&little, NULL);
	return true;
}

void clock_start_is_over(void)
{
	start_is_over = true;
}
