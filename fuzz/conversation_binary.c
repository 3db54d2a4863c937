/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Conversations into bytes and back. Each step says its kind, then what steps of the kind have, in
 * the order of CONVERSATION_HAS_...; so a reader is a walk over those bits.
 */
#include "conversation.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t magic[8] = {'v', 'h', 'o', 's', 't', 'c', 'o', 1};

/* Writing. */

static void put(FILE *to, uint64_t value, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		fputc((int)(value >> 8 * i & 0xff), to);
}

static void put_fds(const struct conversation_step *step, FILE *to)
{
	put(to, step->fds_at, 4);
	put(to, step->fds_count, 1);
	fwrite(step->fds, 1, step->fds_count, to);
	put(to, step->splits_count, 1);
	for (uint32_t i = 0; i < step->splits_count; i++)
		put(to, step->splits[i], 4);
}

static void put_bytes(const uint8_t *bytes, uint32_t len, FILE *to)
{
	if (len > 0)
		fwrite(bytes, 1, len, to);
}

static void encode_step(const struct conversation_step *step, FILE *to)
{
	unsigned int has = conversation_kind_has(step->kind);

	put(to, step->kind, 1);
	if (has & CONVERSATION_HAS_REQUEST)
		put(to, step->request, 4);
	if (has & CONVERSATION_HAS_FILE)
		put(to, step->file, 1);
	if (has & CONVERSATION_HAS_NUMBER)
		put(to, step->number, 8);
	if (has & CONVERSATION_HAS_HEADER) {
		put(to, step->flags, 4);
		put(to, step->size, 4);
	}
	if (has & CONVERSATION_HAS_FDS)
		put_fds(step, to);
	if (has & CONVERSATION_HAS_BYTES) {
		put(to, step->len, 4);
		put_bytes(step->bytes, step->len, to);
	}
	if (has & CONVERSATION_HAS_MASK) {
		put(to, step->mask != NULL, 1);
		put_bytes(step->mask, step->mask ? step->len : 0, to);
	}
	if (has & CONVERSATION_HAS_NAME) {
		put(to, step->file_kind, 1);
		put(to, strlen(step->name), 1);
		fputs(step->name, to);
	}
}

void conversation_encode(const struct conversation *conversation, FILE *to)
{
	fwrite(magic, 1, sizeof(magic), to);
	for (unsigned int i = 0; i < conversation->count; i++)
		encode_step(&conversation->steps[i], to);
}

/* Reading. */

struct decoder {
	struct conversation *conversation;
	const uint8_t *at, *end;
	const char *why; /* what is wrong, once something is */
};

static const uint8_t *take(struct decoder *decoder, size_t len)
{
	const uint8_t *bytes = decoder->at;

	if (decoder->why || (size_t)(decoder->end - decoder->at) < len) {
		decoder->why = decoder->why ? decoder->why : "ends in the middle of a step";
		return NULL;
	}
	decoder->at += len;
	return bytes;
}

static uint64_t get(struct decoder *decoder, unsigned int size)
{
	const uint8_t *bytes = take(decoder, size);
	uint64_t value = 0;

	for (unsigned int i = 0; bytes && i < size; i++)
		value |= (uint64_t)bytes[i] << 8 * i;
	return value;
}

static uint32_t get_count(struct decoder *decoder, uint32_t max)
{
	uint32_t count = (uint32_t)get(decoder, 1);

	if (count > max && !decoder->why)
		decoder->why = "a count that is too large";
	return decoder->why ? 0 : count;
}

static void get_fds(struct decoder *decoder, struct conversation_step *step)
{
	const uint8_t *fds;

	step->fds_at = (uint32_t)get(decoder, 4);
	step->fds_count = get_count(decoder, CONVERSATION_FDS_MAX);
	fds = take(decoder, step->fds_count);
	if (fds)
		memcpy(step->fds, fds, step->fds_count);
	step->splits_count = get_count(decoder, CONVERSATION_SPLITS_MAX);
	for (uint32_t i = 0; i < step->splits_count; i++)
		step->splits[i] = (uint32_t)get(decoder, 4);
}

