/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Calls that a file system may hold up for as long as it likes, made by threads beside the loop.
 *
 * A call that hangs costs its thread and nothing else: the others are made by other threads. A
 * thread that has nothing to do stays for ASIDE_LINGER_MS, so that a busy log doesn't need a new
 * one for each write. The ring's own workers wouldn't do: there is a fixed number of them, and
 * writes to files that share one of 64 hash values wait for each other (Linux 6.18, io-wq).
 *
 * The thread knows only the call. Nothing else of the program may be used in `run`: neither the
 * loop nor the log.
 */
#ifndef LOOP_ASIDE_H
#define LOOP_ASIDE_H

#include "base/list.h"

#include <stdbool.h>

#define ASIDE_LINGER_MS 5000u

struct loop;

/* On the heap, and nobody's but the thread's and the loop's until `done` is called. */
struct aside_call {
	struct list link;
	void (*run)(struct aside_call *call);  /* in a thread */
	void (*done)(struct aside_call *call); /* in the loop; may free it or make it again */
};

/*
 * Has it made. `done` follows, never before this returns; but not for a call that still hangs one
 * second after the loop's end: it belongs to its thread then, for ever.
 */
void loop_aside(struct loop *loop, struct aside_call *call);

/*
 * For the start, while there is nobody to serve: waits until all calls are done, for at most `ms`
 * milliseconds. Returns whether they are.
 */
bool loop_aside_wait(struct loop *loop, unsigned int ms);

/* How many calls aren't done: for tests. */
unsigned int loop_aside_calls(const struct loop *loop);

#endif
