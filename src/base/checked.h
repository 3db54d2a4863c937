/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Arithmetic on a peer's numbers, which says whether it overflowed.
 */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

/* False, with *ret_sum unspecified, if a + b doesn't fit. */
static inline bool checked_add(uint64_t a, uint64_t b, uint64_t *ret_sum)
{
	return !__builtin_add_overflow(a, b, ret_sum);
}

/* True if [start, start + len) lies in [0, size). Never overflows. */
static inline bool checked_range(uint64_t start, uint64_t len, uint64_t size)
{
	return start <= size && len <= size - start;
}

/*
 * The whole pages that the `len` > 0 bytes at `start` touch, of `page` bytes, a power of two each.
 * False, with nothing specified, if they end behind 2^64.
 */
static inline bool checked_pages(uint64_t start, uint64_t len, uint64_t page, uint64_t *ret_start,
                                 uint64_t *ret_len)
{
	uint64_t end;

	if (!checked_add(start, len, &end) || !checked_add(end, page - 1, &end))
		return false;
	*ret_start = start & ~(page - 1);
	*ret_len = (end & ~(page - 1)) - *ret_start;
	return true;
}

#endif
