/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/client.h"

#include "backends/client_impl.h"
#include "backends/peer.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* How often clients are looked at that aren't waited for, or that wait themselves. */
#define LOOK_MS 5000
/* After how long without an answer a client is given up that should answer. */
#define SILENT_MS 60000
/* How long a client may take to be told that it has to go, and how many may take it at once. */
#define LEAVE_MS    2000
#define LEAVING_MAX 16u

/*
 * Who isn't on the way out. At a data port who sends no more isn't there either: that is how a
 * reader in the guest finds the end of what was sent, and after a close() there is no other sign.
 */
static bool attends(const struct client *client)
{
	bool known = client->presence == CLIENT_STAYS && !client->half_closed;

	return !client_is_closing(client) && !client->leaving &&
	       (known || !client->set->port->data);
}

void client_set_tell_attended(struct client_set *set)
{
	unsigned int attended = 0;

	list_for_each (link, &set->clients)
		attended += attends(container_of(link, struct client, link));
	if (attended == set->port->attended)
		return;
	set->port->attended = attended;
	set->port->device->attended(set->port->device);
}

/* Coming and going. */

bool client_set_calls(const struct client_set *set)
{
	list_for_each (link, &set->clients) {
		const struct client *client = container_of(link, struct client, link);

		if (!client_is_closing(client) && !client->leaving && !client->half_closed &&
		    client->presence == CLIENT_CALLS)
			return true;
	}
	return false;
}

static void tell_settled(struct client_set *set)
{
	if (set->settled)
		set->settled(set);
}

static bool has_reader(const struct client_set *set)
{
	list_for_each (link, &set->clients) {
		const struct client *client = container_of(link, struct client, link);

		if (!client_is_closing(client) && !client->leaving &&
		    client->presence == CLIENT_STAYS)
			return true;
	}
	return false;
}

/* A client is no reader any more. What it left is for nobody else, if it was the last. */
static void leave_output(struct client *client)
{
	if (client->presence == CLIENT_STAYS && !has_reader(client->set))
		output_drop_tail(output_of(client->set->port));
	tell_settled(client->set);
}

void client_stay(struct client *client)
{
	struct client_set *set = client->set;

	if (client->presence == CLIENT_STAYS || client_is_closing(client) || set->port->dropping)
		return;
	client->presence = CLIENT_STAYS;
	if (set->port->data && !client->reader.patient)
		reader_make_patient(&client->reader);
	client_set_tell_attended(set);
	client_wake(client);
	tell_settled(set);
}

static bool is_waited_for(const struct client *client)
{
	return client->reader.on_trial ? client->reader.buffered > 0
	                               : client->presence == CLIENT_CALLS;
}

void client_stay_later(struct client *client)
{
	if (is_waited_for(client) && !client_is_closing(client) && !client->stay.op.armed)
		loop_timer_arm(&client->stay,
		               client->reader.on_trial ? CLIENT_TRIAL_MS : CLIENT_STAY_MS);
}

/* Nothing tells of a reset but that; and nothing at all that something has arrived. */
static void look_at_trial(struct client *client)
{
	if (peer_queued(client->fd) > 0)
		return;
	client->reader.on_trial = false;
	reader_delivered(&client->reader, true);
	client_stay(client);
	client_wake(client);
}

static void begin_trial(struct client *client)
{
	if (!client->reader.patient)
		reader_make_patient(&client->reader);
	client->reader.on_trial = true;
	client_wake(client);
}

void client_doubt(struct client *client)
{
	if (client->set->port->data && client->set->closes_silently && !client->telnet &&
	    client->presence == CLIENT_STAYS && !client->reader.on_trial)
		begin_trial(client);
	tell_settled(client->set);
}

static void on_stay(struct loop_op *op, int32_t res)
{
	struct client *client = container_of(op, struct client, stay.op);
	const struct client_set *set = client->set;

	(void)res;
	if (client_is_closing(client) || client->leaving || !is_waited_for(client))
		return;
	client->hung_up |= peer_has_hung_up(client->fd);
	if (client->hung_up && !client->readable)
		client_close(client, NULL);
	else if (client->reader.on_trial)
		look_at_trial(client);
	else if (client->half_closed && set->port->data && set->closes_silently &&
	         !set->port->dropping && !client->telnet)
		begin_trial(client);
	else
		client_stay(client);
	client_stay_later(client);
}

static void on_drained(struct loop_scope *scope)
{
	struct client *client = container_of(scope, struct client, scope);
	struct client_set *set = client->set;

	reader_deinit(&client->reader);
	telnet_codec_free(client->telnet);
	fd_discard(strays_discarder(set->strays), &client->fd);
	free(client->strays);
	list_remove(&client->link);
	set->leaving -= client->leaving;
	free(client);
	set->count--;
	if (set->count > 0)
		loop_return_spare_fd(set->scope->loop);
	else
		set->emptied(set);
}

/* Who may write. */

