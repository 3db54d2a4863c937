/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The control messages of MULTIPORT (virtio 1.3, 5.3.6.2): who says what, when and how often; and
 * how they travel.
 */
#include "multiport_use.h"

#include <string.h>

/* ---- who says what ---- */

/* 5.3.5, 3: the driver begins. */
static void nothing_is_said_before_the_driver_is_ready(void **state)
{
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	expect_no_message(guest);
	test_backend_resize(&guest->backends[USUAL_CONSOLE], 80, 24);
	expect_no_message(guest);
}

/* DEVICE_READY(1) has PORT_ADD for answer, of each port and nothing else. */
static void a_ready_device_adds_its_ports(void **state)
{
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	expect_ports(guest);
}

/* PORT_READY(1): CONSOLE_PORT if it is one, its name if it has one, PORT_OPEN: in this order. */
static void a_ready_port_is_described(void **state)
{
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	expect_ports(guest);
	for (uint32_t id = 0; id < USUAL_PORTS; id++)
		expect_port_answers(guest, id);
}

/* In any order, and as many ports as there may be. */
static void all_ports_shake_hands(void **state)
{
	struct bed_port_options ports[MULTIPORT_PORTS] = {{.data = false}};
	struct multiport_driver_options options = {
	    .ports = MULTIPORT_PORTS,
	    .console = {.queue_size = 16},
	    .port = {.receive_count = 2, .receive_size = 512, .transmit_count = 2},
	};
	struct bed_guest *guest;

	(void)state;
	for (unsigned int i = 0; i < MULTIPORT_PORTS; i++)
		ports[i].history = 4096;
	ports[30].name = "the last one";
	guest = new_ports_guest(ports, MULTIPORT_PORTS, &options);
	assert_true(multiport_driver_bring_up(&guest->multiport));
	assert_int_equal(guest->console.queue_num, 64);
	expect_ports(guest);
	for (uint32_t id = MULTIPORT_PORTS; id > 0; id--)
		expect_port_answers(guest, id - 1);
	for (uint32_t id = 0; id < MULTIPORT_PORTS; id++) {
		check_port_output(guest, id, 3000);
		check_port_input(guest, id, 700);
	}
}

/* 5.3.6.2, PORT_NAME: UTF-8 without a NUL; the longest that is allowed. */
static void a_name_comes_as_it_is(void **state)
{
	static const char *const names[] = {
	    "x",
	    "\xce\xbc\xce\xbf\xce\xbd\xce\xac\xce\xb4\xce\xb1 0",
	    "sixty-three-bytes-are-more-than-anybody-would-give-a-port-name.",
	};

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct bed_port_options port = {.name = names[i]};
		struct multiport_driver_options options = {.ports = 1};
		struct bed_guest *guest = new_ports_guest(&port, 1, &options);

		assert_true(multiport_driver_bring_up(&guest->multiport));
		expect_ports(guest);
		expect_port_answers(guest, 0);
		assert_string_equal(guest->multiport.state[0].name, names[i]);
		bed_free(guest->bed);
	}
}

/* ---- how often ---- */

/* A driver that was loaded again without a reset in between says DEVICE_READY again. */
static void a_device_may_get_ready_again(void **state)
{
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		expect_ports(guest);
		for (uint32_t id = 0; id < USUAL_PORTS; id++)
			expect_port_answers(guest, id);
	}
	shake_hands(guest);
	check_port_output(guest, USUAL_CONSOLE, 500);
}

/* So is PORT_READY answered again and again, also of a port that is in use. */
static void a_port_may_get_ready_again(void **state)
{
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	shake_hands(guest);
	for (unsigned int i = 0; i < 3; i++)
		for (uint32_t id = 0; id < USUAL_PORTS; id++)
			expect_port_answers(guest, id);
	check_port_output(guest, USUAL_CONSOLE, 500);
	check_port_input(guest, USUAL_CONSOLE, 500);
}

/*
 * Suspended and resumed, Linux has reset the device, and says PORT_READY of each port that it knows
 * without DEVICE_READY, then PORT_OPEN(1) of those that are open (virtcons_restore()).
 */
