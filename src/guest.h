/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One guest: its frontend's socket, session and console on one side, its backend on the other.
 *
 * The only file that knows all of them. Frontends come and go, clients stay: what belongs to the
 * frontend's connection lives in a scope of its own, which drains before the next one begins.
 */
#ifndef GUEST_H
#define GUEST_H

#include "base/arena.h"
#include "config.h"
#include "backends/logfile.h"
#include "backends/output.h"
#include "console/console.h"
#include "loop/acceptor.h"
#include "loop/eventfd.h"
#include "loop/loop.h"
#include "protocol/channel.h"
#include "protocol/session.h"

/* QEMU's generic device is commonly told num_vqs=4, which must not be more than there are. */
#define GUEST_VRINGS 4u

/* Input that waits for the guest, in bytes. */
#define GUEST_INPUT_BYTES (64u * 1024)

struct guest;

struct guest_ops {
	/* All of it has stopped. */
	void (*stopped)(struct guest *guest);
	/*
	 * The process should end: with `finish` because its only frontend is gone, and what is left
	 * for the clients should be written out first; else because the person said so or, with
	 * `failed`, because it can't go on.
	 */
	void (*quit)(struct guest *guest, bool finish, bool failed);
};

struct guest_vring {
	struct guest *guest;
	struct eventfd_source kick;
	struct eventfd_sink call;
	struct eventfd_sink err;
	struct loop_task pump;
	const char *told_broken; /* what was said of it */
};

struct guest {
	const struct guest_ops *ops;
	const struct guest_config *config;
	struct loop *loop;
	char name[24];
	struct log_limit limit;

	/* For the guest's life. */
	struct loop_scope life;
	struct acceptor acceptor;
	bool listens; /* for frontends; otherwise it serves the one that was handed over */
	int next_fd;  /* a frontend that waits for the one before to be gone, or -1 */
	struct loop_scope port_scope;
	struct output output;
	struct backend_device device;
	struct backend *backend;
	struct logfile *log; /* or NULL */
	struct console console;
	struct session session;
	struct virtq virtqs[GUEST_VRINGS];

	/* For one connection of a frontend. */
	struct loop_scope connection;
	struct channel channel;
	struct guest_vring vrings[GUEST_VRINGS];
	struct eventfd_sink config_change; /* to the frontend */
	struct wire_header config_change_message;
	bool connected;
	bool config_told; /* the driver at work has been told to read its configuration */

	bool stopping, finishing;
	unsigned int frontend_parts; /* of `life` and `connection`, those that haven't drained */
};

/* The room a guest needs in the arena, in bytes. */
size_t guest_arena_size(const struct guest_config *config);

/*
 * Sets up guest number `index`, with its backend, and begins to serve it. `listen_fd` is the
 * listening socket for its frontends, or -1 with `connected_fd` the frontend itself; both are
 * the guest's from now on, also if it fails. Returns 0 or -errno, having logged the cause.
 */
int guest_start(struct guest *guest, const struct guest_ops *ops, struct loop *loop,
                struct arena *arena, const struct guest_config *config, unsigned int index,
                int listen_fd, int connected_fd);

/*
 * Ends it; `stopped` follows. With `finish`, what is left for the clients is written out first;
 * called once more without, it isn't.
 */
void guest_stop(struct guest *guest, bool finish);

/* Log files are opened anew: they may have been moved away. */
void guest_reopen_log(struct guest *guest);

/* The window of the process's terminal has another size. */
void guest_resize(struct guest *guest);

/* The process is about to be suspended, or goes on after that. */
void guest_suspend(struct guest *guest);
void guest_resume(struct guest *guest);

#endif
