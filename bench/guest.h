/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest of the bench: a VMM's connection, brought up message by message as QEMU does it
 * (tests/support), and two lean rings instead of that library's checked queues.
 *
 * Its memory is two regions of one memfd, sorted, as a PC of QEMU has them below and above 4 GiB;
 * rings and buffers are in the first one. The driver negotiates what Linux 7.3 does: VERSION_1,
 * EVENT_IDX, INDIRECT_DESC, IN_ORDER, F_SIZE.
 */
#ifndef BENCH_GUEST_H
#define BENCH_GUEST_H

#include "console_driver.h"
#include "pattern.h"
#include "ring.h"

enum {
	GUEST_RING_SIZE = 256, /* unless said otherwise */
	GUEST_RING_MAX = 1024,
};

/* For all guests to come: a power of two. */
void guest_set_ring_size(uint16_t size);

struct guest_shape {
	uint32_t transmit_size; /* bytes of a transmit buffer */
	uint16_t transmit_depth;
	uint32_t receive_size;
	uint16_t receive_depth;
};

struct guest {
	struct guest_memory memory;
	struct frontend frontend;
	struct console_driver console;
	struct ring transmit;
	struct ring receive;
};

/* One buffer of a page each way; the whole ring deep if `deep`. */
struct guest_shape guest_shape(uint32_t transmit_size, uint32_t receive_size, bool deep);

/* Connects to the backend's socket, starts the device, posts all receive buffers. Calls are off. */
void guest_start(struct guest *guest, const char *socket_path, const struct guest_shape *shape);

/* As a VMM that ends: stops the rings, closes everything. */
void guest_stop(struct guest *guest);

/* Fills the ring up with buffers of `size` bytes of the pattern; how many were added. */
unsigned int guest_transmit(struct guest *guest, struct pattern *pattern, uint32_t size);

/* Takes back transmit buffers; how many. */
unsigned int guest_reap(struct guest *guest);

/* Transmits these few bytes (at most a buffer) and spins until the device has used them. */
void guest_say(struct guest *guest, const void *bytes, uint32_t size);

#endif
