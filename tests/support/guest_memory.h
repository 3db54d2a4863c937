/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The memory of a guest that isn't there: regions of memfds, as a VMM would share them.
 *
 * Promise: for each region the guest physical address, the frontend's ("user") address, the offset
 * in the file and the address of our own mapping are four different numbers, and no address of one
 * kind is also a valid address of another kind. Code that mixes two of them up can't pass.
 *
 * The layout of guest_memory_init():
 *	region 0: 16 MiB; its end in guest physical memory is the start of region 1
 *	region 1: 4 MiB; in the frontend's address space it lies before region 0, not next to it
 *	region 2: 1 MiB, at the lowest guest physical address; in the same file as region 0, as
 *		 QEMU shares RAM below and above 4 GiB
 * So the regions are in no order in either address space.
 */
#ifndef SUPPORT_GUEST_MEMORY_H
#define SUPPORT_GUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_MEMORY_REGIONS 16

struct guest_region {
	uint64_t gpa;    /* guest physical address */
	uint64_t uva;    /* the frontend's address: what rings are named by, never dereferenced */
	uint64_t offset; /* in the file */
	uint64_t size;
	int fd;
	uint8_t *map;  /* ours */
	uint64_t next; /* the allocator's next free offset in the region */
	void *mapped;  /* what munmap() takes */
	size_t mapped_size;
};

struct guest_memory {
	struct guest_region region[GUEST_MEMORY_REGIONS];
	unsigned int count;
};

/* The three regions above. Owns the files and mappings till guest_memory_deinit(). */
void guest_memory_init(struct guest_memory *memory);

/* Closes and unmaps; may be called twice, and on zeroed memory. */
void guest_memory_deinit(struct guest_memory *memory);

/*
 * Adds a region and returns its index. `share` is -1 for a file of its own, whose end is the
 * region's end, or the index of a region whose file it shares (the file grows where needed). The
 * memfd allows sealing. `offset` needn't be a multiple of the page size. Starts from zeroed memory
 * as well as after guest_memory_init().
 */
unsigned int guest_memory_add(struct guest_memory *memory, uint64_t gpa, uint64_t uva,
                              uint64_t offset, uint64_t size, int share);

/* Takes region `index` away: closes, unmaps and moves later ones down by one. */
void guest_memory_remove(struct guest_memory *memory, unsigned int index);

/* The region that holds all of [gpa, gpa + length), or NULL. */
struct guest_region *guest_memory_find(struct guest_memory *memory, uint64_t gpa, uint64_t length);

/* Our pointer to [gpa, gpa + length); dies unless it lies in one region. */
void *guest_memory_at(struct guest_memory *memory, uint64_t gpa, uint64_t length);

/* The frontend's address of a guest physical address, and back; die outside of every region. */
uint64_t guest_memory_to_uva(struct guest_memory *memory, uint64_t gpa);
uint64_t guest_memory_to_gpa(struct guest_memory *memory, uint64_t uva);

/*
 * The guest physical address of `size` new bytes in a region, zeroed, aligned to `align` (a power
 * of two) and to no higher power. Never touches the first and last 64 KiB of a region, which belong
 * to the four functions below. Nothing is freed but all at once, by guest_memory_rewind().
 */
uint64_t guest_memory_alloc(struct guest_memory *memory, unsigned int region, uint64_t size,
                            uint64_t align);
void guest_memory_rewind(struct guest_memory *memory);

/* Addresses for tests of the bounds; `size` is at most 64 KiB. They aren't allocated: a second call
 * returns the same bytes. */
uint64_t guest_memory_first_bytes(struct guest_memory *memory, unsigned int region);
uint64_t guest_memory_last_bytes(struct guest_memory *memory, unsigned int region, uint64_t size);
/* Half in region 0, half in region 1: adjacent in guest physical memory, nowhere else. */
uint64_t guest_memory_crossing(struct guest_memory *memory, uint64_t size);
/* An address in no region; [it, it + size) touches none. */
uint64_t guest_memory_outside(struct guest_memory *memory, uint64_t size);

/* Copies that may cross adjacent regions; die outside. */
void guest_memory_write(struct guest_memory *memory, uint64_t gpa, const void *bytes, size_t size);
void guest_memory_read(struct guest_memory *memory, uint64_t gpa, void *ret_bytes, size_t size);

#endif
