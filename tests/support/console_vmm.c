/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The VMM around the console driver: plays the recorded sequences. See console_driver.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "console_driver.h"
#include "support.h"

/* ---- what single steps say ---- */

static void acknowledge_features(struct console_driver *console)
{
	uint64_t protocol = 1ull << FE_F_PROTOCOL_FEATURES;
	unsigned int i;

	console->features =
	    console->offered & console->vmm->features & console->options.features & ~protocol;
	for (i = 0; i < console->options.vrings; i++) {
		console->queue[i].event_idx = console->features >> DRIVER_F_EVENT_IDX & 1;
		console->queue[i].in_order = console->features >> DRIVER_F_IN_ORDER & 1;
	}
	console->port.may_indirect = console->features >> DRIVER_F_INDIRECT_DESC & 1;
	console->refused += !!frontend_set_features(
	    console->frontend, console->features | (console->offered & protocol));
}

static void negotiate_protocol(struct console_driver *console)
{
	console->protocol_features = console->offered_protocol & console->vmm->protocol_features &
	                             ~console->options.no_protocol;
	console->refused +=
	    !!frontend_set_protocol_features(console->frontend, console->protocol_features);
}

static uint64_t share_memory(struct console_driver *console, uint32_t request)
{
	struct guest_memory *memory = console->memory;
	uint64_t refused = 0;
	unsigned int i;

	if (request == FE_SET_MEM_TABLE)
		return frontend_set_mem_table(console->frontend, memory->region, memory->count);
	for (i = 0; i < memory->count; i++)
		refused |= frontend_add_mem_reg(console->frontend, &memory->region[i]);
	return refused;
}

static uint16_t vring_base(const struct console_driver *console, uint32_t vring, enum vmm_base from)
{
	const struct driver_queue *queue = &console->queue[vring];

	switch (from) {
	case VMM_BASE_SAVED:
		return console->saved_base[vring];
	case VMM_BASE_AVAIL:
		return driver_load16(driver_avail_idx(queue));
	case VMM_BASE_RECONNECT:
		return driver_load16(queue->in_order ? driver_used_idx(queue)
		                                     : driver_avail_idx(queue));
	default:
		return 0;
	}
}

/* A vring that the guest's driver hasn't set up has guest physical address 0 for its parts; libkrun
 * translates even that. The memory here has nothing at 0: its lowest address stands for it. */
static struct frontend_vring_addr vring_addr(const struct console_driver *console, uint32_t vring)
{
	struct frontend_vring_addr addr = driver_queue_addr(&console->queue[vring]);

	if (vring >= console->options.configured)
		addr.desc = addr.avail = addr.used = console->memory->region[0].uva;
	return addr;
}

static int vring_call(const struct console_driver *console, uint32_t vring, enum vmm_call which)
{
	return which == VMM_CALL_MASKED ? console->masked_call[vring] : console->queue[vring].call;
}

static uint64_t set_vring(struct console_driver *console, const struct vmm_step *step,
                          uint32_t vring)
{
	struct frontend *frontend = console->frontend;
	struct driver_queue *queue = &console->queue[vring];
	struct frontend_vring_addr addr;

	switch (step->request) {
	case FE_SET_VRING_NUM:
		return frontend_set_vring_num(
		    frontend, vring, vring < console->options.configured ? queue->size : 0);
	case FE_SET_VRING_BASE:
		return frontend_set_vring_base(frontend, vring,
		                               vring_base(console, vring, step->value));
	case FE_SET_VRING_ADDR:
		addr = vring_addr(console, vring);
		return frontend_set_vring_addr(frontend, &addr);
	case FE_SET_VRING_KICK:
		return frontend_set_vring_kick(frontend, vring, queue->kick);
	case FE_SET_VRING_CALL:
		return frontend_set_vring_call(frontend, vring,
		                               vring_call(console, vring, step->value));
	case FE_SET_VRING_ERR:
		return frontend_set_vring_err(frontend, vring, queue->err);
	case FE_SET_VRING_ENABLE:
		return frontend_set_vring_enable(frontend, vring, step->value);
	default:
		support_die("%s in a recorded sequence", frontend_request_name(step->request));
	}
}

/* ---- one step ---- */

static void choose_ack(struct console_driver *console, const struct vmm_step *step)
{
	enum frontend_need_reply need = FE_NEED_REPLY_NEVER;
	bool negotiated = console->protocol_features >> FE_PROTOCOL_REPLY_ACK & 1;

	if (negotiated && console->vmm->need_reply == VMM_NEED_REPLY_MARKED && step->ack)
		need = FE_NEED_REPLY_SETS;
	/* Cloud Hypervisor's flag begins after SET_PROTOCOL_FEATURES itself. */
	if (negotiated && console->vmm->need_reply == VMM_NEED_REPLY_ALL &&
	    step->request != FE_SET_PROTOCOL_FEATURES)
		need = FE_NEED_REPLY_ALL;
	console->frontend->need_reply = need;
}

