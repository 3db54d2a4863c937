/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the telnet protocol of one client (RFC 854 to 858, 1073): what it is asked at the start,
 * what of its bytes reaches the guest and what becomes of the guest's, whatever pieces they come
 * in.
 */
#include "unit.h"

#include "backends/telnet_codec.h"
#include "turning.h"

#include <malloc.h>
#include <string.h>

#define RING  4096u
#define IAC   "\xff"
#define DO    "\xfd"
#define WILL  "\xfb"
#define WONT  "\xfc"
#define SB    "\xfa"
#define SE    "\xf0"
#define BREAK "\xf3"
#define AYT   "\xf6"

static struct {
	struct loop *loop;
	struct watched_scope scope;
	struct backend_device device;
	struct byte_ring_state output_state, input_state;
	uint8_t output_memory[RING], input_memory[RING];
	struct output output;
	struct byte_ring input;
	struct reader reader;
	struct telnet_codec_user user;
	struct telnet_codec *codec;
	unsigned int resized;
	uint16_t cols, rows;
} f;

static void on_wake(struct reader *reader)
{
	(void)reader;
}

static void on_pump(struct backend_device *device)
{
	(void)device;
}

static void on_resized(struct telnet_codec_user *user, uint16_t cols, uint16_t rows)
{
	(void)user;
	f.resized++;
	f.cols = cols;
	f.rows = rows;
}

static void set_up_as(const struct telnet_codec_config *config)
{
	memset(&f, 0, sizeof(f));
	f.loop = turning_loop();
	watched_scope_init(&f.scope, f.loop);
	f.device.pump = on_pump;
	f.output.port.device = &f.device;
	byte_ring_init(&f.output.port.output, &f.output_state, f.output_memory, RING);
	byte_ring_init(&f.input, &f.input_state, f.input_memory, RING);
	output_init(&f.output, &f.scope.scope);
	reader_init(&f.reader, &f.output, on_wake);
	f.user.resized = on_resized;
	f.codec = telnet_codec_new(&f.reader, &f.user, config);
	assert_non_null(f.codec);
}

static void set_up(void)
{
	set_up_as(&(struct telnet_codec_config){0});
}

static void tear_down(void)
{
	telnet_codec_free(f.codec);
	reader_deinit(&f.reader);
	watched_scope_end(&f.scope);
	loop_free(f.loop);
}

/* Everything that the client is sent now. */
static size_t sent(uint8_t *bytes, size_t size)
{
	struct stage *stage = telnet_codec_stage(f.codec);
	size_t len, all = 0;
	void *rest;

	for (;;) {
		stage_fill(stage);
		len = stage_rest(stage, &rest);
		if (len == 0)
			return all;
		if (all + len > size)
			support_die("more than %zu bytes for the client", size);
		memcpy(bytes + all, rest, len);
		all += len;
		stage_delivered(stage, len);
	}
}

static void forget_sent(void)
{
	static uint8_t bytes[65536];

	sent(bytes, sizeof(bytes));
}

/* What of `len` bytes from the client, in pieces of `piece`, is for the guest. */
static void expect_input(const char *from, size_t len, size_t piece, const char *input,
                         size_t input_len)
{
	uint8_t bytes[RING];

	for (size_t at = 0; at < len; at += piece)
		assert_null(telnet_codec_receive(f.codec, from + at,
		                                 len - at < piece ? len - at : piece, &f.input));
	assert_int_equal(byte_ring_get(&f.input, bytes, sizeof(bytes)), input_len);
	assert_memory_equal(bytes, input, input_len);
}

TEST(it_asks_for_character_mode_and_the_window)
{
	static const char *const offers[] = {
	    IAC WILL "\x01" /* ECHO */,
	    IAC WILL "\x03" /* SGA */,
	    IAC DO "\x03",
	    IAC DO "\x1f" /* NAWS */,
	};
	uint8_t bytes[256];
	size_t len;

	set_up();
	len = sent(bytes, sizeof(bytes));
	for (size_t i = 0; i < ROWS(offers); i++)
		assert_non_null(memmem(bytes, len, offers[i], 3));
	assert_non_null(memmem(bytes, len, IAC WILL "\x00", 3)); /* BINARY */
	assert_null(memmem(bytes, len, IAC DO "\x00", 3));
	tear_down();
	set_up_as(&(struct telnet_codec_config){.data = true});
	assert_non_null(memmem(bytes, sent(bytes, sizeof(bytes)), IAC DO "\x00", 3));
	tear_down();
}

