/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The escape key in all its encodings; see escape_key.h. Pure: a person's bytes in, the guest's
 * bytes and commands out.
 */
#include "backends/escape_key.h"

#include "base/macros.h"

#include <stdio.h>
#include <string.h>

/* A key's modifiers, of which both encodings send the sum plus one. */
#define SHIFT   0x01u
#define CONTROL 0x04u
#define LOCKS   0xc0u /* caps lock and num lock: they change nothing */

/* Codes of kitty's protocol. */
#define CODE_CAPS_LOCK      57358u
#define CODE_NUM_LOCK       57360u
#define CODE_KEYPAD_DECIMAL 57409u
#define CODE_MODIFIER_FIRST 57441u
#define CODE_MODIFIER_LAST  57454u

/* xterm's first number for modifyOtherKeys, and the paste's ends. */
#define OTHER_KEY   27u
#define PASTE_BEGIN 200u
#define PASTE_END   201u

enum key_event { KEY_PRESS = 1, KEY_REPEAT = 2, KEY_RELEASE = 3 };

struct key_press {
	uint32_t code;    /* the key's character without modifiers */
	uint32_t shifted; /* with shift, and in the American layout; 0: not told */
	uint32_t base;
	uint32_t text; /* the first character that it types; 0: not told */
	uint32_t modifiers;
	enum key_event event;
};

bool escape_key_parse(const char *text, int *ret_key)
{
	bool control = text[0] == '^' && text[1] && !text[2];
	char c = control ? text[1] : '\0';

	if (strcmp(text, "none") == 0) {
		*ret_key = ESCAPE_KEY_NONE;
		return true;
	}
	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	/* ^[ is ESC, which begins what other keys send. */
	if (c < '@' || c > '_' || c == '[')
		return false;
	*ret_key = c - '@';
	return true;
}

void escape_key_name(int key, char ret_name[ESCAPE_KEY_NAME_MAX])
{
	snprintf(ret_name, ESCAPE_KEY_NAME_MAX, "Ctrl-%c", (char)(key + '@'));
}

void escape_key_init(struct escape_key *escape, int key)
{
	*escape = (struct escape_key){.key = key};
	sequence_init(&escape->sequence, false);
}

/* Reading a key. */

/* The number behind the `field`th semicolon and there behind the `part`th colon; else `otherwise`.
 */
static uint32_t field_of(const struct sequence *sequence, unsigned int field, unsigned int part,
                         uint32_t otherwise)
{
	unsigned int at_field = 0, at_part = 0;

	for (unsigned int i = 0; i < sequence->count && i < SEQUENCE_VALUES_MAX; i++) {
		bool colon = sequence->colons >> i & 1;

		at_field += i > 0 && !colon;
		at_part = colon ? at_part + 1 : 0;
		if (at_field == field && at_part == part)
			return sequence->values[i] > 0 ? sequence->values[i] : otherwise;
	}
	return otherwise;
}

/* Whether the complete sequence is a key with its modifiers. */
static bool read_key(const struct sequence *sequence, struct key_press *ret_press)
{
	bool other = sequence->final == '~' && field_of(sequence, 0, 0, 0) == OTHER_KEY &&
	             sequence->count >= 3;

	if (sequence->introducer != '[' || sequence->prefix || sequence->middle ||
	    sequence->count == 0 || sequence->len > ESCAPE_KEY_HELD_MAX ||
	    (sequence->final != 'u' && !other))
		return false;
	*ret_press = (struct key_press){
	    .code = field_of(sequence, other ? 2 : 0, 0, 0),
	    .shifted = other ? 0 : field_of(sequence, 0, 1, 0),
	    .base = other ? 0 : field_of(sequence, 0, 2, 0),
	    .text = other ? 0 : field_of(sequence, 2, 0, 0),
	    .modifiers = (field_of(sequence, 1, 0, 1) - 1) & ~LOCKS,
	    .event = (enum key_event)field_of(sequence, 1, 1, KEY_PRESS),
	};
	return true;
}

static bool types(const struct key_press *press, uint32_t character)
{
	return press->code == character || press->shifted == character || press->base == character;
}

/*
 * With control held, whether it is the key whose byte is `key`. As with the byte itself, digits do
 * for those that no letter stands for (Ctrl-5 is Ctrl-]), as on keyboards that have no such key;
 * and shift counts only for letters.
 */
