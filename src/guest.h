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
#include "console/console.h"
#include "guest_port.h"
#include "loop/acceptor.h"
#include "loop/discard.h"
#include "loop/eventfd.h"
#include "loop/loop.h"
#include "loop/transfer.h"
#include "protocol/channel.h"
#include "protocol/session.h"

struct guest;
struct guest_saving;
struct guest_loading;

struct guest_ops {
	/* All of it has stopped. */
	void (*stopped)(struct guest *guest);
	/* Its frontend's connection has ended, and all that belonged to it. */
	void (*disconnected)(struct guest *guest);
	/* A port that was removed has stopped: its configuration isn't needed any more. */
	void (*port_removed)(struct guest *guest, const struct port_config *config);
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
	struct loop_watch watch;
	const char *told_broken; /* what was said of it */
};

/* One of the ports that a guest may have. */
struct guest_slot {
	struct guest *guest;
	struct guest_port port;
	const struct port_config *removed; /* the port is on its way out */
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
	struct loop_discards discards; /* what its frontends have sent */
	int next_fd; /* a frontend that waits for the one before to be gone, or -1 */
	unsigned int vrings_count;
	struct guest_slot *slots; /* config->max_ports of them, as of console_ports */
	struct console_port *console_ports;
	struct virtq *virtqs; /* vrings_count of them, as of vrings */
	struct console console;
	struct session session;

	/* For one connection of a frontend. */
	struct loop_scope connection;
	struct channel channel;
	struct guest_vring *vrings;
	struct eventfd_sink config_change; /* to the frontend */
	struct eventfd_sink log_call;
	struct wire_header config_change_message;
	struct transfer state_transfer;
	enum session_transfer state_result; /* of the last one */
	struct guest_saving *saving;        /* while it is saved, else NULL; see guest_state.c */
	struct guest_loading *loading;      /* once all of it was read, until it is loaded */
	struct loop_task load;
	bool state_saved; /* the state was saved, and no vring has started since */
	bool connected;
	bool config_told;         /* the driver at work has been told to read its configuration */
	struct loop_timer naming; /* until all vrings should be named, */
	unsigned int hints_told;  /* both guest_hints.c's */
	bool lone_told;           /* it was said that the driver knows of one port only */

	bool stopping, finishing;
	unsigned int frontend_parts; /* of `life` and `connection`, those that haven't drained */
	unsigned int ports_running;
};

/*
 * What must outlive the process: a guest's record and its memory regions, which lie in the arena
 * among those of the other guests, and the room for its rings there. Sizes are in bytes.
 */
struct guest_place {
	uint8_t *record;
	struct gmem_region *regions; /* as in struct session_place */
	size_t stride;
	unsigned int max_regions; /* that may be used of them */
};

size_t guest_record_size(const struct guest_config *config);
size_t guest_arena_size(const struct guest_config *config);

/* How many regions of memory each may have at least: what vhost-user knew in its first years. */
#define GUEST_REGIONS_LEAST 8u

/*
 * How many descriptors it needs with a frontend that sends everything, for a memory of
 * GUEST_REGIONS_LEAST regions, and with one client a port.
 */
unsigned int guest_fds(const struct guest_config *config);

/*
 * Makes guest number `index`, whose record is at `place`, and which takes the room for its rings in
 * the arena. Returns 0 or -errno, having logged the cause; then there is nothing to undo.
 */
int guest_init(struct guest *guest, const struct guest_ops *ops, struct loop *loop,
               const struct guest_place *place, struct arena *arena,
               const struct guest_config *config, unsigned int index);

/* It has stopped, or was never started. May be called again, and for a zeroed one. */
void guest_deinit(struct guest *guest);

/*
 * Starts its ports, and begins to serve it. `listen_fd` is the listening socket for its frontends,
 * or -1 with `connected_fd` the frontend itself; both are the guest's from now on. Returns 0 or
 * -errno, having logged the cause; also then guest_stop() has to follow.
 */
int guest_start(struct guest *guest, int listen_fd, int connected_fd);

/*
 * Ends it; `stopped` follows. With `finish`, what is left for the clients is written out first;
 * called once more without, it isn't.
 */
void guest_stop(struct guest *guest, bool finish);

/* Ends the connection of its frontend, for a reason (or NULL) that is logged. */
void guest_end_connection(struct guest *guest, const char *why);

/*
 * The same because a person wants it, as if the VMM had gone; another frontend may come, and
 * `disconnected` follows. Returns 0 or -errno, with the reason that a person understands in
 * *ret_why: if there is no frontend, or it was handed over and no other can come.
 */
int guest_disconnect(struct guest *guest, const char **ret_why);

/*
 * Gives a guest at work one port more, as `config` says, which is the guest's until `port_removed`.
 * Returns 0 or -errno, with the reason that a person understands in *ret_why.
 */
int guest_add_port(struct guest *guest, const struct port_config *config, const char **ret_why);

/*
 * Takes the port of that name, or number, away; what is left for its clients is written out first,
 * and then `port_removed` follows. The first port stays, and so does the one that the driver at
 * work has alone.
 * Returns 0, with the configuration that it will be called with, or -errno as above.
 */
int guest_remove_port(struct guest *guest, const char *name, const struct port_config **ret_config,
                      const char **ret_why);

/* The port of number `id`, below config->max_ports, or NULL if there is none. */
const struct guest_port *guest_port_of(const struct guest *guest, unsigned int id);

/* Whether the driver has opened it. */
bool guest_port_is_open(const struct guest *guest, unsigned int id);

/* Log files are opened anew: they may have been moved away. */
void guest_reopen_log(struct guest *guest);

/* The window of the process's terminal has another size. */
void guest_resize(struct guest *guest);

/* The process is about to be suspended, or goes on after that. */
void guest_suspend(struct guest *guest);
void guest_resume(struct guest *guest);

#endif
