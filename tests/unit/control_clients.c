/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what the control socket's clients can do to each other and to it, which is nothing: those
 * that don't read, come in numbers, or go while an answer is due. And the end, in every state.
 */
#include "unit.h"

#include "control_fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* More than any socket's buffer holds. */
#define LARGE (4u << 20)

static struct control_fixture f;

/* A client that has asked for a large list and doesn't read it. */
static int connect_stuck(void)
{
	int client = control_connect(&f);
	unsigned int lists = f.lists;

	f.list_bytes = LARGE;
	control_send(&f, client, "list\n");
	turn_until(f.loop, f.lists == lists + 1);
	turn_some(f.loop);
	return client;
}

TEST(a_client_that_does_not_read_is_not_read_from)
{
	int client, other;
	unsigned int sent = 0;

	control_fixture_init(&f);
	client = connect_stuck();
	while (send(client, "list\n", 5, MSG_DONTWAIT) == 5) {
		sent++;
		turning_step(f.loop, UINT64_MAX, "");
	}
	turn_some(f.loop);
	assert_int_equal(f.lists, 1);
	assert_true(sent > 0);
	/* Nobody else waits for it. */
	other = control_connect(&f);
	control_send(&f, other, "port-add 0 a\n");
	control_expect(&f, other, "ok\n");
	/* It loses nothing. */
	f.list_bytes = LARGE;
	control_expect_list(&f, client);
	control_expect(&f, other, "");
	close(other);
	close(client);
	control_fixture_deinit(&f);
}

TEST(a_client_that_reads_late_gets_all_answers_in_order)
{
	int client;

	control_fixture_init(&f);
	client = connect_stuck();
	control_send(&f, client, "port-add 0 no\nlist\nport-remove 0 a\n");
	turn_some(f.loop);
	assert_int_equal(f.adds, 0);
	control_expect_list(&f, client);
	control_expect(&f, client, "error guest 0 says no to no\n");
	control_expect_list(&f, client);
	control_expect(&f, client, "ok\n");
	close(client);
	control_fixture_deinit(&f);
}

/* io_uring's polls end at once for a client that is half closed. */
TEST(a_half_closed_client_that_does_not_read_costs_little_and_gets_all)
{
	uint64_t began, passed, completions;
	int client;

	control_fixture_init(&f);
	client = connect_stuck();
	shutdown(client, SHUT_WR);
	/* It is tried at growing intervals. */
	began = support_now_ms();
	while (support_now_ms() < began + 300)
		turn_some(f.loop);
	began = support_now_ms();
	completions = loop_completions(f.loop);
	turn_some(f.loop);
	passed = support_now_ms() - began;
	/* A look is a timer, a send and a poll. */
	assert_in_range(loop_completions(f.loop) - completions, 0, 3 * (2 + passed / 100));
	control_expect_list(&f, client);
	control_expect_closed(&f, client);
	close(client);
	control_fixture_deinit(&f);
}

TEST(a_client_that_goes_while_it_is_being_answered_does_no_harm)
{
	int client, other;

	control_fixture_init(&f);
	client = connect_stuck();
	close(client);
	turn_until(f.loop, f.control.count == 0);
	other = control_connect(&f);
	control_send(&f, other, "port-add 0 a\n");
	control_expect(&f, other, "ok\n");
	close(other);
	control_fixture_deinit(&f);
}

/* Which the kernel tells as a reset, not as the end of input. */
TEST(a_client_that_goes_without_reading_its_answer_does_no_harm)
{
	int client;

	control_fixture_init(&f);
	client = control_connect(&f);
	control_send(&f, client, "list\n");
	turn_until(f.loop, f.lists == 1);
	turn_some(f.loop);
	close(client);
	turn_until(f.loop, f.control.count == 0);
	control_fixture_deinit(&f);
}

