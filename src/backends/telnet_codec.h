/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The telnet protocol of one client (RFC 854 to 858, 1073), by libtelnet: character mode without
 * local echo, binary, and the size of the window.
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

/*
 * What the client is sent, our side of the negotiation first, is in telnet_codec_stage(); there it
 * is encoded. With `break_is_sysrq` a BREAK becomes the byte that Linux's hvc takes for the sysrq
 * key, else it is nothing. NULL if there is no memory.
 */
struct telnet_codec *telnet_codec_new(struct reader *reader, struct telnet_codec_user *user,
                                      bool break_is_sysrq);
void telnet_codec_free(struct telnet_codec *codec);

struct stage *telnet_codec_stage(struct telnet_codec *codec);

/*
 * Takes `len` bytes from the client and puts what is meant for the guest, at most as many, into
 * `input`, which has room for them. False if the client can't be served any more: it asks for
 * answers and doesn't take them.
 */
bool telnet_codec_receive(struct telnet_codec *codec, const void *bytes, size_t len,
                          struct byte_ring *input);

#endif
