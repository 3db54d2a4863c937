/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Conversations into text, each step in one canonical way. */
#include "conversation.h"

#include <inttypes.h>
#include <string.h>

static bool all_zero(const uint8_t *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

/* What fields of 8 and 4 bytes say is easier to read as numbers, long runs of zeros as a count. */
static void print_bytes(const uint8_t *bytes, uint32_t len, FILE *to)
{
	if (len > 16 && all_zero(bytes, len)) {
		fprintf(to, " zeros=%" PRIu32, len);
		return;
	}
	if (len <= 512 && len % 4 == 0) {
		for (uint32_t at = 0; at < len; at += 4)
			fprintf(
			    to, " u32=0x%x",
			    (unsigned int)(bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16) |
				(unsigned int)bytes[at + 3] << 24);
		return;
	}
	if (len > 0)
		fprintf(to, " hex=");
	for (uint32_t i = 0; i < len; i++)
		fprintf(to, "%02x", bytes[i]);
}

static void print_fds(const struct conversation *conversation, const struct conversation_step *step,
                      FILE *to)
{
	for (uint32_t i = 0; i < step->fds_count; i++)
		fprintf(to, "%s%s", i == 0 ? " fds=" : ",",
		        conversation_file(conversation, step->fds[i])->name);
	if (step->fds_at != 0)
		fprintf(to, " fds-at=%" PRIu32, step->fds_at);
	for (uint32_t i = 0; i < step->splits_count; i++)
		fprintf(to, "%s%" PRIu32, i == 0 ? " split=" : ",", step->splits[i]);
}

static void print_header(const struct conversation_step *step, FILE *to)
{
	if (step->kind == CONVERSATION_SEND && step->flags == 9)
		fprintf(to, " need-reply");
	else if (step->flags != conversation_default_flags(step->kind))
		fprintf(to, " flags=0x%" PRIx32, step->flags);
	if (step->size != step->len)
		fprintf(to, " size=%" PRIu32, step->size);
}

static void print_request(uint32_t request, FILE *to)
{
	const char *name = conversation_request_name(request);

	if (name)
		fprintf(to, " %s", name);
	else
		fprintf(to, " %" PRIu32, request);
}

static void print_file(const struct conversation_step *step, FILE *to)
{
	fprintf(to, " %s %s", step->name, conversation_file_kind_name(step->file_kind));
	if (step->file_kind == CONVERSATION_MEMFD)
		fprintf(to, " 0x%" PRIx64, step->number);
}

void conversation_print_step(const struct conversation *conversation,
                             const struct conversation_step *step, FILE *to)
{
	unsigned int has = conversation_kind_has(step->kind);

	fprintf(to, "%s", conversation_kind_name(step->kind));
	if (has & CONVERSATION_HAS_NAME)
		print_file(step, to);
	if (has & CONVERSATION_HAS_REQUEST)
		print_request(step->request, to);
	if (has & CONVERSATION_HAS_FILE)
		fprintf(to, " %s", conversation_file(conversation, step->file)->name);
	if ((has & CONVERSATION_HAS_NUMBER) && !(has & CONVERSATION_HAS_NAME))
		fprintf(to, step->number < 10 ? " %" PRIu64 : " 0x%" PRIx64, step->number);
	if (has & CONVERSATION_HAS_HEADER)
		print_header(step, to);
	if (has & CONVERSATION_HAS_FDS)
		print_fds(conversation, step, to);
	if (has & CONVERSATION_HAS_BYTES)
		print_bytes(step->bytes, step->len, to);
	if (step->mask) {
		fprintf(to, " mask");
		print_bytes(step->mask, step->len, to);
	}
}

void conversation_print(const struct conversation *conversation, FILE *to)
{
	fprintf(to, "conversation 1\n");
	for (unsigned int i = 0; i < conversation->count; i++) {
		conversation_print_step(conversation, &conversation->steps[i], to);
		fputc('\n', to);
	}
}
