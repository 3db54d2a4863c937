/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhost-user-console-bench: measures a vhost-user console backend. docs/performance.md says what
 * each scenario measures, and what not.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "machine.h"
#include "options.h"
#include "pattern.h"

static void say_what_it_is(const struct options *options)
{
	const struct bench *bench = &options->bench;
	struct report *report = bench->report;
	char text[64];
	unsigned int i;

	report_about(report, "machine", machine_describe());
	if (options->label)
		report_about(report, "label", options->label);
	for (i = 0; i < bench->targets; i++)
		report_about(report, bench->target[i].name,
		             bench->target[i].command ? bench->target[i].command
		                                      : bench->target[i].socket_prefix);
	snprintf(text, sizeof(text), "%u of each, %g s, rings of %u with %u queued", bench->runs,
	         bench->seconds, bench->ring, bench->depth);
	report_about(report, "runs", text);
}

int main(int argc, char *argv[])
{
	struct options options;
	unsigned int i;

	options_parse(&options, argc, argv);
	options.bench.report = report_new(options.json_path);
	if (!options.bench.report) {
		fprintf(stderr, "vhost-user-console-bench: %s: %s\n", options.json_path,
		        strerror(errno));
		return 2;
	}
	bench_fail_setup(options.bench.report);
	signal(SIGPIPE, SIG_IGN);
	pattern_make();
	machine_init();
	machine_pin(0, MACHINE_BENCH);
	say_what_it_is(&options);
	for (i = 0; scenarios[i].name; i++)
		if (options.wanted[i])
			scenarios[i].run(&options.bench);
	report_free(options.bench.report);
	return options.bench.failed ? 1 : 0;
}
