/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device's side of a split virtqueue (virtio 1.3, 2.7).
 *
 * Everything that lies in guest memory is read once into a local, judged, and only then used: the
 * driver may change it at any time. What the judgement finds wrong breaks the queue: nothing is
 * taken from it any more until it is started again, and nothing else is harmed.
 *
 * Must not see the loop or a socket.
 */
#ifndef VIRTQUEUE_VIRTQ_H
#define VIRTQUEUE_VIRTQ_H

#include "base/endian.h"
#include "virtqueue/dirty_log.h"
#include "virtqueue/gmem.h"

#include <stdbool.h>
#include <stdint.h>

/* Ring layouts: virtio 1.3, 2.7.5, 2.7.6, 2.7.8. */
struct virtq_desc {
	le64 addr;
	le32 len;
	le16 flags;
	le16 next;
};
_Static_assert(sizeof(struct virtq_desc) == 16, "virtio 1.3, 2.7.5");

struct virtq_avail {
	le16 flags;
	le16 idx;
	le16 ring[]; /* then le16 used_event */
};

struct virtq_used_elem {
	le32 id;
	le32 len;
};
_Static_assert(sizeof(struct virtq_used_elem) == 8, "virtio 1.3, 2.7.8");

struct virtq_used {
	le16 flags;
	le16 idx;
	struct virtq_used_elem ring[]; /* then le16 avail_event */
};

#define VIRTQ_DESC_F_NEXT          1u
#define VIRTQ_DESC_F_WRITE         2u
#define VIRTQ_DESC_F_INDIRECT      4u
#define VIRTQ_AVAIL_F_NO_INTERRUPT 1u
#define VIRTQ_USED_F_NO_NOTIFY     1u

/*
 * How often the buffers of a chain may cross from one memory region to the next: many times as
 * often as buffers do that don't overlap.
 */
#define VIRTQ_BORDERS_MAX 4096u

/* The largest ring (virtio 1.3, 2.7: the queue size is at most 32768). */
#define VIRTQ_SIZE_MAX 32768u

/* What outlives the process. */
struct virtq_state {
	uint16_t next_avail; /* the entry of the available ring to be taken next, free running */
	uint16_t next_used;  /* the entry of the used ring to be written next, free running */
};

/* Where the parts of the ring are, in the frontend's address space (SET_VRING_ADDR). */
struct virtq_addresses {
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
};

struct virtq {
	struct gmem *mem;
	struct virtq_state *state;
	struct virtq_desc *desc; /* NULL: not started */
	struct virtq_avail *avail;
	struct virtq_used *used;
	uint16_t size;
	uint16_t published;   /* the used index the driver sees */
	uint16_t call_looked; /* the used index when it was last decided whether to call */
	bool call_decided;    /* call_looked is valid */
	bool indirect;        /* VIRTIO_F_INDIRECT_DESC was negotiated */
	bool event_idx;       /* VIRTIO_F_EVENT_IDX was negotiated */
	bool kicks_off;
	struct dirty_log *buffer_log; /* of what is written to buffers, or NULL */
	struct dirty_log *used_log;   /* of what is written to the used ring, or NULL */
	uint64_t used_log_addr;       /* where that has the ring's first byte */
	const char *broken;           /* what broke it, or NULL */
	bool broken_outside;          /* that something isn't in guest memory, */
	uint64_t broken_addr;         /* which should be here */
};

/* The chain that is next in the available ring and is being worked through. */
struct virtq_chain {
	uint16_t head;
	uint16_t next;       /* the descriptor that comes next, if `more` */
	uint16_t table_size; /* of the table it is in */
	bool more;
	bool indirect;    /* the table is the indirect one at `table` */
	uint64_t table;   /* guest physical address */
	uint32_t budget;  /* how many more descriptors, or parts of them, may be looked at now */
	uint32_t seen;    /* descriptors so far, which bounds a loop */
	uint32_t borders; /* between regions that its buffers cross, at most VIRTQ_BORDERS_MAX */
	uint64_t addr;    /* the rest of the descriptor at hand */
	uint32_t len;
	bool writable;
	uint32_t written;
	uint64_t unlogged; /* the piece given out last, which is logged once it is written */
	uint32_t unlogged_len;
};

void virtq_init(struct virtq *vq, struct gmem *mem, struct virtq_state *state);

