/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the escape key: known in all its encodings and in any pieces, and nothing else is touched.
 */
#include "unit.h"

#include "backends/escape_key.h"

#include <string.h>

#define KEY 0x1d

struct outcome {
	char input[512]; /* what the guest got */
	size_t len;
	char commands[16]; /* '.' for an end, '?' for help */
	size_t count;
};

static void take(struct escape_key *escape, uint8_t byte, struct outcome *outcome)
{
	uint8_t bytes[ESCAPE_KEY_HELD_MAX];
	enum escape_command command;
	size_t n = escape_key_take(escape, byte, bytes, &command);

	memcpy(outcome->input + outcome->len, bytes, n);
	outcome->len += n;
	if (command != ESCAPE_NOTHING)
		outcome->commands[outcome->count++] = command == ESCAPE_END ? '.' : '?';
}

static void let_pause(struct escape_key *escape, struct outcome *outcome)
{
	uint8_t bytes[ESCAPE_KEY_HELD_MAX];
	size_t n = escape_key_pause(escape, bytes);

	memcpy(outcome->input + outcome->len, bytes, n);
	outcome->len += n;
}

/* In one read, or in two that are split at `split`, or with `split` SIZE_MAX byte by byte. */
static struct outcome type(int key, const char *keys, size_t split)
{
	struct outcome outcome = {0};
	struct escape_key escape;

	escape_key_init(&escape, key);
	for (size_t i = 0; keys[i]; i++) {
		take(&escape, (uint8_t)keys[i], &outcome);
		if (i + 1 == split || split == SIZE_MAX)
			let_pause(&escape, &outcome);
	}
	let_pause(&escape, &outcome);
	return outcome;
}

static void expect(const char *keys, const struct outcome *got, const char *input,
                   const char *commands)
{
	if (got->len != strlen(input) || memcmp(got->input, input, got->len) != 0 ||
	    strcmp(got->commands, commands) != 0)
		fail_msg("'%s': the guest got '%.*s', commands '%s'", keys + 1, (int)got->len,
		         got->input, got->commands);
}

/* A split right behind an ESC gives the guest that ESC, which may have been a key. */
static bool splits_escape(const char *keys, size_t split)
{
	return split != SIZE_MAX && split > 0 && keys[split - 1] == '\x1b' && keys[split];
}

static void expect_in_all_splits(int key, const char *keys, const char *input, const char *commands)
{
	for (size_t split = 0; split <= strlen(keys); split++) {
		struct outcome got = type(key, keys, split);

		if (!splits_escape(keys, split))
			expect(keys, &got, input, commands);
		else if (strcmp(got.commands, commands) != 0)
			fail_msg("'%s' split at %zu: commands '%s'", keys + 1, split, got.commands);
	}
}

