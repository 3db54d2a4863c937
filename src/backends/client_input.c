/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/client_impl.h"

#include "backends/peer.h"
#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

/* Where the bytes go that nobody looks at, of all clients of all ports. */
static uint8_t thrown_away[CLIENT_RECEIVE_BYTES];

static bool has_room(const struct client *client)
{
	return !client_may_write(client) || byte_ring_free(&client->set->port->input) > 0;
}

/*
 * Waits for input, if there is room for it. Who isn't waited for is looked at from time to time
 * instead: a poll for the end of the connection alone would tell again and again of one that is
 * half closed, as io_uring always adds POLLRDHUP to what is asked for.
 */
static void watch(struct client *client)
{
	if (client->input.armed || client_is_closing(client))
		return;
	if (has_room(client) && !client->half_closed && !client->hung_up)
		loop_arm_poll(&client->input, client->fd, POLLIN);
	else
		client_set_look_later(client->set);
}

static void on_input(struct loop_op *op, int32_t res)
{
	struct client *client = container_of(op, struct client, input);

	if (client_is_closing(client))
		return;
	if (loop_is_shortage(res)) {
		loop_arm_again(op);
		return;
	}
	client->hung_up |= res > 0 && (res & (POLLERR | POLLHUP));
	client->readable = true; /* or it is at an end, which the receive tells */
	client_set_receive(client->set);
}

/* What it may fill of the free room: as much is left for each other that waits. */
static size_t fair_share(const struct client *client)
{
	const struct client_set *set = client->set;
	size_t sharing = 1;

	list_for_each (link, &set->clients) {
		const struct client *other = container_of(link, struct client, link);

		if (other != client && other->readable && client_may_write(other))
			sharing++;
	}
	return byte_ring_free(&set->port->input) / sharing + 1;
}

static void receive(struct client *client)
{
	size_t share = fair_share(client);
	void *room;
	size_t len = MIN(byte_ring_room(&client->set->port->input, &room), share);

	if (client->telnet) {
		room = client->to_decode;
		len = MIN(MIN(byte_ring_free(&client->set->port->input), share),
		          CLIENT_RECEIVE_BYTES);
	}
	client->set->port->receiving = true;
	loop_arm_recv(&client->receive, client->fd, room, len, MSG_DONTWAIT);
}

/* For one that may not write, or what was for a guest that is gone. */
static void receive_and_discard(struct client *client)
{
	size_t len = CLIENT_RECEIVE_BYTES;

	if (client_may_write(client))
		len = MIN(client->stale, len);
	client->discarding = true;
	loop_arm_recv(&client->receive, client->fd,
	              client->telnet ? client->to_decode : thrown_away, len, MSG_DONTWAIT);
}

static void decode(struct client *client, size_t len, struct byte_ring *input)
{
	if (!telnet_codec_receive(client->telnet, client->to_decode, len, input))
		client_close(client, "it asks and doesn't listen");
	else
		client_wake(client); /* there may be answers */
}

/* Gives the guest what was received. */
static void take_received(struct client *client, size_t len)
{
	struct backend_port *port = client->set->port;

	if (client->telnet)
		decode(client, len, &port->input);
	else
		byte_ring_commit(&port->input, len);
	port->device->pump(port->device);
}

/* Takes what the input has of telnet's own. Returns how many other bytes there were. */
static size_t decode_and_discard(struct client *client, size_t len)
{
	struct byte_ring_state state = {0};
	struct byte_ring waste;

	byte_ring_init(&waste, &state, thrown_away, sizeof(thrown_away));
	decode(client, len, &waste);
	return byte_ring_used(&waste);
}

/* Whoever types and only watches is told so, once. Telnet's own bytes aren't typed. */
static void discard_received(struct client *client, size_t len)
{
	size_t typed = len;

	client->stale -= MIN(client->stale, len);
	if (client->leaving)
		return;
	if (client->telnet)
		typed = decode_and_discard(client, len);
	if (typed == 0 || client->told || client_may_write(client))
		return;
	client->told = true;
	client_tell(client, "you only watch, another client writes");
}

/* What its socket has now is older than the end of its guest. Returns how many bytes that is. */
static size_t mark_stale(struct client *client)
{
	int waiting = 0;

	if (ioctl(client->fd, FIONREAD, &waiting) < 0 || waiting < 0)
		waiting = 0;
	client->stale = (size_t)waiting;
	if (waiting > 0)
		client->readable = true;
	return client->stale;
}

/* Into the ring's free room, where the next bytes take their place, or to be decoded. */
static void drop_received(struct client *client, size_t len)
{
	struct backend_port *port = client->set->port;

	if (client->telnet)
		len = decode_and_discard(client, len);
	port->device->dropped(port->device, len + mark_stale(client));
}

size_t client_drop_input(struct client *client)
{
	if (!client_may_write(client))
		return 0;
	client->stale_now = client->receive.armed && !client->discarding;
	return client->stale_now ? 0 : mark_stale(client);
}

/* There is nothing more to receive, for now or for ever. */
static void end_of_input(struct client *client, int32_t res)
{
	bool for_now = res == -EAGAIN || res == -EINTR;

	client->readable = false;
	if (res == 0 && !client->half_closed)
		log_debug("%s: client %s sends no more", client->set->port->name, client->name);
	client->half_closed |= res == 0;
	/* Who sends no more may well be gone: nobody's window, and nobody's turn to write. */
	if (res == 0) {
		client->hung_up |= peer_has_hung_up(client->fd); /* on TCP that can't be told */
		client_give_up_writing(client);
		client_set_tell_attended(client->set);
	}
	if (client->hung_up)
		client_close(client, NULL);
	else if (for_now || res == 0)
		watch(client);
	else
		client_close(client, strerror(-res));
	if (client->leaving)
		client_wake(client);
}

static void on_receive(struct loop_op *op, int32_t res)
{
	struct client *client = container_of(op, struct client, receive);
	struct client_set *set = client->set;
	bool discarding = client->discarding, stale = client->stale_now;

	if (loop_is_shortage(res) && !client_is_closing(client)) {
		loop_arm_again(op);
		return;
	}
	client->discarding = client->stale_now = false;
	if (!discarding)
		set->port->receiving = false;
	if (res > 0 && stale)
		drop_received(client, (size_t)res);
	else if (res > 0 && !discarding)
		take_received(client, (size_t)res);
	else if (res > 0)
		discard_received(client, (size_t)res);
	else if (!client_is_closing(client))
		end_of_input(client, res);
	/* The next one's turn. */
	list_remove(&client->link);
	list_append(&set->clients, &client->link);
	client_set_receive(set);
}

void client_go_on_receiving(struct client *client)
{
	struct client_set *set = client->set;

	if (client_is_closing(client) || client->receive.armed)
		return;
	if (!client->readable)
		watch(client);
	else if (!client_may_write(client) || client->stale > 0)
		receive_and_discard(client);
	else if (!has_room(client))
		client_set_look_later(set);
	else if (!set->port->receiving && !set->port->held)
		receive(client);
}

static void on_resized(struct telnet_codec_user *user, uint16_t cols, uint16_t rows)
{
	struct client *client = container_of(user, struct client, telnet_user);

	if (!client_is_closing(client))
		window_resize(&client->set->windows, &client->window, cols, rows);
}

void client_input_init(struct client *client)
{
	client->telnet_user.resized = on_resized;
	loop_op_init(&client->input, &client->scope, on_input);
	loop_op_init(&client->receive, &client->scope, on_receive);
}
