/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The sequences that a terminal obeys and sends (ECMA-48): escape sequences, control sequences and
 * control strings, told from the text between them, byte by byte.
 *
 * It has a bounded state and looks at each byte once, so that bytes may come in any pieces. What a
 * sequence means is its user's affair. It must not see a terminal.
 *
 * As terminals do: an ESC begins a sequence wherever it comes, CAN and SUB end one, and control
 * codes within a control sequence are obeyed where they are and aren't a part of it.
 */
#ifndef BACKENDS_SEQUENCE_H
#define BACKENDS_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#define SEQUENCE_ENQ 0x05
#define SEQUENCE_BEL 0x07
#define SEQUENCE_CAN 0x18
#define SEQUENCE_SUB 0x1a
#define SEQUENCE_ESC 0x1b

/* Numbers of a control sequence that are kept. Those beyond are counted and not kept. */
#define SEQUENCE_VALUES_MAX 16u
/* A number stops growing here. */
#define SEQUENCE_VALUE_MAX 0x1fffffu

enum sequence_state {
	SEQUENCE_TEXT,    /* outside: `utf8_left` tells whether in the middle of a character */
	SEQUENCE_ESCAPE,  /* behind ESC */
	SEQUENCE_CONTROL, /* in CSI ..., or in what a DCS has in front of its string */
	SEQUENCE_STRING,  /* in OSC, DCS, APC, PM or SOS, which ST ends, and OSC BEL as well */
	SEQUENCE_STRING_ESCAPE, /* behind an ESC in a string: ST, or the string is given up */
};

/* What a byte was. */
enum sequence_part {
	SEQUENCE_IS_TEXT, /* part of no sequence: of a character, or a control code */
	SEQUENCE_IS_PART, /* of a sequence that goes on, or a control code in the middle of it */
	SEQUENCE_IS_LAST, /* of a sequence that is complete now */
};

struct sequence {
	enum sequence_state state;
	bool c1;             /* bytes 0x80 to 0x9f are control codes, too (C1) */
	uint8_t utf8_first;  /* of the character at hand, the first byte */
	uint8_t utf8_left;   /* and how many bytes it still lacks */
	uint8_t introducer;  /* what stands behind ESC: [ ] P _ ^ X; 0: an escape sequence */
	uint8_t prefix;      /* < = > or ? in front of the numbers, or 0 */
	uint8_t middle;      /* the last byte of 0x20 to 0x2f, or 0 */
	uint8_t final;       /* of an escape or control sequence, or of a DCS's head */
	uint8_t first, last; /* bytes of a string's text behind its number; 0: none yet */
	bool enquiry;        /* it had an ENQ in it, which is obeyed */
	uint64_t len;        /* bytes of the sequence so far */
	/* The numbers, of an OSC only that in front; one that isn't given is 0. */
	uint32_t values[SEQUENCE_VALUES_MAX];
	uint32_t colons;    /* bit i: a colon stands before values[i], not a semicolon */
	unsigned int count; /* of numbers; 0: there is none */
};

/*
 * Outside of any sequence. With `c1`, bytes 0x80 to 0x9f that aren't part of a UTF-8 character are
 * control codes, and so are the characters U+0080 to U+009F; without, only ESC begins a sequence.
 */
void sequence_init(struct sequence *sequence, bool c1);

/* Looks at the next byte. After SEQUENCE_IS_LAST the sequence is to be read until the next call. */
enum sequence_part sequence_step(struct sequence *sequence, uint8_t byte);

/* Whether a terminal that has had the bytes so far is in the middle of something. */
static inline bool sequence_is_open(const struct sequence *sequence)
{
	return sequence->state != SEQUENCE_TEXT || sequence->utf8_left > 0;
}

/* The number at `i`, 0 if it isn't given. */
static inline uint32_t sequence_value(const struct sequence *sequence, unsigned int i)
{
	return i < sequence->count && i < SEQUENCE_VALUES_MAX ? sequence->values[i] : 0;
}

#endif
