/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The pattern of Linux's console driver (hvc): one buffer of 16 bytes, kick if the device wants it,
 * spin until the buffer is back. The guest does nothing else meanwhile (in Linux: with interrupts
 * off), so each microsecond here is one that the guest's processor loses.
 *
 * An operation's time is from before its bytes are written to when the used index has moved. With a
 * client, this thread also receives and checks what has arrived, between operations and outside of
 * the times; operations a second are by the sum of the times. "calls on" is the same with a call
 * asked for at each buffer, as Linux's driver leaves it with EVENT_IDX: the guest doesn't wait for
 * it, but the backend has to write it. The floor is a number in shared memory, there and back,
 * both sides spinning: what no backend that may sleep can reach.
 */
#include <stdio.h>

#include "experiment.h"
#include "floors.h"
#include "machine.h"
#include "spinning.h"
#include "stream.h"
#include "support.h"

enum {
	/* How often the client looks: 4 KiB of output. */
	OPERATIONS_A_LOOK = 256,
};

enum way {
	NO_CLIENT,
	ONE_CLIENT,
	CALLS_ON,
	WAYS,
};

static void measure_floor(struct experiment *experiment, struct result *result)
{
	struct histogram times = {0};

	floor_memory(&times, experiment->bench->operations);
	experiment->floor = histogram_percentile(&times, 0.5);
	experiment_add_times(experiment, result, &times);
}

struct hvc_run {
	struct guest *guest;
	struct client *client; /* NULL: none */
	struct pattern pattern;
	struct histogram times;
	uint64_t spent_ns;
};

static void transmit_many(struct hvc_run *run, uint64_t count, bool timed)
{
	uint64_t i, ns;

	for (i = 0; i < count; i++) {
		if (run->client && i % OPERATIONS_A_LOOK == 0)
			client_drain(run->client);
		ns = spinning_transmit(run->guest, &run->pattern);
		if (!timed)
			continue;
		histogram_add(&run->times, ns);
		run->spent_ns += ns;
	}
}

static void drain_rest(struct hvc_run *run)
{
	uint64_t deadline = support_now_ms() + support_deadline_ms();

	while (run->client && run->client->expected.total < run->pattern.total) {
		client_drain(run->client);
		if (support_now_ms() > deadline)
			bench_fail("hvc: output is missing at the client");
	}
}

static void measure(struct experiment *experiment, const struct target *target,
                    struct result *result)
{
	struct guest_shape shape = guest_shape(64, 4096, false);
	uint64_t count = experiment->bench->operations;
	struct process_usage usage;
	struct backend backend;
	struct client client = {0};
	struct guest guest;
	struct hvc_run run = {.guest = &guest};
	double kicks, seconds;
	uint64_t begin;

	backend_start(&backend, target, 1, NULL);
	guest_start(&guest, backend_socket(&backend, 0), &shape);
	if (experiment->way != NO_CLIENT) {
		client_connect(&client, backend.port);
		clients_meet(&client, 1, &guest);
		run.client = &client;
	}
	ring_ask_calls(&guest.transmit, experiment->way == CALLS_ON);
	transmit_many(&run, count / 10, false);
	usage = process_usage(backend.pid);
	kicks = (double)guest.transmit.kicks;
	begin = machine_now_ns();
	transmit_many(&run, count, true);
	usage = process_since(backend.pid, &usage);
	seconds = (double)(machine_now_ns() - begin) / 1e9;
	kicks = ((double)guest.transmit.kicks - kicks) * 1e9 / (double)run.spent_ns;
	drain_rest(&run);
	if (run.client)
		client_close(run.client);
	guest_stop(&guest);
	backend_stop(&backend);

	if (run.client && bench_missed(experiment->bench, experiment->variant, client.missed))
		return;
	result_add(result, METRIC_OPERATIONS, (double)count * 1e9 / (double)run.spent_ns);
	experiment_add_times(experiment, result, &run.times);
	experiment_add_usage(result, &usage, 0, (double)count, seconds);
	result_add(result, METRIC_KICKS, kicks);
}

void scenario_hvc(struct bench *bench)
{
	static const char *const names[WAYS] = {"no client", "one client", "one client, calls on"};
	unsigned int way;

	report_begin(bench->report, "hvc", "16 bytes, kick, spin until used");
	for (way = 0; way < WAYS; way++) {
		struct experiment experiment = {
		    .bench = bench,
		    .way = way,
		    .measure_floor = measure_floor,
		    .measure = measure,
		};

		snprintf(experiment.variant, sizeof(experiment.variant), "%s", names[way]);
		experiment_run(&experiment);
	}
	report_end(bench->report);
}
