/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/output.h"

#include "base/macros.h"

#include <assert.h>
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

struct output *output_of(struct backend_port *port)
{
	return container_of(port, struct output, port);
}

/* A reader that the ring has overtaken goes on with the oldest byte that is kept. */
static void catch_up(struct reader *reader)
{
	uint64_t tail = byte_ring_tail(ring_of(reader->output));

	if (reader->pos < tail) {
		reader->missed += tail - reader->pos;
		reader->pos = tail;
		reader->cut = true;
	}
}

uint64_t reader_pending(const struct reader *reader)
{
	return byte_ring_head(ring_of(reader->output)) - reader->pos;
}

bool reader_has_news(const struct reader *reader)
{
	return reader_pending(reader) > 0 || reader->missed > 0 || reader->unread > 0;
}

void reader_flush(struct reader *reader, struct loop_task *flush)
{
	if (reader_pending(reader) >= OUTPUT_GATHER_BYTES)
		loop_flush(loop_of(reader->output), flush);
	else
		loop_gather(loop_of(reader->output), flush);
}

/* Room. */

/* The first byte that has to stay for the reader, if the device waits for who makes progress. */
static uint64_t holds_from(const struct reader *reader, bool wait)
{
	/* What it has in its buffer only may have to be given to the next one. */
	if (reader->patient && reader->output->port.data)
		return reader->pos - reader->buffered;
	return wait && !reader->lagging ? reader->pos : UINT64_MAX;
}

/* How many bytes can be written without touching what is being sent or, with `wait`, waited for. */
static size_t measure_room(struct output *output, bool wait)
{
	const struct byte_ring *ring = ring_of(output);
	uint64_t keep = byte_ring_head(ring);
	bool attended = !output->port.data || output->port.dropping;

	list_for_each (link, &output->readers) {
		struct reader *reader = reader_at(link);

		catch_up(reader);
		attended |= reader->patient;
		if (reader->sending)
			keep = MIN(keep, reader->sending_from);
		keep = MIN(keep, holds_from(reader, wait));
	}
	if (!attended)
		keep = MIN(keep, output->port.delivered);
	/* What is being sent may be older than the tail if it was given up meanwhile. */
	return ring->size - (size_t)MIN(byte_ring_head(ring) - keep, ring->size);
}

static void arm_patience(struct output *output, uint64_t ms)
{
	struct loop_op *op = &output->patience.op;

	if (!op->armed && !op->scope->closing)
		loop_timer_arm(&output->patience, ms);
}

/* While the device waits, somebody may have to be judged. */
static void judge_later(struct output *output, uint64_t ms)
{
	if (output->wanted > 0)
		arm_patience(output, ms);
}

static size_t output_room(struct backend_port *port, size_t wanted)
{
	struct output *output = output_of(port);
	size_t room = measure_room(output, true);

	if (room < wanted && output->wanted == 0)
		output->waiting_since = loop_now_ms(loop_of(output));
	output->wanted = room < wanted ? wanted : 0;
	judge_later(output, OUTPUT_PATIENCE_MS);
	return room;
}

static size_t output_reclaim(struct backend_port *port)
{
	return measure_room(output_of(port), false);
}

/* The device waits for room: tells it when there is. */
static void release_if_room(struct output *output)
{
	if (output->wanted == 0 || measure_room(output, true) < output->wanted)
		return;
	output->wanted = 0;
	output->port.device->pump(output->port.device);
}

/* Patience. */

static bool has_something_left(const struct reader *reader)
{
	return reader_has_news(reader) || reader->buffered > 0;
}

/* For how many ms more the reader is waited for, since `since`; 0 if it isn't any more. */
static uint64_t patience_left(const struct reader *reader, uint64_t since, uint64_t patience_ms)
{
	uint64_t idle = loop_now_ms(loop_of(reader->output)) - MAX(reader->progress_ms, since);

	return idle < patience_ms ? patience_ms - idle : 0;
}

/* A socket may hold megabytes, and says that it has room only when a good part of them is gone. */
static void look_for_progress(struct reader *reader)
{
	uint64_t before = reader->queued_before;

	if (!reader->queued)
		return;
	reader->queued_before = reader->queued(reader);
	if (reader->queued_before < before)
		reader->progress_ms = loop_now_ms(loop_of(reader->output));
}

/*
 * A reader lags only if it can't be sent anything: one whose socket takes bytes again will be sent
 * some in this turn, however late this process has come to it.
 */
