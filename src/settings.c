/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "settings.h"

#include "base/macros.h"
#include "overlaps.h"
#include "port_spec.h"
#include "values.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool fail(char *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail(char *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, SETTINGS_ERROR_MAX, format, args);
	va_end(args);
	return false;
}

/* What only shows with all settings at hand. */

static bool judge_guests(const struct settings *settings, char *error)
{
	unsigned long long count = settings->socket_count;

	if (!settings->socket_path && settings->fd < 0)
		return fail(error, "--socket-path: is required; it takes a path");
	if (settings->socket_path && settings->fd >= 0)
		return fail(error, "--fd: takes the place of --socket-path, give one of them");
	if (settings->fd >= 0 && count != 1)
		return fail(error, "--fd: takes one guest, not --socket-count=%llu", count);
	if (settings->max_ports > 0 && settings->max_ports < settings->ports_count)
		return fail(error, "--max-ports=%llu: takes at least the number of --port, %u",
		            (unsigned long long)settings->max_ports, settings->ports_count);
	return true;
}

/* Of the one port that there is without --port: said in the words of the options. */
static bool judge_port(const struct settings *settings, char *error)
{
	const struct backend_kind *kind = settings->backend;
	unsigned long long count = settings->socket_count;

	if (kind->single && count != 1)
		return fail(error, "--backend=%s: takes one guest, not --socket-count=%llu",
		            kind->name, count);
	if (kind->tcp && settings->tcp_port + count - 1 > UINT16_MAX)
		return fail(error,
		            "--tcp-port=%u: takes a port that leaves room up to 65535 for all of "
		            "--socket-count=%llu",
		            settings->tcp_port, count);
	if (kind->uds && !settings->uds_path)
		return fail(error, "--uds-path: is required with --backend=%s; it takes a path",
		            kind->name);
	if (kind->pty && !settings->pty_path)
		return fail(error, "--pty: is required with --backend=%s; it takes a path",
		            kind->name);
	return true;
}

static bool judge_overlaps(const struct settings *settings, const struct config *config,
                           char *error)
{
	struct overlap overlap;
	const char *name;

	if (overlaps_find(config, &overlap) < 0)
		return fail(error, "--socket-count=%u: no memory for so many guests",
		            config->guests_count);
	if (!overlap.key)
		return true;
	if (overlap.port < 0 || settings->ports_count == 0)
		return fail(error, "--%s: %s", overlap.key, overlap.text);
	name = config->guests[0].ports[overlap.port].name;
	if (!name)
		return fail(error, "--port number %d: %s", overlap.port, overlap.text);
	return fail(error, "--port name=%s: %s", name, overlap.text);
}

/* Making. */

/* What the general options say of a port, its paths without a number. */
static bool make_defaults(const struct settings *settings, struct port_config *ret_defaults)
{
	struct port_config port = {
	    .backend = settings->backend,
	    .place =
		{
		    .address = settings->listen_address,
		    .tcp_port = settings->tcp_port,
		    .protocol = settings->protocol,
		    .access = settings->access,
		    .escape_key = settings->escape_key,
		    .mode = settings->client_mode,
		    .group = settings->client_group,
		},
	    .history = settings->history,
	};

	port.place.uds_path = settings->uds_path ? strdup(settings->uds_path) : NULL;
	port.place.pty_path = settings->pty_path ? strdup(settings->pty_path) : NULL;
	port.log_path = settings->log_file ? strdup(settings->log_file) : NULL;
	*ret_defaults = port;
	return (port.place.uds_path || !settings->uds_path) &&
	       (port.place.pty_path || !settings->pty_path) &&
	       (port.log_path || !settings->log_file);
}

static bool add_port(struct guest_config *guest, unsigned int i, const char *text,
                     const struct port_config *defaults, char *error)
{
	char what[PORT_SPEC_ERROR_MAX];

	if (!port_spec_parse(text, defaults, i, &guest->ports[guest->ports_count], what))
		return fail(error, "--port=%s: %s", text ? text : "", what);
	guest->max_history = MAX(guest->max_history, guest->ports[guest->ports_count].history);
	guest->ports_count++;
	return true;
}

