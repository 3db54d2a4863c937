/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a line on the control socket asks for: bytes in, a request out, in which every field is in
 * range. Pure: no socket, no loop.
 *
 * A line is a verb and its arguments, with one space before each argument. The first argument is a
 * guest's number where the verb takes one; the last is the rest of the line, whatever is in it.
 */
#ifndef CONTROL_REQUEST_H
#define CONTROL_REQUEST_H

#include <stddef.h>
#include <stdio.h>

/* The longest line, in bytes without its end. */
#define CONTROL_REQUEST_LINE_MAX 4096u
#define CONTROL_REQUEST_TOO_LONG "the line is too long: 4096 bytes are the most"

/* The largest number that a guest can have. */
#define CONTROL_REQUEST_GUEST_MAX 65535u

/* Long enough for every sentence that says why a request was refused, and its NUL. */
#define CONTROL_REQUEST_ERROR_BYTES 1024u

enum control_request_verb {
	CONTROL_REQUEST_HELP,
	CONTROL_REQUEST_LIST,
	CONTROL_REQUEST_PORT_ADD,
	CONTROL_REQUEST_PORT_REMOVE,
	CONTROL_REQUEST_DISCONNECT,
	CONTROL_REQUEST_VERBS, /* how many there are */
};

enum control_request_verdict {
	CONTROL_REQUEST_GOOD,
	CONTROL_REQUEST_REFUSED,
};

struct control_request {
	enum control_request_verb verb;
	unsigned int guest; /* 0 if the verb takes none */
	const char *rest; /* the last argument, in the line: not empty, or NULL if there is none */
};

/*
 * Judges a line of `len` bytes without its LF; a CR at its end belongs to that. line[len] is
 * written: the last argument ends in NUL. Every byte has to be printable, as ASCII or as a part of
 * another character. A refusal writes one line of text, without LF, that says what is wrong.
 */
enum control_request_verdict control_request_parse(char *line, size_t len,
                                                   struct control_request *ret_request,
                                                   char ret_error[CONTROL_REQUEST_ERROR_BYTES]);

/* The verbs and what they take, a line each. */
void control_request_help(FILE *out);

#endif
