/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what takes back what a guest has switched in the terminal: all of that and nothing else.
 */
#include "unit.h"

#include "backends/terminal_modes.h"

#include <stdio.h>
#include <string.h>

static struct terminal_modes modes;
static char bytes[TERMINAL_MODES_BYTES_MAX + 1];

static const char *take_back(void)
{
	bytes[terminal_modes_take_back(&modes, bytes)] = '\0';
	return bytes;
}

static const char *give_again(void)
{
	bytes[terminal_modes_give_again(&modes, bytes)] = '\0';
	return bytes;
}

static void start(const char *sent)
{
	terminal_modes_init(&modes);
	terminal_modes_sent(&modes, sent, strlen(sent));
}

#define ST "\x1b\\"

static const struct {
	const char *sent, *back;
} cases[] = {
    {"", ""},
    {"plain\r\n\ttext \xe2\x82\xac\x07", ""},
    /* Each mode by itself, and off again. */
    {"\x1b[?1000h", "\x1b[?1000l"},
    {"\x1b[?1000h\x1b[?1000l", ""},
    {"\x1b[?1000;1006;2004h", "\x1b[?1000l\x1b[?1006l\x1b[?2004l"},
    {"\x1b[?9h\x1b[?1001h\x1b[?1002h\x1b[?1003h\x1b[?1005h\x1b[?1015h\x1b[?1016h",
     "\x1b[?9l\x1b[?1001l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1015l\x1b[?1016l"},
    {"\x1b[?1004h\x1b[?2026h\x1b[?2031h\x1b[?2048h",
     "\x1b[?1004l\x1b[?2026l\x1b[?2031l\x1b[?2048l"},
    {"\x1b[?1h\x1b[?5h\x1b[?69h", "\x1b[?1l\x1b[?5l\x1b[?69l"},
    {"\x1b[?6h", "\x1b[?6l\x1b[999;1H"},
    {"\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h"},
    {"\x1b[?25h\x1b[?7h\x1b[?1000l\x1b[?1049l", ""}, /* as by default */
    {"\x1b[?31337h", "\x1b[?31337l"},
    {"\x1b[?31337l", ""},
    {"\x1b[?1048h", ""},
    {"\x1b[?2l", "\x1b<"},
    {"\x1b[4h\x1b[20h\x1b[12l\x1b[2h", "\x1b[2l\x1b[4l\x1b[12h\x1b[20l"},
    {"\x1b[4h\x1b[4l", ""},
    /* The alternate screen, by whichever. */
    {"\x1b[?1049h", "\x1b[?1049l\x1b[0m"},
    {"\x1b[?47h", "\x1b[?47l\x1b[0m"},
    {"\x1b[?1047h\x1b[?1047l", ""},
    {"\x1b[?1049h\x1b[?47l", ""},
    {"\x1b[?1049h\x1b[2;10r", "\x1b[r\x1b[?1049l\x1b[0m"},
    /* Keyboards: of each screen its own. */
    {"\x1b=", "\x1b>"},
    {"\x1b=\x1b>", ""},
    {"\x1b[>1u", "\x1b[<u"},
    {"\x1b[>1u\x1b[>5u", "\x1b[<2u"},
    {"\x1b[>1u\x1b[<u", ""},
    {"\x1b[>1u\x1b[>3u\x1b[<9u", ""},
    {"\x1b[=5u", "\x1b[=0u"},
    {"\x1b[=5u\x1b[=0u", ""},
    {"\x1b[=5;1u\x1b[=4;3u\x1b[=1;3u", ""},
    {"\x1b[>1u\x1b[=3u", "\x1b[<u"},
    {"\x1b[>1u\x1b[?1049h\x1b[>7u", "\x1b[<u\x1b[?1049l\x1b[<u\x1b[0m"},
    {"\x1b[?u\x1b[u", ""},
    {"\x1b[>4;2m", "\x1b[>4m"},
    {"\x1b[>4;2m\x1b[>4m", ""},
    {"\x1b[>4;1m\x1b[>4;0m", ""},
    {"\x1b[>4;1m\x1b[>4n", ""},
    {"\x1b[>4;1m\x1b[>m", ""},
    /* What is drawn with. */
    {"\x1b[1m", "\x1b[0m"},
    {"\x1b[1mx\x1b[m", ""},
    {"\x1b[38;5;0m", "\x1b[0m"},
    {"\x1b[1m\x1b[0m", ""},
    {"\x1b[2;10r", "\x1b"
                   "7\x1b[r\x1b"
                   "8"},
    {"\x1b[2;10r\x1b[r", ""},
    {"\x1b[?6r", ""},
    {"\x1b[5 q", "\x1b[0 q"},
    {"\x1b[5 q\x1b[0 q", ""},
    {"\x1b(0", "\x1b(B"},
    {"\x1b(0lqk\x1b(B", ""},
    {"\x0e", "\x0f"},
    {"\x0e\x0f", ""},
    {"\x1bn", "\x0f"},
    {"\x1b%@", "\x1b%G"},
    {"\x1b G", "\x1b F"},
    {"\x1b]4;1;rgb:00/00/00" ST, "\x1b]104" ST},
    {"\x1b]4;1;rgb:00/00/00" ST "\x1b]104\x07", ""},
    {"\x1b]11;#000000\x07\x1b]12;red" ST, "\x1b]111" ST "\x1b]112" ST},
    {"\x1b]11;#000000\x07\x1b]111\x07", ""},
    {"\x1b]11;?\x07\x1b]4;1;?\x07\x1b]10;?" ST, ""},
    {"\x1b]8;;http://a/" ST "a", "\x1b]8;;" ST},
    {"\x1b]8;;http://a/" ST "a\x1b]8;;" ST, ""},
    {"\x1b]0;title\x07", ""},
    /* The guest's own resets. */
    {"\x1b[?1000h\x1b[?1049h\x1b[>1u\x1b=\x1b[1m\x1b[?31337h\x1b"
     "c",
     ""},
    {"\x1b[?1h\x1b[?25l\x1b[4h\x1b=\x1b[1m\x1b[2;3r\x1b(0\x0e\x1b[!p", ""},
    {"\x1b[?1000h\x1b[!p", "\x1b[?1000l"},
    /* What is open is ended first. */
    {"\x1b", "\x18"},
    {"\x1b[?100", "\x18"},
    {"\x1b]0;ti", "\x18" ST},
    {"\x1bP+q", "\x18" ST},
    {"\x1b]0;ti\x1b", "\x18" ST},
    {"\xe2\x82", "\x18"},
    {"\x1b[?25l\x1b]0;ti", "\x18" ST "\x1b[?25h"},
    /* Forms that are the same, and those that only look so. */
    {"\x9b?1000h", "\x1b[?1000l"},
    {"\xc2\x9b?1000h", "\x1b[?1000l"},
    {"\xc3\x9b?1000h", ""},
    {"\x1b[?10\r00h", "\x1b[?1000l"},
    {"\x1b[?10\x18"
     "00h",
     ""},
    {"\x1b[?10\x1b[?1006h", "\x1b[?1006l"},
    {"\x1b[1000h", ""},
    {"\x1b[>1000h", ""},
    {"\x1b]0;\x1b[?25l", "\x1b[?25h"},
    {"\x1b]0;[?25l\x07", ""},
    {"[?25l", ""},
};

