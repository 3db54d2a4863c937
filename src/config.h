/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the program is to do, however it was told: by options now, by a file later.
 * The strings are its own, but for the addresses of places.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "backends/kinds.h"
#include "base/log.h"

#include <stdint.h>
#include <sys/types.h>

struct logfile;

struct port_config {
	char *name;     /* what the guest knows it by, or NULL */
	bool data;      /* it loses nothing and may hold the guest up; otherwise it is a console */
	enum tail tail; /* of a data port */
	const struct backend_kind *backend;
	struct backend_place place;
	char *log_path;      /* where to keep everything the guest prints there, or NULL */
	struct logfile *log; /* that, if it is open already: whoever starts the port takes it */
	uint64_t history;    /* bytes of output that are kept: a power of two */
};

struct guest_config {
	char *socket_path; /* where to listen for the frontend, or NULL */
	int fd;            /* a socket to use instead, listening or connected, or -1 */
	mode_t socket_mode;
	gid_t socket_group;        /* (gid_t)-1: as it comes */
	uint32_t max_queue_size;   /* entries a vring: a power of two up to 32768 */
	uint64_t max_mapped;       /* bytes of its memory and its log that are mapped here */
	bool resize_rows_first;    /* what the guest takes VIRTIO_CONSOLE_RESIZE for */
	bool multiport;            /* offer VIRTIO_CONSOLE_F_MULTIPORT; else there is one port */
	unsigned int max_ports;    /* the most the guest may have, those that are added later too */
	uint64_t max_history;      /* the most that a port may keep: a power of two */
	struct port_config *ports; /* those it begins with, in the order of their numbers */
	unsigned int ports_count;
};

/* The most ports of a guest. */
#define CONFIG_PORTS_MAX 31u

struct config {
	struct guest_config *guests;
	unsigned int guests_count;
	enum log_level log_level;
	char *control_path; /* of the control socket, or NULL */
	/*
	 * What a port that is added later is unless it says otherwise, for port_spec_parse(): as
	 * the general options have it, but for the paths, which are NULL: no two ports can have
	 * the same.
	 */
	struct port_config port_defaults;
};

/* Free what is in them. Do nothing to what was freed. */
void port_config_deinit(struct port_config *port);
void config_deinit(struct config *config);

#endif
