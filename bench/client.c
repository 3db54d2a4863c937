/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "machine.h"
#include "support.h"

enum {
	DRAIN_BYTES = 2 * PATTERN_PIECE,
	MARK_BYTES = 32,
};

/* The client's buffer; one thread uses it. */
static uint8_t received[DRAIN_BYTES];

void client_connect(struct client *client, unsigned int port)
{
	uint64_t deadline = support_now_ms() + support_deadline_ms();
	struct sockaddr_in address = {
	    .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int yes = 1;

	*client = (struct client){.sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	while (connect(client->sock, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno != ECONNREFUSED || support_now_ms() > deadline)
			support_die("connecting to TCP port %u: %s", port, strerror(errno));
		usleep(1000);
	}
	setsockopt(client->sock, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

void client_close(struct client *client)
{
	close(client->sock);
	client->sock = -1;
}

/* ---- finding each other ---- */

/* What is looked for in a stream of anything. */
struct mark {
	char text[MARK_BYTES + 1];
	char last[MARK_BYTES + 1]; /* the newest bytes */
};

static void mark_make(struct mark *mark, const char *kind)
{
	static unsigned int number;

	memset(mark, 0, sizeof(*mark));
	snprintf(mark->text, sizeof(mark->text), "<%s %06u %016llx>", kind, ++number % 1000000,
	         (unsigned long long)machine_now_ns());
}

static bool mark_seen(struct mark *mark, const uint8_t *bytes, size_t size)
{
	size_t len = strlen(mark->text), i;
	bool seen = false;

	for (i = 0; i < size; i++) {
		memmove(mark->last, mark->last + 1, len - 1);
		mark->last[len - 1] = (char)bytes[i];
		seen |= memcmp(mark->last, mark->text, len) == 0;
	}
	return seen;
}

static size_t receive(struct client *client, void *bytes, size_t size, int timeout_ms)
{
	struct pollfd readable = {.fd = client->sock, .events = POLLIN};
	ssize_t n;

	if (timeout_ms && poll(&readable, 1, timeout_ms) <= 0)
		return 0;
	n = recv(client->sock, bytes, size, MSG_DONTWAIT);
	if (n == 0)
		bench_fail("the backend closed a client's connection");
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		bench_fail("receiving as a client: %s", strerror(errno));
	return n > 0 ? (size_t)n : 0;
}

/* Whether this client gets to see the mark. */
static bool look_for(struct client *client, const struct mark *mark, uint64_t deadline_ms)
{
	struct mark mine = *mark;

	do {
		if (mark_seen(&mine, received, receive(client, received, sizeof(received), 10)))
			return true;
	} while (support_now_ms() < deadline_ms);
	return false;
}

static bool all_look_for(struct client *client, unsigned int count, const struct mark *mark)
{
	uint64_t deadline = support_now_ms() + 100;
	bool seen = true;
	unsigned int i;

	for (i = 0; i < count; i++)
		seen &= look_for(&client[i], mark, deadline);
	return seen;
}

void clients_meet(struct client *client, unsigned int count, struct guest *guest)
{
	uint64_t deadline = support_now_ms() + support_deadline_ms();
	struct mark mark;
	unsigned int i;

	/* A backend may throw away what is said before it has taken the clients on. */
	do {
		if (support_now_ms() > deadline)
			bench_fail("a client doesn't get what the guest says");
		mark_make(&mark, "hello");
		guest_say(guest, mark.text, (uint32_t)strlen(mark.text));
	} while (!all_look_for(client, count, &mark));
	for (i = 0; i < count; i++)
		client[i].expected = (struct pattern){0};
}

void client_meet_input(struct client *client, struct guest *guest)
{
	uint64_t deadline = support_now_ms() + support_deadline_ms();
	struct ring *ring = &guest->receive;
	struct mark mark;
	bool seen = false;

	mark_make(&mark, "input");
	if (send(client->sock, mark.text, strlen(mark.text), MSG_NOSIGNAL) !=
	    (ssize_t)strlen(mark.text))
		bench_fail("sending as a client: %s", strerror(errno));
	while (!seen) {
		while (ring_ready(ring)) {
			uint8_t *bytes = ring_buffer(ring, ring->taken);

			seen |= mark_seen(&mark, bytes, ring_take(ring));
			ring_push(ring, ring->buffer_size);
			ring_publish(ring);
		}
		if (support_now_ms() > deadline)
			bench_fail("the guest doesn't get what a client sends");
	}
	client->sent = (struct pattern){0};
}

/* ---- output ---- */

static void complain(const struct client *client, const uint8_t *bytes, uint32_t size)
{
	struct pattern found = client->expected;
	uint32_t good = pattern_match_length(&found, bytes, size);

	bench_fail("wrong output at byte %llu: \"%.40s\" instead of \"%.40s\"",
	           (unsigned long long)found.total, (const char *)bytes + good,
	           (const char *)pattern_bytes + found.at);
}

/* What follows isn't the pattern: must be the line that says how much is missing. Returns its
 * length, or 0 if there isn't all of it yet. */
static uint32_t obey_gap_line(struct client *client, const uint8_t *bytes, uint32_t size)
{
	static const char begin[] = "\r\n[vhost-user-console: ";
	uint32_t len = sizeof(begin) - 1;
	const uint8_t *end;
	uint64_t gap;

	if (memcmp(bytes, begin, size < len ? size : len) != 0)
		complain(client, bytes, size);
	end = size > len ? memchr(bytes + len, '\n', size - len) : NULL;
	if (!end)
		return 0;
	gap = strtoull((const char *)bytes + len, NULL, 10);
	client->missed += gap;
	pattern_skip(&client->expected, gap);
	return (uint32_t)(end + 1 - bytes);
}

/* Bytes that aren't all the next ones. */
static void check_with_gaps(struct client *client, const uint8_t *bytes, uint32_t size)
{
	uint8_t work[sizeof(client->held) + DRAIN_BYTES];
	uint32_t at = 0, line = 1;

	memcpy(work, client->held, client->held_size);
	memcpy(work + client->held_size, bytes, size);
	size += client->held_size;
	client->held_size = 0;
	while (at < size && line) {
		at += pattern_match_length(&client->expected, work + at, size - at);
		line = at < size ? obey_gap_line(client, work + at, size - at) : 1;
		at += at < size ? line : 0;
	}
	if (at == size)
		return;
	if (size - at > sizeof(client->held))
		complain(client, work + at, size - at);
	client->held_size = size - at;
	memcpy(client->held, work + at, size - at);
}

static bool check_at_once(struct client *client, const uint8_t *bytes, uint32_t size)
{
	struct pattern expected = client->expected;
	uint32_t at, part;

	if (client->held_size)
		return false;
	for (at = 0; at < size; at += part) {
		part = size - at < PATTERN_PIECE ? size - at : PATTERN_PIECE;
		if (!pattern_matches(&expected, bytes + at, part))
			return false;
	}
	client->expected = expected;
	return true;
}

size_t client_drain_some(struct client *client, size_t most)
{
	uint32_t size = (uint32_t)receive(client, received, most, 0);

	if (!check_at_once(client, received, size))
		check_with_gaps(client, received, size);
	return size;
}

size_t client_drain(struct client *client)
{
	return client_drain_some(client, sizeof(received));
}

void client_expect(struct client *client, const void *bytes, size_t size)
{
	uint8_t got[64];
	ssize_t n = recv(client->sock, got, size, MSG_WAITALL);

	if (size > sizeof(got) || n != (ssize_t)size || memcmp(got, bytes, size) != 0)
		bench_fail("a client received something else than what the guest sent");
}

/* ---- input ---- */

size_t client_feed(struct client *client)
{
	ssize_t n = send(client->sock, pattern_bytes + client->sent.at, CLIENT_PIECE,
	                 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		bench_fail("sending as a client: %s", strerror(errno));
	if (n > 0)
		pattern_advance(&client->sent, (uint32_t)n);
	return n > 0 ? (size_t)n : 0;
}
