/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Ports that are added and removed while the guest runs (virtio 1.3, 5.3.6.2: PORT_ADD,
 * PORT_REMOVE).
 */
#include "multiport_use.h"

#include <errno.h>
#include <string.h>

#define MOST  5 /* ports */
#define ADDED 2 /* the first number that is free */

static const struct bed_port_options added = {.name = "added"};
static const struct bed_port_options added_data = {
    .name = "added.data", .data = true, .network = true, .history = 4096};

/* Two consoles, and room for more; the driver has set up all the queues. */
static struct bed_guest *new_plug_guest(uint32_t vrings)
{
	struct multiport_driver_options options = {
	    .ports = vrings / 2 - 1,
	    .console = {.vrings = vrings},
	};
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true,
	                                                        .multiport = true,
	                                                        .ports = usual_ports,
	                                                        .ports_count = ADDED,
	                                                        .max_ports = MOST});

	bed_multiport(guest, &options);
	assert_true(multiport_driver_bring_up(&guest->multiport));
	return guest;
}

/* The same, and the two consoles have shaken hands. */
static struct bed_guest *new_ready_guest(void)
{
	struct bed_guest *guest = new_plug_guest(2 * (MOST + 1));

	multiport_driver_send(&guest->multiport, MULTIPORT_NO_ID, CONSOLE_DEVICE_READY, 1);
	multiport_driver_await(&guest->multiport, ADDED);
	multiport_driver_skip(&guest->multiport);
	for (uint32_t id = 0; id < ADDED; id++)
		expect_port_answers(guest, id);
	return guest;
}

static void check_consoles(struct bed_guest *guest)
{
	for (uint32_t id = 0; id < ADDED; id++) {
		check_port_output(guest, id, 5000);
		check_port_input(guest, id, 5000);
	}
}

/* ---- adding ---- */

/* The driver is told of the new port alone, and the rest is as ever. */
static void an_added_port_is_announced(void **state)
{
	struct bed_guest *guest = new_ready_guest();

	(void)state;
	for (uint32_t id = ADDED; id < MOST; id++) {
		char name[] = {'n', (char)('0' + id), '\0'};

		assert_int_equal(bed_add_port(guest, id, &(struct bed_port_options){.name = name}),
		                 0);
		expect_event(guest, id, CONSOLE_DEVICE_ADD);
		expect_no_message(guest);
		expect_port_answers(guest, id);
		check_port_output(guest, id, 5000);
		check_port_input(guest, id, 5000);
	}
	check_consoles(guest);
}

/* One for data is closed until a client comes, as any. */
static void an_added_data_port_works(void **state)
{
	struct bed_guest *guest = new_ready_guest();
	struct tcp_client client;

	(void)state;
	assert_int_equal(bed_add_port(guest, ADDED, &added_data), 0);
	expect_event(guest, ADDED, CONSOLE_DEVICE_ADD);
	expect_port_answers(guest, ADDED);
	multiport_driver_send(&guest->multiport, ADDED, CONSOLE_PORT_OPEN, 1);
	tcp_client_connect_port(&client, guest, ADDED, 0);
	multiport_driver_expect(&guest->multiport, ADDED, CONSOLE_PORT_OPEN, 1, NULL, 0);
	pass_output(guest, ADDED, &client, 0, 0, 300000);
	tcp_client_send_all(&client, "in", 2);
	port_driver_expect_input(multiport_driver_port(&guest->multiport, ADDED), "in", 2);
	tcp_client_close(&client, true);
}

/* To a driver that isn't ready nothing is said; it is told with the others. */
static void a_port_may_be_added_before_the_driver(void **state)
{
	struct bed_guest *guest = new_plug_guest(2 * (ADDED + 2));

	(void)state;
	assert_int_equal(bed_add_port(guest, ADDED, &added), 0);
	expect_no_message(guest);
	expect_ports(guest);
	expect_port_answers(guest, ADDED);
}

/* One that the frontend has no queues for isn't announced; a better frontend's driver sees it. */
static void a_port_without_queues_waits_for_them(void **state)
{
	struct multiport_driver_options options = {.ports = ADDED + 1};
	struct bed_guest *guest = new_plug_guest(2 * (ADDED + 1));

	(void)state;
	shake_hands(guest);
	assert_int_equal(bed_add_port(guest, ADDED, &added), 0);
	expect_no_message(guest);
	check_consoles(guest);
	bed_reconnect(guest);
	bed_multiport(guest, &options);
	assert_true(multiport_driver_bring_up(&guest->multiport));
	expect_ports(guest);
	expect_port_answers(guest, ADDED);
	check_port_output(guest, ADDED, 5000);
}