TEST(many_clients_are_served_and_one_too_many_is_told_so)
{
	int clients[CONTROL_CLIENTS_MAX], more;

	log_set_level(LOG_LEVEL_ERROR);
	control_fixture_init(&f);
	for (unsigned int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		clients[i] = control_connect(&f);
	more = control_connect(&f);
	control_expect(&f, more, "error there are too many clients\n");
	control_expect_closed(&f, more);
	close(more);
	for (unsigned int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control_send(&f, clients[i], "list\n");
	for (unsigned int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control_expect_list(&f, clients[i]);
	/* One goes, another may come. */
	close(clients[5]);
	turn_until(f.loop, f.control.count == CONTROL_CLIENTS_MAX - 1);
	clients[5] = control_connect(&f);
	control_send(&f, clients[5], "list\n");
	control_expect_list(&f, clients[5]);
	for (unsigned int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		close(clients[i]);
	control_fixture_deinit(&f);
	log_set_level(LOG_LEVEL_INFO);
}

/* Answers that come later. */

TEST(an_answer_may_come_later_and_the_next_request_waits_for_it)
{
	int client, other;

	control_fixture_init(&f);
	client = control_connect(&f);
	other = control_connect(&f);
	control_send(&f, client, "port-remove 0 later\nport-add 0 a\n");
	control_expect_nothing(&f, client);
	assert_int_equal(f.removes, 1);
	assert_int_equal(f.adds, 0);
	control_send(&f, other, "list\n");
	control_expect_list(&f, other);
	control_answer(&f.control, f.tickets[0], NULL);
	control_expect(&f, client, "ok\nok\n");
	assert_int_equal(f.adds, 1);
	close(other);
	close(client);
	control_fixture_deinit(&f);
}

TEST(answers_find_those_who_asked)
{
	int clients[4];

	control_fixture_init(&f);
	for (unsigned int i = 0; i < ROWS(clients); i++) {
		clients[i] = control_connect(&f);
		control_send(&f, clients[i], "port-remove 0 later\n");
		turn_until(f.loop, f.later == i + 1);
	}
	control_answer(&f.control, f.tickets[2], "it is the third");
	control_answer(&f.control, f.tickets[0], NULL);
	control_answer(&f.control, f.tickets[3], "it is the fourth");
	control_expect(&f, clients[3], "error it is the fourth\n");
	control_expect(&f, clients[2], "error it is the third\n");
	control_expect(&f, clients[0], "ok\n");
	control_expect_nothing(&f, clients[1]);
	for (unsigned int i = 0; i < ROWS(clients); i++)
		close(clients[i]);
	control_fixture_deinit(&f);
}

TEST(a_ticket_is_good_for_one_answer)
{
	int client;

	control_fixture_init(&f);
	client = control_connect(&f);
	control_answer(&f.control, 0, NULL);
	control_answer(&f.control, 1, NULL);
	control_send(&f, client, "port-remove 0 later\n");
	turn_until(f.loop, f.later == 1);
	control_answer(&f.control, f.tickets[0] + 1, NULL);
	control_answer(&f.control, f.tickets[0], NULL);
	control_answer(&f.control, f.tickets[0], "twice");
	control_expect(&f, client, "ok\n");
	control_expect_nothing(&f, client);
	/* The next call's is another. */
	control_send(&f, client, "port-remove 0 later\n");
	turn_until(f.loop, f.later == 2);
	control_answer(&f.control, f.tickets[0], "the old one");
	control_expect_nothing(&f, client);
	control_answer(&f.control, f.tickets[1], NULL);
	control_expect(&f, client, "ok\n");
	close(client);
	control_fixture_deinit(&f);
}

TEST(a_call_that_is_answered_has_no_good_ticket)
{
	int client;

	control_fixture_init(&f);
	client = control_connect(&f);
	control_send(&f, client, "port-add 0 a\n");
	control_expect(&f, client, "ok\n");
	control_answer(&f.control, f.last_ticket, "late");
	control_expect_nothing(&f, client);
	control_send(&f, client, "port-add 0 no\n");
	control_expect(&f, client, "error guest 0 says no to no\n");
	control_answer(&f.control, f.last_ticket, "late");
	control_expect_nothing(&f, client);
	close(client);
	control_fixture_deinit(&f);
}

TEST(an_answer_may_come_before_the_call_returns)
{
	int client;

	control_fixture_init(&f);
	client = control_connect(&f);
	control_send(&f, client, "port-remove 0 now\nport-remove 0 now\nlist\n");
	control_expect(&f, client, "ok\nok\n");
	control_expect_list(&f, client);
	close(client);
	control_fixture_deinit(&f);
}

TEST(a_client_that_goes_while_its_answer_is_due_is_closed_then)
{
	int client;

	control_fixture_init(&f);
	client = control_connect(&f);
	control_send(&f, client, "port-remove 0 later\n");
	turn_until(f.loop, f.later == 1);
	close(client);
	turn_some(f.loop);
	control_answer(&f.control, f.tickets[0], NULL);
	turn_until(f.loop, f.control.count == 0);
	control_answer(&f.control, f.tickets[0], NULL);
	control_fixture_deinit(&f);
}

/* The end. */

TEST(it_can_stop_before_its_first_turn_and_twice)
{
	control_fixture_init(&f);
	control_stop(&f.control);
	assert_int_equal(f.stops, 0);
	control_fixture_deinit(&f);
}

TEST(clients_in_every_state_are_closed_at_the_end)
{
	int idle, cut, later, stuck, half, late;

	control_fixture_init(&f);
	idle = control_connect(&f);
	cut = control_connect(&f);
	later = control_connect(&f);
	control_send(&f, cut, "port-remove 0 na");
	control_send(&f, later, "port-remove 0 later\n");
	turn_until(f.loop, f.later == 1);
	stuck = connect_stuck();
	half = connect_stuck();
	shutdown(half, SHUT_WR);
	turn_some(f.loop); /* now it is between two tries */
	late = control_connect(&f);
	control_send(&f, late, "port-add 0 a\n"); /* its completion comes after the stop */
	control_stop(&f.control);
	control_answer(&f.control, f.tickets[0], NULL);
	turn_until(f.loop, f.stops == 1);
	control_answer(&f.control, f.tickets[0], NULL);
	assert_int_equal(f.adds, 0);
	control_expect_closed(&f, idle);
	control_expect_closed(&f, cut);
	control_expect_closed(&f, later);
	control_expect_closed(&f, late);
	close(idle);
	close(cut);
	close(later);
	close(late);
	close(stuck);
	close(half);
	control_fixture_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_client_that_does_not_read_is_not_read_from),
	    UNIT(a_client_that_reads_late_gets_all_answers_in_order),
	    UNIT(a_half_closed_client_that_does_not_read_costs_little_and_gets_all),
	    UNIT(a_client_that_goes_while_it_is_being_answered_does_no_harm),
	    UNIT(a_client_that_goes_without_reading_its_answer_does_no_harm),
	    UNIT(many_clients_are_served_and_one_too_many_is_told_so),
	    UNIT(an_answer_may_come_later_and_the_next_request_waits_for_it),
	    UNIT(answers_find_those_who_asked),
	    UNIT(a_ticket_is_good_for_one_answer),
	    UNIT(a_call_that_is_answered_has_no_good_ticket),
	    UNIT(an_answer_may_come_before_the_call_returns),
	    UNIT(a_client_that_goes_while_its_answer_is_due_is_closed_then),
	    UNIT(it_can_stop_before_its_first_turn_and_twice),
	    UNIT(clients_in_every_state_are_closed_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
