/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtqueue/virtq.h"

#include "base/macros.h"

#include <stdatomic.h>
#include <string.h>

#define F_INDIRECT_DESC 28
#define F_EVENT_IDX     29

/*
 * The 16-bit fields that both sides use at once. Each is read or written whole, in one access.
 */
static uint16_t load_relaxed(const le16 *field)
{
	return le16_get((le16){__atomic_load_n(&field->wire, __ATOMIC_RELAXED)});
}

static uint16_t load_acquire(const le16 *field)
{
	return le16_get((le16){__atomic_load_n(&field->wire, __ATOMIC_ACQUIRE)});
}

static void store_relaxed(le16 *field, uint16_t value)
{
	__atomic_store_n(&field->wire, le16_of(value).wire, __ATOMIC_RELAXED);
}

static void store_release(le16 *field, uint16_t value)
{
	__atomic_store_n(&field->wire, le16_of(value).wire, __ATOMIC_RELEASE);
}

static le16 *used_event(const struct virtq *vq)
{
	return &vq->avail->ring[vq->size];
}

static le16 *avail_event(const struct virtq *vq)
{
	return (le16 *)(void *)&vq->used->ring[vq->size];
}

void virtq_init(struct virtq *vq, struct gmem *mem, struct virtq_state *state)
{
	*vq = (struct virtq){.mem = mem, .state = state};
}

bool virtq_aligned(const struct virtq_addresses *addresses)
{
	return addresses->desc % 16 == 0 && addresses->avail % 2 == 0 && addresses->used % 4 == 0;
}

void virtq_set_features(struct virtq *vq, uint64_t features)
{
	vq->indirect = features >> F_INDIRECT_DESC & 1;
	vq->event_idx = features >> F_EVENT_IDX & 1;
}

void virtq_set_logs(struct virtq *vq, struct dirty_log *buffers, struct dirty_log *used,
                    uint64_t used_addr)
{
	vq->buffer_log = buffers;
	vq->used_log = used;
	vq->used_log_addr = used_addr;
}

/* Part of the used ring was written. */
static void log_used(const struct virtq *vq, const void *part, size_t len)
{
	if (vq->used_log)
		dirty_log_mark(vq->used_log,
		               vq->used_log_addr +
		                   (uint64_t)((const uint8_t *)part - (const uint8_t *)vq->used),
		               len);
}

/* What the chain gave out last is written by now. */
static void log_buffer(const struct virtq *vq, struct virtq_chain *chain)
{
	if (chain->unlogged_len == 0)
		return;
	dirty_log_mark(vq->buffer_log, chain->unlogged, chain->unlogged_len);
	chain->unlogged_len = 0;
}

void virtq_stop(struct virtq *vq)
{
	vq->desc = NULL;
	vq->avail = NULL;
	vq->used = NULL;
}

/*
 * Every chain that was taken is used, in order, so both indices are the same wherever the queue
 * stopped in good order. A frontend that lost its backend and only knows what is available (Cloud
 * Hypervisor without IN_ORDER) would have all of that passed over: receive buffers for ever.
 * Where the used index makes no sense, the frontend's word stands.
 */
static void resume_in_order(struct virtq *vq)
{
	uint16_t used = vq->state->next_used;

	if ((uint16_t)(load_relaxed(&vq->avail->idx) - used) <= vq->size)
		vq->state->next_avail = used;
}

/* The event fields, without which a driver may lay out the next part, count if they are used. */
void virtq_places(const struct virtq *vq, const struct virtq_addresses *addresses, uint16_t size,
                  struct gmem_place ret_places[VIRTQ_PARTS])
{
	uint64_t n = size, events = vq->event_idx ? 0 : sizeof(le16);

	ret_places[0] = gmem_user_place(vq->mem, addresses->desc, n * sizeof(struct virtq_desc));
	ret_places[1] =
	    gmem_user_place(vq->mem, addresses->avail,
	                    sizeof(struct virtq_avail) + (n + 1) * sizeof(le16) - events);
	ret_places[2] = gmem_user_place(vq->mem, addresses->used, virtq_used_size(size) - events);
}

