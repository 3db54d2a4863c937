/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "series.h"

#include <stdlib.h>
#include <string.h>

void series_add(struct series *series, double value)
{
	if (series->count < SERIES_MAX)
		series->value[series->count++] = value;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

double series_median(const struct series *series)
{
	struct series sorted = *series;
	unsigned int half = series->count / 2;

	if (!series->count)
		return 0;
	qsort(sorted.value, sorted.count, sizeof(sorted.value[0]), compare);
	if (series->count % 2)
		return sorted.value[half];
	return (sorted.value[half - 1] + sorted.value[half]) / 2;
}

double series_least(const struct series *series)
{
	double least = series->count ? series->value[0] : 0;
	unsigned int i;

	for (i = 1; i < series->count; i++)
		least = series->value[i] < least ? series->value[i] : least;
	return least;
}

double series_most(const struct series *series)
{
	double most = series->count ? series->value[0] : 0;
	unsigned int i;

	for (i = 1; i < series->count; i++)
		most = series->value[i] > most ? series->value[i] : most;
	return most;
}

/* The inverse of histogram_add(): 128 exact bins, then 64 for each power of two. */
double histogram_edge(unsigned int bin)
{
	unsigned int shift = bin < 128 ? 0 : bin / 64 - 1;
	uint64_t low = (uint64_t)(bin - 64 * shift) << shift;

	return (double)(low + (1ull << shift) - 1);
}

double histogram_percentile(const struct histogram *histogram, double part)
{
	uint64_t wanted = (uint64_t)(part * (double)histogram->count);
	uint64_t seen = 0;
	unsigned int bin;

	for (bin = 0; bin < HISTOGRAM_BINS; bin++) {
		seen += histogram->bin[bin];
		if (seen > wanted)
			break;
	}
	if (bin == HISTOGRAM_BINS || histogram_edge(bin) > (double)histogram->most)
		return (double)histogram->most;
	return histogram_edge(bin);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	unsigned int i;

	for (i = 0; i < HISTOGRAM_BINS; i++)
		into->bin[i] += from->bin[i];
	into->count += from->count;
	if (from->most > into->most)
		into->most = from->most;
}
