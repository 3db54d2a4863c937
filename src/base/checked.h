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

#endif
