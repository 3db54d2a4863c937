/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Results: a table of medians to read, JSON lines with every value to keep.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "series.h"

/* What can be measured. report.c has the headings, units and what each means. */
enum metric {
	METRIC_RATE,          /* bytes a second */
	METRIC_BUFFERS,       /* buffers a second */
	METRIC_OPERATIONS,    /* operations a second */
	METRIC_FLOOR,         /* ratio to the floor of the same size */
	METRIC_FLOOR_32K,     /* ratio to TCP loopback with 32 KiB sends */
	METRIC_PLAIN,         /* ratio to the plain run next to it */
	METRIC_ON_TOP,        /* seconds a GiB takes longer than in that run */
	METRIC_P50,           /* ns */
	METRIC_P99,           /* ns */
	METRIC_P999,          /* ns */
	METRIC_MOST,          /* ns */
	METRIC_FLOOR_P50,     /* ratio of medians to the floor's */
	METRIC_CPU_GIB,       /* backend's CPU seconds per GiB */
	METRIC_CPU_OPERATION, /* backend's CPU ns per operation */
	METRIC_WAITS,         /* backend's voluntary context switches a second */
	METRIC_PREEMPTED,     /* backend's involuntary context switches a second */
	METRIC_KICKS,         /* kicks a second */
	METRIC_MISSED,        /* part of the output that a lagging client missed */
	METRIC_BRINGUP,       /* ms, of all guests */
	METRIC_THREADS,
	METRIC_FDS_GUEST,     /* fds for each further guest */
	METRIC_PRIVATE,       /* bytes of the process */
	METRIC_PRIVATE_GUEST, /* bytes for each further guest */
	METRIC_TABLES_GUEST,  /* page table bytes for each further guest */
	METRIC_IDLE_CPU,      /* part of a processor, idle */
	METRIC_IDLE_WAKEUPS,  /* voluntary context switches a second, idle */
	METRIC_JAIN,          /* fairness index: 1 all get the same, 1/n one gets all */
	METRIC_SLOWEST,       /* the slowest guest's rate to the mean */
	METRICS,
};

struct report;

/* What was measured of one target in one variant of a scenario. */
struct result {
	char scenario[16];
	char variant[48];
	char target[16];
	struct series metric[METRICS];
	struct histogram *histogram; /* NULL: none */
};

/* json_path may be NULL. NULL if the file can't be written. */
struct report *report_new(const char *json_path);
void report_free(struct report *report);

/* A line of JSON with the words that describe the measurement: machine, commands. */
void report_about(struct report *report, const char *key, const char *value);

/* Begins a scenario's table. */
void report_begin(struct report *report, const char *scenario, const char *what);
/* The scenario's result for this variant and target: the one there is, or a new one. */
struct result *report_result(struct report *report, const char *variant, const char *target);
void result_add(struct result *result, enum metric metric, double value);
/* The result's histogram, made when it is asked for first. Runs add up in it. */
struct histogram *result_histogram(struct result *result);
/* Prints the table and writes the lines. */
void report_end(struct report *report);

/* A line below the table, now. */
void report_note(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void report_failure(struct report *report, const char *message);

#endif