static void judge_waiting(struct output *output)
{
	uint64_t next = OUTPUT_PATIENCE_MS;
	bool impatient = false;

	list_for_each (link, &output->readers) {
		struct reader *reader = reader_at(link);
		uint64_t left;

		/* One that has all of it holds nothing up. */
		if (reader->lagging || reader->patient || !reader_pending(reader))
			continue;
		impatient = true;
		if (!reader->blocked)
			continue;
		look_for_progress(reader);
		left = patience_left(reader, output->waiting_since, OUTPUT_PATIENCE_MS);
		reader->lagging = left == 0;
		next = left > 0 ? MIN(next, left) : next;
	}
	release_if_room(output);
	if (impatient)
		judge_later(output, next);
}

static void judge_finishing(struct output *output)
{
	uint64_t since = output->finishing_since;
	uint64_t passed = loop_now_ms(loop_of(output)) - since;
	void (*finished)(struct output *) = output->finished;

	list_for_each (link, &output->readers) {
		struct reader *reader = reader_at(link);

		if (has_something_left(reader) && passed < OUTPUT_FINISH_TOTAL_MS &&
		    patience_left(reader, since, OUTPUT_FINISH_MS) > 0) {
			arm_patience(output, OUTPUT_PATIENCE_MS);
			return;
		}
	}
	output->finished = NULL;
	finished(output);
}

static void on_judge(struct loop_task *task)
{
	struct output *output = container_of(task, struct output, judge);

	if (output->finished)
		judge_finishing(output);
	else if (output->wanted > 0)
		judge_waiting(output);
}

static void on_patience(struct loop_op *op, int32_t res)
{
	struct output *output = container_of(op, struct output, patience.op);

	(void)res; /* early or late, it is the clock that counts */
	/* Not here: what else has completed in this turn counts too. */
	if (!op->scope->closing)
		loop_work(loop_of(output), &output->judge);
}

static void on_dropped(struct backend_port *port)
{
	port->dropping = false;
	port->delivered = byte_ring_head(&port->output);
}

void output_drop_tail(struct output *output)
{
	struct backend_port *port = &output->port;

	if (!port->data || port->tail == TAIL_KEEP || port->dropping)
		return;
	port->dropping = true;
	if (port->device->left)
		port->device->left(port->device);
	else
		port->dropped(port);
	release_if_room(output);
}

void output_init(struct output *output, struct loop_scope *scope)
{
	output->port.room = output_room;
	output->port.reclaim = output_reclaim;
	output->port.dropped = on_dropped;
	output->port.dropping = false;
	output->wanted = 0;
	output->port.delivered = byte_ring_tail(ring_of(output));
	output->finished = NULL;
	list_init(&output->readers);
	loop_timer_init(&output->patience, scope, on_patience);
	loop_task_init(&output->judge, on_judge);
}

void output_wake(struct output *output)
{
	list_for_each_safe (link, &output->readers) {
		struct reader *reader = reader_at(link);

		catch_up(reader);
		if (reader_has_news(reader))
			reader->wake(reader);
	}
}

void output_finish(struct output *output, void (*finished)(struct output *output))
{
	output->finished = finished;
	output->finishing_since = loop_now_ms(loop_of(output));
	output_wake(output);
	/* If it is armed for a waiting device, it goes on with this. */
	arm_patience(output, 0);
}

bool output_cancel_finish(struct output *output)
{
	bool was = output->finished;

	output->finished = NULL;
	return was;
}

/* Readers. */

void reader_init(struct reader *reader, struct output *output, void (*wake)(struct reader *reader))
{
	*reader = (struct reader){
	    .output = output,
	    .progress_ms = loop_now_ms(loop_of(output)),
	    .wake = wake,
	};
	catch_up(reader);
	list_append(&output->readers, &reader->link);
	judge_later(output, OUTPUT_PATIENCE_MS);
}

void reader_make_patient(struct reader *reader)
{
	assert(!reader->output->port.dropping);
	reader->patient = true;
	reader->lagging = false;
	if (!reader->output->port.data)
		return;
	reader->pos = reader->output->port.delivered;
	reader->missed = 0;
	reader->begins_by = byte_ring_head(ring_of(reader->output));
}

void reader_make_terminal(struct reader *reader, uint64_t came_at)
{
	if (reader->output->port.data)
		return;
	reader->terminal = true;
	replay_init(&reader->replay, reader->pos, came_at);
}

/* Before it is told of a gap, which it goes on behind: what is left out for that is in it. */
static void find_beginning(struct reader *reader)
{
	uint64_t pos;

	if (!reader->cut || !reader->terminal)
		return;
	pos = replay_find_beginning(ring_of(reader->output), reader->pos);
	reader->missed += pos - reader->pos;
	reader->pos = pos;
	reader->cut = false;
}