#define ROW(from, input)                                                                           \
	{                                                                                          \
		from, sizeof(from) - 1, input, sizeof(input) - 1                                   \
	}

TEST(only_what_is_meant_for_the_guest_reaches_it)
{
	static const struct {
		const char *from;
		size_t len;
		const char *input;
		size_t input_len;
	} rows[] = {
	    ROW("plain", "plain"),
	    ROW("a" IAC IAC "b", "a\xff"
	                         "b"),
	    ROW("a\r\nb\r\0c\rd", "a\rb\rc\rd"),
	    ROW("\n\n\0", "\n\n\0"),
	    ROW("x" IAC WILL "\x1fy", "xy"),
	    ROW("x" IAC SB "\x1f\0P\0\x18" IAC SE "y", "xy"),
	    ROW("x" IAC SB "\x18\0secret" IAC SE "y", "xy"),
	    ROW("x" IAC BREAK "y", "xy"),
	    /* Keys: IP, EC, EL, ABORT, SUSP and EOF. AO, NOP, GA, EOR, DM and SE are none. */
	    ROW("x" IAC "\xf4y", "x\003y"),
	    ROW("x" IAC "\xf7" IAC "\xf7y", "x\x7f\x7fy"),
	    ROW("x" IAC "\xf8y", "x\x15y"),
	    ROW("x" IAC "\xeey", "x\x1cy"),
	    ROW("x" IAC "\xedy", "x\x1ay"),
	    ROW("x" IAC "\xecy", "x\004y"),
	    ROW("x" IAC "\xf5" IAC "\xf1" IAC "\xf9" IAC "\xef" IAC "\xf2" IAC SE "y", "xy"),
	    ROW("x" IAC "\x41y", "xy"),
	    /* Enter is one key, whatever is between its two bytes and whoever says BINARY. */
	    ROW("\r\n\r\n", "\r\r"),
	    ROW("\r\r\n\r\0", "\r\r\r"),
	    ROW("\r\n\n\r\0\0", "\r\n\r\0"),
	    ROW("\r" IAC "\xf1\nx", "\rx"),
	    ROW("\r" IAC "\xf7\nx", "\r\x7f\nx"),
	    ROW("\r" IAC IAC "\n", "\r\xff\n"),
	    ROW(IAC WILL "\0a\r\nb\r\0c\rd\ne\0", "a\rb\rc\rd\ne\0"),
	    ROW("\r" IAC WILL "\0\nx" IAC WONT "\0\r\n", "\rx\r"),
	    /* What wasn't agreed on is nothing, and what follows is itself. */
	    ROW("x" IAC SB "\x56" IAC SE "x\x9c\x63y", "xx\x9c\x63y"),
	    ROW("x" IAC SB "\x55" IAC SE "y", "xy"),
	    ROW("x" IAC SB "\x55" WILL SE "y", "xy"),
	    ROW("x" IAC WILL "\x56" IAC DO "\x56" IAC SB "\x56" IAC SE "y", "xy"),
	    ROW("x" IAC SB "\x27\0\0USER\1root" IAC SE "y", "xy"),
	    ROW("x" IAC SB "\x5dzmp.ping\0" IAC SE "y", "xy"),
	    ROW("x" IAC SB "\x46\1NAME\2a" IAC SE "y", "xy"),
	    ROW("x" IAC SB "\x18\0xterm" IAC "\xf4y", "x\003y"),
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		for (size_t piece = 1; piece <= 4; piece++) {
			set_up();
			expect_input(rows[i].from, rows[i].len, piece, rows[i].input,
			             rows[i].input_len);
			tear_down();
		}
	}
}

/* Data ports are for programs: bytes, of which none is a key. */
TEST(a_data_ports_client_sends_bytes)
{
	static const char text[] = "a\r\nb\r\0c" IAC "\xf4" IAC "\xf7" IAC BREAK IAC IAC;
	const struct telnet_codec_config config = {.data = true, .break_is_sysrq = true};

	for (size_t piece = 1; piece < sizeof(text); piece++) {
		set_up_as(&config);
		expect_input(text, sizeof(text) - 1, piece, "a\rb\rc\xff", 6);
		expect_input(IAC WILL "\0", 3, 3, "", 0);
		expect_input(text, sizeof(text) - 1, piece, "a\r\nb\r\0c\xff", 8);
		expect_input(IAC WONT "\0", 3, 3, "", 0);
		expect_input(text, sizeof(text) - 1, piece, "a\rb\rc\xff", 6);
		tear_down();
	}
}

