/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "pattern.h"

uint8_t pattern_bytes[PATTERN_PERIOD + PATTERN_PIECE];

void pattern_make(void)
{
	uint32_t state = 2463534242u;
	uint32_t i;

	for (i = 0; i < PATTERN_PERIOD; i++) {
		state ^= state << 13; /* Marsaglia's xorshift */
		state ^= state >> 17;
		state ^= state << 5;
		pattern_bytes[i] = (uint8_t)(' ' + state % 95);
	}
	for (i = PATTERN_PERIOD; i < sizeof(pattern_bytes); i++)
		pattern_bytes[i] = pattern_bytes[i - PATTERN_PERIOD];
}

uint32_t pattern_match_length(struct pattern *pattern, const uint8_t *bytes, uint32_t size)
{
	uint32_t n;

	for (n = 0; n < size && bytes[n] == pattern_bytes[pattern->at]; n++)
		pattern_advance(pattern, 1);
	return n;
}

void pattern_skip(struct pattern *pattern, uint64_t gap)
{
	pattern->total += gap;
	pattern->at = (uint32_t)((pattern->at + gap) % PATTERN_PERIOD);
}