static void get_bytes(struct decoder *decoder, struct conversation_step *step)
{
	uint32_t len = (uint32_t)get(decoder, 4);
	const uint8_t *bytes = take(decoder, len);

	if (bytes && !conversation_append(step, bytes, len))
		decoder->why = "more bytes than a step may have";
}

static void get_mask(struct decoder *decoder, struct conversation_step *step)
{
	const uint8_t *bytes;

	if (get_count(decoder, 1) == 0)
		return;
	bytes = take(decoder, step->len);
	conversation_set_mask(step, 0);
	if (bytes && step->len > 0)
		memcpy(step->mask, bytes, step->len);
}

static void decode_file(struct decoder *decoder, uint64_t size)
{
	enum conversation_file_kind kind = (enum conversation_file_kind)get(decoder, 1);
	uint32_t len = get_count(decoder, CONVERSATION_NAME_MAX);
	const uint8_t *bytes = take(decoder, len);
	char name[CONVERSATION_NAME_MAX + 1] = "";

	if (!bytes)
		return;
	memcpy(name, bytes, len);
	if (!conversation_file_kind_name(kind) || len == 0 ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
		decoder->why = "a file of no kind, or with no name";
	else if (size > (kind == CONVERSATION_MEMFD ? CONVERSATION_MEMORY_MAX : 0))
		decoder->why = "too large a file";
	else if (!conversation_add_file(decoder->conversation, kind, name, size))
		decoder->why = "too many files, or two of the same name";
}

static void decode_fields(struct decoder *decoder, struct conversation_step *step)
{
	unsigned int has = conversation_kind_has(step->kind);

	if (has & CONVERSATION_HAS_REQUEST)
		step->request = (uint32_t)get(decoder, 4);
	if (has & CONVERSATION_HAS_FILE)
		step->file = (unsigned int)get(decoder, 1);
	if (has & CONVERSATION_HAS_NUMBER)
		step->number = get(decoder, 8);
	if (has & CONVERSATION_HAS_HEADER) {
		step->flags = (uint32_t)get(decoder, 4);
		step->size = (uint32_t)get(decoder, 4);
	}
	if (has & CONVERSATION_HAS_FDS)
		get_fds(decoder, step);
	if (has & CONVERSATION_HAS_BYTES)
		get_bytes(decoder, step);
	if (has & CONVERSATION_HAS_MASK)
		get_mask(decoder, step);
}

static void decode_step(struct decoder *decoder)
{
	enum conversation_kind kind = (enum conversation_kind)get(decoder, 1);
	struct conversation_step *step;

	if (!conversation_kind_name(kind)) {
		decoder->why = "a step of no kind";
		return;
	}
	if (kind == CONVERSATION_FILE) {
		decode_file(decoder, get(decoder, 8));
		return;
	}
	step = conversation_add(decoder->conversation, kind);
	if (!step) {
		decoder->why = "too many steps";
		return;
	}
	decode_fields(decoder, step);
	if (!decoder->why)
		decoder->why = conversation_judge(decoder->conversation, step);
}

bool conversation_decode(struct conversation *conversation, const uint8_t *bytes, size_t len,
                         struct conversation_error *ret_error)
{
	struct decoder decoder = {conversation, bytes, bytes + len, NULL};
	const uint8_t *first = take(&decoder, sizeof(magic));

	if (!first || memcmp(first, magic, sizeof(magic)) != 0)
		decoder.why = "not a conversation's binary form";
	while (!decoder.why && decoder.at < decoder.end)
		decode_step(&decoder);
	if (decoder.why)
		snprintf(ret_error->text, sizeof(ret_error->text), "byte %zu: %s",
		         (size_t)(decoder.at - bytes), decoder.why);
	return !decoder.why;
}

bool conversation_read(struct conversation *conversation, const uint8_t *bytes, size_t len,
                       struct conversation_error *ret_error)
{
	if (len >= sizeof(magic) && memcmp(bytes, magic, sizeof(magic) - 1) == 0)
		return conversation_decode(conversation, bytes, len, ret_error);
	return conversation_parse(conversation, (const char *)bytes, len, ret_error);
}
