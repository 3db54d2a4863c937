/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A machine of seven states over single bytes; runs of data are found by memchr.
 *
 * A command inside a subnegotiation, which RFC 855 doesn't know, ends the subnegotiation, which is
 * lost, and is taken for itself: so one that has lost its end costs no more than that.
 */
#include "backends/telnet_parser.h"

#include "base/macros.h"

#include <stdbool.h>
#include <string.h>

/* Option 85, MUD clients' first compression. */
#define OPTION_COMPRESS 85

static void begin_subnegotiation(struct telnet_parser *parser, uint8_t option)
{
	parser->option = option;
	parser->len = 0;
	parser->state = TELNET_IN_SUBNEGOTIATION;
}

static void keep(struct telnet_parser *parser, uint8_t byte)
{
	if (parser->len < TELNET_SUBNEGOTIATION_MAX)
		parser->kept[parser->len] = byte;
	if (parser->len <= TELNET_SUBNEGOTIATION_MAX)
		parser->len++;
}

static void end_subnegotiation(struct telnet_parser *parser, struct telnet_part *ret_part)
{
	parser->state = TELNET_IN_DATA;
	if (parser->len > TELNET_SUBNEGOTIATION_MAX)
		return;
	*ret_part = (struct telnet_part){.kind = TELNET_PART_SUBNEGOTIATION,
	                                 .option = parser->option,
	                                 .bytes = parser->kept,
	                                 .len = parser->len};
}

static void take_command(struct telnet_parser *parser, uint8_t code, struct telnet_part *ret_part)
{
	if (code >= TELNET_CODE_WILL && code <= TELNET_CODE_DONT) {
		parser->verb = code;
		parser->state = TELNET_AFTER_VERB;
	} else if (code == TELNET_CODE_SB) {
		parser->state = TELNET_AFTER_SB;
	} else {
		parser->state = TELNET_IN_DATA;
		*ret_part = (struct telnet_part){.kind = TELNET_PART_COMMAND, .code = code};
	}
}

/* COMPRESS, unlike every other, ends in WILL SE without an IAC: its specification's slip. */
static bool ends_compress(const struct telnet_parser *parser, uint8_t byte)
{
	return parser->option == OPTION_COMPRESS && parser->len == 1 &&
	       parser->kept[0] == TELNET_CODE_WILL && byte == TELNET_CODE_SE;
}

static void take_of_subnegotiation(struct telnet_parser *parser, uint8_t byte,
                                   struct telnet_part *ret_part)
{
	if (byte == TELNET_CODE_IAC)
		parser->state = TELNET_IN_SUBNEGOTIATION_AFTER_IAC;
	else if (ends_compress(parser, byte))
		end_subnegotiation(parser, ret_part);
	else
		keep(parser, byte);
}

static void take_after_iac_in_subnegotiation(struct telnet_parser *parser, uint8_t byte,
                                             struct telnet_part *ret_part)
{
	if (byte == TELNET_CODE_SE) {
		end_subnegotiation(parser, ret_part);
	} else if (byte == TELNET_CODE_IAC) {
		keep(parser, byte);
		parser->state = TELNET_IN_SUBNEGOTIATION;
	} else if (byte < TELNET_CODE_EOF) { /* no command: a 255 that should have been doubled */
		keep(parser, TELNET_CODE_IAC);
		keep(parser, byte);
		parser->state = TELNET_IN_SUBNEGOTIATION;
	} else {
		take_command(parser, byte, ret_part);
	}
}

/* Takes a byte that isn't data, or is an escaped 255. */
static void take_byte(struct telnet_parser *parser, const uint8_t *byte,
                      struct telnet_part *ret_part)
{
	switch (parser->state) {
	case TELNET_IN_DATA: /* IAC: the rest is taken in runs */
		parser->state = TELNET_AFTER_IAC;
		break;
	case TELNET_AFTER_IAC:
		if (*byte != TELNET_CODE_IAC) {
			take_command(parser, *byte, ret_part);
			break;
		}
		parser->state = TELNET_IN_DATA;
		*ret_part = (struct telnet_part){.kind = TELNET_PART_DATA, .bytes = byte, .len = 1};
		break;
	case TELNET_AFTER_VERB:
		parser->state = TELNET_IN_DATA;
		*ret_part = (struct telnet_part){
		    .kind = TELNET_PART_NEGOTIATION, .code = parser->verb, .option = *byte};
		break;
	case TELNET_AFTER_SB:
		if (*byte == TELNET_CODE_IAC)
			parser->state = TELNET_AFTER_SB_IAC;
		else
			begin_subnegotiation(parser, *byte);
		break;
	case TELNET_AFTER_SB_IAC: /* option 255, doubled; or there is no option */
		if (*byte == TELNET_CODE_IAC)
			begin_subnegotiation(parser, *byte);
		else
			take_command(parser, *byte, ret_part);
		break;
	case TELNET_IN_SUBNEGOTIATION:
		take_of_subnegotiation(parser, *byte, ret_part);
		break;
	case TELNET_IN_SUBNEGOTIATION_AFTER_IAC:
		take_after_iac_in_subnegotiation(parser, *byte, ret_part);
		break;
	}
}

size_t telnet_parser_take(struct telnet_parser *parser, const uint8_t *bytes, size_t len,
                          struct telnet_part *ret_part)
{
	const uint8_t *iac;
	size_t n = 0;

	*ret_part = (struct telnet_part){.kind = TELNET_PART_NONE};
	if (parser->state == TELNET_IN_DATA && bytes[0] != TELNET_CODE_IAC) {
		iac = memchr(bytes, TELNET_CODE_IAC, len);
		n = iac ? (size_t)(iac - bytes) : len;
		*ret_part =
		    (struct telnet_part){.kind = TELNET_PART_DATA, .bytes = bytes, .len = n};
		return n;
	}
	while (n < len && ret_part->kind == TELNET_PART_NONE &&
	       (n == 0 || parser->state != TELNET_IN_DATA))
		take_byte(parser, &bytes[n++], ret_part);
	return n;
}
