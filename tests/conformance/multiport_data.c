/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The bytes of several ports: a console port never holds the guest up, a data port loses nothing
 * and is closed to the guest while nobody is connected (virtio 1.3, 5.3.6; design, 5).
 */
#include "multiport_use.h"

#include <stdlib.h>
#include <string.h>

#define KIB 1024u
#define MIB (1024u * KIB)

static struct driver_queue *transmitq_of(struct bed_guest *guest, uint32_t id)
{
	return multiport_driver_port(&guest->multiport, id)->transmitq;
}

/* A guest with a data port, port 1, beside the console; it has shaken hands. */
static struct bed_guest *new_data_guest(uint64_t history, const struct port_driver_options *port)
{
	struct bed_port_options ports[] = {
	    {.data = false},
	    {.name = DATA_NAME, .data = true, .network = true, .history = history},
	};
	struct multiport_driver_options options = {.ports = 2};
	struct bed_guest *guest;

	if (port)
		options.port = *port;
	guest = new_ports_guest(ports, 2, &options);
	assert_true(multiport_driver_bring_up(&guest->multiport));
	shake_hands(guest);
	return guest;
}

static void connect_data(struct tcp_client *client, struct bed_guest *guest, int receive_buffer)
{
	tcp_client_connect_port(client, guest, 1, receive_buffer);
	multiport_driver_await_open(&guest->multiport, 1, true);
	multiport_driver_skip(&guest->multiport);
}

/* The guest offers the pattern until it is held; how many bytes. */
static uint64_t offer_until_held(struct bed_guest *guest, uint32_t id)
{
	struct port_driver *port = multiport_driver_port(&guest->multiport, id);
	uint64_t offered = 0;

	for (unsigned int held = 0; held < 8; bed_settle(guest->bed)) {
		size_t n = offer_to_port(guest, id, offered, UINT64_MAX);

		offered += n;
		held = n == 0 ? held + 1 : 0;
		port_driver_reap(port);
	}
	assert_int_equal(driver_outstanding(port->transmitq), port->options.transmit_count);
	return offered;
}

/* ---- which queue is whose ---- */

/* 5.3.2: port 0 has queues 0 and 1, port n 2n + 2 and 2n + 3; bytes come to their own port. */
static void each_port_has_its_own_bytes(void **state)
{
	struct bed_guest *guest = new_usual_guest();
	struct multiport_driver *multiport = &guest->multiport;

	(void)state;
	shake_hands(guest);
	port_driver_transmit(multiport_driver_port(multiport, 0), "zero", 4);
	port_driver_transmit(multiport_driver_port(multiport, USUAL_CONSOLE), "one", 3);
	assert_int_equal(guest->backends[0].output_size, 4);
	assert_memory_equal(guest->backends[0].output, "zero", 4);
	assert_int_equal(guest->backends[USUAL_CONSOLE].output_size, 3);
	assert_memory_equal(guest->backends[USUAL_CONSOLE].output, "one", 3);
	for (uint32_t id = 0; id < 2; id++) {
		check_port_output(guest, id, 300000);
		check_port_input(guest, id, 200000);
	}
}

/* ---- console ports ---- */

/* A console's input comes when there are buffers: 5.3.6 asks for no PORT_OPEN of the driver. */
static void a_console_needs_no_open_for_input(void **state)
{
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	expect_ports(guest);
	expect_port_answers(guest, USUAL_CONSOLE);
	check_port_input(guest, USUAL_CONSOLE, 5000);
}

/* A console of the second port holds the guest no more than the first: not without a client, */
static void a_console_without_a_client_never_holds(void **state)
{
	static const struct bed_port_options ports[] = {
	    {.data = false},
	    {.network = true, .history = 4096},
	};
	struct multiport_driver_options options = {.ports = 2};
	struct bed_guest *guest = new_ports_guest(ports, 2, &options);

	(void)state;
	assert_true(multiport_driver_bring_up(&guest->multiport));
	shake_hands(guest);
	for (uint64_t pos = 0; pos < 4 * MIB; pos += 64 * KIB)
		port_driver_transmit(multiport_driver_port(&guest->multiport, 1),
		                     bed_pattern(64 * KIB), 64 * KIB);
}

