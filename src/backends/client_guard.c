/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Keeps browsers away from a console: looks at what a client on TCP sends first, while that stays
 * in its socket, and closes the client if it is a request. Nothing of that reaches the guest.
 *
 * Must not hold what a person types longer than http_guard.h says, nor take any of it.
 */
#include "backends/client_impl.h"

#include "base/log.h"
#include "base/macros.h"

#include <sys/socket.h>

/* Where first bytes are looked at, of one client at a time. */
static uint8_t looked_at[HTTP_GUARD_BYTES];

/* Has the system tell of input only when there are so many bytes (socket(7), SO_RCVLOWAT). */
static void wake_from(const struct client *client, size_t bytes)
{
	int value = (int)bytes;

	setsockopt(client->fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value));
}

static uint64_t patience(const struct client_guard *guard)
{
	return guard->verdict == HTTP_VERDICT_LIKELY ? HTTP_GUARD_LIKELY_MS : HTTP_GUARD_QUIET_MS;
}

static void wait_on(struct client *client)
{
	client->readable = false;
	client_go_on_receiving(client);
}

static void hold(struct client *client, enum http_verdict verdict, size_t len)
{
	struct client_guard *guard = &client->guard;

	guard->state = CLIENT_GUARD_HOLDS;
	guard->verdict = verdict;
	guard->held = len;
	guard->since_ms = loop_now_ms(client->scope.loop);
	wake_from(client, len + 1);
	if (!guard->quiet.op.armed)
		loop_timer_arm(&guard->quiet, HTTP_GUARD_QUIET_MS);
	wait_on(client);
}

static void let_pass(struct client *client)
{
	if (client->guard.state == CLIENT_GUARD_HOLDS)
		wake_from(client, 1);
	client->guard.state = CLIENT_GUARD_OFF;
}

static void shut_out(struct client *client, enum http_verdict verdict)
{
	const struct client_set *set = client->set;

	log_limited(&client->set->limit, LOG_LEVEL_WARNING,
	            "%s: client %s is closed: it sent %s, as a web page's browser does; nothing of "
	            "that reached the guest",
	            set->port->name, client->name,
	            verdict == HTTP_VERDICT_TLS ? "a TLS greeting" : "an HTTP request");
	client_close(client, "it is a browser");
}

/* Where nothing has come beyond what is held already, that was all: an end, or an urgent mark. */
bool client_guard_lets_pass(struct client *client)
{
	struct client_guard *guard = &client->guard;
	enum http_verdict verdict = HTTP_VERDICT_NONE;
	ssize_t n = recv(client->fd, looked_at, sizeof(looked_at), MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		wait_on(client);
		return false;
	}
	if (n > (ssize_t)guard->held)
		verdict = http_guard_judge(looked_at, (size_t)n);
	switch (verdict) {
	case HTTP_VERDICT_MAYBE:
	case HTTP_VERDICT_LIKELY:
		hold(client, verdict, (size_t)n);
		return false;
	case HTTP_VERDICT_REQUEST:
	case HTTP_VERDICT_TLS:
		shut_out(client, verdict);
		return false;
	case HTTP_VERDICT_NONE:
		break;
	}
	let_pass(client);
	return true;
}

/* More may have come in this turn: that is looked at first. */
static void on_quiet(struct loop_op *op, int32_t res)
{
	struct client *client = container_of(op, struct client, guard.quiet.op);
	uint64_t passed = loop_now_ms(client->scope.loop) - client->guard.since_ms;

	(void)res;
	if (client_is_closing(client) || client->guard.state != CLIENT_GUARD_HOLDS)
		return;
	if (passed < patience(&client->guard)) {
		loop_timer_arm(&client->guard.quiet, patience(&client->guard) - passed);
		return;
	}
	client->readable = true;
	client_set_receive(client->set);
}

void client_guard_init(struct client *client)
{
	client->guard.state = client->set->guards ? CLIENT_GUARD_WAITS : CLIENT_GUARD_OFF;
	loop_timer_init(&client->guard.quiet, &client->scope, on_quiet);
}