/*
 * The process has 47 bits of addresses. Half of them are shared out, so that no frontend can use up
 * those of the others; but there are no more than a few guests of terabytes.
 */
#define MAPPED_ALL   (1ull << 46)
#define MAPPED_LEAST (1ull << 40)

static bool fill_guest(const struct settings *settings, unsigned int i,
                       const struct port_config *defaults, struct guest_config *guest, char *error)
{
	unsigned int ports_count = MAX(settings->ports_count, 1);

	*guest = (struct guest_config){
	    .fd = settings->fd,
	    .socket_mode = settings->socket_mode,
	    .socket_group = settings->socket_group,
	    .max_queue_size = settings->max_queue_size,
	    .max_mapped = MAX(MAPPED_ALL / settings->socket_count, MAPPED_LEAST),
	    .resize_rows_first = settings->resize_rows_first,
	    .max_ports = MAX((unsigned int)settings->max_ports, ports_count),
	    .ports = calloc(ports_count, sizeof(*guest->ports)),
	};
	/* Ports that are added later keep as much as the options say, or as any that are given. */
	if (guest->max_ports > ports_count)
		guest->max_history = settings->history;
	guest->multiport = settings->ports_count > 0 || guest->max_ports > 1;
	if (settings->socket_path)
		guest->socket_path = values_append_number(settings->socket_path, i);
	if (!guest->ports || (settings->socket_path && !guest->socket_path))
		return fail(error, "--socket-count=%llu: no memory for so many guests",
		            (unsigned long long)settings->socket_count);
	for (unsigned int k = 0; k < ports_count; k++) {
		/* Without any --port, ports[0] is NULL. */
		if (!add_port(guest, i, settings->ports[k], defaults, error))
			return false;
	}
	return true;
}

static bool fill_guests(const struct settings *settings, const struct port_config *defaults,
                        struct config *config, char *error)
{
	config->guests = calloc(settings->socket_count, sizeof(*config->guests));
	if (!config->guests)
		return fail(error, "--socket-count=%llu: no memory for so many guests",
		            (unsigned long long)settings->socket_count);
	while (config->guests_count < settings->socket_count) {
		unsigned int i = config->guests_count++;

		if (!fill_guest(settings, i, defaults, &config->guests[i], error))
			return false;
	}
	return true;
}

/* The one that is quietest of what the backends ask for. */
static enum log_level log_level_of(const struct settings *settings, const struct config *config)
{
	const struct guest_config *guest = &config->guests[0];
	enum log_level level = guest->ports[0].backend->log_level;

	for (unsigned int i = 1; i < guest->ports_count; i++)
		level = MIN(level, guest->ports[i].backend->log_level);
	return settings->log_level_given ? settings->log_level : level;
}

static bool fill_config(const struct settings *settings, struct config *config, char *error)
{
	struct port_config defaults;
	bool ok;

	config->control_path = settings->control_path ? strdup(settings->control_path) : NULL;
	ok =
	    make_defaults(settings, &defaults) && (config->control_path || !settings->control_path);
	if (!ok)
		fail(error, "no memory");
	ok = ok && fill_guests(settings, &defaults, config, error);
	config->port_defaults = defaults;
	config->port_defaults.place.uds_path = NULL;
	config->port_defaults.place.pty_path = NULL;
	config->port_defaults.log_path = NULL;
	port_config_deinit(&defaults);
	return ok && judge_overlaps(settings, config, error);
}

bool settings_make_config(const struct settings *settings, struct config *ret_config,
                          char ret_error[SETTINGS_ERROR_MAX])
{
	struct config config = {0};

	if (!judge_guests(settings, ret_error) ||
	    (settings->ports_count == 0 && !judge_port(settings, ret_error)))
		return false;
	if (!fill_config(settings, &config, ret_error)) {
		config_deinit(&config);
		return false;
	}
	config.log_level = log_level_of(settings, &config);
	*ret_config = config;
	return true;
}
