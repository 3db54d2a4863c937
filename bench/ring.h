/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The driver's side of a virtqueue, for measuring: as little work a buffer as a driver can do.
 *
 * Buffers go round in order (a console returns them so): descriptor and slot of a buffer are its
 * index modulo the ring's size, so there are no books to keep. Each buffer is one descriptor,
 * written anew each time as a real driver does. What the device returns is checked all the same:
 * never more than it has, and the ids in order; anything else ends the bench.
 */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include "driver.h"

struct ring_used_element {
	uint32_t id;
	uint32_t len;
};

struct ring {
	struct driver_desc *desc;
	uint16_t *avail_flags, *avail_idx, *avail_entries, *used_event;
	uint16_t *used_flags, *used_idx, *avail_event;
	struct ring_used_element *used;
	int kick, call; /* eventfds, the queue's */
	bool event_idx, in_order, writable;
	bool quiet; /* no calls are wanted */

	uint16_t size;        /* of the ring */
	uint16_t depth;       /* most buffers the device has at once, a power of two */
	uint32_t buffer_size; /* room of each */
	uint8_t *memory;      /* depth buffers, one behind the other */
	uint64_t memory_gpa;

	uint16_t avail;  /* next index to be made available, not yet published ones included */
	uint16_t kicked; /* the published index at the last look whether a kick is wanted */
	uint16_t taken;  /* next used index */
	uint16_t batch;  /* IN_ORDER: buffers left of a batch that came with one used entry */
	uint64_t kicks;  /* so far */
};

/* Puts `depth` buffers of `buffer_size` bytes into the guest memory's first region. */
void ring_init(struct ring *ring, struct driver_queue *queue, uint16_t depth, uint32_t buffer_size);

/* Buffers the device has. */
static inline uint16_t ring_outstanding(const struct ring *ring)
{
	return (uint16_t)(ring->avail - ring->taken);
}

/* The buffer with this index. */
static inline uint8_t *ring_buffer(const struct ring *ring, uint16_t index)
{
	return ring->memory + (uint64_t)(index & (ring->depth - 1u)) * ring->buffer_size;
}

/* Makes the next buffer available with `len` bytes, not yet published. There must be a free one. */
static inline void ring_push(struct ring *ring, uint32_t len)
{
	uint16_t slot = ring->avail & (uint16_t)(ring->size - 1);
	uint64_t offset = (uint64_t)(ring->avail & (ring->depth - 1u)) * ring->buffer_size;

	ring->desc[slot] = (struct driver_desc){
	    .addr = ring->memory_gpa + offset,
	    .len = len,
	    .flags = ring->writable ? DRIVER_DESC_WRITE : 0,
	};
	ring->avail_entries[slot] = slot;
	ring->avail++;
}

/* Publishes what was pushed, and kicks if the device wants it. */
static inline void ring_publish(struct ring *ring)
{
	uint16_t since = ring->kicked;

	/* Far away stays far away, and the next one the next one, however far the indices go. */
	if (ring->event_idx)
		*(volatile uint16_t *)ring->used_event =
		    (uint16_t)(ring->taken + (ring->quiet ? 0x8000 : 0));
	/* Release: pairs with the device's acquire load of idx. */
	atomic_store_explicit((_Atomic uint16_t *)ring->avail_idx, ring->avail,
	                      memory_order_release);
	/* 2.7.13.4: pairs with the device's fence between its store of avail_event (or flags) and
	 * its last look at avail idx. */
	atomic_thread_fence(memory_order_seq_cst);
	ring->kicked = ring->avail;
	if (ring->event_idx) {
		uint16_t event = *(volatile uint16_t *)ring->avail_event;

		if ((uint16_t)(ring->avail - event - 1) >= (uint16_t)(ring->avail - since))
			return;
	} else if (*(volatile uint16_t *)ring->used_flags & 1) {
		return;
	}
	eventfd_write(ring->kick, 1);
	ring->kicks++;
}

void ring_die(const struct ring *ring, const char *what) __attribute__((noreturn));

/* Buffers that have come back and weren't taken. */
static inline uint16_t ring_ready(const struct ring *ring)
{
	/* Acquire: pairs with the device's release store of idx. */
	uint16_t idx =
	    atomic_load_explicit((_Atomic uint16_t *)ring->used_idx, memory_order_acquire);
	uint16_t count = (uint16_t)(idx - ring->taken);

	if (count > ring_outstanding(ring))
		ring_die(ring, "the used index is beyond the available one");
	return count;
}

/* Takes the next one, which has come back; the bytes written into it. */
uint32_t ring_take(struct ring *ring);

/* Asks for a call at the next used buffer, or for none. True if buffers have come back already:
 * there may be no call for them. */
bool ring_ask_calls(struct ring *ring, bool wanted);

#endif
