/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The window's size with MULTIPORT (virtio 1.3, 5.3.4, 5.3.6.2): VIRTIO_CONSOLE_RESIZE for each
 * port, and no change of the configuration.
 */
#include "multiport_use.h"

#include <poll.h>

/* ---- when it is told ---- */

/* 5.3.6.2: columns, then rows, 16 bits each; once the port is a console and open. */
static void a_known_size_follows_the_answers(void **state)
{
	struct bed_guest *guest = new_usual_guest();
	struct multiport_driver *multiport = &guest->multiport;

	(void)state;
	test_backend_resize(&guest->backends[0], 80, 24);
	test_backend_resize(&guest->backends[USUAL_CONSOLE], 0x1234, 0x567);
	expect_ports(guest);
	multiport_driver_send(multiport, 0, CONSOLE_PORT_READY, 1);
	expect_event(guest, 0, CONSOLE_CONSOLE_PORT);
	expect_event(guest, 0, CONSOLE_PORT_OPEN);
	expect_size(guest, 0, 80, 24);
	expect_no_message(guest);
	multiport_driver_send(multiport, USUAL_CONSOLE, CONSOLE_PORT_READY, 1);
	expect_event(guest, USUAL_CONSOLE, CONSOLE_CONSOLE_PORT);
	expect_event(guest, USUAL_CONSOLE, CONSOLE_PORT_NAME);
	expect_event(guest, USUAL_CONSOLE, CONSOLE_PORT_OPEN);
	expect_size(guest, USUAL_CONSOLE, 0x1234, 0x567);
	expect_no_message(guest);
}

/* Each console has the size of its own window, and is told of each change. */
static void a_new_size_is_told_to_its_port(void **state)
{
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	shake_hands(guest);
	for (uint16_t i = 1; i < 5; i++) {
		test_backend_resize(&guest->backends[USUAL_CONSOLE], (uint16_t)(100 * i), i);
		expect_size(guest, USUAL_CONSOLE, (uint16_t)(100 * i), i);
		expect_no_message(guest);
		test_backend_resize(&guest->backends[0], i, (uint16_t)(200 + i));
		expect_size(guest, 0, i, (uint16_t)(200 + i));
		expect_no_message(guest);
	}
}

/* Linux takes no notice before the port is set up: it is told again when the driver opens it. */
static void it_is_told_again_when_the_driver_opens(void **state)
{
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	shake_hands(guest);
	test_backend_resize(&guest->backends[USUAL_CONSOLE], 132, 43);
	expect_size(guest, USUAL_CONSOLE, 132, 43);
	for (unsigned int i = 0; i < 2; i++) {
		multiport_driver_send(&guest->multiport, USUAL_CONSOLE, CONSOLE_PORT_OPEN, 0);
		expect_no_message(guest);
		multiport_driver_send(&guest->multiport, USUAL_CONSOLE, CONSOLE_PORT_OPEN, 1);
		expect_size(guest, USUAL_CONSOLE, 132, 43);
		expect_no_message(guest);
	}
}

/* When nobody's window is known there is nothing to tell. */
static void an_unknown_size_is_not_told(void **state)
{
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	shake_hands(guest);
	test_backend_resize(&guest->backends[USUAL_CONSOLE], 80, 24);
	expect_size(guest, USUAL_CONSOLE, 80, 24);
	test_backend_resize(&guest->backends[USUAL_CONSOLE], 0, 0);
	expect_no_message(guest);
	expect_port_answers(guest, USUAL_CONSOLE);
	multiport_driver_send(&guest->multiport, USUAL_CONSOLE, CONSOLE_PORT_OPEN, 1);
	expect_no_message(guest);
}

/* What changes while the driver has no buffers is told once, as it is at last. */
static void only_the_last_size_waits(void **state)
{
	struct bed_guest *guest = new_usual_guest();
	struct multiport_driver *multiport = &guest->multiport;

	(void)state;
	shake_hands(guest);
	multiport->hold_control = true;
	for (uint16_t i = 1; i <= 100; i++) {
		test_backend_resize(&guest->backends[USUAL_CONSOLE], i, i);
		bed_settle(guest->bed);
		multiport_driver_skip(multiport);
	}
	assert_int_equal(driver_outstanding(multiport->control_receive), 0);
	multiport->hold_control = false;
	multiport_driver_post_control(multiport);
	expect_size(guest, USUAL_CONSOLE, 100, 100);
	expect_no_message(guest);
}

