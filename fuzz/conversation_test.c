/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the two forms of a conversation together: what goes through both comes out as it was, and
 * what is malformed is named by its place.
 */
#include "../tests/unit/unit.h"

#include "conversation.h"

#include <stdlib.h>
#include <string.h>

/* Every kind of step, in the form that it is printed in. */
static const char whole[] =
    "conversation 1\n"
    "needs features 0x100000000\n"
    "needs protocol-features 8\n"
    "needs vrings 2\n"
    "needs console\n"
    "file ram memfd 0x100000\n"
    "file kick-1 eventfd\n"
    "file peer socket\n"
    "file drain pipe\n"
    "file gone closed\n"
    "send GET_FEATURES\n"
    "send SET_FEATURES need-reply u32=0x0 u32=0x1\n"
    "send SET_VRING_KICK flags=0x2 size=9 fds=kick-1,gone fds-at=3 split=1,12 u32=0x1 u32=0x0\n"
    "send 77 hex=010203\n"
    "bytes fds=drain split=2 hex=0102ff\n"
    "write ram 0x1000 hex=0102\n"
    "truncate ram 0\n"
    "kick kick-1\n"
    "close peer\n"
    "pause 5\n"
    "hangup\n"
    "connect\n"
    "expect reply GET_FEATURES size=8\n"
    "expect reply GET_CONFIG flags=0x1 zeros=20 mask u32=0x1 u32=0x0 u32=0x0 u32=0x0 u32=0x0\n"
    "expect ack 0xa\n"
    "expect refused\n"
    "expect nothing\n"
    "expect closed\n"
    "expect survival\n"
    "expect config-change peer\n"
    "expect call kick-1\n"
    "expect no-call kick-1\n"
    "expect error kick-1\n"
    "expect memory ram 0x20 hex=00 mask hex=ff\n";

typedef void write_fn(const struct conversation *conversation, FILE *to);

static char *written(const struct conversation *conversation, write_fn *write, size_t *ret_len)
{
	char *bytes = NULL;
	FILE *to = open_memstream(&bytes, ret_len);

	write(conversation, to);
	fclose(to);
	return bytes;
}

static void must_read(struct conversation *conversation, const char *bytes, size_t len)
{
	struct conversation_error error = {""};

	conversation_init(conversation);
	if (!conversation_read(conversation, (const uint8_t *)bytes, len, &error))
		fail_msg("%s", error.text);
}

TEST(every_step_goes_through_both_forms)
{
	struct conversation first, second;
	size_t len, binary_len;
	char *text, *binary;

	must_read(&first, whole, strlen(whole));
	text = written(&first, conversation_print, &len);
	assert_string_equal(text, whole);
	free(text);
	binary = written(&first, conversation_encode, &binary_len);
	must_read(&second, binary, binary_len);
	text = written(&second, conversation_print, &len);
	assert_string_equal(text, whole);
	free(text);
	free(binary);
	conversation_deinit(&first);
	conversation_deinit(&second);
}

TEST(every_kind_is_in_that_text)
{
	struct conversation conversation;
	bool seen[CONVERSATION_KINDS] = {false};

	must_read(&conversation, whole, strlen(whole));
	for (unsigned int i = 0; i < conversation.count; i++)
		seen[conversation.steps[i].kind] = true;
	for (unsigned int kind = 1; kind < CONVERSATION_KINDS; kind++)
		assert_true(seen[kind]);
	conversation_deinit(&conversation);
}

TEST(pieces_are_joined_in_their_order)
{
	static const char text[] = "# before\n\nconversation 1 # and after\n"
				   "send 5 u8=1 u16=0x203 u32=4 u64=5 zeros=2 hex=aAfF\n";
	static const uint8_t bytes[] = {1, 3, 2, 4, 0, 0, 0, 5,    0,   0,
	                                0, 0, 0, 0, 0, 0, 0, 0xaa, 0xff};
	struct conversation conversation;

	must_read(&conversation, text, strlen(text));
	assert_int_equal(conversation.count, 1);
	assert_int_equal(conversation.steps[0].line, 4);
	assert_int_equal(conversation.steps[0].size, sizeof(bytes));
	assert_int_equal(conversation.steps[0].len, sizeof(bytes));
	assert_memory_equal(conversation.steps[0].bytes, bytes, sizeof(bytes));
	conversation_deinit(&conversation);
}

