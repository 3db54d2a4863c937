/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The messages of the issue as the vhost-user specification has them, each once and right, written
 * from the specification and not from the code.
 */
#ifndef REQUEST_FIXTURE_H
#define REQUEST_FIXTURE_H

#include "base/fd.h"
#include "protocol/request.h"

#include <stdlib.h>
#include <string.h>

#define VRINGS     4u
#define VRING_SIZE 1024u

static const struct request_limits limits = {.vrings = VRINGS, .vring_size = VRING_SIZE};

/* A message that is right, and what is known of its kind. */
struct message {
	const char *name;
	uint32_t id;
	uint32_t size;
	unsigned int fds;     /* that this message carries */
	unsigned int min_fds; /* that such a message may carry, whatever its payload says */
	unsigned int max_fds;
	bool answered;
	uint64_t payload[8]; /* little endian */
};

#define STATE(index, num)                                                                          \
	{                                                                                          \
		(uint64_t)(num) << 32 | (index)                                                    \
	}

static const struct message messages[] = {
    {"GET_FEATURES", 1, 0, .answered = true},
    {"SET_FEATURES", 2, 8, .payload = {0x140000000}},
    {"SET_OWNER", 3, 0},
    {"RESET_OWNER", 4, 0},
    {"SET_MEM_TABLE", 5, 8 + 32, 1, 1, 1, .payload = {1, 0x1000, 0x2000, 0x3000, 0x4000}},
    {"SET_LOG_BASE", 6, 16, 1, 1, 1, .payload = {0x1000, 0x2000}},
    {"SET_LOG_FD", 7, 0, 1, 1, 1},
    {"SET_VRING_NUM", 8, 8, .payload = STATE(1, 256)},
    {"SET_VRING_ADDR", 9, 40, .payload = {1, 0x1000, 0x3000, 0x2000, 0}},
    {"SET_VRING_BASE", 10, 8, .payload = STATE(1, 0xffff)},
    {"GET_VRING_BASE", 11, 8, .answered = true, .payload = STATE(1, 0)},
    {"SET_VRING_KICK", 12, 8, 1, 1, 1, .payload = {1}},
    {"SET_VRING_CALL", 13, 8, 1, 1, 1, .payload = {1}},
    {"SET_VRING_ERR", 14, 8, 1, 1, 1, .payload = {1}},
    {"GET_PROTOCOL_FEATURES", 15, 0, .answered = true},
    {"SET_PROTOCOL_FEATURES", 16, 8, .payload = {0x8229}},
    {"GET_QUEUE_NUM", 17, 0, .answered = true},
    {"SET_VRING_ENABLE", 18, 8, .payload = STATE(1, 1)},
    {"SET_BACKEND_REQ_FD", 21, 0, 1, 1, 1},
    /* offset 0, size 4, flags 0, four bytes */
    {"GET_CONFIG", 24, 12 + 4, .answered = true, .payload = {4ull << 32, 0}},
    {"SET_CONFIG", 25, 12 + 4, .payload = {4ull << 32, 0}},
    {"RESET_DEVICE", 34, 0},
    {"GET_MAX_MEM_SLOTS", 36, 0, .answered = true},
    {"ADD_MEM_REG", 37, 40, 1, 1, 1, .payload = {0, 0x1000, 0x2000, 0x3000, 0x4000}},
    {"REM_MEM_REG", 38, 40, 0, 0, 1, .payload = {0, 0x1000, 0x2000, 0x3000, 0x4000}},
    {"SET_DEVICE_STATE_FD", 42, 8, 1, 1, 1, .answered = true, .payload = STATE(1, 0)},
    {"CHECK_DEVICE_STATE", 43, 0, .answered = true},
};

static inline const struct message *message_of(uint32_t id)
{
	for (size_t i = 0; i < ROWS(messages); i++) {
		if (messages[i].id == id)
			return &messages[i];
	}
	return NULL;
}

/* Parses exactly `size` bytes: ASan sees one that is read beyond. */
static inline enum request_verdict parse(uint32_t id, const void *payload, uint32_t size,
                                         unsigned int fds, struct request *ret)
{
	struct request_header header = {.request = id, .size = size};
	uint8_t *copy = malloc(size > 0 ? size : 1);
	enum request_verdict verdict;

	memset(ret, 0xee, sizeof(*ret));
	memcpy(copy, payload, size);
	verdict = request_parse(&header, copy, fds, &limits, ret);
	free(copy);
	return verdict;
}

static inline enum request_verdict parse_payload(uint32_t id, const uint64_t *payload,
                                                 struct request *ret)
{
	const struct message *message = message_of(id);

	return parse(id, payload, message->size, message->fds, ret);
}

#endif