/* What was still on its way to another one when it came may be delivered by now. */
static void begin(struct reader *reader)
{
	uint64_t pos = MIN(reader->output->port.delivered, reader->begins_by);

	if (reader->pos >= pos)
		return;
	reader->pos = pos;
	release_if_room(reader->output);
}

/* What a patient reader has in its hands counts, what it only took into its buffer doesn't. */
static void count_delivered(struct reader *reader)
{
	struct output *output = reader->output;

	if (reader->patient)
		output->port.delivered =
		    MAX(output->port.delivered, reader->pos - reader->buffered);
}

void reader_deinit(struct reader *reader)
{
	count_delivered(reader);
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

void output_tell_unread(struct output *output, uint64_t len)
{
	if (output->port.data)
		return;
	list_for_each (link, &output->readers) {
		if (!reader_at(link)->quiet)
			reader_at(link)->unread += len;
	}
	output_wake(output);
}

size_t reader_take_unread_line(struct reader *reader, char line[READER_UNREAD_LINE_MAX])
{
	uint64_t unread = reader->unread;

	reader->unread = 0;
	if (unread == 0)
		return 0;
	return (size_t)snprintf(
	    line, READER_UNREAD_LINE_MAX,
	    "\r\n[vhost-user-console: %" PRIu64
	    " bytes typed before were not read by the guest and are dropped]\r\n",
	    unread);
}

bool reader_has_gap(struct reader *reader)
{
	catch_up(reader);
	find_beginning(reader);
	return reader->missed > 0;
}

uint64_t reader_take_gap(struct reader *reader)
{
	uint64_t gap;

	catch_up(reader);
	find_beginning(reader);
	gap = reader->missed;
	reader->missed = 0;
	/* Those for whom a data port loses nothing get the guest's bytes and no others. */
	return reader->patient && reader->output->port.data ? 0 : gap;
}

/* It has passed bytes that aren't for it, and nothing is sent that would tell of the progress. */
static void passed(struct reader *reader)
{
	if (reader_pending(reader) > 0)
		reader->wake(reader);
	else
		reader->lagging = false;
	release_if_room(reader->output);
}

unsigned int reader_spans(struct reader *reader, size_t len, struct iovec ret_spans[2])
{
	unsigned int n;
	uint64_t pos;

	catch_up(reader);
	begin(reader);
	pos = reader->pos;
	if (reader->terminal)
		len = replay_next(&reader->replay, ring_of(reader->output), &reader->pos, len);
	n = byte_ring_spans(ring_of(reader->output), reader->pos, len, ret_spans);
	if (n == 0 && reader->pos > pos)
		passed(reader);
	return n;
}

void reader_sending(struct reader *reader)
{
	reader->sending = true;
	reader->begins_by = 0;
	reader->sending_from = reader->pos;
}

void reader_sent(struct reader *reader, size_t len)
{
	/* It may have been overtaken meanwhile: what was sent isn't missed then. */
	uint64_t sent_to = reader->sending_from + len;

	if (reader->sending && reader->pos > reader->sending_from) {
		uint64_t twice = MIN(sent_to, reader->pos) - reader->sending_from;

		reader->missed -= MIN(reader->missed, twice);
		reader->cut = reader->missed > 0;
		len -= (size_t)twice;
	}
	reader->sending = false;
	reader_taken(reader, len);
	if (len > 0 && !reader->on_trial)
		reader_delivered(reader, true);
}

void reader_delivered(struct reader *reader, bool all)
{
	reader->progress_ms = loop_now_ms(loop_of(reader->output));
	if (all)
		reader->buffered = 0;
	count_delivered(reader);
	release_if_room(reader->output);
}

void reader_taken(struct reader *reader, size_t len)
{
	if (loop_now_ms(loop_of(reader->output)) - reader->progress_ms >= OUTPUT_PATIENCE_MS)
		reader->in_a_row = 0;
	if (len > 0)
		reader->begins_by = 0;
	reader->in_a_row += len;
	reader->pos += len;
	reader->buffered += len;
	if (!reader_pending(reader) || reader->in_a_row >= ring_of(reader->output)->size)
		reader->lagging = false;
	release_if_room(reader->output);
	judge_later(reader->output, OUTPUT_PATIENCE_MS);
}

void reader_set_blocked(struct reader *reader, bool blocked)
{
	reader->blocked = blocked;
	if (blocked && reader->queued)
		reader->queued_before = reader->queued(reader);
}
