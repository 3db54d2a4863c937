/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "control/control.h"

#include "base/fd.h"
#include "base/macros.h"
#include "control/conversation.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct client {
	struct conversation conversation;
	struct control *control;
	struct list link;
	uint64_t ticket; /* of the call that is answered later; 0: none is */
};

/* What is written as an answer: grows as needed, and is given to the client whole. */
struct draft {
	FILE *out;
	char *bytes;
	size_t len;
};

/* Answers. */

static bool draft_begin(struct draft *draft)
{
	draft->out = open_memstream(&draft->bytes, &draft->len);
	return draft->out;
}

/* Without memory for an answer the client can't be told: it is closed. */
static void no_memory(struct client *client)
{
	log_limited(&client->control->limit, LOG_LEVEL_WARNING,
	            "control socket: no memory for an answer");
	conversation_stop(&client->conversation);
}

/* Adds the last line and sends. */
static void draft_end(struct draft *draft, struct client *client, const char *error)
{
	bool failed;

	if (error)
		fprintf(draft->out, "error %s\n", error);
	else
		fputs("ok\n", draft->out);
	failed = ferror(draft->out);
	failed |= fclose(draft->out) != 0;
	if (failed) {
		free(draft->bytes);
		no_memory(client);
	} else {
		conversation_answer(&client->conversation, draft->bytes, draft->len);
	}
}

static void draft_discard(struct draft *draft)
{
	fclose(draft->out);
	free(draft->bytes);
}

enum control_verdict control_refuse(struct control_call *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(call->error, sizeof(call->error), format, args);
	va_end(args);
	return CONTROL_REFUSED;
}

static struct client *find_waiting(struct control *control, uint64_t ticket)
{
	list_for_each (link, &control->clients) {
		struct client *client = container_of(link, struct client, link);

		if (ticket > 0 && client->ticket == ticket)
			return client;
	}
	return NULL;
}

void control_answer(struct control *control, uint64_t ticket, const char *error)
{
	struct client *client = find_waiting(control, ticket);
	struct draft draft;

	if (!client)
		return;
	client->ticket = 0;
	if (draft_begin(&draft))
		draft_end(&draft, client, error);
	else
		no_memory(client);
}

/* Requests. */

static enum control_verdict help(struct control *control, struct control_call *call)
{
	(void)control;
	control_request_help(call->out);
	return CONTROL_DONE;
}

static enum control_verdict carry_out(struct control *control, enum control_request_verb verb,
                                      struct control_call *call)
{
	switch (verb) {
	case CONTROL_REQUEST_HELP:
		return help(control, call);
	case CONTROL_REQUEST_LIST:
		return control->ops->list(control, call);
	case CONTROL_REQUEST_PORT_ADD:
		return control->ops->port_add(control, call);
	case CONTROL_REQUEST_PORT_REMOVE:
		return control->ops->port_remove(control, call);
	case CONTROL_REQUEST_DISCONNECT:
		return control->ops->disconnect(control, call);
	case CONTROL_REQUEST_VERBS:
		break;
	}
	abort(); /* the parser makes no other */
}

static enum control_verdict judge_line(struct client *client, char *line, size_t len,
                                       struct control_call *call)
{
	struct control *control = client->control;
	struct control_request request;

	if (control_request_parse(line, len, &request, call->error) != CONTROL_REQUEST_GOOD)
		return CONTROL_REFUSED;
	call->guest = request.guest;
	call->rest = request.rest;
	call->ticket = client->ticket = ++control->tickets;
	return carry_out(control, request.verb, call);
}

static void on_line(struct conversation *conversation, char *line, size_t len)
{
	struct client *client = container_of(conversation, struct client, conversation);
	struct control_call call = {0};
	struct draft draft;

	/* First of all: what can't be answered isn't carried out. */
	if (!draft_begin(&draft)) {
		no_memory(client);
		return;
	}
	call.out = draft.out;
	switch (judge_line(client, line, len, &call)) {
	case CONTROL_DONE:
		client->ticket = 0;
		draft_end(&draft, client, NULL);
		break;
	case CONTROL_REFUSED:
		client->ticket = 0;
		draft_end(&draft, client, call.error);
		break;
	case CONTROL_LATER: /* or it was answered just now */
		draft_discard(&draft);
		break;
	}
}

/* Clients and their end. */

static void stop_if_done(struct control *control)
{
	if (!control->drained || control->count > 0)
		return;
	acceptor_deinit(&control->acceptor);
	strays_free(control->strays);
	control->strays = NULL;
	control->ops->stopped(control);
}

static void on_ended(struct conversation *conversation)
{
	struct client *client = container_of(conversation, struct client, conversation);
	struct control *control = client->control;

	list_remove(&client->link);
	free(client);
	control->count--;
	stop_if_done(control);
}

static const struct conversation_ops conversation_ops = {
    .line = on_line,
    .ended = on_ended,
};

static void turn_away(struct control *control, int fd, const char *why)
{
	char line[64];
	int len = snprintf(line, sizeof(line), "error %s\n", why);

	log_limited(&control->limit, LOG_LEVEL_WARNING,
	            "control socket: a client was turned away: %s", why);
	send(fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
	fd_discard(strays_discarder(control->strays), &fd);
}

static void on_accepted(struct acceptor *acceptor, int fd)
{
	struct control *control = container_of(acceptor, struct control, acceptor);
	struct strays_room *room = NULL;
	struct client *client;

	if (control->count >= CONTROL_CLIENTS_MAX) {
		turn_away(control, fd, "there are too many clients");
		return;
	}
	client = calloc(1, sizeof(*client));
	if (client && control->strays)
		room = malloc(sizeof(*room));
	if (!client || (control->strays && !room)) {
		free(client);
		turn_away(control, fd, "there is no memory");
		return;
	}
	client->control = control;
	list_append(&control->clients, &client->link);
	control->count++;
	conversation_start(&client->conversation, &conversation_ops, control->scope.loop, fd,
	                   control->strays, room);
}

static void on_drained(struct loop_scope *scope)
{
	struct control *control = container_of(scope, struct control, scope);

	control->drained = true;
	stop_if_done(control);
}

static void on_strays_closed(void *owner)
{
	struct control *control = owner;

	list_for_each (link, &control->clients)
		conversation_go_on(&container_of(link, struct client, link)->conversation);
}

int control_start(struct control *control, const struct control_ops *ops, struct loop *loop,
                  const char *path)
{
	int fd;

	*control = (struct control){.ops = ops};
	fd = unix_socket_listen(path, 0600, (gid_t)-1, &control->file);
	if (fd < 0) {
		unix_socket_log_failure(path, fd);
		return fd;
	}
	if (!unix_socket_refuse_fds(fd)) {
		control->strays = strays_new(loop, on_strays_closed, control);
		if (!control->strays) {
			unix_socket_remove(&control->file);
			fd_close(&fd);
			return log_no_memory("control socket");
		}
	}
	list_init(&control->clients);
	loop_scope_init(&control->scope, loop, on_drained);
	acceptor_start(&control->acceptor, &control->scope, strays_discarder(control->strays), fd,
	               "control socket", on_accepted);
	acceptor_go_first(&control->acceptor);
	return 0;
}

void control_stop(struct control *control)
{
	unix_socket_remove(&control->file);
	loop_scope_close(&control->scope);
	list_for_each (link, &control->clients)
		conversation_stop(&container_of(link, struct client, link)->conversation);
}
