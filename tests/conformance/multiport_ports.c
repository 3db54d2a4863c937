/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Several ports: each has its own bytes; a console port never holds the guest up; a data port is
 * open while a client is, and its input waits for the driver (virtio 1.3, 5.3.6). Its output is in
 * multiport_output.c.
 */
#include "multiport_use.h"

#include <stdlib.h>
#include <string.h>

#define KIB 1024u
#define MIB (1024u * KIB)

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
	await_clients(guest, USUAL_DATA, 1);
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
		if (i % 4 == 0)
			await_clients(guest, 1, 1);
		tcp_client_close(&client, true);
		bed_settle(guest->bed);
	}
	multiport_driver_collect(multiport);
	multiport->hold_control = false;
	multiport_driver_post_control(multiport);
	multiport_driver_await_open(multiport, 1, true);
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

/*
 * A client that has sent all and closed: a reader in the guest finds the end there, not before the
 * last byte and also if nothing is ever sent the other way.
 */
static void the_end_comes_after_the_last_byte(void **state)
{
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct port_driver *port = multiport_driver_port(&guest->multiport, 1);
	size_t size = 300 * KIB; /* more than the buffers that are posted */
	struct tcp_client client;

	(void)state;
	connect_data(&client, guest, 0);
	port->hold_receive = true;
	tcp_client_send_all(&client, bed_pattern(size), size);
	tcp_client_close(&client, false);
	bed_settle(guest->bed);
	multiport_driver_collect(&guest->multiport);
	assert_true(guest->multiport.state[1].open);
	assert_true(port_driver_collect(port) < size);
	port->hold_receive = false;
	port_driver_post(port);
	port_driver_expect_input(port, bed_pattern(size), size);
	multiport_driver_await_open(&guest->multiport, 1, false);
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

/* A pause changes nothing of that, in either state; after a reset the driver has to open anew. */
static void a_pause_keeps_a_port_open_and_a_reset_does_not(void **state)
{
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct port_driver *port = multiport_driver_port(&guest->multiport, 1);
	struct tcp_client client;

	(void)state;
	connect_data(&client, guest, 0);
	for (uint16_t open = 2; open-- > 0;) {
		multiport_driver_send(&guest->multiport, 1, CONSOLE_PORT_OPEN, open);
		assert_true(console_driver_play(&guest->console, VMM_STOP));
		tcp_client_send_all(&client, "typed", 5);
		bed_settle(guest->bed);
		assert_true(console_driver_play(&guest->console, VMM_RESUME));
		bed_settle(guest->bed);
		assert_int_equal(port_driver_collect(port), open ? 5 : 0);
		if (open)
			port_driver_expect_input(port, "typed", 5);
	}
	multiport_driver_send(&guest->multiport, 1, CONSOLE_PORT_OPEN, 1);
	port_driver_expect_input(port, "typed", 5);
	assert_true(multiport_driver_reset(&guest->multiport));
	tcp_client_send_all(&client, "again", 5);
	assert_true(multiport_driver_restart(&guest->multiport));
	bed_settle(guest->bed);
	assert_int_equal(port_driver_collect(port), 0);
	shake_hands(guest);
	port_driver_expect_input(port, "again", 5);
	tcp_client_close(&client, true);
}

/* What one VMM's driver had open isn't open for the next one's. */
static void a_new_frontend_has_it_closed(void **state)
{
	struct multiport_driver_options options = {.ports = 2};
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct tcp_client client;

	(void)state;
	connect_data(&client, guest, 0);
	multiport_driver_send(&guest->multiport, 1, CONSOLE_PORT_OPEN, 1);
	bed_hang_up(guest);
	bed_reconnect(guest);
	tcp_client_send_all(&client, "typed", 5);
	bed_multiport(guest, &options);
	assert_true(multiport_driver_bring_up(&guest->multiport));
	bed_settle(guest->bed);
	assert_int_equal(port_driver_collect(multiport_driver_port(&guest->multiport, 1)), 0);
	shake_hands(guest);
	port_driver_expect_input(multiport_driver_port(&guest->multiport, 1), "typed", 5);
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
	    BED_TEST(the_end_comes_after_the_last_byte),
	    BED_TEST(a_pause_keeps_a_port_open_and_a_reset_does_not),
	    BED_TEST(a_new_frontend_has_it_closed),
	    BED_TEST(much_data_waits_too),
	};

	return BED_RUN(tests);
}
