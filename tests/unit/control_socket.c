/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the control socket's conversations: whatever pieces requests come in, each line is answered
 * once and in order, and what isn't a whole good line changes nothing.
 */
#include "unit.h"

#include "control_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct control_fixture f;

TEST(each_verb_reaches_the_owner_and_is_answered)
{
	int client;

	control_fixture_init(&f);
	client = control_connect(&f);
	control_send(&f, client, "list\n");
	control_expect_list(&f, client);
	control_send(&f, client, "port-add 3 name=a b,type=data\n");
	control_expect(&f, client, "ok\n");
	assert_int_equal(f.adds, 1);
	assert_int_equal(f.guest, 3);
	assert_string_equal(f.rest, "name=a b,type=data");
	control_send(&f, client, "port-remove 65535 a b\r\n");
	control_expect(&f, client, "ok\n");
	assert_int_equal(f.removes, 1);
	assert_int_equal(f.guest, 65535);
	assert_string_equal(f.rest, "a b");
	control_send(&f, client, "port-add 0 no=x\n");
	control_expect(&f, client, "error guest 0 says no to no=x\n");
	control_send(&f, client, "help\n");
	control_expect(&f, client, "help: shows the verbs\n");
	close(client);
	control_fixture_deinit(&f);
}

TEST(a_bad_line_is_told_and_the_next_one_served)
{
	int client;

	control_fixture_init(&f);
	client = control_connect(&f);
	control_send(&f, client, "port-add 0\n");
	control_expect(&f, client,
	               "error port-add: takes GUEST SPEC, as in \"port-add 0 "
	               "name=org.example.agent.0,type=data,uds-path=/run/agent\"\n");
	control_send(&f, client, "\n");
	control_expect(&f, client, "error there is no verb \"\": \"help\" shows the verbs\n");
	control_send_bytes(&f, client, "port-remove 0 a\0b\n", 18);
	control_expect(&f, client, "error the line has a byte that isn't printable\n");
	control_send(&f, client, "list\n");
	control_expect_list(&f, client);
	assert_int_equal(f.adds + f.removes, 0);
	close(client);
	control_fixture_deinit(&f);
}

#define GLUED "list\nport-add 0 a\r\nport-add 1 no\nfoo\nport-remove 2 b\n"
#define ANSWERS                                                                                    \
	"ok\nok\nerror guest 1 says no to no\n"                                                    \
	"error there is no verb \"foo\": \"help\" shows the verbs\nok\n"

TEST(requests_may_come_glued_together)
{
	int client;

	control_fixture_init(&f);
	f.list_bytes = 0;
	client = control_connect(&f);
	control_send(&f, client, GLUED);
	control_expect(&f, client, ANSWERS);
	close(client);
	control_fixture_deinit(&f);
}

TEST(requests_may_come_in_any_two_pieces)
{
	int client;

	control_fixture_init(&f);
	f.list_bytes = 0;
	client = control_connect(&f);
	for (size_t at = 1; at < strlen(GLUED); at++) {
		control_send_bytes(&f, client, GLUED, at);
		turn_some(f.loop);
		control_send(&f, client, &GLUED[at]);
		control_expect(&f, client, ANSWERS);
	}
	control_expect_nothing(&f, client);
	close(client);
	control_fixture_deinit(&f);
}

TEST(requests_may_come_byte_by_byte)
{
	int client;

	control_fixture_init(&f);
	f.list_bytes = 0;
	client = control_connect(&f);
	for (size_t at = 0; at < strlen(GLUED); at++) {
		control_send_bytes(&f, client, &GLUED[at], 1);
		turn_some(f.loop);
	}
	control_expect(&f, client, ANSWERS);
	close(client);
	control_fixture_deinit(&f);
}

/* More than the buffer holds at once, in lines that end anywhere in it. */
TEST(many_requests_in_one_piece_are_all_answered)
{
	static char bytes[100 * 1000];
	size_t len = 0;
	int client;

	control_fixture_init(&f);
	client = control_connect(&f);
	for (unsigned int i = 0; i < 1000; i++)
		len += (size_t)snprintf(bytes + len, sizeof(bytes) - len, "port-add %u no%.*s\n", i,
		                        (int)(i % 70),
		                        "0123456789012345678901234567890123456789"
		                        "012345678901234567890123456789");
	control_send_bytes(&f, client, bytes, len);
	for (unsigned int i = 0; i < 1000; i++) {
		char answer[200];

		snprintf(answer, sizeof(answer), "error guest %u says no to no%.*s\n", i,
		         (int)(i % 70),
		         "0123456789012345678901234567890123456789"
		         "012345678901234567890123456789");
		control_expect(&f, client, answer);
	}
	assert_int_equal(f.adds, 1000);
	close(client);
	control_fixture_deinit(&f);
}

/* A line of `len` bytes and its end. Freed by the caller. */
static char *long_request(size_t len, const char *end)
{
	static const char begin[] = "port-remove 0 ";
	char *line = malloc(len + strlen(end) + 1);

	memset(line, 'n', len);
	memcpy(line, begin, sizeof(begin) - 1);
	memcpy(line + len, end, strlen(end) + 1);
	line[sizeof(begin) - 1] = 'x'; /* the owner's "no" is another case */
	return line;
}

TEST(the_longest_line_is_carried_out)
{
	static const char *const ends[] = {"\n", "\r\n"};
	int client;

	control_fixture_init(&f);
	client = control_connect(&f);
	for (size_t i = 0; i < ROWS(ends); i++) {
		char *line = long_request(CONTROL_REQUEST_LINE_MAX, ends[i]);

		control_send(&f, client, line);
		control_expect(&f, client, "ok\n");
		assert_int_equal(strlen(f.rest),
		                 CONTROL_REQUEST_LINE_MAX - strlen("port-remove 0 "));
		free(line);
	}
	close(client);
	control_fixture_deinit(&f);
}

