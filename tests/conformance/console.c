/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The way of the data (design, 5; issue 3, "network"): from a guest's driver to clients on TCP and
 * back. What is printed goes to every client in order, what is typed comes byte for byte, and
 * whoever doesn't read harms nobody.
 */
#include "console_use.h"

#include <string.h>

#define MIB (1024u * 1024u)

/* Kept output first, in order, then live; for each client that comes, not only the first. */
static void kept_output_comes_first_then_live(void **state)
{
	struct bed_guest *guest = new_network_guest(0);
	struct tcp_client clients[3];

	(void)state;
	print(guest, 0, 1000);
	for (unsigned int i = 0; i < 3; i++) {
		tcp_client_connect(&clients[i], guest, 0);
		expect_printed(&clients[i], 0, 1000 + 500 * i);
		print(guest, 1000 + 500 * i, 500);
		for (unsigned int k = 0; k <= i; k++)
			expect_printed(&clients[k], 1000 + 500 * i, 500);
	}
	for (unsigned int i = 0; i < 3; i++) {
		tcp_client_expect_nothing(&clients[i]);
		tcp_client_close(&clients[i], false);
	}
}

/* Who comes late gets what the history holds, and is told how much is missing. */
static void a_late_client_gets_the_history(void **state)
{
	struct bed_guest *guest = new_network_guest(4096);
	struct tcp_client client;
	struct stream_check check;

	(void)state;
	print(guest, 0, 50000);
	tcp_client_connect(&client, guest, 0);
	await_position(&client, &check, 0, 50000);
	assert_int_equal(check.skipped, 50000 - 4096);
	assert_int_equal(check.gaps, 1);
	print(guest, 50000, 100);
	await_position(&client, &check, 50000, 50100);
	assert_int_equal(check.gaps, 0);
	tcp_client_close(&client, false);
}

/* A history that is exactly full is whole. */
static void a_full_history_has_no_gap(void **state)
{
	struct bed_guest *guest = new_network_guest(4096);
	struct tcp_client client;

	(void)state;
	print(guest, 0, 4096);
	tcp_client_connect(&client, guest, 0);
	expect_printed(&client, 0, 4096);
	tcp_client_expect_nothing(&client);
	tcp_client_close(&client, false);
}

/* A client that reads at full speed loses nothing, however fast the guest and short the history. */
static void a_reader_at_full_speed_loses_nothing(void **state)
{
	static const uint64_t histories[] = {4096, 16384, 0};

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct bed_guest *guest = new_network_guest(histories[i]);
		struct tcp_client client;
		struct stream_check check = {0};

		tcp_client_connect(&client, guest, 0);
		bed_settle(guest->bed);
		print_while_reading(guest, 4 * MIB, &client, &check);
		assert_int_equal(check.gaps, 0);
		tcp_client_close(&client, false);
		bed_free(guest->bed);
	}
}

/* The guest prints until the connection is full and it is held; how many bytes. */
static uint64_t print_until_held(struct bed_guest *guest)
{
	uint64_t offered = 0;

	for (unsigned int held = 0; held < 2; bed_turn(guest->bed)) {
		size_t n = offer_printed(guest, offered, 65536);

		console_driver_reap(&guest->console);
		offered += n;
		held = n == 0 ? held + 1 : 0;
	}
	return offered;
}

/* The reader reads all there is at once, we turn only later; how many gaps it was told of. */
static unsigned int gaps_after_stalls(void)
{
	struct bed_guest *guest = new_network_guest(4096);
	struct stream_check check = {0};
	struct tcp_client client;
	uint64_t offered;

	tcp_client_connect(&client, guest, 0);
	bed_settle(guest->bed);
	offered = print_until_held(guest);
	for (unsigned int i = 0; i < 20; i++) {
		check_stream(&client, &check);
		pause_ms(20);
		bed_turn(guest->bed);
	}
	print_rest_while_reading(guest, offered, &client, &check);
	tcp_client_close(&client, false);
	bed_free(guest->bed);
	return check.gaps;
}