TEST(malformed_text_is_told_by_its_line)
{
	static const struct {
		const char *text;
		const char *error;
	} rows[] = {
	    {"", "line 0: the first line"},
	    {"hello 1\n", "line 1: the first line"},
	    {"conversation 2\n", "line 1: the first line"},
	    {"conversation 1\n\nfrobnicate\n", "line 3: no step is called 'frobnicate'"},
	    {"conversation 1\nexpect\n", "line 2: no step is called 'expect'"},
	    {"conversation 1\nexpect miracle\n", "line 2: no step is called 'expect miracle'"},
	    {"conversation 1\nsend\n", "line 2: a number is needed, not ''"},
	    {"conversation 1\nsend GET_LOST\n", "line 2: no request is called 'GET_LOST'"},
	    {"conversation 1\nsend 1 hello\n", "line 2: 'hello' isn't KEY=VALUE"},
	    {"conversation 1\nsend 1 u8=256\n", "line 2: 256 is too large"},
	    {"conversation 1\nsend 1 u8=-1\n", "line 2: a number is needed, not '-1'"},
	    {"conversation 1\nsend 1 u8=x\n", "line 2: a number is needed, not 'x'"},
	    {"conversation 1\nsend 1 hex=012\n", "line 2: not pairs"},
	    {"conversation 1\nsend 1 zeros=65537\n", "line 2: 65537 is too large"},
	    {"conversation 1\nsend 1 zeros=65536 u8=0\n", "line 2: more than 65536 bytes"},
	    {"conversation 1\nsend 1 fds=a\n", "line 2: no file 'a'"},
	    {"conversation 1\nsend 1 color=2\n", "line 2: 'send' doesn't take 'color='"},
	    {"conversation 1\nsend 1 mask u8=1\n", "line 2: 'mask' isn't KEY=VALUE"},
	    {"conversation 1\nsend 1 split=12\n", "line 2: a split that isn't inside"},
	    {"conversation 1\nsend 1 split=5,4\n", "line 2: a split that isn't inside"},
	    {"conversation 1\nfile a eventfd\nsend 1 fds=a fds-at=12\n",
	     "line 3: descriptors behind the end"},
	    {"conversation 1\nfile A eventfd\n", "line 2: a file's name is"},
	    {"conversation 1\nfile a door\n", "line 2: no kind of file is called 'door'"},
	    {"conversation 1\nfile a memfd\n", "line 2: a number is needed"},
	    {"conversation 1\nfile a memfd 0x20000000000\n", "line 2: 0x20000000000 is too"},
	    {"conversation 1\nfile a eventfd 7\n", "line 2: there is more than"},
	    {"conversation 1\nfile a pipe\nfile a pipe\n", "line 3: the file 'a' is there"},
	    {"conversation 1\nfile a pipe\nkick a\n", "line 3: a file of another kind"},
	    {"conversation 1\nfile a pipe\nwrite a 0 u8=1\n", "line 3: a file of another kind"},
	    {"conversation 1\nexpect ack\n", "line 2: a number is needed"},
	    {"conversation 1\nexpect nothing u8=1\n", "line 2: 'expect nothing' doesn't take"},
	    {"conversation 1\nexpect reply 1 u8=1 mask u16=1\n", "line 2: a mask of 2 bytes for 1"},
	    {"conversation 1\npause 10001\n", "line 2: too long a pause"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct conversation conversation;
		struct conversation_error error = {""};

		conversation_init(&conversation);
		assert_false(
		    conversation_parse(&conversation, rows[i].text, strlen(rows[i].text), &error));
		if (strncmp(error.text, rows[i].error, strlen(rows[i].error)) != 0)
			fail_msg("'%s', not '%s'", error.text, rows[i].error);
		conversation_deinit(&conversation);
	}
}

TEST(a_zero_byte_is_no_text)
{
	static const char text[] = "conversation 1\nsend 1\0\n";
	struct conversation conversation;
	struct conversation_error error;

	conversation_init(&conversation);
	assert_false(conversation_parse(&conversation, text, sizeof(text) - 1, &error));
	assert_non_null(strstr(error.text, "line 2"));
	conversation_deinit(&conversation);
}

/* What is cut short or has one byte changed is refused or read, but harms nobody (with asan). */
TEST(damaged_binary_is_read_or_refused)
{
	struct conversation conversation;
	struct conversation_error error;
	unsigned int refused = 0;
	size_t len;
	char *binary;

	must_read(&conversation, whole, strlen(whole));
	binary = written(&conversation, conversation_encode, &len);
	conversation_deinit(&conversation);
	for (size_t i = 0; i < 2 * len; i++) {
		size_t at = i / 2, n = i % 2 ? len : at;

		binary[at] ^= i % 2 ? 0x55 : 0;
		conversation_init(&conversation);
		refused += !conversation_decode(&conversation, (const uint8_t *)binary, n, &error);
		conversation_deinit(&conversation);
		binary[at] ^= i % 2 ? 0x55 : 0;
	}
	assert_true(refused > len / 2);
	free(binary);
}

TEST(names_of_requests_are_there_and_back)
{
	for (uint32_t i = 1; i <= 44; i++) {
		const char *name = conversation_request_name(i);

		assert_non_null(name);
		assert_int_equal(conversation_request_number(name), i);
	}
	assert_null(conversation_request_name(0));
	assert_null(conversation_request_name(45));
	assert_int_equal(conversation_request_number("NOTHING"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(every_step_goes_through_both_forms),
	    UNIT(every_kind_is_in_that_text),
	    UNIT(pieces_are_joined_in_their_order),
	    UNIT(malformed_text_is_told_by_its_line),
	    UNIT(a_zero_byte_is_no_text),
	    UNIT(damaged_binary_is_read_or_refused),
	    UNIT(names_of_requests_are_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