static const struct {
	const char *keys, *input, *commands;
} cases[] = {
    /* The byte itself. */
    {"\x1d.", "", "."},
    {"\x1d?", "", "?"},
    {"\x1dx", "", "?"},
    {"\x1d\x1d", "\x1d", ""},
    {"\x1d\x1d.", "\x1d.", ""},
    {"a\x1d.b", "ab", "."},
    {"\x1d\xc3\xa9z", "z", "?"},
    {"\x1d\xe2\x82\xac.", ".", "?"},
    /* CSI u: plain, with locks, event types, alternate keys, text. */
    {"\x1b[93;5u.", "", "."},
    {"\x1b[93;133u.", "", "."},
    {"\x1b[93;69u.", "", "."},
    {"\x1b[93;197u.", "", "."},
    {"\x1b[93;5:1u.", "", "."},
    {"\x1b[93:125;5u.", "", "."},
    {"\x1b[1098::93;5u.", "", "."},
    {"\x1b[57:93;6u.", "", "."},
    {"\x1b[93;5;29u.", "", "."},
    {"\x1b[53;5u.", "", "."},
    {"\x1b[93;5u\x1b[46u", "", "."},
    {"\x1b[93;5u\x1b[46;5u", "", "."},
    {"\x1b[93;5u\x1b[46;129u", "", "."},
    {"\x1b[93;5u\x1b[46;1:1;46u", "", "."},
    {"\x1b[93;5u\x1b[57409u", "", "."},
    {"\x1b[93;5u\x1b[47:63;2u", "", "?"},
    {"\x1b[93;5u\x1b[93;5u", "\x1b[93;5u", ""},
    {"\x1d\x1b[93;5u", "\x1b[93;5u", ""},
    {"\x1b[93;5u\x1d", "\x1d", ""},
    /* modifyOtherKeys. */
    {"\x1b[27;5;93~.", "", "."},
    {"\x1b[27;6;93~.", "", "."},
    {"\x1b[27;5;93~\x1b[27;5;46~", "", "."},
    {"\x1b[27;5;93~\x1b[27;5;93~", "\x1b[27;5;93~", ""},
    /* Other modifiers make it another key. */
    {"\x1b[93;7u.", "\x1b[93;7u.", ""},
    {"\x1b[93;1u.", "\x1b[93;1u.", ""},
    {"\x1b[93u.", "\x1b[93u.", ""},
    {"\x1b[93;13u.", "\x1b[93;13u.", ""},
    {"\x1b[27;7;93~.", "\x1b[27;7;93~.", ""},
    {"\x1b[27;5;94~.", "\x1b[27;5;94~.", ""},
    {"\x1b[97;5u", "\x1b[97;5u", ""},
    /* A release is no press; nor is a key that is held. */
    {"\x1b[93;5:1u\x1b[93;5:3u.", "", "."},
    {"\x1b[93;5:1u\x1b[93;5:2u\x1b[93;5:2u\x1b[93;5:3u.", "", "."},
    {"\x1b[93;5:1u\x1b[93;5:3u\x1b[57442;1:3u\x1b[46;1:1u\x1b[46;1:3u", "\x1b[57442;1:3u", "."},
    {"\x1b[93;5:1u\x1b[63;1:1u\x1b[93;1:3u\x1b[63;1:3u.", ".", "?"},
    {"\x1b[93;5:3u", "", ""},
    /* One that it was given is its to the end. */
    {"\x1b[93;5:1u\x1b[93;5:3u\x1b[93;5:1u\x1b[93;5:3ux", "\x1b[93;5:1u\x1b[93;5:3ux", ""},
    /* Modifiers, and other keys' releases, are no commands. */
    {"\x1d\x1b[57442;5u.", "\x1b[57442;5u", "."},
    {"\x1d\x1b[97;1:3u.", "\x1b[97;1:3u", "."},
    /* The terminal's own reports between key and command. */
    {"\x1d\x1b[5;8R.", "\x1b[5;8R", "."},
    {"\x1d\x1b[?64;1;2c.", "\x1b[?64;1;2c", "."},
    {"\x1d\x1b[0n.", "\x1b[0n", "."},
    {"\x1d\x1b]11;rgb:1d1d/.../5555\x1b\\.", "\x1b]11;rgb:1d1d/.../5555\x1b\\", "."},
    {"\x1d\x1b]11;rgb:...\x07.", "\x1b]11;rgb:...\x07", "."},
    {"\x1d\x1bP1$r0.m\x1b\\.", "\x1bP1$r0.m\x1b\\", "."},
    {"\x1d\x1bP>|xterm(370.)\x1b\\.", "\x1bP>|xterm(370.)\x1b\\", "."},
    {"\x1d\x1b_Gi=31;OK.\x1b\\.", "\x1b_Gi=31;OK.\x1b\\", "."},
    {"\x1d\x1b[<35;10;20M.", "\x1b[<35;10;20M", "."},
    {"\x1d\x1b[M.!!.", "\x1b[M.!!", "."},
    {"\x1d\x1b[M \xc3\x81.?", "\x1b[M \xc3\x81.", "?"},
    {"\x1d\x1b[I.", "\x1b[I", "."},
    {"\x1d\x1b[O\x1b[I.", "\x1b[O\x1b[I", "."},
    {"\x1d\x1bOP.", "\x1bOP", "."},
    {"\x1d\x1b[[A.", "\x1b[[A", "."},
    {"\x1d\x1b[A.", "\x1b[A", "."},
    {"\x1d\x1b[3~.", "\x1b[3~", "."},
    {"\x1d\x1b[200~a.b?\x1b[201~.", "\x1b[200~a.b?\x1b[201~", "."},
    {"\x1b[93;5u\x1b[5;8R\x1b[46u", "\x1b[5;8R", "."},
    /* In a paste nothing is a command. */
    {"\x1b[200~\x1d.\x1b[93;5u.\x1b[201~x", "\x1b[200~\x1d.\x1b[93;5u.\x1b[201~x", ""},
    {"\x1b[200~\x1d\x1b[201~.\x1d.", "\x1b[200~\x1d\x1b[201~.", "."},
    /* All else passes, and the key is known behind it. */
    {"\x1b[1;5A\x1b[15;2~\x1b[24~x", "\x1b[1;5A\x1b[15;2~\x1b[24~x", ""},
    {"\x1bx\x1b.\x1b]x\x1d.", "\x1bx\x1b.\x1b]x", "."},
    {"\x1b]x\x1b[93;5u.", "\x1b]x", "."},
    {"\x1b\x1b[93;5u.", "\x1b", "."},
    {"\x1b[9\x1b[93;5u.", "\x1b[9", "."},
    {"\x1b[9\x1d.", "\x1b[9", "."},
    {"\x1b\r", "\x1b\r", ""},
    {"\x1b\x7f", "\x1b\x7f", ""},
    {"\x1b[9\r3", "\x1b[9\r3", ""},
    {"\x1b[9\xc3\xa9", "\x1b[9\xc3\xa9", ""},
    {"\x1b[93;5;1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;21;22;23;24;25;26u.",
     "\x1b[93;5;1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;21;22;23;24;25;26u.", ""},
};

