/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/sequence.h"

#include "base/macros.h"

#define BACKSLASH 0x5c
#define DEL       0x7f
#define C1_ST     0x9c

void sequence_init(struct sequence *sequence, bool c1)
{
	*sequence = (struct sequence){.c1 = c1};
}

/* A new sequence, `len` bytes of which are there. */
static void begin(struct sequence *sequence, enum sequence_state state, uint8_t introducer,
                  uint64_t len)
{
	*sequence = (struct sequence){
	    .state = state, .c1 = sequence->c1, .introducer = introducer, .len = len};
}

static enum sequence_part end(struct sequence *sequence)
{
	sequence->state = SEQUENCE_TEXT;
	return SEQUENCE_IS_LAST;
}

/* How many bytes follow the first one of a character. */
static uint8_t following(uint8_t byte)
{
	if (byte >= 0xc2 && byte <= 0xdf)
		return 1;
	if (byte >= 0xe0 && byte <= 0xef)
		return 2;
	return byte >= 0xf0 && byte <= 0xf4 ? 3 : 0;
}

/*
 * Follows the characters of a text. Returns the length of the C1 control code that ends with the
 * byte, 0 if none does: it is a byte that stands alone, or the second one of a character.
 */
static unsigned int follow_text(struct sequence *sequence, uint8_t byte)
{
	bool in_character = sequence->utf8_left > 0 && (byte & 0xc0) == 0x80;
	bool coded = sequence->c1 && byte >= 0x80 && byte <= 0x9f;

	if (in_character) {
		sequence->utf8_left--;
		return coded && sequence->utf8_first == 0xc2 ? 2 : 0;
	}
	sequence->utf8_first = byte;
	sequence->utf8_left = following(byte);
	return coded ? 1 : 0;
}

/* Behind the introducer, by its seven-bit form: what stands behind ESC. */
static enum sequence_part introduce(struct sequence *sequence, uint8_t introducer, uint64_t len)
{
	switch (introducer) {
	case '[':
	case 'P':
		begin(sequence, SEQUENCE_CONTROL, introducer, len);
		return SEQUENCE_IS_PART;
	case ']':
	case '_':
	case '^':
	case 'X':
		begin(sequence, SEQUENCE_STRING, introducer, len);
		return SEQUENCE_IS_PART;
	default:
		begin(sequence, SEQUENCE_TEXT, 0, len);
		sequence->final = introducer;
		return SEQUENCE_IS_LAST;
	}
}

static enum sequence_part step_text(struct sequence *sequence, uint8_t byte)
{
	unsigned int c1 = follow_text(sequence, byte);

	return c1 > 0 ? introduce(sequence, byte - 0x40, c1) : SEQUENCE_IS_TEXT;
}

static enum sequence_part step_escape(struct sequence *sequence, uint8_t byte)
{
	bool enquiry = sequence->enquiry;
	enum sequence_part part;

	if (byte >= 0x20 && byte <= 0x2f) {
		sequence->middle = byte;
		return SEQUENCE_IS_PART;
	}
	if (sequence->middle != 0) {
		sequence->final = byte;
		return end(sequence);
	}
	part = introduce(sequence, byte, sequence->len);
	sequence->enquiry = enquiry;
	return part;
}

static void take_digit(struct sequence *sequence, uint8_t digit)
{
	uint32_t *value = &sequence->values[MAX(sequence->count, 1u) - 1];

	sequence->count = MAX(sequence->count, 1u);
	if (sequence->count <= SEQUENCE_VALUES_MAX)
		*value = MIN(*value * 10 + digit, SEQUENCE_VALUE_MAX);
}

static void take_separator(struct sequence *sequence, bool colon)
{
	unsigned int next = MAX(sequence->count, 1u);

	if (next < SEQUENCE_VALUES_MAX && colon)
		sequence->colons |= 1u << next;
	sequence->count = MIN(next + 1, SEQUENCE_VALUES_MAX + 1);
}

static enum sequence_part step_control(struct sequence *sequence, uint8_t byte)
{
	bool number = byte <= 0x39 && byte >= 0x30;

	if (number && sequence->count <= SEQUENCE_VALUES_MAX)
		take_digit(sequence, byte - 0x30);
	else if (byte == ':' || byte == ';')
		take_separator(sequence, byte == ':');
	else if (byte >= 0x3c && byte <= 0x3f)
		sequence->prefix = byte;
	else if (byte >= 0x20 && byte <= 0x2f)
		sequence->middle = byte;
	if (byte < 0x40)
		return SEQUENCE_IS_PART;
	sequence->final = byte;
	if (sequence->introducer == '[')
		return end(sequence);
	sequence->state = SEQUENCE_STRING;
	return SEQUENCE_IS_PART;
}

static enum sequence_part step_string(struct sequence *sequence, uint8_t byte)
{
	unsigned int c1 = follow_text(sequence, byte);
	bool ends =
	    (byte == SEQUENCE_BEL && sequence->introducer == ']') || (c1 > 0 && byte == C1_ST);
	bool in_number = sequence->introducer == ']' && sequence->first == 0;

	if (ends)
		return end(sequence);
	if (in_number && byte >= 0x30 && byte <= 0x39 && sequence->last == 0) {
		take_digit(sequence, byte - 0x30);
	} else if (in_number && byte == ';' && sequence->last == 0) {
		sequence->last = byte;
	} else {
		sequence->first = sequence->first ? sequence->first : byte;
		sequence->last = byte;
	}
	return SEQUENCE_IS_PART;
}

/* A control code: true if it is dealt with, and *ret_part says how. */
static bool step_code(struct sequence *sequence, uint8_t byte, enum sequence_part *ret_part)
{
	enum sequence_state state = sequence->state;

	*ret_part = SEQUENCE_IS_PART;
	if (byte == SEQUENCE_ESC && state == SEQUENCE_STRING) {
		sequence->state = SEQUENCE_STRING_ESCAPE;
		return true;
	}
	if (byte == SEQUENCE_ESC) {
		begin(sequence, SEQUENCE_ESCAPE, 0, 1);
		return true;
	}
	if (state == SEQUENCE_TEXT)
		return false;
	if (byte == SEQUENCE_CAN || byte == SEQUENCE_SUB) {
		begin(sequence, SEQUENCE_TEXT, 0, 0);
		*ret_part = SEQUENCE_IS_TEXT;
		return true;
	}
	if (state == SEQUENCE_STRING)
		return false;
	sequence->enquiry |= byte == SEQUENCE_ENQ;
	return byte < 0x20 || byte == DEL;
}

enum sequence_part sequence_step(struct sequence *sequence, uint8_t byte)
{
	enum sequence_part part;

	sequence->len++;
	/* No string after all, where its ESC isn't the beginning of ST. */
	if (sequence->state == SEQUENCE_STRING_ESCAPE && byte != BACKSLASH)
		begin(sequence, SEQUENCE_ESCAPE, 0, byte == SEQUENCE_ESC ? 1 : 2);
	if (step_code(sequence, byte, &part))
		return part;
	/* No sequence has such a byte; a character has. */
	if (byte >= 0x80 && sequence->state != SEQUENCE_STRING && sequence->state != SEQUENCE_TEXT)
		begin(sequence, SEQUENCE_TEXT, 0, 0);
	switch (sequence->state) {
	case SEQUENCE_ESCAPE:
		return step_escape(sequence, byte);
	case SEQUENCE_CONTROL:
		return step_control(sequence, byte);
	case SEQUENCE_STRING:
		return step_string(sequence, byte);
	case SEQUENCE_STRING_ESCAPE:
		return end(sequence);
	default:
		return step_text(sequence, byte);
	}
}
