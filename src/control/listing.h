/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The lines that answer `list`: for people's eyes and for awk. Pure.
 *
 * A line is a fixed number of fields with one space between, without a header; what is said in one
 * field stays there, and later versions only add fields at the end. A field never is empty and has
 * no space in it: what isn't there is `-`, and a byte that would mislead (space, backslash, control
 * bytes, a text that is just `-`) is a backslash and three octal digits, as in /proc/mounts.
 */
#ifndef CONTROL_LISTING_H
#define CONTROL_LISTING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* guest NUMBER connected|waiting SOCKET: whether its frontend is there, and where it comes to. */
struct control_guest_line {
	unsigned int guest;
	bool connected;
	const char *socket_path; /* or NULL: it came as a descriptor */
};

/*
 * port GUEST NUMBER NAME console|data BACKEND open|closed CLIENTS PLACE: `open` says that the guest
 * has opened it; PLACE is where clients connect, ADDRESS:PORT or a path.
 */
struct control_port_line {
	unsigned int guest, port;
	const char *name; /* or NULL */
	bool data;
	const char *backend;
	bool open;
	unsigned int clients;
	const char *tcp_address; /* or NULL: then it isn't on TCP */
	uint16_t tcp_port;
	const char *uds_path; /* or NULL */
};

void control_listing_guest(FILE *out, const struct control_guest_line *line);
void control_listing_port(FILE *out, const struct control_port_line *line);

#endif
