/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The clients of a port on stream sockets: each reads the port's output at its own pace, and what
 * those send that may write is the port's input.
 *
 * A raw one has no buffers of its own but for marked lines: output is sent out of the output ring,
 * input is received into the input ring, by one client after the other. One that speaks telnet has
 * small ones, where bytes are encoded and decoded. A client that may write is told to wait by not
 * being read from; TCP does the rest. What one sends that may not write is received and thrown
 * away, so that nothing of it waits.
 *
 * client.c has the set and each client's life, client_output.c and client_input.c the two ways of
 * the bytes, client_guard.c keeps web pages out.
 */
#ifndef BACKENDS_CLIENT_H
#define BACKENDS_CLIENT_H

#include "backends/output.h"
#include "backends/window.h"
#include "base/log.h"
#include "loop/descriptors.h"
#include "loop/strays.h"

struct client;

/* Who may write, with several clients. */
enum access {
	ACCESS_SHARED,    /* all */
	ACCESS_EXCLUSIVE, /* the one that began to type last; the one before has to go */
	ACCESS_WATCH,     /* the one that has been there longest; the others watch */
	ACCESS_SINGLE,    /* the only one there is; others are turned away */
};

/* How the clients of a port are spoken to. */
struct client_protocol {
	bool telnet;         /* otherwise bytes are bytes */
	bool break_is_sysrq; /* what telnet's BREAK is to the guest */
};

/* The most that is received in one piece from a client whose input is decoded or thrown away. */
#define CLIENT_RECEIVE_BYTES 1024u

/*
 * How long a client that has sent nothing has to stay until it counts as one, in ms: longer than a
 * port check, and hardly longer than a person notices.
 */
#define CLIENT_STAY_MS 250u
/* How often one that has ended its input is looked at, whether it has what it was sent. */
#define CLIENT_TRIAL_MS 20u

/* The clients of one port. Embedded in their backend. */
struct client_set {
	struct backend_port *port;
	struct client_protocol protocol;
	enum access access;
	bool guards; /* its clients may be browsers, which are closed: see http_guard.h */
	struct log_limit limit; /* of what clients can have logged at will */
	struct window_set windows;
	struct loop_scope *scope;
	struct loop_timer look; /* at clients that aren't waited for, or that wait themselves */
	uint64_t look_ms;
	uint32_t silent_ms; /* after which a client that should answer is dead */
	struct list clients;
	struct loop_relief relief; /* those that have gone */
	unsigned int count;
	unsigned int leaving;  /* of `count`, those that are told that they have to go */
	uint64_t joined;       /* how many have come */
	struct client *writer; /* the one that may write, unless all may; NULL: nobody is there */
	struct strays *strays; /* descriptors that clients can't be kept from sending; or NULL */
	bool closes_silently;  /* a close looks like an end of input: TCP */
	/* The last client has gone. */
	void (*emptied)(struct client_set *set);
	/* client_set_calls() may have changed; or NULL. */
	void (*settled)(struct client_set *set);
};

void client_set_init(struct client_set *set, struct backend_port *port,
                     const struct client_protocol *protocol, enum access access,
                     struct loop_scope *scope, void (*emptied)(struct client_set *set));

/*
 * Takes the connected socket `fd`. Returns 0 or -ENOMEM (fd closed). `name` is for the log, and
 * is copied.
 */
int client_new(struct client_set *set, int fd, const char *name);

/* How many clients there are without those that have to go or have gone. */
unsigned int client_set_staying(const struct client_set *set);

/* Whether there is a client of which it isn't known yet whether it stays. */
bool client_set_calls(const struct client_set *set);

/* Says to the peer of `fd`, as far as that can be done at once, why it can't stay; closes `fd`. */
void client_set_turn_away(struct client_set *set, int fd, const char *why);

/* What they have sent so far was for a guest that is gone; see backend_ops.drop_input. */
size_t client_set_drop_input(struct client_set *set);

/* There is room in the input ring: lets the clients fill it, each in turn. */
void client_set_receive(struct client_set *set);

/*
 * Sends a client away that has gone or may have: it sends no more, or its connection is broken.
 * False if there is none.
 */
bool client_set_close_gone(struct client_set *set);

/*
 * Whether the process has a descriptor for one client more. The first of a port always has one:
 * it is reserved, as what guests need is. Others have those that are spare; if none is, one that
 * has gone is closed at once, without a word, for the one that comes.
 */
bool client_set_can_afford_one(struct client_set *set);

/* Closes all clients, for the last time; `emptied` follows if there are any. */
void client_set_close(struct client_set *set);

#endif