static void a_resumed_driver_goes_on_with_its_ports(void **state)
{
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	shake_hands(guest);
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(multiport_driver_reset(&guest->multiport));
		assert_true(multiport_driver_restart(&guest->multiport));
		expect_no_message(guest);
		for (uint32_t id = 0; id < USUAL_PORTS; id++) {
			expect_port_answers(guest, id);
			multiport_driver_send(&guest->multiport, id, CONSOLE_PORT_OPEN, 1);
		}
		check_port_output(guest, USUAL_CONSOLE, 500);
		check_port_input(guest, USUAL_CONSOLE, 500);
	}
}

/* Those that let the feature pass. */
static const struct vmm *const vmms[] = {&vmm_qemu, &vmm_crosvm, &vmm_libkrun};
#define VMMS (sizeof(vmms) / sizeof(vmms[0]))

static struct bed_guest *new_guest_of(const struct vmm *vmm)
{
	struct multiport_driver_options options = {
	    .ports = USUAL_PORTS,
	    .console = {.vmm = vmm, .queue_size = 64},
	};
	struct bed_guest *guest = new_ports_guest(usual_ports, USUAL_PORTS, &options);

	assert_true(multiport_driver_bring_up(&guest->multiport));
	return guest;
}

/* Every VMM that lets the feature pass: the handshake, and again after each reset. */
static void every_vmm_shakes_hands(void **state)
{
	(void)state;
	for (unsigned int v = 0; v < VMMS; v++) {
		struct bed_guest *guest = new_guest_of(vmms[v]);

		for (unsigned int i = 0; i < 3; i++) {
			expect_ports(guest);
			for (uint32_t id = 0; id < USUAL_PORTS; id++)
				expect_port_answers(guest, id);
			check_port_output(guest, USUAL_CONSOLE, 5000);
			check_port_input(guest, USUAL_CONSOLE, 5000);
			assert_true(multiport_driver_reset(&guest->multiport));
			assert_true(multiport_driver_restart(&guest->multiport));
		}
		assert_int_equal(guest->console.refused, 0);
		bed_free(guest->bed);
	}
}

/* A reset device has forgotten the handshake: nothing of it is said to the next driver. */
static void a_reset_forgets_the_handshake(void **state)
{
	(void)state;
	for (unsigned int v = 0; v < VMMS; v++) {
		struct bed_guest *guest = new_guest_of(vmms[v]);

		/* Answers that nobody has taken, too. */
		guest->multiport.hold_control = true;
		for (unsigned int i = 0; i < 12; i++)
			multiport_driver_send(&guest->multiport, 0, CONSOLE_PORT_READY, 1);
		bed_settle(guest->bed);
		assert_true(multiport_driver_reset(&guest->multiport));
		guest->multiport.hold_control = false;
		assert_true(multiport_driver_restart(&guest->multiport));
		expect_no_message(guest);
		test_backend_resize(&guest->backends[USUAL_CONSOLE], 80, 24);
		expect_no_message(guest);
		test_backend_resize(&guest->backends[USUAL_CONSOLE], 0, 0);
		shake_hands(guest);
		bed_free(guest->bed);
	}
}

/* So has it for a new frontend. */
static void a_new_frontend_begins_anew(void **state)
{
	struct multiport_driver_options options = {.ports = USUAL_PORTS};
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		shake_hands(guest);
		bed_reconnect(guest);
		bed_multiport(guest, &options);
		assert_true(multiport_driver_bring_up(&guest->multiport));
		expect_no_message(guest);
	}
	expect_ports(guest);
	for (uint32_t id = 0; id < USUAL_PORTS; id++)
		expect_port_answers(guest, id);
}

