/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A bounded ring of bytes, addressed by 64-bit positions that only grow.
 *
 * Its positions and its bytes lie where the caller says (in the arena, so that they outlive the
 * process); the ring itself holds no other state. The bytes are there before the head says so.
 */
#ifndef BASE_BYTE_RING_H
#define BASE_BYTE_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* What outlives the process: the ring holds the bytes of positions [tail, head). */
struct byte_ring_state {
	uint64_t head;
	uint64_t tail;
};

struct byte_ring {
	struct byte_ring_state *state;
	uint8_t *data;
	size_t size; /* a power of two */
};

/* Uses `state` as it is: zeroed for an empty ring. `size` is a power of two, in bytes. */
void byte_ring_init(struct byte_ring *ring, struct byte_ring_state *state, void *data, size_t size);

static inline uint64_t byte_ring_head(const struct byte_ring *ring)
{
	return ring->state->head;
}

static inline uint64_t byte_ring_tail(const struct byte_ring *ring)
{
	return ring->state->tail;
}

static inline size_t byte_ring_used(const struct byte_ring *ring)
{
	return (size_t)(ring->state->head - ring->state->tail);
}

static inline size_t byte_ring_free(const struct byte_ring *ring)
{
	return ring->size - byte_ring_used(ring);
}

/* Copies `len` bytes, at most what is free, behind the head, which then passes them. */
void byte_ring_put(struct byte_ring *ring, const void *bytes, size_t len);

/*
 * Copies `len` bytes to where they will be once the head has passed `ahead` bytes more. The head
 * stays: byte_ring_commit() takes them in. Both together are at most what is free.
 */
void byte_ring_put_ahead(struct byte_ring *ring, size_t ahead, const void *bytes, size_t len);

/* As byte_ring_put(), for at most the ring's size: the oldest bytes go where there is no room. */
void byte_ring_overwrite(struct byte_ring *ring, const void *bytes, size_t len);

/* Copies up to `len` bytes from the tail, which then passes them. Returns how many. */
size_t byte_ring_get(struct byte_ring *ring, void *bytes, size_t len);

/* The head passes `len` bytes that nobody wrote, and nothing of the ring is left. */
void byte_ring_skip(struct byte_ring *ring, uint64_t len);

/*
 * Copies `len` bytes, at most what is free, before the tail: they are the oldest then. Positions
 * that are kept elsewhere mean nothing any more.
 */
void byte_ring_unget(struct byte_ring *ring, const void *bytes, size_t len);

/* Forgets the `len` oldest bytes, at most what is used. */
void byte_ring_drop(struct byte_ring *ring, size_t len);

/*
 * Where up to `len` bytes from position `pos` on lie, in one or two pieces. The range must be
 * in the ring. Returns the number of pieces, 0 for an empty range.
 */
unsigned int byte_ring_spans(const struct byte_ring *ring, uint64_t pos, size_t len,
                             struct iovec ret_spans[2]);

/* The piece of free room behind the head: writes where it is and returns its length. */
size_t byte_ring_room(const struct byte_ring *ring, void **ret_room);

/* The head passes `len` bytes that lie behind it: byte_ring_room(), byte_ring_put_ahead(). */
void byte_ring_commit(struct byte_ring *ring, size_t len);

#endif
