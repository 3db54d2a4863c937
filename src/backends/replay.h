/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a terminal is sent of output that was there before it: where it can begin, and which bytes
 * are left out because they ask the terminal for something. Its answer would be typed at the guest
 * long after whoever asked has gone.
 *
 * A sequence that a question has cut off shows nothing and is left out with it: what comes behind
 * the question must not complete it.
 *
 * It reads the ring and changes nothing. Each byte is looked at once, at most REPLAY_QUESTION_MAX
 * more in one go than are wanted. It must not see bytes that came after the terminal.
 */
#ifndef BACKENDS_REPLAY_H
#define BACKENDS_REPLAY_H

#include "backends/sequence.h"
#include "base/byte_ring.h"

#include <stddef.h>

/* A longer sequence is no question. */
#define REPLAY_QUESTION_MAX 4096u

/* How far a line's beginning is looked for: so much, and at most a quarter of the ring. */
#define REPLAY_LINE_MAX 4096u

struct replay {
	uint64_t until;    /* bytes from this position on came after the terminal */
	uint64_t kept_to;  /* those before this position have been looked at, and are no question */
	uint64_t go_on_at; /* behind the question there, if it is one */
	uint64_t begun;    /* where what is incomplete began, or the one that it cut off */
	struct sequence sequence;
};

/* Of the bytes from position `from` up to `until`. */
void replay_init(struct replay *replay, uint64_t from, uint64_t until);

/*
 * Which bytes the terminal is sent next, for which *pos is where it has got to, in the ring. Moves
 * *pos behind questions and returns how many of the next `len` bytes it is sent: 0 if it finds
 * questions only or `len` is 0. Bytes from `until` on, and a sequence that isn't complete there,
 * are left alone.
 */
size_t replay_next(struct replay *replay, const struct byte_ring *ring, uint64_t *pos, size_t len);

/*
 * Where a terminal can begin or go on for which the bytes before position `pos` are lost: the first
 * position from there on that is the beginning of a line and not in a control string. If there is
 * none nearby, it is where something else begins: a sequence, what follows the end of a string or a
 * carriage return; and if there is nothing like that, either, it is behind what can be the rest of
 * a character or of a control sequence.
 */
uint64_t replay_find_beginning(const struct byte_ring *ring, uint64_t pos);

#endif