bool virtq_start(struct virtq *vq, const struct virtq_addresses *addresses, uint16_t size,
                 bool resume)
{
	uint64_t n = size;
	/* The event fields behind the rings belong to them, negotiated or not. */
	uint64_t avail_len = sizeof(struct virtq_avail) + (n + 1) * sizeof(le16);
	void *desc = gmem_user(vq->mem, addresses->desc, n * sizeof(struct virtq_desc));
	void *avail = gmem_user(vq->mem, addresses->avail, avail_len);
	void *used = gmem_user(vq->mem, addresses->used, virtq_used_size(size));

	virtq_stop(vq);
	if (!desc || !avail || !used)
		return false;
	/* A region may lie here otherwise aligned than in the frontend. */
	if (!virtq_aligned(
		&(struct virtq_addresses){(uintptr_t)desc, (uintptr_t)avail, (uintptr_t)used}))
		return false;
	vq->desc = desc;
	vq->avail = avail;
	vq->used = used;
	vq->size = size;
	if (resume)
		return true;
	vq->state->next_used = load_relaxed(&vq->used->idx);
	resume_in_order(vq);
	vq->published = vq->state->next_used;
	vq->call_decided = false;
	vq->kicks_off = false;
	vq->broken = NULL;
	return true;
}

static enum virtq_result breaks(struct virtq *vq, const char *why)
{
	vq->broken = why;
	vq->broken_outside = false;
	return VIRTQ_BROKEN;
}

/* Nothing, or not all of it, is at that guest address. */
static enum virtq_result breaks_at(struct virtq *vq, const char *why, uint64_t addr)
{
	vq->broken = why;
	vq->broken_outside = true;
	vq->broken_addr = addr;
	return VIRTQ_BROKEN;
}

/* Copies one descriptor out of its table, whole, once. */
static enum virtq_result read_desc(struct virtq *vq, const struct virtq_chain *chain,
                                   struct virtq_desc *ret_desc)
{
	uint64_t offset = (uint64_t)chain->next * sizeof(*ret_desc);
	const void *at;

	if (chain->indirect)
		at = gmem_guest(vq->mem, chain->table + offset, sizeof(*ret_desc));
	else
		at = &vq->desc[chain->next];
	if (!at)
		return breaks_at(vq, "an indirect table that isn't in guest memory",
		                 chain->table + offset);
	memcpy(ret_desc, at, sizeof(*ret_desc));
	/* The copy is what is judged: the compiler must not look at guest memory again for it. */
	atomic_signal_fence(memory_order_seq_cst);
	return VIRTQ_OK;
}

/*
 * Whether a buffer or a table is in guest memory; if not, `why` is what breaks the queue. Each
 * region that it lies in is as much work as a descriptor, here and where the bytes are copied, and
 * counts as one: there may be GMEM_REGIONS_MAX of a byte each. The descriptor itself has been
 * counted. A queue that stops in the middle of a chain is worked to its end whatever the budget, so
 * the chain has a bound of its own.
 */
static enum virtq_result find(struct virtq *vq, struct virtq_chain *chain, uint64_t addr,
                              uint32_t len, const char *why)
{
	unsigned int parts = gmem_covers(vq->mem, addr, len);

	if (parts == 0 && len > 0)
		return breaks_at(vq, why, addr);
	if (parts <= 1)
		return VIRTQ_OK;
	chain->budget -= MIN(chain->budget, parts - 1);
	chain->borders += parts - 1;
	if (chain->borders > VIRTQ_BORDERS_MAX)
		return breaks(vq, "a chain that crosses memory regions again and again");
	return VIRTQ_OK;
}

