/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guest memory out of memfds. See guest_memory.h.
 */
#include "guest_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

#define MARGIN 0x10000ull /* the first and last bytes of a region, kept from the allocator */
#define MIB    0x100000ull

void guest_memory_init(struct guest_memory *memory)
{
	*memory = (struct guest_memory){0};
	guest_memory_add(memory, 0x480000000, 0x3a0001000000, 0x3000, 16 * MIB, -1);
	guest_memory_add(memory, 0x481000000, 0x390007300000, 0x11000, 4 * MIB, -1);
	guest_memory_add(memory, 0x10000000, 0x3b0000005000, 24 * MIB, 1 * MIB, 0);
}

static void region_close(struct guest_region *region)
{
	munmap(region->mapped, region->mapped_size);
	close(region->fd);
}

void guest_memory_deinit(struct guest_memory *memory)
{
	unsigned int i;

	for (i = 0; i < memory->count; i++)
		region_close(&memory->region[i]);
	*memory = (struct guest_memory){0};
}

static int region_file(struct guest_memory *memory, int share)
{
	int fd;

	if (share < 0)
		fd = memfd_create("guest-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	else if ((unsigned int)share < memory->count)
		fd = fcntl(memory->region[share].fd, F_DUPFD_CLOEXEC, 0);
	else
		support_die("guest memory has no region %d to share a file with", share);
	if (fd < 0)
		support_die("file for a memory region: %s", strerror(errno));
	return fd;
}

static void file_grow(int fd, uint64_t size)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		support_die("fstat of a memory region: %s", strerror(errno));
	if ((uint64_t)status.st_size >= size)
		return;
	if (ftruncate(fd, (off_t)size) < 0)
		support_die("memory region of %llu bytes: %s", (unsigned long long)size,
		            strerror(errno));
}

static void region_map(struct guest_region *region)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t slack = region->offset % page;

	region->mapped_size = (size_t)(region->size + slack);
	region->mapped = mmap(NULL, region->mapped_size, PROT_READ | PROT_WRITE, MAP_SHARED,
	                      region->fd, (off_t)(region->offset - slack));
	if (region->mapped == MAP_FAILED)
		support_die("mapping a memory region: %s", strerror(errno));
	region->map = (uint8_t *)region->mapped + slack;
}

unsigned int guest_memory_add(struct guest_memory *memory, uint64_t gpa, uint64_t uva,
                              uint64_t offset, uint64_t size, int share)
{
	struct guest_region *region = &memory->region[memory->count];

	if (memory->count == GUEST_MEMORY_REGIONS)
		support_die("guest memory has all its %d regions", GUEST_MEMORY_REGIONS);
	*region = (struct guest_region){
	    .gpa = gpa, .uva = uva, .offset = offset, .size = size, .next = MARGIN};
	region->fd = region_file(memory, share);
	file_grow(region->fd, offset + size);
	region_map(region);
	return memory->count++;
}

void guest_memory_remove(struct guest_memory *memory, unsigned int index)
{
	if (index >= memory->count)
		support_die("guest memory has no region %u to remove", index);
	region_close(&memory->region[index]);
	memory->count--;
	memmove(&memory->region[index], &memory->region[index + 1],
	        (memory->count - index) * sizeof(memory->region[0]));
}

static bool range_holds(uint64_t start, uint64_t size, uint64_t address, uint64_t length)
{
	return address >= start && address - start <= size && length <= size - (address - start);
}

struct guest_region *guest_memory_find(struct guest_memory *memory, uint64_t gpa, uint64_t length)
{
	struct guest_region *region;
	unsigned int i;

	for (i = 0; i < memory->count; i++) {
		region = &memory->region[i];
		if (range_holds(region->gpa, region->size, gpa, length ? length : 1))
			return region;
	}
	return NULL;
}

void *guest_memory_at(struct guest_memory *memory, uint64_t gpa, uint64_t length)
{
	struct guest_region *region = guest_memory_find(memory, gpa, length);

	if (!region)
		support_die("guest address %#llx + %llu isn't in one region",
		            (unsigned long long)gpa, (unsigned long long)length);
	return region->map + (gpa - region->gpa);
}

