/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The console's bytes: buffers out and in. See console_driver.h; the VMM's part is in
 * console_vmm.c.
 */
#include "console_driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "support.h"

#define UNTOUCHED 0xa5 /* what receive buffers are filled with before they are posted */
#define HVC_SIZE  16

/* ---- life ---- */

static void default_options(struct console_driver *console)
{
	struct console_driver_options *options = &console->options;

	if (!options->vmm)
		options->vmm = &vmm_qemu;
	if (!options->features)
		options->features = 1ull << DRIVER_F_VERSION_1 | 1ull << DRIVER_F_EVENT_IDX |
		                    1ull << DRIVER_F_INDIRECT_DESC | 1ull << DRIVER_F_IN_ORDER |
		                    1ull << CONSOLE_F_SIZE;
	if (!options->queue_size)
		options->queue_size = options->vmm->queue_size;
	if (!options->configured)
		options->configured = 2;
	if (!options->receive_count)
		options->receive_count = 64;
	if (options->receive_count > options->queue_size)
		options->receive_count = options->queue_size;
	if (!options->receive_size)
		options->receive_size = 4096;
	if (!options->transmit_size)
		options->transmit_size = 4096;
}

static void make_buffers(struct console_driver *console)
{
	const struct console_driver_options *options = &console->options;
	uint32_t slots = options->queue_size < 64 ? options->queue_size : 64;

	console->transmit_slots = slots;
	console->transmit_busy = calloc(slots, 1);
	console->receive_busy = calloc(options->receive_count, 1);
	if (!console->transmit_busy || !console->receive_busy)
		support_die("out of memory");
	/* Receive buffers in region 1, transmit buffers in region 0: rings, in and out apart. */
	console->receive_gpa = guest_memory_alloc(
	    console->memory, 1, (uint64_t)options->receive_count * options->receive_size, 1);
	console->transmit_gpa =
	    guest_memory_alloc(console->memory, 0, (uint64_t)slots * options->transmit_size, 1);
	console->table_gpa[CONSOLE_RECEIVE] =
	    guest_memory_alloc(console->memory, 1, (uint64_t)options->receive_count * 16, 16);
	console->table_gpa[CONSOLE_TRANSMIT] =
	    guest_memory_alloc(console->memory, 0, (uint64_t)slots * 16, 16);
}

void console_driver_init(struct console_driver *console, struct frontend *frontend,
                         struct guest_memory *memory, const struct console_driver_options *options)
{
	uint32_t i;

	*console = (struct console_driver){.frontend = frontend, .memory = memory};
	if (options)
		console->options = *options;
	default_options(console);
	console->vmm = console->options.vmm;
	for (i = 0; i < CONSOLE_VRINGS; i++) {
		driver_queue_init(&console->queue[i], frontend, memory, i,
		                  console->options.queue_size, console->options.base);
		console->saved_base[i] = console->options.base;
		console->masked_call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (console->masked_call[i] < 0)
			support_die("eventfd: %s", strerror(errno));
	}
	make_buffers(console);
}

void console_driver_deinit(struct console_driver *console)
{
	uint32_t i;

	if (!console->transmit_busy)
		return;
	for (i = 0; i < CONSOLE_VRINGS; i++) {
		driver_queue_deinit(&console->queue[i]);
		close(console->masked_call[i]);
	}
	free(console->transmit_busy);
	free(console->receive_busy);
	free(console->input);
	*console = (struct console_driver){0};
}

/* ---- buffers ---- */

static bool use_indirect(const struct console_driver *console)
{
	return console->options.indirect && console->features & 1ull << DRIVER_F_INDIRECT_DESC;
}

/* One buffer; its slot is the cookie. False if the ring is full. */
static bool add_buffer(struct console_driver *console, uint32_t vring, uint64_t gpa, uint32_t len,
                       uint32_t slot)
{
	struct driver_buffer buffer = {.gpa = gpa, .len = len, .write = vring == CONSOLE_RECEIVE};
	uint64_t table = console->table_gpa[vring] + 16ull * slot;

	if (use_indirect(console))
		return driver_add_indirect(&console->queue[vring], table, &buffer, 1, slot);
	return driver_add(&console->queue[vring], &buffer, 1, slot);
}

/* ---- receiving ---- */

static void post_slot(struct console_driver *console, uint32_t slot)
{
	uint32_t size = console->options.receive_size;
	uint64_t gpa = console->receive_gpa + (uint64_t)slot * size;

	memset(guest_memory_at(console->memory, gpa, size), UNTOUCHED, size);
	if (!add_buffer(console, CONSOLE_RECEIVE, gpa, size, slot))
		support_die("no descriptor left for receive buffer %u", slot);
	console->receive_busy[slot] = 1;
}

void console_driver_post(struct console_driver *console)
{
	uint32_t slot;

	for (slot = 0; slot < console->options.receive_count; slot++)
		if (!console->receive_busy[slot])
			post_slot(console, slot);
	driver_kick(&console->queue[CONSOLE_RECEIVE]);
}

static void make_room(struct console_driver *console, size_t size)
{
	if (console->input_room - console->input_size >= size)
		return;
	console->input_room = 2 * (console->input_size + size);
	console->input = realloc(console->input, console->input_room);
	if (!console->input)
		support_die("out of memory for %zu bytes of input", console->input_room);
}

