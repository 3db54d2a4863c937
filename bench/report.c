/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "report.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RESULTS_MAX = 256,
};

struct report {
	FILE *json;
	const char *scenario;
	struct result *result[RESULTS_MAX];
	unsigned int results;
};

/* How a metric is shown: divided, with so many decimals. JSON has the undivided value. */
static const struct {
	const char *name;    /* in JSON */
	const char *heading; /* in the table */
	double divisor;
	int decimals;
} metrics[METRICS] = {
    [METRIC_RATE] = {"bytes_per_second", "MB/s", 1e6, 1},
    [METRIC_BUFFERS] = {"buffers_per_second", "kbuf/s", 1e3, 1},
    [METRIC_OPERATIONS] = {"operations_per_second", "kop/s", 1e3, 2},
    [METRIC_FLOOR] = {"to_floor", "x floor", 1, 3},
    [METRIC_FLOOR_32K] = {"to_floor_32k", "x 32K", 1, 3},
    [METRIC_PLAIN] = {"to_plain", "x plain", 1, 3},
    [METRIC_ON_TOP] = {"seconds_per_gib_on_top", "+ s/GiB", 1, 3},
    [METRIC_P50] = {"p50_ns", "p50 us", 1e3, 2},
    [METRIC_P99] = {"p99_ns", "p99 us", 1e3, 2},
    [METRIC_P999] = {"p999_ns", "p99.9 us", 1e3, 2},
    [METRIC_MOST] = {"max_ns", "max us", 1e3, 1},
    [METRIC_FLOOR_P50] = {"p50_to_floor", "x floor", 1, 3},
    [METRIC_CPU_GIB] = {"cpu_seconds_per_gib", "cpu s/GiB", 1, 3},
    [METRIC_CPU_OPERATION] = {"cpu_ns_per_operation", "cpu us/op", 1e3, 2},
    [METRIC_WAITS] = {"voluntary_switches_per_second", "waits/s", 1, 0},
    [METRIC_PREEMPTED] = {"involuntary_switches_per_second", "preempt/s", 1, 0},
    [METRIC_KICKS] = {"kicks_per_second", "kicks/s", 1, 0},
    [METRIC_MISSED] = {"missed_part", "missed", 1, 3},
    [METRIC_BRINGUP] = {"bring_up_ms", "up ms", 1, 1},
    [METRIC_THREADS] = {"threads", "threads", 1, 0},
    [METRIC_FDS_GUEST] = {"fds_per_guest", "fd/guest", 1, 2},
    [METRIC_PRIVATE] = {"private_bytes", "priv KiB", 1024, 0},
    [METRIC_PRIVATE_GUEST] = {"private_bytes_per_guest", "KiB/guest", 1024, 1},
    [METRIC_TABLES_GUEST] = {"page_table_bytes_per_guest", "PT KiB/g", 1024, 1},
    [METRIC_IDLE_CPU] = {"idle_cpu_part", "idle cpu", 1, 5},
    [METRIC_IDLE_WAKEUPS] = {"idle_wakeups_per_second", "wakeups/s", 1, 2},
    [METRIC_JAIN] = {"jain_index", "Jain", 1, 4},
    [METRIC_SLOWEST] = {"slowest_to_mean", "slowest", 1, 3},
};

struct report *report_new(const char *json_path)
{
	struct report *report = calloc(1, sizeof(*report));

	if (!report)
		return NULL;
	if (json_path)
		report->json = fopen(json_path, "we");
	if (json_path && !report->json) {
		free(report);
		return NULL;
	}
	return report;
}

static void forget_results(struct report *report)
{
	while (report->results) {
		struct result *result = report->result[--report->results];

		free(result->histogram);
		free(result);
	}
}

void report_free(struct report *report)
{
	if (!report)
		return;
	forget_results(report);
	if (report->json)
		fclose(report->json);
	free(report);
}

/* ---- JSON ---- */

static void put_string(FILE *json, const char *text)
{
	fputc('"', json);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', json);
		if ((unsigned char)*text >= ' ')
			fputc(*text, json);
		else
			fprintf(json, "\\u%04x", *text);
	}
	fputc('"', json);
}

void report_about(struct report *report, const char *key, const char *value)
{
	printf("%s: %s\n", key, value);
	if (!report->json)
		return;
	fprintf(report->json, "{\"about\": ");
	put_string(report->json, key);
	fprintf(report->json, ", \"value\": ");
	put_string(report->json, value);
	fprintf(report->json, "}\n");
	fflush(report->json);
}

void report_failure(struct report *report, const char *message)
{
	if (!report->json)
		return;
	fprintf(report->json, "{\"failed\": ");
	put_string(report->json, message);
	fprintf(report->json, "}\n");
	fflush(report->json);
}

static void put_series(FILE *json, const char *name, const struct series *series)
{
	unsigned int i;

	fprintf(json, ", \"%s\": {\"median\": %.6g, \"values\": [", name, series_median(series));
	for (i = 0; i < series->count; i++)
		fprintf(json, "%s%.6g", i ? ", " : "", series->value[i]);
	fprintf(json, "]}");
}

static void put_histogram(FILE *json, const struct histogram *histogram)
{
	const char *comma = "";
	unsigned int i;

	fprintf(json, ", \"histogram_ns\": [");
	for (i = 0; i < HISTOGRAM_BINS; i++) {
		if (!histogram->bin[i])
			continue;
		fprintf(json, "%s[%.0f, %llu]", comma, histogram_edge(i),
		        (unsigned long long)histogram->bin[i]);
		comma = ", ";
	}
	fprintf(json, "]");
}

