/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Clients of the network backend that come and go in all ways there are: half closed, reset, too
 * many, in the middle of output or input, and at the end of the guest (issue 3, "network").
 */
#include "console_use.h"

#include "backends/server.h"

/* A client that closes its sending side still gets output until it hangs up. */
static void a_half_closed_client_gets_output(void **state)
{
	struct bed_guest *guest = new_network_guest(0);
	struct tcp_client client;

	(void)state;
	tcp_client_connect(&client, guest, 0);
	tcp_client_send_all(&client, "last words", 10);
	tcp_client_shut(&client);
	console_driver_expect_input(&guest->console, "last words", 10);
	for (unsigned int i = 0; i < 5; i++) {
		bed_settle(guest->bed);
		print(guest, 1000 * i, 1000);
		expect_printed(&client, 1000 * i, 1000);
	}
	assert_false(client.ended);
	tcp_client_close(&client, false);
}

/* Idle is idle, whatever state the clients are in: no completion without a cause (issue 3). */
static void idle_clients_wake_nobody(void **state)
{
	struct bed_guest *guest = new_network_guest(0);
	struct tcp_client clients[3];
	uint64_t before;

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		tcp_client_connect(&clients[i], guest, 0);
	bed_settle(guest->bed);
	tcp_client_shut(&clients[1]);
	/* Closed: TCP can't tell it from the one before until something is sent. */
	tcp_client_close(&clients[2], false);
	for (unsigned int i = 0; i < 50; i++)
		bed_turn(guest->bed);
	before = loop_completions(guest->bed->loop);
	for (unsigned int i = 0; i < 100; i++)
		bed_turn(guest->bed);
	assert_int_equal(loop_completions(guest->bed->loop), before);
	print(guest, 0, 100);
	expect_printed(&clients[0], 0, 100);
	expect_printed(&clients[1], 0, 100);
	tcp_client_close(&clients[0], false);
	tcp_client_close(&clients[1], false);
}

/* The same while no input can be taken, because the guest doesn't read. */
static void idle_clients_wake_nobody_while_input_waits(void **state)
{
	struct bed_guest *guest = new_bare_network_guest(0);
	struct tcp_client clients[3];
	uint64_t before, typed = 0;

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		tcp_client_connect(&clients[i], guest, 0);
	for (unsigned int i = 0; i < 200; i++) {
		typed += send_printed(&clients[0], typed, UINT64_MAX);
		tcp_client_send(&clients[1], "x", 1);
		bed_turn(guest->bed);
	}
	tcp_client_shut(&clients[1]);
	tcp_client_close(&clients[2], false);
	for (unsigned int i = 0; i < 50; i++)
		bed_turn(guest->bed);
	before = loop_completions(guest->bed->loop);
	for (unsigned int i = 0; i < 100; i++)
		bed_turn(guest->bed);
	assert_int_equal(loop_completions(guest->bed->loop), before);
	tcp_client_close(&clients[0], true);
	tcp_client_close(&clients[1], true);
	bed_settle(guest->bed);
}

/* Input that was sent before a client hung up isn't lost with it. */
static void input_outlives_its_client(void **state)
{
	static const uint64_t sizes[] = {1, 1000, 65536, 200000};

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		struct bed_guest *guest = i % 2 ? new_network_guest(0) : new_bare_network_guest(0);
		uint64_t size = sizes[i / 2], typed = 0, read = 0;
		struct tcp_client client;

		tcp_client_connect(&client, guest, 0);
		while (typed < size) {
			typed += send_printed(&client, typed, size);
			bed_turn(guest->bed);
		}
		tcp_client_close(&client, false);
		bed_settle(guest->bed);
		if (i % 2 == 0) {
			bed_console(guest, NULL);
			assert_true(console_driver_bring_up(&guest->console));
		}
		for (unsigned int k = 0; k < 2000 && read < size; k++) {
			read += take_typed(guest, read);
			bed_turn(guest->bed);
		}
		assert_int_equal(read, size);
		bed_free(guest->bed);
	}
}

/* Gone in the middle of everything, politely or not: nothing stays open, the guest goes on. */
static void clients_that_go_leave_nothing(void **state)
{
	struct bed_guest *guest = new_network_guest(16384);
	struct tcp_client client;
	struct bed_mark mark;
	uint64_t pos = 0;

	(void)state;
	bed_settle(guest->bed);
	bed_mark(&mark);
	for (unsigned int i = 0; i < 100; i++) {
		tcp_client_connect(&client, guest, i % 3 ? 4096 : 0);
		for (unsigned int k = 0; k < i % 7; k++) {
			tcp_client_send(&client, "typed", 5);
			pos += offer_printed(guest, pos, 20000);
			bed_turn(guest->bed);
			console_driver_reap(&guest->console);
		}
		tcp_client_close(&client, i % 2);
		print(guest, pos, 100);
		pos += 100;
		console_driver_collect(&guest->console);
	}
	/* A closed one that gets output answers with a reset: that is how it is found out. */
	for (unsigned int k = 0; k < 3; k++) {
		print(guest, pos, 100);
		bed_settle(guest->bed);
	}
	bed_same(&mark);
}

