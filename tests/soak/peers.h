/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Who takes part in the soak: a guest's session and its clients, each in a process of its own, so
 * that it can die at any time. Both end by exit(): 0, or 1 after a line that says what was wrong.
 */
#ifndef SOAK_PEERS_H
#define SOAK_PEERS_H

#include <stdbool.h>
#include <stdint.h>

/* Where the daemon is: guest i has socket "fe<i>", data clients "dat<i>", TCP ports. */
struct place {
	const char *folder;
	uint16_t raw_port, telnet_port; /* of guest 0 */
};

/* The ports of each guest. */
enum { PORT_RAW, PORT_TELNET, PORT_DATA, PORTS };

/* Numbers that the seed decides. */
uint32_t dice(uint64_t *seed);
uint64_t wide_dice(uint64_t *seed);

/* What this process is at, for the message if that fails. */
extern char doing[96];

/* A VM of some kind boots, talks, resets, stops, with clients of its own that check each byte. */
void guest_session(const struct place *place, unsigned int guest, uint64_t seed);

/* One that only shows what of its clients has gone: all ports print. */
void last_session(const struct place *place, unsigned int guest);

/* Clients that come, read, flood, stop reading, half-close and go, until `end_ms`. */
void clients_session(const struct place *place, unsigned int guest, uint64_t seed, uint64_t end_ms);

/* A connection to one of the guest's ports, never waiting; it ends by a reset if wanted. */
int connect_client(const struct place *place, unsigned int guest, unsigned int port);
void close_client(int *fd, bool reset);

#endif
