/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Making a virtqueue, and the fields of its three parts in guest memory. See driver.h.
 */
#include "driver.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "driver_books.h"
#include "support.h"

_Static_assert(sizeof(struct driver_desc) == 16, "virtio 2.7.5");
_Static_assert(sizeof(_Atomic uint16_t) == sizeof(uint16_t), "fields are loaded as atomics");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rings are little endian");

/* ---- sizes, 2.7 ---- */

uint64_t driver_desc_bytes(uint16_t size)
{
	return 16ull * size;
}

uint64_t driver_avail_bytes(uint16_t size)
{
	return 6 + 2ull * size;
}

uint64_t driver_used_bytes(uint16_t size)
{
	return 6 + 8ull * size;
}

/* ---- making ---- */

static void *allocate(uint32_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		support_die("out of memory for a queue of %u", count);
	return memory;
}

void driver_queue_init_at(struct driver_queue *queue, struct frontend *frontend,
                          struct guest_memory *memory, uint32_t index, uint16_t size, uint16_t base,
                          const struct driver_places *places)
{
	if (!size || size > 32768 || size & (size - 1))
		support_die("%u isn't the size of a split queue", size);
	*queue = (struct driver_queue){
	    .frontend = frontend,
	    .memory = memory,
	    .index = index,
	    .size = size,
	    .desc_gpa = places->desc,
	    .avail_gpa = places->avail,
	    .used_gpa = places->used,
	    .kick = -1,
	    .call = -1,
	    .err = -1,
	    .expect_order = true,
	    .expect_len = true,
	    .chains = allocate(size, sizeof(struct driver_chain)),
	    .link = allocate(size, sizeof(uint16_t)),
	    .order = allocate(size, sizeof(uint16_t)),
	};
	driver_queue_new_eventfds(queue, EFD_NONBLOCK);
	driver_queue_reset(queue, base);
}

void driver_queue_init(struct driver_queue *queue, struct frontend *frontend,
                       struct guest_memory *memory, uint32_t index, uint16_t size, uint16_t base)
{
	const struct driver_places places = {
	    .desc = guest_memory_alloc(memory, 0, driver_desc_bytes(size), 16),
	    .avail = guest_memory_alloc(memory, 0, driver_avail_bytes(size), 2),
	    .used = guest_memory_alloc(memory, 0, driver_used_bytes(size), 4),
	};

	driver_queue_init_at(queue, frontend, memory, index, size, base, &places);
}

static void close_eventfds(struct driver_queue *queue)
{
	if (queue->kick >= 0)
		close(queue->kick);
	if (queue->call >= 0)
		close(queue->call);
	if (queue->err >= 0)
		close(queue->err);
	queue->kick = queue->call = queue->err = -1;
}

void driver_queue_deinit(struct driver_queue *queue)
{
	/* A zeroed queue owns nothing, its descriptors of 0 aren't its own. */
	if (queue->chains)
		close_eventfds(queue);
	free(queue->chains);
	free(queue->link);
	free(queue->order);
	*queue = (struct driver_queue){.kick = -1, .call = -1, .err = -1};
}

void driver_queue_reset(struct driver_queue *queue, uint16_t base)
{
	uint32_t i;

	memset(driver_desc_at(queue, 0), 0, driver_desc_bytes(queue->size));
	memset(driver_avail_flags(queue), 0, driver_avail_bytes(queue->size));
	memset(driver_used_flags(queue), 0, driver_used_bytes(queue->size));
	memset(queue->chains, 0, queue->size * sizeof(queue->chains[0]));
	for (i = 0; i < queue->size; i++)
		queue->link[i] = (uint16_t)(i + 1);
	queue->free_first = 0;
	queue->free_count = queue->size;
	queue->order_first = queue->order_count = 0;
	queue->batch_left = 0;
	queue->avail_idx = queue->kicked_idx = queue->used_idx = base;
	driver_store16(driver_used_idx(queue), base);
	driver_store16(driver_avail_idx(queue), base);
}

static int new_eventfd(int flags)
{
	int fd = eventfd(0, flags | EFD_CLOEXEC);

	if (fd < 0)
		support_die("eventfd: %s", strerror(errno));
	return fd;
}

