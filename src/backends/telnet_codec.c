/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/telnet_codec.h"

#include "backends/telnet_parser.h"
#include "base/macros.h"

#include <libtelnet.h>
#include <stdlib.h>
#include <string.h>

/* Linux's hvc takes this byte for the key that begins a sysrq command. */
#define SYSRQ 0x0f

/* So much of the guest's output is sent in one piece, encoded; less is ever touched. */
#define OUTPUT_BYTES (64u * 1024)
/* What of answers waits at most, also while the output waits. */
#define ANSWER_BYTES (8u * 1024)

struct telnet_codec {
	struct telnet_parser parser;
	telnet_t *library; /* agrees on options (RFC 1143), and is given nothing but negotiations */
	struct stage stage;
	struct telnet_codec_user *user;
	struct telnet_codec_config config;
	struct byte_ring *input; /* while receiving */
	bool binary;             /* the client sends binary */
	bool tells_window;       /* it was agreed that the client tells its window's size */
	bool after_cr;
	const char *why; /* it isn't served any more */
	uint8_t bytes[OUTPUT_BYTES + ANSWER_BYTES];
};

/* What the client may switch on or off; everything else is refused by the library. */
static const telnet_telopt_t options[] = {
    {TELNET_TELOPT_ECHO, TELNET_WILL, TELNET_DONT},
    {TELNET_TELOPT_SGA, TELNET_WILL, TELNET_DO},
    {TELNET_TELOPT_BINARY, TELNET_WILL, TELNET_DO},
    {TELNET_TELOPT_NAWS, TELNET_WONT, TELNET_DO},
    {-1, 0, 0},
};

/* All that reaches the guest goes through here: never more than there is room for. */
static void put(struct telnet_codec *codec, const uint8_t *bytes, size_t len)
{
	size_t room = byte_ring_free(codec->input);

	if (len > room)
		codec->why = "more came out of its input than there was room for";
	byte_ring_put(codec->input, bytes, MIN(len, room));
}

static void answer(struct telnet_codec *codec, const void *bytes, size_t len)
{
	if (!stage_append(&codec->stage, bytes, len))
		codec->why = "it asks and doesn't listen";
}

/*
 * Enter is CR LF or CR NUL (RFC 854), and with some clients that is so whether or not they have
 * agreed to send binary. A console's guest is meant to get the key alone, CR. A data port's is
 * meant to get bytes: what is sent as binary is passed as it is.
 */
static void take_data(struct telnet_codec *codec, const uint8_t *bytes, size_t len)
{
	const uint8_t *at = bytes, *end = bytes + len;

	if (codec->after_cr && (*at == '\n' || *at == '\0'))
		at++;
	codec->after_cr = false;
	while (at < end) {
		const uint8_t *cr = memchr(at, '\r', (size_t)(end - at));
		const uint8_t *next = cr ? cr + 1 : end;

		put(codec, at, (size_t)(next - at));
		at = next;
		if (!cr || (codec->config.data && codec->binary))
			continue;
		codec->after_cr = at == end;
		if (at < end && (*at == '\n' || *at == '\0'))
			at++;
	}
}

static void press(struct telnet_codec *codec, uint8_t key)
{
	codec->after_cr = false;
	put(codec, &key, 1);
}

/* The key that a command stands for (RFC 1184's special characters as Unix has them), or 0. */
static uint8_t key_of(const struct telnet_codec *codec, uint8_t command)
{
	switch (command) {
	case TELNET_CODE_EOF:
		return 0x04; /* Ctrl-D */
	case TELNET_CODE_SUSP:
		return 0x1a; /* Ctrl-Z */
	case TELNET_CODE_ABORT:
		return 0x1c; /* Ctrl-\ */
	case TELNET_CODE_IP:
		return 0x03; /* Ctrl-C */
	case TELNET_CODE_EC:
		return 0x7f; /* backspace */
	case TELNET_CODE_EL:
		return 0x15; /* Ctrl-U */
	case TELNET_CODE_BREAK:
		return codec->config.break_is_sysrq ? SYSRQ : 0;
	default:
		return 0;
	}
}

/* A data port has no keyboard. */
static void take_command(struct telnet_codec *codec, uint8_t command)
{
	static const char here[] = "\r\n[vhost-user-console: here]\r\n";
	uint8_t key = codec->config.data ? 0 : key_of(codec, command);

	if (command == TELNET_CODE_AYT)
		answer(codec, here, sizeof(here) - 1);
	else if (key)
		press(codec, key);
}

static void take_negotiation(struct telnet_codec *codec, const struct telnet_part *part)
{
	const uint8_t bytes[] = {TELNET_CODE_IAC, part->code, part->option};

	telnet_recv(codec->library, (const char *)bytes, sizeof(bytes));
}

/*
 * "Negotiate About Window Size", RFC 1073. What belongs to an option that isn't agreed on is
 * ignored (RFC 855): no other with subnegotiations ever is.
 */
