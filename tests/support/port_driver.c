/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The bytes of one port: buffers out and in. See port_driver.h.
 */
#include "port_driver.h"

#include <stdlib.h>
#include <string.h>

#include "support.h"

#define UNTOUCHED  0xa5 /* what receive buffers are filled with before they are posted */
#define PIECES_MAX 64

/* ---- life ---- */

static uint32_t usual_count(uint32_t count, const struct driver_queue *queue)
{
	if (!count)
		count = 64;
	return count < queue->size ? count : queue->size;
}

static void default_options(struct port_driver *port)
{
	struct port_driver_options *options = &port->options;

	options->receive_count = usual_count(options->receive_count, port->receiveq);
	options->transmit_count = usual_count(options->transmit_count, port->transmitq);
	if (!options->receive_size)
		options->receive_size = 4096;
	if (!options->transmit_size)
		options->transmit_size = 4096;
	if (!options->transmit_pieces)
		options->transmit_pieces = 1;
	if (options->transmit_pieces > PIECES_MAX)
		support_die("a transmit buffer of more than %d pieces", PIECES_MAX);
}

static void make_buffers(struct port_driver *port)
{
	const struct port_driver_options *options = &port->options;
	uint64_t in = options->receive_count, out = options->transmit_count;

	port->transmit_busy = calloc(out, 1);
	port->receive_busy = calloc(in, 1);
	if (!port->transmit_busy || !port->receive_busy)
		support_die("out of memory");
	/* Receive buffers in region 1, transmit buffers in region 0: rings, in and out apart. */
	port->receive_gpa = guest_memory_alloc(port->memory, 1, in * options->receive_size, 1);
	port->transmit_gpa = guest_memory_alloc(port->memory, 0, out * options->transmit_size, 1);
	port->receive_table = guest_memory_alloc(port->memory, 1, in * 16, 16);
	port->transmit_table =
	    guest_memory_alloc(port->memory, 0, out * 16 * options->transmit_pieces, 16);
}

void port_driver_init(struct port_driver *port, struct frontend *frontend,
                      struct guest_memory *memory, struct driver_queue *receiveq,
                      struct driver_queue *transmitq, const struct port_driver_options *options)
{
	*port = (struct port_driver){
	    .frontend = frontend,
	    .memory = memory,
	    .receiveq = receiveq,
	    .transmitq = transmitq,
	};
	if (options)
		port->options = *options;
	default_options(port);
	make_buffers(port);
}

void port_driver_deinit(struct port_driver *port)
{
	free(port->transmit_busy);
	free(port->receive_busy);
	free(port->input);
	*port = (struct port_driver){0};
}

void port_driver_forget(struct port_driver *port)
{
	memset(port->transmit_busy, 0, port->options.transmit_count);
	memset(port->receive_busy, 0, port->options.receive_count);
}

/* ---- buffers ---- */

static bool use_indirect(const struct port_driver *port)
{
	return port->options.indirect && port->may_indirect;
}

/* Cuts [gpa, gpa + len) into the pieces of a transmit buffer; how many there are. */
static uint32_t cut(const struct port_driver *port, uint64_t gpa, uint32_t len,
                    struct driver_buffer *ret_pieces)
{
	uint32_t most = port->options.transmit_pieces;
	uint32_t size = (len + most - 1) / most, count = 0, part;

	for (; len; gpa += part, len -= part) {
		part = len < size ? len : size;
		ret_pieces[count++] = (struct driver_buffer){.gpa = gpa, .len = part};
	}
	return count;
}

/* Their slot is the cookie. False if the ring is full. */
static bool add_buffers(struct driver_queue *queue, const struct driver_buffer *buffers,
                        uint32_t count, uint64_t table, uint32_t slot)
{
	if (table)
		return driver_add_indirect(queue, table, buffers, count, slot);
	return driver_add(queue, buffers, count, slot);
}

static uint64_t table_of(const struct port_driver *port, uint64_t tables, uint32_t entries,
                         uint32_t slot)
{
	return use_indirect(port) ? tables + 16ull * entries * slot : 0;
}

/* ---- receiving ---- */

static void post_slot(struct port_driver *port, uint32_t slot)
{
	uint32_t size = port->options.receive_size;
	uint64_t gpa = port->receive_gpa + (uint64_t)slot * size;
	uint64_t table = table_of(port, port->receive_table, 1, slot);
	struct driver_buffer buffer = {.gpa = gpa, .len = size, .write = true};

	memset(guest_memory_at(port->memory, gpa, size), UNTOUCHED, size);
	if (!add_buffers(port->receiveq, &buffer, 1, table, slot))
		support_die("no descriptor left for receive buffer %u", slot);
	port->receive_busy[slot] = 1;
}

void port_driver_post(struct port_driver *port)
{
	uint32_t slot;

	for (slot = 0; slot < port->options.receive_count; slot++)
		if (!port->receive_busy[slot])
			post_slot(port, slot);
	driver_kick(port->receiveq);
}