/* 5.3.6.2: it is for console ports; one for data has no size. */
static void a_data_port_has_no_size(void **state)
{
	static const struct bed_port_options ports[] = {{.data = false}, {.data = true}};
	struct multiport_driver_options options = {.ports = 2};
	struct bed_guest *guest = new_ports_guest(ports, 2, &options);

	(void)state;
	assert_true(multiport_driver_bring_up(&guest->multiport));
	test_backend_resize(&guest->backends[1], 80, 24);
	shake_hands(guest);
	test_backend_resize(&guest->backends[1], 132, 43);
	expect_no_message(guest);
	for (size_t i = 0; i < guest->multiport.count; i++)
		assert_int_not_equal(guest->multiport.messages[i].header.event, CONSOLE_RESIZE);
}

/* 5.3.3: without VIRTIO_CONSOLE_F_SIZE no size is told. */
static void without_the_feature_no_size_is_told(void **state)
{
	struct multiport_driver_options options = {
	    .ports = USUAL_PORTS,
	    .console = {.features = 1ull << DRIVER_F_VERSION_1},
	};
	struct bed_guest *guest = new_ports_guest(usual_ports, USUAL_PORTS, &options);

	(void)state;
	assert_true(multiport_driver_bring_up(&guest->multiport));
	test_backend_resize(&guest->backends[0], 80, 24);
	test_backend_resize(&guest->backends[USUAL_CONSOLE], 80, 24);
	expect_ports(guest);
	for (uint32_t id = 0; id < USUAL_PORTS; id++)
		expect_port_answers(guest, id);
	test_backend_resize(&guest->backends[USUAL_CONSOLE], 132, 43);
	expect_no_message(guest);
}

/* Linux before 6.15 without the fix reads rows, then columns: resize_rows_first. */
static void rows_come_first_where_it_is_said(void **state)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.multiport = true,
	                                                        .resize_rows_first = true,
	                                                        .ports = usual_ports,
	                                                        .ports_count = USUAL_PORTS});
	struct multiport_driver_options options = {.ports = USUAL_PORTS};

	(void)state;
	bed_multiport(guest, &options);
	assert_true(multiport_driver_bring_up(&guest->multiport));
	shake_hands(guest);
	test_backend_resize(&guest->backends[USUAL_CONSOLE], 80, 24);
	expect_size(guest, USUAL_CONSOLE, 24, 80);
}

/* ---- the configuration space ---- */

/* How many CONFIG_CHANGE_MSGs have come. */
static unsigned int config_changes(struct bed_guest *guest)
{
	struct pollfd readable = {.fd = guest->frontend.backend_channel, .events = POLLIN};
	static struct frontend_reply request;
	unsigned int count = 0;

	bed_settle(guest->bed);
	while (poll(&readable, 1, 0) > 0) {
		assert_int_equal(frontend_receive_backend_request(&guest->frontend, &request), 0);
		assert_int_equal(request.request, FE_BACKEND_CONFIG_CHANGE_MSG);
		count++;
	}
	return count;
}

/* With MULTIPORT the driver takes no notice of a configuration change, and gets none. */
static void no_configuration_change_beside_messages(void **state)
{
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	test_backend_resize(&guest->backends[0], 80, 24);
	shake_hands(guest);
	test_backend_resize(&guest->backends[0], 132, 43);
	expect_size(guest, 0, 132, 43);
	assert_int_equal(config_changes(guest), 0);
}

/* A driver without it reads the size of port 0 there (5.3.4), and is told of a change. */
static void without_multiport_the_configuration_changes(void **state)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){
	    .multiport = true, .ports = usual_ports, .ports_count = USUAL_PORTS});
	uint16_t size[2];

	(void)state;
	bed_console(guest, NULL);
	assert_true(console_driver_bring_up(&guest->console));
	/* The other console's window isn't port 0's. */
	test_backend_resize(&guest->backends[USUAL_CONSOLE], 132, 43);
	assert_int_equal(config_changes(guest), 0);
	test_backend_resize(&guest->backends[0], 80, 24);
	assert_int_equal(config_changes(guest), 1);
	assert_true(console_driver_read_config(&guest->console, 0, sizeof(size), size));
	assert_int_equal(size[0], 80);
	assert_int_equal(size[1], 24);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(a_known_size_follows_the_answers),
	    BED_TEST(a_new_size_is_told_to_its_port),
	    BED_TEST(it_is_told_again_when_the_driver_opens),
	    BED_TEST(an_unknown_size_is_not_told),
	    BED_TEST(only_the_last_size_waits),
	    BED_TEST(a_data_port_has_no_size),
	    BED_TEST(without_the_feature_no_size_is_told),
	    BED_TEST(rows_come_first_where_it_is_said),
	    BED_TEST(no_configuration_change_beside_messages),
	    BED_TEST(without_multiport_the_configuration_changes),
	};

	return BED_RUN(tests);
}
