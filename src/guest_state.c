/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest_state.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/macros.h"
#include "guest_device.h"
#include "guest_slots.h"

#include <stdlib.h>
#include <string.h>

/* Saving. */

static void save_ring(const struct byte_ring *ring, uint64_t from, struct iovec ret_spans[2])
{
	uint64_t start = MAX(from, byte_ring_tail(ring));

	byte_ring_spans(ring, start, (size_t)(byte_ring_head(ring) - start), ret_spans);
}

static void save_bytes(const struct guest_port *port, struct state_port *ret)
{
	const struct output *output = &port->output;

	save_ring(&output->port.output, output->port.data ? output->delivered : 0,
	          ret->bytes[STATE_OUTPUT]);
	save_ring(&output->port.input, 0, ret->bytes[STATE_INPUT]);
	if (output->port.data)
		save_ring(&port->spill, 0, ret->bytes[STATE_SPILL]);
}

static const char *save(struct guest *guest, int fd)
{
	struct state state;
	uint8_t *bytes;

	console_save(&guest->console, &state);
	for (unsigned int i = 0; i < state.ports_count; i++) {
		if (state.ports[i].kind != STATE_GONE)
			save_bytes(&guest->slots[state.ports[i].id].port, &state.ports[i]);
	}
	bytes = malloc(state_size(&state));
	if (!bytes)
		return "no memory to save the device's state";
	state_write(&state, bytes);
	transfer_write(&guest->state_transfer, fd, bytes, state_size(&state));
	return NULL;
}

/* Loading. */

/* The most that a guest with these ports can have saved. */
static size_t limit_of(const struct guest *guest)
{
	return state_size_max() + guest_arena_size(guest->config);
}

/* How many bytes of a data port's output would find a place, without any being lost. */
static size_t data_room(struct guest_port *port)
{
	struct backend_port *people = &port->output.port;
	size_t room = byte_ring_free(&port->spill);

	return byte_ring_used(&port->spill) > 0 ? room : room + people->reclaim(people);
}

static const char *judge_bytes(struct guest_port *port, const struct state_port *saved)
{
	if (state_bytes_len(saved, STATE_INPUT) > byte_ring_free(&port->output.port.input))
		return "it has more input than there is room for";
	if (saved->kind == STATE_DATA &&
	    state_bytes_len(saved, STATE_OUTPUT) + state_bytes_len(saved, STATE_SPILL) >
	        data_room(port))
		return "it has more output than there is room for";
	return NULL;
}

/* Nothing of it is lost: there is room, and what the output hasn't got goes to the spill. */
static void load_data(struct guest_port *port, const struct iovec *bytes)
{
	struct backend_port *people = &port->output.port;
	size_t n = 0;

	if (byte_ring_used(&port->spill) == 0)
		n = MIN(bytes->iov_len, people->reclaim(people));
	if (n > 0)
		byte_ring_overwrite(&people->output, bytes->iov_base, n);
	if (n < bytes->iov_len)
		byte_ring_put(&port->spill, (const uint8_t *)bytes->iov_base + n,
		              bytes->iov_len - n);
}

/* As if the guest had just printed it: the newest, as far as it is kept here. */
static void load_history(struct guest_port *port, const struct iovec *bytes)
{
	struct backend_port *people = &port->output.port;
	size_t n = MIN(bytes->iov_len, people->reclaim(people));

	if (n > 0)
		byte_ring_overwrite(&people->output,
		                    (const uint8_t *)bytes->iov_base + bytes->iov_len - n, n);
}

static void load_bytes(struct guest_port *port, const struct state_port *saved)
{
	const struct iovec *input = &saved->bytes[STATE_INPUT][0];

	if (saved->kind == STATE_DATA) {
		load_data(port, &saved->bytes[STATE_OUTPUT][0]);
		load_data(port, &saved->bytes[STATE_SPILL][0]);
	} else {
		load_history(port, &saved->bytes[STATE_OUTPUT][0]);
	}
	if (input->iov_len > 0)
		byte_ring_put(&port->output.port.input, input->iov_base, input->iov_len);
}

/* Says why the state can't be loaded, and has changed nothing then, or NULL. */
static const char *load(struct guest *guest, const uint8_t *bytes, size_t len)
{
	struct state state;
	enum state_verdict verdict = state_parse(bytes, len, &state);
	const char *why;

	if (verdict != STATE_OK)
		return state_verdict_text(verdict);
	if (session_runs(&guest->session))
		return "its vrings run already";
	why = console_judge_state(&guest->console, &state);
	for (unsigned int i = 0; i < state.ports_count && !why; i++) {
		if (state.ports[i].kind != STATE_GONE)
			why = judge_bytes(&guest->slots[state.ports[i].id].port, &state.ports[i]);
	}
	if (why)
		return why;
	console_load(&guest->console, &state);
	for (unsigned int i = 0; i < state.ports_count; i++) {
		if (state.ports[i].kind == STATE_GONE)
			continue;
		load_bytes(&guest->slots[state.ports[i].id].port, &state.ports[i]);
		guest_slots_wake(guest, state.ports[i].id);
	}
	return NULL;
}

static void on_ended(struct transfer *transfer, int error)
{
	struct guest *guest = container_of(transfer, struct guest, state_transfer);
	const char *why = error < 0 ? strerror(-error) : NULL;

	if (!why && transfer->reading)
		why = load(guest, transfer->bytes, transfer->len);
	if (why)
		log_limited(&guest->limit, LOG_LEVEL_WARNING,
		            "%s: the device's state wasn't %s: %s", guest->name,
		            transfer->reading ? "loaded" : "saved", why);
	guest->state_transferred = !why;
	channel_answer_later(&guest->channel, why ? 1 : 0);
}

/* A client's bytes may be on their way to where the state's input would go. */
static bool may_end(struct transfer *transfer)
{
	struct guest *guest = container_of(transfer, struct guest, state_transfer);

	for (unsigned int i = 0; i < guest->config->max_ports; i++) {
		if (guest->slots[i].port.output.port.receiving)
			return false;
	}
	return true;
}

void guest_state_init(struct guest *guest)
{
	guest->state_transferred = false;
	transfer_init(&guest->state_transfer, &guest->connection, on_ended, may_end);
}

void guest_state_deinit(struct guest *guest)
{
	transfer_deinit(&guest->state_transfer);
}

const char *guest_state_transfer(struct guest *guest, bool load, int fd)
{
	if (transfer_under_way(&guest->state_transfer))
		return "the state is being transferred already";
	if (!fd_is_channel(fd))
		return "not a pipe, a stream socket or a file in memory";
	if (fd_set_nonblock(fd) < 0)
		return "a descriptor that can't be made non-blocking";
	guest->state_transferred = false;
	if (!load)
		return save(guest, fd);
	transfer_read(&guest->state_transfer, fd, limit_of(guest));
	return NULL;
}

enum session_transfer guest_state_check(const struct guest *guest)
{
	if (transfer_under_way(&guest->state_transfer))
		return SESSION_TRANSFER_UNDER_WAY;
	return guest->state_transferred ? SESSION_TRANSFER_DONE : SESSION_TRANSFER_FAILED;
}
