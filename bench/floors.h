/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the machine can do with plain system calls: the same bytes made and checked as in the
 * measured runs, the same two processors. A second thread takes the backend's place.
 */
#ifndef BENCH_FLOORS_H
#define BENCH_FLOORS_H

#include "series.h"

#include <stdbool.h>
#include <stdint.h>

/* TCP loopback, bytes a second: the other thread makes each piece of `size` bytes and sends it,
 * blocking, TCP_NODELAY; this one receives and checks as the client does. The floor of output. */
double floor_tcp_output(uint32_t size, double seconds);

/* The other way: this thread sends as the client does, the other receives pieces of at most `size`
 * bytes, blocking, and checks them. The floor of input. */
double floor_tcp_input(uint32_t size, double seconds);

/* Copies of `size` bytes and checks of the copies, one thread: bytes a second. */
double floor_memcpy(uint32_t size, double seconds);

/* Round trips, ns: there and back; both sides sleep, this one as the waiting driver (waiting.h). */
void floor_eventfd(struct histogram *times, uint64_t count);
/* One byte each way. */
void floor_tcp(struct histogram *times, uint64_t count);
/* The hops of a keystroke: a byte by TCP to the other side, which writes an eventfd, this side
 * another in answer, the other side a byte by TCP. */
void floor_keystroke(struct histogram *times, uint64_t count);
/* The other side spins on a number in shared memory and answers in another. */
void floor_memory(struct histogram *times, uint64_t count);

/* As tee(1): the other thread reads 32 KiB pieces from a pipe that this one feeds and writes each
 * to `clients` TCP connections and, with `log`, to a new file in machine_folder(); bytes a second
 * at the slowest client. */
double floor_tee(unsigned int clients, bool log, double seconds);

#endif
