/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A saved device state, as a frontend brings it. What is taken is in range, and is written again as
 * it was.
 */
#include "target.h"

#include "console/state.h"

#include <stdlib.h>
#include <string.h>

static void check_port(const struct state_port *port)
{
	must(port->id < STATE_PORTS_MAX && port->kind < STATE_KINDS);
	must(port->name_len <= HANDSHAKE_NAME_MAX && (port->name || port->name_len == 0));
	must(!(port->handshake.pending & ~HANDSHAKE_MESSAGES));
	must(port->handshake.known || !port->handshake.ready);
	must(port->handshake.ready || !port->handshake.open);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct state state;
	uint8_t *again;

	if (state_parse(data, size, &state) != STATE_OK)
		return 0;
	must(state.ports_count <= STATE_PORTS_MAX);
	for (unsigned int i = 0; i < state.ports_count; i++) {
		check_port(&state.ports[i]);
		must(i == 0 || state.ports[i].id > state.ports[i - 1].id);
	}
	must(state_size(&state) == size);
	again = malloc(size);
	if (!again)
		return 0;
	state_write(&state, again);
	must(memcmp(again, data, size) == 0);
	free(again);
	return 0;
}
