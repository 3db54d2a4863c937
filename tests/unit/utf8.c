/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what is UTF-8: every length at its ends, and nothing overlong, cut or out of range.
 */
#include "unit.h"

#include "base/utf8.h"

TEST(characters_of_every_length_are_read)
{
	static const struct {
		const char *text;
		unsigned int length;
		uint32_t character;
	} rows[] = {
	    {"\x01", 1, 1},
	    {"\x7f", 1, 0x7f},
	    {"ab", 1, 'a'},
	    {"\xc2\x80", 2, 0x80},
	    {"\xdf\xbf", 2, 0x7ff},
	    {"\xe0\xa0\x80", 3, 0x800},
	    {"\xed\x9f\xbf", 3, 0xd7ff},
	    {"\xee\x80\x80", 3, 0xe000},
	    {"\xef\xbf\xbf", 3, 0xffff},
	    {"\xf0\x90\x80\x80", 4, 0x10000},
	    {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uint32_t character = 0;

		assert_int_equal(utf8_first(rows[i].text, &character), rows[i].length);
		assert_int_equal(character, rows[i].character);
	}
}

TEST(what_is_no_character_is_none)
{
	static const char *const texts[] = {
	    "",                 /* the end */
	    "\x80",             /* what only follows */
	    "\xc2",             /* cut */
	    "\xe0\xa0",         /* cut */
	    "\xf0\x90\x80",     /* cut */
	    "\xc2z",            /* followed by something else */
	    "\xc0\x80",         /* overlong */
	    "\xc1\xbf",         /* overlong */
	    "\xe0\x9f\xbf",     /* overlong */
	    "\xf0\x8f\xbf\xbf", /* overlong */
	    "\xed\xa0\x80",     /* a surrogate */
	    "\xed\xbf\xbf",     /* a surrogate */
	    "\xf4\x90\x80\x80", /* beyond the last */
	    "\xf8\x88\x80\x80\x80",
	    "\xff",
	};

	for (size_t i = 0; i < ROWS(texts); i++) {
		uint32_t character = 42;

		if (utf8_first(texts[i], &character) != 0)
			fail_msg("row %zu is one", i);
		assert_int_equal(character, 42);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(characters_of_every_length_are_read),
	    UNIT(what_is_no_character_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
