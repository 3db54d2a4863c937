/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A vhost-user conversation: what a frontend says to a backend and does with its files, and what is
 * expected back. FORMAT.md is the format's documentation; this is the one reader and writer of its
 * two forms, text for people and binary for fuzzers.
 *
 * Depends on nothing of the program's, so that it stays a second opinion.
 */
#ifndef FUZZ_CONVERSATION_H
#define FUZZ_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONVERSATION_STEPS_MAX  65535u
#define CONVERSATION_FILES_MAX  250u
#define CONVERSATION_NAME_MAX   31u
#define CONVERSATION_BYTES_MAX  65536u
#define CONVERSATION_FDS_MAX    253u /* the kernel's SCM_MAX_FD */
#define CONVERSATION_SPLITS_MAX 16u
#define CONVERSATION_MEMORY_MAX (1ull << 40)
#define CONVERSATION_PAUSE_MAX  10000u /* ms */

/* The numbers are those of the binary form. */
enum conversation_kind {
	CONVERSATION_NEEDS_FEATURES = 1,
	CONVERSATION_NEEDS_PROTOCOL_FEATURES = 2,
	CONVERSATION_NEEDS_VRINGS = 3,
	CONVERSATION_NEEDS_CONSOLE = 4,
	CONVERSATION_FILE = 5,
	CONVERSATION_SEND = 6,
	CONVERSATION_BYTES = 7,
	CONVERSATION_WRITE = 8,
	CONVERSATION_TRUNCATE = 9,
	CONVERSATION_KICK = 10,
	CONVERSATION_CLOSE = 11,
	CONVERSATION_PAUSE = 12,
	CONVERSATION_HANGUP = 13,
	CONVERSATION_CONNECT = 14,
	CONVERSATION_EXPECT_REPLY = 15,
	CONVERSATION_EXPECT_ACK = 16,
	CONVERSATION_EXPECT_REFUSED = 17,
	CONVERSATION_EXPECT_NOTHING = 18,
	CONVERSATION_EXPECT_CLOSED = 19,
	CONVERSATION_EXPECT_SURVIVAL = 20,
	CONVERSATION_EXPECT_CONFIG_CHANGE = 21,
	CONVERSATION_EXPECT_CALL = 22,
	CONVERSATION_EXPECT_NO_CALL = 23,
	CONVERSATION_EXPECT_ERROR = 24,
	CONVERSATION_EXPECT_MEMORY = 25,
	CONVERSATION_KINDS
};

enum conversation_file_kind {
	CONVERSATION_MEMFD = 1,
	CONVERSATION_EVENTFD = 2,
	CONVERSATION_SOCKET = 3, /* one end of a stream socket pair */
	CONVERSATION_PIPE = 4,   /* the end that is written to */
	CONVERSATION_CLOSED = 5, /* the end of a socket pair whose other end is closed */
	CONVERSATION_FILE_KINDS
};

/* What a step of a kind consists of; its order in both forms is this one. */
#define CONVERSATION_HAS_REQUEST (1u << 0)
#define CONVERSATION_HAS_FILE    (1u << 1)
#define CONVERSATION_HAS_NUMBER  (1u << 2)
#define CONVERSATION_HAS_HEADER  (1u << 3) /* flags and size */
#define CONVERSATION_HAS_FDS     (1u << 4) /* and splits */
#define CONVERSATION_HAS_BYTES   (1u << 5)
#define CONVERSATION_HAS_MASK    (1u << 6)
#define CONVERSATION_HAS_NAME    (1u << 7) /* and the file's kind */

struct conversation_step {
	enum conversation_kind kind;
	unsigned int line; /* of the text, 0 if it came from the binary form */
	uint32_t request;
	uint32_t flags;  /* of the header */
	uint32_t size;   /* what the header says of the payload */
	uint64_t number; /* bytes, an offset, a size, milliseconds, an acknowledgement, a need */
	unsigned int file;
	enum conversation_file_kind file_kind;
	char name[CONVERSATION_NAME_MAX + 1];
	uint32_t fds_at; /* the byte of the message that the descriptors come with */
	uint32_t fds_count, splits_count;
	uint8_t fds[CONVERSATION_FDS_MAX]; /* indices of files */
	uint32_t splits[CONVERSATION_SPLITS_MAX];
	uint32_t len;   /* of bytes */
	uint8_t *bytes; /* NULL if len is 0 */
	uint8_t *mask;  /* `len` of them; NULL: all bits count */
};

struct conversation {
	struct conversation_step *steps;
	unsigned int count, room;
	unsigned int files;
	unsigned int file_step[CONVERSATION_FILES_MAX]; /* by the file's index */
};

/* What is wrong with a text or a binary, in one line. */
struct conversation_error {
	char text[200];
};

void conversation_init(struct conversation *conversation);
void conversation_deinit(struct conversation *conversation);

/* A zeroed step at the end, with the header's defaults; NULL if there are too many. */
struct conversation_step *conversation_add(struct conversation *conversation,
                                           enum conversation_kind kind);

/* The same for a file. NULL if there are too many, or one of this name. */
struct conversation_step *conversation_add_file(struct conversation *conversation,
                                                enum conversation_file_kind kind, const char *name,
                                                uint64_t size);

/* Appends to the step's bytes. False if there would be too many. */
bool conversation_append(struct conversation_step *step, const void *bytes, size_t len);

/* Gives the step a mask of `len` bytes, all of them `value`. */
void conversation_set_mask(struct conversation_step *step, uint8_t value);

/* The file's index, or conversation->files if there is none of that name. */
unsigned int conversation_find_file(const struct conversation *conversation, const char *name);

const struct conversation_step *conversation_file(const struct conversation *conversation,
                                                  unsigned int file);

/* What a kind is called in text, "expect reply", and what its steps have. */
const char *conversation_kind_name(enum conversation_kind kind);
unsigned int conversation_kind_has(enum conversation_kind kind);
const char *conversation_file_kind_name(enum conversation_file_kind kind);

/* A front-end message's name by the vhost-user specification, NULL if the number has none. */
const char *conversation_request_name(uint32_t request);
/* The number of a name, or 0. */
uint32_t conversation_request_number(const char *name);

/* Whether a request's own answer is as long as an acknowledgement, so that it looks like one. */
bool conversation_answer_is_u64(uint32_t request);

/* The header's flags where a step doesn't say any. */
uint32_t conversation_default_flags(enum conversation_kind kind);

/*
 * Judges what neither form can say by itself: files that are named are of a fitting kind and come
 * first, numbers are in range, the mask is as long as the bytes. NULL if all is well.
 */
const char *conversation_judge(const struct conversation *conversation,
                               const struct conversation_step *step);

/* Either reads the whole conversation into one that was initialised, or says what is wrong. */
bool conversation_parse(struct conversation *conversation, const char *text, size_t len,
                        struct conversation_error *ret_error);
bool conversation_decode(struct conversation *conversation, const uint8_t *bytes, size_t len,
                         struct conversation_error *ret_error);
/* Whichever of the two it is. */
bool conversation_read(struct conversation *conversation, const uint8_t *bytes, size_t len,
                       struct conversation_error *ret_error);

/* Write to a file; its error is the caller's to look at. */
void conversation_print(const struct conversation *conversation, FILE *to);
void conversation_print_step(const struct conversation *conversation,
                             const struct conversation_step *step, FILE *to);
void conversation_encode(const struct conversation *conversation, FILE *to);

#endif
