/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/client.h"

#include "backends/telnet_codec.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The most a client is sent in one piece: clients take turns. */
#define SEND_BYTES (128u * 1024)
#define NAME_BYTES 64
/* How often clients are looked at that aren't waited for. */
#define LOOK_MS 5000
/* The most that is received in one piece from a client whose input is decoded. */
#define RECEIVE_BYTES 1024u

struct client {
	struct list link;
	struct client_set *set;
	struct reader reader;
	struct loop_scope scope;
	struct loop_op input; /* waits for input, or while there is no room, for the end only */
	struct loop_op receive;
	struct loop_op room; /* waits until the socket takes output */
	struct loop_op send;
	struct loop_task flush;
	int fd;
	bool readable;    /* there may be input */
	bool half_closed; /* it sends no more */
	bool hung_up;     /* neither way works any more, but input may be left */
	char name[NAME_BYTES];

	struct window window;
	struct telnet_codec_user telnet_user;
	struct telnet_codec *telnet;     /* NULL: raw */
	uint8_t received[RECEIVE_BYTES]; /* what is to be decoded */

	struct msghdr msg;
	struct iovec iov[3]; /* the line below, then one or two pieces of the ring */
	char line[READER_GAP_LINE_MAX];
	size_t line_len, line_sent;
};

static bool is_shortage(int32_t res)
{
	return res == -ENOMEM || res == -ENOBUFS;
}

static bool is_closing(const struct client *client)
{
	return client->scope.closing;
}

/* How many are there who aren't on the way out. */
static void tell_attended(struct client_set *set)
{
	unsigned int attended = 0;

	list_for_each (link, &set->clients)
		attended += !is_closing(container_of(link, struct client, link));
	if (attended == set->port->attended)
		return;
	set->port->attended = attended;
	set->port->device->attended(set->port->device);
}

static void on_drained(struct loop_scope *scope)
{
	struct client *client = container_of(scope, struct client, scope);
	struct client_set *set = client->set;

	reader_deinit(&client->reader);
	telnet_codec_free(client->telnet);
	fd_close(&client->fd);
	list_remove(&client->link);
	free(client);
	set->count--;
	if (set->count == 0)
		set->emptied(set);
}

static void close_client(struct client *client, const char *why)
{
	if (is_closing(client))
		return;
	log_debug("%s: client %s has gone%s%s", client->set->port->name, client->name,
	          why ? ": " : "", why ? why : "");
	loop_task_cancel(&client->flush);
	loop_scope_close(&client->scope);
	reader_abandon(&client->reader);
	window_resize(&client->set->windows, &client->window, 0, 0);
	tell_attended(client->set);
}

/* Clients that aren't waited for. */

static bool is_watched(const struct client *client)
{
	return client->input.armed || client->receive.armed || is_closing(client);
}

static bool has_hung_up(const struct client *client)
{
	struct pollfd pollfd = {.fd = client->fd};

	return poll(&pollfd, 1, 0) == 1 && (pollfd.revents & (POLLERR | POLLHUP));
}

static void look_later(struct client_set *set)
{
	if (!set->look.op.armed && !set->scope->closing)
		loop_timer_arm(&set->look, LOOK_MS);
}

static void on_look(struct loop_op *op, int32_t res)
{
	struct client_set *set = container_of(op, struct client_set, look.op);

	(void)res;
	if (op->scope->closing)
		return;
	list_for_each_safe (link, &set->clients) {
		struct client *client = container_of(link, struct client, link);

		if (is_watched(client))
			continue;
		client->hung_up |= has_hung_up(client);
		/* What it has sent before may still wait for room. */
		if (client->hung_up && !client->readable)
			close_client(client, NULL);
		else
			look_later(set);
	}
}

/* Output. */

/* What is to be sent next: the rest of a line that marks a gap, then the ring's bytes. */
static unsigned int gather_raw(struct client *client)
{
	unsigned int n = 0;
	uint64_t gap;

	/* A gap that comes while the line of the one before is on its way is told after it. */
	if (client->line_sent == client->line_len) {
		gap = reader_take_gap(&client->reader);
		client->line_len = gap > 0 ? reader_gap_line(client->line, gap) : 0;
		client->line_sent = 0;
	}
	if (client->line_sent < client->line_len)
		client->iov[n++] = (struct iovec){
		    client->line + client->line_sent,
		    client->line_len - client->line_sent,
		};
	if (!reader_has_gap(&client->reader))
		n += reader_spans(&client->reader, SEND_BYTES, &client->iov[n]);
	return n;
}

