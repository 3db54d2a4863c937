/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The limits of the process (setrlimit(2)), in words: which of them may be behind an error, and how
 * it is raised.
 *
 * They are looked at when something has failed, so that what was lowered meanwhile is named, too.
 */
#ifndef BASE_LIMIT_H
#define BASE_LIMIT_H

#include <stddef.h>

#define LIMIT_TEXT_MAX 256

/*
 * What `error` (-errno) means, as strerror() has it, and the limit that can be its cause, if there
 * is one. Writes it to `text` and returns that.
 */
const char *limit_explain(int error, char text[LIMIT_TEXT_MAX]);

/* The same where a thread couldn't be made. */
const char *limit_explain_thread(int error, char text[LIMIT_TEXT_MAX]);

/*
 * At the start: a line for each limit that will, or may well, be in the way. The stack is made as
 * large as it is ever needed, so that nothing takes that away later.
 */
void limit_check_all(void);

#endif