/* A descriptor that refers to a table of its own (virtio 1.3, 2.7.5.3). */
static enum virtq_result enter_indirect(struct virtq *vq, struct virtq_chain *chain,
                                        const struct virtq_desc *desc)
{
	uint32_t len = le32_get(desc->len);
	uint16_t flags = le16_get(desc->flags);

	if (!vq->indirect || chain->indirect)
		return breaks(vq, "an indirect descriptor where none may be");
	if (flags & VIRTQ_DESC_F_NEXT)
		return breaks(vq, "an indirect descriptor with a next one");
	if (len == 0 || len % sizeof(*desc) != 0 || len / sizeof(*desc) > VIRTQ_SIZE_MAX)
		return breaks(vq, "an indirect table of a wrong length");
	chain->table = le64_get(desc->addr);
	if (find(vq, chain, chain->table, len, "an indirect table that isn't in guest memory") !=
	    VIRTQ_OK)
		return VIRTQ_BROKEN;
	chain->table_size = (uint16_t)(len / sizeof(*desc));
	chain->indirect = true;
	chain->next = 0;
	chain->seen = 0;
	return VIRTQ_OK;
}

/* Makes the chain's next descriptor the one at hand. VIRTQ_END if there is none. */
static enum virtq_result next_desc(struct virtq *vq, struct virtq_chain *chain)
{
	struct virtq_desc desc;
	uint16_t flags;

	do {
		if (!chain->more)
			return VIRTQ_END;
		if (chain->budget == 0)
			return VIRTQ_LATER;
		chain->budget--;
		if (chain->next >= chain->table_size)
			return breaks(vq, "a descriptor behind the end of its table");
		if (chain->seen++ >= chain->table_size)
			return breaks(vq, "a descriptor chain that loops");
		if (read_desc(vq, chain, &desc) != VIRTQ_OK)
			return VIRTQ_BROKEN;
		flags = le16_get(desc.flags);
		if ((flags & VIRTQ_DESC_F_INDIRECT) && enter_indirect(vq, chain, &desc) != VIRTQ_OK)
			return VIRTQ_BROKEN;
	} while (flags & VIRTQ_DESC_F_INDIRECT);

	if (find(vq, chain, le64_get(desc.addr), le32_get(desc.len),
	         "a buffer that isn't in guest memory") != VIRTQ_OK)
		return VIRTQ_BROKEN;
	chain->more = flags & VIRTQ_DESC_F_NEXT;
	chain->next = le16_get(desc.next);
	chain->writable = flags & VIRTQ_DESC_F_WRITE;
	chain->addr = le64_get(desc.addr);
	chain->len = le32_get(desc.len);
	return VIRTQ_OK;
}

uint16_t virtq_available(const struct virtq *vq)
{
	/* Not looked into: there is nothing to pair with. */
	uint16_t waiting = (uint16_t)(load_relaxed(&vq->avail->idx) - vq->state->next_avail);

	return !vq->broken && waiting <= vq->size ? waiting : 0;
}

enum virtq_result virtq_peek(struct virtq *vq, struct virtq_chain *ret_chain)
{
	uint16_t at = vq->state->next_avail;
	uint16_t head, waiting;

	if (vq->broken)
		return VIRTQ_BROKEN;
	/* Pairs with the driver's release of idx: the entries and descriptors are seen after it. */
	waiting = (uint16_t)(load_acquire(&vq->avail->idx) - at);
	if (waiting == 0)
		return VIRTQ_END;
	if (waiting > vq->size)
		return breaks(vq, "an available index that jumped");
	head = load_relaxed(&vq->avail->ring[at & (vq->size - 1)]);
	if (head >= vq->size)
		return breaks(vq, "an available entry behind the end of the table");
	*ret_chain = (struct virtq_chain){
	    .head = head,
	    .next = head,
	    .more = true,
	    .budget = UINT32_MAX,
	    .table_size = vq->size,
	};
	return VIRTQ_OK;
}

enum virtq_result virtq_chain_ready(struct virtq *vq, struct virtq_chain *chain, bool writable)
{
	enum virtq_result r = vq->broken ? VIRTQ_BROKEN : VIRTQ_OK;

