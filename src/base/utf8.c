/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "base/utf8.h"

#include "base/macros.h"

unsigned int utf8_first(const char *text, uint32_t *ret_character)
{
	/* By length: what the first byte looks like, and the least that isn't overlong. */
	static const struct {
		uint8_t mask, bits;
		uint32_t min;
	} forms[] = {
	    {0x80, 0x00, 0x1},
	    {0xe0, 0xc0, 0x80},
	    {0xf0, 0xe0, 0x800},
	    {0xf8, 0xf0, 0x10000},
	};
	uint8_t first = (uint8_t)text[0];
	uint32_t character;
	unsigned int n = 0;

	while (n < ARRAY_SIZE(forms) && (first & forms[n].mask) != forms[n].bits)
		n++;
	if (n == ARRAY_SIZE(forms))
		return 0;
	character = first & (uint8_t)~forms[n].mask;
	for (unsigned int i = 1; i <= n; i++) {
		/* The terminator isn't one of these, so this doesn't go beyond it. */
		if (((uint8_t)text[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | ((uint8_t)text[i] & 0x3f);
	}
	if (character < forms[n].min || character > 0x10ffff ||
	    (character >= 0xd800 && character <= 0xdfff))
		return 0;
	*ret_character = character;
	return n + 1;
}
