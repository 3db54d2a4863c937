/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what the lines on the control socket are taken for, and that every other line is refused
 * with a sentence that says what would be right.
 */
#include "unit.h"

#include "control/request.h"

#include <stdlib.h>
#include <string.h>

/* The parser's own copy of the line, at the end of what it may touch. */
static enum control_request_verdict parse_bytes(const char *bytes, size_t len, char **ret_line,
                                                struct control_request *request, char *error)
{
	*ret_line = malloc(len + 1);
	memcpy(*ret_line, bytes, len);
	(*ret_line)[len] = '\n';
	memset(request, 0x55, sizeof(*request));
	memset(error, 0x55, CONTROL_REQUEST_ERROR_BYTES);
	return control_request_parse(*ret_line, len, request, error);
}

struct good {
	const char *line;
	enum control_request_verb verb;
	unsigned int guest;
	const char *rest;
};

static const struct good good[] = {
    {"help", CONTROL_REQUEST_HELP, 0, NULL},
    {"list", CONTROL_REQUEST_LIST, 0, NULL},
    {"list\r", CONTROL_REQUEST_LIST, 0, NULL},
    {"port-add 0 type=data", CONTROL_REQUEST_PORT_ADD, 0, "type=data"},
    {"port-add 65535 x\r", CONTROL_REQUEST_PORT_ADD, 65535, "x"},
    {"port-add 007 x", CONTROL_REQUEST_PORT_ADD, 7, "x"},
    {"port-add 1 name=a b,uds-path=/run/a  b ", CONTROL_REQUEST_PORT_ADD, 1,
     "name=a b,uds-path=/run/a  b "},
    {"port-add 1 uds-path=/run/\xc3\xbc", CONTROL_REQUEST_PORT_ADD, 1, "uds-path=/run/\xc3\xbc"},
    {"port-remove 3 org.example.agent.0", CONTROL_REQUEST_PORT_REMOVE, 3, "org.example.agent.0"},
    {"disconnect 0", CONTROL_REQUEST_DISCONNECT, 0, NULL},
    {"disconnect 65535", CONTROL_REQUEST_DISCONNECT, 65535, NULL},
    {"port-remove 3  a", CONTROL_REQUEST_PORT_REMOVE, 3, " a"},
    {"port-remove 3 %s%n", CONTROL_REQUEST_PORT_REMOVE, 3, "%s%n"},
};

TEST(good_lines_are_taken_apart)
{
	char error[CONTROL_REQUEST_ERROR_BYTES], *line;
	struct control_request request;

	for (size_t i = 0; i < ROWS(good); i++) {
		assert_int_equal(
		    parse_bytes(good[i].line, strlen(good[i].line), &line, &request, error),
		    CONTROL_REQUEST_GOOD);
		assert_int_equal(request.verb, good[i].verb);
		assert_int_equal(request.guest, good[i].guest);
		if (good[i].rest)
			assert_string_equal(request.rest, good[i].rest);
		else
			assert_null(request.rest);
		free(line);
	}
}

#define ADD_AS           ", as in \"port-add 0 name=org.example.agent.0,type=data,uds-path=/run/agent\""
#define ADD_TAKES        "port-add: takes GUEST SPEC" ADD_AS
#define ADD_GUEST        "port-add: GUEST is a number from 0 to 65535" ADD_AS
#define DISCONNECT_TAKES "disconnect: takes GUEST, as in \"disconnect 0\""
#define REMOVE_TAKES     "port-remove: takes GUEST NAME, as in \"port-remove 0 org.example.agent.0\""
#define LIST_TAKES       "list: takes nothing, as in \"list\""
#define NO_VERB(v)       "there is no verb \"" v "\": \"help\" shows the verbs"
#define PRINTABLE        "the line has a byte that isn't printable"

static const struct {
	const char *line;
	const char *error;
	size_t len; /* 0: the text's */
} bad[] = {
    {"", NO_VERB("")},
    {"\r", NO_VERB("")},
    {" list", NO_VERB("")},
    {"LIST", NO_VERB("LIST")},
    {"lis", NO_VERB("lis")},
    {"lists", NO_VERB("lists")},
    {"%s%n 1", NO_VERB("%s%n")},
    {"a-verb-that-is-longer-than-any-that-is-worth-repeating",
     NO_VERB("a-verb-that-is-longer-than-any-t")},
    {"list ", LIST_TAKES},
    {"list 0", LIST_TAKES},
    {"help me", "help: takes nothing, as in \"help\""},
    {"port-add", ADD_TAKES},
    {"port-add 0", ADD_TAKES},
    {"port-add 0 ", ADD_TAKES},
    {"port-add 0 \r", ADD_TAKES},
    {"port-add ", ADD_GUEST},
    {"port-add  0 x", ADD_GUEST},
    {"port-add x y", ADD_GUEST},
    {"port-add -1 y", ADD_GUEST},
    {"port-add +1 y", ADD_GUEST},
    {"port-add 0x1 y", ADD_GUEST},
    {"port-add 1a y", ADD_GUEST},
    {"port-add 65536 y", ADD_GUEST},
    {"port-add 4294967296 y", ADD_GUEST},
    {"port-add 18446744073709551616 y", ADD_GUEST},
    {"port-add 99999999999999999999999999999999999999999 y", ADD_GUEST},
    {"port-add name=a 0", ADD_GUEST},
    {"disconnect", DISCONNECT_TAKES},
    {"disconnect 0 now", DISCONNECT_TAKES},
    {"disconnect all", "disconnect: GUEST is a number from 0 to 65535, as in \"disconnect 0\""},
    {"port-remove", REMOVE_TAKES},
    {"port-remove 1", REMOVE_TAKES},
    {"port-remove 1 ", REMOVE_TAKES},
    {"list\r\r", PRINTABLE},
    {"\rlist", PRINTABLE},
    {"list\t", PRINTABLE},
    {"li\x1b[2Jst", PRINTABLE},
    {"list\x7f", PRINTABLE},
    {"list\0", PRINTABLE, 5},
    {"list\0 all", PRINTABLE, 9},
    {"\0", PRINTABLE, 1},
    {"port-remove 0 a\0b", PRINTABLE, 17},
    {"port-remove 0 a\nb", PRINTABLE},
};

