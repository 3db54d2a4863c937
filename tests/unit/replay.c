/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what a late terminal is sent of what was there before it: no question, all else, from a
 * place where a terminal can begin.
 */
#include "unit.h"

#include "backends/replay.h"
#include "base/macros.h"

#include <stdio.h>
#include <string.h>

#define SIZE 16384u

static struct byte_ring_state ring_state;
static struct byte_ring ring;
static uint8_t memory[SIZE];
static char sent[2 * SIZE];

/* With the first byte at `pos`. */
static void start(const char *text, size_t len, uint64_t pos)
{
	ring_state = (struct byte_ring_state){pos, pos};
	byte_ring_init(&ring, &ring_state, memory, SIZE);
	byte_ring_put(&ring, text, len);
}

/* All from `pos` on in pieces of up to `piece`, of a terminal that came at `until`. */
static size_t replay_all(uint64_t pos, uint64_t until, size_t piece)
{
	struct replay replay;
	size_t len = 0;

	replay_init(&replay, pos, until);
	while (pos < byte_ring_head(&ring)) {
		struct iovec spans[2];
		uint64_t before = pos;
		size_t n = replay_next(&replay, &ring, &pos, piece);
		unsigned int count = byte_ring_spans(&ring, pos, n, spans);

		assert_in_range(n, 0, piece);
		for (unsigned int i = 0; i < count; i++) {
			memcpy(sent + len, spans[i].iov_base, spans[i].iov_len);
			len += spans[i].iov_len;
			pos += spans[i].iov_len;
		}
		assert_true(pos > before);
	}
	return len;
}

#define ST "\x1b\\"

/* Questions of all kinds. */
static const char *const questions[] = {
    "\x05",
    "\x1b\x05[5n",
    "\x1bZ",
    "\x9a",
    "\xc2\x9a",
    "\x1b[5n",
    "\x1b[6n",
    "\x9b"
    "6n",
    "\xc2\x9b"
    "6n",
    "\x1b[?6n",
    "\x1b[?15n",
    "\x1b[?996n",
    "\x1b[c",
    "\x1b[0c",
    "\x1b[>c",
    "\x1b[>0c",
    "\x1b[=c",
    "\x1b[?1049$p",
    "\x1b[4$p",
    "\x1b[>q",
    "\x1b[>0q",
    "\x1b[x",
    "\x1b[1x",
    "\x1b[?u",
    "\x1b[14t",
    "\x1b[15t",
    "\x1b[16t",
    "\x1b[18t",
    "\x1b[19t",
    "\x1b[20t",
    "\x1b[21t",
    "\x1b[14;2t",
    "\x1b[11t",
    "\x1b[13t",
    "\x1b[1$w",
    "\x1b[1;2;1;1;2;2*y",
    "\x1b['|",
    "\x1b[?1;1;0S",
    "\x1b[?4m",
    "\x1b[\r6n",
    "\x1bP$qm" ST,
    "\x1bP+q544e" ST,
    "\x90$qm\x9c",
    "\x1bP+Q" ST,
    "\x1b]4;1;?" ST,
    "\x1b]4;0;?;1;?;2;?\x07",
    "\x1b]10;?\x07",
    "\x1b]11;?" ST,
    "\x1b]12;?\x07",
    "\x1b]11;?\x9c",
    "\x9d"
    "11;?\x07",
    "\x1b]11;?\xc2\x9c",
    "\x1b]19;?\x07",
    "\x1b]52;c;?\x07",
    "\x1b]52;;?" ST,
    "\x1b]50;?\x07",
    "\x1b]5;0;?\x07",
    "\x1b]21;foreground=?;cursor=?" ST,
    "\x1b]22;?__current__" ST,
    "\x1b]99;i=1:p=?;" ST,
    "\x1b]60" ST,
    "\x1b]1337;ReportCellSize" ST,
    "\x1b]1337;ReportVariable=x" ST,
    "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA" ST,
    "\x1b_Ga=q;AAAA" ST,
};

/* What looks like a question and isn't, or is what a terminal shows. */
static const char *const others[] = {
    "text\r\n",
    "\xc3\x9b"
    "6n",
    "\xe2\x82\xac",
    "\xf0\x9f\x98\x80",
    "\x1b[m",
    "\x1b[6m",
    "\x1b[0n",
    "\x1b[3n",
    "\x1b[>4n",
    "\x1b[?25h",
    "\x1b[?1c",
    "\x1b[!p",
    "\x1b[2 q",
    "\x1b[22;0t",
    "\x1b[23;0t",
    "\x1b[8;24;80t",
    "\x1b[u",
    "\x1b[>1u",
    "\x1b[<u",
    "\x1b[=1u",
    "\x1b[2x",
    "\x1b[5S",
    "\x1b[>4;2m",
    "\x1b"
    "7",
    "\x1b(B",
    "\x1b#8",
    "\x1b[?1049h",
    "\x1b[6\x18n",
    "\x1b]0;what? [6n ;?\x07",
    "\x1b]2;?" ST,
    "\x1b]8;;http://x/?a=?" ST,
    "\x1b]10;red\x07",
    "\x1b]4;1;rgb:00/00/00" ST,
    "\x1b]52;c;AAAA" ST,
    "\x1b]104\x07",
    "\x1b]1337;SetMark" ST,
    "\x1b]7;file:///a?;?" ST,
    "\x1bPq#0;2;0;0;0~~$-" ST,
    "\x1b_Ga=T,f=24,t=d;qq==a=q" ST,
    "\x1b_x,a=q;" ST,
    "\x1b^pm?" ST,
    "\x1bX?\x05" ST,
    "\x1b]0;\x05\x07",
    "[6n",
    "6n",
    "\x07",
    "Z",
};

