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

static void set_up(bool break_is_sysrq)
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
	f.codec = telnet_codec_new(&f.reader, &f.user, break_is_sysrq);
	assert_non_null(f.codec);
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
		assert_true(telnet_codec_receive(f.codec, from + at,
		                                 len - at < piece ? len - at : piece, &f.input));
	assert_int_equal(byte_ring_get(&f.input, bytes, sizeof(bytes)), input_len);
	assert_memory_equal(bytes, input, input_len);
}

TEST(it_asks_for_character_mode_binary_and_the_window)
{
	static const char *const offers[] = {
	    IAC WILL "\x01" /* ECHO */,
	    IAC WILL "\x03" /* SGA */,
	    IAC DO "\x03",
	    IAC DO "\x1f" /* NAWS */,
	};
	uint8_t bytes[256];
	size_t len;

	set_up(false);
	len = sent(bytes, sizeof(bytes));
	for (size_t i = 0; i < ROWS(offers); i++)
		assert_non_null(memmem(bytes, len, offers[i], 3));
	assert_non_null(memmem(bytes, len, IAC WILL "\x00", 3)); /* BINARY */
	assert_non_null(memmem(bytes, len, IAC DO "\x00", 3));
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
	    ROW("x" IAC "\xf4y", "x\003y"), /* interrupt process */
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		for (size_t piece = 1; piece <= 4; piece++) {
			set_up(false);
			expect_input(rows[i].from, rows[i].len, piece, rows[i].input,
			             rows[i].input_len);
			tear_down();
		}
	}
}

/* Once the client sends binary, its line ends are bytes like others: a pasted file is as it is. */
TEST(binary_input_is_passed_as_it_is)
{
	set_up(false);
	expect_input(IAC WILL "\0a\r\n\r\0b", 9, 9, "a\r\n\r\0b", 6);
	tear_down();
}

TEST(break_is_the_sysrq_byte_where_asked_for)
{
	set_up(true);
	expect_input("x" IAC BREAK "y", 4, 4, "x\x0fy", 3);
	tear_down();
}

/* RFC 1073: a size of 255 comes with its IAC doubled. */
TEST(the_window_is_told_in_columns_and_rows)
{
	static const char usual[] = IAC WILL "\x1f" IAC SB "\x1f\0P\0\x18" IAC SE;
	static const char doubled[] = IAC SB "\x1f\0" IAC IAC "\x01" IAC IAC IAC SE;
	static const char wrong[] = IAC SB "\x1f\0P" IAC SE;

	set_up(false);
	expect_input(usual, sizeof(usual) - 1, 1, "", 0);
	assert_int_equal(f.resized, 1);
	assert_int_equal(f.cols, 80);
	assert_int_equal(f.rows, 24);
	expect_input(doubled, sizeof(doubled) - 1, 1, "", 0);
	assert_int_equal(f.cols, 255);
	assert_int_equal(f.rows, 511);
	/* A wrong length is nobody's size. */
	expect_input(wrong, sizeof(wrong) - 1, 7, "", 0);
	assert_int_equal(f.resized, 2);
	tear_down();
}

TEST(the_guests_bytes_are_escaped)
{
	uint8_t bytes[2 * RING + 64], guest[RING];
	size_t len, escaped = 0;

	set_up(false);
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

	set_up(false);
	forget_sent();
	expect_input(IAC AYT, 2, 1, "", 0);
	assert_non_null(memmem(bytes, sent(bytes, sizeof(bytes)), "here", 4));
	tear_down();
}

/* Somebody who asks without end and takes no answer mustn't cost memory without end. */
TEST(who_asks_without_listening_is_not_served_for_ever)
{
	unsigned int asked = 0;

	set_up(false);
	while (telnet_codec_receive(f.codec, IAC AYT, 2, &f.input))
		assert_true(++asked < 100000);
	tear_down();
}

/* The library's buffer for what is between SB and SE has an end as well. */
TEST(a_subnegotiation_without_end_is_bounded)
{
	char bytes[1000];
	struct mallinfo2 before, after;

	set_up(false);
	memset(bytes, 'x', sizeof(bytes));
	expect_input(IAC SB "\x1f", 3, 3, "", 0);
	before = mallinfo2();
	for (unsigned int i = 0; i < 1000; i++) {
		assert_true(telnet_codec_receive(f.codec, bytes, sizeof(bytes), &f.input));
		byte_ring_drop(&f.input, byte_ring_used(&f.input));
	}
	after = mallinfo2();
	assert_true(after.uordblks - before.uordblks < 100000);
	assert_int_equal(f.resized, 0);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(it_asks_for_character_mode_binary_and_the_window),
	    UNIT(only_what_is_meant_for_the_guest_reaches_it),
	    UNIT(binary_input_is_passed_as_it_is),
	    UNIT(break_is_the_sysrq_byte_where_asked_for),
	    UNIT(the_window_is_told_in_columns_and_rows),
	    UNIT(the_guests_bytes_are_escaped),
	    UNIT(are_you_there_is_answered),
	    UNIT(who_asks_without_listening_is_not_served_for_ever),
	    UNIT(a_subnegotiation_without_end_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
