/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A virtqueue under test on one side, the driver of tests/support on the other, guest memory
 * between them.
 */
#ifndef VIRTQ_FIXTURE_H
#define VIRTQ_FIXTURE_H

#include "driver.h"
#include "gmem_fixture.h"
#include "virtqueue/virtq.h"

#define F_INDIRECT_DESC (1ull << 28)
#define F_EVENT_IDX     (1ull << 29)

struct virtq_fixture {
	struct guest_memory memory;
	struct gmem gmem;
	struct driver_queue driver;
	struct virtq vq;
	struct virtq_state state;
	uint64_t data; /* guest address of 64 KiB for buffers */
};

static inline struct virtq_addresses virtq_fixture_addresses(const struct virtq_fixture *f)
{
	struct frontend_vring_addr addr = driver_queue_addr(&f->driver);

	return (struct virtq_addresses){.desc = addr.desc, .avail = addr.avail, .used = addr.used};
}

/* The ring's indices begin at `base` on both sides. */
static inline void virtq_fixture_init(struct virtq_fixture *f, uint16_t size, uint16_t base,
                                      uint64_t features)
{
	struct virtq_addresses addresses;

	guest_memory_init(&f->memory);
	gmem_fixture_map_all(&f->gmem, &f->memory);
	driver_queue_init(&f->driver, NULL, &f->memory, 0, size, base);
	f->driver.event_idx = features & F_EVENT_IDX;
	f->data = guest_memory_alloc(&f->memory, 0, 0x10000, 16);
	f->state = (struct virtq_state){.next_avail = base};
	virtq_init(&f->vq, &f->gmem, &f->state);
	virtq_set_features(&f->vq, features);
	addresses = virtq_fixture_addresses(f);
	if (!virtq_start(&f->vq, &addresses, size, false))
		support_die("the queue can't be started");
}

static inline void virtq_fixture_deinit(struct virtq_fixture *f)
{
	driver_queue_deinit(&f->driver);
	gmem_deinit(&f->gmem);
	guest_memory_deinit(&f->memory);
}

/* Adds a chain of one buffer. */
static inline void virtq_fixture_add(struct virtq_fixture *f, uint32_t len, bool write)
{
	struct driver_buffer buffer = {.gpa = f->data, .len = len, .write = write};

	if (!driver_add(&f->driver, &buffer, 1, 0))
		support_die("no free descriptor");
}

#endif
