/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Many guests in one backend, all brought up by this one process, one after the other.
 *
 * - "up ms": from the first connect to the last guest's receive buffers posted; the bench's own
 *   work (memory, rings) is in it.
 * - per further guest: what the process with all guests has more than one with one guest, divided
 *   by the guests that are more; guests are up and idle, without clients. Memory is private pages
 *   and page tables; memory of the kernel (sockets, files, io_uring) isn't in it.
 * - idle: processor time and voluntary context switches while nothing happens.
 * - rate: all guests transmit all they can, 16 buffers of 4 KiB each, to a client each; all of it
 *   arrives at this one thread, which goes round over guests and ready clients. Jain's index and
 *   the slowest guest are of the bytes that arrived at each client in the window, which is at least
 *   3 ms a guest long.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "experiment.h"
#include "machine.h"
#include "stream.h"

enum {
	SCALE_BYTES = 4096,
	SCALE_DEPTH = 16,
	FILES_A_GUEST = 8, /* of this process: 2 sockets, the client's, 4 eventfds, 1 spare */
	READY_MAX = 256,
};

struct member {
	struct guest guest;
	struct client client;
	struct pattern pattern;
	uint64_t at_open; /* bytes that had arrived when the window opened */
	uint64_t in_window;
};

struct crowd {
	struct member *member;
	unsigned int count;
	int epoll;
	uint64_t sent, arrived;
};

static const struct guest_shape shape = {
    .transmit_size = SCALE_BYTES,
    .transmit_depth = SCALE_DEPTH,
    .receive_size = SCALE_BYTES,
    .receive_depth = SCALE_DEPTH,
};

/* ---- bring-up and idling ---- */

static struct process_size size_with_one(const struct target *target)
{
	struct process_size size;
	struct backend backend;
	struct guest guest;

	backend_start(&backend, target, 1, NULL);
	guest_start(&guest, backend_socket(&backend, 0), &shape);
	size = process_size(backend.pid);
	guest_stop(&guest);
	backend_stop(&backend);
	return size;
}

static double each_further(uint64_t all, uint64_t one, unsigned int count)
{
	return ((double)all - (double)one) / (count - 1);
}

static void measure_size(const struct backend *backend, const struct target *target,
                         unsigned int count, const struct process_size *one, struct result *result)
{
	struct process_size size = process_size(backend->pid);

	if (!size.threads)
		return;
	result_add(result, METRIC_THREADS, size.threads);
	result_add(result, METRIC_PRIVATE, (double)size.private_bytes);
	if (count == 1 || !target->command)
		return;
	result_add(result, METRIC_FDS_GUEST, each_further(size.fds, one->fds, count));
	result_add(result, METRIC_PRIVATE_GUEST,
	           each_further(size.private_bytes, one->private_bytes, count));
	result_add(result, METRIC_TABLES_GUEST,
	           each_further(size.page_table_bytes, one->page_table_bytes, count));
}

static void measure_idling(const struct backend *backend, double seconds, struct result *result)
{
	struct process_usage usage = process_usage(backend->pid);
	struct timespec span = {
	    .tv_sec = (time_t)seconds,
	    .tv_nsec = (long)((seconds - floor(seconds)) * 1e9),
	};

	if (!backend->pid)
		return;
	nanosleep(&span, NULL);
	usage = process_since(backend->pid, &usage);
	result_add(result, METRIC_IDLE_CPU, (double)usage.cpu_ns / 1e9 / seconds);
	result_add(result, METRIC_IDLE_WAKEUPS, (double)usage.voluntary / seconds);
}

/* ---- all at once ---- */

static void connect_clients(struct crowd *crowd, const struct backend *backend)
{
	unsigned int i;

	crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (i = 0; i < crowd->count; i++) {
		struct member *member = &crowd->member[i];
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = member};

		client_connect(&member->client, backend->port + i);
		clients_meet(&member->client, 1, &member->guest);
		if (epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, member->client.sock, &event) < 0)
			bench_fail("epoll: %s", strerror(errno));
	}
}

static void transmit_round(struct crowd *crowd)
{
	unsigned int i, n;

	for (i = 0; i < crowd->count; i++) {
		struct member *member = &crowd->member[i];

		guest_reap(&member->guest);
		n = guest_transmit(&member->guest, &member->pattern, SCALE_BYTES);
		crowd->sent += (uint64_t)n * SCALE_BYTES;
	}
}

static void receive_round(struct crowd *crowd)
{
	struct epoll_event ready[READY_MAX];
	int i, count = epoll_wait(crowd->epoll, ready, READY_MAX, 0);

	for (i = 0; i < count; i++) {
		struct member *member = ready[i].data.ptr;
		uint64_t before = member->client.expected.total;

		client_drain(&member->client);
		crowd->arrived += member->client.expected.total - before;
	}
}

