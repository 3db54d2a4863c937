/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "ring.h"

#include "support.h"

void ring_init(struct ring *ring, struct driver_queue *queue, uint16_t depth, uint32_t buffer_size)
{
	uint64_t bytes = (uint64_t)depth * buffer_size;
	uint64_t gpa = guest_memory_alloc(queue->memory, 0, bytes, 16);

	*ring = (struct ring){
	    .desc = driver_desc_at(queue, 0),
	    .avail_flags = driver_avail_flags(queue),
	    .avail_idx = driver_avail_idx(queue),
	    .avail_entries = driver_avail_entry(queue, 0),
	    .used_event = driver_used_event(queue),
	    .used_flags = driver_used_flags(queue),
	    .used_idx = driver_used_idx(queue),
	    .avail_event = driver_avail_event(queue),
	    .used = (struct ring_used_element *)(void *)driver_used_id(queue, 0),
	    .kick = queue->kick,
	    .call = queue->call,
	    .event_idx = queue->event_idx,
	    .in_order = queue->in_order,
	    .writable = queue->index % 2 == 0,
	    .size = queue->size,
	    .depth = depth,
	    .buffer_size = buffer_size,
	    .memory = guest_memory_at(queue->memory, gpa, bytes),
	    .memory_gpa = gpa,
	};
}

void ring_die(const struct ring *ring, const char *what)
{
	support_die("%s queue: %s", ring->writable ? "receive" : "transmit", what);
}

/* IN_ORDER (2.7.9): one entry may name the last buffer of a batch; how many it stands for. */
static uint16_t batch_of(const struct ring *ring, uint32_t id)
{
	uint16_t slot = ring->taken & (uint16_t)(ring->size - 1);
	uint16_t count = (uint16_t)(((id - slot) & (ring->size - 1u)) + 1);

	if (id >= ring->size || count > ring_ready(ring))
		support_die(
		    "%s queue: used entry for buffer %u, buffer %u is the next, %u are used",
		    ring->writable ? "receive" : "transmit", id, slot, ring_ready(ring));
	if (count > 1 && !ring->in_order)
		ring_die(ring, "a buffer came back before older ones");
	return count;
}

uint32_t ring_take(struct ring *ring)
{
	const struct ring_used_element *used = &ring->used[ring->taken & (ring->size - 1u)];
	uint32_t len;

	if (!ring->batch)
		ring->batch = batch_of(ring, used->id);
	/* Those that a batch skips count as used completely; the last has the entry's length. */
	len = ring->batch == 1 ? used->len : ring->buffer_size;
	ring->batch--;
	ring->taken++;
	/* Some devices give the length of what they have read, which drivers ignore. */
	if (!ring->writable)
		return 0;
	if (len > ring->buffer_size)
		ring_die(ring, "a used entry with more bytes than its buffer has room for");
	return len;
}

bool ring_ask_calls(struct ring *ring, bool wanted)
{
	ring->quiet = !wanted;
	/* With event_idx: far away is never, while less than half of all indices are used. */
	if (ring->event_idx)
		driver_store16(ring->used_event, (uint16_t)(ring->taken + (wanted ? 0 : 0x8000)));
	else
		driver_store16(ring->avail_flags, (uint16_t)!wanted);
	/* Pairs with the device's fence between its store of used idx and its look at this. */
	atomic_thread_fence(memory_order_seq_cst);
	return ring_ready(ring) != 0;
}