static void make_room(struct port_driver *port, size_t size)
{
	if (port->input_room - port->input_size >= size)
		return;
	port->input_room = 2 * (port->input_size + size);
	port->input = realloc(port->input, port->input_room);
	if (!port->input)
		support_die("out of memory for %zu bytes of input", port->input_room);
}

static void collect_buffer(struct port_driver *port, const struct driver_used *used)
{
	uint32_t size = port->options.receive_size;
	const uint8_t *bytes =
	    guest_memory_at(port->memory, port->receive_gpa + used->cookie * size, size);
	uint32_t i;

	make_room(port, used->len);
	memcpy(port->input + port->input_size, bytes, used->len);
	port->input_size += used->len;
	for (i = used->len; i < size; i++)
		if (bytes[i] != UNTOUCHED)
			support_die("a receive buffer used with %u bytes was written at %u",
			            used->len, i);
}

size_t port_driver_collect(struct port_driver *port)
{
	struct driver_queue *queue = port->receiveq;
	struct driver_used used;
	bool posted = false;

	while (driver_harvest(queue, &used)) {
		collect_buffer(port, &used);
		port->receive_busy[used.cookie] = 0;
		if (port->hold_receive)
			continue;
		post_slot(port, (uint32_t)used.cookie);
		posted = true;
	}
	driver_take_calls(queue);
	driver_ask_calls(queue, true);
	if (posted)
		driver_kick(queue);
	return port->input_size;
}

struct input_wait {
	struct port_driver *port;
	size_t size;
};

static bool enough_input(void *arg)
{
	struct input_wait *wait = arg;

	return port_driver_collect(wait->port) >= wait->size;
}

void port_driver_await_input(struct port_driver *port, size_t size)
{
	struct input_wait wait = {.port = port, .size = size};

	frontend_await(port->frontend, enough_input, &wait, "input for the guest");
}

size_t port_driver_take_input(struct port_driver *port, void *ret_bytes, size_t room)
{
	size_t size = port->input_size < room ? port->input_size : room;

	if (!size)
		return 0;
	memcpy(ret_bytes, port->input, size);
	port->input_size -= size;
	memmove(port->input, port->input + size, port->input_size);
	return size;
}

void port_driver_expect_input(struct port_driver *port, const void *bytes, size_t size)
{
	const uint8_t *expected = bytes;
	size_t i;

	port_driver_await_input(port, size);
	for (i = 0; i < size; i++)
		if (port->input[i] != expected[i])
			support_die("byte %zu of %zu for the guest is %#x, not %#x", i, size,
			            port->input[i], expected[i]);
	port->input_size -= size;
	memmove(port->input, port->input + size, port->input_size);
}

/* ---- transmitting ---- */

/* A buffer the device doesn't have, or transmit_count. */
static uint32_t free_slot(const struct port_driver *port)
{
	uint32_t slot;

	for (slot = 0; slot < port->options.transmit_count; slot++)
		if (!port->transmit_busy[slot])
			break;
	return slot;
}

static size_t offer_one(struct port_driver *port, const uint8_t *bytes, size_t size)
{
	uint32_t most = port->options.transmit_size;
	uint32_t slot = free_slot(port);
	uint32_t len = size < most ? (uint32_t)size : most;
	uint64_t gpa = port->transmit_gpa + (uint64_t)slot * most;
	uint32_t entries = port->options.transmit_pieces;
	uint64_t table = table_of(port, port->transmit_table, entries, slot);
	struct driver_buffer pieces[PIECES_MAX];

	if (slot == port->options.transmit_count)
		return 0;
	memcpy(guest_memory_at(port->memory, gpa, len), bytes, len);
	if (!add_buffers(port->transmitq, pieces, cut(port, gpa, len, pieces), table, slot))
		return 0;
	port->transmit_busy[slot] = 1;
	return len;
}

size_t port_driver_offer(struct port_driver *port, const void *bytes, size_t size)
{
	size_t taken, total = 0;

	while (total < size) {
		taken = offer_one(port, (const uint8_t *)bytes + total, size - total);
		if (!taken)
			break;
		total += taken;
	}
	if (total)
		driver_kick(port->transmitq);
	return total;
}

unsigned int port_driver_reap(struct port_driver *port)
{
	struct driver_queue *queue = port->transmitq;
	struct driver_used used;
	unsigned int count;

	for (count = 0; driver_harvest(queue, &used); count++) {
		if (used.len && queue->expect_len)
			support_die("a transmit buffer came back with the length %u", used.len);
		port->transmit_busy[used.cookie] = 0;
	}
	driver_take_calls(queue);
	return count;
}

void port_driver_transmit(struct port_driver *port, const void *bytes, size_t size)
{
	struct driver_queue *queue = port->transmitq;
	const uint8_t *from = bytes;
	size_t taken;

	while (size) {
		taken = port_driver_offer(port, from, size);
		from += taken;
		size -= taken;
		if (!taken)
			driver_await_used(queue, 1);
		port_driver_reap(port);
	}
	while (driver_outstanding(queue)) {
		driver_await_used(queue, 1);
		port_driver_reap(port);
	}
}
