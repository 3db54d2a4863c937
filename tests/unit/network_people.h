/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Clients of the network backend that come, type and go one after the other, and what they and the
 * guest see. For one program: all of it is static.
 */
#ifndef NETWORK_PEOPLE_H
#define NETWORK_PEOPLE_H

#include "base/macros.h"
#include "network_fixture.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT  1024u
#define OUTPUT 65536u

#define MARKED(text) "\r\n[vhost-user-console: " text "]\r\n"
#define WATCHES      MARKED("you only watch, another client writes")
#define WRITES       MARKED("you write now")
#define TAKEN_OVER   MARKED("another client has taken over")

static struct backend_fixture f;

static inline void set_up(enum access access)
{
	network_fixture_init_as(&f, OUTPUT, INPUT, &(struct client_protocol){0}, access);
}

static inline void tear_down(void)
{
	backend_fixture_deinit(&f);
}

/* It has come, before the next one. */
static inline int join(void)
{
	int client = network_connect(0);

	turn_until(f.loop, network_daemon_end(client) >= 0);
	turn_some(f.loop);
	return client;
}

static inline void join_all(int *clients, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		clients[i] = join();
}

static inline void close_all(const int *clients, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		close(clients[i]);
}

static inline void type(int client, const char *text)
{
	assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* The guest has got the text, and nothing else; then it has taken it. */
static inline void assert_guest_gets(const char *text)
{
	char got[INPUT + 1];

	turn_until(f.loop, byte_ring_used(&f.output.port.input) >= strlen(text));
	turn_some(f.loop);
	got[byte_ring_get(&f.output.port.input, got, INPUT)] = '\0';
	assert_string_equal(got, text);
	f.backend->ops->wake(f.backend);
}

/* Nothing has been sent to it that wasn't read yet. */
static inline void assert_untold(int client)
{
	char bytes[256];
	size_t n;

	turn_some(f.loop);
	n = network_read(client, bytes, sizeof(bytes));
	if (n > 0)
		fail_msg("it is told %.*s", (int)n, bytes);
}

/* The connection ends in order: a reset may overtake what was sent before. */
static inline void assert_ends(int client)
{
	uint64_t give_up = support_now_ms() + support_deadline_ms();
	int error = -1;
	char byte;
	ssize_t n;

	while ((n = recv(client, &byte, 1, MSG_DONTWAIT)) < 0 && errno == EAGAIN) {
		turning_step(f.loop, give_up, "the connection ends");
	}
	assert_int_equal(n, 0);
	turn_some(f.loop);
	getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
	assert_int_equal(error, 0);
}

/* The daemon has received all it was sent by the client, and is still there. */
static inline bool is_received(int client)
{
	int unsent = -1, unread = -1, end = network_daemon_end(client);

	ioctl(client, SIOCOUTQ, &unsent);
	ioctl(end, FIONREAD, &unread);
	return unsent == 0 && unread == 0;
}

static inline void fill_input(int client)
{
	static const char bytes[INPUT];

	assert_int_equal(send(client, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
	turn_until(f.loop, byte_ring_free(&f.output.port.input) == 0);
}

static inline void half_close(int client)
{
	shutdown(client, SHUT_WR);
	turn_some(f.loop);
}

static inline void reset(int client)
{
	struct linger now = {.l_onoff = 1};

	setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(client);
	turn_some(f.loop);
}

#endif
