/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A driver without MULTIPORT knows one port (virtio 1.3, 5.3.2: virtqueues 0 and 1): with several
 * ports that is the first console, whatever its number.
 */
#include "multiport_use.h"
#include "tcp_client.h"

#include "guest.h"

#include <errno.h>
#include <string.h>

#define AGENT   0 /* a data port over TCP */
#define CONSOLE 1
#define SECOND  2 /* a console, too */
#define PORTS   3

static const struct bed_port_options ports[PORTS] = {
    [AGENT] = {.name = "agent", .data = true, .network = true, .history = 4096},
    [CONSOLE] = {.name = "console"},
    [SECOND] = {.name = "second"},
};

static struct bed_guest *prepare(void)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true,
	                                                        .multiport = true,
	                                                        .ports = ports,
	                                                        .ports_count = PORTS,
	                                                        .max_ports = PORTS + 1});

	bed_negotiate(guest, 1ull << VIRTIO_CONSOLE_F_SIZE | 1ull << VIRTIO_CONSOLE_F_EMERG_WRITE);
	return guest;
}

static void start(struct bed_guest *guest)
{
	bed_ring(guest, BED_RECEIVE, 16, 0);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
}

static void say(struct bed_guest *guest, const char *text)
{
	bed_add_print(guest, text, (uint32_t)strlen(text));
	driver_kick(&guest->ring[BED_TRANSMIT]);
	driver_await(&guest->ring[BED_TRANSMIT]);
	bed_settle(guest->bed);
}

static void expect_output(struct bed_guest *guest, unsigned int id, const char *text)
{
	assert_int_equal(guest->backends[id].output_size, strlen(text));
	assert_memory_equal(guest->backends[id].output, text, strlen(text));
	test_backend_forget(&guest->backends[id]);
}

static void expect_read(struct bed_guest *guest, const char *text)
{
	uint64_t gpa = bed_add_post(guest, 100);

	driver_kick(&guest->ring[BED_RECEIVE]);
	assert_int_equal(driver_await(&guest->ring[BED_RECEIVE]).len, strlen(text));
	assert_memory_equal(guest_memory_at(&guest->memory, gpa, 100), text, strlen(text));
}

static void the_first_console_has_the_queues(void **state)
{
	struct bed_guest *guest = prepare();
	struct tcp_client agent;

	(void)state;
	tcp_client_connect_port(&agent, guest, AGENT, 0);
	tcp_client_send_all(&agent, "for an agent", 12);
	start(guest);
	for (unsigned int i = 0; i < 300; i++)
		say(guest, "0123456789abcdef");
	assert_int_equal(guest->backends[CONSOLE].output_size, 300 * 16);
	test_backend_forget(&guest->backends[CONSOLE]);
	test_backend_type(&guest->backends[CONSOLE], "root\r", 5);
	test_backend_type(&guest->backends[SECOND], "nobody\r", 7);
	expect_read(guest, "root\r");
	bed_settle(guest->bed);
	assert_int_equal(driver_used_count(&guest->ring[BED_RECEIVE]), 0);
	assert_int_equal(guest->backends[SECOND].output_size, 0);
	tcp_client_expect_nothing(&agent);
	tcp_client_close(&agent, true);
}

/* The space's size is that console's, and what is written out of turn goes there, early too. */
static void configuration_space_is_that_consoles(void **state)
{
	struct bed_guest *guest = prepare();
	uint8_t config[12];
	const uint8_t byte = '!';

	(void)state;
	assert_true(frontend_set_config(&guest->frontend, 8, 1, 0, &byte) == 0);
	bed_settle(guest->bed);
	expect_output(guest, CONSOLE, "!");
	test_backend_resize(&guest->backends[CONSOLE], 80, 24);
	test_backend_resize(&guest->backends[SECOND], 132, 50);
	assert_true(frontend_get_config(&guest->frontend, 0, sizeof(config), 0, config));
	assert_int_equal(config[0], 80);
	assert_int_equal(config[2], 24);
	start(guest);
	assert_true(frontend_set_config(&guest->frontend, 8, 1, 0, &byte) == 0);
	bed_settle(guest->bed);
	expect_output(guest, CONSOLE, "!");
}

