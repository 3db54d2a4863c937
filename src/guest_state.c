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

static const char *save(struct guest *guest, int fd)
{
	struct state state;
	uint8_t *bytes;

	console_save(&guest->console, &state);
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
	if (why)
		return why;
	console_load(&guest->console, &state);
	for (unsigned int i = 0; i < state.ports_count; i++)
		guest_slots_wake(guest, state.ports[i].id);
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
	transfer_init(&guest->state_transfer, &guest->connection, &guest->discards.discarder,
	              on_ended, may_end);
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
		return "not a pipe, a Unix stream socket or a file in memory";
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
