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

/* The ring that a port's bytes of one sort lie in, or NULL. */
static const struct byte_ring *ring_of(const struct port *port, enum state_bytes sort)
{
	const struct byte_ring *rings[STATE_BYTES] = {
	    [STATE_OUTPUT] = &port->people->output,
	    [STATE_INPUT] = &port->people->input,
	    [STATE_SPILL] = port->spill,
	};

	return rings[sort];
}

/* Of a data port, what nobody has got and somebody is meant to get. */
static uint64_t first_byte_of(const struct backend_port *people)
{
	return people->dropping ? byte_ring_head(&people->output) : people->delivered;
}

static void save_bytes(const struct port *port, struct state_port *ret)
{
	for (unsigned int i = 0; i < STATE_BYTES; i++) {
		const struct byte_ring *ring = ring_of(port, (enum state_bytes)i);

		if (!ring)
			continue;
		ret->from[i] = byte_ring_tail(ring);
		if (i == STATE_OUTPUT && port->people->data)
			ret->from[i] = MAX(ret->from[i], first_byte_of(port->people));
		byte_ring_spans(ring, ret->from[i], (size_t)(byte_ring_head(ring) - ret->from[i]),
		                ret->bytes[i]);
	}
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

void console_save(struct console *console, struct state *ret)
{
	const struct console_record *record = console->record;

	*ret = (struct state){
	    .driver_ready = record->driver_ready,
	    .driver_rests = record->driver_rests,
	    .driver_stopped = record->stopped >> CONSOLE_CONTROL_TRANSMITQ & 1,
	    .stopped_at = record->stopped_at[CONSOLE_CONTROL_TRANSMITQ],
	};
	for (unsigned int i = 0; i < console->max_ports; i++) {
		struct console_port *port = &console->ports[i];

		if (port_attached(&port->port))
			port->saved = byte_ring_head(&port->port.people->input);
		if (port_attached(&port->port) || !is_zero(port->handshake.state))
			ret->ports[ret->ports_count++] = save_port(port, i);
	}
}

static bool holds(const struct port *port, const struct state_port *saved)
{
	if (saved->kind == STATE_GONE)
		return true;
	if (!port_attached(port))
		return false;
	for (unsigned int i = 0; i < STATE_BYTES; i++) {
		const struct byte_ring *ring = ring_of(port, (enum state_bytes)i);
		uint64_t to = saved->from[i] + state_bytes_len(saved, (enum state_bytes)i);

		if (ring && (byte_ring_tail(ring) > saved->from[i] || byte_ring_head(ring) < to))
			return false;
	}
	return true;
}

bool console_holds_saved(const struct console *console, const struct state *saved)
{
	for (unsigned int i = 0; i < saved->ports_count; i++) {
		const struct state_port *port = &saved->ports[i];

		if (!holds(&console->ports[port->id].port, port))
			return false;
	}
	return true;
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
	/* What is here already makes room for it: make_room_for_input(). */
	if (state_bytes_len(saved, STATE_INPUT) > port->people->input.size)
		return "it has more input than there is room for";
	if (saved->kind == STATE_DATA &&
	    (state_bytes_len(saved, STATE_SPILL) > byte_ring_free(port->spill) ||
	     state_bytes_len(saved, STATE_OUTPUT) + state_bytes_len(saved, STATE_SPILL) >
	         data_room(port)))
		return "it has more output than there is room for";
	return NULL;
}

static const char *judge_port(const struct console_port *port, const struct state_port *saved)
{
	const struct handshake *handshake = &port->handshake;
	size_t len;

	if (saved->kind == STATE_GONE)
		return NULL;
	if (!port_attached(&port->port))
		return "it has a port that isn't here";
	len = handshake->name ? strnlen(handshake->name, HANDSHAKE_NAME_MAX) : 0;
	if (handshake->console != (saved->kind == STATE_CONSOLE))
		return "it has a port of another type";
	if (len != saved->name_len || (len > 0 && memcmp(handshake->name, saved->name, len) != 0))
		return "it has a port of another name";
	return judge_bytes(&port->port, saved);
}

static const char *judge(const struct console *console, const struct state *state)
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

/*
 * Decides what the output ring takes: of a console's kept output the newest, as if the guest had
 * just printed it; of a data port's, which loses nothing, the oldest. The oldest bytes of the ring
 * make room.
 */
static void begin_port(struct port *port, const struct state_port *saved,
                       struct console_loading *loading, unsigned int i)
{
	struct byte_ring *output = &port->people->output;
	size_t len = state_bytes_len(saved, STATE_OUTPUT);
	/* Behind bytes in the spill, all of it goes there. */
	bool spilled = port->spill && byte_ring_used(port->spill) > 0;
	size_t room = spilled ? 0 : port->people->reclaim(port->people);
	size_t count = MIN(len, room);

	if (count > byte_ring_free(output))
		byte_ring_drop(output, count - byte_ring_free(output));
	loading->ports[i].head = byte_ring_head(output);
	loading->ports[i].first = saved->kind == STATE_CONSOLE ? len - count : 0;
	loading->ports[i].count = count;
}

const char *console_load_begin(struct console *console, struct console_loading *loading,
                               const struct state *state)
{
	const char *why = judge(console, state);

	*loading = (struct console_loading){.state = state};
	for (unsigned int i = 0; i < state->ports_count && !why; i++) {
		const struct state_port *saved = &state->ports[i];

		if (saved->kind != STATE_GONE)
			begin_port(&console->ports[saved->id].port, saved, loading, i);
	}
	return why;
}

/* Whether the room that was made for a port's output is still there: nothing was printed since. */
static bool room_is_kept(const struct port *port, const struct console_loading *loading,
                         unsigned int i)
{
	return port_attached(port) &&
	       byte_ring_head(&port->people->output) == loading->ports[i].head &&
	       byte_ring_free(&port->people->output) >= loading->ports[i].count;
}

/* Copies what the ring takes of the output's bytes from `from` on, which are `len`. */
static void copy_output(struct console *console, const struct console_loading *loading,
                        const uint8_t *output, size_t from, size_t len)
{
	unsigned int i = loading->next;
	struct port *port = &console->ports[loading->state->ports[i].id].port;
	size_t first = loading->ports[i].first;
	size_t start = MAX(from, first), end = MIN(from + len, first + loading->ports[i].count);

	/* Without room the loading fails at its end. */
	if (start < end && room_is_kept(port, loading, i))
		byte_ring_put_ahead(&port->people->output, start - first, output + start,
		                    end - start);
}

bool console_load_more(struct console *console, struct console_loading *loading, size_t most,
                       struct iovec *ret_used)
{
	const struct state *state = loading->state;
	const struct iovec *output;
	size_t len, used;

	while (loading->next < state->ports_count &&
	       loading->done == state_bytes_len(&state->ports[loading->next], STATE_OUTPUT)) {
		loading->next++;
		loading->done = 0;
	}
	if (loading->next == state->ports_count)
		return false;
	output = &state->ports[loading->next].bytes[STATE_OUTPUT][0];
	len = MIN(output->iov_len - loading->done, most);
	copy_output(console, loading, output->iov_base, loading->done, len);
	loading->done += len;
	/* What the ring of a data port doesn't take goes to the spill, at the end. */
	used = loading->ports[loading->next].first + loading->ports[loading->next].count;
	*ret_used = (struct iovec){output->iov_base, MIN(loading->done, used)};
	return true;
}

static void put_all(struct byte_ring *ring, const struct iovec *bytes, size_t from)
{
	if (bytes->iov_len > from)
		byte_ring_put(ring, (const uint8_t *)bytes->iov_base + from, bytes->iov_len - from);
}

static void load_input(struct console *console, unsigned int id, const struct iovec *bytes)
{
	struct byte_ring *input = &console->ports[id].port.people->input;

	if (bytes->iov_len > 0)
		byte_ring_unget(input, bytes->iov_base, bytes->iov_len);
	/* It came for the driver that has stopped where the state says. */
	console->record->typed[id] = byte_ring_tail(input) + bytes->iov_len;
	console->ports[id].saved = 0;
}

static void load_bytes(struct console *console, unsigned int id, const struct state_port *saved,
                       size_t count)
{
	struct port *port = &console->ports[id].port;

	byte_ring_commit(&port->people->output, count);
	if (saved->kind == STATE_DATA) {
		put_all(port->spill, &saved->bytes[STATE_OUTPUT][0], count);
		put_all(port->spill, &saved->bytes[STATE_SPILL][0], 0);
	}
	load_input(console, id, &saved->bytes[STATE_INPUT][0]);
}

/* The port of a console that goes on with a driver to whom it is new, or another one's place. */
static void load_new_port(struct console *console, struct console_port *port, unsigned int id)
{
	bool driver = console->record->driver_ready || console->record->driver_rests;

	if (port_attached(&port->port) && driver && id < console_ports_reach(console))
		handshake_plug(&port->handshake);
}

/* Whether what the ring of a data port doesn't take finds room in the spill. */
static bool spill_takes_rest(const struct port *port, const struct state_port *saved, size_t count)
{
	return saved->kind != STATE_DATA ||
	       state_bytes_len(saved, STATE_OUTPUT) - count + state_bytes_len(saved, STATE_SPILL) <=
	           byte_ring_free(port->spill);
}

static bool all_room_is_kept(const struct console *console, const struct console_loading *loading)
{
	for (unsigned int i = 0; i < loading->state->ports_count; i++) {
		const struct state_port *saved = &loading->state->ports[i];
		const struct port *port = &console->ports[saved->id].port;

		if (saved->kind != STATE_GONE &&
		    !(room_is_kept(port, loading, i) &&
		      spill_takes_rest(port, saved, loading->ports[i].count)))
			return false;
	}
	return true;
}

/* The place in the state of the port of that number; ports_count if it has none. */
static unsigned int find_port(const struct state *state, unsigned int id)
{
	unsigned int i = 0;

	while (i < state->ports_count && state->ports[i].id != id)
		i++;
	return i;
}

static void load_port(struct console *console, unsigned int id,
                      const struct console_loading *loading)
{
	static const struct state_port unknown = {.kind = STATE_GONE};
	const struct state *state = loading->state;
	unsigned int i = find_port(state, id);
	const struct state_port *saved = i < state->ports_count ? &state->ports[i] : &unknown;
	struct console_port *port = &console->ports[id];

	handshake_load(&port->handshake, &saved->handshake, saved->cols, saved->rows);
	if (saved->kind == STATE_GONE)
		load_new_port(console, port, id);
	else
		load_bytes(console, id, saved, loading->ports[i].count);
}

/*
 * What is here of a port's input, before that of the state comes: what was typed for a driver that
 * has worked here goes with it. The rest stays if there is room for both, whole or not at all:
 * half a command may be another one. Returns how many bytes went.
 */
static size_t make_room_for_input(struct console *console, const struct state_port *saved)
{
	size_t dropped = 0;

	if (console->record->driven)
		dropped = console_drop_input(console, saved->id, CONSOLE_INPUT_STOPPED);
	if (state_bytes_len(saved, STATE_INPUT) >
	    byte_ring_free(&console->ports[saved->id].port.people->input))
		dropped += console_drop_input(console, saved->id, CONSOLE_INPUT_ALL);
	return dropped;
}

static void make_room(struct console *console, const struct state *state, size_t *ret_dropped)
{
	memset(ret_dropped, 0, console->max_ports * sizeof(*ret_dropped));
	for (unsigned int i = 0; i < state->ports_count; i++) {
		const struct state_port *saved = &state->ports[i];

		if (saved->kind != STATE_GONE)
			ret_dropped[saved->id] = make_room_for_input(console, saved);
	}
}

const char *console_load_end(struct console *console, const struct console_loading *loading,
                             size_t *ret_dropped)
{
	const struct state *state = loading->state;
	struct console_record *record = console->record;
	const char *why = judge(console, state);

	if (why)
		return why;
	if (!all_room_is_kept(console, loading))
		return "a port has printed meanwhile";
	make_room(console, state, ret_dropped);
	console_reset(console);
	record->driver_ready = state->driver_ready;
	record->driver_rests = state->driver_rests;
	if (state->driver_stopped)
		record->stopped = 1u << CONSOLE_CONTROL_TRANSMITQ;
	record->stopped_at[CONSOLE_CONTROL_TRANSMITQ] = state->stopped_at;
	for (unsigned int i = 0; i < console->max_ports; i++)
		load_port(console, i, loading);
	return NULL;
}