static unsigned int gather_encoded(struct client *client)
{
	struct stage *stage = telnet_codec_stage(client->telnet);
	struct iovec *rest = &client->iov[0];

	stage_fill(stage);
	rest->iov_len = stage_rest(stage, &rest->iov_base);
	return rest->iov_len > 0 ? 1 : 0;
}

/* Sends without waiting: a send that waits would read a ring that has moved on meanwhile. */
static void on_flush(struct loop_task *task)
{
	struct client *client = container_of(task, struct client, flush);
	unsigned int n = client->telnet ? gather_encoded(client) : gather_raw(client);

	if (n == 0)
		return;
	client->msg = (struct msghdr){.msg_iov = client->iov, .msg_iovlen = n};
	if (!client->telnet)
		reader_sending(&client->reader);
	loop_arm_sendmsg(&client->send, client->fd, &client->msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void wake_client(struct reader *reader)
{
	struct client *client = container_of(reader, struct client, reader);

	if (!is_closing(client) && !client->send.armed && !client->room.armed)
		loop_flush(client->set->scope->loop, &client->flush);
}

static void on_room(struct loop_op *op, int32_t res)
{
	struct client *client = container_of(op, struct client, room);

	(void)res; /* an error shows at the next send */
	reader_set_blocked(&client->reader, false);
	wake_client(&client->reader);
}

static void take_sent(struct client *client, size_t sent)
{
	size_t of_line = MIN(sent, client->line_len - client->line_sent);

	if (client->telnet) {
		stage_delivered(telnet_codec_stage(client->telnet), sent);
		return;
	}
	client->line_sent += of_line;
	reader_sent(&client->reader, sent - of_line);
}

static bool has_output(const struct client *client)
{
	if (client->telnet)
		return stage_pending(telnet_codec_stage(client->telnet));
	return client->line_sent < client->line_len || reader_has_news(&client->reader);
}

static void wait_for_room(struct client *client)
{
	reader_set_blocked(&client->reader, true);
	loop_arm_poll(&client->room, client->fd, POLLOUT);
}

static void on_sent(struct loop_op *op, int32_t res)
{
	struct client *client = container_of(op, struct client, send);

	if (is_shortage(res) && !is_closing(client)) {
		loop_arm_again(op);
		return;
	}
	take_sent(client, (size_t)MAX(res, 0));
	if (is_closing(client))
		return;
	if (res == -EAGAIN)
		wait_for_room(client);
	else if (res < 0 && res != -EINTR)
		close_client(client, strerror(-res));
	else if (has_output(client))
		wake_client(&client->reader);
}

/* Input. */

static bool has_room(const struct client_set *set)
{
	return byte_ring_free(&set->port->input) > 0;
}

/*
 * Waits for input, if there is room for it. Who isn't waited for is looked at from time to time
 * instead: a poll for the end of the connection alone would tell again and again of one that is
 * half closed, as io_uring always adds POLLRDHUP to what is asked for.
 */
static void watch(struct client *client)
{
	if (client->input.armed || is_closing(client))
		return;
	if (has_room(client->set) && !client->half_closed && !client->hung_up)
		loop_arm_poll(&client->input, client->fd, POLLIN);
	else
		look_later(client->set);
}

static void on_input(struct loop_op *op, int32_t res)
{
	struct client *client = container_of(op, struct client, input);

	if (is_closing(client))
		return;
	client->hung_up |= res > 0 && (res & (POLLERR | POLLHUP));
	client->readable = true; /* or it is at an end, which the receive tells */
	client_set_receive(client->set);
}

/* What one client may fill of the free room: as much is left for each other that waits. */
static size_t fair_share(const struct client_set *set)
{
	size_t readable = 0;

	list_for_each (link, &set->clients)
		readable += container_of(link, struct client, link)->readable;
	return byte_ring_free(&set->port->input) / MAX(readable, 1) + 1;
}

static void receive(struct client *client)
{
	size_t share = fair_share(client->set);
	void *room;
	size_t len = MIN(byte_ring_room(&client->set->port->input, &room), share);

	if (client->telnet) {
		room = client->received;
		len = MIN(MIN(byte_ring_free(&client->set->port->input), share),
		          sizeof(client->received));
	}
	client->set->receiving = true;
	loop_arm_recv(&client->receive, client->fd, room, len, MSG_DONTWAIT);
}

/* Gives the guest what was received. */
static void take_received(struct client *client, size_t len)
{
	struct backend_port *port = client->set->port;
	bool served = true;

	if (client->telnet)
		served = telnet_codec_receive(client->telnet, client->received, len, &port->input);
	else
		byte_ring_commit(&port->input, len);
	port->device->pump(port->device);
	if (!served)
		close_client(client, "it asks and doesn't listen");
	else if (client->telnet)
		wake_client(&client->reader); /* there may be answers */
}

/* There is nothing more to receive, for now or for ever. */
static void end_of_input(struct client *client, int32_t res)
{
	bool for_now = res == -EAGAIN || res == -EINTR;

	client->readable = false;
	if (res == 0 && !client->half_closed)
		log_debug("%s: client %s sends no more", client->set->port->name, client->name);
	/* Who sends no more may well be gone: nobody's window any more. */
	if (res == 0)
		window_resize(&client->set->windows, &client->window, 0, 0);
	client->half_closed |= res == 0;
	if (client->hung_up)
		close_client(client, NULL);
	else if (for_now || res == 0)
		watch(client);
	else
		close_client(client, strerror(-res));
}

static void on_receive(struct loop_op *op, int32_t res)
{
	struct client *client = container_of(op, struct client, receive);
	struct client_set *set = client->set;

	if (is_shortage(res) && !is_closing(client)) {
		loop_arm_again(op);
		return;
	}
	set->receiving = false;
	if (res > 0) {
		take_received(client, (size_t)res);
	} else if (!is_closing(client)) {
		end_of_input(client, res);
	}
	/* The next one's turn. */
	list_remove(&client->link);
	list_append(&set->clients, &client->link);
	client_set_receive(set);
}

static void go_on_receiving(struct client *client)
{
	struct client_set *set = client->set;

	if (!client->readable)
		watch(client);
	else if (!has_room(set))
		look_later(set);
	else if (!set->receiving)
		receive(client);
}

void client_set_receive(struct client_set *set)
{
	list_for_each (link, &set->clients) {
		struct client *client = container_of(link, struct client, link);

		if (!is_closing(client))
			go_on_receiving(client);
	}
}

static void on_resized(struct telnet_codec_user *user, uint16_t cols, uint16_t rows)
{
	struct client *client = container_of(user, struct client, telnet_user);

	if (!is_closing(client))
		window_resize(&client->set->windows, &client->window, cols, rows);
}

/* The set. */

void client_set_init(struct client_set *set, struct backend_port *port,
                     const struct client_protocol *protocol, struct loop_scope *scope,
                     void (*emptied)(struct client_set *set))
{
	*set = (struct client_set){
	    .port = port,
	    .protocol = *protocol,
	    .scope = scope,
	    .emptied = emptied,
	};
	list_init(&set->clients);
	window_set_init(&set->windows, port);
	loop_timer_init(&set->look, scope, on_look);
}

static struct client *make_client(struct client_set *set)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	reader_init(&client->reader, output_of(set->port), wake_client);
	if (set->port->data)
		reader_make_patient(&client->reader);
	client->telnet_user.resized = on_resized;
	if (set->protocol.telnet) {
		client->telnet = telnet_codec_new(&client->reader, &client->telnet_user,
		                                  set->protocol.break_is_sysrq);
		if (!client->telnet) {
			reader_deinit(&client->reader);
			free(client);
			return NULL;
		}
	}
	return client;
}

int client_new(struct client_set *set, int fd, const char *name)
{
	struct client *client = make_client(set);

	if (!client) {
		fd_close(&fd);
		return -ENOMEM;
	}
	client->set = set;
	client->fd = fd;
	snprintf(client->name, sizeof(client->name), "%s", name);
	window_init(&client->window);
	loop_scope_init(&client->scope, set->scope->loop, on_drained);
	loop_op_init(&client->input, &client->scope, on_input);
	loop_op_init(&client->receive, &client->scope, on_receive);
	loop_op_init(&client->room, &client->scope, on_room);
	loop_op_init(&client->send, &client->scope, on_sent);
	loop_task_init(&client->flush, on_flush);
	list_append(&set->clients, &client->link);
	set->count++;
	log_debug("%s: client %s has come", set->port->name, client->name);
	tell_attended(set);
	wake_client(&client->reader);
	watch(client);
	return 0;
}

bool client_set_close_gone(struct client_set *set)
{
	list_for_each (link, &set->clients) {
		struct client *client = container_of(link, struct client, link);

		if (is_closing(client) || !(client->half_closed || has_hung_up(client)))
			continue;
		close_client(client, "its place was needed");
		return true;
	}
	return false;
}

void client_set_close(struct client_set *set)
{
	list_for_each_safe (link, &set->clients)
		close_client(container_of(link, struct client, link), NULL);
}