/* What can't be done is refused, with a reason, and changes nothing. */
static void wrong_changes_are_refused(void **state)
{
	struct bed_guest *guest = new_ready_guest();

	(void)state;
	assert_int_equal(bed_remove_port(guest, 0), -EBUSY);
	assert_int_equal(bed_remove_port(guest, ADDED), -ENOENT);
	assert_int_equal(bed_remove_port(guest, 31), -ENOENT);
	assert_int_equal(
	    bed_add_port(guest, ADDED, &(struct bed_port_options){.name = CONSOLE_NAME}), -EEXIST);
	/* More than the guest's memory for it was made for. */
	assert_int_equal(bed_add_port(guest, ADDED, &(struct bed_port_options){.history = 1 << 20}),
	                 -EINVAL);
	for (uint32_t id = ADDED; id < MOST; id++)
		assert_int_equal(bed_add_port(guest, id, &(struct bed_port_options){0}), 0);
	assert_int_equal(bed_add_port(guest, MOST, &added), -ENOSPC);
	for (uint32_t id = ADDED; id < MOST; id++)
		expect_event(guest, id, CONSOLE_DEVICE_ADD);
	expect_no_message(guest);
	check_consoles(guest);
}

/* ---- removing ---- */

/* PORT_REMOVE, once; then the port is gone whatever the driver says, and its buffers come back. */
static void a_removed_port_is_gone(void **state)
{
	struct bed_guest *guest = new_ready_guest();
	struct port_driver *port = multiport_driver_port(&guest->multiport, USUAL_CONSOLE);

	(void)state;
	assert_int_equal(bed_remove_port(guest, USUAL_CONSOLE), 0);
	expect_event(guest, USUAL_CONSOLE, CONSOLE_DEVICE_REMOVE);
	expect_no_message(guest);
	bed_await_removed(guest, USUAL_CONSOLE);
	multiport_driver_send(&guest->multiport, USUAL_CONSOLE, CONSOLE_PORT_READY, 1);
	multiport_driver_send(&guest->multiport, USUAL_CONSOLE, CONSOLE_PORT_OPEN, 0);
	expect_no_message(guest);
	/* Linux's hvc may still print: it would spin for ever. */
	port_driver_transmit(port, "nobody", 6);
	assert_int_equal(port_driver_collect(port), 0);
	assert_int_equal(bed_remove_port(guest, USUAL_CONSOLE), -ENOENT);
	check_port_output(guest, 0, 5000);
	check_port_input(guest, 0, 5000);
	expect_port_answers(guest, 0);
}

/* Its number may be given again, to a port that has nothing of the old one. */
static void a_number_is_given_again(void **state)
{
	struct bed_guest *guest = new_ready_guest();

	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		struct bed_port_options options = {.name = i % 2 ? "odd" : "even"};

		test_backend_resize(&guest->backends[USUAL_CONSOLE], 80, 24);
		expect_size(guest, USUAL_CONSOLE, 80, 24);
		test_backend_allow(&guest->backends[USUAL_CONSOLE], 0);
		port_driver_offer(multiport_driver_port(&guest->multiport, USUAL_CONSOLE), "old",
		                  3);
		test_backend_type(&guest->backends[USUAL_CONSOLE], "x", 1);
		bed_settle(guest->bed);
		assert_int_equal(bed_remove_port(guest, USUAL_CONSOLE), 0);
		expect_event(guest, USUAL_CONSOLE, CONSOLE_DEVICE_REMOVE);
		bed_await_removed(guest, USUAL_CONSOLE);
		bed_settle(guest->bed);
		port_driver_reap(multiport_driver_port(&guest->multiport, USUAL_CONSOLE));
		port_driver_expect_input(multiport_driver_port(&guest->multiport, USUAL_CONSOLE),
		                         "x", 1);
		assert_int_equal(bed_add_port(guest, USUAL_CONSOLE, &options), 0);
		expect_event(guest, USUAL_CONSOLE, CONSOLE_DEVICE_ADD);
		expect_port_answers(guest, USUAL_CONSOLE);
		check_consoles(guest);
	}
}

