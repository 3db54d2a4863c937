/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The escape key in what a person's terminal sends, and the command that follows it.
 *
 * The key is known by its byte and in the encodings that a guest can switch a terminal to: CSI u
 * with alternate keys and event types (kitty's keyboard protocol) and xterm's modifyOtherKeys. All
 * else is the guest's, byte for byte and in its order. So are the terminal's own reports (of the
 * cursor, the mouse, colours, the focus) and pastes that come between the key and the command,
 * which still counts then. In a bracketed paste nothing is a command.
 *
 * It holds back no more than can still become a key: ESC [ and numbers. An ESC that a read ends
 * with may be a key of its own, so the guest gets it at once; the escape key is known all the same
 * when the rest comes. It must not see a terminal.
 */
#ifndef BACKENDS_ESCAPE_KEY_H
#define BACKENDS_ESCAPE_KEY_H

#include "backends/sequence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No key: all that is typed is the guest's. */
#define ESCAPE_KEY_NONE    (-1)
#define ESCAPE_KEY_DEFAULT 0x1d /* Ctrl-], as in telnet and virsh */

/* The most that is held back, and that one byte gives the guest. */
#define ESCAPE_KEY_HELD_MAX 64u

/* What the key is called: "Ctrl-]". */
#define ESCAPE_KEY_NAME_MAX 8
#define ESCAPE_KEY_TAKES    "^ and a character of @A-Z\\]^_, or none"

enum escape_command {
	ESCAPE_NOTHING,
	ESCAPE_END,  /* the key, then a full stop */
	ESCAPE_HELP, /* the key, then a question mark or whatever has no meaning */
};

enum escape_key_state {
	ESCAPE_KEY_TYPING,  /* keys are the guest's */
	ESCAPE_KEY_COMMAND, /* the escape key was pressed: the next key is a command */
};

struct escape_key {
	int key; /* its byte, or ESCAPE_KEY_NONE */
	enum escape_key_state state;
	struct sequence sequence;
	unsigned int behind; /* characters that a report still has behind its sequence */
	uint8_t dropping;    /* bytes of a character that was a command and isn't complete */
	bool pasting;        /* in a bracketed paste */
	bool guest_has_key;  /* the escape key is pressed for the guest */
	/* Codes of keys that may still be told to be held or let go; 0: none. */
	uint32_t pressed;   /* the escape key */
	uint32_t commanded; /* the key that was a command: no event of it is the guest's */
	size_t held;
	uint8_t bytes[ESCAPE_KEY_HELD_MAX];
};

/* Whether `text` is a key: "^]" or "none". Writes its byte, or ESCAPE_KEY_NONE. */
bool escape_key_parse(const char *text, int *ret_key);

/* Writes what people call the key, which isn't ESCAPE_KEY_NONE. */
void escape_key_name(int key, char ret_name[ESCAPE_KEY_NAME_MAX]);

void escape_key_init(struct escape_key *escape, int key);

/*
 * Takes the next byte of what the terminal sends. Writes the bytes that are the guest's now, at
 * most ESCAPE_KEY_HELD_MAX, and returns how many; *ret_command is what the person wants after them.
 */
size_t escape_key_take(struct escape_key *escape, uint8_t byte,
                       uint8_t ret_bytes[ESCAPE_KEY_HELD_MAX], enum escape_command *ret_command);

/* Nothing more has come for now. Writes and returns as above. */
size_t escape_key_pause(struct escape_key *escape, uint8_t ret_bytes[ESCAPE_KEY_HELD_MAX]);

/* How many bytes are held back: so much more than is taken may be the guest's. */
static inline size_t escape_key_held(const struct escape_key *escape)
{
	return escape->held;
}

#endif