/* A paused VM goes on where it was: what was said holds, what was to be said comes. */
static void a_pause_forgets_nothing(void **state)
{
	struct bed_guest *guest = new_usual_guest();
	struct multiport_driver *multiport = &guest->multiport;

	(void)state;
	shake_hands(guest);
	assert_true(console_driver_play(&guest->console, VMM_STOP));
	test_backend_resize(&guest->backends[USUAL_CONSOLE], 100, 40);
	test_backend_type(&guest->backends[USUAL_CONSOLE], "typed", 5);
	bed_settle(guest->bed);
	assert_true(console_driver_play(&guest->console, VMM_RESUME));
	expect_size(guest, USUAL_CONSOLE, 100, 40);
	expect_no_message(guest);
	port_driver_expect_input(multiport_driver_port(multiport, USUAL_CONSOLE), "typed", 5);
	check_port_output(guest, USUAL_CONSOLE, 5000);
}

/* Messages that wait for buffers while the VM is paused are there afterwards. */
static void answers_outlive_a_pause(void **state)
{
	struct bed_guest *guest = new_usual_guest();
	struct multiport_driver *multiport = &guest->multiport;

	(void)state;
	shake_hands(guest);
	/* Uses all the buffers up, four answers a time at most. */
	multiport->hold_control = true;
	for (unsigned int i = 0; i < multiport->options.control_count; i++) {
		multiport_driver_send(multiport, USUAL_CONSOLE, CONSOLE_PORT_READY, 1);
		bed_settle(guest->bed);
	}
	multiport_driver_skip(multiport);
	assert_int_equal(driver_outstanding(multiport->control_receive), 0);
	multiport->state[0] = (struct multiport_port_state){0};
	multiport_driver_send(multiport, 0, CONSOLE_PORT_READY, 1);
	assert_true(console_driver_play(&guest->console, VMM_STOP));
	assert_true(console_driver_play(&guest->console, VMM_RESUME));
	multiport->hold_control = false;
	multiport_driver_post_control(multiport);
	multiport_driver_await_open(multiport, 0, true);
	assert_true(multiport->state[0].console);
}

/* ---- failures that the driver tells of ---- */

/* DEVICE_READY(0): the driver could not set the device up; nothing is opened. */
static void a_device_that_failed_is_left_alone(void **state)
{
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	multiport_driver_send(&guest->multiport, MULTIPORT_NO_ID, CONSOLE_DEVICE_READY, 0);
	expect_no_message(guest);
	/* The next driver may do better. */
	shake_hands(guest);
}

/* PORT_READY(0): this port stays closed, the others don't. */
static void a_port_that_failed_stays_closed(void **state)
{
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	expect_ports(guest);
	multiport_driver_send(&guest->multiport, USUAL_CONSOLE, CONSOLE_PORT_READY, 0);
	expect_no_message(guest);
	test_backend_resize(&guest->backends[USUAL_CONSOLE], 80, 24);
	expect_no_message(guest);
	test_backend_resize(&guest->backends[USUAL_CONSOLE], 0, 0);
	expect_port_answers(guest, 0);
	/* And may be tried again. */
	expect_port_answers(guest, USUAL_CONSOLE);
}

/* ---- how messages travel ---- */

/* Nothing is lost when the driver has no buffer for it: one buffer a time brings all of it. */
static void answers_wait_for_buffers(void **state)
{
	static const uint32_t size = 64;
	struct bed_guest *guest = new_usual_guest();
	struct multiport_driver *multiport = &guest->multiport;
	uint32_t id;

	(void)state;
	shake_hands(guest);
	multiport->hold_control = true;
	assert_true(multiport_driver_reset(multiport));
	assert_true(console_driver_play(&guest->console, VMM_RESTART));
	multiport_driver_send(multiport, MULTIPORT_NO_ID, CONSOLE_DEVICE_READY, 1);
	for (id = 0; id < USUAL_PORTS; id++)
		multiport_driver_send(multiport, id, CONSOLE_PORT_READY, 1);
	expect_no_message(guest);
	for (unsigned int i = 0; i < 40; i++) {
		multiport_driver_post_pieces(multiport, &size, 1);
		bed_settle(guest->bed);
		multiport_driver_collect(multiport);
	}
	for (id = 0; id < USUAL_PORTS; id++) {
		assert_true(multiport->state[id].added);
		assert_int_equal(multiport->state[id].console, id != USUAL_DATA);
		assert_int_equal(multiport->state[id].open, id != USUAL_DATA);
	}
	assert_string_equal(multiport->state[USUAL_CONSOLE].name, CONSOLE_NAME);
	assert_string_equal(multiport->state[USUAL_DATA].name, DATA_NAME);
	assert_int_equal(multiport->empty, 0);
}

