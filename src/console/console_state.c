/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The console's state as another console is to go on with it; see console.h. */
#include "console/console.h"

#include "base/macros.h"

#include <string.h>

_Static_assert(STATE_PORTS_MAX == CONSOLE_PORTS_MAX, "a state has all ports of a console");

static bool is_zero(const struct handshake_state *state)
{
	return state->pending == 0 && !state->known && !state->ready && !state->open;
}

static struct state_port save_port(const struct console_port *port, unsigned int id)
{
	const struct handshake *handshake = &port->handshake;
	struct state_port saved = {.id = id, .handshake = *handshake->state, .kind = STATE_GONE};

	if (!port_attached(&port->port))
		return saved;
	saved.kind = handshake->console ? STATE_CONSOLE : STATE_DATA;
	saved.name = handshake->name;
	if (handshake->name)
		saved.name_len = (uint8_t)strnlen(handshake->name, HANDSHAKE_NAME_MAX);
	saved.cols = handshake->cols;
	saved.rows = handshake->rows;
	return saved;
}

void console_save(const struct console *console, struct state *ret)
{
	const struct console_record *record = console->record;

	*ret = (struct state){
	    .driver_ready = record->driver_ready,
	    .driver_rests = record->driver_rests,
	    .driver_stopped = record->driver_stopped,
	    .stopped_at = record->stopped_at,
	};
	for (unsigned int i = 0; i < console->max_ports; i++) {
		const struct console_port *port = &console->ports[i];

		if (port_attached(&port->port) || !is_zero(port->handshake.state))
			ret->ports[ret->ports_count++] = save_port(port, i);
	}
}

static const char *judge_port(const struct console_port *port, const struct state_port *saved)
{
	const struct handshake *handshake = &port->handshake;
	size_t len = handshake->name ? strnlen(handshake->name, HANDSHAKE_NAME_MAX) : 0;

	if (saved->kind == STATE_GONE)
		return NULL;
	if (!port_attached(&port->port))
		return "it has a port that isn't here";
	if (handshake->console != (saved->kind == STATE_CONSOLE))
		return "it has a port of another type";
	if (len != saved->name_len || (len > 0 && memcmp(handshake->name, saved->name, len) != 0))
		return "it has a port of another name";
	return NULL;
}

const char *console_judge_state(const struct console *console, const struct state *state)
{
	const char *why = NULL;

	for (unsigned int i = 0; i < state->ports_count && !why; i++) {
		const struct state_port *saved = &state->ports[i];

		why = saved->id < console->max_ports ? judge_port(&console->ports[saved->id], saved)
		                                     : "it has a port that isn't here";
	}
	return why;
}

static const struct state_port *find_port(const struct state *state, unsigned int id)
{
	for (unsigned int i = 0; i < state->ports_count; i++) {
		if (state->ports[i].id == id)
			return &state->ports[i];
	}
	return NULL;
}

/* The port of a console that goes on with a driver to whom it is new, or another one's place. */
static void load_new_port(struct console *console, struct console_port *port, unsigned int id)
{
	bool driver = console->record->driver_ready || console->record->driver_rests;

	if (port_attached(&port->port) && driver && id < console_ports_reach(console))
		handshake_plug(&port->handshake);
}

void console_load(struct console *console, const struct state *state)
{
	static const struct handshake_state unknown;
	struct console_record *record = console->record;

	record->driver_ready = state->driver_ready;
	record->driver_rests = state->driver_rests;
	record->driver_stopped = state->driver_stopped;
	record->stopped_at = state->stopped_at;
	for (unsigned int i = 0; i < console->max_ports; i++) {
		const struct state_port *saved = find_port(state, i);
		struct console_port *port = &console->ports[i];

		handshake_load(&port->handshake, saved ? &saved->handshake : &unknown,
		               saved ? saved->cols : 0, saved ? saved->rows : 0);
		if (!saved || saved->kind == STATE_GONE)
			load_new_port(console, port, i);
	}
}