/* SERVER_CLIENTS_MAX: one more is told so and closed; the others don't notice. */
static void one_client_too_many_is_turned_away(void **state)
{
	static struct tcp_client clients[SERVER_CLIENTS_MAX + 1];
	struct tcp_client *one_more = &clients[SERVER_CLIENTS_MAX];
	struct bed_guest *guest = new_network_guest(0);

	(void)state;
	for (unsigned int i = 0; i < SERVER_CLIENTS_MAX; i++) {
		tcp_client_connect(&clients[i], guest, 0);
		bed_turn(guest->bed);
	}
	bed_settle(guest->bed);
	tcp_client_connect(one_more, guest, 0);
	tcp_client_await_end(one_more);
	assert_true(one_more->size > 0);
	tcp_client_close(one_more, false);
	print(guest, 0, 1000);
	for (unsigned int i = 0; i < SERVER_CLIENTS_MAX; i++)
		expect_printed(&clients[i], 0, 1000);
	/* The place of one that sends no more may be taken: it may long be gone. */
	tcp_client_shut(&clients[5]);
	bed_settle(guest->bed);
	tcp_client_connect(one_more, guest, 0);
	expect_printed(one_more, 0, 1000);
	tcp_client_await_end(&clients[5]);
	for (unsigned int i = 0; i <= SERVER_CLIENTS_MAX; i++)
		tcp_client_close(&clients[i], false);
}

/* guest_stop() with `finish`: what is left for clients that read is written out first. */
static void finishing_writes_out_what_is_left(void **state)
{
	struct bed_guest *guest = new_network_guest(0);
	struct tcp_client reader, late, stuck;

	(void)state;
	tcp_client_connect(&reader, guest, 4096);
	tcp_client_connect(&stuck, guest, 4096);
	bed_settle(guest->bed);
	print(guest, 0, 200000);
	tcp_client_connect(&late, guest, 0);
	bed_turn(guest->bed);
	expect_printed(&reader, 0, 100000);
	bed_stop(guest, true);
	/* What went into the connection before its end can still be read. */
	tcp_client_await_end(&late);
	tcp_client_read(&late, SIZE_MAX);
	assert_int_equal(late.size, 200000);
	tcp_client_close(&reader, false);
	tcp_client_close(&late, false);
	tcp_client_close(&stuck, false);
}

/* A guest that ends closes its clients' connections. */
static void the_end_of_the_guest_ends_its_clients(void **state)
{
	struct bed_guest *guest = new_network_guest(0);
	struct bed_guest *other = bed_add(guest->bed, &(struct bed_options){.network = true});
	struct tcp_client clients[3], others;

	(void)state;
	bed_console(other, NULL);
	assert_true(console_driver_bring_up(&other->console));
	tcp_client_connect(&others, other, 0);
	for (unsigned int i = 0; i < 3; i++)
		tcp_client_connect(&clients[i], guest, 0);
	bed_settle(guest->bed);
	bed_stop(guest, false);
	for (unsigned int i = 0; i < 3; i++) {
		tcp_client_await_end(&clients[i]);
		tcp_client_close(&clients[i], false);
	}
	/* Another guest's don't notice. */
	print(other, 0, 1000);
	expect_printed(&others, 0, 1000);
	type_and_read(other, &others, 1000);
	tcp_client_close(&others, false);
}

/* Each guest has its own clients, its own input, its own output. */
static void guests_are_apart(void **state)
{
	struct bed_guest *guests[3];
	struct tcp_client clients[3];

	(void)state;
	guests[0] = new_network_guest(0);
	for (unsigned int i = 1; i < 3; i++) {
		guests[i] = bed_add(guests[0]->bed, &(struct bed_options){.network = true});
		bed_console(guests[i], NULL);
		assert_true(console_driver_bring_up(&guests[i]->console));
	}
	for (unsigned int i = 0; i < 3; i++)
		tcp_client_connect(&clients[i], guests[i], 0);
	for (unsigned int i = 0; i < 3; i++) {
		print(guests[i], 77 * i, 5000);
		tcp_client_send_all(&clients[i], &"abc"[i], 1);
	}
	for (unsigned int i = 0; i < 3; i++) {
		expect_printed(&clients[i], 77 * i, 5000);
		console_driver_expect_input(&guests[i]->console, &"abc"[i], 1);
		tcp_client_expect_nothing(&clients[i]);
	}
	for (unsigned int i = 0; i < 3; i++)
		tcp_client_close(&clients[i], false);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(a_half_closed_client_gets_output),
	    BED_TEST(idle_clients_wake_nobody),
	    BED_TEST(idle_clients_wake_nobody_while_input_waits),
	    BED_TEST(input_outlives_its_client),
	    BED_TEST(clients_that_go_leave_nothing),
	    BED_TEST(one_client_too_many_is_turned_away),
	    BED_TEST(finishing_writes_out_what_is_left),
	    BED_TEST(the_end_of_the_guest_ends_its_clients),
	    BED_TEST(guests_are_apart),
	};

	return BED_RUN(tests);
}
