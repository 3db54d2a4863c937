/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What comes on top of one raw client: telnet instead of raw, a log file (in memory, so that no
 * disk is measured), a second client. Output in buffers of 4 KiB, queued deep; each run next to a
 * plain one, which "x plain" is the ratio to. The rate is what the slowest client gets.
 *
 * What a second client or a log has to cost is shown by a plain tee: a thread that reads pieces
 * from a pipe and writes each to one TCP connection, and to a second one or to a file in the same
 * place.
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
	bool tee; /* a tee can do that */
};

static const struct way ways[] = {
    {"plain", NULL, 1, true},
    {"telnet", "--tcp-protocol=telnet", 1, false},
    {"log", "--log-file={socket}.log", 1, true},
    {"second client", NULL, 2, true},
};

/* Next to a plain run. */
static void add_cost(struct result *result, double plain, double rate)
{
	const double gib = 1u << 30;

	result_add(result, METRIC_PLAIN, rate / plain);
	result_add(result, METRIC_ON_TOP, gib / rate - gib / plain);
}

static double seconds_of(const struct bench *bench)
{
	return bench->seconds < 0.5 ? bench->seconds : 0.5; /* the log's memory */
}

static double measure_rate(struct bench *bench, const struct target *target, const struct way *way,
                           struct result *result)
{
	struct guest_shape shape = guest_shape(COST_BYTES, 4096, true);
	struct stream stream = {
	    .seconds = seconds_of(bench),
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
			add_cost(result, plain, rate);
	}
}

static void measure_tee(struct bench *bench)
{
	double plain = 0, rate;
	unsigned int i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct result *result;

		if (!ways[i].tee)
			continue;
		result = report_result(bench->report, ways[i].name, "tee");
		rate = floor_tee(ways[i].clients, ways[i].extra != NULL, seconds_of(bench));
		result_add(result, METRIC_RATE, rate);
		if (!i)
			plain = rate;
		else
			add_cost(result, plain, rate);
	}
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
