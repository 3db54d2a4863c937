/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The backends without people: fixed targets for measuring frontends and drivers.
 *
 * null swallows the output, echo gives it back as input and lets the guest wait where that isn't
 * read, source produces input without end: printable lines, as of RFC 864.
 */
#ifndef BACKENDS_TARGETS_H
#define BACKENDS_TARGETS_H

#include "backends/backend.h"
#include "loop/loop.h"

/* Each returns 0 or -ENOMEM. The backend frees itself before `stopped`. */
int null_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port);
int echo_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port);
int source_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port);

#endif
