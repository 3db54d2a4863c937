/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A client of a console on TCP, who checks every byte. Never waits unless it says so.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest.h"
#include "pattern.h"

enum {
	CLIENT_PIECE = 32768, /* bytes of a send of input */
};

struct client {
	int sock;
	uint32_t held_size;
	uint8_t held[128];       /* the beginning of what may be the line about missing bytes */
	uint64_t missed;         /* bytes that the backend said it left out */
	struct pattern expected; /* output to come */
	struct pattern sent;     /* input */
};

/* Connects to 127.0.0.1; waits till somebody listens there. TCP_NODELAY. */
void client_connect(struct client *client, unsigned int port);
void client_close(struct client *client);

/*
 * Makes a guest and its clients sure of each other: what they were sent before (an earlier run's
 * output, telnet's negotiation) is read and forgotten; the next byte of output is the pattern's
 * first.
 */
void clients_meet(struct client *client, unsigned int count, struct guest *guest);
/* The same for input; after clients_meet(). */
void client_meet_input(struct client *client, struct guest *guest);

/*
 * Receives what is there (at most 128 KiB) and checks it; how much. Wrong bytes end the bench. A
 * line of vhost-user-console's that tells how many bytes are missing is believed: those are counted
 * in `missed`, and the next byte must be the one behind them.
 */
size_t client_drain(struct client *client);

/* The same with at most `most` bytes. */
size_t client_drain_some(struct client *client, size_t most);

/* Receives exactly these bytes, waiting for them; dies if others come. */
void client_expect(struct client *client, const void *bytes, size_t size);

/* Sends as much of the next CLIENT_PIECE bytes of the pattern as goes without waiting; how much. */
size_t client_feed(struct client *client);

#endif
