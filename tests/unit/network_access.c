/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds who may write, with several clients: what each may send, who comes next, and that whoever
 * loses a place is told why.
 */
#include "unit.h"

#include "network_people.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

TEST(shared_lets_all_write_and_tells_nobody_anything)
{
	int clients[3];

	set_up(ACCESS_SHARED);
	join_all(clients, 3);
	for (unsigned int i = 0; i < 3; i++) {
		type(clients[i], "x");
		assert_guest_gets("x");
	}
	close(clients[0]);
	for (unsigned int i = 1; i < 3; i++) {
		assert_untold(clients[i]);
		type(clients[i], "y");
		assert_guest_gets("y");
	}
	close_all(clients + 1, 2);
	tear_down();
}

TEST(watchers_see_all_and_what_they_type_goes_nowhere)
{
	int clients[3];

	set_up(ACCESS_WATCH);
	join_all(clients, 3);
	type(clients[1], "no");
	type(clients[0], "yes");
	assert_guest_gets("yes");
	network_expect_text(&f, clients[1], WATCHES);
	network_guest_writes(&f, 0, 1000);
	for (unsigned int i = 0; i < 3; i++)
		network_expect(&f, clients[i], 0, 1000);
	type(clients[0], "more");
	assert_guest_gets("more");
	close_all(clients, 3);
	tear_down();
}

TEST(a_watcher_that_types_is_told_once)
{
	int clients[2];

	set_up(ACCESS_WATCH);
	join_all(clients, 2);
	assert_untold(clients[0]);
	assert_untold(clients[1]);
	for (unsigned int i = 0; i < 5; i++) {
		type(clients[1], "no");
		turn_some(f.loop);
	}
	network_expect_text(&f, clients[1], WATCHES);
	assert_untold(clients[1]);
	close_all(clients, 2);
	tear_down();
}

