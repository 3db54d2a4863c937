/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One variant of a scenario, measured as often as was asked for: in each round its floor first,
 * then each target, in turn forwards and backwards, so that what the machine does meanwhile hits
 * all of them alike and a ratio is of neighbours in time.
 */
#ifndef BENCH_EXPERIMENT_H
#define BENCH_EXPERIMENT_H

#include "bench.h"
#include "process.h"
#include "stream.h"

struct experiment {
	struct bench *bench;
	char variant[48];
	uint32_t size;    /* of a buffer, where the scenario has one */
	unsigned int way; /* what else the variant means, the scenario's own number */
	double floor;     /* this round's main figure of the floor; 0: none */
	double floor_32k; /* this round's TCP loopback with 32 KiB; 0: not measured */

	/* Measures the floor into `result` and sets `floor`. NULL: there is none. */
	void (*measure_floor)(struct experiment *experiment, struct result *result);
	void (*measure)(struct experiment *experiment, const struct target *target,
	                struct result *result);
};

void experiment_run(struct experiment *experiment);

/* The scenario `name` that is one experiment for each of the bench's sizes of buffers. */
void experiment_run_sizes(struct bench *bench, const char *name, const char *title,
                          void (*measure_floor)(struct experiment *experiment,
                                                struct result *result),
                          void (*measure)(struct experiment *experiment,
                                          const struct target *target, struct result *result));

/* "16 B", "4 KiB". Valid till the next call. */
const char *experiment_size_name(uint32_t size);

/* Adds the percentiles of one run, and its times to the result's histogram. */
void experiment_add_times(struct experiment *experiment, struct result *result,
                          const struct histogram *times);

/* Adds what the backend used for `bytes` (or, if `operations` isn't 0, for those) in `seconds`.
 * Nothing if that is unknown. */
void experiment_add_usage(struct result *result, const struct process_usage *usage, double bytes,
                          double operations, double seconds);

/* Adds what a stream of buffers gave, with its ratios to the floors, and what the backend used. */
void experiment_add_stream(struct experiment *experiment, struct result *result,
                           const struct stream *stream);

#endif
