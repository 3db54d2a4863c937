/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The network backend over loopback TCP, its loop turned by the test, and clients in the same
 * thread: so nothing happens but what the test does.
 */
#ifndef NETWORK_FIXTURE_H
#define NETWORK_FIXTURE_H

#include "backends/network.h"
#include "backends/output.h"
#include "backends/server.h"
#include "turning.h"

struct network_fixture {
	struct loop *loop;
	struct output output; /* with the port */
	struct watched_scope scope;
	unsigned int attended; /* how often it was told that somebody came, or nobody is left */
	struct backend_device device;
	struct backend *backend; /* NULL once it has stopped */
	struct byte_ring_state states[2];
	uint8_t *bytes[2]; /* of output and input */
	uint16_t tcp_port;
	unsigned int pumps, stops, resizes;
};

/* Listens on a port of the kernel's choice, for raw clients that all may write. Sizes are powers of
 * two. */
void network_fixture_init(struct network_fixture *f, size_t output_bytes, size_t input_bytes);
void network_fixture_init_as(struct network_fixture *f, size_t output_bytes, size_t input_bytes,
                             const struct client_protocol *protocol, enum access access);
/* Stops the backend, if it hasn't stopped, and waits for that. */
void network_fixture_deinit(struct network_fixture *f);

/* A connected client, non-blocking; receive_bytes 0: as it comes. */
int network_connect(struct network_fixture *f, int receive_bytes);

/* How many descriptors are open: a client that has gone leaves none behind. */
unsigned int network_open_files(void);

/* The daemon's end of a client's connection, or -1. It stays the daemon's. */
int network_daemon_end(int client);

/* Writes out what is left for the clients, then stops. */
void network_finish(struct network_fixture *f);

/* The guest writes `len` bytes of the pattern from `pos`, as far as there is room. Returns how
 * many. */
size_t network_guest_writes(struct network_fixture *f, uint64_t pos, size_t len);

/* Reads what has come, up to `size`. Returns how many bytes, 0 for none. */
size_t network_read(int client, void *bytes, size_t size);
/* Whether the daemon has closed the connection; reads what is left. */
bool network_is_closed(int client);

/* Turns until the client has read `len` bytes, which have to be the pattern from `pos` on. */
void network_expect(struct network_fixture *f, int client, uint64_t pos, size_t len);
/* The same for a text. */
void network_expect_text(struct network_fixture *f, int client, const char *text);

#endif
