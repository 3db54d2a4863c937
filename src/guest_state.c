/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest_state.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/macros.h"
#include "guest_device.h"
#include "guest_slots.h"

#include <stdlib.h>
#include <string.h>

/* How many bytes of a state's output a turn copies at most. */
#define LOAD_BYTES (256u * 1024)

/* A state on its way out: where it lies, and its heads. */
struct guest_saving {
	struct state state;
	struct iovec pieces[STATE_PIECES_MAX];
	uint8_t heads[];
};

/* A state that was read, on its way into the console. */
struct guest_loading {
	struct state state;
	struct console_loading loading;
};

/* Whether people's input has to wait until the state's is there. */
static void hold_input(struct guest *guest, bool held)
{
	for (unsigned int i = 0; i < guest->config->max_ports; i++) {
		struct backend_port *port = &guest->slots[i].port.output.port;
		bool was_held = port->held;

		port->held = held;
		if (was_held && !held)
			guest_slots_wake(guest, i);
	}
}

/* The transfer has come to its end; `why` it has failed, or NULL. */
static void finish(struct guest *guest, const char *why)
{
	if (why)
		log_limited(&guest->limit, LOG_LEVEL_WARNING,
		            "%s: the device's state wasn't %s: %s", guest->name,
		            guest->state_transfer.reading ? "loaded" : "saved", why);
	transfer_forget(&guest->state_transfer);
	free(guest->saving);
	guest->saving = NULL;
	free(guest->loading);
	guest->loading = NULL;
	guest->state_result = why ? SESSION_TRANSFER_FAILED : SESSION_TRANSFER_DONE;
	guest->state_saved = !why && !guest->state_transfer.reading;
	hold_input(guest, false);
	channel_answer_later(&guest->channel, why ? 1 : 0);
}

/* Saving. */

static const char *begin_saving(struct guest *guest, int fd)
{
	struct guest_saving *saving = calloc(1, sizeof(*saving) + state_size_max());

	if (!saving)
		return "no memory to save the device's state";
	guest->saving = saving;
	console_save(&guest->console, &saving->state);
	transfer_write(&guest->state_transfer, fd, saving->pieces,
	               state_write(&saving->state, saving->heads, saving->pieces));
	return NULL;
}

static const char *end_saving(struct guest *guest)
{
	if (session_runs(&guest->session) ||
	    !console_holds_saved(&guest->console, &guest->saving->state))
		return "the device has gone on meanwhile";
	return NULL;
}

/* Loading. */

/* The most that a guest with these ports can have saved. */
static size_t limit_of(const struct guest *guest)
{
	return state_size_max() + guest_arena_size(guest->config);
}

static const char *begin_loading(struct guest *guest)
{
	const struct transfer *transfer = &guest->state_transfer;
	struct guest_loading *loading = calloc(1, sizeof(*loading));
	enum state_verdict verdict;
	const char *why;

	if (!loading)
		return "no memory to load the device's state";
	guest->loading = loading;
	verdict = state_parse(transfer->bytes, transfer->len, &loading->state);
	if (verdict != STATE_OK)
		return state_verdict_text(verdict);
	if (session_runs(&guest->session))
		return "its vrings run already";
	why = console_load_begin(&guest->console, &loading->loading, &loading->state);
	if (!why)
		loop_work(guest->loop, &guest->load);
	return why;
}

/*
 * A client's bytes may be on their way to where the state's input would go. Nobody begins to
 * receive more: one that sends without end mustn't keep the state from being loaded.
 */
static bool may_end(struct transfer *transfer)
{
	struct guest *guest = container_of(transfer, struct guest, state_transfer);

	hold_input(guest, true);
	for (unsigned int i = 0; i < guest->config->max_ports; i++) {
		if (guest->slots[i].port.output.port.receiving)
			return false;
	}
	return true;
}

static const char *end_loading(struct guest *guest)
{
	size_t dropped[CONSOLE_PORTS_MAX];
	const char *why = "its vrings run already";

	if (!session_runs(&guest->session))
		why = console_load_end(&guest->console, &guest->loading->loading, dropped);
	for (unsigned int i = 0; i < guest->config->max_ports && !why; i++) {
		if (guest_port_of(guest, i))
			guest_port_tell_dropped(&guest->slots[i].port, dropped[i]);
		guest_slots_wake(guest, i);
	}
	return why;
}

static void on_load(struct loop_task *task)
{
	struct guest *guest = container_of(task, struct guest, load);
	struct transfer *transfer = &guest->state_transfer;
	struct iovec used;

	if (console_load_more(&guest->console, &guest->loading->loading, LOAD_BYTES, &used)) {
		size_t from = (size_t)((uint8_t *)used.iov_base - transfer->bytes);

		transfer_forget_part(transfer, from, from + used.iov_len);
	} else if (may_end(transfer)) {
		finish(guest, end_loading(guest));
		return;
	}
	loop_work(guest->loop, task);
}

/* Both. */

static void on_ended(struct transfer *transfer, int error)
{
	struct guest *guest = container_of(transfer, struct guest, state_transfer);
	const char *why = error < 0 ? strerror(-error) : NULL;

	if (!why)
		why = transfer->reading ? begin_loading(guest) : end_saving(guest);
	if (why || !transfer->reading)
		finish(guest, why);
}

void guest_state_init(struct guest *guest)
{
	guest->state_result = SESSION_TRANSFER_FAILED;
	guest->saving = NULL;
	guest->loading = NULL;
	loop_task_init(&guest->load, on_load);
	transfer_init(&guest->state_transfer, &guest->connection, &guest->discards.discarder,
	              on_ended, may_end);
}

void guest_state_deinit(struct guest *guest)
{
	hold_input(guest, false);
	loop_task_cancel(&guest->load);
	transfer_deinit(&guest->state_transfer);
	free(guest->saving);
	free(guest->loading);
}

const char *guest_state_transfer(struct guest *guest, bool load, int fd)
{
	const char *refused = NULL;

	if (guest->state_result == SESSION_TRANSFER_UNDER_WAY)
		return "the state is being transferred already";
	if (!fd_is_channel(fd))
		return "not a pipe, a Unix stream socket of a pair or a file in memory";
	if (fd_set_nonblock(fd) < 0)
		return "a descriptor that can't be made non-blocking";
	if (!load && fd_is_of_pair(fd) && !fd_end_input(fd))
		return "a socket with something unread in it";
	guest->state_result = SESSION_TRANSFER_FAILED;
	if (!load)
		refused = begin_saving(guest, fd);
	else if (transfer_read(&guest->state_transfer, fd, limit_of(guest)) < 0)
		refused = "no memory to load the device's state";
	if (!refused)
		guest->state_result = SESSION_TRANSFER_UNDER_WAY;
	return refused;
}

enum session_transfer guest_state_check(const struct guest *guest)
{
	return guest->state_result;
}
