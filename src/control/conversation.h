/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One client of the control socket: lines in, answers out, one after the other.
 *
 * While a line is being answered nothing is received, so that a client that doesn't read its answer
 * holds one line and one answer of memory and nobody else. A line that is cut off by the end of
 * input is refused: half a name may be another's whole one.
 */
#ifndef CONTROL_CONVERSATION_H
#define CONTROL_CONVERSATION_H

#include "control/request.h"
#include "loop/loop.h"
#include "loop/room.h"
#include "loop/strays.h"

struct conversation;

struct conversation_ops {
	/*
	 * A line of `len` bytes without LF, at most CONTROL_REQUEST_LINE_MAX and a CR; line[len]
	 * may be written. It stays until it is answered: by conversation_answer(), once, now or
	 * later.
	 */
	void (*line)(struct conversation *conversation, char *line, size_t len);
	/* It has ended, for whatever reason, and nothing of it is left but its memory. */
	void (*ended)(struct conversation *conversation);
};

/* Embedded in its owner. */
struct conversation {
	const struct conversation_ops *ops;
	struct loop_scope scope;
	struct loop_op receive;
	struct loop_op send;
	struct loop_room room;
	int fd;
	struct strays *strays; /* what clients may send besides, or NULL */
	struct strays_room *strays_room;
	bool finished; /* the client sends no more */
	bool held;     /* it isn't received from until its strays are closed */
	bool last;     /* the answer at hand is the last one */
	/* What was received: the line at hand, if any, and what comes after it. */
	char bytes[CONTROL_REQUEST_LINE_MAX + 2];
	size_t received;
	size_t line_len; /* with its LF; 0: no line is at hand */
	char *answer;
	size_t answer_len, answer_sent;
	struct msghdr msg;
	struct iovec iov;
};

/*
 * Takes the connected stream socket `fd` and receives. `strays` are the listening socket's, or
 * NULL; with them, `strays_room` is malloc()'s and the conversation's from now on.
 */
void conversation_start(struct conversation *conversation, const struct conversation_ops *ops,
                        struct loop *loop, int fd, struct strays *strays,
                        struct strays_room *strays_room);

/* What it has sent besides is closed: it may be received from again. */
void conversation_go_on(struct conversation *conversation);

/*
 * Answers the line at hand with `len` bytes at `answer`, which malloc() made and which are the
 * conversation's from now on.
 */
void conversation_answer(struct conversation *conversation, char *answer, size_t len);

/* Ends it, whatever it is doing; `ended` follows. A second call does nothing. */
void conversation_stop(struct conversation *conversation);

#endif
