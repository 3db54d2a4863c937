/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The command line.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>

#include "bench.h"

struct options {
	struct bench bench;
	const char *json_path;
	const char *label;
	bool wanted[32]; /* by scenario */
};

/* Fills in; ends the program with one line and code 2 on a mistake, with 0 after --help. */
void options_parse(struct options *ret_options, int argc, char *argv[]);

#endif
