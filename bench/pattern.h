/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The bytes that are sent: cheap to make (one memcpy) and to check (one memcmp), and different at
 * every position, so that a byte lost, doubled, swapped or stale shows.
 *
 * Printable characters only: no telnet command, no carriage return, no sysrq. One period is a
 * prime number of bytes, so it never lines up with buffers.
 */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	PATTERN_PERIOD = 65521,
	PATTERN_PIECE = 65536, /* the most that is copied or compared in one go */
};

/* A place in the endless stream. */
struct pattern {
	uint32_t at;    /* within the period */
	uint64_t total; /* bytes since the beginning */
};

extern uint8_t pattern_bytes[PATTERN_PERIOD + PATTERN_PIECE];

void pattern_make(void);

static inline void pattern_advance(struct pattern *pattern, uint32_t size)
{
	pattern->total += size;
	pattern->at += size;
	while (pattern->at >= PATTERN_PERIOD)
		pattern->at -= PATTERN_PERIOD;
}

/* The next `size` bytes, at most PATTERN_PIECE. */
static inline void pattern_fill(struct pattern *pattern, void *bytes, uint32_t size)
{
	memcpy(bytes, pattern_bytes + pattern->at, size);
	pattern_advance(pattern, size);
}

/* Whether these are the next `size` bytes, at most PATTERN_PIECE; goes on if they are. */
static inline bool pattern_matches(struct pattern *pattern, const void *bytes, uint32_t size)
{
	if (memcmp(bytes, pattern_bytes + pattern->at, size) != 0)
		return false;
	pattern_advance(pattern, size);
	return true;
}

/* How many of `size` bytes at `bytes` are the next ones; goes on behind them. */
uint32_t pattern_match_length(struct pattern *pattern, const uint8_t *bytes, uint32_t size);

/* Goes on `gap` bytes further. */
void pattern_skip(struct pattern *pattern, uint64_t gap);

#endif