static bool is_escape(int key, const struct key_press *press)
{
	static const uint8_t digits[0x20] = {
	    [0x00] = '2', [0x1c] = '4', [0x1d] = '5', [0x1e] = '6', [0x1f] = '7'};
	bool letter = key >= 1 && key <= 26;
	uint32_t character = (uint32_t)key + (letter ? 0x60 : 0x40);
	uint32_t modifiers = press->modifiers;

	if (letter)
		return modifiers == CONTROL &&
		       (types(press, character) || press->code == character - 0x20);
	return (modifiers & ~SHIFT) == CONTROL &&
	       (types(press, character) || (digits[key] && press->code == digits[key]) ||
	        (key == 0 && press->code == ' '));
}

/* Keys that say of themselves that they are pressed are no commands. */
static bool is_modifier(uint32_t code)
{
	return (code >= CODE_MODIFIER_FIRST && code <= CODE_MODIFIER_LAST) ||
	       (code >= CODE_CAPS_LOCK && code <= CODE_NUM_LOCK);
}

/* Control may be held still. */
static bool is_full_stop(const struct key_press *press)
{
	if (press->text)
		return press->text == '.';
	return (press->modifiers & ~CONTROL) == 0 &&
	       (press->code == '.' || press->base == '.' || press->code == CODE_KEYPAD_DECIMAL);
}

/* Giving. */

static size_t release_held(struct escape_key *escape, uint8_t *bytes)
{
	size_t held = escape->held;

	memcpy(bytes, escape->bytes, held);
	escape->held = 0;
	return held;
}

/* Behind what is held back, the byte. */
static size_t give(struct escape_key *escape, uint8_t byte, uint8_t *bytes)
{
	size_t n = release_held(escape, bytes);

	bytes[n] = byte;
	return n + 1;
}

static size_t swallow(struct escape_key *escape)
{
	escape->held = 0;
	return 0;
}

static enum escape_command command_of(struct escape_key *escape, bool full_stop)
{
	escape->state = ESCAPE_KEY_TYPING;
	return full_stop ? ESCAPE_END : ESCAPE_HELP;
}

/* The escape key is pressed. Returns whether that is the guest's. */
static bool press_escape(struct escape_key *escape, uint32_t code)
{
	bool again = escape->state == ESCAPE_KEY_COMMAND;

	escape->state = again ? ESCAPE_KEY_TYPING : ESCAPE_KEY_COMMAND;
	escape->guest_has_key = again;
	escape->pressed = code;
	return again;
}

/* The escape key is held or let go, with control or without: the guest's if the press was. */
static bool release_escape(struct escape_key *escape, enum key_event event)
{
	bool has = escape->guest_has_key;

	if (event == KEY_RELEASE) {
		escape->guest_has_key = false;
		escape->pressed = 0;
	}
	return has;
}

/* A key that was a command is held or let go. */
static bool release_command(struct escape_key *escape, enum key_event event)
{
	if (event == KEY_RELEASE)
		escape->commanded = 0;
	return false;
}

/* A key is pressed that isn't the escape key. */
static bool press_other(struct escape_key *escape, const struct key_press *press,
                        enum escape_command *ret_command)
{
	if (press->code == escape->pressed)
		escape->pressed = 0;
	if (press->code == escape->commanded)
		escape->commanded = 0;
	if (escape->state == ESCAPE_KEY_TYPING || is_modifier(press->code))
		return true;
	*ret_command = command_of(escape, is_full_stop(press));
	escape->commanded = press->code;
	return false;
}

/* Whether what happens to a key is for the guest. */
static bool is_key_the_guests(struct escape_key *escape, const struct key_press *press,
                              enum escape_command *ret_command)
{
	bool is_escapes = is_escape(escape->key, press);

	if (press->event == KEY_PRESS)
		return is_escapes ? press_escape(escape, press->code)
		                  : press_other(escape, press, ret_command);
	if (is_escapes || press->code == escape->pressed)
		return release_escape(escape, press->event);
	if (press->code == escape->commanded)
		return release_command(escape, press->event);
	/* Others that are held are pressed again and again. */
	return press->event == KEY_RELEASE || press_other(escape, press, ret_command);
}

/* Taking. */

/* Outside of any sequence. */
static size_t take_text(struct escape_key *escape, uint8_t byte, uint8_t *bytes,
                        enum escape_command *ret_command)
{
	if (escape->dropping > 0 && (byte & 0xc0) == 0x80) {
		escape->dropping--;
		return 0;
	}
	escape->dropping = 0;
	if (escape->state == ESCAPE_KEY_TYPING || escape->pasting)
		return give(escape, byte, bytes);
	*ret_command = command_of(escape, byte == '.');
	escape->dropping = escape->sequence.utf8_left;
	return release_held(escape, bytes);
}

