/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Splits what a telnet client sends (RFC 854, 855) into data, commands, negotiations and
 * subnegotiations, in whatever pieces the bytes come.
 *
 * It promises that what comes out is never longer than what went in, that it keeps no more than
 * TELNET_SUBNEGOTIATION_MAX bytes whatever the client sends, and that a subnegotiation comes out
 * whole or not at all. It must not allocate, nor know which options are agreed on.
 */
#ifndef BACKENDS_TELNET_PARSER_H
#define BACKENDS_TELNET_PARSER_H

#include <stddef.h>
#include <stdint.h>

/* RFC 854; ABORT, SUSP and EOF are RFC 1184's. */
enum {
	TELNET_CODE_EOF = 236,
	TELNET_CODE_SUSP = 237,
	TELNET_CODE_ABORT = 238,
	TELNET_CODE_SE = 240,
	TELNET_CODE_BREAK = 243,
	TELNET_CODE_IP = 244,
	TELNET_CODE_AYT = 246,
	TELNET_CODE_EC = 247,
	TELNET_CODE_EL = 248,
	TELNET_CODE_SB = 250,
	TELNET_CODE_WILL = 251,
	TELNET_CODE_WONT = 252,
	TELNET_CODE_DO = 253,
	TELNET_CODE_DONT = 254,
	TELNET_CODE_IAC = 255,
};

/* A window's size has so many bytes (RFC 1073). No longer subnegotiation is of any use here. */
#define TELNET_SUBNEGOTIATION_MAX 4u

enum telnet_part_kind {
	TELNET_PART_NONE, /* more bytes are needed, or what ended here is of no use */
	TELNET_PART_DATA,
	TELNET_PART_COMMAND,
	TELNET_PART_NEGOTIATION,
	TELNET_PART_SUBNEGOTIATION,
};

struct telnet_part {
	enum telnet_part_kind kind;
	uint8_t code;         /* of a command, or of a negotiation: WILL, WONT, DO or DONT */
	uint8_t option;       /* of a negotiation or a subnegotiation */
	const uint8_t *bytes; /* data, or a subnegotiation's, in which 255 isn't doubled any more */
	size_t len;
};

enum telnet_parser_state {
	TELNET_IN_DATA,
	TELNET_AFTER_IAC,
	TELNET_AFTER_VERB, /* WILL, WONT, DO or DONT */
	TELNET_AFTER_SB,
	TELNET_AFTER_SB_IAC,
	TELNET_IN_SUBNEGOTIATION,
	TELNET_IN_SUBNEGOTIATION_AFTER_IAC,
};

/* Zeroed: at the beginning of a connection. */
struct telnet_parser {
	enum telnet_parser_state state;
	uint8_t verb;
	uint8_t option;
	uint8_t kept[TELNET_SUBNEGOTIATION_MAX];
	size_t
	    len; /* of the subnegotiation; beyond TELNET_SUBNEGOTIATION_MAX it isn't counted on */
};

/*
 * Takes the first of `len` bytes, at least one, and writes what they are. Returns how many it has
 * taken, at least 1. The part's bytes are valid until the next call, or until `bytes` go.
 */
size_t telnet_parser_take(struct telnet_parser *parser, const uint8_t *bytes, size_t len,
                          struct telnet_part *ret_part);

#endif
