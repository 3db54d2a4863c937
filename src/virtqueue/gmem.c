/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtqueue/gmem.h"

#include "base/checked.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/macros.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Puts other memory in the place of the mapping that `addr` is in, if any. */
static bool on_fault(struct fault_guard *guard, const void *at)
{
	struct gmem *gmem = container_of(guard, struct gmem, guard);
	const uint8_t *addr = at;

	for (unsigned int i = 0; i < gmem->count; i++) {
		const struct gmem_mapping *mapping = &gmem->mappings[i];
		const uint8_t *start = mapping->map;

		if (addr < start || addr >= start + mapping->map_len)
			continue;
		gmem->lost = true;
		/* All of it, as a file of huge pages can't be replaced in part. */
		return fault_replace(mapping->map, mapping->map_len);
	}
	return false;
}

static void set_count(struct gmem *gmem, unsigned int count)
{
	gmem->count = count;
	gmem->last_hit = 0;
	if (count > 0) {
		fault_guard_enter(&gmem->guard);
		return;
	}
	fault_guard_leave(&gmem->guard);
	gmem->lost = false;
}

void gmem_init(struct gmem *gmem, struct fd_discarder *discarder)
{
	gmem->count = gmem->last_hit = gmem->room = 0;
	gmem->mappings = NULL;
	gmem->discarder = discarder;
	gmem->lost = false;
	fault_guard_init(&gmem->guard, on_fault);
}

static void unmap_at(struct gmem *gmem, unsigned int i)
{
	struct gmem_mapping *mapping = &gmem->mappings[i];

	fd_discard_map(gmem->discarder, mapping->map, mapping->map_len);
	fd_discard(gmem->discarder, &mapping->fd);
	memmove(mapping, mapping + 1, (gmem->count - i - 1) * sizeof(*mapping));
	set_count(gmem, gmem->count - 1);
}

void gmem_deinit(struct gmem *gmem)
{
	while (gmem->count > 0)
		unmap_at(gmem, gmem->count - 1);
	free(gmem->mappings);
	gmem->mappings = NULL;
	gmem->room = 0;
}

void gmem_replace(struct gmem *to, struct gmem *from)
{
	gmem_deinit(to);
	to->mappings = from->mappings;
	to->room = from->room;
	set_count(to, from->count);
	to->lost = from->lost;
	set_count(from, 0);
	from->mappings = NULL;
	from->room = 0;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b ? b - a < a_size : a - b < b_size;
}

static bool overlaps_any(const struct gmem *gmem, const struct gmem_region *r)
{
	for (unsigned int i = 0; i < gmem->count; i++) {
		const struct gmem_region *other = &gmem->mappings[i].region;

		if (overlap(r->guest_addr, r->size, other->guest_addr, other->size) ||
		    overlap(r->user_addr, r->size, other->user_addr, other->size))
			return true;
	}
	return false;
}

uint64_t gmem_mapped(const struct gmem *gmem)
{
	uint64_t mapped = 0;

	for (unsigned int i = 0; i < gmem->count; i++)
		mapped += gmem->mappings[i].map_len;
	return mapped;
}

static bool fits(const struct gmem *gmem, uint64_t len, uint64_t most)
{
	uint64_t mapped = gmem_mapped(gmem);

	return mapped <= most && len <= most - mapped;
}

enum gmem_verdict gmem_judge(const struct gmem *gmem, const struct gmem_region *region, int fd,
                             const struct gmem_limits *limits)
{
	uint64_t end, file_size, page, start, len;

	if (gmem->count >= limits->regions)
		return GMEM_NO_SLOT;
	if (region->size == 0)
		return GMEM_EMPTY;
	if (!checked_add(region->guest_addr, region->size, &end) ||
	    !checked_add(region->user_addr, region->size, &end) ||
	    !checked_add(region->mmap_offset, region->size, &end))
		return GMEM_OVERFLOW;
	if (overlaps_any(gmem, region))
		return GMEM_OVERLAP;
	if (fd_inspect_memory(fd, &file_size, &page) < 0)
		return GMEM_FILE_KIND;
	if (end > file_size)
		return GMEM_FILE_SHORT;
	if (!checked_pages(region->mmap_offset, region->size, page, &start, &len) ||
	    !fits(gmem, len, limits->mapped))
		return GMEM_TOO_MUCH;
	return GMEM_OK;
}

const char *gmem_verdict_text(enum gmem_verdict verdict)
{
	static const char *const texts[] = {
	    [GMEM_OK] = "fine",
	    [GMEM_NO_SLOT] = "too many memory regions",
	    [GMEM_EMPTY] = "an empty memory region",
	    [GMEM_OVERFLOW] = "a memory region that passes the end of the address space",
	    [GMEM_OVERLAP] = "overlapping memory regions",
	    [GMEM_FILE_KIND] = "a memory region whose file isn't memfd, tmpfs or hugetlbfs",
	    [GMEM_FILE_SHORT] = "a memory region behind the end of its file",
	    [GMEM_TOO_MUCH] = "more memory than a guest may have mapped here",
	};

	return texts[verdict];
}

/* The index of the first region that lies at guest address `addr` or behind it; else the count. */
static unsigned int find_from(const struct gmem *gmem, uint64_t addr)
{
	unsigned int first = 0, end = gmem->count;

	while (first < end) {
		unsigned int middle = (first + end) / 2;
		const struct gmem_region *region = &gmem->mappings[middle].region;

		if (addr <= region->guest_addr + (region->size - 1))
			end = middle;
		else
			first = middle + 1;
	}
	return first;
}

