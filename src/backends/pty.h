/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The pty backend: a pseudo terminal, for programs that want a serial line's device.
 *
 * People open and close it as they like. While nobody has it open nothing is written to it, so that
 * nobody finds a stale screenful in it; who opens it then is sent what is kept and goes on with
 * what comes, as any other client. Several who have it open at once share it, as they would share a
 * line: each byte goes to one of them.
 *
 * An open master without a slave is always ready, with a hangup: polling it would never sleep. So
 * nothing waits at the master then, and it is inotify that tells when somebody comes.
 */
#ifndef BACKENDS_PTY_H
#define BACKENDS_PTY_H

#include "backends/backend.h"
#include "loop/loop.h"

#include <sys/types.h>

/* How long somebody who has opened it may take to set it up before output is written. */
#define PTY_SETTLING_MS 50
/* If it is flushed so soon after it was opened, its output begins anew. */
#define PTY_BEGINNING_MS 1000

/*
 * The link at `link`, which has to live as long, leads to it; see pty_device_open(). Returns 0 or
 * -errno, having logged the cause. The backend frees itself before `stopped`, with the link gone.
 */
int pty_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
            const char *link, mode_t mode, gid_t group);

#endif