/* PORT_ADD comes before anything else of a port, CONSOLE_PORT before PORT_OPEN, however late. */
static void late_answers_are_in_order(void **state)
{
	struct bed_guest *guest = new_usual_guest();
	struct multiport_driver *multiport = &guest->multiport;
	unsigned int step[USUAL_PORTS] = {0};

	(void)state;
	multiport->hold_control = true;
	shake_hands(guest);
	assert_true(multiport_driver_reset(multiport));
	assert_true(console_driver_play(&guest->console, VMM_RESTART));
	multiport_driver_send(multiport, MULTIPORT_NO_ID, CONSOLE_DEVICE_READY, 1);
	for (uint32_t id = 0; id < USUAL_PORTS; id++)
		multiport_driver_send(multiport, id, CONSOLE_PORT_READY, 1);
	multiport_driver_post_control(multiport);
	bed_settle(guest->bed);
	multiport_driver_collect(multiport);
	for (size_t i = 0; i < multiport->count; i++) {
		static const unsigned int rank[CONSOLE_EVENTS] = {
		    [CONSOLE_DEVICE_ADD] = 1, [CONSOLE_CONSOLE_PORT] = 2, [CONSOLE_PORT_NAME] = 3,
		    [CONSOLE_PORT_OPEN] = 4,  [CONSOLE_RESIZE] = 5,
		};
		const struct multiport_header *header = &multiport->messages[i].header;

		assert_true(header->id < USUAL_PORTS && header->event < CONSOLE_EVENTS);
		assert_true(rank[header->event] > step[header->id]);
		step[header->id] = rank[header->event];
	}
	assert_int_equal(step[0], 4);
	assert_int_equal(step[USUAL_CONSOLE], 4);
	assert_true(step[USUAL_DATA] >= 3);
}

/* 2.7.4.2, message framing: a message of the driver may lie in any descriptors. */
static void messages_come_in_any_pieces(void **state)
{
	static const struct {
		uint32_t count, sizes[12];
	} rows[] = {
	    {2, {4, 4}},
	    {2, {1, 7}},
	    {2, {7, 1}},
	    {4, {4, 2, 2}},
	    {8, {1, 1, 1, 1, 1, 1, 1, 1}},
	    {5, {0, 3, 0, 5, 0}},
	    {12, {0, 0, 1, 0, 6, 0, 0, 1, 0, 0, 0, 0}},
	};
	struct multiport_header ready = {USUAL_CONSOLE, CONSOLE_PORT_READY, 1};
	struct bed_guest *guest = new_usual_guest();
	struct multiport_driver *multiport = &guest->multiport;

	(void)state;
	shake_hands(guest);
	for (unsigned int i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		multiport_driver_send_pieces(multiport, &ready, rows[i / 2].sizes,
		                             rows[i / 2].count, i % 2);
		expect_event(guest, USUAL_CONSOLE, CONSOLE_CONSOLE_PORT);
		expect_event(guest, USUAL_CONSOLE, CONSOLE_PORT_NAME);
		expect_event(guest, USUAL_CONSOLE, CONSOLE_PORT_OPEN);
		expect_no_message(guest);
	}
}