static void expect(const char *what, size_t len, const char *wanted, size_t wanted_len)
{
	if (len != wanted_len || memcmp(sent, wanted, len) != 0)
		fail_msg("'%s': it is sent '%.*s'", what + 1, (int)len, sent);
}

static void expect_left_out(const char *question, size_t piece, uint64_t pos)
{
	char text[256];
	size_t len = (size_t)snprintf(text, sizeof(text), "ab%scd", question);

	start(text, len, pos);
	expect(question, replay_all(pos, pos + len, piece), "abcd", 4);
}

TEST(questions_are_left_out_in_all_splits)
{
	for (size_t i = 0; i < ROWS(questions); i++) {
		for (size_t piece = 1; piece < 64; piece++)
			expect_left_out(questions[i], piece, 0);
	}
}

TEST(questions_are_left_out_across_the_rings_end)
{
	for (size_t i = 0; i < ROWS(questions); i++) {
		for (uint64_t before = 0; before < 64; before++)
			expect_left_out(questions[i], SIZE, 5 * SIZE - before);
	}
}

TEST(nothing_else_is_changed)
{
	for (size_t i = 0; i < ROWS(others); i++) {
		size_t len = strlen(others[i]);

		for (size_t piece = 1; piece < 64; piece++) {
			start(others[i], len, SIZE - 3);
			expect(others[i], replay_all(SIZE - 3, SIZE - 3 + len, piece), others[i],
			       len);
		}
	}
}

TEST(all_of_them_together)
{
	static char text[SIZE], wanted[SIZE];
	size_t len = 0, wanted_len = 0;

	for (size_t i = 0; i < MAX(ROWS(questions), ROWS(others)); i++) {
		const char *other = i < ROWS(others) ? others[i] : "";
		const char *question = i < ROWS(questions) ? questions[i] : "";

		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", other, question);
		wanted_len +=
		    (size_t)snprintf(wanted + wanted_len, sizeof(wanted) - wanted_len, "%s", other);
	}
	for (size_t piece = 1; piece < 200; piece++) {
		start(text, len, 0);
		expect("all", replay_all(0, len, piece), wanted, wanted_len);
	}
}

/* The terminal came at each place: what isn't complete there is live, and so is all behind it. */
TEST(live_output_is_never_touched)
{
	for (size_t i = 0; i < ROWS(questions); i++) {
		char text[256], wanted[256];
		size_t question = strlen(questions[i]);
		size_t len =
		    (size_t)snprintf(text, sizeof(text), "%s%s", questions[i], questions[i]);

		for (size_t until = 0; until <= len; until++) {
			size_t left_out = until == len ? len : until >= question ? question : 0;

			snprintf(wanted, sizeof(wanted), "%s", text + left_out);
			start(text, len, 0);
			expect(questions[i], replay_all(0, until, SIZE), wanted, len - left_out);
		}
	}
}