/* 5.3.6.2: a driver that had no buffers learns of both, the removal first. */
static void removal_and_addition_are_told_in_order(void **state)
{
	struct bed_guest *guest = new_ready_guest();
	struct multiport_driver *multiport = &guest->multiport;

	(void)state;
	multiport->hold_control = true;
	for (unsigned int i = 0; i < 20; i++) {
		multiport_driver_send(multiport, 0, CONSOLE_PORT_READY, 1);
		bed_settle(guest->bed);
		multiport_driver_collect(multiport);
	}
	multiport_driver_skip(multiport);
	assert_int_equal(driver_outstanding(multiport->control_receive), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(bed_remove_port(guest, USUAL_CONSOLE), 0);
		bed_await_removed(guest, USUAL_CONSOLE);
		assert_int_equal(bed_add_port(guest, USUAL_CONSOLE, &added), 0);
		/* And one that it never hears of. */
		assert_int_equal(bed_add_port(guest, ADDED, &added_data), 0);
		assert_int_equal(bed_remove_port(guest, ADDED), 0);
		bed_await_removed(guest, ADDED);
	}
	multiport->hold_control = false;
	multiport_driver_post_control(multiport);
	/* What port 0 had still to be told. */
	while (multiport_driver_next(multiport)->header.id == 0)
		;
	multiport->taken--;
	expect_event(guest, USUAL_CONSOLE, CONSOLE_DEVICE_REMOVE);
	expect_event(guest, USUAL_CONSOLE, CONSOLE_DEVICE_ADD);
	expect_no_message(guest);
	expect_port_answers(guest, USUAL_CONSOLE);
}

/* What the driver learns after a pause or a reset: what is there then. */
static void changes_hold_over_stops(void **state)
{
	struct bed_guest *guest = new_ready_guest();
	uint64_t seen = 0;

	(void)state;
	assert_true(console_driver_play(&guest->console, VMM_STOP));
	assert_int_equal(bed_remove_port(guest, USUAL_CONSOLE), 0);
	assert_int_equal(bed_add_port(guest, ADDED, &added), 0);
	bed_await_removed(guest, USUAL_CONSOLE);
	assert_true(console_driver_play(&guest->console, VMM_RESUME));
	expect_event(guest, USUAL_CONSOLE, CONSOLE_DEVICE_REMOVE);
	expect_event(guest, ADDED, CONSOLE_DEVICE_ADD);
	expect_no_message(guest);
	assert_true(multiport_driver_reset(&guest->multiport));
	assert_true(multiport_driver_restart(&guest->multiport));
	multiport_driver_send(&guest->multiport, MULTIPORT_NO_ID, CONSOLE_DEVICE_READY, 1);
	for (unsigned int i = 0; i < 2; i++) {
		const struct multiport_message *message = multiport_driver_next(&guest->multiport);

		assert_int_equal(message->header.event, CONSOLE_DEVICE_ADD);
		seen |= 1ull << message->header.id;
	}
	assert_int_equal(seen, 1u << 0 | 1u << ADDED);
	expect_no_message(guest);
}

/*
 * Linux after it was suspended to disk, where its device was reset: it doesn't ask for the ports
 * again, but says which it has. It is told what has changed meanwhile, and what changes then.
 */
static void changes_are_told_to_a_resumed_driver(void **state)
{
	struct bed_guest *guest = new_ready_guest();

	(void)state;
	assert_true(multiport_driver_reset(&guest->multiport));
	assert_int_equal(bed_remove_port(guest, USUAL_CONSOLE), 0);
	assert_int_equal(bed_add_port(guest, ADDED, &added), 0);
	bed_await_removed(guest, USUAL_CONSOLE);
	assert_true(multiport_driver_restart(&guest->multiport));
	assert_int_equal(bed_add_port(guest, USUAL_CONSOLE, &added_data), 0);
	expect_no_message(guest);
	multiport_driver_send(&guest->multiport, 0, CONSOLE_PORT_READY, 1);
	expect_event(guest, 0, CONSOLE_CONSOLE_PORT);
	expect_event(guest, 0, CONSOLE_PORT_OPEN);
	expect_event(guest, USUAL_CONSOLE, CONSOLE_DEVICE_REMOVE);
	expect_event(guest, USUAL_CONSOLE, CONSOLE_DEVICE_ADD);
	expect_event(guest, ADDED, CONSOLE_DEVICE_ADD);
	expect_no_message(guest);
	expect_port_answers(guest, ADDED);

	assert_true(multiport_driver_reset(&guest->multiport));
	assert_true(multiport_driver_restart(&guest->multiport));
	expect_port_answers(guest, ADDED);
	assert_int_equal(bed_remove_port(guest, ADDED), 0);
	bed_await_removed(guest, ADDED);
	expect_event(guest, ADDED, CONSOLE_DEVICE_REMOVE);
	assert_int_equal(bed_add_port(guest, ADDED, &added), 0);
	expect_event(guest, ADDED, CONSOLE_DEVICE_ADD);
	expect_no_message(guest);
}