/*
 * The same where our process doesn't get the processor for longer than a reader has patience: a
 * reader that has read all there was isn't one without progress. Several tries, because a stall
 * that isn't the test's, before the first reading, does leave a gap.
 */
static void a_stall_of_ours_is_not_the_readers(void **state)
{
	unsigned int gaps = 1;

	(void)state;
	for (unsigned int i = 0; i < 5 && gaps > 0; i++)
		gaps = gaps_after_stalls();
	assert_int_equal(gaps, 0);
}

/* A client that doesn't read holds the guest up once, for a moment, and then never again. */
static void a_client_that_never_reads_never_holds_the_guest(void **state)
{
	struct bed_guest *guest = new_network_guest(65536);
	struct tcp_client client;
	struct stream_check check;

	(void)state;
	tcp_client_connect(&client, guest, 4096);
	bed_settle(guest->bed);
	/* More than all buffers between: from somewhere in here on it lags. */
	print(guest, 0, 16 * MIB);
	for (unsigned int i = 0; i < 64; i++) {
		uint64_t before = guest->bed->turns;

		print(guest, 16 * MIB + i * 65536, 65536);
		/* 64 KiB are at most 16 buffers of the driver: a kick, a pump, no timer. */
		assert_true(guest->bed->turns - before <= 12);
	}
	/* What it missed it is told, and what is kept it gets. */
	await_position(&client, &check, 0, 20 * MIB);
	assert_true(check.gaps > 0);
	assert_true(check.skipped > 0);
	print(guest, 20 * MIB, 1000);
	await_position(&client, &check, 20 * MIB, 20 * MIB + 1000);
	assert_int_equal(check.gaps, 0);
	tcp_client_close(&client, false);
}

/*
 * Nor does one that reads now and then, but less than the ring holds: it is waited for again when
 * it has caught up, or has read that much in a row.
 */
static void a_client_that_reads_too_little_never_holds_the_guest(void **state)
{
	struct bed_guest *guest = new_network_guest(4 * MIB);
	struct stream_check check = {0};
	struct tcp_client client;

	(void)state;
	tcp_client_connect(&client, guest, 0);
	bed_settle(guest->bed);
	print(guest, 0, 24 * MIB);
	for (unsigned int i = 0; i < 32; i++) {
		uint64_t before = guest->bed->turns;

		/* Enough for the connection to take some more. */
		tcp_client_read(&client, 120000);
		check_piece(&client, &check);
		print(guest, 24 * MIB + i * 65536, 65536);
		assert_true(guest->bed->turns - before <= 12);
	}
	tcp_client_close(&client, false);
}

/* One that is stuck costs another nothing. */
static void a_stuck_client_costs_another_nothing(void **state)
{
	struct bed_guest *guest = new_network_guest(16384);
	struct tcp_client stuck, reader;
	struct stream_check check = {0};

	(void)state;
	tcp_client_connect(&stuck, guest, 4096);
	tcp_client_connect(&reader, guest, 0);
	bed_settle(guest->bed);
	print_while_reading(guest, 12 * MIB, &reader, &check);
	assert_int_equal(check.gaps, 0);
	tcp_client_close(&stuck, false);
	tcp_client_close(&reader, false);
}

/* Megabytes pasted come byte for byte. */
static void megabytes_of_input_come_whole(void **state)
{
	struct bed_guest *guest = new_network_guest(0);
	struct tcp_client client;

	(void)state;
	tcp_client_connect(&client, guest, 0);
	type_and_read(guest, &client, 3 * MIB);
	tcp_client_close(&client, false);
}

