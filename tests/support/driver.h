/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The driver's side of one split virtqueue (virtio 1.3, 2.7) in guest memory.
 *
 * The device may be in this thread, in another or in another process: indices are atomics, every
 * barrier stands where the specification wants it. The driver keeps its own books and never takes
 * from the rings what it wrote there itself, so a test may spoil them; what the device writes is
 * checked against the books (driver_harvest()) and a violation ends the test.
 *
 * Addresses are guest physical ones unless named otherwise. Indices are the free-running 16 bit
 * numbers of the specification. Not thread-safe: one thread drives one queue.
 */
#ifndef SUPPORT_DRIVER_H
#define SUPPORT_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend.h"
#include "guest_memory.h"

/* Virtio's ring feature bits. */
enum {
	DRIVER_F_INDIRECT_DESC = 28,
	DRIVER_F_EVENT_IDX = 29,
	DRIVER_F_VERSION_1 = 32,
	DRIVER_F_IN_ORDER = 35,
};

/* Descriptor flags. */
enum {
	DRIVER_DESC_NEXT = 1,
	DRIVER_DESC_WRITE = 2,
	DRIVER_DESC_INDIRECT = 4,
};

/* As it lies in guest memory, little endian (as is every machine this runs on). */
struct driver_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* One element of a chain. */
struct driver_buffer {
	uint64_t gpa;
	uint32_t len;
	bool write; /* for the device to write into */
};

/* A chain that came back. */
struct driver_used {
	uint16_t head;
	uint32_t len;    /* bytes the device says it wrote */
	uint64_t cookie; /* of driver_add() */
};

struct driver_chain; /* the driver's book of a chain */

struct driver_queue {
	struct frontend *frontend; /* for waiting only */
	struct guest_memory *memory;
	uint32_t index; /* the vring's */
	uint16_t size;

	uint64_t desc_gpa;
	uint64_t avail_gpa;
	uint64_t used_gpa;

	int kick; /* eventfds, owned; -1: none */
	int call;
	int err;

	/* What was negotiated; set before the first buffer. */
	bool event_idx;
	bool in_order; /* descriptors in ring order; the device may use a batch with one entry */

	/* Used entries must come in the order the buffers were made available (a console device
	 * does so always). On unless a test switches it off. */
	bool expect_order;

	/* A used entry's length counts bytes the device wrote, so it is at most the chain's
	 * writable bytes. On, unless a test talks to a device known to be wrong here. */
	bool expect_len;

	uint16_t avail_idx;  /* next to be made available: not yet published ones included */
	uint16_t kicked_idx; /* the published index at the last look whether a kick is wanted */
	uint16_t used_idx;   /* next used entry to harvest */
	uint32_t free_count; /* descriptors */

	/* The driver's books; nobody else's. */
	struct driver_chain *chains; /* by head */
	uint16_t *link;  /* by descriptor: the next one of its chain, or of the free list */
	uint16_t *order; /* outstanding heads, oldest first, a ring of `size` */
	uint32_t order_first;
	uint32_t order_count;
	uint16_t free_first;
	uint16_t batch_left; /* IN_ORDER: chains of a batch still to be reported */
	uint32_t batch_len;
};

/* ---- making and placing ---- */

/*
 * A queue of `size` (a power of two, 1 to 32768) descriptors, its rings allocated in region 0, its
 * eventfds made, non-blocking. `base` is the index both rings start at: 0 in a driver's life, but
 * any number must do (0xfff0 shows the wrap).
 */
void driver_queue_init(struct driver_queue *queue, struct frontend *frontend,
                       struct guest_memory *memory, uint32_t index, uint16_t size, uint16_t base);

/* Guest physical addresses of the rings, each wholly in one region, aligned to 16, 2 and 4. */
struct driver_places {
	uint64_t desc, avail, used;
};

/* The same with the rings at given places. */
void driver_queue_init_at(struct driver_queue *queue, struct frontend *frontend,
                          struct guest_memory *memory, uint32_t index, uint16_t size, uint16_t base,
                          const struct driver_places *places);

/* Closes the eventfds, frees the books; may be called twice, and on a zeroed queue. */
void driver_queue_deinit(struct driver_queue *queue);

/* The rings' sizes in bytes, event fields included. */
uint64_t driver_desc_bytes(uint16_t size);
uint64_t driver_avail_bytes(uint16_t size);
uint64_t driver_used_bytes(uint16_t size);

/* Forgets all buffers, zeroes the rings, starts again at `base`: what a driver does after a reset.
 */
void driver_queue_reset(struct driver_queue *queue, uint16_t base);

/* New eventfds with the flags (EFD_NONBLOCK or 0; close-on-exec is added); old ones are closed. */
void driver_queue_new_eventfds(struct driver_queue *queue, int flags);

