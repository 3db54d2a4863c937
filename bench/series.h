/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Numbers that were measured: the values of several runs, and the distribution of many times.
 */
#ifndef BENCH_SERIES_H
#define BENCH_SERIES_H

#include <stdint.h>

enum {
	SERIES_MAX = 101, /* runs */
};

/* One value a run. */
struct series {
	double value[SERIES_MAX];
	unsigned int count;
};

void series_add(struct series *series, double value);
double series_median(const struct series *series); /* of an empty one: 0 */
double series_least(const struct series *series);
double series_most(const struct series *series);

/*
 * A histogram of nanoseconds: exact below 128 ns, above that 64 bins for each power of two, so
 * what is read from it is within 1.6 %.
 */
enum {
	HISTOGRAM_BINS = 64 * 36,
};

struct histogram {
	uint64_t bin[HISTOGRAM_BINS];
	uint64_t count;
	uint64_t most;
};

static inline void histogram_add(struct histogram *histogram, uint64_t ns)
{
	unsigned int shift = ns < 128 ? 0 : 57u - (unsigned int)__builtin_clzll(ns);
	unsigned int bin = 64 * shift + (unsigned int)(ns >> shift);

	histogram->bin[bin < HISTOGRAM_BINS ? bin : HISTOGRAM_BINS - 1]++;
	histogram->count++;
	if (ns > histogram->most)
		histogram->most = ns;
}

/* The time that `part` (0 to 1) of all don't exceed; the upper edge of the bin. */
double histogram_percentile(const struct histogram *histogram, double part);

void histogram_merge(struct histogram *into, const struct histogram *from);

/* The upper edge of a bin. */
double histogram_edge(unsigned int bin);

#endif