/* What the driver still says of a port isn't meant for the next one of its number. */
static void the_old_port_is_not_taken_for_the_new_one(void **state)
{
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct port_driver *port = multiport_driver_port(&guest->multiport, 1);
	struct tcp_client client;

	(void)state;
	assert_int_equal(bed_remove_port(guest, 1), 0);
	bed_await_removed(guest, 1);
	assert_int_equal(bed_add_port(guest, 1, &added_data), 0);
	multiport_driver_send(&guest->multiport, 1, CONSOLE_PORT_OPEN, 1);
	tcp_client_connect_port(&client, guest, 1, 0);
	tcp_client_send_all(&client, "typed", 5);
	bed_settle(guest->bed);
	multiport_driver_skip(&guest->multiport);
	multiport_driver_send(&guest->multiport, 1, CONSOLE_PORT_READY, 1);
	bed_settle(guest->bed);
	/* It would throw away what comes before it has opened the port. */
	assert_int_equal(port_driver_collect(port), 0);
	multiport_driver_send(&guest->multiport, 1, CONSOLE_PORT_OPEN, 1);
	port_driver_expect_input(port, "typed", 5);
	tcp_client_close(&client, true);
}

/* A data port that is held: what the device had goes to its client, which is let go then. */
static void a_held_port_may_be_removed(void **state)
{
	static const struct port_driver_options buffers = {.transmit_size = 32768,
	                                                   .transmit_count = 4};
	struct bed_guest *guest = new_data_guest(4096, &buffers);
	struct port_driver *port = multiport_driver_port(&guest->multiport, 1);
	struct stream_check check = {0};
	struct tcp_client client;

	(void)state;
	connect_data(&client, guest, 4096);
	offer_until_held(guest, 1);
	assert_int_equal(bed_remove_port(guest, 1), 0);
	expect_event(guest, 1, CONSOLE_DEVICE_REMOVE);
	/* The driver has its buffers back at once, however slow the client. */
	bed_settle(guest->bed);
	port_driver_reap(port);
	assert_int_equal(driver_outstanding(port->transmitq), 0);
	check_port_output(guest, 0, 5000);
	tcp_client_await_end(&client);
	check_piece(&client, &check);
	assert_int_equal(check.gaps, 0);
	/* All of each chain that was begun. */
	assert_true(check.pos > 32768);
	assert_int_equal(check.pos % 32768, 0);
	bed_await_removed(guest, 1);
	tcp_client_close(&client, false);
}

/* ---- around it ---- */

/* A driver without MULTIPORT notices nothing. */
static void without_the_feature_nothing_is_noticed(void **state)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){
	    .multiport = true, .ports = usual_ports, .ports_count = ADDED, .max_ports = MOST});

	(void)state;
	bed_console(guest, &(struct console_driver_options){.vrings = 12});
	assert_true(console_driver_bring_up(&guest->console));
	assert_int_equal(bed_add_port(guest, ADDED, &added), 0);
	bed_check_output(guest, 5000);
	assert_int_equal(bed_remove_port(guest, USUAL_CONSOLE), 0);
	bed_await_removed(guest, USUAL_CONSOLE);
	bed_check_output(guest, 5000);
	bed_check_input(guest, 5000);
}

/* The guest may end in the middle of a removal that waits for a client. */
static void the_guest_may_end_meanwhile(void **state)
{
	(void)state;
	for (unsigned int finish = 0; finish < 2; finish++) {
		struct bed_guest *guest = new_data_guest(4096, NULL);
		struct tcp_client client;

		connect_data(&client, guest, 4096);
		for (uint64_t pos = 0; pos < 16u << 20; pos += 65536) {
			offer_to_port(guest, 1, pos, 65536);
			bed_turn(guest->bed);
			port_driver_reap(multiport_driver_port(&guest->multiport, 1));
		}
		assert_int_equal(bed_remove_port(guest, 1), 0);
		bed_settle(guest->bed);
		tcp_client_close(&client, finish);
		bed_stop(guest, finish);
		bed_free(guest->bed);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(an_added_port_is_announced),
	    BED_TEST(an_added_data_port_works),
	    BED_TEST(a_port_may_be_added_before_the_driver),
	    BED_TEST(a_port_without_queues_waits_for_them),
	    BED_TEST(wrong_changes_are_refused),
	    BED_TEST(a_removed_port_is_gone),
	    BED_TEST(a_number_is_given_again),
	    BED_TEST(removal_and_addition_are_told_in_order),
	    BED_TEST(changes_hold_over_stops),
	    BED_TEST(changes_are_told_to_a_resumed_driver),
	    BED_TEST(the_old_port_is_not_taken_for_the_new_one),
	    BED_TEST(a_held_port_may_be_removed),
	    BED_TEST(without_the_feature_nothing_is_noticed),
	    BED_TEST(the_guest_may_end_meanwhile),
	};

	return BED_RUN(tests);
}
