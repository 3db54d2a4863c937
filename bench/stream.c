/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "stream.h"

#include "bench.h"
#include "machine.h"
#include "support.h"

/* ---- the window ---- */

void stream_window_init(struct stream_window *window, double seconds)
{
	uint64_t now = machine_now_ns();
	uint64_t length = (uint64_t)(seconds * 1e9);

	*window = (struct stream_window){
	    .opens_ns = now + length / 10,
	    .closes_ns = now + length / 10 + length,
	    .moved_ns = now,
	};
}

static void check_progress(struct stream_window *window, uint64_t now, uint64_t bytes)
{
	if (bytes != window->moved_bytes) {
		window->moved_bytes = bytes;
		window->moved_ns = now;
	} else if (now - window->moved_ns > support_deadline_ms() * 1000000) {
		bench_fail("nothing has arrived for %llu ms, after %llu bytes",
		           (unsigned long long)support_deadline_ms(), (unsigned long long)bytes);
	}
}

enum stream_moment stream_window_look(struct stream_window *window, uint64_t bytes)
{
	uint64_t now = machine_now_ns();

	check_progress(window, now, bytes);
	if (!window->opened_ns && now >= window->opens_ns) {
		window->opened_ns = now;
		window->bytes_at_open = bytes;
		return STREAM_OPENS;
	}
	if (window->opened_ns && !window->closed_ns && now >= window->closes_ns) {
		window->closed_ns = now;
		window->bytes_at_close = bytes;
		return STREAM_CLOSES;
	}
	return window->closed_ns ? STREAM_OVER : STREAM_GOES_ON;
}

double stream_window_seconds(const struct stream_window *window)
{
	return (double)(window->closed_ns - window->opened_ns) / 1e9;
}

double stream_window_rate(const struct stream_window *window)
{
	return (double)(window->bytes_at_close - window->bytes_at_open) /
	       stream_window_seconds(window);
}

/* What is done when the window opens and closes; true when it is over. */
static bool look(struct stream *stream, struct stream_window *window, uint64_t bytes,
                 const struct ring *ring)
{
	switch (stream_window_look(window, bytes)) {
	case STREAM_OPENS:
		stream->usage = process_usage(stream->pid);
		stream->kicks = (double)ring->kicks;
		return false;
	case STREAM_CLOSES:
		stream->usage = process_since(stream->pid, &stream->usage);
		stream->window = stream_window_seconds(window);
		stream->rate = stream_window_rate(window);
		stream->bytes = stream->rate * stream->window;
		stream->kicks = ((double)ring->kicks - stream->kicks) / stream->window;
		return false;
	case STREAM_OVER:
		return true;
	default:
		return false;
	}
}

/* ---- output ---- */

/* How far the slowest client is. */
static uint64_t drain_all(struct stream *stream, struct client *client)
{
	uint64_t least = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < stream->clients; i++) {
		client_drain(&client[i]);
		if (client[i].expected.total < least)
			least = client[i].expected.total;
	}
	return least;
}

void stream_output(struct stream *stream, struct guest *guest, struct client *client)
{
	struct pattern pattern = {0};
	struct stream_window window;
	uint64_t arrived = 0;
	bool over = false;

	stream_window_init(&window, stream->seconds);
	while (!over || arrived < pattern.total) {
		guest_reap(guest);
		if (!over)
			guest_transmit(guest, &pattern, stream->size);
		if (arrived < pattern.total)
			arrived = drain_all(stream, client);
		over = look(stream, &window, arrived, &guest->transmit);
	}
}

/* ---- input ---- */

/* Takes what has come, checks it, gives the buffers back; how many bytes. */
static size_t take_input(struct guest *guest, struct pattern *expected)
{
	struct ring *ring = &guest->receive;
	unsigned int i, count = ring_ready(ring);
	size_t total = 0;

	for (i = 0; i < count; i++) {
		const uint8_t *bytes = ring_buffer(ring, ring->taken);
		uint32_t len = ring_take(ring);

		if (!pattern_matches(expected, bytes, len))
			bench_fail("wrong input in a buffer of %u bytes after byte %llu", len,
			           (unsigned long long)expected->total);
		total += len;
		ring_push(ring, ring->buffer_size);
	}
	if (count)
		ring_publish(ring);
	return total;
}

void stream_input(struct stream *stream, struct guest *guest, struct client *client)
{
	struct pattern expected = {0};
	struct stream_window window;
	bool over = false;

	stream_window_init(&window, stream->seconds);
	while (!over || expected.total < client->sent.total) {
		take_input(guest, &expected);
		if (!over)
			client_feed(client);
		over = look(stream, &window, expected.total, &guest->receive);
	}
}
