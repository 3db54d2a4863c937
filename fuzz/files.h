/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A conversation's files while it is played: made of the kind that a step says, written to and
 * looked at as a guest and its VMM do. Nothing here waits.
 */
#ifndef FUZZ_FILES_H
#define FUZZ_FILES_H

#include "conversation.h"

struct files_entry {
	int fd;    /* what is sent to the backend; -1 once closed */
	int other; /* the other end that we keep, or -1 */
};

struct files {
	struct files_entry entries[CONVERSATION_FILES_MAX];
	unsigned int count;
};

void files_init(struct files *files);

/* Closes all that is open. May be called again. */
void files_deinit(struct files *files);

/* Makes the file of a step, which becomes the next entry. Returns 0 or -errno. */
int files_open(struct files *files, const struct conversation_step *step);

/* The steps write, truncate, kick and close. What the file can't take any more is nothing. */
void files_do(struct files *files, const struct conversation_step *step);

/* Whether the eventfd was signalled; it is at 0 again then. */
bool files_take_signal(struct files *files, unsigned int file);

/* Whether the memfd has the step's bytes, as far as its mask goes. */
bool files_have(const struct files *files, const struct conversation_step *step);

/* Whether `got` is what the step's bytes say, as far as its mask goes; `len` may be less. */
bool files_match(const struct conversation_step *step, const uint8_t *got, uint32_t len);

#endif
