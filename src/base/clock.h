/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The monotonic clock.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_now_ms(void)
{
	return clock_now_ns() / 1000000;
}

/* How long a process that was killed may still hold what it had: the kernel closes it later. */
#define CLOCK_RELEASE_MS 1000

/*
 * Where something is in use that a killed process may be about to give back: waits a little. False
 * if that has gone on for CLOCK_RELEASE_MS since `since_ms`, or if the start is over.
 */
bool clock_wait_for_release(uint64_t since_ms);

/* The start is over: from now on everybody is served, and nothing waits. */
void clock_start_is_over(void);

#endif
