/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A keystroke: the client sends a byte, the guest's driver gets the call and echoes the byte, the
 * client receives it. One thread is client and driver by turns and sleeps at each half, so the
 * backend is woken twice and wakes twice. The floor is the same four hops between two threads with
 * plain blocking calls. It doesn't contain a terminal, a shell or a network.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "experiment.h"
#include "floors.h"
#include "machine.h"
#include "stream.h"
#include "waiting.h"

static void measure_floor(struct experiment *experiment, struct result *result)
{
	struct histogram times = {0};

	floor_keystroke(&times, experiment->bench->operations / 10);
	experiment->floor = histogram_percentile(&times, 0.5);
	experiment_add_times(experiment, result, &times);
}

/* The guest's half: the byte that came, back. */
static void echo(struct guest *guest)
{
	struct ring *in = &guest->receive, *out = &guest->transmit;
	uint8_t byte;

	waiting_for_used(in);
	byte = *ring_buffer(in, in->taken);
	if (ring_take(in) != 1)
		bench_fail("a keystroke didn't come alone");
	ring_push(in, in->buffer_size);
	ring_publish(in);
	while (out->depth == ring_outstanding(out))
		waiting_for_used(out);
	guest_reap(guest);
	*ring_buffer(out, out->avail) = byte;
	ring_push(out, 1);
	ring_publish(out);
}

static void press(struct guest *guest, struct client *client, uint64_t number)
{
	uint8_t byte = (uint8_t)('a' + number % 26);

	if (send(client->sock, &byte, 1, MSG_NOSIGNAL) != 1)
		bench_fail("a keystroke: %s", strerror(errno));
	echo(guest);
	client_expect(client, &byte, 1);
	guest_reap(guest);
}

static void measure(struct experiment *experiment, const struct target *target,
                    struct result *result)
{
	struct guest_shape shape = {
	    .transmit_size = 64, .transmit_depth = 16, .receive_size = 4096, .receive_depth = 16};
	uint64_t count = experiment->bench->operations / 10, i, begin, first, end;
	struct histogram times = {0};
	struct process_usage usage;
	struct backend backend;
	struct client client;
	struct guest guest;

	backend_start(&backend, target, 1, NULL);
	guest_start(&guest, backend_socket(&backend, 0), &shape);
	client_connect(&client, backend.port);
	clients_meet(&client, 1, &guest);
	client_meet_input(&client, &guest);
	waiting_begin(&guest.receive);
	for (i = 0; i < count / 10; i++)
		press(&guest, &client, i);
	usage = process_usage(backend.pid);
	begin = first = machine_now_ns();
	for (i = 0; i < count; i++, begin = end) {
		press(&guest, &client, i);
		end = machine_now_ns();
		histogram_add(&times, end - begin);
	}
	usage = process_since(backend.pid, &usage);
	result_add(result, METRIC_OPERATIONS, (double)count * 1e9 / (double)(begin - first));
	experiment_add_times(experiment, result, &times);
	experiment_add_usage(result, &usage, 0, (double)count, (double)(begin - first) / 1e9);
	client_close(&client);
	guest_stop(&guest);
	backend_stop(&backend);
}

void scenario_keystroke(struct bench *bench)
{
	struct experiment experiment = {
	    .bench = bench,
	    .variant = "1 B and its echo",
	    .measure_floor = measure_floor,
	    .measure = measure,
	};

	report_begin(bench->report, "keystroke", "client, guest, client");
	experiment_run(&experiment);
	report_end(bench->report);
}
