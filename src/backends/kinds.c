/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/kinds.h"

#include "backends/nested.h"
#include "backends/network.h"

static int new_nested(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
                      const struct backend_place *place)
{
	(void)place;
	return nested_new(ret_backend, loop, port);
}

static int new_network(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
                       const struct backend_place *place)
{
	return network_new(ret_backend, loop, port, place->address, place->tcp_port);
}

const struct backend_kind backend_kinds[] = {
    {
	.name = "nested",
	.help = "this terminal, or standard input and output",
	.single = true,
	.log_level = LOG_LEVEL_WARNING,
	.new = new_nested,
    },
    {
	.name = "network",
	.help = "clients on TCP",
	.tcp = true,
	.log_level = LOG_LEVEL_INFO,
	.new = new_network,
    },
    {0},
};