TEST(what_was_switched_is_taken_back_and_nothing_else)
{
	for (size_t i = 0; i < ROWS(cases); i++) {
		start(cases[i].sent);
		if (strcmp(take_back(), cases[i].back) != 0)
			fail_msg("case %zu: '%s' is taken back by '%s'", i, cases[i].sent + 1,
			         bytes + (bytes[0] != 0));
	}
}

TEST(in_all_splits_and_byte_by_byte_too)
{
	for (size_t i = 0; i < ROWS(cases); i++) {
		const char *sent = cases[i].sent;
		size_t len = strlen(sent);

		for (size_t split = 0; split <= len; split++) {
			terminal_modes_init(&modes);
			terminal_modes_sent(&modes, sent, split);
			terminal_modes_sent(&modes, sent + split, len - split);
			assert_string_equal(take_back(), cases[i].back);
		}
		terminal_modes_init(&modes);
		for (size_t at = 0; at < len; at++)
			terminal_modes_sent(&modes, sent + at, 1);
		assert_string_equal(take_back(), cases[i].back);
	}
}

/* Sent to the terminal, they leave nothing to take back. */
TEST(what_takes_back_takes_all_back)
{
	for (size_t i = 0; i < ROWS(cases); i++) {
		start(cases[i].sent);
		take_back();
		terminal_modes_sent(&modes, bytes, strlen(bytes));
		take_back();
		assert_string_equal(bytes, "");
	}
}

TEST(what_was_taken_back_can_be_switched_on_again)
{
	static const struct {
		const char *sent, *again;
	} rows[] = {
	    {"", ""},
	    {"\x1b[?1000h\x1b[?25l", "\x1b[?25l\x1b[?1000h"},
	    {"\x1b[>1u\x1b[?1049h\x1b[>7u\x1b[>5u", "\x1b[>1u\x1b[?1049h\x1b[>7u\x1b[>5u"},
	    {"\x1b[=5u", "\x1b[=5u"},
	    {"\x1b[>4;2m\x1b=\x1b[3 q\x1b[2;5r", "\x1b[2;5r\x1b[>4;2m\x1b=\x1b[3 q"},
	    {"\x1b[4h\x1b[12l", "\x1b[4h\x1b[12l"},
	    {"\x1b[1m\x1b]11;red\x07", ""},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		start(rows[i].sent);
		assert_string_equal(give_again(), rows[i].again);
	}
}

/* However many a guest switches, those that are known have their place and all have room. */
TEST(all_that_can_be_followed_fits)
{
	static const char others[] =
	    "\x1b[12l\x1b[?25l\x1b[?7l\x1b[?8l\x1b[?1049h\x1b[9999999;9999999r";

	terminal_modes_init(&modes);
	for (unsigned int number = 0; number < 70000; number++) {
		char text[32];

		terminal_modes_sent(&modes, text,
		                    (size_t)snprintf(text, sizeof(text),
		                                     "\x1b[?%uh\x1b[?%ul\x1b[?%uh",
		                                     2000000 + number % 97, number, number));
	}
	for (unsigned int number = 0; number < 20; number++) {
		char text[64];

		terminal_modes_sent(&modes, text,
		                    (size_t)snprintf(text, sizeof(text),
		                                     "\x1b[>%u;4294967295m\x1b[>4294967295u"
		                                     "\x1b]%u;x\x07\x1b[%uh",
		                                     number, number, number));
	}
	terminal_modes_sent(&modes, others, sizeof(others) - 1);
	assert_in_range(strlen(take_back()), 1, TERMINAL_MODES_BYTES_MAX - 1);
	assert_non_null(strstr(bytes, "\x1b[?1003l"));
	assert_non_null(strstr(bytes, "\x1b[?2048l"));
	assert_non_null(strstr(bytes, "\x1b[0m"));
	assert_in_range(strlen(give_again()), 1, TERMINAL_MODES_BYTES_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(what_was_switched_is_taken_back_and_nothing_else),
	    UNIT(in_all_splits_and_byte_by_byte_too),
	    UNIT(what_takes_back_takes_all_back),
	    UNIT(what_was_taken_back_can_be_switched_on_again),
	    UNIT(all_that_can_be_followed_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
