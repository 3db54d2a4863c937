/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A client on a stream socket: it reads a port's output at its own pace, and what it sends is
 * the port's input.
 *
 * A raw one has no buffers of its own but for the line that marks a gap: output is sent out of the
 * output ring, input is received into the input ring, by one client after the other. One that
 * speaks telnet has small ones, where bytes are encoded and decoded. A client is told to wait by
 * not being read from; TCP does the rest.
 */
#ifndef BACKENDS_CLIENT_H
#define BACKENDS_CLIENT_H

#include "backends/output.h"
#include "backends/window.h"

struct client;

/* How the clients of a port are spoken to. */
struct client_protocol {
	bool telnet;         /* otherwise bytes are bytes */
	bool break_is_sysrq; /* what telnet's BREAK is to the guest */
};

/* The clients of one port. Embedded in their backend. */
struct client_set {
	struct backend_port *port;
	struct client_protocol protocol;
	struct window_set windows;
	struct loop_scope *scope;
	struct loop_timer look; /* at clients that aren't waited for */
	struct list clients;
	unsigned int count;
	bool receiving; /* one of them is receiving into the input ring */
	/* The last client has gone. */
	void (*emptied)(struct client_set *set);
};

void client_set_init(struct client_set *set, struct backend_port *port,
                     const struct client_protocol *protocol, struct loop_scope *scope,
                     void (*emptied)(struct client_set *set));

/*
 * Takes the connected socket `fd`. Returns 0 or -ENOMEM (fd closed). `name` is for the log, and
 * is copied.
 */
int client_new(struct client_set *set, int fd, const char *name);

/* There is room in the input ring: lets the clients fill it, each in turn. */
void client_set_receive(struct client_set *set);

/*
 * Closes a client that has gone or may have: it sends no more, or its connection is broken. False
 * if there is none.
 */
bool client_set_close_gone(struct client_set *set);

/* Closes all clients; `emptied` follows if there are any. */
void client_set_close(struct client_set *set);

#endif
