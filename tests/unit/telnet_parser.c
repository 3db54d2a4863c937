/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what a telnet client's bytes are taken for (RFC 854, 855), wherever they are cut in pieces:
 * byte by byte and in all pairs and triples of pieces; and that no input makes the parser keep, or
 * give out, more than it may.
 */
#include "unit.h"

#include "backends/telnet_parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IAC  "\xff"
#define SE   "\xf0"
#define EC   "\xf7"
#define SB   "\xfa"
#define WILL "\xfb"
#define DO   "\xfd"

static struct {
	struct telnet_parser parser;
	char told[4096];
	size_t len;
} f;

static void tell(const char *format, unsigned int number)
{
	int n = snprintf(f.told + f.len, sizeof(f.told) - f.len, format, number);

	assert_in_range(n, 0, sizeof(f.told) - f.len - 1);
	f.len += (size_t)n;
}

static void tell_bytes(const struct telnet_part *part)
{
	for (size_t i = 0; i < part->len; i++) {
		bool plain = part->bytes[i] >= ' ' && part->bytes[i] <= '~';

		tell(plain ? "%c" : "\\%02x", part->bytes[i]);
	}
}

/* "data", then [command], {verb option} and <option:bytes>. */
static void tell_part(const struct telnet_part *part)
{
	switch (part->kind) {
	case TELNET_PART_NONE:
		return;
	case TELNET_PART_DATA:
		assert_true(part->len > 0);
		tell_bytes(part);
		break;
	case TELNET_PART_COMMAND:
		tell("[%u]", part->code);
		break;
	case TELNET_PART_NEGOTIATION:
		tell("{%u ", part->code);
		tell("%u}", part->option);
		break;
	case TELNET_PART_SUBNEGOTIATION:
		assert_true(part->len <= TELNET_SUBNEGOTIATION_MAX);
		tell("<%u:", part->option);
		tell_bytes(part);
		tell(">", 0);
		break;
	}
}

static void take(const char *bytes, size_t len)
{
	/* A copy of its own, so that a byte too far is seen. */
	uint8_t *copy = malloc(len + 1);
	size_t at = 0;

	memcpy(copy, bytes, len);
	while (at < len) {
		struct telnet_part part;
		size_t n = telnet_parser_take(&f.parser, copy + at, len - at, &part);

		assert_in_range(n, 1, len - at);
		assert_true(part.len <= n || part.kind == TELNET_PART_SUBNEGOTIATION);
		tell_part(&part);
		at += n;
	}
	free(copy);
}

static void begin(void)
{
	memset(&f, 0, sizeof(f));
}

static void expect_in_all_pieces(const char *bytes, size_t len, const char *told)
{
	for (size_t first = 0; first <= len; first++) {
		for (size_t second = first; second <= len; second++) {
			begin();
			take(bytes, first);
			take(bytes + first, second - first);
			take(bytes + second, len - second);
			assert_string_equal(f.told, told);
		}
	}
	begin();
	for (size_t i = 0; i < len; i++)
		take(bytes + i, 1);
	assert_string_equal(f.told, told);
}

#define ROW(bytes, told)                                                                           \
	{                                                                                          \
		bytes, sizeof(bytes) - 1, told                                                     \
	}

