/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "control_fixture.h"

#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LIST_LINE 64u

static struct control_fixture *fixture_of(struct control *control)
{
	return container_of(control, struct control_fixture, control);
}

/* Lines that are all different. */
static void write_list(const struct control_fixture *f, FILE *out)
{
	for (size_t at = 0; at < f->list_bytes; at += LIST_LINE)
		fprintf(out, "%-*zu\n", (int)LIST_LINE - 1, at);
}

static enum control_verdict on_list(struct control *control, struct control_call *call)
{
	fixture_of(control)->lists++;
	write_list(fixture_of(control), call->out);
	return CONTROL_DONE;
}

static enum control_verdict on_call(struct control_fixture *f, struct control_call *call)
{
	f->guest = call->guest;
	f->last_ticket = call->ticket;
	snprintf(f->rest, sizeof(f->rest), "%s", call->rest);
	if (strncmp(call->rest, "no", 2) == 0 && strncmp(call->rest, "now", 3) != 0)
		return control_refuse(call, "guest %u says no to %s", call->guest, call->rest);
	if (strncmp(call->rest, "now", 3) == 0) {
		control_answer(&f->control, call->ticket, NULL);
		return CONTROL_LATER;
	}
	if (strncmp(call->rest, "later", 5) == 0) {
		f->tickets[f->later++ % 8] = call->ticket;
		return CONTROL_LATER;
	}
	return CONTROL_DONE;
}

static enum control_verdict on_port_add(struct control *control, struct control_call *call)
{
	fixture_of(control)->adds++;
	return on_call(fixture_of(control), call);
}

static enum control_verdict on_port_remove(struct control *control, struct control_call *call)
{
	fixture_of(control)->removes++;
	return on_call(fixture_of(control), call);
}

/* A guest has no name here to say what is to be answered: even ones are done later. */
static enum control_verdict on_disconnect(struct control *control, struct control_call *call)
{
	struct control_fixture *f = fixture_of(control);

	f->disconnects++;
	f->guest = call->guest;
	if (call->guest % 2)
		return control_refuse(call, "disconnect: guest %u: it has no frontend",
		                      call->guest);
	f->tickets[f->later++ % 8] = call->ticket;
	return CONTROL_LATER;
}

static void on_stopped(struct control *control)
{
	fixture_of(control)->stops++;
}

static const struct control_ops ops = {
    .list = on_list,
    .port_add = on_port_add,
    .port_remove = on_port_remove,
    .disconnect = on_disconnect,
    .stopped = on_stopped,
};

void control_fixture_init(struct control_fixture *f)
{
	*f = (struct control_fixture){.list_bytes = LIST_LINE};
	f->loop = turning_loop();
	snprintf(f->folder, sizeof(f->folder), "/tmp/unit-control-XXXXXX");
	if (!mkdtemp(f->folder))
		support_die("no folder: %s", strerror(errno));
	snprintf(f->path, sizeof(f->path), "%s/ctl", f->folder);
	if (control_start(&f->control, &ops, f->loop, f->path) < 0)
		support_die("can't listen at %s", f->path);
}

void control_fixture_deinit(struct control_fixture *f)
{
	control_stop(&f->control);
	turn_until(f->loop, f->stops > 0);
	turn_some(f->loop);
	if (f->stops != 1)
		support_die("stopped %u times", f->stops);
	loop_free(f->loop);
	if (rmdir(f->folder) < 0)
		support_die("%s: %s", f->folder, strerror(errno));
}

int control_connect(struct control_fixture *f)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	memcpy(addr.sun_path, f->path, MIN(sizeof(addr.sun_path) - 1, sizeof(f->path)));
	if (connect(fd, (void *)&addr, sizeof(addr)) < 0)
		support_die("can't connect: %s", strerror(errno));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	turn_some(f->loop); /* the listener's queue is short */
	return fd;
}

static bool send_some(int client, const char **bytes, size_t *len)
{
	ssize_t n = send(client, *bytes, *len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		support_die("can't send: %s", strerror(errno));
	*bytes += MAX(n, 0);
	*len -= (size_t)MAX(n, 0);
	return *len == 0;
}

void control_send_bytes(struct control_fixture *f, int client, const char *bytes, size_t len)
{
	turn_until(f->loop, send_some(client, &bytes, &len));
}

void control_send(struct control_fixture *f, int client, const char *text)
{
	control_send_bytes(f, client, text, strlen(text));
}

static size_t read_some(int client, void *bytes, size_t size)
{
	ssize_t n = recv(client, bytes, size, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN))
		support_die("closed, %zu bytes too soon", size);
	return (size_t)MAX(n, 0);
}

void control_expect(struct control_fixture *f, int client, const char *text)
{
	size_t len = strlen(text), done = 0;
	char *got = calloc(1, len + 1);

	turn_until(f->loop, (done += read_some(client, got + done, len - done)) == len);
	if (strcmp(got, text) != 0)
		support_die("got \"%s\", not \"%s\"", got, text);
	free(got);
}

void control_expect_list(struct control_fixture *f, int client)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	write_list(f, out);
	fputs("ok\n", out);
	fclose(out);
	control_expect(f, client, text);
	free(text);
}

/* Unread input at the server's end makes the client's end say ECONNRESET. */
static bool is_closed(int client)
{
	char byte;
	ssize_t n = recv(client, &byte, 1, MSG_DONTWAIT);

	if (n > 0)
		support_die("got byte %#x, not the end", byte);
	return n == 0 || errno != EAGAIN;
}

void control_expect_closed(struct control_fixture *f, int client)
{
	turn_until(f->loop, is_closed(client));
}

void control_expect_nothing(struct control_fixture *f, int client)
{
	turn_some(f->loop);
	if (is_closed(client))
		support_die("closed");
}
