/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conversation.h"

#include <stdlib.h>
#include <string.h>

struct kind {
	const char *name;
	unsigned int has;
};

#define REQUEST CONVERSATION_HAS_REQUEST
#define FILE_   CONVERSATION_HAS_FILE
#define NUMBER  CONVERSATION_HAS_NUMBER
#define HEADER  CONVERSATION_HAS_HEADER
#define FDS     CONVERSATION_HAS_FDS
#define BYTES   CONVERSATION_HAS_BYTES
#define MASK    CONVERSATION_HAS_MASK
#define NAME    CONVERSATION_HAS_NAME

static const struct kind kinds[CONVERSATION_KINDS] = {
    [CONVERSATION_NEEDS_FEATURES] = {"needs features", NUMBER},
    [CONVERSATION_NEEDS_PROTOCOL_FEATURES] = {"needs protocol-features", NUMBER},
    [CONVERSATION_NEEDS_VRINGS] = {"needs vrings", NUMBER},
    [CONVERSATION_NEEDS_CONSOLE] = {"needs console", 0},
    [CONVERSATION_FILE] = {"file", NAME | NUMBER},
    [CONVERSATION_SEND] = {"send", REQUEST | HEADER | FDS | BYTES},
    [CONVERSATION_BYTES] = {"bytes", FDS | BYTES},
    [CONVERSATION_WRITE] = {"write", FILE_ | NUMBER | BYTES},
    [CONVERSATION_TRUNCATE] = {"truncate", FILE_ | NUMBER},
    [CONVERSATION_KICK] = {"kick", FILE_},
    [CONVERSATION_CLOSE] = {"close", FILE_},
    [CONVERSATION_PAUSE] = {"pause", NUMBER},
    [CONVERSATION_HANGUP] = {"hangup", 0},
    [CONVERSATION_CONNECT] = {"connect", 0},
    [CONVERSATION_EXPECT_REPLY] = {"expect reply", REQUEST | HEADER | BYTES | MASK},
    [CONVERSATION_EXPECT_ACK] = {"expect ack", NUMBER},
    [CONVERSATION_EXPECT_REFUSED] = {"expect refused", 0},
    [CONVERSATION_EXPECT_NOTHING] = {"expect nothing", 0},
    [CONVERSATION_EXPECT_CLOSED] = {"expect closed", 0},
    [CONVERSATION_EXPECT_SURVIVAL] = {"expect survival", 0},
    [CONVERSATION_EXPECT_CONFIG_CHANGE] = {"expect config-change", FILE_},
    [CONVERSATION_EXPECT_CALL] = {"expect call", FILE_},
    [CONVERSATION_EXPECT_NO_CALL] = {"expect no-call", FILE_},
    [CONVERSATION_EXPECT_ERROR] = {"expect error", FILE_},
    [CONVERSATION_EXPECT_MEMORY] = {"expect memory", FILE_ | NUMBER | BYTES | MASK},
};

static const char *const file_kinds[CONVERSATION_FILE_KINDS] = {
    [CONVERSATION_MEMFD] = "memfd",   [CONVERSATION_EVENTFD] = "eventfd",
    [CONVERSATION_SOCKET] = "socket", [CONVERSATION_PIPE] = "pipe",
    [CONVERSATION_CLOSED] = "closed",
};

