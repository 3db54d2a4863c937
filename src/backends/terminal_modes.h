/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a guest's output has switched in the terminal that it is shown in, and how to take that
 * back: private and other modes, the keyboard's protocol, the keypad, the cursor's shape, margins,
 * attributes, character sets, colours, an open link.
 *
 * It looks at the bytes that the terminal has been sent, in any pieces, keeps a bounded state and
 * allocates nothing, so that a signal handler can use what it has. What a terminal has by default
 * is taken for what it had. A title stays as it is: nobody knows what it was.
 */
#ifndef BACKENDS_TERMINAL_MODES_H
#define BACKENDS_TERMINAL_MODES_H

#include "backends/sequence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Private modes that are followed: all that are known, and so many others. */
#define TERMINAL_MODES_OTHERS_MAX  16u
#define TERMINAL_MODES_PRIVATE_MAX (48u + TERMINAL_MODES_OTHERS_MAX)

/* Of a screen's keyboard flags; more are counted, and the oldest forgotten, as terminals do. */
#define TERMINAL_MODES_KEYBOARD_MAX 8u

/* The most bytes that take everything back or switch it on again. */
#define TERMINAL_MODES_BYTES_MAX 1536u

/* kitty's keyboard flags of the main or of the alternate screen. */
struct terminal_keyboard {
	uint32_t base; /* what was set without a place on the stack */
	uint32_t flags[TERMINAL_MODES_KEYBOARD_MAX];
	unsigned int pushed;
};

struct terminal_modes {
	struct sequence sequence;
	struct terminal_mode {
		uint32_t number;
		bool by_default, now;
	} modes[TERMINAL_MODES_PRIVATE_MAX];
	unsigned int count;
	uint32_t screen; /* the private mode that has the alternate screen on: 47, 1047, 1049; 0 */
	struct terminal_keyboard keyboards[2]; /* of the main and of the alternate screen */
	uint32_t modify[8];                    /* modifyOtherKeys (4) and its like */
	uint32_t modify_set;                   /* bit i: modify[i] was set */
	uint32_t cursor_shape;                 /* DECSCUSR; 0: the default */
	uint32_t top, bottom;                  /* the margins; 0, 0: the whole screen */
	uint32_t colours;                      /* bit i: OSC 10 + i has set one */
	uint8_t charset;                       /* that of G0; 'B': as it was */
	uint8_t shift; /* the control code or the final that has shifted to G1 to G3, or 0 */
	bool keypad;
	bool insert, locked, echo, newline; /* by SM and RM */
	bool attributes, palette, special_colours, link, not_utf8, c1_replies;
};

void terminal_modes_init(struct terminal_modes *modes);

/* The terminal has been sent these bytes. */
void terminal_modes_sent(struct terminal_modes *modes, const void *bytes, size_t len);

/*
 * Writes what takes everything back, behind the end of what is incomplete. Returns its length, 0
 * if there is nothing. It may be called in a signal handler.
 */
size_t terminal_modes_take_back(const struct terminal_modes *modes,
                                char ret_bytes[TERMINAL_MODES_BYTES_MAX]);

/*
 * Writes what switches on again what that has switched off, without colours and attributes, which
 * the guest sets whenever it draws. Returns its length.
 */
size_t terminal_modes_give_again(const struct terminal_modes *modes,
                                 char ret_bytes[TERMINAL_MODES_BYTES_MAX]);

#endif
