/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a client that doesn't keep up does to the guest: its output, 4 KiB buffers queued deep, with
 * no client, one that takes 4 KiB each 10 ms, one that reads nothing; then single operations of 16
 * bytes in the same state.
 *
 * The rate is what the backend took from the guest, whether or not anybody got it: with no client
 * it is how fast a backend can throw away. "missed" is the part of it that the client was told is
 * missing; in the end it reads on, and every byte must have come or be counted as missing. A
 * backend that stops the guest instead shows it as a rate near the client's, or of 0, and has no
 * times.
 */
#include <stdio.h>

#include "experiment.h"
#include "machine.h"
#include "spinning.h"
#include "stream.h"
#include "support.h"

enum {
	SLOW_BYTES = 4096,
	SLOW_EVERY_NS = 10000000,
};

enum way {
	NO_CLIENT,
	SLOW_CLIENT,
	STUCK_CLIENT,
	WAYS,
};

static const char *const names[WAYS] = {"no client", "slow client", "reads nothing"};

struct slow_run {
	struct guest guest;
	struct client client;
	struct pattern pattern;
	enum way way;
	uint64_t next_ns; /* when the slow client reads again */
	uint64_t taken;   /* bytes that the backend took */
};

static void read_slowly(struct slow_run *run)
{
	uint64_t now = machine_now_ns();

	if (run->way != SLOW_CLIENT || now < run->next_ns)
		return;
	client_drain_some(&run->client, SLOW_BYTES);
	run->next_ns = now + SLOW_EVERY_NS;
}

/* Transmits for a time; bytes a second that the backend took. */
static double transmit_all_the_time(struct slow_run *run, double seconds)
{
	uint64_t begin = machine_now_ns(), end = begin + (uint64_t)(seconds * 1e9), now;
	uint64_t taken = 0;

	do {
		taken += (uint64_t)guest_reap(&run->guest) * SLOW_BYTES;
		guest_transmit(&run->guest, &run->pattern, SLOW_BYTES);
		read_slowly(run);
		now = machine_now_ns();
	} while (now < end);
	return (double)taken * 1e9 / (double)(now - begin);
}

/* Whether everything that is queued is taken within the deadline. */
static bool settle(struct slow_run *run)
{
	uint64_t deadline = support_now_ms() + 1000;

	while (ring_outstanding(&run->guest.transmit)) {
		guest_reap(&run->guest);
		read_slowly(run);
		machine_relax();
		if (support_now_ms() > deadline)
			return false;
	}
	return true;
}

static void measure_times(struct experiment *experiment, struct slow_run *run,
                          struct result *result)
{
	uint64_t count = experiment->bench->operations / 10, i;
	struct histogram times = {0};

	for (i = 0; i < count; i++) {
		histogram_add(&times, spinning_transmit(&run->guest, &run->pattern));
		read_slowly(run);
	}
	experiment_add_times(experiment, result, &times);
}

/* The client reads on: everything comes or is said to be missing. */
static void read_the_rest(struct slow_run *run)
{
	uint64_t deadline = support_now_ms() + support_deadline_ms();

	while (run->client.expected.total < run->pattern.total) {
		guest_reap(&run->guest);
		if (client_drain(&run->client))
			deadline = support_now_ms() + support_deadline_ms();
		if (support_now_ms() > deadline)
			bench_fail("%s: output is missing, and nobody said so", names[run->way]);
	}
}

static void measure(struct experiment *experiment, const struct target *target,
                    struct result *result)
{
	struct guest_shape shape = guest_shape(SLOW_BYTES, 4096, true);
	struct slow_run run = {.way = experiment->way};
	struct backend backend;
	bool settled;

	backend_start(&backend, target, 1, NULL);
	guest_start(&run.guest, backend_socket(&backend, 0), &shape);
	if (run.way != NO_CLIENT) {
		client_connect(&run.client, backend.port);
		clients_meet(&run.client, 1, &run.guest);
	}
	/* First until every buffer between guest and client is full. */
	transmit_all_the_time(&run, experiment->bench->seconds / 2);
	result_add(result, METRIC_RATE, transmit_all_the_time(&run, experiment->bench->seconds));
	settled = settle(&run);
	if (settled)
		measure_times(experiment, &run, result);
	else
		report_note(experiment->bench->report, "%s: %s has stopped the guest",
		            names[run.way], target->name);
	if (run.way != NO_CLIENT) {
		read_the_rest(&run);
		result_add(result, METRIC_MISSED,
		           (double)run.client.missed / (double)run.pattern.total);
		client_close(&run.client);
	}
	guest_stop(&run.guest);
	backend_stop(&backend);
}

void scenario_slow(struct bench *bench)
{
	unsigned int way;

	report_begin(bench->report, "slow", "clients that don't keep up, and none");
	for (way = 0; way < WAYS; way++) {
		struct experiment experiment = {.bench = bench, .way = way, .measure = measure};

		snprintf(experiment.variant, sizeof(experiment.variant), "%s", names[way]);
		experiment_run(&experiment);
	}
	report_end(bench->report);
}
