/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "base/byte_ring.h"

#include "base/macros.h"

#include <string.h>

void byte_ring_init(struct byte_ring *ring, struct byte_ring_state *state, void *data, size_t size)
{
	assert(size > 0 && (size & (size - 1)) == 0);
	assert(state->head - state->tail <= size);
	*ring = (struct byte_ring){.state = state, .data = data, .size = size};
}

static size_t offset_of(const struct byte_ring *ring, uint64_t pos)
{
	return (size_t)(pos & (ring->size - 1));
}

static unsigned int spans_of(const struct byte_ring *ring, uint64_t pos, size_t len,
                             struct iovec spans[2])
{
	size_t offset = offset_of(ring, pos);
	size_t first = MIN(len, ring->size - offset);

	spans[0] = (struct iovec){ring->data + offset, first};
	spans[1] = (struct iovec){ring->data, len - first};
	return len == 0 ? 0 : len == first ? 1 : 2;
}

/* Releases the bytes behind it to whoever finds the ring after this process. */
static void move_head(struct byte_ring *ring, uint64_t head)
{
	__atomic_store_n(&ring->state->head, head, __ATOMIC_RELEASE);
}

void byte_ring_put_ahead(struct byte_ring *ring, size_t ahead, const void *bytes, size_t len)
{
	struct iovec spans[2];

	assert(ahead <= byte_ring_free(ring) && len <= byte_ring_free(ring) - ahead);
	spans_of(ring, ring->state->head + ahead, len, spans);
	memcpy(spans[0].iov_base, bytes, spans[0].iov_len);
	memcpy(spans[1].iov_base, (const uint8_t *)bytes + spans[0].iov_len, spans[1].iov_len);
}

void byte_ring_put(struct byte_ring *ring, const void *bytes, size_t len)
{
	byte_ring_put_ahead(ring, 0, bytes, len);
	move_head(ring, ring->state->head + len);
}

void byte_ring_overwrite(struct byte_ring *ring, const void *bytes, size_t len)
{
	size_t room = byte_ring_free(ring);

	if (len > room)
		byte_ring_drop(ring, len - room);
	byte_ring_put(ring, bytes, len);
}

void byte_ring_skip(struct byte_ring *ring, uint64_t len)
{
	move_head(ring, ring->state->head + len);
	ring->state->tail = ring->state->head;
}

size_t byte_ring_get(struct byte_ring *ring, void *bytes, size_t len)
{
	struct iovec spans[2];

	len = MIN(len, byte_ring_used(ring));
	spans_of(ring, ring->state->tail, len, spans);
	memcpy(bytes, spans[0].iov_base, spans[0].iov_len);
	memcpy((uint8_t *)bytes + spans[0].iov_len, spans[1].iov_base, spans[1].iov_len);
	ring->state->tail += len;
	return len;
}

void byte_ring_unget(struct byte_ring *ring, const void *bytes, size_t len)
{
	struct iovec spans[2];

	assert(len <= byte_ring_free(ring));
	/* All positions may grow by the ring's size: the bytes stay where they are. */
	if (ring->state->tail < len) {
		move_head(ring, ring->state->head + ring->size);
		ring->state->tail += ring->size;
	}
	spans_of(ring, ring->state->tail - len, len, spans);
	memcpy(spans[0].iov_base, bytes, spans[0].iov_len);
	memcpy(spans[1].iov_base, (const uint8_t *)bytes + spans[0].iov_len, spans[1].iov_len);
	ring->state->tail -= len;
}

void byte_ring_drop(struct byte_ring *ring, size_t len)
{
	assert(len <= byte_ring_used(ring));
	ring->state->tail += len;
}

unsigned int byte_ring_spans(const struct byte_ring *ring, uint64_t pos, size_t len,
                             struct iovec ret_spans[2])
{
	assert(pos >= ring->state->tail && pos <= ring->state->head);
	return spans_of(ring, pos, (size_t)MIN(len, ring->state->head - pos), ret_spans);
}

size_t byte_ring_room(const struct byte_ring *ring, void **ret_room)
{
	struct iovec spans[2];

	spans_of(ring, ring->state->head, byte_ring_free(ring), spans);
	*ret_room = spans[0].iov_base;
	return spans[0].iov_len;
}

void byte_ring_commit(struct byte_ring *ring, size_t len)
{
	assert(len <= byte_ring_free(ring));
	move_head(ring, ring->state->head + len);
}
