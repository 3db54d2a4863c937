/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The one place for what must outlive the process: a memfd, mapped once.
 *
 * Byte rings and the guests' records lie in it, without pointers, at offsets that follow from
 * the configuration alone; a later process that inherits the memfd finds them again. Its pages
 * cost nothing until they are touched.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena {
	int fd;
	uint8_t *base;
	size_t size, used;
};

/* Makes an arena of `size` zero bytes. Returns 0 or -errno. */
int arena_init(struct arena *arena, size_t size);
void arena_deinit(struct arena *arena);

/* The room that arena_take() uses up for `size` bytes: whole pages. */
size_t arena_round(size_t size);

/* The next `size` bytes, page aligned. The arena was made large enough: the caller's promise. */
void *arena_take(struct arena *arena, size_t size);

#endif