/* "Front-end message types", all of them, whatever a backend knows. */
static const char *const requests[] = {
    [1] = "GET_FEATURES",
    [2] = "SET_FEATURES",
    [3] = "SET_OWNER",
    [4] = "RESET_OWNER",
    [5] = "SET_MEM_TABLE",
    [6] = "SET_LOG_BASE",
    [7] = "SET_LOG_FD",
    [8] = "SET_VRING_NUM",
    [9] = "SET_VRING_ADDR",
    [10] = "SET_VRING_BASE",
    [11] = "GET_VRING_BASE",
    [12] = "SET_VRING_KICK",
    [13] = "SET_VRING_CALL",
    [14] = "SET_VRING_ERR",
    [15] = "GET_PROTOCOL_FEATURES",
    [16] = "SET_PROTOCOL_FEATURES",
    [17] = "GET_QUEUE_NUM",
    [18] = "SET_VRING_ENABLE",
    [19] = "SEND_RARP",
    [20] = "NET_SET_MTU",
    [21] = "SET_BACKEND_REQ_FD",
    [22] = "IOTLB_MSG",
    [23] = "SET_VRING_ENDIAN",
    [24] = "GET_CONFIG",
    [25] = "SET_CONFIG",
    [26] = "CREATE_CRYPTO_SESSION",
    [27] = "CLOSE_CRYPTO_SESSION",
    [28] = "POSTCOPY_ADVISE",
    [29] = "POSTCOPY_LISTEN",
    [30] = "POSTCOPY_END",
    [31] = "GET_INFLIGHT_FD",
    [32] = "SET_INFLIGHT_FD",
    [33] = "GPU_SET_SOCKET",
    [34] = "RESET_DEVICE",
    [35] = "VRING_KICK",
    [36] = "GET_MAX_MEM_SLOTS",
    [37] = "ADD_MEM_REG",
    [38] = "REM_MEM_REG",
    [39] = "SET_STATUS",
    [40] = "GET_STATUS",
    [41] = "GET_SHARED_OBJECT",
    [42] = "SET_DEVICE_STATE_FD",
    [43] = "CHECK_DEVICE_STATE",
    [44] = "GET_SHMEM_CONFIG",
};
#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

const char *conversation_request_name(uint32_t request)
{
	return request < REQUESTS ? requests[request] : NULL;
}

uint32_t conversation_request_number(const char *name)
{
	for (uint32_t i = 1; i < REQUESTS; i++) {
		if (strcmp(requests[i], name) == 0)
			return i;
	}
	return 0;
}

bool conversation_answer_is_u64(uint32_t request)
{
	switch (request) {
	case 1:  /* GET_FEATURES */
	case 11: /* GET_VRING_BASE */
	case 15: /* GET_PROTOCOL_FEATURES */
	case 17: /* GET_QUEUE_NUM */
	case 36: /* GET_MAX_MEM_SLOTS */
		return true;
	default:
		return false;
	}
}

const char *conversation_kind_name(enum conversation_kind kind)
{
	return kind > 0 && kind < CONVERSATION_KINDS ? kinds[kind].name : NULL;
}

unsigned int conversation_kind_has(enum conversation_kind kind)
{
	return kinds[kind].has;
}

const char *conversation_file_kind_name(enum conversation_file_kind kind)
{
	return kind > 0 && kind < CONVERSATION_FILE_KINDS ? file_kinds[kind] : NULL;
}

uint32_t conversation_default_flags(enum conversation_kind kind)
{
	return kind == CONVERSATION_EXPECT_REPLY ? 5 : 1; /* version 1, REPLY */
}

void conversation_init(struct conversation *conversation)
{
	*conversation = (struct conversation){0};
}

void conversation_deinit(struct conversation *conversation)
{
	for (unsigned int i = 0; i < conversation->count; i++) {
		free(conversation->steps[i].bytes);
		free(conversation->steps[i].mask);
	}
	free(conversation->steps);
	conversation_init(conversation);
}

/* There is no use in going on without memory, in a tool for tests. */
static void *must(void *memory)
{
	if (!memory) {
		fprintf(stderr, "out of memory\n");
		abort();
	}
	return memory;
}

struct conversation_step *conversation_add(struct conversation *conversation,
                                           enum conversation_kind kind)
{
	struct conversation_step *step;

	if (conversation->count == CONVERSATION_STEPS_MAX)
		return NULL;
	if (conversation->count == conversation->room) {
		conversation->room = conversation->room * 2 + 16;
		conversation->steps = must(realloc(
		    conversation->steps, conversation->room * sizeof(*conversation->steps)));
	}
	step = &conversation->steps[conversation->count++];
	*step = (struct conversation_step){
	    .kind = kind,
	    .flags = conversation_default_flags(kind),
	};
	return step;
}

unsigned int conversation_find_file(const struct conversation *conversation, const char *name)
{
	unsigned int i;

	for (i = 0; i < conversation->files; i++) {
		if (strcmp(conversation_file(conversation, i)->name, name) == 0)
			break;
	}
	return i;
}

const struct conversation_step *conversation_file(const struct conversation *conversation,
                                                  unsigned int file)
{
	return &conversation->steps[conversation->file_step[file]];
}