/* Also while the guest takes nothing. */
TEST(watchers_are_never_blocked)
{
	enum { TOTAL = 8 << 20 };
	static char bytes[65536];
	uint64_t give_up = support_now_ms() + support_deadline_ms();
	int clients[2];

	set_up(ACCESS_WATCH);
	join_all(clients, 2);
	fill_input(clients[0]);
	for (size_t sent = 0; sent < TOTAL;) {
		ssize_t n = send(clients[1], bytes, sizeof(bytes), MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		turning_step(f.loop, give_up, "the watcher could send all");
	}
	turn_until(f.loop, is_received(clients[1]));
	turn_some(f.loop);
	/* It is waited for again. */
	type(clients[1], "no");
	turn_until(f.loop, is_received(clients[1]));
	assert_int_equal(byte_ring_head(&f.output.port.input), INPUT);
	network_expect_text(&f, clients[1], WATCHES);
	close_all(clients, 2);
	tear_down();
}

TEST(when_the_writer_leaves_the_one_that_has_been_there_longest_writes)
{
	int clients[5];

	set_up(ACCESS_WATCH);
	join_all(clients, 5);
	/* Who has typed last isn't who came last; and one that sends no more can't write. */
	type(clients[1], "no");
	network_expect_text(&f, clients[1], WATCHES);
	half_close(clients[2]);
	half_close(clients[0]);
	network_expect_text(&f, clients[1], WRITES);
	type(clients[3], "no");
	network_expect_text(&f, clients[3], WATCHES);
	type(clients[1], "one");
	assert_guest_gets("one");
	reset(clients[1]);
	network_expect_text(&f, clients[3], WRITES);
	type(clients[3], "three");
	assert_guest_gets("three");
	assert_untold(clients[4]);
	/* They read on. */
	network_guest_writes(&f, 0, 100);
	network_expect(&f, clients[0], 0, 100);
	network_expect(&f, clients[2], 0, 100);
	/* Nobody is left that could write: who comes does, and is told nothing. */
	half_close(clients[3]);
	half_close(clients[4]);
	clients[1] = join();
	network_expect(&f, clients[1], 0, 100);
	type(clients[1], "new");
	assert_guest_gets("new");
	assert_untold(clients[1]);
	close_all(clients, 5);
	tear_down();
}

TEST(who_types_takes_over_and_the_one_before_is_told_and_closed)
{
	int clients[3];

	set_up(ACCESS_EXCLUSIVE);
	clients[0] = join();
	type(clients[0], "first");
	assert_guest_gets("first");
	for (unsigned int i = 1; i < 3; i++) {
		clients[i] = join();
		assert_untold(clients[i - 1]);
		type(clients[i], "n");
		assert_guest_gets("n");
		network_expect_text(&f, clients[i - 1], TAKEN_OVER);
		/* As long as it hasn't seen that. */
		for (unsigned int k = 0; k < 3; k++) {
			type(clients[i - 1], "no");
			turn_some(f.loop);
		}
		type(clients[i], "ewest");
		assert_guest_gets("ewest");
		assert_ends(clients[i - 1]);
		close(clients[i - 1]);
	}
	assert_untold(clients[2]);
	close(clients[2]);
	tear_down();
}

/* Its input isn't read, so that a mere close() would be a reset. */
TEST(who_is_told_to_go_gets_the_line_though_its_input_was_waiting)
{
	int clients[2];

	set_up(ACCESS_EXCLUSIVE);
	clients[0] = join();
	fill_input(clients[0]);
	type(clients[0], "waits");
	turn_some(f.loop);
	clients[1] = join();
	type(clients[1], "x");
	turn_until(f.loop, is_received(clients[0]));
	network_expect_text(&f, clients[0], TAKEN_OVER);
	assert_ends(clients[0]);
	close_all(clients, 2);
	tear_down();
}

/* What has been sent stays whole; what hasn't isn't waited for. */
TEST(who_is_told_to_go_is_told_behind_what_is_on_its_way)
{
	static uint8_t got[32 << 20], expected[sizeof(got)];
	size_t len = 0, line = sizeof(TAKEN_OVER) - 1;
	int clients[2];
	uint64_t pos = 0;

	set_up(ACCESS_EXCLUSIVE);
	clients[0] = join();
	/* Until its socket is full. */
	while (pos < sizeof(got) - OUTPUT && network_guest_writes(&f, pos, OUTPUT) == OUTPUT) {
		pos += OUTPUT;
		turn_some(f.loop);
	}
	clients[1] = join();
	type(clients[1], "x");
	turn_until(f.loop,
	           (len += network_read(clients[0], got + len, sizeof(got) - len)) >= line &&
	               memcmp(got + len - line, TAKEN_OVER, line) == 0);
	assert_ends(clients[0]);
	support_fill_pattern(expected, len - line, 0);
	assert_memory_equal(got, expected, len - line);
	close_all(clients, 2);
	tear_down();
}

static void fill_socket(int client)
{
	(void)client;
	for (unsigned int i = 0; i < 200; i++) {
		network_guest_writes(&f, 0, OUTPUT);
		turn_some(f.loop);
	}
}

TEST(who_is_told_to_go_and_does_not_read_goes_all_the_same)
{
	int stuck, next;
	unsigned int files;

	set_up(ACCESS_EXCLUSIVE);
	stuck = join();
	fill_socket(stuck);
	files = network_open_files();
	next = join();
	type(next, "at once");
	assert_guest_gets("at once");
	/* It doesn't hold the guest either. */
	assert_int_equal(network_guest_writes(&f, 0, 2 * OUTPUT) > 0, true);
	turn_until(f.loop, network_open_files() == files + 1);
	close(stuck);
	close(next);
	tear_down();
}

/* The second is accepted while the first one's output is being sent. */
TEST(who_is_told_to_go_while_it_is_sent_output_holds_the_guest_no_more)
{
	static uint8_t bytes[OUTPUT];
	size_t read = 0, written = 1000;
	int clients[2];

	set_up(ACCESS_EXCLUSIVE);
	network_guest_writes(&f, 0, written);
	clients[0] = network_connect(0);
	clients[1] = network_connect(0);
	type(clients[1], "x");
	network_expect(&f, clients[0], 0, 1000);
	network_expect_text(&f, clients[0], TAKEN_OVER);
	while (read < (size_t)10 * OUTPUT) {
		written += network_guest_writes(&f, written, OUTPUT);
		turning_step(f.loop, UINT64_MAX, "");
		read += network_read(clients[1], bytes, sizeof(bytes));
		/* That isn't because it is gone. */
		assert_true(network_daemon_end(clients[0]) >= 0);
	}
	close_all(clients, 2);
	tear_down();
}

TEST(who_sends_no_more_has_given_up_its_place_and_reads_on)
{
	int clients[2];

	set_up(ACCESS_EXCLUSIVE);
	clients[0] = join();
	type(clients[0], "script");
	half_close(clients[0]);
	assert_guest_gets("script");
	clients[1] = join();
	network_guest_writes(&f, 0, 100);
	for (unsigned int i = 0; i < 2; i++)
		network_expect(&f, clients[i], 0, 100);
	type(clients[1], "person");
	assert_guest_gets("person");
	close_all(clients, 2);
	tear_down();
}

/* Its bytes are the guest's alone. */
TEST(on_a_data_port_nobody_is_told_anything)
{
	int clients[2];

	set_up(ACCESS_EXCLUSIVE);
	f.output.port.data = true;
	clients[0] = join();
	network_guest_writes(&f, 0, 100);
	turn_some(f.loop);
	network_expect(&f, clients[0], 0, 100);
	clients[1] = join();
	type(clients[1], "x");
	assert_guest_gets("x");
	assert_ends(clients[0]);
	network_guest_writes(&f, 100, 100);
	network_expect(&f, clients[1], 100, 100);
	close_all(clients, 2);
	tear_down();
}

TEST(the_backend_may_be_stopped_while_one_is_told_to_go)
{
	int clients[2];

	set_up(ACCESS_EXCLUSIVE);
	clients[0] = join();
	fill_socket(clients[0]);
	clients[1] = join();
	type(clients[1], "x");
	assert_guest_gets("x");
	f.backend->ops->stop(f.backend);
	tear_down();
	close_all(clients, 2);
	/* Nobody is told that it writes now, only to be closed. */
	set_up(ACCESS_WATCH);
	join_all(clients, 2);
	f.backend->ops->stop(f.backend);
	tear_down();
	for (uint64_t until = support_now_ms() + support_deadline_ms();;) {
		char byte;
		ssize_t n = recv(clients[1], &byte, 1, MSG_DONTWAIT);

		assert_true(n <= 0 && support_now_ms() < until);
		if (n == 0 || errno != EAGAIN)
			break;
	}
	close_all(clients, 2);
}

/* Telnet: what the daemon asks of each client first. */
#define GREETING       "\xff\xfb\x01\xff\xfb\x03\xff\xfd\x03\xff\xfb\x00\xff\xfd\x1f"
#define GREETING_BYTES 15

static void set_up_telnet(enum access access)
{
	network_fixture_init_as(&f, OUTPUT, INPUT, &(struct client_protocol){.telnet = true},
	                        access);
}

static void skip_greeting(int client)
{
	char got[GREETING_BYTES];
	size_t len = 0;

	turn_until(f.loop, (len += network_read(client, got + len, GREETING_BYTES - len)) ==
	                       GREETING_BYTES);
	assert_memory_equal(got, GREETING, GREETING_BYTES);
}

static void tell_size(int client, uint8_t cols, uint8_t rows)
{
	const uint8_t bytes[] = {255, 251, 31, 255, 250, 31, 0, cols, 0, rows, 255, 240};

	assert_int_equal(send(client, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
	turn_some(f.loop);
}

static void assert_size(uint16_t cols, uint16_t rows)
{
	turn_some(f.loop);
	assert_int_equal(f.output.port.cols, cols);
	assert_int_equal(f.output.port.rows, rows);
}

TEST(telnet_watchers_are_told_when_they_type_but_not_for_telnets_own_bytes)
{
	int clients[2];

	set_up_telnet(ACCESS_WATCH);
	join_all(clients, 2);
	skip_greeting(clients[0]);
	skip_greeting(clients[1]);
	tell_size(clients[1], 100, 40);
	assert_untold(clients[1]);
	type(clients[1], "no\r\n");
	network_expect_text(&f, clients[1], WATCHES);
	type(clients[1], "no\r\n");
	assert_untold(clients[1]);
	type(clients[0], "yes");
	assert_guest_gets("yes");
	/* They are answered as others are: are you there? */
	type(clients[1], "\xff\xf6");
	network_expect_text(&f, clients[1], MARKED("here"));
	half_close(clients[0]);
	network_expect_text(&f, clients[1], WRITES);
	type(clients[1], "now");
	assert_guest_gets("now");
	close_all(clients, 2);
	tear_down();
}

TEST(a_watchers_window_counts_from_when_it_writes)
{
	unsigned int resizes;
	int clients[3];

	set_up_telnet(ACCESS_WATCH);
	join_all(clients, 3);
	tell_size(clients[0], 80, 24);
	assert_size(80, 24);
	tell_size(clients[1], 100, 40);
	tell_size(clients[2], 132, 43);
	assert_size(80, 24);
	resizes = f.resizes;
	reset(clients[0]);
	assert_size(100, 40);
	/* With nothing between the two. */
	assert_int_equal(f.resizes, resizes + 1);
	half_close(clients[1]);
	assert_size(132, 43);
	reset(clients[2]);
	assert_size(0, 0);
	close(clients[1]);
	tear_down();
}

TEST(a_telnet_client_is_told_to_go_behind_what_is_encoded)
{
	int clients[2];

	set_up_telnet(ACCESS_EXCLUSIVE);
	clients[0] = join();
	tell_size(clients[0], 80, 24);
	network_guest_writes(&f, 0, 100);
	turn_some(f.loop);
	clients[1] = join();
	/* Telnet's own bytes take nobody's place, and its window doesn't count. */
	tell_size(clients[1], 100, 40);
	assert_size(80, 24);
	type(clients[1], "x");
	assert_guest_gets("x");
	skip_greeting(clients[0]);
	network_expect(&f, clients[0], 0, 100);
	network_expect_text(&f, clients[0], TAKEN_OVER);
	assert_ends(clients[0]);
	assert_size(100, 40);
	close_all(clients, 2);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(shared_lets_all_write_and_tells_nobody_anything),
	    UNIT(watchers_see_all_and_what_they_type_goes_nowhere),
	    UNIT(a_watcher_that_types_is_told_once),
	    UNIT(watchers_are_never_blocked),
	    UNIT(when_the_writer_leaves_the_one_that_has_been_there_longest_writes),
	    UNIT(who_types_takes_over_and_the_one_before_is_told_and_closed),
	    UNIT(who_is_told_to_go_gets_the_line_though_its_input_was_waiting),
	    UNIT(who_is_told_to_go_is_told_behind_what_is_on_its_way),
	    UNIT(who_is_told_to_go_and_does_not_read_goes_all_the_same),
	    UNIT(who_is_told_to_go_while_it_is_sent_output_holds_the_guest_no_more),
	    UNIT(who_sends_no_more_has_given_up_its_place_and_reads_on),
	    UNIT(on_a_data_port_nobody_is_told_anything),
	    UNIT(the_backend_may_be_stopped_while_one_is_told_to_go),
	    UNIT(telnet_watchers_are_told_when_they_type_but_not_for_telnets_own_bytes),
	    UNIT(a_watchers_window_counts_from_when_it_writes),
	    UNIT(a_telnet_client_is_told_to_go_behind_what_is_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