/* What comes behind a question completes nothing that came before it. */
TEST(no_question_comes_of_leaving_one_out)
{
	static const struct {
		const char *text, *wanted;
	} rows[] = {
	    {"ab\x1b[6\x1b[5nncd", "abncd"},
	    {"ab\x1b[6\x1b[1\x1b[5nncd", "abncd"},
	    {"ab\x1b]4;1;?\x1b[5n\x07xy", "ab\x07xy"},
	    {"ab\x1b\x1b[5nZcd", "abZcd"},
	    /* U+009B is CSI. */
	    {"ab\xc2\x1b[5n\x9b?6ncd", "abcd"},
	    {"ab\xc2\x05\x9b?6ncd", "abcd"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t len = strlen(rows[i].text);

		for (size_t piece = 1; piece < 64; piece++) {
			start(rows[i].text, len, 0);
			expect(rows[i].text, replay_all(0, len, piece), rows[i].wanted,
			       strlen(rows[i].wanted));
		}
	}
}

TEST(what_never_ends_is_looked_at_in_turns)
{
	static char text[SIZE];
	struct replay replay;
	uint64_t pos = 0;

	for (size_t i = 0; i < SIZE; i++)
		text[i] = i % 2 ? '[' : '\x1b';
	start(text, SIZE, 0);
	replay_init(&replay, 0, SIZE);
	assert_int_equal(replay_next(&replay, &ring, &pos, 100), 100);
	assert_in_range(replay.go_on_at, 100, 100 + REPLAY_QUESTION_MAX);
	assert_int_equal(replay_all(0, SIZE, 100), SIZE);
}

TEST(a_sequence_without_end_is_no_question)
{
	static const char begin[] = "\x1b]4;?", end[] = "\x07\x1b[6nabcd";
	static char text[SIZE];
	size_t len = SIZE - 1;

	memset(text, ';', sizeof(text));
	memcpy(text, begin, sizeof(begin) - 1);
	memcpy(text + SIZE - sizeof(end), end, sizeof(end) - 1);
	start(text, len, 0);
	for (size_t piece = 1000; piece < 20000; piece += 7000)
		assert_int_equal(replay_all(0, len, piece), len - 4);
}

TEST(one_that_was_overtaken_goes_on)
{
	struct replay replay;
	uint64_t pos = 8;

	start("\x1b[6nabc\x1b[6ndef\x1b[5n", 18, 0);
	replay_init(&replay, 0, 18);
	/* Within a question: its rest is text. */
	assert_int_equal(replay_next(&replay, &ring, &pos, 100), 6);
	pos = 11;
	assert_int_equal(replay_next(&replay, &ring, &pos, 100), 3);
	assert_int_equal(pos, 11);
	pos = 14;
	assert_int_equal(replay_next(&replay, &ring, &pos, 100), 100);
	assert_int_equal(pos, 18);
}

/* Where it begins with these bytes. */
static const struct {
	const char *bytes;
	size_t begins;
} beginnings[] = {
    {"", 0},
    {"rest of a line\r\nline\r\n", 16},
    {"\nline", 1},
    {"\x82\xac\r\n$ ", 4},
    {"8;5;1mred\x1b[m\r\n$ ", 14},
    /* A newline in a string isn't the beginning of a line. */
    {"a title\nof two\x1b\\line\r\nnext", 22},
    {"#0~~\n#1~~\n" ST "$ ", 12},
    {"x\x1b]0;t\nu\x07v\nw", 11},
    /* No line: a sequence, or what is behind a string or a carriage return. */
    {"5;8Hab\x1b[1mcd", 6},
    {"\x1b[1mcd", 0},
    {"title\x07prompt", 6},
    {"10%\r20%\r30%", 4},
    {"title" ST "prompt", 7},
    /* Nothing of these: behind what can be a rest. */
    {"\x82\xac"
     "abc",
     2},
    {"\x80\x80\x80"
     "abc",
     3},
    {"\xe2\x82\xac"
     "abc",
     0},
    {"38;5;1mabc", 7},
    {"[38;5;1mabc", 8},
    {"mabc", 1},
    {"?25habc", 4},
};

TEST(it_begins_where_a_terminal_can)
{
	for (size_t i = 0; i < ROWS(beginnings); i++) {
		for (uint64_t pos = SIZE - 32; pos <= SIZE; pos++) {
			start(beginnings[i].bytes, strlen(beginnings[i].bytes), pos);
			if (replay_find_beginning(&ring, pos) != pos + beginnings[i].begins)
				fail_msg(
				    "row %zu: at %llu", i,
				    (unsigned long long)(replay_find_beginning(&ring, pos) - pos));
		}
	}
}

/* Every cut of a text with all kinds of sequences begins outside of them. */
TEST(no_cut_begins_within_something)
{
	static const char text[] =
	    "\xe2\x82\xac\x1b[38;5;1mred\x1b[0m\x1b]0;title\x07$ \xc3\xa9t\xc3\xa9 "
	    "\x1bP1;2|x" ST "\x1b(B.\x1b[2 q";
	size_t len = sizeof(text) - 1;

	for (uint64_t cut = 0; cut < len; cut++) {
		struct sequence sequence;
		uint64_t begins;

		start(text, len, 0);
		byte_ring_drop(&ring, cut);
		begins = replay_find_beginning(&ring, cut);
		sequence_init(&sequence, false);
		for (uint64_t at = 0; at < begins; at++)
			sequence_step(&sequence, (uint8_t)text[at]);
		if (sequence_is_open(&sequence))
			fail_msg("cut at %llu, begins at %llu", (unsigned long long)cut,
			         (unsigned long long)begins);
	}
}

TEST(a_line_is_not_looked_for_too_far)
{
	static char text[SIZE];

	memset(text, ' ', sizeof(text));
	memset(text, 'x', REPLAY_LINE_MAX);
	text[REPLAY_LINE_MAX] = '\n';
	start(text, SIZE, 0);
	assert_int_equal(replay_find_beginning(&ring, 0), 1);
	assert_int_equal(replay_find_beginning(&ring, 1), REPLAY_LINE_MAX + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(questions_are_left_out_in_all_splits),
	    UNIT(questions_are_left_out_across_the_rings_end),
	    UNIT(nothing_else_is_changed),
	    UNIT(all_of_them_together),
	    UNIT(live_output_is_never_touched),
	    UNIT(no_question_comes_of_leaving_one_out),
	    UNIT(what_never_ends_is_looked_at_in_turns),
	    UNIT(a_sequence_without_end_is_no_question),
	    UNIT(one_that_was_overtaken_goes_on),
	    UNIT(it_begins_where_a_terminal_can),
	    UNIT(no_cut_begins_within_something),
	    UNIT(a_line_is_not_looked_for_too_far),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
