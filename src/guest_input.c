/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* See guest_input.h. It knows no backend: what they have is theirs to drop. */
#include "guest_input.h"

#include "guest_slots.h"

/*
 * With so much in the ring its people may have been waiting for room, and what they have sent
 * besides is older than the end of its guest; with less, it has only just come.
 */
static bool has_backlog(const struct guest_port *port)
{
	return byte_ring_used(&port->output.port.input) > GUEST_PORT_INPUT_BYTES / 2;
}

static void forget_input(struct guest *guest, unsigned int id, enum console_input which)
{
	struct guest_port *port = &guest->slots[id].port;
	bool backlog = has_backlog(port);
	uint64_t dropped = 0;

	/* That goes on with the state. */
	if (guest->state_saved)
		console_drop_input(&guest->console, id, CONSOLE_INPUT_SAVED);
	dropped = console_drop_input(&guest->console, id, which);
	if (backlog)
		dropped += guest_port_drop_input(port);
	guest_port_tell_dropped(port, dropped);
	guest_slots_wake(guest, id);
}

void guest_input_forget(struct guest *guest, enum guest_input_why why)
{
	enum console_input which =
	    why == GUEST_INPUT_DRIVER_GONE ? CONSOLE_INPUT_STOPPED : CONSOLE_INPUT_ALL;

	for (unsigned int i = 0; i < guest->config->max_ports; i++) {
		if (guest_port_of(guest, i))
			forget_input(guest, i, which);
	}
}