/* and not with one that doesn't read, but for a moment. */
static void a_console_with_a_stuck_client_never_holds(void **state)
{
	static const struct bed_port_options ports[] = {
	    {.data = false},
	    {.network = true, .history = 65536},
	};
	struct multiport_driver_options options = {.ports = 2};
	struct bed_guest *guest = new_ports_guest(ports, 2, &options);
	struct tcp_client client;

	(void)state;
	assert_true(multiport_driver_bring_up(&guest->multiport));
	shake_hands(guest);
	tcp_client_connect_port(&client, guest, 1, 4096);
	bed_settle(guest->bed);
	for (uint64_t pos = 0; pos < 16 * MIB; pos += 64 * KIB)
		port_driver_transmit(multiport_driver_port(&guest->multiport, 1),
		                     bed_pattern(64 * KIB), 64 * KIB);
	/* A console is open whoever is there. */
	assert_true(guest->multiport.state[1].open);
	tcp_client_close(&client, true);
	bed_settle(guest->bed);
	multiport_driver_collect(&guest->multiport);
	assert_true(guest->multiport.state[1].open);
}

/* ---- a data port opens and closes ---- */

/* 5.3.6.2, PORT_OPEN: while a client is attached, and at no other time. */
static void a_data_port_is_open_while_a_client_is(void **state)
{
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct tcp_client client;

	(void)state;
	assert_false(guest->multiport.state[1].open);
	for (unsigned int i = 0; i < 3; i++) {
		tcp_client_connect_port(&client, guest, 1, 0);
		multiport_driver_expect(&guest->multiport, 1, CONSOLE_PORT_OPEN, 1, NULL, 0);
		expect_no_message(guest);
		tcp_client_close(&client, true);
		multiport_driver_expect(&guest->multiport, 1, CONSOLE_PORT_OPEN, 0, NULL, 0);
		expect_no_message(guest);
	}
}

/* Who was there before the driver is told with the answers; and again after a reset. */
static void a_client_that_is_there_is_told_at_first(void **state)
{
	struct bed_guest *guest = new_usual_guest();
	struct tcp_client client;

	(void)state;
	tcp_client_connect_port(&client, guest, USUAL_DATA, 0);
	expect_no_message(guest);
	for (unsigned int i = 0; i < 2; i++) {
		expect_ports(guest);
		multiport_driver_send(&guest->multiport, USUAL_DATA, CONSOLE_PORT_READY, 1);
		expect_event(guest, USUAL_DATA, CONSOLE_PORT_NAME);
		multiport_driver_expect(&guest->multiport, USUAL_DATA, CONSOLE_PORT_OPEN, 1, NULL,
		                        0);
		expect_no_message(guest);
		assert_true(multiport_driver_reset(&guest->multiport));
		assert_true(multiport_driver_restart(&guest->multiport));
	}
	tcp_client_close(&client, true);
}

/* Changes that the driver had no buffers for: it learns how it is in the end. */
static void the_last_state_is_told(void **state)
{
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct multiport_driver *multiport = &guest->multiport;
	struct tcp_client client;

	(void)state;
	multiport->hold_control = true;
	for (unsigned int i = 0; i < 20; i++) {
		tcp_client_connect_port(&client, guest, 1, 0);
		bed_settle(guest->bed);
		if (i == 19)
			break;
		tcp_client_close(&client, true);
		bed_settle(guest->bed);
	}
	multiport_driver_collect(multiport);
	multiport->hold_control = false;
	multiport_driver_post_control(multiport);
	bed_settle(guest->bed);
	multiport_driver_collect(multiport);
	assert_true(multiport->state[1].open);
	tcp_client_close(&client, true);
	multiport_driver_await_open(multiport, 1, false);
}

/* ---- a data port's input ---- */