/* Eight bits reach the guest without an agreement: UTF-8, and a file that is pasted. */
TEST(all_bytes_but_those_of_telnet_pass_unchanged)
{
	char from[2 * 256], input[256];
	size_t len = 0, n = 0;

	for (unsigned int byte = 0; byte < 256; byte++) {
		from[len++] = (char)byte;
		if (byte == 0xff)
			from[len++] = (char)byte;
		input[n++] = (char)byte;
	}
	for (size_t piece = 1; piece <= len; piece++) {
		set_up();
		expect_input(from, len, piece, input, n);
		tear_down();
	}
}

TEST(break_is_the_sysrq_byte_where_asked_for)
{
	set_up_as(&(struct telnet_codec_config){.break_is_sysrq = true});
	expect_input("x" IAC BREAK "y", 4, 4, "x\x0fy", 3);
	tear_down();
}

/* RFC 1073: a size of 255 comes with its IAC doubled. */
TEST(the_window_is_told_in_columns_and_rows)
{
	static const char usual[] = IAC WILL "\x1f" IAC SB "\x1f\0P\0\x18" IAC SE;
	static const char doubled[] = IAC SB "\x1f\0" IAC IAC "\x01" IAC IAC IAC SE;
	static const char wrong[] = IAC SB "\x1f\0P" IAC SE;

	set_up();
	expect_input(usual, sizeof(usual) - 1, 1, "", 0);
	assert_int_equal(f.resized, 1);
	assert_int_equal(f.cols, 80);
	assert_int_equal(f.rows, 24);
	expect_input(doubled, sizeof(doubled) - 1, 1, "", 0);
	assert_int_equal(f.cols, 255);
	assert_int_equal(f.rows, 511);
	/* A size of 255 that isn't doubled is understood. */
	expect_input(IAC SB "\x1f\0" IAC "\0\x18" IAC SE, 9, 1, "", 0);
	assert_int_equal(f.rows, 24);
	/* A wrong length is nobody's size. */
	expect_input(wrong, sizeof(wrong) - 1, 7, "", 0);
	assert_int_equal(f.resized, 3);
	/* It is nobody's either before it is agreed on, and after it was taken back. */
	expect_input(IAC WONT "\x1f", 3, 3, "", 0);
	expect_input(doubled, sizeof(doubled) - 1, 1, "", 0);
	assert_int_equal(f.resized, 3);
	tear_down();
	set_up();
	expect_input(doubled, sizeof(doubled) - 1, 1, "", 0);
	assert_int_equal(f.resized, 0);
	tear_down();
}

TEST(the_guests_bytes_are_escaped)
{
	uint8_t bytes[2 * RING + 64], guest[RING];
	size_t len, escaped = 0;

	set_up();
	forget_sent();
	for (size_t i = 0; i < RING; i++)
		guest[i] = (uint8_t)(i % 3 == 0 ? 0xff : i);
	byte_ring_put(&f.output.port.output, guest, RING);
	len = sent(bytes, sizeof(bytes));
	for (size_t i = 0; i < RING; i++, escaped++) {
		assert_int_equal(bytes[escaped], guest[i]);
		if (guest[i] == 0xff)
			assert_int_equal(bytes[++escaped], 0xff);
	}
	assert_int_equal(len, escaped);
	tear_down();
}

TEST(are_you_there_is_answered)
{
	uint8_t bytes[256];

	set_up();
	forget_sent();
	expect_input(IAC AYT, 2, 1, "", 0);
	assert_non_null(memmem(bytes, sent(bytes, sizeof(bytes)), "here", 4));
	tear_down();
}

/* Somebody who asks without end and takes no answer mustn't cost memory without end. */
TEST(who_asks_without_listening_is_not_served_for_ever)
{
	unsigned int asked = 0;

	set_up();
	while (!telnet_codec_receive(f.codec, IAC AYT, 2, &f.input))
		assert_true(++asked < 100000);
	assert_string_equal(telnet_codec_receive(f.codec, "x", 1, &f.input),
	                    "it asks and doesn't listen");
	assert_int_equal(byte_ring_used(&f.input), 0);
	tear_down();
}