/* Both ways at once, and neither waits for the other. */
static void both_ways_at_once(void **state)
{
	struct bed_guest *guest = new_network_guest(16384);
	struct tcp_client client;
	struct stream_check check = {0};
	uint64_t typed = 0, printed = 0, read = 0;

	(void)state;
	tcp_client_connect(&client, guest, 0);
	while (printed < 2 * MIB || read < 2 * MIB || check.pos < 2 * MIB) {
		typed += send_printed(&client, typed, 2 * MIB);
		if (printed < 2 * MIB)
			printed += offer_printed(guest, printed, 2 * MIB - printed);
		bed_turn(guest->bed);
		console_driver_reap(&guest->console);
		check_stream(&client, &check);
		read += take_typed(guest, read);
	}
	assert_int_equal(check.gaps, 0);
	tcp_client_close(&client, false);
}

/* Input before there is a guest waits, bounded: TCP holds the client back, nothing is dropped. */
static void input_waits_for_the_guest(void **state)
{
	struct bed_guest *guest = new_bare_network_guest(0);
	struct tcp_client client;
	uint64_t typed = 0, read = 0;
	unsigned int stuck = 0;

	(void)state;
	tcp_client_connect(&client, guest, 0);
	/* Until nothing goes any more. */
	while (stuck < 50) {
		size_t n = send_printed(&client, typed, UINT64_MAX);

		typed += n;
		stuck = n == 0 ? stuck + 1 : 0;
		bed_turn(guest->bed);
	}
	bed_console(guest, NULL);
	assert_true(console_driver_bring_up(&guest->console));
	while (read < typed) {
		bed_turn(guest->bed);
		read += take_typed(guest, read);
	}
	bed_settle(guest->bed);
	assert_int_equal(console_driver_collect(&guest->console), 0);
	tcp_client_close(&client, false);
}

/* The guest reboots, its driver goes and comes: the same clients go on. */
static void clients_stay_over_a_reboot(void **state)
{
	(void)state;
	for (unsigned int v = 0; vmm_all[v]; v++) {
		struct console_driver_options options = {.vmm = vmm_all[v]};
		struct bed_guest *guest = new_bare_network_guest(0);
		struct tcp_client client;
		uint64_t pos = 0;

		bed_console(guest, &options);
		assert_true(console_driver_bring_up(&guest->console));
		tcp_client_connect(&client, guest, 0);
		for (unsigned int i = 0; i < 3; i++, pos += 1000) {
			print(guest, pos, 1000);
			expect_printed(&client, pos, 1000);
			type_and_read(guest, &client, 1000);
			assert_true(console_driver_play(&guest->console, VMM_RESET));
			tcp_client_send_all(&client, "typed meanwhile", 15);
			bed_settle(guest->bed);
			assert_true(console_driver_play(&guest->console, VMM_RESTART));
			console_driver_post(&guest->console);
			console_driver_expect_input(&guest->console, "typed meanwhile", 15);
		}
		tcp_client_expect_nothing(&client);
		tcp_client_close(&client, false);
		bed_free(guest->bed);
	}
}

/* The VMM is killed and a new one comes: the same clients go on. */
static void clients_stay_over_a_new_frontend(void **state)
{
	(void)state;
	for (unsigned int v = 0; vmm_all[v]; v++) {
		struct console_driver_options options = {.vmm = vmm_all[v]};
		struct bed_guest *guest = new_bare_network_guest(0);
		struct tcp_client client;
		uint64_t pos = 0;

		tcp_client_connect(&client, guest, 0);
		for (unsigned int i = 0; i < 5; i++, pos += 1000) {
			bed_console(guest, &options);
			assert_true(console_driver_bring_up(&guest->console));
			/* Typed while there was nobody to read it. */
			if (i > 0 && i % 2 == 0)
				console_driver_expect_input(&guest->console, "typed meanwhile", 15);
			print(guest, pos, 1000);
			expect_printed(&client, pos, 1000);
			type_and_read(guest, &client, 1000);
			if (i % 2) {
				bed_hang_up(guest);
				tcp_client_send_all(&client, "typed meanwhile", 15);
				bed_settle(guest->bed);
			}
			bed_reconnect(guest);
		}
		tcp_client_expect_nothing(&client);
		tcp_client_close(&client, false);
		bed_free(guest->bed);
	}
}