/* The report of a mouse (X10) and the keys of SS3 and of Linux's console have more behind them. */
static unsigned int characters_behind(const struct sequence *sequence)
{
	bool plain = sequence->count == 0 && !sequence->prefix && !sequence->middle;

	if (sequence->introducer == '[' && plain && sequence->final == 'M')
		return 3;
	if (sequence->introducer == '[' && plain && sequence->final == '[')
		return 1;
	return sequence->introducer == 0 && !sequence->middle && sequence->final == 'O';
}

/* Of a report, as it is. Coordinates may be characters of two bytes (mode 1005). */
static size_t take_behind(struct escape_key *escape, uint8_t byte, uint8_t *bytes)
{
	sequence_step(&escape->sequence, byte);
	if (byte < 0xc2 || byte > 0xdf)
		escape->behind--;
	return give(escape, byte, bytes);
}

static size_t take_last(struct escape_key *escape, uint8_t byte, uint8_t *bytes,
                        enum escape_command *ret_command)
{
	const struct sequence *sequence = &escape->sequence;
	bool tilde = sequence->introducer == '[' && sequence->final == '~' && sequence->count == 1;
	struct key_press press;

	if (tilde && sequence->values[0] == PASTE_BEGIN)
		escape->pasting = true;
	else if (tilde && sequence->values[0] == PASTE_END)
		escape->pasting = false;
	escape->behind = escape->pasting ? 0 : characters_behind(sequence);
	if (!escape->pasting && read_key(sequence, &press) &&
	    !is_key_the_guests(escape, &press, ret_command))
		return swallow(escape);
	return give(escape, byte, bytes);
}

/* Whether the bytes of the sequence so far can be the beginning of a key's. */
static bool can_become_key(const struct escape_key *escape)
{
	const struct sequence *sequence = &escape->sequence;

	if (escape->pasting)
		return false;
	if (sequence->state == SEQUENCE_CONTROL)
		return sequence->introducer == '[' && !sequence->prefix && !sequence->middle &&
		       sequence->len < ESCAPE_KEY_HELD_MAX;
	return sequence->state == SEQUENCE_STRING_ESCAPE ||
	       (sequence->state == SEQUENCE_ESCAPE && !sequence->middle);
}

static size_t take_part(struct escape_key *escape, uint8_t byte, uint8_t *bytes)
{
	size_t n = 0;

	if (byte == SEQUENCE_ESC)
		n = release_held(escape, bytes);
	if (!can_become_key(escape))
		return n + give(escape, byte, bytes + n);
	escape->bytes[escape->held++] = byte;
	return n;
}

/* The byte of the escape key, whatever came before it. */
static size_t take_escape(struct escape_key *escape, uint8_t byte, uint8_t *bytes)
{
	size_t n = release_held(escape, bytes);

	sequence_init(&escape->sequence, false);
	escape->behind = escape->dropping = 0;
	return press_escape(escape, 0) ? n + give(escape, byte, bytes + n) : n;
}

/* A control code is a key, also behind an ESC that was one; a string may have one in it. */
static void end_at_control(struct escape_key *escape, uint8_t byte)
{
	bool control = (byte < 0x20 && byte != SEQUENCE_ESC) || byte == 0x7f;
	enum sequence_state state = escape->sequence.state;

	if (control && (state == SEQUENCE_ESCAPE || state == SEQUENCE_CONTROL))
		sequence_init(&escape->sequence, false);
}

size_t escape_key_take(struct escape_key *escape, uint8_t byte,
                       uint8_t ret_bytes[ESCAPE_KEY_HELD_MAX], enum escape_command *ret_command)
{
	*ret_command = ESCAPE_NOTHING;
	if (escape->key == ESCAPE_KEY_NONE)
		return give(escape, byte, ret_bytes);
	if (byte == escape->key && !escape->pasting)
		return take_escape(escape, byte, ret_bytes);
	/* No such report has a control code in it. */
	if (escape->behind > 0 && byte >= 0x20)
		return take_behind(escape, byte, ret_bytes);
	escape->behind = 0;
	end_at_control(escape, byte);
	switch (sequence_step(&escape->sequence, byte)) {
	case SEQUENCE_IS_PART:
		return take_part(escape, byte, ret_bytes);
	case SEQUENCE_IS_LAST:
		return take_last(escape, byte, ret_bytes, ret_command);
	default:
		return take_text(escape, byte, ret_bytes, ret_command);
	}
}

size_t escape_key_pause(struct escape_key *escape, uint8_t ret_bytes[ESCAPE_KEY_HELD_MAX])
{
	bool alone = escape->held == 1 && escape->bytes[0] == SEQUENCE_ESC;

	return alone ? release_held(escape, ret_bytes) : 0;
}
