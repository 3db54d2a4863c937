/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The telnet protocol of one client (RFC 854 to 858, 1073): character mode without local echo, and
 * the size of the window. Which options are on is libtelnet's to agree on with the client.
 *
 * Nothing but negotiations reaches the library, whatever the client sends: what a library does with
 * other things (Debian's inflates what was never agreed on) is its own affair. What comes out for
 * the guest is bounded where it is put.
 *
 * Bytes in, bytes out: it must not see a socket.
 */
#ifndef BACKENDS_TELNET_CODEC_H
#define BACKENDS_TELNET_CODEC_H

#include "backends/stage.h"
#include "base/byte_ring.h"

struct telnet_codec;

/* Embedded in whoever the client is. */
struct telnet_codec_user {
	/* The client's window has a size, in characters. */
	void (*resized)(struct telnet_codec_user *user, uint16_t cols, uint16_t rows);
};

struct telnet_codec_config {
	bool data; /* bytes for a data port, not a console's keys */
	/* A BREAK becomes the byte that Linux's hvc takes for the sysrq key, else it is nothing. */
	bool break_is_sysrq;
};

/*
 * What the client is sent, our side of the negotiation first, is in telnet_codec_stage(); there it
 * is encoded. NULL if there is no memory.
 */
struct telnet_codec *telnet_codec_new(struct reader *reader, struct telnet_codec_user *user,
                                      const struct telnet_codec_config *config);
void telnet_codec_free(struct telnet_codec *codec);

struct stage *telnet_codec_stage(struct telnet_codec *codec);

/*
 * Takes `len` bytes from the client and puts what is meant for the guest into `input`: at most as
 * many, and never more than it has room for. Returns NULL, or why the client can't be served any
 * more (a text that lives for ever): it asks for answers and doesn't take them, or more than there
 * is room for would have come out.
 */
const char *telnet_codec_receive(struct telnet_codec *codec, const void *bytes, size_t len,
                                 struct byte_ring *input);

#endif
