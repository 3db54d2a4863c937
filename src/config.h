/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the program is to do, however it was told: by options now, by a file later.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "backends/kinds.h"
#include "base/log.h"

#include <stdint.h>
#include <sys/types.h>

struct guest_config {
	char *socket_path; /* where to listen for the frontend, or NULL */
	int fd;            /* a socket to use instead, listening or connected, or -1 */
	mode_t socket_mode;
	gid_t socket_group; /* (gid_t)-1: as it comes */
	const struct backend_kind *backend;
	struct backend_place place;
	char *log_path;          /* where to keep everything the guest prints, or NULL */
	uint32_t max_queue_size; /* entries a vring: a power of two up to 32768 */
	uint64_t history;        /* bytes of output that are kept: a power of two */
};

struct config {
	struct guest_config *guests;
	unsigned int guests_count;
	enum log_level log_level;
};

#endif
