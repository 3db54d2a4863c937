/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A client of the network backend, on a TCP connection over loopback. Never waits by itself: what
 * waits turns the guest's loop.
 */
#ifndef CONFORMANCE_TCP_CLIENT_H
#define CONFORMANCE_TCP_CLIENT_H

#include "testbed.h"

struct tcp_client {
	struct bed_guest *guest;
	unsigned int slot; /* see tcp_client_close_all() */
	int fd;            /* -1: not connected */
	uint8_t *data;     /* read and not taken yet */
	size_t size, room;
	bool ended; /* the other side has closed */
};

/* Connects. `receive_buffer`: the size of SO_RCVBUF, 0 for the system's. */
void tcp_client_connect(struct tcp_client *client, struct bed_guest *guest, int receive_buffer);
/* The same to another port of the guest than port 0. */
void tcp_client_connect_port(struct tcp_client *client, struct bed_guest *guest, unsigned int port,
                             int receive_buffer);

/* Closes, with `reset` by a reset instead of an end, and forgets what was read. Idempotent. */
void tcp_client_close(struct tcp_client *client, bool reset);

/* Closes all that are open: for a teardown, when the structures may be gone. */
void tcp_client_close_all(void);

/* Reads what there is, at most `most` bytes; how many. */
size_t tcp_client_read(struct tcp_client *client, size_t most);

/* Sends what goes at once; how many bytes. */
size_t tcp_client_send(struct tcp_client *client, const void *bytes, size_t size);

/* Sends all of it, turning. */
void tcp_client_send_all(struct tcp_client *client, const void *bytes, size_t size);

/* No more will be sent. */
void tcp_client_shut(struct tcp_client *client);

/* Turns and reads until there are `size` bytes. */
void tcp_client_await(struct tcp_client *client, size_t size);

/* Awaits these bytes, asserts that they are next, and takes them. */
void tcp_client_expect(struct tcp_client *client, const void *bytes, size_t size);

/* Turns until nothing happens and asserts that there is nothing to read. */
void tcp_client_expect_nothing(struct tcp_client *client);

/* Turns until the other side has closed. */
void tcp_client_await_end(struct tcp_client *client);

#endif
