/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The backend that is measured: started by a command, or running already.
 *
 * The command is run by sh with `exec` before it, and with these words replaced:
 *	{socket}  path of the vhost-user sockets, the guest's number to be appended
 *	{count}   number of guests
 *	{port}    TCP port of guest 0; guest i has port + i
 *	{extra}   options that a scenario adds (log, telnet), with {socket} in them replaced too;
 *		  only for commands that take this program's options
 * It finds /dev/null at its input and output, and runs on a processor of its own. Each measured run
 * has a new process, and a new folder for its sockets (in /dev/shm, if there is one: logs that a
 * scenario asks for lie there too).
 */
#ifndef BENCH_BACKEND_H
#define BENCH_BACKEND_H

#include <stdbool.h>
#include <sys/types.h>

struct target {
	const char *name;    /* in tables: "backend", "against" */
	const char *command; /* NULL: it runs already, at: */
	const char *socket_prefix;
	unsigned int port;
	unsigned int count;
	pid_t pid; /* 0: unknown, what it uses isn't measured */
};

struct backend {
	const struct target *target;
	pid_t pid; /* 0: unknown */
	unsigned int count;
	unsigned int port;
	char folder[64]; /* of its sockets; empty if it isn't ours */
	char socket_prefix[128];
};

/* Whether the scenario's options can be given to it. */
bool target_takes_extra(const struct target *target);

/* How many guests it can have: what is there, or any number. */
bool target_has(const struct target *target, unsigned int count);

/* Starts it for `count` guests and waits for its sockets, or takes the running one. `extra` may be
 * NULL. */
void backend_start(struct backend *backend, const struct target *target, unsigned int count,
                   const char *extra);

/* Ends what was started, waits until it is gone, removes its sockets. */
void backend_stop(struct backend *backend);

/* Path of guest i's vhost-user socket; valid till the next call. */
const char *backend_socket(const struct backend *backend, unsigned int guest);

/* Ends all that were started, without waiting long: for the way out after an error. */
void backend_stop_all(void);

#endif