/* Linux drops what comes before it has the port open: it waits for PORT_OPEN(1) of the driver. */
static void data_waits_until_the_driver_opens(void **state)
{
	struct bed_guest *guest = new_usual_guest();
	struct port_driver *port = multiport_driver_port(&guest->multiport, USUAL_DATA);
	struct tcp_client client;

	(void)state;
	tcp_client_connect_port(&client, guest, USUAL_DATA, 0);
	expect_ports(guest);
	multiport_driver_send(&guest->multiport, USUAL_DATA, CONSOLE_PORT_READY, 1);
	tcp_client_send_all(&client, "early", 5);
	bed_settle(guest->bed);
	assert_int_equal(port_driver_collect(port), 0);
	multiport_driver_send(&guest->multiport, USUAL_DATA, CONSOLE_PORT_OPEN, 1);
	port_driver_expect_input(port, "early", 5);
	tcp_client_close(&client, true);
}

/* When the driver closes the port what comes isn't dropped: it waits. */
static void data_waits_while_the_driver_has_it_closed(void **state)
{
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct port_driver *port = multiport_driver_port(&guest->multiport, 1);
	struct tcp_client client;

	(void)state;
	connect_data(&client, guest, 0);
	for (unsigned int i = 0; i < 3; i++) {
		tcp_client_send_all(&client, "now", 3);
		port_driver_expect_input(port, "now", 3);
		multiport_driver_send(&guest->multiport, 1, CONSOLE_PORT_OPEN, 0);
		tcp_client_send_all(&client, "later", 5);
		bed_settle(guest->bed);
		assert_int_equal(port_driver_collect(port), 0);
		multiport_driver_send(&guest->multiport, 1, CONSOLE_PORT_OPEN, 1);
		port_driver_expect_input(port, "later", 5);
	}
	tcp_client_close(&client, true);
}

/* However much it is: TCP holds the client back, and not a byte is lost. */
static void much_data_waits_too(void **state)
{
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct port_driver *port = multiport_driver_port(&guest->multiport, 1);
	uint64_t sent = 0, from = 0;
	struct tcp_client client;

	(void)state;
	connect_data(&client, guest, 0);
	multiport_driver_send(&guest->multiport, 1, CONSOLE_PORT_OPEN, 0);
	for (unsigned int stuck = 0; stuck < 8; bed_settle(guest->bed)) {
		size_t n = send_printed(&client, sent, UINT64_MAX);

		sent += n;
		stuck = n == 0 ? stuck + 1 : 0;
	}
	assert_int_equal(port_driver_collect(port), 0);
	assert_true(sent < 64ull * MIB);
	multiport_driver_send(&guest->multiport, 1, CONSOLE_PORT_OPEN, 1);
	for (uint8_t expected[4096]; from < sent; from += sizeof(expected)) {
		size_t n =
		    sent - from < sizeof(expected) ? (size_t)(sent - from) : sizeof(expected);

		support_fill_pattern(expected, n, from);
		port_driver_expect_input(port, expected, n);
	}
	bed_settle(guest->bed);
	assert_int_equal(port_driver_collect(port), 0);
	tcp_client_close(&client, true);
}

/* ---- a data port's output ---- */

/* A slow reader holds the guest back; when it reads, it has all of it. */
static void a_slow_reader_holds_a_data_port(void **state)
{
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct tcp_client client;
	uint64_t offered;

	(void)state;
	connect_data(&client, guest, 4096);
	offered = offer_until_held(guest, 1);
	pass_output(guest, 1, &client, 0, offered, offered + 2 * MIB);
	tcp_client_close(&client, true);
}

