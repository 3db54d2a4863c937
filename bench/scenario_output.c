/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Output: a guest that always has something to say, a client that always reads.
 *
 * The rate is what has arrived at the client, checked. It counts the whole way: the guest writes
 * each buffer anew, the backend moves it, the client receives and compares. "x floor" is to TCP
 * loopback with sends of the same size, "x 32K" to TCP loopback with sends of 32 KiB: the first may
 * well be above 1 for small buffers, which a backend can gather and a plain sender doesn't.
 * It doesn't say what a guest's own driver can do: Linux's hvc sends 16 bytes at a time and waits
 * (scenario hvc).
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

	experiment->floor = floor_tcp_output(experiment->size, seconds);
	experiment->floor_32k =
	    experiment->size == LARGE ? experiment->floor : floor_tcp_output(LARGE, seconds);
	result_add(result, METRIC_RATE, experiment->floor);
	result_add(result, METRIC_BUFFERS, experiment->floor / experiment->size);
}

static void measure(struct experiment *experiment, const struct target *target,
                    struct result *result)
{
	struct guest_shape shape = guest_shape(experiment->size, 4096, true);
	struct stream stream = {
	    .seconds = experiment->bench->seconds,
	    .size = experiment->size,
	    .clients = 1,
	};
	struct backend backend;
	struct client client;
	struct guest guest;

	shape.transmit_depth = (uint16_t)experiment->bench->depth;
	backend_start(&backend, target, 1, NULL);
	guest_start(&guest, backend_socket(&backend, 0), &shape);
	client_connect(&client, backend.port);
	clients_meet(&client, 1, &guest);
	stream.pid = backend.pid;
	stream_output(&stream, &guest, &client);
	client_close(&client);
	guest_stop(&guest);
	backend_stop(&backend);

	if (bench_missed(experiment->bench, experiment->variant, client.missed))
		return;
	experiment_add_stream(experiment, result, &stream);
}

void scenario_output(struct bench *bench)
{
	experiment_run_sizes(bench, "output", "guest to client, buffers queued deep", measure_floor,
	                     measure);
}
