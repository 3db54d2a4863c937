/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The uds backend: clients on a Unix socket, raw bytes both ways.
 */
#ifndef BACKENDS_UDS_H
#define BACKENDS_UDS_H

#include "backends/client.h"
#include "loop/loop.h"

#include <sys/types.h>

/*
 * Listens at `path`, which has to live as long as the backend, with file mode `mode` and, unless
 * (gid_t)-1, group `group`. Returns 0 or -errno, which it has logged. The backend removes the
 * socket and frees itself before `stopped`.
 */
int uds_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
            const char *path, mode_t mode, gid_t group, enum access access);

#endif
