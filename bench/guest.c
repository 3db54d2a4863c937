/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest.h"

#include <string.h>
#include <unistd.h>

#include "machine.h"
#include "support.h"

/* A PC's memory, below and above 4 GiB. Nothing of it is used before it is written. */
#define LOW_START  0xc0000ull
#define HIGH_START 0x100000000ull
#define HIGH_SIZE  0x100000ull
#define UVA        0x7f2000000000ull /* the frontend's addresses, anything but guest addresses */
#define SLACK      0x80000ull        /* rings, and what the allocator keeps for itself */

static uint16_t ring_size = GUEST_RING_SIZE;

void guest_set_ring_size(uint16_t size)
{
	ring_size = size;
}

struct guest_shape guest_shape(uint32_t transmit_size, uint32_t receive_size, bool deep)
{
	return (struct guest_shape){
	    .transmit_size = transmit_size,
	    .transmit_depth = deep ? ring_size : 1,
	    .receive_size = receive_size,
	    .receive_depth = deep ? ring_size : 1,
	};
}

static void make_memory(struct guest *guest, const struct guest_shape *shape)
{
	uint64_t buffers = (uint64_t)shape->transmit_size * shape->transmit_depth +
	                   (uint64_t)shape->receive_size * shape->receive_depth;
	uint64_t low = (buffers + SLACK + 4095) / 4096 * 4096;

	guest->memory = (struct guest_memory){0};
	guest_memory_add(&guest->memory, LOW_START, UVA + LOW_START, 0, low, -1);
	guest_memory_add(&guest->memory, HIGH_START, UVA + HIGH_START, low, HIGH_SIZE, 0);
}

static void post_all(struct ring *ring)
{
	uint16_t i;

	for (i = 0; i < ring->depth; i++)
		ring_push(ring, ring->buffer_size);
	ring_publish(ring);
}

static void close_once(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Of files that the backend has its own copies of, keeps those that are still used: so a thousand
 * guests fit into one process. */
static void close_spare_files(struct guest *guest)
{
	struct console_driver *console = &guest->console;
	unsigned int i;

	for (i = 0; i < console->options.vrings; i++) {
		close_once(&console->masked_call[i]);
		close_once(&console->queue[i].err);
		if (i <= CONSOLE_TRANSMIT)
			continue;
		close_once(&console->queue[i].kick);
		close_once(&console->queue[i].call);
	}
	for (i = 0; i < guest->memory.count; i++)
		close_once(&guest->memory.region[i].fd);
}

void guest_start(struct guest *guest, const char *socket_path, const struct guest_shape *shape)
{
	/* The library's own buffers aren't used. */
	struct console_driver_options options = {
	    .queue_size = ring_size,
	    .receive_count = 1,
	    .receive_size = 1,
	    .transmit_size = 1,
	};
	struct console_driver *console = &guest->console;

	make_memory(guest, shape);
	frontend_init_path(&guest->frontend, socket_path);
	console_driver_init(console, &guest->frontend, &guest->memory, &options);
	if (!console_driver_play(console, VMM_CONNECT) ||
	    !console_driver_play(console, VMM_START) || !console_driver_play(console, VMM_CONFIG))
		support_die("the backend closed the connection while the guest started");
	close_spare_files(guest);
	ring_init(&guest->transmit, &console->queue[CONSOLE_TRANSMIT], shape->transmit_depth,
	          shape->transmit_size);
	ring_init(&guest->receive, &console->queue[CONSOLE_RECEIVE], shape->receive_depth,
	          shape->receive_size);
	ring_ask_calls(&guest->transmit, false);
	ring_ask_calls(&guest->receive, false);
	post_all(&guest->receive);
}

void guest_stop(struct guest *guest)
{
	console_driver_play(&guest->console, VMM_STOP);
	console_driver_deinit(&guest->console);
	frontend_deinit(&guest->frontend);
	guest_memory_deinit(&guest->memory);
}

unsigned int guest_transmit(struct guest *guest, struct pattern *pattern, uint32_t size)
{
	struct ring *ring = &guest->transmit;
	unsigned int i, count = ring->depth - ring_outstanding(ring);

	if (!count)
		return 0;
	for (i = 0; i < count; i++) {
		pattern_fill(pattern, ring_buffer(ring, ring->avail), size);
		ring_push(ring, size);
	}
	ring_publish(ring);
	return count;
}

unsigned int guest_reap(struct guest *guest)
{
	struct ring *ring = &guest->transmit;
	unsigned int i, count = ring_ready(ring);

	for (i = 0; i < count; i++)
		ring_take(ring);
	return count;
}

void guest_say(struct guest *guest, const void *bytes, uint32_t size)
{
	uint64_t deadline = support_now_ms() + support_deadline_ms();
	struct ring *ring = &guest->transmit;

	memcpy(ring_buffer(ring, ring->avail), bytes, size);
	ring_push(ring, size);
	ring_publish(ring);
	while (ring_outstanding(ring)) {
		guest_reap(guest);
		machine_relax();
		if (support_now_ms() > deadline)
			support_die("the backend doesn't take the guest's output");
	}
}
