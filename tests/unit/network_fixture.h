/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The network backend over loopback TCP, its loop turned by the test, and clients in the same
 * thread: so nothing happens but what the test does.
 */
#ifndef NETWORK_FIXTURE_H
#define NETWORK_FIXTURE_H

#include "backend_fixture.h"
#include "backends/network.h"
#include "backends/server.h"

/*
 * Listens on a port of the kernel's choice, for raw clients that all may write. Sizes are powers of
 * two.
 */
void network_fixture_init(struct backend_fixture *f, size_t output_bytes, size_t input_bytes);
void network_fixture_init_as(struct backend_fixture *f, size_t output_bytes, size_t input_bytes,
                             const struct client_protocol *protocol, enum access access);
/* The port on which it listens. */
uint16_t network_port(void);

/* A connected client, non-blocking; receive_bytes 0: as it comes. */
int network_connect(int receive_bytes);

/* How many descriptors are open: a client that has gone leaves none behind. */
unsigned int network_open_files(void);

/* The daemon's end of a client's connection, or -1. It stays the daemon's. */
int network_daemon_end(int client);

/* The guest writes `len` bytes of the pattern from `pos`, as far as there is room. Returns how
 * many. */
size_t network_guest_writes(struct backend_fixture *f, uint64_t pos, size_t len);

/* Reads what has come, up to `size`. Returns how many bytes, 0 for none. */
size_t network_read(int client, void *bytes, size_t size);
/* Whether the daemon has closed the connection; reads what is left. */
bool network_is_closed(int client);

/* Turns until the client has read `len` bytes, which have to be the pattern from `pos` on. */
void network_expect(struct backend_fixture *f, int client, uint64_t pos, size_t len);
/* The same for a text. */
void network_expect_text(struct backend_fixture *f, int client, const char *text);

#endif