/* And one of the device fills the driver's descriptors in their order, whatever their sizes. */
static void messages_go_into_any_pieces(void **state)
{
	static const uint32_t sizes[][10] = {
	    {8, 64}, {3, 64}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 64}, {9, 1, 64}, {0, 5, 0, 64},
	};
	static const uint32_t counts[] = {2, 2, 10, 3, 4};
	struct bed_guest *guest = new_usual_guest();
	struct multiport_driver *multiport = &guest->multiport;

	(void)state;
	multiport->hold_control = true;
	shake_hands(guest);
	for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		assert_true(multiport_driver_reset(multiport));
		assert_true(console_driver_play(&guest->console, VMM_RESTART));
		multiport_driver_send(multiport, USUAL_CONSOLE, CONSOLE_PORT_READY, 1);
		for (unsigned int k = 0; k < 3; k++)
			multiport_driver_post_pieces(multiport, sizes[i], counts[i]);
		expect_event(guest, USUAL_CONSOLE, CONSOLE_CONSOLE_PORT);
		assert_int_equal(expect_event(guest, USUAL_CONSOLE, CONSOLE_PORT_NAME)->more_size,
		                 strlen(CONSOLE_NAME));
		assert_string_equal(multiport->state[USUAL_CONSOLE].name, CONSOLE_NAME);
		expect_event(guest, USUAL_CONSOLE, CONSOLE_PORT_OPEN);
	}
}

/* A buffer with too little room is given back with the length 0; the message waits for a better. */
static void buffers_that_are_too_short_come_back(void **state)
{
	static const uint32_t small[] = {1, 7,
	                                 (uint32_t)(MULTIPORT_HEADER + sizeof(CONSOLE_NAME) - 2)};
	static const uint32_t large = MULTIPORT_HEADER + sizeof(CONSOLE_NAME) - 1;
	struct bed_guest *guest = new_usual_guest();
	struct multiport_driver *multiport = &guest->multiport;

	(void)state;
	multiport->hold_control = true;
	shake_hands(guest);
	assert_true(multiport_driver_reset(multiport));
	assert_true(console_driver_play(&guest->console, VMM_RESTART));
	multiport_driver_send(multiport, USUAL_CONSOLE, CONSOLE_PORT_READY, 1);
	for (unsigned int i = 0; i < 2; i++)
		multiport_driver_post_pieces(multiport, &small[i], 1);
	expect_no_message(guest);
	assert_int_equal(multiport->empty, 2);
	/* The first message fits exactly into the third, the name doesn't into the fourth. */
	multiport_driver_post_pieces(multiport, &(uint32_t){MULTIPORT_HEADER}, 1);
	multiport_driver_post_pieces(multiport, &small[2], 1);
	expect_event(guest, USUAL_CONSOLE, CONSOLE_CONSOLE_PORT);
	expect_no_message(guest);
	assert_int_equal(multiport->empty, 3);
	multiport_driver_post_pieces(multiport, &large, 1);
	expect_event(guest, USUAL_CONSOLE, CONSOLE_PORT_NAME);
	multiport_driver_post_pieces(multiport, &large, 1);
	expect_event(guest, USUAL_CONSOLE, CONSOLE_PORT_OPEN);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(nothing_is_said_before_the_driver_is_ready),
	    BED_TEST(a_ready_device_adds_its_ports),
	    BED_TEST(a_ready_port_is_described),
	    BED_TEST(all_ports_shake_hands),
	    BED_TEST(a_name_comes_as_it_is),
	    BED_TEST(a_device_may_get_ready_again),
	    BED_TEST(a_port_may_get_ready_again),
	    BED_TEST(a_resumed_driver_goes_on_with_its_ports),
	    BED_TEST(every_vmm_shakes_hands),
	    BED_TEST(a_reset_forgets_the_handshake),
	    BED_TEST(a_new_frontend_begins_anew),
	    BED_TEST(a_pause_forgets_nothing),
	    BED_TEST(answers_outlive_a_pause),
	    BED_TEST(a_device_that_failed_is_left_alone),
	    BED_TEST(a_port_that_failed_stays_closed),
	    BED_TEST(answers_wait_for_buffers),
	    BED_TEST(late_answers_are_in_order),
	    BED_TEST(messages_come_in_any_pieces),
	    BED_TEST(messages_go_into_any_pieces),
	    BED_TEST(buffers_that_are_too_short_come_back),
	};

	return BED_RUN(tests);
}
