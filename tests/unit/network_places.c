/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds that a connection that says nothing takes no place from anybody, and that those who lose
 * one don't pile up.
 */
#include "unit.h"

#include "network_people.h"

/* They neither read nor close their side. */
TEST(those_that_are_told_to_go_do_not_pile_up)
{
	int clients[50];
	unsigned int files;

	set_up(ACCESS_EXCLUSIVE);
	turn_some(f.loop);
	files = network_open_files();
	for (unsigned int i = 0; i < ROWS(clients); i++) {
		clients[i] = join();
		type(clients[i], "x");
		assert_guest_gets("x");
	}
	assert_in_range(network_open_files() - files, ROWS(clients) + 1, ROWS(clients) + 20);
	type(clients[49], "here");
	assert_guest_gets("here");
	close_all(clients, ROWS(clients));
	tear_down();
}

/* A port check, say. */
TEST(who_says_nothing_takes_no_place)
{
	int clients[4];

	set_up(ACCESS_EXCLUSIVE);
	clients[0] = join();
	type(clients[0], "mine");
	assert_guest_gets("mine");
	for (unsigned int i = 1; i < 4; i++) {
		clients[i] = join();
		network_guest_writes(&f, 0, 100);
		network_expect(&f, clients[i], 0, 100);
		network_expect(&f, clients[0], 0, 100);
	}
	close(clients[1]);
	reset(clients[2]);
	half_close(clients[3]);
	assert_untold(clients[0]);
	type(clients[0], "still mine");
	assert_guest_gets("still mine");
	close(clients[0]);
	close(clients[3]);
	tear_down();
}

TEST(a_silent_one_writes_when_the_one_before_has_gone)
{
	int clients[3];

	set_up(ACCESS_EXCLUSIVE);
	join_all(clients, 3);
	type(clients[0], "mine");
	assert_guest_gets("mine");
	reset(clients[0]);
	network_expect_text(&f, clients[1], WRITES);
	assert_untold(clients[2]);
	type(clients[1], "one");
	assert_guest_gets("one");
	type(clients[2], "two");
	assert_guest_gets("two");
	network_expect_text(&f, clients[1], TAKEN_OVER);
	assert_ends(clients[1]);
	close(clients[1]);
	close(clients[2]);
	tear_down();
}

/* The guest reads nothing: nobody holds the place with that, nor loses what was typed. */
TEST(one_takes_over_though_input_is_full)
{
	for (unsigned int telnet = 0; telnet < 2; telnet++) {
		static char got[INPUT];
		int clients[2];

		network_fixture_init_as(&f, OUTPUT, INPUT,
		                        &(struct client_protocol){.telnet = telnet},
		                        ACCESS_EXCLUSIVE);
		clients[0] = join();
		fill_input(clients[0]);
		clients[1] = join();
		type(clients[1], telnet ? "\xff\xfb\x1f\xff\xf1\xff\xfa\x1f\xff\xff\xff\xf0" : "");
		turn_some(f.loop);
		assert_false(network_is_closed(clients[0]));
		type(clients[1], "x");
		turn_until(f.loop, network_is_closed(clients[0]));
		assert_int_equal(byte_ring_get(&f.output.port.input, got, INPUT), INPUT);
		f.backend->ops->wake(f.backend);
		assert_guest_gets("x");
		close_all(clients, 2);
		tear_down();
	}
}

/* The second waits until it is known whether the first stays. */
TEST(a_port_check_does_not_cost_the_only_place)
{
	int check, client, other;

	set_up(ACCESS_SINGLE);
	check = join();
	client = network_connect(0);
	turn_some(f.loop);
	close(check);
	turn_until(f.loop, network_daemon_end(client) >= 0);
	type(client, "mine");
	assert_guest_gets("mine");
	other = network_connect(0);
	network_expect_text(&f, other, MARKED("too many clients"));
	close(other);
	close(client);
	tear_down();
}

/* It is a reader. */
TEST(who_stays_has_the_only_place_without_a_word)
{
	int client, other;

	set_up(ACCESS_SINGLE);
	client = join();
	other = network_connect(0);
	network_expect_text(&f, other, MARKED("too many clients"));
	network_guest_writes(&f, 0, 100);
	network_expect(&f, client, 0, 100);
	close(other);
	close(client);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(those_that_are_told_to_go_do_not_pile_up),
	    UNIT(who_says_nothing_takes_no_place),
	    UNIT(a_silent_one_writes_when_the_one_before_has_gone),
	    UNIT(one_takes_over_though_input_is_full),
	    UNIT(a_port_check_does_not_cost_the_only_place),
	    UNIT(who_stays_has_the_only_place_without_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
