/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Input: a client that always has something to send, in pieces of 32 KiB, and a guest that always
 * has receive buffers of the size posted.
 *
 * The rate is what has arrived in the guest's buffers, checked. "x floor" is to a plain receiver
 * with receives of the same size, "x 32K" to one with receives of 32 KiB. "kbuf/s" assumes full
 * buffers.
 */
#include "experiment.h"
#include "floors.h"
#include "stream.h"

enum {
	LARGE = 32768,
};

static void measure_floor(struct experiment *experiment, struct result *result)
{
	double seconds = experiment->bench->seconds;

	experiment->floor = floor_tcp_input(experiment->size, seconds);
	experiment->floor_32k =
	    experiment->size == LARGE ? experiment->floor : floor_tcp_input(LARGE, seconds);
	result_add(result, METRIC_RATE, experiment->floor);
	result_add(result, METRIC_BUFFERS, experiment->floor / experiment->size);
}

static void measure(struct experiment *experiment, const struct target *target,
                    struct result *result)
{
	struct guest_shape shape = guest_shape(64, experiment->size, true);
	struct stream stream = {.seconds = experiment->bench->seconds, .size = experiment->size};
	struct backend backend;
	struct client client;
	struct guest guest;

	shape.receive_depth = (uint16_t)experiment->bench->depth;
	backend_start(&backend, target, 1, NULL);
	guest_start(&guest, backend_socket(&backend, 0), &shape);
	client_connect(&client, backend.port);
	clients_meet(&client, 1, &guest);
	client_meet_input(&client, &guest);
	stream.pid = backend.pid;
	stream_input(&stream, &guest, &client);
	client_close(&client);
	guest_stop(&guest);
	backend_stop(&backend);

	experiment_add_stream(experiment, result, &stream);
}

void scenario_input(struct bench *bench)
{
	experiment_run_sizes(bench, "input", "client to guest, receive buffers posted deep",
	                     measure_floor, measure);
}