/* As long as the driver works it keeps the port, and the port can't be removed. */
static void it_stays_the_same_port(void **state)
{
	struct bed_guest *guest = prepare();

	(void)state;
	start(guest);
	say(guest, "one");
	expect_output(guest, CONSOLE, "one");
	assert_int_equal(bed_remove_port(guest, CONSOLE), -EBUSY);
	assert_int_equal(bed_remove_port(guest, AGENT), -EBUSY);
	assert_int_equal(bed_remove_port(guest, SECOND), 0);
	bed_await_removed(guest, SECOND);
	say(guest, "two");
	expect_output(guest, CONSOLE, "two");
	driver_queue_stop(&guest->ring[BED_RECEIVE]);
	driver_queue_stop(&guest->ring[BED_TRANSMIT]);
	assert_int_equal(bed_remove_port(guest, CONSOLE), -EBUSY);
	assert_int_equal(driver_queue_start(&guest->ring[BED_RECEIVE]), 0);
	assert_int_equal(driver_queue_start(&guest->ring[BED_TRANSMIT]), 0);
	say(guest, "three");
	expect_output(guest, CONSOLE, "three");
	/* With the driver goes the rule. */
	bed_hang_up(guest);
	assert_int_equal(bed_remove_port(guest, CONSOLE), 0);
	bed_await_removed(guest, CONSOLE);
}

/* A boot loader, and then a system that knows all ports; and back. */
static void drivers_of_both_sorts_take_turns(void **state)
{
	struct multiport_driver_options options = {.ports = PORTS};
	struct bed_guest *guest = prepare();

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		start(guest);
		test_backend_forget(&guest->backends[CONSOLE]);
		say(guest, "boot loader");
		expect_output(guest, CONSOLE, "boot loader");
		bed_hang_up(guest);
		bed_reconnect(guest);
		guest_memory_rewind(&guest->memory);
		bed_multiport(guest, &options);
		assert_true(multiport_driver_bring_up(&guest->multiport));
		shake_hands(guest);
		check_port_output(guest, CONSOLE, 5000);
		check_port_input(guest, CONSOLE, 5000);
		check_port_output(guest, SECOND, 5000);
		bed_hang_up(guest);
		bed_reconnect(guest);
		guest_memory_rewind(&guest->memory);
		bed_negotiate(guest, 0);
	}
}

/* The same on one connection, as frontends do when a machine reboots; typed input goes between. */
static void drivers_of_both_sorts_on_one_connection(void **state)
{
	struct bed_guest *guest = prepare();

	(void)state;
	start(guest);
	say(guest, "one");
	expect_output(guest, CONSOLE, "one");
	test_backend_type(&guest->backends[CONSOLE], "typed", 5);
	bed_settle(guest->bed);
	driver_queue_stop(&guest->ring[BED_RECEIVE]);
	driver_queue_stop(&guest->ring[BED_TRANSMIT]);
	assert_int_equal(
	    frontend_set_features(&guest->frontend,
	                          guest->features | 1ull << VIRTIO_CONSOLE_F_MULTIPORT),
	    0);
	for (unsigned int i = 0; i < 2; i++) {
		driver_queue_reset(&guest->ring[i], 0);
		assert_int_equal(driver_queue_start(&guest->ring[i]), 0);
	}
	bed_settle(guest->bed);
	assert_int_equal(byte_ring_used(&guest->backends[CONSOLE].backend.port->input), 0);
	assert_int_equal(guest->backends[CONSOLE].output_size, 0);
}

/* Where there is no console, the data port is what it is: it holds the driver up. */
static void without_a_console_a_data_port_stays_one(void **state)
{
	static const struct bed_port_options agents[] = {
	    {.name = "agent", .data = true, .network = true, .history = 4096},
	    {.name = "other", .data = true, .network = true, .history = 4096},
	};
	struct bed_guest *guest = bed_new(&(struct bed_options){
	    .listens = true, .multiport = true, .ports = agents, .ports_count = 2});
	struct tcp_client agent;

	(void)state;
	bed_negotiate(guest, 0);
	start(guest);
	say(guest, "hello");
	tcp_client_connect_port(&agent, guest, 0, 0);
	tcp_client_expect(&agent, "hello", 5);
	tcp_client_close(&agent, true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(the_first_console_has_the_queues),
	    BED_TEST(configuration_space_is_that_consoles),
	    BED_TEST(it_stays_the_same_port),
	    BED_TEST(drivers_of_both_sorts_take_turns),
	    BED_TEST(drivers_of_both_sorts_on_one_connection),
	    BED_TEST(without_a_console_a_data_port_stays_one),
	};

	return BED_RUN(tests);
}
