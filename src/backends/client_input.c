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
	return !client_may_type(client) || byte_ring_free(&client->set->port->input) > 0;
}

/* Its input, even if there is no room: what a web page or somebody who takes over sends first. */
static bool is_of_interest(const struct client *client)
{
	return has_room(client) || client->guard.state != CLIENT_GUARD_OFF ||
	       !client_may_write(client);
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
	if (is_of_interest(client) && !client->half_closed && !client->hung_up)
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

		if (other != client && other->readable && client_may_type(other))
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
	strays_arm_recv(client->strays, &client->receive, client->fd, room, len, MSG_DONTWAIT);
}

/* For one that may not write, or what was for a guest that is gone. */
static void receive_and_discard(struct client *client, size_t len)
{
	client->discarding = true;
	strays_arm_recv(client->strays, &client->receive, client->fd,
	                client->telnet ? client->to_decode : thrown_away, len, MSG_DONTWAIT);
}

static void decode(struct client *client, size_t len, struct byte_ring *input)
{
	const char *why = telnet_codec_receive(client->telnet, client->to_decode, len, input);

	if (why)
		client_close(client, why);
	else
		client_wake(client); /* there may be answers */
}

/* Gives the guest what was received. */
static void take_received(struct client *client, size_t len)
{
	struct backend_port *port = client->set->port;
	uint64_t before = byte_ring_head(&port->input);

	if (client->telnet)
		decode(client, len, &port->input);
	else
		byte_ring_commit(&port->input, len);
	/* Telnet's own bytes aren't typed. */
	if (byte_ring_head(&port->input) != before) {
		client_take_over(client);
		client_stay(client);
	}
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
	/* A half-closed client may be dead: it loses its window and its right to write. */
	if (res == 0) {
		client->hung_up |= peer_has_hung_up(client->fd); /* on TCP that can't be told */
		client_give_up_writing(client);
		client_set_tell_attended(client->set);
		client_doubt(client);
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

	if (res >= 0)
		strays_take(set->strays, client->strays);
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

/* How many bytes at the beginning are a command of telnet's (RFC 854, 855): 0, or all if it is cut.
 */
static size_t skip_command(const uint8_t *bytes, size_t len)
{
	enum { SE = 240, SB = 250, WILL = 251, DONT = 254, IAC = 255 };

	if (len < 2 || bytes[0] != IAC)
		return len > 0 && bytes[0] == IAC ? len : 0;
	if (bytes[1] == IAC)
		return 0;
	if (bytes[1] == SB) {
		for (size_t i = 2; i + 1 < len; i += bytes[i] == IAC ? 2 : 1) {
			if (bytes[i] == IAC && bytes[i + 1] == SE)
				return i + 2;
		}
		return len;
	}
	return MIN(bytes[1] >= WILL && bytes[1] <= DONT ? 3u : 2u, len);
}

/*
 * Takes over if it has typed something, which stays in its socket. What there is of telnet's own,
 * or the end, is received.
 */
static void look_for_typed(struct client *client)
{
	uint8_t bytes[CLIENT_RECEIVE_BYTES];
	ssize_t n = recv(client->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	size_t len = (size_t)MAX(n, 0), at = 0, command = 1;

	while (client->telnet && at < len && command > 0)
		at += command = skip_command(bytes + at, len - at);
	if (at < len)
		client_take_over(client);
	else if (n < 0 && (errno == EAGAIN || errno == EINTR))
		client->readable = false;
	else
		receive_and_discard(client, MAX(at, 1));
}

/*
 * Whether it is to take over before anything of it is received: the guest doesn't read what others
 * have typed, or has to be told first that they have gone, on a data port.
 */
static bool takes_over_first(const struct client *client)
{
	bool data = client->set->port->data && !client->telnet;

	return client_may_type(client) && !client_may_write(client) && (data || !has_room(client));
}

void client_go_on_receiving(struct client *client)
{
	struct client_set *set = client->set;

	if (client_is_closing(client) || client->receive.armed)
		return;
	/* What they have sent already is still being closed. */
	if (client->readable && strays_pending(set->strays))
		return;
	if (client->readable && client->guard.state != CLIENT_GUARD_OFF &&
	    !client_guard_lets_pass(client))
		return;
	if (client->readable && takes_over_first(client))
		look_for_typed(client);
	if (client->receive.armed)
		return;
	if (!client->readable)
		watch(client);
	else if (!client_may_type(client))
		receive_and_discard(client, CLIENT_RECEIVE_BYTES);
	else if (client->stale > 0)
		receive_and_discard(client, MIN(client->stale, CLIENT_RECEIVE_BYTES));
	else if (!has_room(client))
		client_set_look_later(set);
	else if (set->port->dropping)
		client_stay_later(client); /* it is let in then */
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