/* What a killed VMM's guest had printed still goes to the clients. */
static void output_of_a_killed_guest_is_not_lost(void **state)
{
	struct bed_guest *guest = new_network_guest(0);
	struct tcp_client client;

	(void)state;
	tcp_client_connect(&client, guest, 4096);
	bed_settle(guest->bed);
	print(guest, 0, 200000);
	bed_hang_up(guest);
	expect_printed(&client, 0, 200000);
	tcp_client_close(&client, false);
}

/* Every client may write, and none's bytes are lost or out of order. */
static void two_clients_type(void **state)
{
	struct bed_guest *guest = new_network_guest(0);
	struct tcp_client clients[2];
	uint64_t typed[2] = {0}, read[2] = {0};
	uint8_t bytes[4096];

	(void)state;
	tcp_client_connect(&clients[0], guest, 0);
	tcp_client_connect(&clients[1], guest, 0);
	while (read[0] < MIB || read[1] < MIB) {
		size_t n;

		for (unsigned int i = 0; i < 2; i++)
			typed[i] += send_marked(&clients[i], i, typed[i], MIB);
		bed_turn(guest->bed);
		console_driver_collect(&guest->console);
		while ((n = console_driver_take_input(&guest->console, bytes, sizeof(bytes))) > 0)
			for (size_t k = 0; k < n; k++)
				check_marked(bytes[k], read);
	}
	assert_int_equal(typed[0] + typed[1], 2 * MIB);
	for (unsigned int i = 0; i < 2; i++)
		tcp_client_close(&clients[i], false);
}

/* Two who type without end: each is read from in its turn. */
static void neither_of_two_clients_starves(void **state)
{
	struct bed_guest *guest = new_network_guest(0);
	uint64_t typed[2] = {0}, read[2] = {0};
	struct tcp_client clients[2];
	uint8_t bytes[4096];

	(void)state;
	for (unsigned int i = 0; i < 2; i++)
		tcp_client_connect(&clients[i], guest, 0);
	while (read[0] + read[1] < 4 * MIB) {
		size_t n;

		for (unsigned int i = 0; i < 2; i++)
			while ((n = send_marked(&clients[i], i, typed[i], UINT64_MAX)) > 0)
				typed[i] += n;
		bed_turn(guest->bed);
		console_driver_collect(&guest->console);
		while ((n = console_driver_take_input(&guest->console, bytes, sizeof(bytes))) > 0)
			for (size_t k = 0; k < n; k++)
				check_marked(bytes[k], read);
	}
	/* Their shares differ with what TCP brings of each; none has none. */
	assert_true(read[0] > MIB / 4 && read[1] > MIB / 4);
	for (unsigned int i = 0; i < 2; i++)
		tcp_client_close(&clients[i], true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(kept_output_comes_first_then_live),
	    BED_TEST(a_late_client_gets_the_history),
	    BED_TEST(a_full_history_has_no_gap),
	    BED_TEST(a_reader_at_full_speed_loses_nothing),
	    BED_TEST(a_stall_of_ours_is_not_the_readers),
	    BED_TEST(a_client_that_never_reads_never_holds_the_guest),
	    BED_TEST(a_client_that_reads_too_little_never_holds_the_guest),
	    BED_TEST(a_stuck_client_costs_another_nothing),
	    BED_TEST(megabytes_of_input_come_whole),
	    BED_TEST(both_ways_at_once),
	    BED_TEST(input_waits_for_the_guest),
	    BED_TEST(clients_stay_over_a_reboot),
	    BED_TEST(clients_stay_over_a_new_frontend),
	    BED_TEST(output_of_a_killed_guest_is_not_lost),
	    BED_TEST(two_clients_type),
	    BED_TEST(neither_of_two_clients_starves),
	};

	return BED_RUN(tests);
}