TEST(bytes_are_what_the_protocol_says)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *told;
	} rows[] = {
	    ROW("plain", "plain"),
	    ROW("\xf0\xfa\x80", "\\f0\\fa\\80"),
	    ROW("a" IAC IAC "b", "a\\ffb"),
	    ROW(IAC IAC IAC IAC, "\\ff\\ff"),
	    ROW("a" IAC EC "b", "a[247]b"),
	    ROW("a" IAC "\xec" IAC "\xed" IAC "\xee", "a[236][237][238]"),
	    ROW("a" IAC "xb", "a[120]b"), /* no command */
	    ROW("a" IAC SE "b", "a[240]b"),
	    ROW("a" IAC WILL "\x1f" IAC DO IAC "b", "a{251 31}{253 255}b"),
	    /* Subnegotiations. */
	    ROW("a" IAC SB "\x1f\0P\0\x18" IAC SE "b", "a<31:\\00P\\00\\18>b"),
	    ROW(IAC SB "\x1f\0" IAC IAC "\x01" IAC IAC IAC SE "b", "<31:\\00\\ff\\01\\ff>b"),
	    ROW(IAC SB "\x56" IAC SE "x\x9c", "<86:>x\\9c"),
	    ROW(IAC SB "\x55" IAC SE "x", "<85:>x"),
	    ROW(IAC SB "\x55" WILL SE "x", "<85:\\fb>x"),
	    ROW(IAC SB "\x56" WILL SE IAC SE "x", "<86:\\fb\\f0>x"),
	    ROW(IAC SB "\x1f\0" SE "\0\x18" IAC SE "x", "<31:\\00\\f0\\00\\18>x"),
	    ROW(IAC SB "\x45" IAC SE "x", "<69:>x"),            /* MSDP, MSSP and ZMP are */
	    ROW(IAC SB "\x5dzmp.ping" IAC SE "x", "x"),         /* longer */
	    ROW(IAC SB "\x27\0\0USER\1root" IAC SE "x", "x"),   /* NEW-ENVIRON */
	    ROW(IAC SB "\x18\0xterm" IAC SE IAC EC, "[247]"),   /* TTYPE */
	    ROW(IAC SB "\x18\0xterm" IAC IAC IAC SE "x", "x"),  /* the 255 is its */
	    ROW(IAC SB "\x1f\0P\0\x18\0" IAC SE "x", "x"),      /* too long by one */
	    ROW(IAC SB "\x1f\0P" IAC SE "x", "<31:\\00P>x"),    /* too short */
	    ROW(IAC SB IAC SE "x", "[240]x"),                   /* no option */
	    ROW(IAC SB IAC IAC "abc" IAC SE "x", "<255:abc>x"), /* option 255 */
	    ROW(IAC SB "\x1f\0" IAC "\0\0" IAC SE, "<31:\\00\\ff\\00\\00>"), /* undoubled */
	    /* A command in a subnegotiation ends it, and is itself. */
	    ROW(IAC SB "\x1f\0P" IAC EC "x", "[247]x"),
	    ROW(IAC SB "\x18\0xterm" IAC WILL "\x1fx", "{251 31}x"),
	    ROW(IAC SB "\x18\0xt" IAC SB "\x1f"
	               "abcd" IAC SE "x",
	        "<31:abcd>x"),
	    ROW(IAC SB IAC WILL "\x1fx", "{251 31}x"),
	    ROW(IAC SB IAC SB "\x1f"
	                      "abcd" IAC SE "x",
	        "<31:abcd>x"),
	    /* What has no end says nothing. */
	    ROW("a" IAC, "a"),
	    ROW("a" IAC WILL, "a"),
	    ROW("a" IAC SB, "a"),
	    ROW("a" IAC SB "\x56x\x9cxxxxxxxxxxxx", "a"),
	};

	for (size_t i = 0; i < ROWS(rows); i++)
		expect_in_all_pieces(rows[i].bytes, rows[i].len, rows[i].told);
}

/* Every sequence of so many of the bytes that mean something, and two that don't. */
TEST(no_sequence_gives_out_more_than_went_in)
{
	static const uint8_t bytes[] = {'a', 0, 31, 85, 240, 247, 250, 251, 255};
	enum { LEN = 6 };
	unsigned int sequences = 1;
	uint8_t sequence[LEN];

	for (unsigned int i = 0; i < LEN; i++)
		sequences *= sizeof(bytes);
	for (unsigned int number = 0; number < sequences; number++) {
		size_t out = 0;

		for (unsigned int i = 0, rest = number; i < LEN; i++, rest /= sizeof(bytes))
			sequence[i] = bytes[rest % sizeof(bytes)];
		memset(&f.parser, 0, sizeof(f.parser));
		for (size_t at = 0; at < LEN;) {
			struct telnet_part part;

			at += telnet_parser_take(&f.parser, sequence + at, LEN - at, &part);
			out += part.len;
			if (part.kind == TELNET_PART_COMMAND)
				out++;
			if (out > at)
				fail_msg("sequence %u gives out %zu bytes for %zu", number, out,
				         at);
		}
	}
}

TEST(a_subnegotiation_without_end_keeps_nothing_and_can_be_left)
{
	static char endless[100000];

	begin();
	memset(endless, 'x', sizeof(endless));
	take(IAC SB "\x1f", 3);
	for (unsigned int i = 0; i < 100; i++)
		take(endless, sizeof(endless));
	assert_string_equal(f.told, "");
	assert_true(f.parser.len <= TELNET_SUBNEGOTIATION_MAX + 1);
	take(IAC SE "key", 5);
	assert_string_equal(f.told, "key");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(bytes_are_what_the_protocol_says),
	    UNIT(no_sequence_gives_out_more_than_went_in),
	    UNIT(a_subnegotiation_without_end_keeps_nothing_and_can_be_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