static void put_result(FILE *json, const struct result *result)
{
	unsigned int i;

	fprintf(json, "{\"scenario\": ");
	put_string(json, result->scenario);
	fprintf(json, ", \"variant\": ");
	put_string(json, result->variant);
	fprintf(json, ", \"target\": ");
	put_string(json, result->target);
	for (i = 0; i < METRICS; i++)
		if (result->metric[i].count)
			put_series(json, metrics[i].name, &result->metric[i]);
	if (result->histogram)
		put_histogram(json, result->histogram);
	fprintf(json, "}\n");
	fflush(json);
}

/* ---- results ---- */

void report_begin(struct report *report, const char *scenario, const char *what)
{
	forget_results(report);
	report->scenario = scenario;
	printf("\n%s: %s\n", scenario, what);
	fflush(stdout);
}

static struct result *find_result(const struct report *report, const char *variant,
                                  const char *target)
{
	unsigned int i;

	for (i = 0; i < report->results; i++) {
		struct result *result = report->result[i];

		if (strcmp(result->variant, variant) == 0 && strcmp(result->target, target) == 0)
			return result;
	}
	return NULL;
}

struct result *report_result(struct report *report, const char *variant, const char *target)
{
	struct result *result = find_result(report, variant, target);

	if (result)
		return result;
	result = calloc(1, sizeof(*result));
	if (!result || report->results == RESULTS_MAX)
		abort();
	snprintf(result->scenario, sizeof(result->scenario), "%s", report->scenario);
	snprintf(result->variant, sizeof(result->variant), "%s", variant);
	snprintf(result->target, sizeof(result->target), "%s", target);
	report->result[report->results++] = result;
	return result;
}

void result_add(struct result *result, enum metric metric, double value)
{
	series_add(&result->metric[metric], value);
}

struct histogram *result_histogram(struct result *result)
{
	if (!result->histogram)
		result->histogram = calloc(1, sizeof(*result->histogram));
	if (!result->histogram)
		abort();
	return result->histogram;
}

/* ---- the table ---- */

/* The first metric a result has: what the scenario is about. */
static const struct series *main_series(const struct result *result)
{
	unsigned int i;

	for (i = 0; i < METRICS; i++)
		if (result->metric[i].count)
			return &result->metric[i];
	return NULL;
}

/* From the least to the greatest value, as a part of the median. */
static double spread(const struct series *series)
{
	double median = series_median(series);

	return median != 0 ? (series_most(series) - series_least(series)) / median : 0;
}

static bool has_column(const struct report *report, unsigned int metric)
{
	unsigned int i;

	for (i = 0; i < report->results; i++)
		if (report->result[i]->metric[metric].count)
			return true;
	return false;
}

static void print_headings(const struct report *report)
{
	unsigned int i;

	printf("  %-22s %-8s", "", "");
	for (i = 0; i < METRICS; i++)
		if (has_column(report, i))
			printf(" %10s", metrics[i].heading);
	printf(" %8s\n", "spread");
}

static void print_result(const struct report *report, const struct result *result)
{
	const struct series *first = main_series(result);
	unsigned int i;

	printf("  %-22s %-8s", result->variant, result->target);
	for (i = 0; i < METRICS; i++) {
		const struct series *series = &result->metric[i];

		if (!has_column(report, i))
			continue;
		if (series->count)
			printf(" %10.*f", metrics[i].decimals,
			       series_median(series) / metrics[i].divisor);
		else
			printf(" %10s", "");
	}
	if (first && first->count > 1)
		printf(" %7.1f%%", 100 * spread(first));
	printf("\n");
}

/* The first target's main figure to the second's, run by run. */
static void divide(const struct series *ours, const struct series *theirs, struct series *ret_ratio)
{
	unsigned int i;

	*ret_ratio = (struct series){0};
	for (i = 0; ours && theirs && i < ours->count && i < theirs->count; i++)
		if (theirs->value[i] != 0)
			series_add(ret_ratio, ours->value[i] / theirs->value[i]);
}

static void print_ratio(struct report *report, const struct result *result)
{
	const struct result *other = find_result(report, result->variant, "against");
	struct series ratio;

	if (!other)
		return;
	divide(main_series(result), main_series(other), &ratio);
	if (!ratio.count)
		return;
	printf("  %-22s backend / against: %.3f (%.3f to %.3f in %u pairs)\n", result->variant,
	       series_median(&ratio), series_least(&ratio), series_most(&ratio), ratio.count);
	if (!report->json)
		return;
	fprintf(report->json, "{\"ratio\": \"%s\", \"variant\": \"%s\"", report->scenario,
	        result->variant);
	put_series(report->json, "backend_to_against", &ratio);
	fprintf(report->json, "}\n");
}

void report_end(struct report *report)
{
	unsigned int i;

	print_headings(report);
	for (i = 0; i < report->results; i++) {
		print_result(report, report->result[i]);
		if (report->json)
			put_result(report->json, report->result[i]);
	}
	for (i = 0; i < report->results; i++)
		if (strcmp(report->result[i]->target, "backend") == 0)
			print_ratio(report, report->result[i]);
	fflush(stdout);
	forget_results(report);
}

void report_note(struct report *report, const char *format, ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	printf("  %s\n", text);
	if (!report->json)
		return;
	fprintf(report->json, "{\"note\": ");
	put_string(report->json, text);
	fprintf(report->json, "}\n");
}
