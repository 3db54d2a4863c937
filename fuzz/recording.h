/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Messages that went by, as a conversation: what the frontend said with which files, and what it
 * was answered. Of the files only their kind and size are known, not what is in them.
 */
#ifndef FUZZ_RECORDING_H
#define FUZZ_RECORDING_H

#include "conversation.h"
#include "frame.h"

/* Files are told apart by this, whatever their number in a message. */
struct recording_file {
	enum conversation_file_kind kind;
	uint64_t device, number;
	int held; /* a descriptor of an eventfd, so that no other gets its number; or -1 */
};

struct recording {
	struct conversation conversation;
	struct recording_file files[CONVERSATION_FILES_MAX];
	bool full; /* there were more files or messages than a conversation has; it ends before */
};

void recording_init(struct recording *recording);
void recording_deinit(struct recording *recording);

/* A message of the frontend's. Its descriptors stay the caller's. */
void recording_message(struct recording *recording, const struct frame *frame);

/*
 * A message of the backend's. Acknowledgements are expected to be the same again; of other answers
 * only the size is, though the bytes are noted: they are another backend's affair, or the memory's.
 */
void recording_answer(struct recording *recording, const struct frame *frame);

/* `connect`, `hangup` and the like. */
void recording_event(struct recording *recording, enum conversation_kind kind);

#endif
