/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Waiting for the call instead of spinning: one buffer of 16 bytes, kick, sleep until the backend's
 * call, as a driver that gives its processor away. No client. Both sides have gone to sleep before
 * each half, so this is two wake-ups and the system calls around them; the floor is that alone, two
 * threads with an eventfd each way.
 */
#include "experiment.h"
#include "floors.h"
#include "machine.h"
#include "stream.h"
#include "waiting.h"

enum {
	WAIT_BYTES = 16,
};

static void measure_floor(struct experiment *experiment, struct result *result)
{
	struct histogram times = {0};

	floor_eventfd(&times, experiment->bench->operations / 10);
	experiment->floor = histogram_percentile(&times, 0.5);
	experiment_add_times(experiment, result, &times);
}

/*
 * The check before sleeping would find a buffer that a fast backend has returned already: then the
 * call is still to be waited for, it is what is measured.
 */
static void transmit_one(struct guest *guest, struct pattern *pattern)
{
	struct ring *ring = &guest->transmit;

	pattern_fill(pattern, ring_buffer(ring, ring->avail), WAIT_BYTES);
	ring_push(ring, WAIT_BYTES);
	ring_publish(ring);
	do
		waiting_for_eventfd(ring->call);
	while (!ring_ready(ring));
	ring_take(ring);
}

static void measure(struct experiment *experiment, const struct target *target,
                    struct result *result)
{
	struct guest_shape shape = guest_shape(64, 4096, false);
	uint64_t count = experiment->bench->operations / 10, i, begin, first, end;
	struct pattern pattern = {0};
	struct histogram times = {0};
	struct process_usage usage;
	struct backend backend;
	struct guest guest;

	backend_start(&backend, target, 1, NULL);
	guest_start(&guest, backend_socket(&backend, 0), &shape);
	waiting_begin(&guest.transmit);
	for (i = 0; i < count / 10; i++)
		transmit_one(&guest, &pattern);
	usage = process_usage(backend.pid);
	begin = first = machine_now_ns();
	for (i = 0; i < count; i++, begin = end) {
		transmit_one(&guest, &pattern);
		end = machine_now_ns();
		histogram_add(&times, end - begin);
	}
	usage = process_since(backend.pid, &usage);
	result_add(result, METRIC_OPERATIONS, (double)count * 1e9 / (double)(begin - first));
	experiment_add_times(experiment, result, &times);
	experiment_add_usage(result, &usage, 0, (double)count, (double)(begin - first) / 1e9);
	guest_stop(&guest);
	backend_stop(&backend);
}

void scenario_wait(struct bench *bench)
{
	struct experiment experiment = {
	    .bench = bench,
	    .variant = "16 B",
	    .measure_floor = measure_floor,
	    .measure = measure,
	};

	report_begin(bench->report, "wait", "16 bytes, kick, wait for the call");
	experiment_run(&experiment);
	report_end(bench->report);
}