TEST(keys_commands_and_reports_in_all_splits)
{
	for (size_t i = 0; i < ROWS(cases); i++)
		expect_in_all_splits(KEY, cases[i].keys, cases[i].input, cases[i].commands);
}

TEST(keys_byte_by_byte_are_the_same_commands)
{
	for (size_t i = 0; i < ROWS(cases); i++) {
		struct outcome got = type(KEY, cases[i].keys, SIZE_MAX);

		assert_string_equal(got.commands, cases[i].commands);
	}
}

/* Each read that ends with it: nothing more may come for a long time. */
TEST(an_esc_that_is_typed_alone_is_not_held_back)
{
	struct outcome outcome = {0};
	struct escape_key escape;

	escape_key_init(&escape, KEY);
	take(&escape, 0x1b, &outcome);
	let_pause(&escape, &outcome);
	assert_int_equal(outcome.len, 1);
	/* And what follows may still be the rest of the key. */
	for (const char *at = "[93;5u."; *at; at++)
		take(&escape, (uint8_t)*at, &outcome);
	assert_int_equal(outcome.len, 1);
	assert_string_equal(outcome.commands, ".");
}

TEST(without_a_key_all_is_the_guests)
{
	for (size_t i = 0; i < ROWS(cases); i++)
		expect_in_all_splits(ESCAPE_KEY_NONE, cases[i].keys, cases[i].keys, "");
}

TEST(another_key_is_known_in_its_encodings)
{
	static const struct {
		int key;
		const char *keys, *input, *commands;
	} others[] = {
	    {0x01, "\x01.", "", "."},
	    {0x01, "\x1b[97;5u.", "", "."},
	    {0x01, "\x1b[97;69u.", "", "."},
	    {0x01, "\x1b[1092::97;5u.", "", "."},
	    {0x01, "\x1b[27;5;97~.", "", "."},
	    {0x01, "\x1b[27;5;65~.", "", "."},
	    {0x01, "\x1b[97;6u.", "\x1b[97;6u.", ""}, /* with shift another one */
	    {0x01, "\x1d.\x1b[93;5u", "\x1d.\x1b[93;5u", ""},
	    {0x1e, "\x1b[54:94;6u.", "", "."},
	    {0x1e, "\x1b[27;6;94~.", "", "."},
	    {0x1e, "\x1b[54;5u.", "", "."},
	    {0x00, "\x1b[32;5u.", "", "."},
	    {0x1f, "\x1b[45:95;6u.", "", "."},
	};

	for (size_t i = 0; i < ROWS(others); i++)
		expect_in_all_splits(others[i].key, others[i].keys, others[i].input,
		                     others[i].commands);
}

TEST(keys_are_read_as_people_write_them)
{
	static const struct {
		const char *text;
		int key;
		const char *name;
	} keys[] = {
	    {"^]", 0x1d, "Ctrl-]"}, {"^A", 0x01, "Ctrl-A"},   {"^a", 0x01, "Ctrl-A"},
	    {"^@", 0x00, "Ctrl-@"}, {"^\\", 0x1c, "Ctrl-\\"}, {"^_", 0x1f, "Ctrl-_"},
	};
	static const char *const wrong[] = {"",  "^", "^[", "^1",   "^AA",
	                                    "]", "A", "^?", "None", "\x1d"};
	char name[ESCAPE_KEY_NAME_MAX];
	int key = 99;

	for (size_t i = 0; i < ROWS(keys); i++) {
		assert_true(escape_key_parse(keys[i].text, &key));
		assert_int_equal(key, keys[i].key);
		escape_key_name(key, name);
		assert_string_equal(name, keys[i].name);
	}
	assert_true(escape_key_parse("none", &key));
	assert_int_equal(key, ESCAPE_KEY_NONE);
	for (size_t i = 0; i < ROWS(wrong); i++)
		assert_false(escape_key_parse(wrong[i], &key));
}

/* However long it is: what can't be a key any more is let go. */
TEST(no_more_is_held_back_than_there_is_room_for)
{
	struct outcome outcome = {0};
	struct escape_key escape;

	escape_key_init(&escape, KEY);
	take(&escape, 0x1b, &outcome);
	take(&escape, '[', &outcome);
	for (unsigned int i = 0; i < 300; i++) {
		take(&escape, '1', &outcome);
		assert_in_range(escape_key_held(&escape), 0, ESCAPE_KEY_HELD_MAX);
	}
	assert_int_equal(outcome.len, 302);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(keys_commands_and_reports_in_all_splits),
	    UNIT(keys_byte_by_byte_are_the_same_commands),
	    UNIT(an_esc_that_is_typed_alone_is_not_held_back),
	    UNIT(without_a_key_all_is_the_guests),
	    UNIT(another_key_is_known_in_its_encodings),
	    UNIT(keys_are_read_as_people_write_them),
	    UNIT(no_more_is_held_back_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