static void note_members(struct crowd *crowd, enum stream_moment moment)
{
	unsigned int i;

	for (i = 0; i < crowd->count; i++) {
		struct member *member = &crowd->member[i];

		if (moment == STREAM_OPENS)
			member->at_open = member->client.expected.total;
		else
			member->in_window = member->client.expected.total - member->at_open;
	}
}

static void add_fairness(const struct crowd *crowd, struct result *result)
{
	double sum = 0, squares = 0, least = INFINITY;
	unsigned int i;

	for (i = 0; i < crowd->count; i++) {
		double bytes = (double)crowd->member[i].in_window;

		sum += bytes;
		squares += bytes * bytes;
		least = bytes < least ? bytes : least;
	}
	if (sum == 0)
		return;
	result_add(result, METRIC_JAIN, sum * sum / (crowd->count * squares));
	result_add(result, METRIC_SLOWEST, least * crowd->count / sum);
}

static void transmit_all(struct crowd *crowd, double seconds, struct result *result)
{
	struct stream_window window;
	enum stream_moment moment;

	stream_window_init(&window, seconds);
	do {
		transmit_round(crowd);
		receive_round(crowd);
		moment = stream_window_look(&window, crowd->arrived);
		if (moment == STREAM_OPENS || moment == STREAM_CLOSES)
			note_members(crowd, moment);
	} while (moment != STREAM_OVER);
	while (crowd->arrived < crowd->sent) {
		receive_round(crowd);
		stream_window_look(&window, crowd->arrived);
	}
	result_add(result, METRIC_RATE, stream_window_rate(&window));
	add_fairness(crowd, result);
}

static uint64_t disconnect_clients(struct crowd *crowd)
{
	uint64_t missed = 0;
	unsigned int i;

	close(crowd->epoll);
	for (i = 0; i < crowd->count; i++) {
		missed += crowd->member[i].client.missed;
		client_close(&crowd->member[i].client);
	}
	return missed;
}

/* ---- the whole ---- */

/* Long against the buffers between a guest and its client, which the first rounds fill. */
static double seconds_for(const struct bench *bench, unsigned int count)
{
	double least = 0.003 * count;

	return bench->check || bench->seconds > least ? bench->seconds : least;
}

static void measure(struct experiment *experiment, const struct target *target,
                    struct result *result)
{
	struct crowd crowd = {.count = experiment->way};
	struct process_size one = {0};
	struct backend backend;
	uint64_t begin;
	unsigned int i;

	crowd.member = calloc(crowd.count, sizeof(crowd.member[0]));
	if (!crowd.member)
		bench_fail("out of memory for %u guests", crowd.count);
	if (target->command)
		one = size_with_one(target);
	backend_start(&backend, target, crowd.count, NULL);
	begin = machine_now_ns();
	for (i = 0; i < crowd.count; i++)
		guest_start(&crowd.member[i].guest, backend_socket(&backend, i), &shape);
	result_add(result, METRIC_BRINGUP, (double)(machine_now_ns() - begin) / 1e6);
	measure_size(&backend, target, crowd.count, &one, result);
	measure_idling(&backend, experiment->bench->idle_seconds, result);
	connect_clients(&crowd, &backend);
	transmit_all(&crowd, seconds_for(experiment->bench, crowd.count), result);
	bench_missed(experiment->bench, experiment->variant, disconnect_clients(&crowd));
	for (i = 0; i < crowd.count; i++)
		guest_stop(&crowd.member[i].guest);
	backend_stop(&backend);
	free(crowd.member);
}

static bool is_possible(struct bench *bench, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < bench->targets; i++)
		if (!target_has(&bench->target[i], count))
			return false;
	if (machine_raise_files((uint64_t)count * FILES_A_GUEST + 100) >=
	    (uint64_t)count * FILES_A_GUEST + 100)
		return true;
	report_note(bench->report, "%u guests: too few open files are allowed (ulimit -n)", count);
	return false;
}

void scenario_scale(struct bench *bench)
{
	unsigned int i;

	report_begin(bench->report, "scale", "many guests");
	for (i = 0; i < bench->guest_counts; i++) {
		struct experiment experiment = {
		    .bench = bench, .way = bench->guests[i], .measure = measure};

		snprintf(experiment.variant, sizeof(experiment.variant), "%u guest%s",
		         experiment.way, experiment.way == 1 ? "" : "s");
		if (is_possible(bench, experiment.way))
			experiment_run(&experiment);
	}
	report_end(bench->report);
}
