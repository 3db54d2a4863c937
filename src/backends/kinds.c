/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/kinds.h"

#include "backends/nested.h"
#include "backends/network.h"
#include "backends/pty.h"
#include "backends/targets.h"
#include "backends/uds.h"

static int new_nested(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
                      const struct backend_place *place)
{
	return nested_new(ret_backend, loop, port, place->escape_key);
}

static int new_network(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
                       const struct backend_place *place)
{
	return network_new(ret_backend, loop, port, place->address, place->tcp_port,
	                   &place->protocol, place->access);
}

static int new_uds(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
                   const struct backend_place *place)
{
	return uds_new(ret_backend, loop, port, place->uds_path, place->mode, place->group,
	               place->access);
}

static int new_pty(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
                   const struct backend_place *place)
{
	return pty_new(ret_backend, loop, port, place->pty_path, place->mode, place->group);
}

#define TARGET(name)                                                                               \
	static int new_##name(struct backend **ret_backend, struct loop *loop,                     \
	                      struct backend_port *port, const struct backend_place *place)        \
	{                                                                                          \
		(void)place;                                                                       \
		return name##_new(ret_backend, loop, port);                                        \
	}

TARGET(null)
TARGET(echo)
TARGET(source)

const struct backend_kind backend_kinds[] = {
    {
	.name = "nested",
	.help = "this terminal, or standard input and output",
	.single = true,
	.log_level = LOG_LEVEL_WARNING,
	.make = new_nested,
    },
    {
	.name = "network",
	.help = "clients on TCP, see --tcp-port",
	.tcp = true,
	.log_level = LOG_LEVEL_INFO,
	.make = new_network,
    },
    {
	.name = "uds",
	.help = "clients on a Unix socket, see --uds-path",
	.uds = true,
	.log_level = LOG_LEVEL_INFO,
	.make = new_uds,
    },
    {
	.name = "pty",
	.help = "a pseudo terminal for tio, picocom or screen, see --pty",
	.pty = true,
	.log_level = LOG_LEVEL_INFO,
	.make = new_pty,
    },
    {
	.name = "null",
	.help = "swallows output, for measuring",
	.log_level = LOG_LEVEL_INFO,
	.make = new_null,
    },
    {
	.name = "echo",
	.help = "gives output back as input, for measuring",
	.log_level = LOG_LEVEL_INFO,
	.make = new_echo,
    },
    {
	.name = "source",
	.help = "produces input without end, for measuring",
	.log_level = LOG_LEVEL_INFO,
	.make = new_source,
    },
    {0},
};