TEST(other_lines_are_refused_and_told_what_would_be_right)
{
	char error[CONTROL_REQUEST_ERROR_BYTES], *line;
	struct control_request request, untouched;

	memset(&untouched, 0x55, sizeof(untouched));
	for (size_t i = 0; i < ROWS(bad); i++) {
		size_t len = bad[i].len ? bad[i].len : strlen(bad[i].line);

		if (parse_bytes(bad[i].line, len, &line, &request, error) !=
		    CONTROL_REQUEST_REFUSED)
			fail_msg("row %zu was taken: %s", i, bad[i].line);
		assert_string_equal(error, bad[i].error);
		assert_memory_equal(&request, &untouched, sizeof(request));
		free(line);
	}
}

/* A line of `len` bytes whose last argument fills it. */
static char *long_line(size_t len)
{
	static const char begin[] = "port-remove 0 ";
	char *line = malloc(len);

	memset(line, 'n', len);
	memcpy(line, begin, sizeof(begin) - 1);
	return line;
}

TEST(the_longest_line_is_taken_and_a_longer_one_is_not)
{
	char error[CONTROL_REQUEST_ERROR_BYTES], *line;
	char *longest = long_line(CONTROL_REQUEST_LINE_MAX + 2);
	struct control_request request;

	assert_int_equal(parse_bytes(longest, CONTROL_REQUEST_LINE_MAX, &line, &request, error),
	                 CONTROL_REQUEST_GOOD);
	assert_int_equal(strlen(request.rest), CONTROL_REQUEST_LINE_MAX - strlen("port-remove 0 "));
	free(line);
	assert_int_equal(parse_bytes(longest, CONTROL_REQUEST_LINE_MAX + 1, &line, &request, error),
	                 CONTROL_REQUEST_REFUSED);
	assert_string_equal(error, "the line is too long: 4096 bytes are the most");
	free(line);
	longest[CONTROL_REQUEST_LINE_MAX] = '\r';
	assert_int_equal(parse_bytes(longest, CONTROL_REQUEST_LINE_MAX + 1, &line, &request, error),
	                 CONTROL_REQUEST_GOOD);
	free(line);
	longest[CONTROL_REQUEST_LINE_MAX + 1] = '\r';
	assert_int_equal(parse_bytes(longest, CONTROL_REQUEST_LINE_MAX + 2, &line, &request, error),
	                 CONTROL_REQUEST_REFUSED);
	free(line);
	free(longest);
}

TEST(one_wrong_byte_anywhere_is_refused)
{
	static const char right[] = "port-add 0 name=a";
	char error[CONTROL_REQUEST_ERROR_BYTES], bytes[sizeof(right)], *line;
	struct control_request request;

	for (size_t at = 0; at < strlen(right); at++) {
		for (int wrong = 0; wrong < 0x20; wrong++) {
			memcpy(bytes, right, sizeof(right));
			bytes[at] = (char)wrong;
			/* A CR in the last place is a line's end. */
			if (wrong == '\r' && at == strlen(right) - 1)
				continue;
			assert_int_equal(parse_bytes(bytes, strlen(right), &line, &request, error),
			                 CONTROL_REQUEST_REFUSED);
			assert_string_equal(error, PRINTABLE);
			free(line);
		}
	}
}

/* What help shows as examples has to be right itself, and every verb has its line. */
TEST(help_shows_every_verb_and_its_examples_are_good)
{
	char error[CONTROL_REQUEST_ERROR_BYTES], *text, *line, *rest;
	struct control_request request;
	unsigned int lines = 0;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	control_request_help(out);
	fclose(out);
	rest = text;
	for (char *at; (at = strsep(&rest, "\n")) && *at; lines++) {
		char *example = strstr(at, "as in \""), *end;

		end = example ? strrchr(example, '"') : strchr(at, ':');
		example = example ? example + strlen("as in \"") : at;
		assert_int_equal(
		    parse_bytes(example, (size_t)(end - example), &line, &request, error),
		    CONTROL_REQUEST_GOOD);
		assert_int_equal(request.verb, lines);
		assert_memory_equal(at, line, strlen(line)); /* the verb, which parsing cut off */
		free(line);
	}
	assert_int_equal(lines, CONTROL_REQUEST_VERBS);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(good_lines_are_taken_apart),
	    UNIT(other_lines_are_refused_and_told_what_would_be_right),
	    UNIT(the_longest_line_is_taken_and_a_longer_one_is_not),
	    UNIT(one_wrong_byte_anywhere_is_refused),
	    UNIT(help_shows_every_verb_and_its_examples_are_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
