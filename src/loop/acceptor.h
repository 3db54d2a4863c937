/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A listening socket on the loop: it accepts one connection after the other. Urgent bytes
 * (MSG_OOB) of a connection keep their place among the others.
 *
 * Where the system is short of descriptors or memory, those who want to connect wait in the
 * socket's queue until the shortage ends: see loop/descriptors.h for that of descriptors.
 */
#ifndef LOOP_ACCEPTOR_H
#define LOOP_ACCEPTOR_H

#include "base/log.h"
#include "loop/descriptors.h"
#include "loop/loop.h"

struct acceptor {
	struct loop_op accept;
	struct log_limit limit;
	struct fd_discarder *discarder;
	const char *name; /* for the log */
	int fd;
	enum loop_fd_order order;
	bool closed; /* nobody else is accepted */
	bool held;   /* for now */
	/* Takes the connected socket `fd`. */
	void (*accepted)(struct acceptor *acceptor, int fd);
};

/*
 * Takes the listening socket `fd` and accepts until the scope closes. The socket ends with
 * `discarder` (NULL: is closed at once), with those who wait in its queue and what they have sent.
 */
void acceptor_start(struct acceptor *acceptor, struct loop_scope *scope,
                    struct fd_discarder *discarder, int fd, const char *name,
                    void (*accepted)(struct acceptor *acceptor, int fd));

/* In a shortage of descriptors it comes before those of which this isn't said. */
void acceptor_go_first(struct acceptor *acceptor);

/* Accepts nobody from the next on; those wait in the socket's queue until acceptor_go_on(). */
void acceptor_hold(struct acceptor *acceptor);
void acceptor_go_on(struct acceptor *acceptor);

/* Accepts nobody else; the socket stays open. */
void acceptor_close(struct acceptor *acceptor);

/* Closes the socket. The scope has drained: asserted. */
void acceptor_deinit(struct acceptor *acceptor);

#endif
