/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/telnet_codec.h"

#include "base/macros.h"

#include <libtelnet.h>
#include <stdlib.h>
#include <string.h>

/* Linux's hvc takes this byte for the key that begins a sysrq command. */
#define SYSRQ 0x0f

/* Each byte of the guest's may become two. So much is sent in one piece; less is ever touched. */
#define STAGE_BYTES (64u * 1024)

struct telnet_codec {
	telnet_t *library;
	struct stage stage;
	struct telnet_codec_user *user;
	struct byte_ring *input; /* while receiving */
	bool break_is_sysrq;
	bool binary; /* what the client sends: its line ends are bytes like others */
	bool after_cr;
	bool overflown; /* answers didn't fit */
	uint8_t bytes[STAGE_BYTES];
};

/* What the client may switch on or off; everything else is refused by the library. */
static const telnet_telopt_t options[] = {
    {TELNET_TELOPT_ECHO, TELNET_WILL, TELNET_DONT},
    {TELNET_TELOPT_SGA, TELNET_WILL, TELNET_DO},
    {TELNET_TELOPT_BINARY, TELNET_WILL, TELNET_DO},
    {TELNET_TELOPT_NAWS, TELNET_WONT, TELNET_DO},
    {-1, 0, 0},
};

static void put(struct telnet_codec *codec, uint8_t byte)
{
	byte_ring_put(codec->input, &byte, 1);
}

/*
 * Without binary transmission a carriage return comes with a line feed or a NUL (RFC 854): the
 * guest is meant to get the key alone.
 */
static void take_data(struct telnet_codec *codec, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool second = codec->after_cr && (bytes[i] == '\n' || bytes[i] == '\0');

		codec->after_cr = !codec->binary && bytes[i] == '\r';
		if (!second)
			put(codec, (uint8_t)bytes[i]);
	}
}

static void take_command(struct telnet_codec *codec, unsigned char command)
{
	static const char here[] = "\r\n[vhost-user-console: here]\r\n";

	if (command == TELNET_AYT)
		codec->overflown |= !stage_append(&codec->stage, here, sizeof(here) - 1);
	else if (command == TELNET_IP)
		put(codec, 0x03);
	else if (command == TELNET_BREAK && codec->break_is_sysrq)
		put(codec, SYSRQ);
}

/* "Negotiate About Window Size", RFC 1073. */
static void take_subnegotiation(struct telnet_codec *codec, const telnet_event_t *event)
{
	const uint8_t *bytes = (const uint8_t *)event->sub.buffer;

	if (event->sub.telopt != TELNET_TELOPT_NAWS || event->sub.size != 4)
		return;
	codec->user->resized(codec->user, (uint16_t)(bytes[0] << 8 | bytes[1]),
	                     (uint16_t)(bytes[2] << 8 | bytes[3]));
}

static void on_event(telnet_t *library, telnet_event_t *event, void *user)
{
	struct telnet_codec *codec = user;

	(void)library;
	switch (event->type) {
	case TELNET_EV_DATA:
		take_data(codec, event->data.buffer, event->data.size);
		break;
	case TELNET_EV_SEND:
		codec->overflown |=
		    !stage_append(&codec->stage, event->data.buffer, event->data.size);
		break;
	case TELNET_EV_IAC:
		take_command(codec, event->iac.cmd);
		break;
	case TELNET_EV_WILL:
	case TELNET_EV_WONT:
		if (event->neg.telopt == TELNET_TELOPT_BINARY)
			codec->binary = event->type == TELNET_EV_WILL;
		break;
	case TELNET_EV_SUBNEGOTIATION:
		take_subnegotiation(codec, event);
		break;
	default: /* the rest concerns options that were refused, or is a warning */
		break;
	}
}

/* All bytes but one are as they are: only that goes through the library, which looks at each. */
static void encode(struct stage *stage, const void *bytes, size_t len)
{
	telnet_t *library = container_of(stage, struct telnet_codec, stage)->library;
	const char *at = bytes, *end = at + len;

	while (at < end) {
		const char *iac = memchr(at, TELNET_IAC, (size_t)(end - at));
		size_t plain = (size_t)((iac ? iac : end) - at);

		stage_append(stage, at, plain);
		at += plain;
		if (iac)
			telnet_send(library, at++, 1);
	}
}

static void negotiate(telnet_t *library)
{
	telnet_negotiate(library, TELNET_WILL, TELNET_TELOPT_ECHO);
	telnet_negotiate(library, TELNET_WILL, TELNET_TELOPT_SGA);
	telnet_negotiate(library, TELNET_DO, TELNET_TELOPT_SGA);
	telnet_negotiate(library, TELNET_WILL, TELNET_TELOPT_BINARY);
	telnet_negotiate(library, TELNET_DO, TELNET_TELOPT_BINARY);
	telnet_negotiate(library, TELNET_DO, TELNET_TELOPT_NAWS);
}

struct telnet_codec *telnet_codec_new(struct reader *reader, struct telnet_codec_user *user,
                                      bool break_is_sysrq)
{
	struct telnet_codec *codec = calloc(1, sizeof(*codec));

	if (!codec)
		return NULL;
	codec->user = user;
	codec->break_is_sysrq = break_is_sysrq;
	stage_init(&codec->stage, reader, codec->bytes, sizeof(codec->bytes));
	codec->stage.encode = encode;
	codec->stage.growth = 2;
	codec->library = telnet_init(options, on_event, 0, codec);
	if (!codec->library) {
		free(codec);
		return NULL;
	}
	negotiate(codec->library);
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

bool telnet_codec_receive(struct telnet_codec *codec, const void *bytes, size_t len,
                          struct byte_ring *input)
{
	codec->input = input;
	telnet_recv(codec->library, bytes, len);
	return !codec->overflown;
}
