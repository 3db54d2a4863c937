/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/output.h"

#include "base/macros.h"

#include <inttypes.h>
#include <stdio.h>

static const struct byte_ring *ring_of(const struct output *output)
{
	return &output->port.output;
}

static struct loop *loop_of(const struct output *output)
{
	return output->patience.op.scope->loop;
}

static struct reader *reader_at(struct list *link)
{
	return container_of(link, struct reader, link);
}

bool reader_pending(const struct reader *reader)
{
	return reader->pos < byte_ring_head(ring_of(reader->output));
}

/* How long the device may write without losing what a reader must still get. */

static size_t measure_room(const struct output *output)
{
	const struct byte_ring *ring = ring_of(output);
	uint64_t keep = byte_ring_head(ring);

	list_for_each (link, &output->readers) {
		const struct reader *reader = reader_at(link);

		if (reader->sending)
			keep = MIN(keep, reader->sending_from);
		if (!reader->lagging)
			keep = MIN(keep, reader->pos);
	}
	return ring->size - (size_t)(byte_ring_head(ring) - keep);
}

static void arm_patience(struct output *output, uint64_t ms)
{
	struct loop_op *op = &output->patience.op;

	if (!op->armed && !op->scope->closing)
		loop_timer_arm(&output->patience, ms);
}

struct output *output_of(struct backend_port *port)
{
	return container_of(port, struct output, port);
}

static size_t output_room(struct backend_port *port)
{
	struct output *output = output_of(port);
	size_t room = measure_room(output);

	if (room == 0 && !output->held) {
		output->held = true;
		output->held_since = loop_now_ms(loop_of(output));
		arm_patience(output, OUTPUT_PATIENCE_MS);
	}
	return room;
}

/* The device was told that there is no room: tells it when there is. */
static void release_if_room(struct output *output)
{
	if (!output->held || measure_room(output) == 0)
		return;
	output->held = false;
	output->port.device->pump(output->port.device);
}

/*
 * Counts as lagging who has made no progress for `patience_ms`. Returns in how many ms the next
 * one's patience ends, 0 if nobody is waited for.
 */
static uint64_t judge_readers(struct output *output, uint64_t patience_ms)
{
	uint64_t now = loop_now_ms(loop_of(output));
	uint64_t next = 0;

	list_for_each (link, &output->readers) {
		struct reader *reader = reader_at(link);
		uint64_t idle = now - MAX(reader->progress_ms, output->held_since);

		if (reader->lagging || reader->patient ||
		    (!reader_pending(reader) && reader->buffered == 0))
			continue;
		if (idle >= patience_ms)
			reader->lagging = true;
		else
			next = next == 0 ? patience_ms - idle : MIN(next, patience_ms - idle);
	}
	return next;
}

static void go_on_finishing(struct output *output)
{
	uint64_t next = judge_readers(output, OUTPUT_FINISH_MS);

	if (next > 0)
		arm_patience(output, MIN(next, OUTPUT_PATIENCE_MS));
	else
		output->finished(output);
}

static void go_on_holding(struct output *output)
{
	uint64_t next = judge_readers(output, OUTPUT_PATIENCE_MS);

	release_if_room(output);
	if (output->held && next > 0)
		arm_patience(output, next);
}

static void on_patience(struct loop_op *op, int32_t res)
{
	struct output *output = container_of(op, struct output, patience.op);

	(void)res; /* early or late, it is the clock that counts */
	if (op->scope->closing)
		return;
	if (output->finished)
		go_on_finishing(output);
	else if (output->held)
		go_on_holding(output);
}

void output_init(struct output *output, struct loop_scope *scope)
{
	output->port.room = output_room;
	output->held = false;
	output->finished = NULL;
	list_init(&output->readers);
	loop_timer_init(&output->patience, scope, on_patience);
}

void output_wake(struct output *output)
{
	list_for_each_safe (link, &output->readers) {
		struct reader *reader = reader_at(link);

		if (reader_pending(reader))
			reader->wake(reader);
	}
}

void output_finish(struct output *output, void (*finished)(struct output *output))
{
	output->finished = finished;
	output->held_since = loop_now_ms(loop_of(output));
	output_wake(output);
	/* If it is armed for a held device, it goes on with this. */
	arm_patience(output, 0);
}

/* Readers. */

void reader_init(struct reader *reader, struct output *output, void (*wake)(struct reader *reader))
{
	*reader = (struct reader){
	    .output = output,
	    .progress_ms = loop_now_ms(loop_of(output)),
	    .wake = wake,
	};
	list_append(&output->readers, &reader->link);
}

void reader_deinit(struct reader *reader)
{
	list_remove(&reader->link);
	release_if_room(reader->output);
}

void reader_abandon(struct reader *reader)
{
	reader->lagging = true;
	release_if_room(reader->output);
}

size_t reader_gap_line(char line[READER_GAP_LINE_MAX], uint64_t gap)
{
	return (size_t)snprintf(line, READER_GAP_LINE_MAX,
	                        "\r\n[vhost-user-console: %" PRIu64 " bytes skipped]\r\n", gap);
}

uint64_t reader_skip_gap(struct reader *reader)
{
	uint64_t tail = byte_ring_tail(ring_of(reader->output));
	uint64_t gap = reader->pos < tail ? tail - reader->pos : 0;

	reader->pos += gap;
	return gap;
}

unsigned int reader_spans(const struct reader *reader, size_t len, struct iovec ret_spans[2])
{
	return byte_ring_spans(ring_of(reader->output), reader->pos, len, ret_spans);
}

void reader_sending(struct reader *reader)
{
	reader->sending = true;
	reader->sending_from = reader->pos;
}

void reader_sent(struct reader *reader, size_t len)
{
	reader->sending = false;
	reader_taken(reader, len);
	if (len > 0)
		reader_delivered(reader, true);
}

void reader_delivered(struct reader *reader, bool all)
{
	reader->progress_ms = loop_now_ms(loop_of(reader->output));
	if (all)
		reader->buffered = 0;
}

void reader_taken(struct reader *reader, size_t len)
{
	reader->pos += len;
	reader->buffered += len;
	if (!reader_pending(reader))
		reader->lagging = false;
	release_if_room(reader->output);
}