/* What is between SB and SE isn't kept, however long it is. */
TEST(a_subnegotiation_without_end_is_bounded)
{
	char bytes[1000];
	struct mallinfo2 before, after;

	set_up();
	memset(bytes, 'x', sizeof(bytes));
	expect_input(IAC SB "\x1f", 3, 3, "", 0);
	before = mallinfo2();
	for (unsigned int i = 0; i < 1000; i++) {
		assert_null(telnet_codec_receive(f.codec, bytes, sizeof(bytes), &f.input));
		byte_ring_drop(&f.input, byte_ring_used(&f.input));
	}
	after = mallinfo2();
	assert_true(after.uordblks - before.uordblks < 100000);
	assert_int_equal(f.resized, 0);
	tear_down();
}

/*
 * The agreed compression of Debian's libtelnet, which nobody asked for: what is inflated would be
 * megabytes.
 */
TEST(nothing_is_inflated)
{
	/* 4160 bytes "A", by zlib's level 9. */
	static const char deflated[] = "\x78\xda\xed\xc1\x81\x00\x00\x00\x00\xc3\x20\xb6\xf9\x4b"
				       "\xdd\xe0\x04\x55\x01\x00\x00\x00\x7c\x03\x1f\x76\x20\x7d";
	char from[128] = IAC WILL "\x56" IAC DO "\x56" IAC SB "\x56" IAC SE;
	const size_t head = strlen(from);

	memcpy(from + head, deflated, sizeof(deflated) - 1);
	for (size_t piece = 1; piece < 20; piece++) {
		set_up();
		expect_input(from, head + sizeof(deflated) - 1, piece, deflated,
		             sizeof(deflated) - 1);
		expect_input("key", 3, piece, "key", 3);
		tear_down();
	}
}

/* Whoever calls has promised room for all. Were it wrong, the client would go, not the process. */
TEST(more_than_there_is_room_for_ends_the_client)
{
	static const char *const more[] = {"x", "\r\n", IAC IAC, IAC "\xf7", "xxxxxxxxxxxxxxxx"};
	uint8_t bytes[RING] = {0};

	for (size_t i = 0; i < ROWS(more); i++) {
		set_up();
		byte_ring_put(&f.input, bytes, RING);
		assert_string_equal(
		    telnet_codec_receive(f.codec, more[i], strlen(more[i]), &f.input),
		    "more came out of its input than there was room for");
		assert_int_equal(byte_ring_used(&f.input), RING);
		tear_down();
	}
	set_up();
	byte_ring_put(&f.input, bytes, RING - 2);
	assert_non_null(telnet_codec_receive(f.codec, "abcd", 4, &f.input));
	byte_ring_drop(&f.input, RING - 2);
	assert_int_equal(byte_ring_get(&f.input, bytes, RING), 2);
	assert_memory_equal(bytes, "ab", 2);
	tear_down();
}

/* A guest that prints what is escaped, as much as there may be, leaves an answer its place. */
TEST(output_leaves_room_for_answers)
{
	static uint8_t bytes[RING];
	struct stage *stage;
	void *rest;

	set_up();
	stage = telnet_codec_stage(f.codec);
	memset(bytes, 0xff, sizeof(bytes));
	forget_sent();
	while (stage->encode(stage, bytes, sizeof(bytes)) > 0)
		;
	assert_in_range(stage_room(stage), 0, 1);
	assert_null(telnet_codec_receive(f.codec, IAC AYT IAC DO "\x06", 5, &f.input));
	assert_true(stage_rest(stage, &rest) > 0);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(it_asks_for_character_mode_and_the_window),
	    UNIT(only_what_is_meant_for_the_guest_reaches_it),
	    UNIT(a_data_ports_client_sends_bytes),
	    UNIT(all_bytes_but_those_of_telnet_pass_unchanged),
	    UNIT(nothing_is_inflated),
	    UNIT(more_than_there_is_room_for_ends_the_client),
	    UNIT(output_leaves_room_for_answers),
	    UNIT(break_is_the_sysrq_byte_where_asked_for),
	    UNIT(the_window_is_told_in_columns_and_rows),
	    UNIT(the_guests_bytes_are_escaped),
	    UNIT(are_you_there_is_answered),
	    UNIT(who_asks_without_listening_is_not_served_for_ever),
	    UNIT(a_subnegotiation_without_end_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