static void collect_buffer(struct console_driver *console, const struct driver_used *used)
{
	uint32_t size = console->options.receive_size;
	const uint8_t *bytes =
	    guest_memory_at(console->memory, console->receive_gpa + used->cookie * size, size);
	uint32_t i;

	make_room(console, used->len);
	memcpy(console->input + console->input_size, bytes, used->len);
	console->input_size += used->len;
	for (i = used->len; i < size; i++)
		if (bytes[i] != UNTOUCHED)
			support_die("a receive buffer used with %u bytes was written at %u",
			            used->len, i);
}

size_t console_driver_collect(struct console_driver *console)
{
	struct driver_queue *queue = &console->queue[CONSOLE_RECEIVE];
	struct driver_used used;
	bool posted = false;

	while (driver_harvest(queue, &used)) {
		collect_buffer(console, &used);
		console->receive_busy[used.cookie] = 0;
		if (console->hold_receive)
			continue;
		post_slot(console, (uint32_t)used.cookie);
		posted = true;
	}
	driver_take_calls(queue);
	driver_ask_calls(queue, true);
	if (posted)
		driver_kick(queue);
	return console->input_size;
}

struct input_wait {
	struct console_driver *console;
	size_t size;
};

static bool enough_input(void *arg)
{
	struct input_wait *wait = arg;

	return console_driver_collect(wait->console) >= wait->size;
}

void console_driver_await_input(struct console_driver *console, size_t size)
{
	struct input_wait wait = {.console = console, .size = size};

	frontend_await(console->frontend, enough_input, &wait, "input for the guest");
}

size_t console_driver_take_input(struct console_driver *console, void *ret_bytes, size_t room)
{
	size_t size = console->input_size < room ? console->input_size : room;

	if (!size)
		return 0;
	memcpy(ret_bytes, console->input, size);
	console->input_size -= size;
	memmove(console->input, console->input + size, console->input_size);
	return size;
}

void console_driver_expect_input(struct console_driver *console, const void *bytes, size_t size)
{
	const uint8_t *expected = bytes;
	size_t i;

	console_driver_await_input(console, size);
	for (i = 0; i < size; i++)
		if (console->input[i] != expected[i])
			support_die("byte %zu of %zu for the guest is %#x, not %#x", i, size,
			            console->input[i], expected[i]);
	console->input_size -= size;
	memmove(console->input, console->input + size, console->input_size);
}

/* ---- transmitting ---- */

/* A buffer the device doesn't have, or transmit_slots. */
static uint32_t free_slot(const struct console_driver *console)
{
	uint32_t slot;

	for (slot = 0; slot < console->transmit_slots; slot++)
		if (!console->transmit_busy[slot])
			break;
	return slot;
}

static size_t offer_one(struct console_driver *console, const uint8_t *bytes, size_t size)
{
	uint32_t most = console->options.transmit_size;
	uint32_t slot = free_slot(console);
	uint32_t len = size < most ? (uint32_t)size : most;
	uint64_t gpa = console->transmit_gpa + (uint64_t)slot * most;

	if (slot == console->transmit_slots)
		return 0;
	memcpy(guest_memory_at(console->memory, gpa, len), bytes, len);
	if (!add_buffer(console, CONSOLE_TRANSMIT, gpa, len, slot))
		return 0;
	console->transmit_busy[slot] = 1;
	return len;
}

size_t console_driver_offer(struct console_driver *console, const void *bytes, size_t size)
{
	size_t taken, total = 0;

	while (total < size) {
		taken = offer_one(console, (const uint8_t *)bytes + total, size - total);
		if (!taken)
			break;
		total += taken;
	}
	if (total)
		driver_kick(&console->queue[CONSOLE_TRANSMIT]);
	return total;
}

unsigned int console_driver_reap(struct console_driver *console)
{
	struct driver_queue *queue = &console->queue[CONSOLE_TRANSMIT];
	struct driver_used used;
	unsigned int count;

	for (count = 0; driver_harvest(queue, &used); count++) {
		if (used.len && queue->expect_len)
			support_die("a transmit buffer came back with the length %u", used.len);
		console->transmit_busy[used.cookie] = 0;
	}
	driver_take_calls(queue);
	return count;
}

void console_driver_transmit(struct console_driver *console, const void *bytes, size_t size)
{
	struct driver_queue *queue = &console->queue[CONSOLE_TRANSMIT];
	const uint8_t *from = bytes;
	size_t taken;

	while (size) {
		taken = console_driver_offer(console, from, size);
		from += taken;
		size -= taken;
		if (!taken)
			driver_await_used(queue, 1);
		console_driver_reap(console);
	}
	while (driver_outstanding(queue)) {
		driver_await_used(queue, 1);
		console_driver_reap(console);
	}
}

void console_driver_transmit_hvc(struct console_driver *console, const void *bytes, size_t size)
{
	const uint8_t *from = bytes;
	size_t part;

	for (; size; from += part, size -= part) {
		part = size < HVC_SIZE ? size : HVC_SIZE;
		if (part > console->options.transmit_size)
			part = console->options.transmit_size;
		console_driver_transmit(console, from, part);
	}
}