static bool could_write(const struct client *client)
{
	return !client_is_closing(client) && !client->leaving && !client->half_closed;
}

bool client_may_write(const struct client *client)
{
	const struct client_set *set = client->set;

	return could_write(client) && (set->access == ACCESS_SHARED || set->writer == client);
}

static struct client *find_longest(const struct client_set *set)
{
	struct client *longest = NULL;

	list_for_each (link, &set->clients) {
		struct client *client = container_of(link, struct client, link);

		if (could_write(client) && (!longest || client->number < longest->number))
			longest = client;
	}
	return longest;
}

static void let_write(struct client *client)
{
	struct client_set *set = client->set;

	if (set->access != ACCESS_SHARED)
		set->writer = client;
	window_let_count(&set->windows, &client->window, true);
}

/* The next one's window counts before this one's doesn't: no size in between. */
void client_give_up_writing(struct client *client)
{
	struct client_set *set = client->set;

	if (set->writer == client) {
		set->writer = find_longest(set);
		if (set->writer) {
			let_write(set->writer);
			client_tell(set->writer, "you write now");
		}
	}
	window_let_count(&set->windows, &client->window, false);
}

/*
 * The newest client finds its place. It takes nobody's before it types: it may be a port check, or
 * somebody who only looks.
 */
static void admit(struct client *client)
{
	const struct client_set *set = client->set;

	if (set->access == ACCESS_SHARED || !set->writer)
		let_write(client);
}

bool client_may_type(const struct client *client)
{
	return client_may_write(client) ||
	       (could_write(client) && client->set->access == ACCESS_EXCLUSIVE);
}

void client_take_over(struct client *client)
{
	struct client *before = client->set->writer;

	if (client_may_write(client) || !client_may_type(client))
		return;
	let_write(client);
	if (before)
		client_leave(before, "another client has taken over");
}

/* The end. */

void client_close(struct client *client, const char *why)
{
	if (client_is_closing(client))
		return;
	log_debug("%s: client %s has gone%s%s", client->set->port->name, client->name,
	          why ? ": " : "", why ? why : "");
	loop_task_cancel(&client->flush);
	loop_scope_close(&client->scope);
	reader_abandon(&client->reader);
	client_give_up_writing(client);
	client_set_tell_attended(client->set);
	if (!client->leaving) /* else it has left already */
		leave_output(client);
}

static void on_leave(struct loop_op *op, int32_t res)
{
	struct client *client = container_of(op, struct client, leave.op);

	(void)res;
	client_close(client, "it takes too long");
}

void client_leave(struct client *client, const char *why)
{
	struct client_set *set = client->set;

	if (client_is_closing(client) || client->leaving)
		return;
	if (client->hung_up || set->leaving >= LEAVING_MAX) {
		client_close(client, why);
		return;
	}
	log_debug("%s: client %s has to go: %s", set->port->name, client->name, why);
	client->leaving = true;
	set->leaving++;
	client_give_up_writing(client);
	client_end_output(client);
	client_tell(client, why);
	client_set_tell_attended(set);
	leave_output(client);
	loop_timer_arm(&client->leave, LEAVE_MS);
	client_go_on_receiving(client);
}

/* Clients that aren't waited for, or that wait themselves. */

static bool is_watched(const struct client *client)
{
	return client->input.armed || client->receive.armed;
}

void client_set_look_later(struct client_set *set)
{
	if (!set->look.op.armed && !set->scope->closing)
		loop_timer_arm(&set->look, set->look_ms);
}

/* Returns whether it has to be looked at again. */
static bool look_at(struct client *client)
{
	if (client_waits_for_room(client) && peer_is_dead(client->fd, client->set->silent_ms)) {
		client_close(client, "it doesn't answer");
		return false;
	}
	if (is_watched(client))
		return client_waits_for_room(client);
	client->hung_up |= peer_has_hung_up(client->fd);
	/* What it has sent before may still wait for room. */
	if (client->hung_up && !client->readable) {
		client_close(client, NULL);
		return false;
	}
	return true;
}

static void on_look(struct loop_op *op, int32_t res)
{
	struct client_set *set = container_of(op, struct client_set, look.op);

	(void)res;
	if (op->scope->closing)
		return;
	list_for_each_safe (link, &set->clients) {
		struct client *client = container_of(link, struct client, link);

		if (!client_is_closing(client) && look_at(client))
			client_set_look_later(set);
	}
}

/* The set. */

/* The process can open no more: one that sends no more may long be gone. */
static bool on_relieve(struct loop_relief *relief, unsigned int *looks)
{
	struct client_set *set = container_of(relief, struct client_set, relief);

	*looks += set->count;
	return client_set_close_gone(set);
}

