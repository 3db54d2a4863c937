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
	uint32_t id;
	const char *name;
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
    {1, "GET_FEATURES", 0, .answered = true},
    {2, "SET_FEATURES", 8, .payload = {0x140000000}},
    {3, "SET_OWNER", 0},
    {4, "RESET_OWNER", 0},
    {5, "SET_MEM_TABLE", 8 + 32, 1, 1, 1, .payload = {1, 0x1000, 0x2000, 0x3000, 0x4000}},
    {6, "SET_LOG_BASE", 16, 1, 1, 1, .payload = {0x1000, 0x2000}},
    {7, "SET_LOG_FD", 0, 1, 1, 1},
    {8, "SET_VRING_NUM", 8, .payload = STATE(1, 256)},
    {9, "SET_VRING_ADDR", 40, .payload = {1, 0x1000, 0x3000, 0x2000, 0}},
    {10, "SET_VRING_BASE", 8, .payload = STATE(1, 0xffff)},
    {11, "GET_VRING_BASE", 8, .answered = true, .payload = STATE(1, 0)},
    {12, "SET_VRING_KICK", 8, 1, 1, 1, .payload = {1}},
    {13, "SET_VRING_CALL", 8, 1, 1, 1, .payload = {1}},
    {14, "SET_VRING_ERR", 8, 1, 1, 1, .payload = {1}},
    {15, "GET_PROTOCOL_FEATURES", 0, .answered = true},
    {16, "SET_PROTOCOL_FEATURES", 8, .payload = {0x8229}},
    {17, "GET_QUEUE_NUM", 0, .answered = true},
    {18, "SET_VRING_ENABLE", 8, .payload = STATE(1, 1)},
    {21, "SET_BACKEND_REQ_FD", 0, 1, 1, 1},
    /* offset 0, size 4, flags 0, four bytes */
    {24, "GET_CONFIG", 12 + 4, .answered = true, .payload = {4ull << 32, 0}},
    {25, "SET_CONFIG", 12 + 4, .payload = {4ull << 32, 0}},
    {34, "RESET_DEVICE", 0},
    {36, "GET_MAX_MEM_SLOTS", 0, .answered = true},
    {37, "ADD_MEM_REG", 40, 1, 1, 1, .payload = {0, 0x1000, 0x2000, 0x3000, 0x4000}},
    {38, "REM_MEM_REG", 40, 0, 0, 1, .payload = {0, 0x1000, 0x2000, 0x3000, 0x4000}},
    {42, "SET_DEVICE_STATE_FD", 8, 1, 1, 1, .answered = true, .payload = STATE(1, 0)},
    {43, "CHECK_DEVICE_STATE", 0, .answered = true},
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
