/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A driver that sleeps until the backend's call.
 *
 * It sleeps in poll() and then reads the eventfd: the file is shared with the backend, whose writes
 * must find it non-blocking. Floors that stand for it sleep in the same way.
 */
#ifndef BENCH_WAITING_H
#define BENCH_WAITING_H

#include "ring.h"

/* Sleeps until the non-blocking eventfd was written, and reads it. Ends the bench if it isn't
 * written before the deadline. */
void waiting_for_eventfd(int fd);

/* From now on a call is wanted at each buffer. */
void waiting_begin(struct ring *ring);

/* Sleeps until a buffer has come back. */
void waiting_for_used(struct ring *ring);

#endif
