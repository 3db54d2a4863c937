/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Throughput: one thread plays guest and clients by turns, without ever waiting, so that it takes
 * no wake-ups and neither half waits for the other's processor. It counts bytes that have arrived
 * and been checked in a window of time that opens after a tenth of the run; then it lets
 * everything arrive that was sent, to the last byte.
 */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include "client.h"
#include "process.h"

struct stream {
	double seconds; /* how long to measure */
	uint32_t size;  /* bytes of a buffer */
	pid_t pid;      /* the backend */
	unsigned int clients;

	/* The result. */
	double rate; /* bytes a second, at the first client */
	double bytes;
	double window; /* seconds it really was */
	double kicks;
	struct process_usage usage; /* of the backend, in the window */
};

/* Guest to clients, who have met the guest (all of them get all bytes). */
void stream_output(struct stream *stream, struct guest *guest, struct client *client);

/* First client to guest. They have met for input. */
void stream_input(struct stream *stream, struct guest *guest, struct client *client);

/* The window of time, also for floors. */
struct stream_window {
	uint64_t opens_ns, closes_ns;
	uint64_t opened_ns, closed_ns; /* when it really did; 0: not yet */
	uint64_t bytes_at_open, bytes_at_close;
	uint64_t moved_ns, moved_bytes; /* the last progress */
};

void stream_window_init(struct stream_window *window, double seconds);
/* To be called all the time, with the bytes so far. Ends the bench if nothing moves any more. */
enum stream_moment {
	STREAM_GOES_ON,
	STREAM_OPENS,
	STREAM_CLOSES,
	STREAM_OVER,
} stream_window_look(struct stream_window *window, uint64_t bytes);

/* Bytes a second of a closed window. */
double stream_window_rate(const struct stream_window *window);
double stream_window_seconds(const struct stream_window *window);

#endif
