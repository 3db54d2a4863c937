/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What every scenario gets: the options, the targets, where results go; and the way to fail.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "backend.h"
#include "report.h"

enum {
	BENCH_SIZES_MAX = 16,
	BENCH_GUESTS_MAX = 16,
	BENCH_TARGETS_MAX = 2,
};

struct bench {
	struct target target[BENCH_TARGETS_MAX];
	unsigned int targets;
	unsigned int runs;
	double seconds;                 /* of one measured run */
	uint32_t size[BENCH_SIZES_MAX]; /* of buffers */
	unsigned int sizes;
	unsigned int guests[BENCH_GUESTS_MAX];
	unsigned int guest_counts;
	unsigned int ring;   /* entries of the guests' rings */
	unsigned int depth;  /* buffers queued in throughput runs */
	uint64_t operations; /* of one measured latency run */
	double idle_seconds;
	bool check;  /* correctness only */
	bool failed; /* a run was */
	struct report *report;
};

struct scenario {
	const char *name;
	const char *what; /* one line for the help */
	void (*run)(struct bench *bench);
};

/* In the order they run; ended by an entry without a name. */
extern const struct scenario scenarios[];

void scenario_floors(struct bench *bench);
void scenario_output(struct bench *bench);
void scenario_input(struct bench *bench);
void scenario_hvc(struct bench *bench);
void scenario_wait(struct bench *bench);
void scenario_keystroke(struct bench *bench);
void scenario_cost(struct bench *bench);
void scenario_slow(struct bench *bench);
void scenario_scale(struct bench *bench);

/*
 * A client that read all the time missed bytes, and was told so: right, but the run has failed, and
 * its figures aren't to be used. Says it loudly and returns true; false if nothing was missed, or
 * with --check, where a busy machine may be the cause.
 */
bool bench_missed(struct bench *bench, const char *variant, uint64_t missed);

/* Says it loudly, ends the backends, and leaves with code 1. Measuring goes on after nothing that
 * isn't right. */
void bench_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Makes support_die() (tests/support) do the same, and remembers where JSON goes. */
void bench_fail_setup(struct report *report);

#endif