/* It holds nothing else: not the console, not the control queue, in both directions. */
static void a_held_port_holds_no_other(void **state)
{
	struct bed_guest *guest = new_usual_guest();
	struct tcp_client client;
	uint64_t offered;

	(void)state;
	tcp_client_connect_port(&client, guest, USUAL_DATA, 4096);
	shake_hands(guest);
	offered = offer_until_held(guest, USUAL_DATA);
	for (uint32_t id = 0; id < 2; id++) {
		check_port_output(guest, id, 300000);
		check_port_input(guest, id, 100000);
		expect_port_answers(guest, id);
	}
	tcp_client_send_all(&client, "the other way", 13);
	port_driver_expect_input(multiport_driver_port(&guest->multiport, USUAL_DATA),
	                         "the other way", 13);
	pass_output(guest, USUAL_DATA, &client, 0, offered, offered);
	tcp_client_close(&client, true);
}

/* Chains of many times the port's ring, in one descriptor and in many. */
static void chains_longer_than_the_ring_pass(void **state)
{
	static const struct port_driver_options ports[] = {
	    {.transmit_size = 32 * KIB, .transmit_count = 32},
	    {.transmit_size = 32 * KIB, .transmit_count = 4, .transmit_pieces = 13},
	    {.transmit_size = 32 * KIB,
	     .transmit_count = 8,
	     .transmit_pieces = 31,
	     .indirect = true},
	    {.transmit_size = 1 * MIB, .transmit_count = 2},
	    {.transmit_size = 4097, .transmit_count = 8, .transmit_pieces = 2},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		struct bed_guest *guest = new_data_guest(4096, &ports[i]);
		struct tcp_client client;

		connect_data(&client, guest, 0);
		pass_output(guest, 1, &client, 0, 0, 3 * MIB + 77);
		tcp_client_close(&client, true);
		bed_free(guest->bed);
	}
}

/* And with a reader that stops in the middle of them. */
static void a_long_chain_waits_in_the_middle(void **state)
{
	static const struct port_driver_options port = {.transmit_size = 32 * KIB,
	                                                .transmit_count = 4};
	struct bed_guest *guest = new_data_guest(4096, &port);
	struct tcp_client client;
	uint64_t offered;

	(void)state;
	connect_data(&client, guest, 4096);
	offered = offer_until_held(guest, 1);
	pass_output(guest, 1, &client, 0, offered, offered + 300 * KIB);
	tcp_client_close(&client, true);
}

/* What nobody was there for waits for whoever comes, from its first byte on. */
static void output_waits_for_the_next_client(void **state)
{
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct tcp_client client;
	uint64_t offered;

	(void)state;
	offered = offer_until_held(guest, 1);
	/* The ring, and all of the guest's buffers but those that fitted into it. */
	assert_true(offered > 4096);
	connect_data(&client, guest, 0);
	pass_output(guest, 1, &client, 0, offered, offered + 100 * KIB);
	tcp_client_close(&client, true);
}

/* A client that goes takes with it only what was on its way to it; the next has all the rest. */
static void the_next_client_goes_on(void **state)
{
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct port_driver *port = multiport_driver_port(&guest->multiport, 1);
	struct tcp_client client;
	uint8_t expected[8192];
	uint64_t offered;

	(void)state;
	connect_data(&client, guest, 4096);
	offered = offer_until_held(guest, 1);
	tcp_client_close(&client, true);
	multiport_driver_await_open(&guest->multiport, 1, false);
	connect_data(&client, guest, 0);
	/* The guest's last buffers haven't been taken: at the least they come, as the end. */
	bed_settle(guest->bed);
	while (driver_outstanding(port->transmitq) > 0) {
		bed_turn(guest->bed);
		port_driver_reap(port);
		tcp_client_read(&client, SIZE_MAX);
	}
	bed_settle(guest->bed);
	tcp_client_read(&client, SIZE_MAX);
	assert_true(client.size >= 64 * 4096);
	for (uint64_t at = 0; at < client.size; at += sizeof(expected)) {
		size_t n = client.size - at < sizeof(expected) ? (size_t)(client.size - at)
		                                               : sizeof(expected);

		support_fill_pattern(expected, n, offered - client.size + at);
		assert_memory_equal(client.data + at, expected, n);
	}
	tcp_client_close(&client, true);
}

/* ---- stopping while the port is held ---- */