uint64_t guest_memory_to_uva(struct guest_memory *memory, uint64_t gpa)
{
	struct guest_region *region = guest_memory_find(memory, gpa, 1);

	if (!region)
		support_die("guest address %#llx is in no region", (unsigned long long)gpa);
	return region->uva + (gpa - region->gpa);
}

uint64_t guest_memory_to_gpa(struct guest_memory *memory, uint64_t uva)
{
	struct guest_region *region;
	unsigned int i;

	for (i = 0; i < memory->count; i++) {
		region = &memory->region[i];
		if (range_holds(region->uva, region->size, uva, 1))
			return region->gpa + (uva - region->uva);
	}
	support_die("frontend address %#llx is in no region", (unsigned long long)uva);
}

uint64_t guest_memory_alloc(struct guest_memory *memory, unsigned int index, uint64_t size,
                            uint64_t align)
{
	struct guest_region *region = &memory->region[index];
	uint64_t gpa;

	if (index >= memory->count)
		support_die("guest memory has no region %u to allocate in", index);
	/* An odd multiple of align: who needs more alignment than was asked for shall find out. */
	gpa = (region->gpa + region->next + align - 1) & ~(align - 1);
	if (!(gpa & align))
		gpa += align;
	if (region->size < 2 * MARGIN ||
	    !range_holds(region->gpa, region->size - MARGIN, gpa, size))
		support_die("guest memory region %u has no %llu bytes left", index,
		            (unsigned long long)size);
	region->next = gpa + size - region->gpa;
	memset(region->map + (gpa - region->gpa), 0, size);
	return gpa;
}

void guest_memory_rewind(struct guest_memory *memory)
{
	unsigned int i;

	for (i = 0; i < memory->count; i++)
		memory->region[i].next = MARGIN;
}

uint64_t guest_memory_first_bytes(struct guest_memory *memory, unsigned int region)
{
	return memory->region[region].gpa;
}

uint64_t guest_memory_last_bytes(struct guest_memory *memory, unsigned int region, uint64_t size)
{
	return memory->region[region].gpa + memory->region[region].size - size;
}

uint64_t guest_memory_crossing(struct guest_memory *memory, uint64_t size)
{
	return guest_memory_last_bytes(memory, 0, size / 2);
}

uint64_t guest_memory_outside(struct guest_memory *memory, uint64_t size)
{
	uint64_t highest = 0;
	unsigned int i;

	for (i = 0; i < memory->count; i++)
		if (memory->region[i].gpa + memory->region[i].size > highest)
			highest = memory->region[i].gpa + memory->region[i].size;
	if (highest + 2 * MIB + size < highest)
		support_die("no guest address of %llu bytes is outside", (unsigned long long)size);
	return highest + 2 * MIB;
}

/* How many of `size` bytes at gpa lie in the region that holds the first of them. */
static size_t contiguous(struct guest_memory *memory, uint64_t gpa, size_t size)
{
	struct guest_region *region = guest_memory_find(memory, gpa, 1);
	uint64_t left;

	if (!region)
		support_die("guest address %#llx is in no region", (unsigned long long)gpa);
	left = region->size - (gpa - region->gpa);
	return left < size ? (size_t)left : size;
}

void guest_memory_write(struct guest_memory *memory, uint64_t gpa, const void *bytes, size_t size)
{
	const uint8_t *from = bytes;
	size_t part;

	for (; size; size -= part, gpa += part, from += part) {
		part = contiguous(memory, gpa, size);
		memcpy(guest_memory_at(memory, gpa, part), from, part);
	}
}

void guest_memory_read(struct guest_memory *memory, uint64_t gpa, void *ret_bytes, size_t size)
{
	uint8_t *to = ret_bytes;
	size_t part;

	for (; size; size -= part, gpa += part, to += part) {
		part = contiguous(memory, gpa, size);
		memcpy(to, guest_memory_at(memory, gpa, part), part);
	}
}
