/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a process costs, from /proc: all its threads together.
 *
 * Processor time is schedstat's (nanoseconds on a processor, also what the kernel does for it in
 * system calls; packets on loopback are delivered in the sender's name). What kernel threads do in
 * its place isn't in it.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/* Counts since the process began. */
struct process_usage {
	uint64_t cpu_ns;
	uint64_t voluntary;   /* context switches: it waited */
	uint64_t involuntary; /* context switches: it was made to */
};

struct process_size {
	unsigned int threads;
	unsigned int fds;
	uint64_t private_bytes; /* pages that no other process maps */
	uint64_t page_table_bytes;
};

/* Zeroes for a process that is gone. */
struct process_usage process_usage(pid_t pid);
struct process_size process_size(pid_t pid);

/* To the usage at the end of something, from the one at its beginning. */
struct process_usage process_since(pid_t pid, const struct process_usage *begin);

#endif
