/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "config.h"

#include <stdlib.h>

void port_config_deinit(struct port_config *port)
{
	free(port->name);
	free(port->place.uds_path);
	free(port->place.pty_path);
	free(port->log_path);
	*port = (struct port_config){0};
}

static void deinit_guest(struct guest_config *guest)
{
	for (unsigned int i = 0; i < guest->ports_count; i++)
		port_config_deinit(&guest->ports[i]);
	free(guest->ports);
	free(guest->socket_path);
}

void config_deinit(struct config *config)
{
	for (unsigned int i = 0; i < config->guests_count; i++)
		deinit_guest(&config->guests[i]);
	free(config->guests);
	free(config->control_path);
	*config = (struct config){0};
}