/* Whether the addresses have the alignment that virtio 1.3, 2.7 asks for. */
bool virtq_aligned(const struct virtq_addresses *addresses);

/*
 * Which bytes the three parts of a ring of `size` entries are: descriptors, available, used. Where
 * two parts, of one ring or of two, have bytes in common, what the device writes to the used ring
 * could make chains available, for ever.
 */
#define VIRTQ_PARTS 3
void virtq_places(const struct virtq *vq, const struct virtq_addresses *addresses, uint16_t size,
                  struct gmem_place ret_places[VIRTQ_PARTS]);

/*
 * Starts, or finds again after the memory has changed, a ring of `size` entries: a power of two
 * up to VIRTQ_SIZE_MAX. With `resume` both indices go on as they were, otherwise the used one is
 * read from the ring, and it is from there on that chains are taken. False, the queue being stopped
 * then, if a part of it isn't wholly in one region or isn't aligned there.
 */
bool virtq_start(struct virtq *vq, const struct virtq_addresses *addresses, uint16_t size,
                 bool resume);
void virtq_stop(struct virtq *vq);
void virtq_set_features(struct virtq *vq, uint64_t features);

/*
 * Where the pages that are written are marked, or NULL: those of buffers, and those of the used
 * ring, as if its first byte were at guest address `used_addr`.
 */
void virtq_set_logs(struct virtq *vq, struct dirty_log *buffers, struct dirty_log *used,
                    uint64_t used_addr);

/* How many bytes the used ring of `size` entries has, its event field included. */
static inline uint64_t virtq_used_size(uint32_t size)
{
	return sizeof(struct virtq_used) + size * (uint64_t)sizeof(struct virtq_used_elem) +
	       sizeof(le16);
}

static inline bool virtq_started(const struct virtq *vq)
{
	return vq->desc != NULL;
}

/* How many chains are available, the one at hand included; 0 of a queue that is broken. */
uint16_t virtq_available(const struct virtq *vq);

/* Whether a chain is available: a quick look, without any promise. The queue is started. */
static inline bool virtq_waiting(const struct virtq *vq)
{
	le16 idx;

	__atomic_load(&vq->avail->idx, &idx, __ATOMIC_RELAXED);
	return le16_get(idx) != vq->state->next_avail;
}

enum virtq_result {
	VIRTQ_OK,
	VIRTQ_END,   /* there is nothing more */
	VIRTQ_LATER, /* the chain's budget is used up */
	VIRTQ_BROKEN /* see vq->broken */
};

/*
 * Looks at the next available chain, whose budget has no bound yet. It stays the next one until it
 * is pushed: so whoever starts the queue again before that finds it once more.
 */
enum virtq_result virtq_peek(struct virtq *vq, struct virtq_chain *ret_chain);

/*
 * Whether the chain has more bytes of one direction (`writable`: by the device), VIRTQ_END if
 * not. Descriptors of the other direction are passed over: a driver must not use them in a
 * console's queues (virtio 1.3, 5.3.6.1.1).
 */
enum virtq_result virtq_chain_ready(struct virtq *vq, struct virtq_chain *chain, bool writable);

/*
 * The next bytes of a chain that is ready: as many as lie together, at most `len` > 0. They are
 * passed, and count as written if the device may write them: which it does before it asks the chain
 * for anything more, or pushes it.
 */
enum virtq_result virtq_chain_next(struct virtq *vq, struct virtq_chain *chain, size_t len,
                                   void **ret_bytes, size_t *ret_len);

/*
 * How many bytes of one direction are left in the chain, at most `limit`, as far as its budget
 * goes, which becomes less. A chain that turns out broken breaks the queue.
 */
uint64_t virtq_chain_rest(struct virtq *vq, struct virtq_chain *chain, bool writable,
                          uint64_t limit);

/* Gives the chain back, with chain->written as its length. The driver sees it when published. */
void virtq_push(struct virtq *vq, struct virtq_chain *chain);

/*
 * Lets the driver see all that was pushed. True if it wants to be called for it (virtio 1.3,
 * 2.7.7.2).
 */
bool virtq_publish(struct virtq *vq);

/* Asks the driver not to kick (virtio 1.3, 2.7.10); only a hint. */
void virtq_kicks_off(struct virtq *vq);

/* Asks for a kick at the next chain. True if one is there already, which may come without. */
bool virtq_kicks_on(struct virtq *vq);

#endif