/* What SET_VRING_ADDR says: frontend addresses, no log. */
struct frontend_vring_addr driver_queue_addr(const struct driver_queue *queue);

/* NUM, ADDR, BASE (the queue's used index), CALL, ERR, KICK, ENABLE(1): the plainest start. Returns
 * the first refusal, or 0. */
uint64_t driver_queue_start(struct driver_queue *queue);

/* ENABLE(0), GET_VRING_BASE: the base. */
uint16_t driver_queue_stop(struct driver_queue *queue);

/* ---- giving buffers ---- */

/*
 * Puts a chain of `count` buffers into the table and its head into the available ring, not yet
 * published. Readable buffers come first by the specification; a test may do otherwise. `cookie`
 * comes back in driver_used. False if there are fewer free descriptors than needed.
 */
bool driver_add(struct driver_queue *queue, const struct driver_buffer *buffers, uint32_t count,
                uint64_t cookie);

/* The same with one descriptor and an indirect table at table_gpa, which has room for `count`. */
bool driver_add_indirect(struct driver_queue *queue, uint64_t table_gpa,
                         const struct driver_buffer *buffers, uint32_t count, uint64_t cookie);

/* Makes everything added so far available (release: the device sees the descriptors too). */
void driver_publish(struct driver_queue *queue);

/* Whether the device wants to be kicked for what was published since the last call of this. */
bool driver_wants_kick(struct driver_queue *queue);

/* Writes the kick eventfd, wanted or not. */
void driver_kick_always(struct driver_queue *queue);

/* Publishes, and kicks if it is wanted; returns whether it did. */
bool driver_kick(struct driver_queue *queue);

/* ---- taking them back ---- */

/* How many used entries the device has published and the driver hasn't harvested. */
uint16_t driver_used_count(const struct driver_queue *queue);

/*
 * Takes the next used chain. Dies if its id isn't the head of an outstanding chain, if it is out of
 * order (see expect_order), or if the length is more than the chain's writable bytes. With
 * in_order, chains that a batch skipped come one by one too, with all their writable bytes as
 * length.
 */
bool driver_harvest(struct driver_queue *queue, struct driver_used *ret_used);

/* The next used entry as it stands, unchecked: for a device that was given hostile rings. The
 * driver's books stay as they are. */
bool driver_harvest_raw(struct driver_queue *queue, uint32_t *ret_id, uint32_t *ret_len);

/* Waits until `count` entries can be harvested. */
void driver_await_used(struct driver_queue *queue, uint16_t count);

/* Waits for one chain and takes it. */
struct driver_used driver_await(struct driver_queue *queue);

/* Chains the device still has. */
uint32_t driver_outstanding(const struct driver_queue *queue);

/* ---- calls ---- */

/*
 * Asks for calls, or for none: the flag NO_INTERRUPT, or with EVENT_IDX used_event at the next used
 * entry, or far away from it. Returns true if, after asking, used entries are there already, for
 * which no call may come.
 */
bool driver_ask_calls(struct driver_queue *queue, bool wanted);

/* EVENT_IDX: a call once the device's used index has passed `index`. */
void driver_set_used_event(struct driver_queue *queue, uint16_t index);

/* Calls since the last time; doesn't wait. */
uint64_t driver_take_calls(struct driver_queue *queue);

/* Waits for a call and takes it. */
void driver_await_call(struct driver_queue *queue);

/* Whether the err eventfd was written since the last time. */
bool driver_take_error(struct driver_queue *queue);

/* ---- the rings themselves, for hostile tests and for playing the device ---- */

struct driver_desc *driver_desc_at(const struct driver_queue *queue, uint32_t index);
/* Fields of the available ring: flags, idx, ring[slot], used_event. */
uint16_t *driver_avail_flags(const struct driver_queue *queue);
uint16_t *driver_avail_idx(const struct driver_queue *queue);
uint16_t *driver_avail_entry(const struct driver_queue *queue, uint32_t slot);
uint16_t *driver_used_event(const struct driver_queue *queue);
/* Fields of the used ring: flags, idx, ring[slot].id and .len, avail_event. */
uint16_t *driver_used_flags(const struct driver_queue *queue);
uint16_t *driver_used_idx(const struct driver_queue *queue);
uint32_t *driver_used_id(const struct driver_queue *queue, uint32_t slot);
uint32_t *driver_used_len(const struct driver_queue *queue, uint32_t slot);
uint16_t *driver_avail_event(const struct driver_queue *queue);

/* Loads and stores of these that another thread or process may see. */
uint16_t driver_load16(const uint16_t *field);        /* acquire */
void driver_store16(uint16_t *field, uint16_t value); /* release */

/* Writes a descriptor's four fields. */
void driver_write_desc(struct driver_desc *desc, uint64_t addr, uint32_t len, uint16_t flags,
                       uint16_t next);

#endif