/* Makes room for one mapping more. Returns 0 or -ENOMEM. */
static int make_room(struct gmem *gmem)
{
	unsigned int room = MAX(gmem->room, 1u) * 2;
	struct gmem_mapping *mappings;

	if (gmem->count < gmem->room)
		return 0;
	mappings = reallocarray(gmem->mappings, room, sizeof(*mappings));
	if (!mappings)
		return -ENOMEM;
	gmem->mappings = mappings;
	gmem->room = room;
	return 0;
}

int gmem_map(struct gmem *gmem, const struct gmem_region *region, int fd)
{
	uint64_t file_size, page, start, len;
	struct gmem_mapping *mapping;
	struct stat st;
	void *map;
	int r;

	r = make_room(gmem);
	if (r == 0)
		r = fd_inspect_memory(fd, &file_size, &page);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	/* A file of huge pages is mapped in whole ones; what is beyond the region isn't used. */
	if (!checked_pages(region->mmap_offset, region->size, page, &start, &len))
		return -EINVAL;
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)start);
	if (map == MAP_FAILED)
		return -errno;
	/* A core of ours isn't the place for a guest's memory. */
	madvise(map, len, MADV_DONTDUMP);
	/*
	 * Where a page is missing, a touch of ours adds 4 KiB to the file, and not 2 MiB that have
	 * to be found and cleared first. What is huge already stays so in the file.
	 */
	madvise(map, len, MADV_NOHUGEPAGE);
	mapping = &gmem->mappings[find_from(gmem, region->guest_addr)];
	memmove(mapping + 1, mapping,
	        (size_t)(&gmem->mappings[gmem->count] - mapping) * sizeof(*mapping));
	*mapping = (struct gmem_mapping){
	    .region = *region,
	    .fd = fd,
	    .map = map,
	    .map_len = len,
	    .host = (uint8_t *)map + (region->mmap_offset - start),
	    .device = st.st_dev,
	    .inode = st.st_ino,
	};
	set_count(gmem, gmem->count + 1);
	return 0;
}

/* The index of the region, or gmem->count. */
static unsigned int find_region(const struct gmem *gmem, const struct gmem_region *region)
{
	for (unsigned int i = 0; i < gmem->count; i++) {
		const struct gmem_region *other = &gmem->mappings[i].region;

		if (other->guest_addr == region->guest_addr && other->size == region->size &&
		    other->user_addr == region->user_addr)
			return i;
	}
	return gmem->count;
}

bool gmem_has(const struct gmem *gmem, const struct gmem_region *region)
{
	return find_region(gmem, region) < gmem->count;
}

void gmem_unmap(struct gmem *gmem, const struct gmem_region *region)
{
	assert(gmem_has(gmem, region));
	unmap_at(gmem, find_region(gmem, region));
}

static bool mapping_holds(const struct gmem_mapping *mapping, uint64_t addr)
{
	return addr - mapping->region.guest_addr < mapping->region.size;
}

static struct gmem_mapping *find_guest(struct gmem *gmem, uint64_t addr)
{
	unsigned int i;

	if (gmem->last_hit < gmem->count && mapping_holds(&gmem->mappings[gmem->last_hit], addr))
		return &gmem->mappings[gmem->last_hit];
	i = find_from(gmem, addr);
	if (i == gmem->count || !mapping_holds(&gmem->mappings[i], addr))
		return NULL;
	gmem->last_hit = i;
	return &gmem->mappings[i];
}

void *gmem_guest_part(struct gmem *gmem, uint64_t addr, uint64_t len, size_t *ret_len)
{
	struct gmem_mapping *mapping = find_guest(gmem, addr);
	uint64_t offset;

	if (!mapping || len == 0)
		return NULL;
	offset = addr - mapping->region.guest_addr;
	*ret_len = (size_t)MIN(len, mapping->region.size - offset);
	return mapping->host + offset;
}

void *gmem_guest(struct gmem *gmem, uint64_t addr, uint64_t len)
{
	size_t together;
	void *start = gmem_guest_part(gmem, addr, len, &together);

	return start && together == len ? start : NULL;
}

unsigned int gmem_covers(struct gmem *gmem, uint64_t addr, uint64_t len)
{
	unsigned int parts = 0;
	size_t together;

	for (; len > 0; addr += together, len -= together, parts++) {
		if (!gmem_guest_part(gmem, addr, len, &together))
			return 0;
	}
	return parts;
}

/* The mapping that has all of a range of the frontend's addresses, or NULL. */
static const struct gmem_mapping *find_user(const struct gmem *gmem, uint64_t addr, uint64_t len)
{
	for (unsigned int i = 0; len > 0 && i < gmem->count; i++) {
		const struct gmem_mapping *mapping = &gmem->mappings[i];

		if (checked_range(addr - mapping->region.user_addr, len, mapping->region.size))
			return mapping;
	}
	return NULL;
}

void *gmem_user(struct gmem *gmem, uint64_t addr, uint64_t len)
{
	const struct gmem_mapping *mapping = find_user(gmem, addr, len);

	return mapping ? mapping->host + (addr - mapping->region.user_addr) : NULL;
}

struct gmem_place gmem_user_place(const struct gmem *gmem, uint64_t addr, uint64_t len)
{
	const struct gmem_mapping *mapping = find_user(gmem, addr, len);

	if (!mapping)
		return (struct gmem_place){0};
	return (struct gmem_place){
	    .device = mapping->device,
	    .inode = mapping->inode,
	    .offset = mapping->region.mmap_offset + (addr - mapping->region.user_addr),
	    .len = len,
	};
}

bool gmem_places_overlap(const struct gmem_place *a, const struct gmem_place *b)
{
	return a->len > 0 && b->len > 0 && a->device == b->device && a->inode == b->inode &&
	       overlap(a->offset, a->len, b->offset, b->len);
}