/* GET_VRING_BASE in the middle of a chain: each byte still comes once. */
static void a_pause_in_the_middle_loses_nothing(void **state)
{
	static const struct port_driver_options ports[] = {
	    {.transmit_size = 32 * KIB, .transmit_count = 4},
	    {.transmit_size = 32 * KIB, .transmit_count = 4, .transmit_pieces = 7},
	    {.transmit_size = 512},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		struct bed_guest *guest = new_data_guest(4096, &ports[i]);
		struct tcp_client client;
		uint64_t offered;

		connect_data(&client, guest, 4096);
		offered = offer_until_held(guest, 1);
		for (unsigned int k = 0; k < 3; k++) {
			assert_true(console_driver_play(&guest->console, VMM_STOP));
			/* What the device says it has taken is what it has used. */
			assert_int_equal(guest->console.saved_base[5],
			                 driver_load16(driver_used_idx(transmitq_of(guest, 1))));
			assert_true(console_driver_play(&guest->console, VMM_RESUME));
			bed_settle(guest->bed);
		}
		pass_output(guest, 1, &client, 0, offered, offered + 100 * KIB);
		tcp_client_close(&client, true);
		bed_free(guest->bed);
	}
}

/* A reset while it is held: what the device had is delivered, and the next driver's after it. */
static void a_reset_in_the_middle_is_clean(void **state)
{
	static const struct port_driver_options port = {.transmit_size = 32 * KIB,
	                                                .transmit_count = 4};
	struct bed_guest *guest = new_data_guest(4096, &port);
	struct tcp_client client;
	uint64_t at = 0;
	size_t same;

	(void)state;
	connect_data(&client, guest, 4096);
	offer_until_held(guest, 1);
	assert_true(multiport_driver_reset(&guest->multiport));
	assert_true(multiport_driver_restart(&guest->multiport));
	shake_hands(guest);
	assert_true(guest->multiport.state[1].open);
	assert_int_equal(port_driver_offer(multiport_driver_port(&guest->multiport, 1), "\n", 1),
	                 1);
	/* The pattern, as far as it went, then the line's end, which isn't in it. */
	for (uint8_t expected[4096]; client.size == 0 || client.data[0] != '\n';) {
		bed_turn(guest->bed);
		tcp_client_read(&client, sizeof(expected));
		support_fill_pattern(expected, sizeof(expected), at);
		for (same = 0; same < client.size && same < sizeof(expected) &&
		               client.data[same] == expected[same];
		     same++)
			;
		assert_true(same == client.size || same == sizeof(expected) ||
		            client.data[same] == '\n');
		at += same;
		client.size -= same;
		memmove(client.data, client.data + same, client.size);
	}
	assert_int_equal(client.size, 1);
	assert_true(at > 4096);
	tcp_client_close(&client, true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(each_port_has_its_own_bytes),
	    BED_TEST(a_console_needs_no_open_for_input),
	    BED_TEST(a_console_without_a_client_never_holds),
	    BED_TEST(a_console_with_a_stuck_client_never_holds),
	    BED_TEST(a_data_port_is_open_while_a_client_is),
	    BED_TEST(a_client_that_is_there_is_told_at_first),
	    BED_TEST(the_last_state_is_told),
	    BED_TEST(data_waits_until_the_driver_opens),
	    BED_TEST(data_waits_while_the_driver_has_it_closed),
	    BED_TEST(much_data_waits_too),
	    BED_TEST(a_slow_reader_holds_a_data_port),
	    BED_TEST(a_held_port_holds_no_other),
	    BED_TEST(chains_longer_than_the_ring_pass),
	    BED_TEST(a_long_chain_waits_in_the_middle),
	    BED_TEST(output_waits_for_the_next_client),
	    BED_TEST(the_next_client_goes_on),
	    BED_TEST(a_pause_in_the_middle_loses_nothing),
	    BED_TEST(a_reset_in_the_middle_is_clean),
	};

	return BED_RUN(tests);
}
