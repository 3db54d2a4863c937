/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "base/arena.h"

#include "base/fd.h"
#include "base/macros.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

size_t arena_round(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) & ~(page - 1);
}

int arena_init(struct arena *arena, size_t size)
{
	void *base;
	int r;

	*arena = (struct arena){.fd = memfd_create("vhost-user-console", MFD_CLOEXEC)};
	if (arena->fd < 0)
		return -errno;
	if (ftruncate(arena->fd, (off_t)size) < 0)
		goto fail;
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, arena->fd, 0);
	if (base == MAP_FAILED)
		goto fail;
	arena->base = base;
	arena->size = size;
	return 0;

fail:
	r = -errno;
	fd_close(&arena->fd);
	return r;
}

void arena_deinit(struct arena *arena)
{
	if (arena->base)
		munmap(arena->base, arena->size);
	arena->base = NULL;
	fd_close(&arena->fd);
}

void *arena_take(struct arena *arena, size_t size)
{
	void *taken = arena->base + arena->used;

	size = arena_round(size);
	assert(size <= arena->size - arena->used);
	arena->used += size;
	return taken;
}
