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

/* Saving. */

static void save_ring(const struct byte_ring *ring, uint64_t from, struct iovec ret_spans[2])
{
	uint64_t start = MAX(from, byte_ring_tail(ring));

	byte_ring_spans(ring, start, (size_t)(byte_ring_head(ring) - start), ret_spans);
}

static void save_bytes(const struct port *port, struct state_port *ret)
{
	const struct backend_port *people = port->people;

	save_ring(&people->output, people->data ? people->delivered : 0, ret->bytes[STATE_OUTPUT]);
	save_ring(&people->input, 0, ret->bytes[STATE_INPUT]);
	if (port->spill)
		save_ring(port->spill, 0, ret->bytes[STATE_SPILL]);
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
	save_bytes(&port->port, &saved);
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

/* Judging. */

/* How many bytes of a data port's output would find a place, without any being lost. */
static size_t data_room(const struct port *port)
{
	size_t room = byte_ring_free(port->spill);

	return byte_ring_used(port->spill) > 0 ? room : room + port->people->reclaim(port->people);
}

static const char *judge_bytes(const struct port *port, const struct state_port *saved)
{
	if (state_bytes_len(saved, STATE_INPUT) > byte_ring_free(&port->people->input))
		return "it has more input than there is room for";
	if (saved->kind == STATE_DATA &&
	    state_bytes_len(saved, STATE_OUTPUT) + state_bytes_len(saved, STATE_SPILL) >
	        data_room(port))
		return "it has more output than there is room for";
	return NULL;
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
	return judge_bytes(&port->port, saved);
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

/* Loading. */

/* Nothing of it is lost: there is room, and what the output hasn't got goes to the spill. */
static void load_data(struct port *port, const struct iovec *bytes)
{
	struct backend_port *people = port->people;
	size_t room = byte_ring_used(port->spill) == 0 ? people->reclaim(people) : 0;
	size_t n = MIN(bytes->iov_len, room);

	if (n > 0)
		byte_ring_overwrite(&people->output, bytes->iov_base, n);
	if (n < bytes->iov_len)
		byte_ring_put(port->spill, (const uint8_t *)bytes->iov_base + n,
		              bytes->iov_len - n);
}

/* As if the guest had just printed it: the newest, as far as it is kept here. */
static void load_history(struct backend_port *people, const struct iovec *bytes)
{
	size_t room = people->reclaim(people);
	size_t n = MIN(bytes->iov_len, room);

	if (n > 0)
		byte_ring_overwrite(&people->output,
		                    (const uint8_t *)bytes->iov_base + bytes->iov_len - n, n);
}

static void load_bytes(struct port *port, const struct state_port *saved)
{
	const struct iovec *input = &saved->bytes[STATE_INPUT][0];

	if (saved->kind == STATE_DATA) {
		load_data(port, &saved->bytes[STATE_OUTPUT][0]);
		load_data(port, &saved->bytes[STATE_SPILL][0]);
	} else {
		load_history(port->people, &saved->bytes[STATE_OUTPUT][0]);
	}
	if (input->iov_len > 0)
		byte_ring_put(&port->people->input, input->iov_base, input->iov_len);
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
		else
			load_bytes(&port->port, saved);
	}
}
