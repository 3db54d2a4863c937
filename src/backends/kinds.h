/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The one table of the backends that there are.
 */
#ifndef BACKENDS_KINDS_H
#define BACKENDS_KINDS_H

#include "backends/client.h"
#include "backends/escape_key.h"
#include "base/log.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Where a backend is to be found; what a kind has no use for isn't looked at. */
struct backend_place {
	const char *address;
	uint16_t tcp_port;
	struct client_protocol protocol; /* on TCP */
	enum access access;
	char *uds_path;
	char *pty_path;
	int escape_key; /* a control character, or ESCAPE_KEY_NONE */
	mode_t mode;
	gid_t group; /* (gid_t)-1: as it comes */
};

struct backend_kind {
	const char *name;
	const char *help;         /* for --help, one line */
	bool single;              /* there can be only one in the process */
	bool uds;                 /* it has a Unix socket for clients */
	bool tcp;                 /* it has a TCP port */
	bool pty;                 /* it has a link to a pseudo terminal */
	enum log_level log_level; /* unless told otherwise */
	/* Returns 0 or -errno, having logged the cause. */
	int (*make)(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
	            const struct backend_place *place);
};

/* Ends with an entry without a name. The first one is the default. */
extern const struct backend_kind backend_kinds[];

#endif