	log_buffer(vq, chain);
	while (r == VIRTQ_OK && (chain->len == 0 || chain->writable != writable))
		r = next_desc(vq, chain);
	return r;
}

enum virtq_result virtq_chain_next(struct virtq *vq, struct virtq_chain *chain, size_t len,
                                   void **ret_bytes, size_t *ret_len)
{
	assert(len > 0 && chain->len > 0);
	log_buffer(vq, chain);
	*ret_bytes = gmem_guest_part(vq->mem, chain->addr, MIN(len, chain->len), ret_len);
	if (!*ret_bytes)
		return breaks_at(vq, "a buffer that isn't in guest memory", chain->addr);
	if (chain->writable) {
		chain->written += (uint32_t)*ret_len;
		chain->unlogged = chain->addr;
		chain->unlogged_len = vq->buffer_log ? (uint32_t)*ret_len : 0;
	}
	chain->addr += *ret_len;
	chain->len -= (uint32_t)*ret_len;
	return VIRTQ_OK;
}

uint64_t virtq_chain_rest(struct virtq *vq, struct virtq_chain *chain, bool writable,
                          uint64_t limit)
{
	struct virtq_chain ahead = *chain;
	uint64_t rest = 0;

	while (rest < limit && virtq_chain_ready(vq, &ahead, writable) == VIRTQ_OK) {
		rest += ahead.len;
		ahead.len = 0;
	}
	chain->budget = ahead.budget;
	return MIN(rest, limit);
}

void virtq_push(struct virtq *vq, struct virtq_chain *chain)
{
	struct virtq_used_elem *elem = &vq->used->ring[vq->state->next_used & (vq->size - 1)];

	log_buffer(vq, chain);
	vq->state->next_used++;
	vq->state->next_avail++;
	*elem = (struct virtq_used_elem){
	    .id = le32_of(chain->head),
	    .len = le32_of(chain->written),
	};
	log_used(vq, elem, sizeof(*elem));
}

bool virtq_publish(struct virtq *vq)
{
	uint16_t new = vq->state->next_used;
	uint16_t old = vq->call_looked;
	bool decided = vq->call_decided;

	if (new == vq->published)
		return false;
	/* Pairs with the driver's acquire of idx: it sees the entries and the bytes behind them. */
	store_release(&vq->used->idx, new);
	vq->published = new;
	log_used(vq, &vq->used->idx, sizeof(vq->used->idx));
	/*
	 * The store of idx comes before the load of what the driver wants. Pairs with the fence
	 * between the driver's enabling of calls and its next look at idx.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	if (!vq->event_idx)
		return !(load_relaxed(&vq->avail->flags) & VIRTQ_AVAIL_F_NO_INTERRUPT);
	vq->call_looked = new;
	vq->call_decided = true;
	return !decided ||
	       (uint16_t)(new - load_relaxed(used_event(vq)) - 1) < (uint16_t)(new - old);
}

/* Tells the driver, in the used ring, when it is to kick. */
static void ask(struct virtq *vq, le16 *field, uint16_t value)
{
	store_relaxed(field, value);
	log_used(vq, field, sizeof(*field));
}

void virtq_kicks_off(struct virtq *vq)
{
	if (vq->kicks_off)
		return;
	vq->kicks_off = true;
	/* With event_idx, the event that was asked for last has passed: nothing to do. */
	if (!vq->event_idx)
		ask(vq, &vq->used->flags, VIRTQ_USED_F_NO_NOTIFY);
}

bool virtq_kicks_on(struct virtq *vq)
{
	vq->kicks_off = false;
	if (vq->event_idx)
		ask(vq, avail_event(vq), vq->state->next_avail);
	else
		ask(vq, &vq->used->flags, 0);
	/*
	 * The store of what we want comes before the load of idx. Pairs with the fence between the
	 * driver's store of idx and its look at what we want.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	return load_relaxed(&vq->avail->idx) != vq->state->next_avail;
}
