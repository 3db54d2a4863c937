/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The control socket: a Unix socket on which the daemon's owner asks it for something, a line each
 * time.
 *
 * An answer is any number of lines and then one that is `ok` or begins with `error ` and says why;
 * no line before it does. Requests of a client are answered in order, one at a time; clients don't
 * wait for each other. Who can connect may do everything: the socket's mode says who that is.
 *
 * Guests and ports are its owner's, who is reached by the functions below.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include "base/log.h"
#include "base/unix_socket.h"
#include "control/request.h"
#include "loop/acceptor.h"
#include "loop/loop.h"

#include <stdint.h>

/* The most clients at a time. */
#define CONTROL_CLIENTS_MAX 16u

struct control;

enum control_verdict {
	CONTROL_DONE,
	CONTROL_REFUSED, /* by control_refuse(), which says why */
	CONTROL_LATER,   /* control_answer() tells, before the function returns or after */
};

/* A request while its function is called; nothing of it may be kept but the ticket. */
struct control_call {
	uint64_t ticket; /* for control_answer(); never used twice */
	unsigned int guest;
	const char *rest; /* SPEC or NAME */
	FILE *out;        /* what comes before the last line; not with CONTROL_LATER */
	char error[CONTROL_REQUEST_ERROR_BYTES];
};

struct control_ops {
	/* Writes the lines of listing.h. */
	enum control_verdict (*list)(struct control *control, struct control_call *call);
	/* Adds a port to guest `guest`, as the text `rest` says. */
	enum control_verdict (*port_add)(struct control *control, struct control_call *call);
	/*
	 * Removes the port named `rest` from guest `guest`. Done is when it is gone: its name, TCP
	 * port and path can be used again by the next request. So it is answered later if anything
	 * of it has to end first.
	 */
	enum control_verdict (*port_remove)(struct control *control, struct control_call *call);
	/*
	 * Ends the connection of guest `guest`'s frontend. Done is when another one can come: so it
	 * is answered later.
	 */
	enum control_verdict (*disconnect)(struct control *control, struct control_call *call);
	/* All of it has stopped. */
	void (*stopped)(struct control *control);
};

/* Embedded in its owner. */
struct control {
	const struct control_ops *ops;
	struct loop_scope scope;
	struct acceptor acceptor;
	struct strays *strays; /* descriptors that clients can't be kept from sending; or NULL */
	struct unix_socket_file file;
	struct list clients;
	unsigned int count;
	uint64_t tickets; /* given out so far */
	struct log_limit limit;
	bool drained;
};

/*
 * Listens at `path`, which has to live as long as the control does, for nobody but the process's
 * user. Returns 0 or -errno, having logged the cause.
 */
int control_start(struct control *control, const struct control_ops *ops, struct loop *loop,
                  const char *path);

/*
 * Removes the socket and closes all clients, without the answers they wait for; `stopped` follows,
 * never before this returns.
 */
void control_stop(struct control *control);

/* Says why a call is refused, in one line of text without LF. Returns CONTROL_REFUSED. */
__attribute__((format(printf, 2, 3))) enum control_verdict control_refuse(struct control_call *call,
                                                                          const char *format, ...);

/*
 * Answers the call with that ticket, which was left for later: `error` is NULL if it is done, else
 * one line of text. A ticket that nobody waits for any more does no harm, until `stopped` and
 * after it.
 */
void control_answer(struct control *control, uint64_t ticket, const char *error);

#endif
