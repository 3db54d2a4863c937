/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The floors by themselves, without any backend. The other scenarios measure those they need again,
 * next to each of their runs.
 */
#include <stdio.h>

#include "experiment.h"
#include "floors.h"

static void measure_stream(struct experiment *experiment, struct result *result)
{
	static double (*const floors[])(uint32_t size, double seconds) = {
	    floor_tcp_output, floor_tcp_input, floor_memcpy};
	double rate = floors[experiment->way](experiment->size, experiment->bench->seconds);

	result_add(result, METRIC_RATE, rate);
	result_add(result, METRIC_BUFFERS, rate / experiment->size);
}

static void measure_trips(struct experiment *experiment, struct result *result)
{
	static void (*const floors[])(struct histogram * times, uint64_t count) = {
	    floor_memory, floor_eventfd, floor_tcp, floor_keystroke};
	struct histogram times = {0};

	floors[experiment->way](&times, experiment->bench->operations / 10);
	experiment_add_times(experiment, result, &times);
}

/* There is no backend to measure. */
static void floors_only(struct bench *bench, struct experiment *experiment)
{
	unsigned int targets = bench->targets;

	bench->targets = 0;
	experiment_run(experiment);
	bench->targets = targets;
}

static void run_streams(struct bench *bench)
{
	static const char *const names[] = {"TCP send", "TCP receive", "memcpy"};
	unsigned int way, i;

	for (way = 0; way < 3; way++) {
		for (i = 0; i < bench->sizes; i++) {
			struct experiment experiment = {
			    .bench = bench,
			    .size = bench->size[i],
			    .way = way,
			    .measure_floor = measure_stream,
			};

			snprintf(experiment.variant, sizeof(experiment.variant), "%s %s",
			         names[way], experiment_size_name(bench->size[i]));
			floors_only(bench, &experiment);
		}
	}
}

static void run_trips(struct bench *bench)
{
	static const char *const names[] = {"memory, spinning", "eventfd", "TCP",
	                                    "keystroke's hops"};
	unsigned int way;

	for (way = 0; way < 4; way++) {
		struct experiment experiment = {
		    .bench = bench,
		    .way = way,
		    .measure_floor = measure_trips,
		};

		snprintf(experiment.variant, sizeof(experiment.variant), "%s", names[way]);
		floors_only(bench, &experiment);
	}
}

void scenario_floors(struct bench *bench)
{
	report_begin(bench->report, "floors", "the machine with plain system calls: streams");
	run_streams(bench);
	report_end(bench->report);
	report_begin(bench->report, "floors", "round trips between the two processors");
	run_trips(bench);
	report_end(bench->report);
}
