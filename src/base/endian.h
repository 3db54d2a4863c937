/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Little-endian integers as they lie in guest memory and on the wire.
 *
 * Each has a type of its own, so that reading one without converting it does not compile.
 */
#ifndef BASE_ENDIAN_H
#define BASE_ENDIAN_H

#include <endian.h>
#include <stdint.h>

typedef struct {
	uint16_t wire;
} le16;

typedef struct {
	uint32_t wire;
} le32;

typedef struct {
	uint64_t wire;
} le64;

static inline uint16_t le16_get(le16 v)
{
	return le16toh(v.wire);
}

static inline uint32_t le32_get(le32 v)
{
	return le32toh(v.wire);
}

static inline uint64_t le64_get(le64 v)
{
	return le64toh(v.wire);
}

static inline le16 le16_of(uint16_t v)
{
	return (le16){htole16(v)};
}

static inline le32 le32_of(uint32_t v)
{
	return (le32){htole32(v)};
}

static inline le64 le64_of(uint64_t v)
{
	return (le64){htole64(v)};
}

#endif