void client_set_init(struct client_set *set, struct backend_port *port,
                     const struct client_protocol *protocol, enum access access,
                     struct loop_scope *scope, void (*emptied)(struct client_set *set))
{
	*set = (struct client_set){
	    .port = port,
	    .protocol = *protocol,
	    .access = access,
	    .scope = scope,
	    .look_ms = LOOK_MS,
	    .silent_ms = SILENT_MS,
	    .emptied = emptied,
	};
	list_init(&set->clients);
	window_set_init(&set->windows, port);
	loop_timer_init(&set->look, scope, on_look);
	loop_relief_add(scope->loop, &set->relief, on_relieve);
}

void client_set_receive(struct client_set *set)
{
	list_for_each (link, &set->clients)
		client_go_on_receiving(container_of(link, struct client, link));
}

size_t client_set_drop_input(struct client_set *set)
{
	size_t dropped = 0;

	list_for_each (link, &set->clients)
		dropped += client_drop_input(container_of(link, struct client, link));
	return dropped;
}

static void init_client(struct client *client, struct client_set *set)
{
	client->set = set;
	client->number = set->joined++;
	window_init(&client->window);
	loop_scope_init(&client->scope, set->scope->loop, on_drained);
	loop_timer_init(&client->leave, &client->scope, on_leave);
	loop_timer_init(&client->stay, &client->scope, on_stay);
	if (!set->port->data && set->access != ACCESS_SINGLE)
		client->presence = CLIENT_STAYS;
	client_output_init(client);
	client_input_init(client);
	client_guard_init(client);
}

/* Returns false if there is no memory. */
static bool init_telnet(struct client *client)
{
	const struct client_set *set = client->set;
	const struct telnet_codec_config config = {
	    .data = set->port->data,
	    .break_is_sysrq = set->protocol.break_is_sysrq,
	};

	if (!set->protocol.telnet)
		return true;
	client->telnet = telnet_codec_new(&client->reader, &client->telnet_user, &config);
	if (!client->telnet)
		return false;
	client->stage = telnet_codec_stage(client->telnet);
	return true;
}

static bool init_strays(struct client *client)
{
	if (!client->set->strays)
		return true;
	client->strays = malloc(sizeof(*client->strays));
	return client->strays;
}

static struct client *make_client(struct client_set *set)
{
	size_t to_decode = set->protocol.telnet ? CLIENT_RECEIVE_BYTES : 0;
	struct client *client = calloc(1, sizeof(*client) + to_decode);

	if (!client)
		return NULL;
	init_client(client, set);
	if (init_strays(client) && init_telnet(client))
		return client;
	free(client->strays);
	reader_deinit(&client->reader);
	free(client);
	return NULL;
}

int client_new(struct client_set *set, int fd, const char *name)
{
	struct client *client = make_client(set);

	if (!client) {
		fd_discard(strays_discarder(set->strays), &fd);
		return -ENOMEM;
	}
	client->fd = fd;
	snprintf(client->name, sizeof(client->name), "%s", name);
	list_append(&set->clients, &client->link);
	if (set->count > 0) /* the first one's is reserved */
		loop_use_spare_fd(set->scope->loop);
	set->count++;
	log_debug("%s: client %s has come", set->port->name, client->name);
	admit(client);
	client_set_tell_attended(set);
	client_stay_later(client);
	tell_settled(set);
	client_wake(client);
	client_go_on_receiving(client);
	return 0;
}

unsigned int client_set_staying(const struct client_set *set)
{
	unsigned int count = 0;

	list_for_each (link, &set->clients) {
		const struct client *client = container_of(link, struct client, link);

		count += !client_is_closing(client) && !client->leaving;
	}
	return count;
}

void client_set_turn_away(struct client_set *set, int fd, const char *why)
{
	char line[CLIENT_LINE_BYTES], waste[CLIENT_RECEIVE_BYTES];

	send(fd, line, client_mark(set, line, why), MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	/* With input unread, close() is a reset, which may overtake the line. */
	if (!set->strays)
		recv(fd, waste, sizeof(waste), MSG_DONTWAIT);
	fd_discard(strays_discarder(set->strays), &fd);
}

/* One that sends no more, or whose connection is broken. NULL: there is none. */
static struct client *find_gone(struct client_set *set)
{
	list_for_each (link, &set->clients) {
		struct client *client = container_of(link, struct client, link);

		if (client_is_closing(client) || client->leaving)
			continue;
		client->hung_up |= peer_has_hung_up(client->fd);
		if (client->half_closed || client->hung_up)
			return client;
	}
	return NULL;
}

bool client_set_close_gone(struct client_set *set)
{
	struct client *gone = find_gone(set);

	if (gone)
		client_leave(gone, "your place was needed");
	return gone;
}

bool client_set_can_afford_one(struct client_set *set)
{
	struct client *gone;

	if (client_set_staying(set) == 0 || loop_has_spare_fd(set->scope->loop))
		return true;
	gone = find_gone(set);
	if (gone)
		client_close(gone, "its descriptor was needed");
	return gone;
}

void client_set_close(struct client_set *set)
{
	loop_relief_remove(&set->relief);
	list_for_each_safe (link, &set->clients)
		client_close(container_of(link, struct client, link), NULL);
}
