/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Numbered records. See records.h.
 */
#include "records.h"

#include "support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TELNET_SE = 240, TELNET_SB = 250, TELNET_IAC = 255 };

void record_writer_init(struct record_writer *writer, unsigned int guest, uint64_t dice)
{
	*writer = (struct record_writer){.stream = (uint64_t)guest << 52 | dice >> 12};
}

void record_write(struct record_writer *writer, char *bytes, unsigned int count)
{
	char text[RECORD_BYTES + 1];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "{%016" PRIX64 " %08X}", writer->stream,
		         writer->next++);
		memcpy(bytes + (size_t)i * RECORD_BYTES, text, RECORD_BYTES);
	}
}

void record_reader_init(struct record_reader *reader, unsigned int guest, bool gaps, bool telnet)
{
	*reader = (struct record_reader){.guest = guest, .gaps = gaps, .telnet = telnet};
}

static void judge(struct record_reader *reader, uint64_t stream, uint32_t number)
{
	bool follows = stream == reader->stream ? number == reader->last + 1 : number == 0;

	if (stream >> 52 != reader->guest)
		support_die("guest %u: record %016" PRIX64 " %08X of another", reader->guest,
		            stream, number);
	if (reader->begun && !follows && !reader->excused)
		support_die("guest %u: record %016" PRIX64 " %08X after %016" PRIX64 " %08X",
		            reader->guest, stream, number, reader->stream, reader->last);
	reader->stream = stream;
	reader->last = number;
	reader->begun = true;
	reader->excused = false;
}

/* Whether it is as record_write() writes it. */
static bool is_record(const char *line, uint64_t *ret_stream, uint32_t *ret_number)
{
	char text[RECORD_BYTES + 1];

	*ret_stream = strtoull(line + 1, NULL, 16);
	*ret_number = (uint32_t)strtoul(line + 18, NULL, 16);
	snprintf(text, sizeof(text), "{%016" PRIX64 " %08X}", *ret_stream, *ret_number);
	return strcmp(line, text) == 0;
}

/* One byte that is nobody's command. */
static void take(struct record_reader *reader, char byte)
{
	static const char gap[] = " bytes skipped]";
	uint64_t stream;
	uint32_t number;

	if (byte == '{' || byte == '[' || reader->len == sizeof(reader->line) - 1)
		reader->len = 0;
	reader->line[reader->len++] = byte;
	reader->line[reader->len] = 0;
	if (byte == '}' && reader->len == RECORD_BYTES && is_record(reader->line, &stream, &number))
		judge(reader, stream, number);
	else if (byte == ']' && reader->gaps && reader->len >= sizeof(gap) &&
	         strcmp(reader->line + reader->len - (sizeof(gap) - 1), gap) == 0)
		reader->excused = true;
}

/* Whether the byte is telnet's own. */
static bool is_command(struct record_reader *reader, uint8_t byte)
{
	enum { NONE, BEGUN, OPTION, INSIDE, INSIDE_BEGUN };

	switch (reader->command) {
	case NONE:
		reader->command = byte == TELNET_IAC ? BEGUN : NONE;
		return byte == TELNET_IAC;
	case BEGUN:
		reader->command = byte == TELNET_SB                       ? INSIDE
		                  : byte > TELNET_SB && byte < TELNET_IAC ? OPTION
		                                                          : NONE;
		return true;
	case INSIDE:
		reader->command = byte == TELNET_IAC ? INSIDE_BEGUN : INSIDE;
		return true;
	case INSIDE_BEGUN:
		reader->command = byte == TELNET_SE ? NONE : INSIDE;
		return true;
	default:
		reader->command = NONE;
		return true;
	}
}

void record_read(struct record_reader *reader, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == 'x' || (reader->telnet && is_command(reader, (uint8_t)bytes[i])))
			continue;
		take(reader, bytes[i]);
	}
}

bool record_is_level(const struct record_reader *reader, const struct record_writer *writer)
{
	return writer->next == 0 || (reader->begun && reader->stream == writer->stream &&
	                             reader->last + 1 == writer->next);
}
