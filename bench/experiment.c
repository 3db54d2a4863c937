/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "experiment.h"

#include <stdio.h>

static void measure_targets(struct experiment *experiment, bool backwards)
{
	struct bench *bench = experiment->bench;
	unsigned int i;

	for (i = 0; i < bench->targets; i++) {
		const struct target *target =
		    &bench->target[backwards ? bench->targets - 1 - i : i];

		experiment->measure(
		    experiment, target,
		    report_result(bench->report, experiment->variant, target->name));
	}
}

void experiment_run(struct experiment *experiment)
{
	struct bench *bench = experiment->bench;
	unsigned int run;

	for (run = 0; run < bench->runs; run++) {
		experiment->floor = experiment->floor_32k = 0;
		if (experiment->measure_floor)
			experiment->measure_floor(
			    experiment, report_result(bench->report, experiment->variant, "floor"));
		measure_targets(experiment, run % 2 == 1);
	}
}

const char *experiment_size_name(uint32_t size)
{
	static char name[32];

	if (size >= 1024 && size % 1024 == 0)
		snprintf(name, sizeof(name), "%u KiB", size / 1024);
	else
		snprintf(name, sizeof(name), "%u B", size);
	return name;
}

void experiment_add_times(struct experiment *experiment, struct result *result,
                          const struct histogram *times)
{
	double p50 = histogram_percentile(times, 0.5);

	result_add(result, METRIC_P50, p50);
	result_add(result, METRIC_P99, histogram_percentile(times, 0.99));
	result_add(result, METRIC_P999, histogram_percentile(times, 0.999));
	result_add(result, METRIC_MOST, (double)times->most);
	if (experiment->floor > 0)
		result_add(result, METRIC_FLOOR_P50, p50 / experiment->floor);
	histogram_merge(result_histogram(result), times);
}

void experiment_add_usage(struct result *result, const struct process_usage *usage, double bytes,
                          double operations, double seconds)
{
	double cpu = (double)usage->cpu_ns;

	if (!usage->cpu_ns)
		return;
	if (operations > 0)
		result_add(result, METRIC_CPU_OPERATION, cpu / operations);
	else if (bytes > 0)
		result_add(result, METRIC_CPU_GIB, cpu / 1e9 / (bytes / 1073741824.0));
	result_add(result, METRIC_WAITS, (double)usage->voluntary / seconds);
	result_add(result, METRIC_PREEMPTED, (double)usage->involuntary / seconds);
}

void experiment_run_sizes(struct bench *bench, const char *name, const char *title,
                          void (*measure_floor)(struct experiment *experiment,
                                                struct result *result),
                          void (*measure)(struct experiment *experiment,
                                          const struct target *target, struct result *result))
{
	report_begin(bench->report, name, title);
	for (unsigned int i = 0; i < bench->sizes; i++) {
		struct experiment experiment = {
		    .bench = bench,
		    .size = bench->size[i],
		    .measure_floor = measure_floor,
		    .measure = measure,
		};

		snprintf(experiment.variant, sizeof(experiment.variant), "%s",
		         experiment_size_name(bench->size[i]));
		experiment_run(&experiment);
	}
	report_end(bench->report);
}

void experiment_add_stream(struct experiment *experiment, struct result *result,
                           const struct stream *stream)
{
	result_add(result, METRIC_RATE, stream->rate);
	result_add(result, METRIC_BUFFERS, stream->rate / experiment->size);
	result_add(result, METRIC_FLOOR, stream->rate / experiment->floor);
	result_add(result, METRIC_FLOOR_32K, stream->rate / experiment->floor_32k);
	result_add(result, METRIC_KICKS, stream->kicks);
	experiment_add_usage(result, &stream->usage, stream->bytes, 0, stream->window);
}