void driver_queue_new_eventfds(struct driver_queue *queue, int flags)
{
	close_eventfds(queue);
	queue->kick = new_eventfd(flags);
	queue->call = new_eventfd(flags);
	queue->err = new_eventfd(flags);
}

/* ---- starting and stopping ---- */

struct frontend_vring_addr driver_queue_addr(const struct driver_queue *queue)
{
	return (struct frontend_vring_addr){
	    .index = queue->index,
	    .desc = guest_memory_to_uva(queue->memory, queue->desc_gpa),
	    .used = guest_memory_to_uva(queue->memory, queue->used_gpa),
	    .avail = guest_memory_to_uva(queue->memory, queue->avail_gpa),
	};
}

uint64_t driver_queue_start(struct driver_queue *queue)
{
	struct frontend_vring_addr addr = driver_queue_addr(queue);
	struct frontend *frontend = queue->frontend;
	uint64_t ack;

	if ((ack = frontend_set_vring_num(frontend, queue->index, queue->size)) ||
	    (ack = frontend_set_vring_addr(frontend, &addr)) ||
	    (ack = frontend_set_vring_base(frontend, queue->index, queue->used_idx)) ||
	    (ack = frontend_set_vring_call(frontend, queue->index, queue->call)) ||
	    (ack = frontend_set_vring_err(frontend, queue->index, queue->err)) ||
	    (ack = frontend_set_vring_kick(frontend, queue->index, queue->kick)) ||
	    (ack = frontend_set_vring_enable(frontend, queue->index, 1)))
		return ack;
	return 0;
}

uint16_t driver_queue_stop(struct driver_queue *queue)
{
	frontend_set_vring_enable(queue->frontend, queue->index, 0);
	return (uint16_t)frontend_get_vring_base(queue->frontend, queue->index);
}

/* ---- the rings ---- */

static void *field(const struct driver_queue *queue, uint64_t gpa, uint64_t offset, uint64_t size)
{
	return guest_memory_at(queue->memory, gpa + offset, size);
}

struct driver_desc *driver_desc_at(const struct driver_queue *queue, uint32_t index)
{
	return field(queue, queue->desc_gpa, 16ull * index, 16);
}

uint16_t *driver_avail_flags(const struct driver_queue *queue)
{
	return field(queue, queue->avail_gpa, 0, 2);
}

uint16_t *driver_avail_idx(const struct driver_queue *queue)
{
	return field(queue, queue->avail_gpa, 2, 2);
}

uint16_t *driver_avail_entry(const struct driver_queue *queue, uint32_t slot)
{
	return field(queue, queue->avail_gpa, 4 + 2ull * slot, 2);
}

uint16_t *driver_used_event(const struct driver_queue *queue)
{
	return field(queue, queue->avail_gpa, 4 + 2ull * queue->size, 2);
}

uint16_t *driver_used_flags(const struct driver_queue *queue)
{
	return field(queue, queue->used_gpa, 0, 2);
}

uint16_t *driver_used_idx(const struct driver_queue *queue)
{
	return field(queue, queue->used_gpa, 2, 2);
}

uint32_t *driver_used_id(const struct driver_queue *queue, uint32_t slot)
{
	return field(queue, queue->used_gpa, 4 + 8ull * slot, 4);
}

uint32_t *driver_used_len(const struct driver_queue *queue, uint32_t slot)
{
	return field(queue, queue->used_gpa, 8 + 8ull * slot, 4);
}

uint16_t *driver_avail_event(const struct driver_queue *queue)
{
	return field(queue, queue->used_gpa, 4 + 8ull * queue->size, 2);
}

uint16_t driver_load16(const uint16_t *from)
{
	return atomic_load_explicit((const _Atomic uint16_t *)from, memory_order_acquire);
}

/* It is written: the check doesn't know atomics. NOLINTNEXTLINE(readability-non-const-parameter) */
void driver_store16(uint16_t *to, uint16_t value)
{
	atomic_store_explicit((_Atomic uint16_t *)to, value, memory_order_release);
}

void driver_write_desc(struct driver_desc *desc, uint64_t addr, uint32_t len, uint16_t flags,
                       uint16_t next)
{
	*desc = (struct driver_desc){.addr = addr, .len = len, .flags = flags, .next = next};
}
