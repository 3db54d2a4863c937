/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What comes on top of one raw client: telnet instead of raw, a log file (in memory, so that no
 * disk is measured), a second client. Output in buffers of 4 KiB, queued deep; each run next to a
 * plain one, which "x plain" is the ratio to. The rate is what the slowest client gets.
 *
 * What a second client has to cost is shown by a plain tee: a thread that reads pieces from a pipe
 * and writes each to one or two TCP connections.
 */
#include <stdio.h>

#include "experiment.h"
#include "floors.h"
#include "stream.h"

enum {
	COST_BYTES = 4096,
};

struct way {
	const char *name;
	const char *extra; /* options; NULL: none */
	unsigned int clients;
};

static const struct way ways[] = {
    {"plain", NULL, 1},
    {"telnet", "--tcp-protocol=telnet", 1},
    {"log", "--log-file={socket}.log", 1},
    {"second client", NULL, 2},
};

static double measure_rate(struct bench *bench, const struct target *target, const struct way *way,
                           struct result *result)
{
	struct guest_shape shape = guest_shape(COST_BYTES, 4096, true);
	struct stream stream = {
	    .seconds = bench->seconds < 0.5 ? bench->seconds : 0.5, /* the log's memory */
	    .size = COST_BYTES,
	    .clients = way->clients,
	};
	struct backend backend;
	struct client client[2];
	uint64_t missed = 0;
	struct guest guest;
	unsigned int i;

	backend_start(&backend, target, 1, way->extra);
	guest_start(&guest, backend_socket(&backend, 0), &shape);
	for (i = 0; i < way->clients; i++)
		client_connect(&client[i], backend.port);
	clients_meet(client, way->clients, &guest);
	stream.pid = backend.pid;
	stream_output(&stream, &guest, client);
	for (i = 0; i < way->clients; i++) {
		missed += client[i].missed;
		client_close(&client[i]);
	}
	guest_stop(&guest);
	backend_stop(&backend);
	if (bench_missed(bench, way->name, missed))
		return 0;
	result_add(result, METRIC_RATE, stream.rate);
	experiment_add_usage(result, &stream.usage, stream.bytes, 0, stream.window);
	return stream.rate;
}

static void measure_target(struct bench *bench, const struct target *target)
{
	double plain = 0, rate;
	unsigned int i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct result *result;

		if (ways[i].extra && !target_takes_extra(target))
			continue;
		result = report_result(bench->report, ways[i].name, target->name);
		rate = measure_rate(bench, target, &ways[i], result);
		if (!i)
			plain = rate;
		else if (plain > 0 && rate > 0)
			result_add(result, METRIC_PLAIN, rate / plain);
	}
}

static void measure_tee(struct bench *bench)
{
	struct result *one = report_result(bench->report, "plain", "tee");
	struct result *two = report_result(bench->report, "second client", "tee");
	double rate_one = floor_tee(1, bench->seconds);
	double rate_two = floor_tee(2, bench->seconds);

	result_add(one, METRIC_RATE, rate_one);
	result_add(two, METRIC_RATE, rate_two);
	result_add(two, METRIC_PLAIN, rate_two / rate_one);
}

void scenario_cost(struct bench *bench)
{
	unsigned int run, i;

	report_begin(bench->report, "cost", "telnet, a log, a second client, at 4 KiB");
	for (run = 0; run < bench->runs; run++) {
		measure_tee(bench);
		for (i = 0; i < bench->targets; i++)
			measure_target(bench, &bench->target[i]);
	}
	report_end(bench->report);
	for (i = 0; i < bench->targets; i++)
		if (!target_takes_extra(&bench->target[i]))
			report_note(bench->report,
			            "%s: no telnet and no log, its command has no {extra}",
			            bench->target[i].name);
}