TEST(too_long_a_line_is_told_and_closes)
{
	static const struct {
		size_t len;
		const char *end;
	} rows[] = {
	    {CONTROL_REQUEST_LINE_MAX + 1, "\n"},
	    {CONTROL_REQUEST_LINE_MAX + 1, "\r\n"},
	    {CONTROL_REQUEST_LINE_MAX + 1, "\nlist\n"},
	    {CONTROL_REQUEST_LINE_MAX + 2, ""},
	    {CONTROL_REQUEST_LINE_MAX + 2, "\n"},
	    {100000, ""},
	    {100000, "\nlist\n"},
	};

	control_fixture_init(&f);
	for (size_t i = 0; i < ROWS(rows); i++) {
		char *line = long_request(rows[i].len, rows[i].end);
		int client = control_connect(&f);

		assert_int_equal(send(client, line, strlen(line), 0), strlen(line));
		control_expect(&f, client, "error the line is too long: 4096 bytes are the most\n");
		control_expect_closed(&f, client);
		close(client);
		free(line);
	}
	assert_int_equal(f.removes + f.lists, 0);
	control_fixture_deinit(&f);
}

TEST(the_end_of_input_closes_after_the_answers)
{
	int client;

	control_fixture_init(&f);
	client = control_connect(&f);
	assert_int_equal(send(client, "list\nport-add 0 a\n", 18, 0), 18);
	shutdown(client, SHUT_WR);
	control_expect_list(&f, client);
	control_expect(&f, client, "ok\n");
	control_expect_closed(&f, client);
	close(client);
	client = control_connect(&f);
	shutdown(client, SHUT_WR);
	control_expect_closed(&f, client);
	close(client);
	control_fixture_deinit(&f);
}

/* The answer comes when another frontend could; who can't be disconnected is named. */
TEST(a_guest_is_disconnected)
{
	int client;

	control_fixture_init(&f);
	client = control_connect(&f);
	control_send(&f, client, "disconnect 2\ndisconnect 3\n");
	turn_until(f.loop, f.disconnects == 1);
	control_expect_nothing(&f, client);
	assert_int_equal(f.guest, 2);
	control_answer(&f.control, f.tickets[0], NULL);
	control_expect(&f, client, "ok\nerror disconnect: guest 3: it has no frontend\n");
	close(client);
	control_fixture_deinit(&f);
}

TEST(a_line_without_an_end_is_not_carried_out)
{
	int client;

	control_fixture_init(&f);
	client = control_connect(&f);
	control_send(&f, client, "port-add 0 a\nport-remove 0 na");
	shutdown(client, SHUT_WR);
	control_expect(&f, client, "ok\nerror the last line has no end: it wasn't carried out\n");
	control_expect_closed(&f, client);
	close(client);
	/* Killed in the middle. */
	client = control_connect(&f);
	control_send(&f, client, "port-remove 0 na");
	turn_some(f.loop);
	close(client);
	turn_until(f.loop, f.control.count == 0);
	assert_int_equal(f.adds, 1);
	assert_int_equal(f.removes, 0);
	control_fixture_deinit(&f);
}

TEST(what_a_client_sent_before_it_was_gone_is_carried_out)
{
	int client;

	control_fixture_init(&f);
	client = control_connect(&f);
	control_send(&f, client, "port-add 0 a\n");
	close(client);
	turn_until(f.loop, f.control.count == 0);
	assert_int_equal(f.adds, 1);
	control_fixture_deinit(&f);
}

TEST(the_socket_is_for_its_owner_only)
{
	struct stat st;

	control_fixture_init(&f);
	assert_int_equal(lstat(f.path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	control_fixture_deinit(&f);
	assert_int_equal(lstat(f.path, &st), -1);
}

TEST(another_file_in_its_place_stays)
{
	int other;

	control_fixture_init(&f);
	assert_int_equal(unlink(f.path), 0);
	other = open(f.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	control_stop(&f.control);
	turn_until(f.loop, f.stops == 1);
	close(other);
	assert_int_equal(unlink(f.path), 0);
	control_fixture_deinit(&f);
}

TEST(where_it_cannot_listen_is_an_error_and_leaves_nothing)
{
	static const struct control_ops none;
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0), r;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct control control;

	control_fixture_init(&f);
	dup2(null, STDERR_FILENO);
	r = control_start(&control, &none, f.loop, f.folder);
	dup2(saved, STDERR_FILENO);
	assert_errno(r, EEXIST);
	close(saved);
	close(null);
	control_fixture_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(each_verb_reaches_the_owner_and_is_answered),
	    UNIT(a_bad_line_is_told_and_the_next_one_served),
	    UNIT(requests_may_come_glued_together),
	    UNIT(requests_may_come_in_any_two_pieces),
	    UNIT(requests_may_come_byte_by_byte),
	    UNIT(many_requests_in_one_piece_are_all_answered),
	    UNIT(the_longest_line_is_carried_out),
	    UNIT(too_long_a_line_is_told_and_closes),
	    UNIT(the_end_of_input_closes_after_the_answers),
	    UNIT(a_guest_is_disconnected),
	    UNIT(a_line_without_an_end_is_not_carried_out),
	    UNIT(what_a_client_sent_before_it_was_gone_is_carried_out),
	    UNIT(the_socket_is_for_its_owner_only),
	    UNIT(another_file_in_its_place_stays),
	    UNIT(where_it_cannot_listen_is_an_error_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
