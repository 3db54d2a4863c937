/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what http_guard.c takes for a browser's first bytes, whole and cut at each byte, and what
 * it doesn't.
 */
#include "unit.h"

#include "backends/http_guard.h"

#include <string.h>

static enum http_verdict judge(const char *text)
{
	return http_guard_judge((const uint8_t *)text, strlen(text));
}

TEST(requests_are_known_by_their_form_whatever_the_method)
{
	static const char *const requests[] = {
	    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	    "POST /a?b=c HTTP/1.0\r\n",
	    "OPTIONS * HTTP/1.1\r\n",
	    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	    "CONNECT a.example:443 HTTP/1.1\r\n",
	    "M-SEARCH http://a/ HTTP/1.1",
	    "post /a HTTP/1.1\n",
	    "X!#$%&'*+-.^_`|~1 / HTTP/3.0",
	};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		assert_int_equal(judge(requests[i]), HTTP_VERDICT_REQUEST);
}

TEST(a_request_that_comes_byte_by_byte_is_held_until_it_is_one)
{
	static const char request[] = "DELETE /a/b HTTP/1.1";
	size_t whole = sizeof(request) - 1;

	for (size_t len = 1; len < whole; len++)
		assert_int_equal(http_guard_judge((const uint8_t *)request, len),
		                 len < 7 ? HTTP_VERDICT_MAYBE : HTTP_VERDICT_LIKELY);
	assert_int_equal(judge(request), HTTP_VERDICT_REQUEST);
}

TEST(what_people_and_programs_type_is_none)
{
	static const char *const typed[] = {
	    "r",
	    "root\n",
	    "\r",
	    "GET\r",
	    "GET /etc\n",
	    "ls /",
	    "cat a HTTP/1",
	    "G\x7f",
	    "GET  / HTTP/1.1",
	    "GET / HTTP/x",
	    "GET / http/1.1",
	    " GET / HTTP/1.1",
	    "\x1b[A",
	    "\xff\xfb\x1f",
	    "\x16\x16",
	    "\x16\x03\x05",
	    "{\"execute\":1}",
	    "GET / HTTPS",
	    "GET\t/ HTTP/1.1",
	};

	for (size_t i = 0; i < sizeof(typed) / sizeof(typed[0]); i++) {
		if (judge(typed[i]) != HTTP_VERDICT_NONE)
			fail_msg("%s is %d", typed[i], judge(typed[i]));
	}
}

static void begin_with(char *line, const char *begin)
{
	while (*begin)
		*line++ = *begin++;
}

TEST(a_line_of_any_length_is_judged)
{
	static char line[HTTP_GUARD_BYTES + 1];

	memset(line, 'a', HTTP_GUARD_BYTES);
	assert_int_equal(judge(line), HTTP_VERDICT_NONE); /* no method has that length */
	assert_int_equal(http_guard_judge((uint8_t *)line, 1448), HTTP_VERDICT_MAYBE);
	begin_with(line, "get /");
	assert_int_equal(judge(line), HTTP_VERDICT_REQUEST);
	assert_int_equal(http_guard_judge((uint8_t *)line, 1448), HTTP_VERDICT_MAYBE);
	begin_with(line, "GET /");
	assert_int_equal(judge(line), HTTP_VERDICT_REQUEST);
	assert_int_equal(http_guard_judge((uint8_t *)line, 1448), HTTP_VERDICT_LIKELY);
}

TEST(a_tls_greeting_is_known)
{
	static const uint8_t hello[] = {22, 3, 1, 2, 0, 1, 0};

	for (size_t len = 1; len < 6; len++)
		assert_int_equal(http_guard_judge(hello, len), HTTP_VERDICT_MAYBE);
	assert_int_equal(http_guard_judge(hello, 6), HTTP_VERDICT_TLS);
	assert_int_equal(http_guard_judge(hello, 7), HTTP_VERDICT_TLS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(requests_are_known_by_their_form_whatever_the_method),
	    UNIT(a_request_that_comes_byte_by_byte_is_held_until_it_is_one),
	    UNIT(what_people_and_programs_type_is_none),
	    UNIT(a_line_of_any_length_is_judged),
	    UNIT(a_tls_greeting_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