struct conversation_step *conversation_add_file(struct conversation *conversation,
                                                enum conversation_file_kind kind, const char *name,
                                                uint64_t size)
{
	struct conversation_step *step;

	if (conversation->files == CONVERSATION_FILES_MAX || strlen(name) > CONVERSATION_NAME_MAX ||
	    conversation_find_file(conversation, name) < conversation->files)
		return NULL;
	step = conversation_add(conversation, CONVERSATION_FILE);
	if (!step)
		return NULL;
	step->file_kind = kind;
	step->number = size;
	memcpy(step->name, name, strlen(name) + 1);
	step->file = conversation->files;
	conversation->file_step[conversation->files++] = conversation->count - 1;
	return step;
}

bool conversation_append(struct conversation_step *step, const void *bytes, size_t len)
{
	if (len > CONVERSATION_BYTES_MAX - step->len)
		return false;
	if (len == 0)
		return true;
	step->bytes = must(realloc(step->bytes, step->len + len));
	memcpy(step->bytes + step->len, bytes, len);
	step->len += (uint32_t)len;
	return true;
}

void conversation_set_mask(struct conversation_step *step, uint8_t value)
{
	free(step->mask);
	step->mask = NULL;
	if (step->len == 0)
		return;
	step->mask = must(malloc(step->len));
	memset(step->mask, value, step->len);
}

/* Which kind a step's file has to be; 0: any. */
static enum conversation_file_kind fitting(enum conversation_kind kind)
{
	switch (kind) {
	case CONVERSATION_WRITE:
	case CONVERSATION_TRUNCATE:
	case CONVERSATION_EXPECT_MEMORY:
		return CONVERSATION_MEMFD;
	case CONVERSATION_KICK:
	case CONVERSATION_EXPECT_CALL:
	case CONVERSATION_EXPECT_NO_CALL:
	case CONVERSATION_EXPECT_ERROR:
		return CONVERSATION_EVENTFD;
	case CONVERSATION_EXPECT_CONFIG_CHANGE:
		return CONVERSATION_SOCKET;
	default:
		return 0;
	}
}

static const char *judge_file(const struct conversation *conversation,
                              const struct conversation_step *step)
{
	enum conversation_file_kind kind = fitting(step->kind);

	if (step->file >= conversation->files)
		return "no such file";
	if (kind != 0 && conversation_file(conversation, step->file)->file_kind != kind)
		return "a file of another kind is needed";
	return NULL;
}

static const char *judge_number(const struct conversation_step *step)
{
	switch (step->kind) {
	case CONVERSATION_FILE:
	case CONVERSATION_TRUNCATE:
		return step->number > CONVERSATION_MEMORY_MAX ? "too large a file" : NULL;
	case CONVERSATION_WRITE:
	case CONVERSATION_EXPECT_MEMORY:
		return step->number > CONVERSATION_MEMORY_MAX - step->len ? "too large an offset"
		                                                          : NULL;
	case CONVERSATION_PAUSE:
		return step->number > CONVERSATION_PAUSE_MAX ? "too long a pause" : NULL;
	default:
		return NULL;
	}
}

static const char *judge_fds(const struct conversation *conversation,
                             const struct conversation_step *step, uint32_t whole)
{
	for (uint32_t i = 0; i < step->fds_count; i++) {
		if (step->fds[i] >= conversation->files)
			return "no such file";
	}
	if (step->fds_count > 0 && step->fds_at >= whole)
		return "descriptors behind the end of the message";
	for (uint32_t i = 0; i < step->splits_count; i++) {
		if (step->splits[i] >= whole || step->splits[i] == 0 ||
		    (i > 0 && step->splits[i] <= step->splits[i - 1]))
			return "a split that isn't inside the message, behind the one before";
	}
	return NULL;
}

const char *conversation_judge(const struct conversation *conversation,
                               const struct conversation_step *step)
{
	unsigned int has = conversation_kind_has(step->kind);
	uint32_t header = has & CONVERSATION_HAS_HEADER ? 12 : 0;
	const char *wrong = NULL;

	if (has & CONVERSATION_HAS_FILE)
		wrong = judge_file(conversation, step);
	if (!wrong && (has & CONVERSATION_HAS_NUMBER))
		wrong = judge_number(step);
	if (!wrong && (has & CONVERSATION_HAS_FDS))
		wrong = judge_fds(conversation, step, header + step->len);
	return wrong;
}
