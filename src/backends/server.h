/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the backends have in common whose clients connect to a listening socket.
 */
#ifndef BACKENDS_SERVER_H
#define BACKENDS_SERVER_H

#include "backends/client.h"
#include "loop/acceptor.h"

/* The most clients of a port, but for those that are told that they have to go. */
#define SERVER_CLIENTS_MAX 64u

/* Long enough for "[IPv6 address]:port" and for "uid 1000 pid 12345". */
#define SERVER_NAME_BYTES 64

struct server;

struct server_ops {
	/* Sets the options of a client's socket and writes its name for the log. */
	void (*greet)(int fd, char name[SERVER_NAME_BYTES]);
	/* Nothing of the server is left but its memory and what its owner added: frees both. */
	void (*free)(struct server *server);
};

/* Embedded in the backend that owns it. */
struct server {
	struct backend backend;
	const struct server_ops *ops;
	struct loop_scope scope;
	struct acceptor acceptor;
	struct client_set clients;
	struct log_limit limit;
	bool drained;
};

/* Takes the listening socket `fd` and serves who connects, until backend_ops.stop. */
void server_init(struct server *server, const struct server_ops *ops, struct loop *loop,
                 struct backend_port *port, const struct client_protocol *protocol,
                 enum access access, int fd);

/*
 * The same for a Unix socket. Where clients can't be kept from sending descriptors, those are
 * closed beside the loop. Returns 0 or -ENOMEM, fd being closed then.
 */
int server_init_unix(struct server *server, const struct server_ops *ops, struct loop *loop,
                     struct backend_port *port, enum access access, int fd);

#endif
