/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A client of the network backend. See tcp_client.h.
 */
#include "tcp_client.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What an open client owns, also when a failed test has left its structure behind. */
static struct owned {
	bool used;
	int fd;
	uint8_t *data;
} slots[128];

static unsigned int new_slot(int fd)
{
	for (unsigned int i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		if (slots[i].used)
			continue;
		slots[i] = (struct owned){.used = true, .fd = fd};
		return i;
	}
	support_die("too many clients for the test");
}

static void free_slot(unsigned int slot)
{
	if (!slots[slot].used)
		return;
	close(slots[slot].fd);
	free(slots[slot].data);
	slots[slot] = (struct owned){0};
}

void tcp_client_close_all(void)
{
	for (unsigned int i = 0; i < sizeof(slots) / sizeof(slots[0]); i++)
		free_slot(i);
}

void tcp_client_connect(struct tcp_client *client, struct bed_guest *guest, int receive_buffer)
{
	tcp_client_connect_port(client, guest, 0, receive_buffer);
}

void tcp_client_connect_port(struct tcp_client *client, struct bed_guest *guest, unsigned int port,
                             int receive_buffer)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET,
	    .sin_port = htons(guest->tcp_port[port]),
	    .sin_addr = {htonl(INADDR_LOOPBACK)},
	};

	*client = (struct tcp_client){.guest = guest};
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	client->slot = new_slot(client->fd);
	if (receive_buffer)
		setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer,
		           sizeof(receive_buffer));
	/* Loopback answers at once, without the loop's accept. */
	if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		support_die("a client can't connect to port %u: %s", guest->tcp_port[port],
		            strerror(errno));
}

void tcp_client_close(struct tcp_client *client, bool reset)
{
	struct linger linger = {.l_onoff = reset, .l_linger = 0};

	if (client->fd < 0)
		return;
	setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	free_slot(client->slot);
	*client = (struct tcp_client){.guest = client->guest, .fd = -1};
}

static void make_room(struct tcp_client *client, size_t size)
{
	if (client->room - client->size >= size)
		return;
	client->room = 2 * (client->size + size);
	client->data = realloc(client->data, client->room);
	slots[client->slot].data = client->data;
	if (!client->data)
		support_die("out of memory for a client's %zu bytes", client->room);
}

size_t tcp_client_read(struct tcp_client *client, size_t most)
{
	size_t total = 0;
	ssize_t n = 1;

	while (total < most && n > 0 && client->fd >= 0) {
		size_t part = most - total < 65536 ? most - total : 65536;

		make_room(client, part);
		n = recv(client->fd, client->data + client->size, part, MSG_DONTWAIT);
		client->ended |= n == 0 || (n < 0 && errno == ECONNRESET);
		if (n > 0) {
			client->size += (size_t)n;
			total += (size_t)n;
		}
	}
	return total;
}

size_t tcp_client_send(struct tcp_client *client, const void *bytes, size_t size)
{
	ssize_t n = send(client->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		support_die("a client can't send: %s", strerror(errno));
	return n > 0 ? (size_t)n : 0;
}

struct sending {
	struct tcp_client *client;
	const uint8_t *bytes;
	size_t size;
};

static bool all_sent(void *arg)
{
	struct sending *sending = arg;
	size_t n = tcp_client_send(sending->client, sending->bytes, sending->size);

	sending->bytes += n;
	sending->size -= n;
	return sending->size == 0;
}

void tcp_client_send_all(struct tcp_client *client, const void *bytes, size_t size)
{
	struct sending sending = {client, bytes, size};

	frontend_await(&client->guest->frontend, all_sent, &sending, "a client's input to be sent");
}

void tcp_client_shut(struct tcp_client *client)
{
	shutdown(client->fd, SHUT_WR);
}

struct awaiting {
	struct tcp_client *client;
	size_t size;
};

static bool enough_read(void *arg)
{
	struct awaiting *awaiting = arg;

	tcp_client_read(awaiting->client, SIZE_MAX);
	return awaiting->client->size >= awaiting->size;
}

void tcp_client_await(struct tcp_client *client, size_t size)
{
	struct awaiting awaiting = {client, size};

	frontend_await(&client->guest->frontend, enough_read, &awaiting, "output for a client");
}

void tcp_client_expect(struct tcp_client *client, const void *bytes, size_t size)
{
	tcp_client_await(client, size);
	assert_memory_equal(client->data, bytes, size);
	client->size -= size;
	memmove(client->data, client->data + size, client->size);
}

void tcp_client_expect_nothing(struct tcp_client *client)
{
	bed_settle(client->guest->bed);
	tcp_client_read(client, SIZE_MAX);
	assert_int_equal(client->size, 0);
}

static bool has_ended(void *arg)
{
	struct tcp_client *client = arg;

	tcp_client_read(client, SIZE_MAX);
	return client->ended;
}

void tcp_client_await_end(struct tcp_client *client)
{
	frontend_await(&client->guest->frontend, has_ended, client, "the end of a connection");
}
