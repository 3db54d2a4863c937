/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The machine that is measured on: clock, processors, limits.
 *
 * Two processors are used: the bench's thread, which is guest and client by turns, has the first
 * one to itself, the backend (or the other side of a floor) the last. With one processor nothing
 * is pinned.
 */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum machine_side {
	MACHINE_BENCH,   /* guest and client */
	MACHINE_BACKEND, /* the backend, or what takes its place in a floor */
};

/* Nanoseconds of a clock that only goes forward. */
static inline uint64_t machine_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* What a loop that waits for memory to change does. */
static inline void machine_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/* Looks which processors may be used. To be called before the others. */
void machine_init(void);

/* Whether the two sides have a processor each. */
bool machine_is_pinned(void);
int machine_processor(enum machine_side side);

/* Pins a thread (0: this one). Ignored for threads of others that may not be touched. */
void machine_pin(pid_t thread, enum machine_side side);

/* Raises the limit of open files to `wanted` if allowed; what it is then. */
uint64_t machine_raise_files(uint64_t wanted);

/* Where files are in memory, if there is such a place: /dev/shm, else /tmp. */
const char *machine_folder(void);

/* One line: processors, kernel, who runs where. Valid till the next call. */
const char *machine_describe(void);

#endif
