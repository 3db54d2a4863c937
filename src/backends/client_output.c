/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/client_impl.h"

#include "backends/peer.h"
#include "base/macros.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * The most a client is sent in one piece: clients take turns. As much as a pump takes and as a ring
 * usually holds: half of it costs large output a sixth of its throughput.
 */
#define SEND_BYTES (256u * 1024)

size_t client_mark(const struct client_set *set, char line[CLIENT_LINE_BYTES], const char *text)
{
	int n = 0;

	/* A data port's bytes are the guest's alone. */
	if (!set->port->data)
		n = snprintf(line, CLIENT_LINE_BYTES, "\r\n[vhost-user-console: %s]\r\n", text);
	return MIN((size_t)n, CLIENT_LINE_BYTES - 1u);
}

/* Before the stage is filled: what is said comes as soon as it can. */
static void add_notice(struct client *client)
{
	char line[CLIENT_LINE_BYTES];

	if (client->notice &&
	    stage_append(client->stage, line, client_mark(client->set, line, client->notice)))
		client->notice = NULL;
}

static size_t stage_left(const struct client *client)
{
	void *bytes;

	return stage_rest(client->stage, &bytes);
}

/* What comes while the lines of the one before are on their way is told after them. */
static void add_lines(struct client *client)
{
	char line[READER_GAP_LINE_MAX], unread[READER_UNREAD_LINE_MAX];
	uint64_t gap;

	if (stage_left(client) > 0)
		return;
	stage_append(client->stage, unread, reader_take_unread_line(&client->reader, unread));
	gap = reader_take_gap(&client->reader);
	if (gap > 0)
		stage_append(client->stage, line, reader_gap_line(line, gap));
}

/* What is to be sent next: the rest of the stage, then, of a raw client, the ring's bytes. */
static unsigned int gather(struct client *client)
{
	struct iovec *rest = &client->iov[0];
	unsigned int n;

	add_notice(client);
	if (client->telnet && !client->leaving)
		stage_fill(client->stage);
	else if (!client->leaving)
		add_lines(client);
	rest->iov_len = stage_rest(client->stage, &rest->iov_base);
	n = rest->iov_len > 0 ? 1 : 0;
	if (!client->telnet && !client->leaving && !reader_has_gap(&client->reader))
		n += reader_spans(&client->reader, SEND_BYTES, &client->iov[n]);
	return n;
}

static bool has_output(const struct client *client)
{
	return client->notice || stage_left(client) > 0 ||
	       (!client->leaving && reader_has_news(&client->reader));
}

/*
 * All is said. What it has sent and wasn't read would make close() a reset, which may overtake
 * what it was told: so it closes first, if it does so soon.
 */
static void end_leaving(struct client *client)
{
	if (client->half_closed)
		client_close(client, NULL);
	else
		shutdown(client->fd, SHUT_WR);
}

/* Sends without waiting: a send that waits would read a ring that has moved on meanwhile. */
static void on_flush(struct loop_task *task)
{
	struct client *client = container_of(task, struct client, flush);
	unsigned int n = gather(client);

	if (n == 0) {
		if (client->leaving)
			end_leaving(client);
		return;
	}
	client->msg = (struct msghdr){.msg_iov = client->iov, .msg_iovlen = n};
	if (!client->telnet)
		reader_sending(&client->reader);
	loop_arm_sendmsg(&client->send, client->fd, &client->msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Whether it may be sent output now: to one that may be gone it goes a piece at a time. */
static bool is_served(const struct client *client)
{
	if (!client->set->port->data || client->leaving)
		return true;
	if (client->reader.on_trial)
		return client->reader.buffered == 0;
	return client->presence == CLIENT_STAYS;
}

void client_wake(struct client *client)
{
	if (!client_is_closing(client) && is_served(client) && !client->send.armed &&
	    !client_waits_for_room(client))
		reader_flush(&client->reader, &client->flush);
}

static void wake_reader(struct reader *reader)
{
	client_wake(container_of(reader, struct client, reader));
}

void client_tell(struct client *client, const char *text)
{
	client->notice = text;
	client_wake(client);
}

void client_end_output(struct client *client)
{
	/* The bytes of a send that is on its way must stay: then it ends with that. */
	if (client->send.armed)
		reader_abandon(&client->reader);
	else
		reader_deinit(&client->reader);
}

static void on_room(struct loop_room *room)
{
	struct client *client = container_of(room, struct client, room);

	reader_set_blocked(&client->reader, false);
	client_wake(client);
}

static void take_sent(struct client *client, size_t sent)
{
	size_t of_stage = MIN(sent, stage_left(client));

	stage_delivered(client->stage, of_stage);
	if (!client->telnet)
		reader_sent(&client->reader, sent - of_stage);
}

static void wait_for_room(struct client *client)
{
	reader_set_blocked(&client->reader, true);
	loop_room_await(&client->room, client->fd);
	client_set_look_later(client->set);
}

static void on_sent(struct loop_op *op, int32_t res)
{
	struct client *client = container_of(op, struct client, send);

	if (loop_is_shortage(res) && !client_is_closing(client)) {
		loop_arm_again(op);
		return;
	}
	take_sent(client, (size_t)MAX(res, 0));
	client_stay_later(client);
	if (res > 0)
		loop_room_progress(&client->room);
	if (client_is_closing(client))
		return;
	if (client->leaving)
		client_end_output(client);
	if (res == -EAGAIN)
		wait_for_room(client);
	else if (res < 0 && res != -EINTR)
		client_close(client, strerror(-res));
	else if (has_output(client) || client->leaving)
		client_wake(client);
}

static uint64_t queued(struct reader *reader)
{
	return peer_queued(container_of(reader, struct client, reader)->fd);
}

void client_output_init(struct client *client)
{
	reader_init(&client->reader, output_of(client->set->port), wake_reader);
	client->reader.queued = queued;
	/* On a data port it has no place among the readers until it stays. */
	client->reader.lagging = client->set->port->data;
	reader_make_terminal(&client->reader, byte_ring_head(&client->set->port->output));
	stage_init(&client->lines, &client->reader, client->line_bytes, sizeof(client->line_bytes));
	client->stage = &client->lines;
	loop_room_init(&client->room, &client->scope, on_room);
	loop_op_init(&client->send, &client->scope, on_sent);
	loop_task_init(&client->flush, on_flush);
}
