/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the control socket asks of the daemon: the guests' ports listed, added and removed, and
 * their frontends' connections ended.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include "config.h"
#include "control/control.h"
#include "guest.h"

/* A guest as the control socket's requests find it. */
typedef struct guest *daemon_control_find_fn(void *daemon, unsigned int index);

struct daemon_control {
	struct control control;
	const struct config *config;
	struct loop *loop;
	daemon_control_find_fn *find;
	void *daemon;
	struct list added;    /* the configurations of ports that were added here */
	struct list owed;     /* removals that are to be answered once they are done */
	struct list ending;   /* disconnections likewise */
	unsigned int opening; /* of those that were added: logs that are on their way in or out */
	bool drained;         /* the control socket has stopped */
	void (*stopped)(struct daemon_control *control);
};

/*
 * Listens at config->control_path. `find` returns guest `index` of config->guests_count. Returns 0
 * or -errno, having logged the cause.
 */
int daemon_control_start(struct daemon_control *control, const struct config *config,
                         struct loop *loop, daemon_control_find_fn *find, void *daemon,
                         void (*stopped)(struct daemon_control *control));

/* Takes no more requests; `stopped` follows. */
void daemon_control_stop(struct daemon_control *control);

/*
 * A port that was added here, or that was there from the start, has been removed: answers who
 * asked for that, and frees what is nobody's any more.
 */
void daemon_control_port_removed(struct daemon_control *control, const struct port_config *config);

/* The connection of this guest's frontend has ended: answers who asked for that. */
void daemon_control_disconnected(struct daemon_control *control, const struct guest *guest);

/* Frees what was added. The guests and the socket have stopped, or were never started. */
void daemon_control_deinit(struct daemon_control *control);

#endif