static void take_subnegotiation(struct telnet_codec *codec, const struct telnet_part *part)
{
	const uint8_t *bytes = part->bytes;

	if (part->option != TELNET_TELOPT_NAWS || !codec->tells_window || part->len != 4)
		return;
	codec->user->resized(codec->user, (uint16_t)(bytes[0] << 8 | bytes[1]),
	                     (uint16_t)(bytes[2] << 8 | bytes[3]));
}

static void take_part(struct telnet_codec *codec, const struct telnet_part *part)
{
	switch (part->kind) {
	case TELNET_PART_NONE:
		break;
	case TELNET_PART_DATA:
		take_data(codec, part->bytes, part->len);
		break;
	case TELNET_PART_COMMAND:
		take_command(codec, part->code);
		break;
	case TELNET_PART_NEGOTIATION:
		take_negotiation(codec, part);
		break;
	case TELNET_PART_SUBNEGOTIATION:
		take_subnegotiation(codec, part);
		break;
	}
}

/* The client has agreed to do something, or does it no more. */
static void take_agreement(struct telnet_codec *codec, uint8_t option, bool on)
{
	if (option == TELNET_TELOPT_BINARY)
		codec->binary = on;
	else if (option == TELNET_TELOPT_NAWS)
		codec->tells_window = on;
}

/* What the library has to say of a negotiation, or of an option that it offers for us. */
static void on_event(telnet_t *library, telnet_event_t *event, void *user)
{
	struct telnet_codec *codec = user;

	(void)library;
	if (event->type == TELNET_EV_SEND)
		answer(codec, event->data.buffer, event->data.size);
	else if (event->type == TELNET_EV_WILL || event->type == TELNET_EV_WONT)
		take_agreement(codec, event->neg.telopt, event->type == TELNET_EV_WILL);
}

/* All bytes but one are as they are: that one comes twice. */
static size_t encode(struct stage *stage, const uint8_t *bytes, size_t len)
{
	static const uint8_t escaped[] = {TELNET_CODE_IAC, TELNET_CODE_IAC};
	size_t at = 0;

	while (at < len && stage_room(stage) >= sizeof(escaped)) {
		const uint8_t *iac = memchr(bytes + at, TELNET_CODE_IAC, len - at);
		size_t plain = iac ? (size_t)(iac - bytes) - at : len - at;

		if (plain == 0) {
			stage_append(stage, escaped, sizeof(escaped));
			at++;
		} else {
			plain = MIN(plain, stage_room(stage));
			stage_append(stage, bytes + at, plain);
			at += plain;
		}
	}
	return at;
}

/*
 * A console's client isn't asked to send binary: all send eight bits without, and of those that
 * agree some still send CR LF for Enter, some LF.
 */
static void negotiate(struct telnet_codec *codec)
{
	telnet_t *library = codec->library;

	telnet_negotiate(library, TELNET_WILL, TELNET_TELOPT_ECHO);
	telnet_negotiate(library, TELNET_WILL, TELNET_TELOPT_SGA);
	telnet_negotiate(library, TELNET_DO, TELNET_TELOPT_SGA);
	telnet_negotiate(library, TELNET_WILL, TELNET_TELOPT_BINARY);
	if (codec->config.data)
		telnet_negotiate(library, TELNET_DO, TELNET_TELOPT_BINARY);
	telnet_negotiate(library, TELNET_DO, TELNET_TELOPT_NAWS);
}

struct telnet_codec *telnet_codec_new(struct reader *reader, struct telnet_codec_user *user,
                                      const struct telnet_codec_config *config)
{
	struct telnet_codec *codec = calloc(1, sizeof(*codec));

	if (!codec)
		return NULL;
	codec->user = user;
	codec->config = *config;
	stage_init(&codec->stage, reader, codec->bytes, sizeof(codec->bytes));
	codec->stage.encode = encode;
	codec->stage.reserve = ANSWER_BYTES;
	codec->library = telnet_init(options, on_event, 0, codec);
	if (!codec->library) {
		free(codec);
		return NULL;
	}
	negotiate(codec);
	return codec;
}

void telnet_codec_free(struct telnet_codec *codec)
{
	if (!codec)
		return;
	telnet_free(codec->library);
	free(codec);
}

struct stage *telnet_codec_stage(struct telnet_codec *codec)
{
	return &codec->stage;
}

const char *telnet_codec_receive(struct telnet_codec *codec, const void *bytes, size_t len,
                                 struct byte_ring *input)
{
	const uint8_t *at = bytes;
	struct telnet_part part;

	codec->input = input;
	while (len > 0 && !codec->why) {
		size_t taken = telnet_parser_take(&codec->parser, at, len, &part);

		take_part(codec, &part);
		at += taken;
		len -= taken;
	}
	return codec->why;
}
