/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What only one may have, and who would have it too: TCP ports, paths of any kind, a backend that
 * there can be only one of, and within a guest the names of ports. Pure: paths are compared as
 * they are written, but for "." and slashes too many; what the files are isn't looked at.
 */
#ifndef OVERLAPS_H
#define OVERLAPS_H

#include "config.h"

/* Room for what is said of an overlap, one line without its end; a longer one is cut. */
#define OVERLAPS_TEXT_MAX 512

struct overlap {
	const char *key; /* the option or key of what overlaps; NULL: nothing does */
	int port;        /* the number of the port that it is of; -1: of none */
	/* Both sides: "tcp-port 5001 of guest 0 is also that of port a of guest 1". */
	char text[OVERLAPS_TEXT_MAX];
};

/* A port and where it is. */
struct overlaps_port {
	const struct port_config *config;
	unsigned int guest, number;
};

/* The first guest's first overlap in a configuration, in O(n log n). Returns 0 or -ENOMEM. */
int overlaps_find(const struct config *config, struct overlap *ret_overlap);

/* For a port that is added later: the first overlap with another port. */
void overlaps_with_port(const struct overlaps_port *port, const struct overlaps_port *other,
                        struct overlap *ret_overlap);

/* The first one with a guest's --socket-path or the --control-socket. */
void overlaps_with_sockets(const struct overlaps_port *port, const struct config *config,
                           struct overlap *ret_overlap);

#endif