static bool wanted(const struct console_driver *console, const struct vmm_step *step)
{
	if ((console->protocol_features & step->needs) != step->needs)
		return false;
	if (console->protocol_features & step->unless)
		return false;
	if ((console->features & step->needs_features) != step->needs_features)
		return false;
	return !(step->first_only && console->started_before);
}

static void read_config_step(struct console_driver *console, const struct vmm_step *step)
{
	uint8_t bytes[CONSOLE_CONFIG_SIZE];

	if (step->size > sizeof(bytes))
		support_die("a recorded sequence reads %u bytes of configuration", step->size);
	if (!console_driver_read_config(console, step->value, step->size, bytes))
		console->refused++;
}

static void play_step(struct console_driver *console, const struct vmm_step *step, uint32_t vring)
{
	struct frontend *frontend = console->frontend;

	choose_ack(console, step);
	switch (step->request) {
	case FE_GET_FEATURES:
		console->offered = frontend_get_features(frontend);
		return;
	case FE_SET_FEATURES:
		acknowledge_features(console);
		return;
	case FE_SET_OWNER:
		console->refused += !!frontend_set_owner(frontend);
		return;
	case FE_GET_PROTOCOL_FEATURES:
		console->offered_protocol = frontend_get_protocol_features(frontend);
		return;
	case FE_SET_PROTOCOL_FEATURES:
		negotiate_protocol(console);
		return;
	case FE_GET_QUEUE_NUM:
		console->queue_num = frontend_get_queue_num(frontend);
		return;
	case FE_GET_MAX_MEM_SLOTS:
		console->max_mem_slots = frontend_get_max_mem_slots(frontend);
		return;
	case FE_SET_BACKEND_REQ_FD:
		console->refused += !!frontend_set_backend_req_fd(frontend);
		return;
	case FE_SET_MEM_TABLE:
	case FE_ADD_MEM_REG:
		console->refused += !!share_memory(console, step->request);
		return;
	case FE_GET_VRING_BASE:
		console->saved_base[vring] = (uint16_t)frontend_get_vring_base(frontend, vring);
		return;
	case FE_GET_CONFIG:
		read_config_step(console, step);
		return;
	default:
		console->refused += !!set_vring(console, step, vring);
	}
}

/* ---- a table ---- */

/* Steps of one block, for one vring after the other; returns the step after the block. */
static const struct vmm_step *play_block(struct console_driver *console,
                                         const struct vmm_step *first)
{
	uint32_t vrings =
	    first->vrings == VMM_ALL ? console->options.vrings : console->options.configured;
	const struct vmm_step *step, *end = first;
	uint32_t vring;

	while (end->request && end->vrings == first->vrings && end->block == first->block)
		end++;
	for (vring = 0; vring < vrings; vring++)
		for (step = first; step < end && console->frontend->sock >= 0; step++)
			if (wanted(console, step))
				play_step(console, step, vring);
	return end;
}

static void play_table(struct console_driver *console, const struct vmm_step *step)
{
	while (step->request && console->frontend->sock >= 0) {
		if (step->vrings != VMM_ONCE) {
			step = play_block(console, step);
			continue;
		}
		if (wanted(console, step))
			play_step(console, step, 0);
		step++;
	}
}

static void forward_observe(struct frontend *frontend, enum frontend_moment moment,
                            uint32_t request)
{
	struct console_driver *console = frontend->observe_arg;

	if (console->observe)
		console->observe(console, moment, request);
}

/* ---- the guest's part of an occasion ---- */

static void forget_rings(struct console_driver *console)
{
	uint32_t i;

	for (i = 0; i < console->options.vrings; i++) {
		driver_queue_reset(&console->queue[i], 0);
		console->saved_base[i] = 0;
	}
	port_driver_forget(&console->port);
}

static int renewed(int old, int flags)
{
	int fd = eventfd(0, flags | EFD_CLOEXEC);

	if (fd < 0)
		support_die("eventfd: %s", strerror(errno));
	close(old);
	return fd;
}

static void renew_eventfds(struct console_driver *console)
{
	int flags = console->vmm->blocking_eventfds ? 0 : EFD_NONBLOCK;
	bool first = !console->started_before;
	uint32_t i;

	for (i = 0; i < console->options.vrings; i++) {
		if (first || console->vmm->new_kicks)
			console->queue[i].kick = renewed(console->queue[i].kick, flags);
		if (first || console->vmm->new_calls)
			console->queue[i].call = renewed(console->queue[i].call, flags);
	}
	/* The one call eventfd of libkrun: every vring has a descriptor of vring 0's. */
	for (i = 1; console->vmm->shared_call && i < console->options.vrings; i++)
		if (dup3(console->queue[0].call, console->queue[i].call, O_CLOEXEC) < 0)
			support_die("dup3: %s", strerror(errno));
}

