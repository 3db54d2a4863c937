/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the options say, before it becomes one configuration a guest.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "config.h"

struct settings {
	const char *socket_path; /* each guest's has its number appended; or NULL */
	uint64_t socket_count;
	uint32_t max_queue_size;
	int fd; /* or -1 */
	mode_t socket_mode, client_mode;
	gid_t socket_group, client_group;
	uint64_t max_ports; /* 0: as many as there are */
	bool resize_rows_first;
	const char *control_path; /* or NULL */
	enum log_level log_level;
	bool log_level_given;

	/* What --port said, in order. */
	const char *ports[CONFIG_PORTS_MAX];
	unsigned int ports_count;

	/* Of a port, unless it says otherwise: guest 0's TCP port, paths without a number. */
	const struct backend_kind *backend;
	const char *listen_address;
	uint16_t tcp_port;
	struct client_protocol protocol;
	enum access access;
	int escape_key;
	const char *uds_path; /* or NULL */
	const char *pty_path; /* or NULL */
	const char *log_file; /* or NULL */
	uint64_t history;
};

/* Room for the line that says what is wrong; a longer one is cut. */
#define SETTINGS_ERROR_MAX 1024

/*
 * Makes the configuration that the settings mean. Returns whether they have a meaning; otherwise
 * `ret_error` names the option and says what is wrong. The configuration points to the settings'
 * listen_address, and is the caller's to config_deinit().
 */
bool settings_make_config(const struct settings *settings, struct config *ret_config,
                          char ret_error[SETTINGS_ERROR_MAX]);

#endif