static void kick_waiting(struct console_driver *console)
{
	struct driver_queue *queue;
	uint32_t i;

	for (i = 0; i < console->options.configured; i++) {
		queue = &console->queue[i];
		if (queue->in_order &&
		    driver_load16(driver_used_idx(queue)) != driver_load16(driver_avail_idx(queue)))
			driver_kick_always(queue);
	}
}

static void before_phase(struct console_driver *console, enum vmm_phase phase)
{
	if (phase == VMM_CONNECT || phase == VMM_RECONNECT)
		console->started_before = false;
	/* No acknowledgement before a new connection's SET_PROTOCOL_FEATURES: what was negotiated
	 * on the old one holds no longer. */
	if (phase == VMM_CONNECT || phase == VMM_RECONNECT)
		console->protocol_features = 0;
	if (phase == VMM_START || phase == VMM_RESTART)
		renew_eventfds(console);
	if (phase == VMM_RESUME && console->vmm->new_kicks)
		renew_eventfds(console);
}

static void after_phase(struct console_driver *console, enum vmm_phase phase)
{
	if (phase == VMM_START || phase == VMM_RESTART || phase == VMM_RECONNECT)
		console->started_before = true;
	if (phase == VMM_RESET) {
		/* libkrun doesn't wait for its reset; a guest takes its time, so the rings aren't
		 * wiped under a device that may still work them. */
		frontend_await_read(console->frontend);
		forget_rings(console);
	}
	if (phase == VMM_RECONNECT)
		kick_waiting(console);
}

bool console_driver_play(struct console_driver *console, enum vmm_phase phase)
{
	struct frontend *frontend = console->frontend;
	void (*observe)(struct frontend *, enum frontend_moment, uint32_t) = frontend->observe;
	void *observe_arg = frontend->observe_arg;
	enum frontend_need_reply need_reply = frontend->need_reply;

	if (!console->vmm->phase[phase])
		return false;
	frontend->observe = forward_observe;
	frontend->observe_arg = console;
	before_phase(console, phase);
	play_table(console, console->vmm->phase[phase]);
	frontend->observe = observe;
	frontend->observe_arg = observe_arg;
	frontend->need_reply = need_reply;
	if (frontend->sock < 0)
		return false;
	after_phase(console, phase);
	return !frontend_peer_closed(frontend);
}

bool console_driver_bring_up(struct console_driver *console)
{
	if (!console_driver_play(console, VMM_CONNECT) ||
	    !console_driver_play(console, VMM_START) || !console_driver_play(console, VMM_CONFIG))
		return false;
	console_driver_post(console);
	return true;
}

bool console_driver_reboot(struct console_driver *console)
{
	if (!console_driver_play(console, VMM_RESET) ||
	    !console_driver_play(console, VMM_RESTART) || !console_driver_play(console, VMM_CONFIG))
		return false;
	console_driver_post(console);
	return true;
}

/* ---- configuration space ---- */

/* The bytes that the VMM asks for or sends when the guest accesses [offset, offset + size). */
static void widen(const struct console_driver *console, uint32_t *offset, uint32_t *size)
{
	if (*offset > CONSOLE_CONFIG_SIZE || *size > CONSOLE_CONFIG_SIZE - *offset)
		support_die("configuration beyond the %d bytes of a console", CONSOLE_CONFIG_SIZE);
	if (!console->vmm->config_whole)
		return;
	*offset = 0;
	*size = console->vmm->config_whole;
}

bool console_driver_read_config(struct console_driver *console, uint32_t offset, uint32_t size,
                                void *ret_bytes)
{
	const struct vmm_step step = {.request = FE_GET_CONFIG};
	enum frontend_need_reply need_reply = console->frontend->need_reply;
	uint32_t wide_offset = offset, wide_size = size, got;

	widen(console, &wide_offset, &wide_size);
	choose_ack(console, &step);
	got = frontend_get_config(console->frontend, wide_offset, wide_size,
	                          console->vmm->get_config_flags, console->config + wide_offset);
	console->frontend->need_reply = need_reply;
	if (got != wide_size)
		return false;
	memcpy(ret_bytes, console->config + offset, size);
	return true;
}

uint64_t console_driver_write_config(struct console_driver *console, uint32_t offset, uint32_t size,
                                     const void *bytes)
{
	const struct vmm_step step = {.request = FE_SET_CONFIG, .ack = true};
	enum frontend_need_reply need_reply = console->frontend->need_reply;
	uint32_t wide_offset = offset, wide_size = size;
	uint64_t refused;

	widen(console, &wide_offset, &wide_size);
	memcpy(console->config + offset, bytes, size);
	choose_ack(console, &step);
	/* QEMU sends all of its copy, what older writes left in it included. */
	refused =
	    frontend_set_config(console->frontend, wide_offset, wide_size,
	                        console->vmm->set_config_flags, console->config + wide_offset);
	console->frontend->need_reply = need_reply;
	return refused;
}
