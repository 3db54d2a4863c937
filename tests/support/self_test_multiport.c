/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Tests the driver with MULTIPORT against the fake backend.
 */
#include "self_test.h"

#include <stdlib.h>
#include <string.h>

#include "fake_backend.h"
#include "multiport_driver.h"
#include "support.h"

#define CONTROL 1 /* the fake's lane */

struct machine {
	struct frontend frontend;
	struct fake_backend fake;
	struct guest_memory memory;
	struct console_driver console;
	struct multiport_driver multiport;
};

static struct machine *machine_new(const struct multiport_driver_options *options)
{
	struct console_driver_options console = multiport_driver_console_options(options);
	struct machine *machine = calloc(1, sizeof(*machine));

	assert_non_null(machine);
	fake_backend_init(&machine->fake, frontend_init_pair(&machine->frontend));
	machine->fake.features |= 1ull << CONSOLE_F_MULTIPORT;
	machine->frontend.turn = fake_backend_turn;
	machine->frontend.turn_arg = &machine->fake;
	guest_memory_init(&machine->memory);
	console_driver_init(&machine->console, &machine->frontend, &machine->memory, &console);
	multiport_driver_init(&machine->multiport, &machine->console, options);
	return machine;
}

static struct machine *machine_up(const struct multiport_driver_options *options)
{
	struct machine *machine = machine_new(options);

	assert_true(multiport_driver_bring_up(&machine->multiport));
	return machine;
}

static void machine_free(struct machine *machine)
{
	multiport_driver_deinit(&machine->multiport);
	multiport_driver_deinit(&machine->multiport);
	console_driver_deinit(&machine->console);
	guest_memory_deinit(&machine->memory);
	frontend_deinit(&machine->frontend);
	fake_backend_deinit(&machine->fake);
	free(machine);
}

static void say(struct machine *machine, const void *message, size_t size)
{
	machine->fake.lane[CONTROL].input = message;
	machine->fake.lane[CONTROL].input_size = size;
}

static void check_port(struct machine *machine, uint32_t id, size_t size)
{
	struct fake_lane *lane = &machine->fake.lane[id ? id + 1 : 0];
	struct port_driver *port = multiport_driver_port(&machine->multiport, id);
	uint8_t *bytes = malloc(size);

	assert_non_null(bytes);
	support_fill_pattern(bytes, size, id);
	lane->output_size = 0;
	port_driver_transmit(port, bytes, size);
	assert_int_equal(lane->output_size, size);
	assert_memory_equal(lane->output, bytes, size);
	lane->input = bytes;
	lane->input_size = size;
	port_driver_expect_input(port, bytes, size);
	free(bytes);
}

static void every_port_has_its_vrings(void **state)
{
	static const struct multiport_driver_options options[] = {
	    {.ports = 3},
	    {.ports = 3, .port = {.transmit_pieces = 5, .transmit_size = 999}},
	    {.ports = 3, .port = {.transmit_pieces = 5, .indirect = true}},
	    {.ports = 2, .console = {.vrings = 8, .vmm = &vmm_libkrun}},
	    {.ports = 1, .console = {.queue_size = 2}},
	};
	struct machine *machine;

	(void)state;
	for (uint32_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		machine = machine_up(&options[i]);
		assert_true(machine->console.features >> CONSOLE_F_MULTIPORT & 1);
		for (uint32_t id = 0; id < options[i].ports; id++)
			check_port(machine, id, 5000);
		assert_true(multiport_driver_reset(&machine->multiport));
		assert_true(multiport_driver_restart(&machine->multiport));
		for (uint32_t id = 0; id < options[i].ports; id++)
			check_port(machine, id, 500);
		assert_int_equal(machine->console.refused, 0);
		machine_free(machine);
	}
}

static const uint8_t messages[][8] = {
    {0, 0, 0, 0, CONSOLE_DEVICE_ADD, 0, 1, 0},
    {2, 0, 0, 0, CONSOLE_CONSOLE_PORT, 0, 1, 0},
    {2, 0, 0, 0, CONSOLE_PORT_OPEN, 0, 1, 0},
    {2, 0, 0, 0, CONSOLE_PORT_OPEN, 0, 0, 0},
};

static void messages_are_recorded_in_order(void **state)
{
	struct multiport_driver_options options = {.control_count = 2};
	struct machine *machine = machine_up(&options);
	struct multiport_driver *multiport = &machine->multiport;

	(void)state;
	machine->fake.lane[CONTROL].most = 8;
	say(machine, messages, 24);
	multiport_driver_expect(multiport, 0, CONSOLE_DEVICE_ADD, 1, NULL, 0);
	multiport_driver_expect(multiport, 2, CONSOLE_CONSOLE_PORT, 1, NULL, 0);
	multiport_driver_await_open(multiport, 2, true);
	say(machine, messages[3], 8);
	multiport_driver_await_open(multiport, 2, false);
	assert_int_equal(multiport_driver_collect(multiport), 2);
	multiport_driver_skip(multiport);
	assert_int_equal(multiport->count, 4);
	assert_int_equal(multiport->taken, 4);
	assert_true(multiport->state[0].added && !multiport->state[0].console);
	assert_true(multiport->state[2].console && !multiport->state[2].open);
	machine_free(machine);
}

static void what_follows_a_message_is_kept(void **state)
{
	static const uint8_t name[] = {1, 0, 0, 0, CONSOLE_PORT_NAME, 0, 1, 0, 'n', 'a', 'm', 'e'};
	static const uint8_t size[] = {1, 0, 0, 0, CONSOLE_RESIZE, 0, 0, 0, 80, 0, 24, 0};
	static const uint32_t pieces[] = {3, 5, 1, 100};
	struct multiport_driver_options options = {.control_count = 2};
	struct machine *machine = machine_new(&options);
	struct multiport_driver *multiport = &machine->multiport;

	(void)state;
	multiport->hold_control = true;
	assert_true(multiport_driver_bring_up(multiport));
	say(machine, name, sizeof(name));
	multiport_driver_expect(multiport, 1, CONSOLE_PORT_NAME, 1, "name", 4);
	say(machine, size, sizeof(size));
	multiport_driver_expect(multiport, 1, CONSOLE_RESIZE, 0, size + 8, 4);
	assert_string_equal(multiport->state[1].name, "name");
	assert_int_equal(multiport->state[1].cols, 80);
	assert_int_equal(multiport->state[1].rows, 24);
	/* No buffer is left but one of pieces. */
	assert_int_equal(driver_outstanding(multiport->control_receive), 0);
	multiport_driver_post_pieces(multiport, pieces, 4);
	say(machine, name, sizeof(name));
	multiport_driver_expect(multiport, 1, CONSOLE_PORT_NAME, 1, "name", 4);
	machine_free(machine);
}

static void empty_buffers_are_counted(void **state)
{
	struct machine *machine = machine_up(NULL);
	struct multiport_driver *multiport = &machine->multiport;

	(void)state;
	machine->fake.lane[CONTROL].refuse = 2;
	machine->fake.lane[CONTROL].most = 8;
	say(machine, messages, sizeof(messages));
	multiport_driver_await(multiport, 4);
	assert_int_equal(multiport->empty, 2);
	machine_free(machine);
}

static void messages_go_out_in_any_pieces(void **state)
{
	static const uint32_t pieces[][5] = {{8}, {1, 7}, {0, 3, 0, 5, 0}, {2, 2, 2, 2}};
	static const uint32_t counts[] = {1, 2, 5, 4};
	static const uint8_t expected[] = {2, 0, 0, 0, CONSOLE_PORT_OPEN, 0, 1, 0};
	struct machine *machine = machine_up(NULL);
	struct fake_lane *lane = &machine->fake.lane[CONTROL];

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		lane->output_size = 0;
		multiport_driver_send_pieces(&machine->multiport, expected, pieces[i / 2],
		                             counts[i / 2], i % 2);
		assert_int_equal(lane->output_size, 8);
		assert_memory_equal(lane->output, expected, 8);
	}
	lane->output_size = 0;
	multiport_driver_send(&machine->multiport, 2, CONSOLE_PORT_OPEN, 1);
	assert_memory_equal(lane->output, expected, 8);
	machine_free(machine);
}

static void expect_another(void *arg)
{
	multiport_driver_expect(arg, 0, CONSOLE_DEVICE_ADD, 2, NULL, 0);
}

static void expect_more(void *arg)
{
	multiport_driver_expect(arg, 2, CONSOLE_CONSOLE_PORT, 1, "x", 1);
}

static void collect(void *arg)
{
	multiport_driver_await(arg, 1);
}

static void mistakes_are_found(void **state)
{
	struct driver_desc *next;
	struct machine *machine = machine_new(NULL);
	struct multiport_driver *multiport = &machine->multiport;

	(void)state;
	multiport->hold_control = true;
	machine->fake.lane[CONTROL].most = 8;
	assert_true(multiport_driver_bring_up(multiport));
	say(machine, messages, 16);
	expect_death(expect_another, multiport, "PORT_ADD(1) for port 0 came, not PORT_ADD(2)");
	expect_death(expect_more, multiport, "CONSOLE_PORT has 0 bytes after it, not 1");
	say(machine, messages, 5);
	expect_death(collect, multiport, "a control message of 5 bytes");
	/* Written beyond the end, which the fake backend never does by itself: in the fourth
	 * buffer, which is next and has the fourth descriptor. */
	next = driver_desc_at(multiport->control_receive, 3);
	memset(guest_memory_at(&machine->memory, next->addr, next->len), 0, next->len);
	say(machine, messages, 8);
	expect_death(collect, multiport, "was written beyond them");
	machine_free(machine);
}

int self_test_multiport(void)
{
	const struct CMUnitTest tests[] = {
	    SELF_TEST(every_port_has_its_vrings),      SELF_TEST(messages_are_recorded_in_order),
	    SELF_TEST(what_follows_a_message_is_kept), SELF_TEST(empty_buffers_are_counted),
	    SELF_TEST(messages_go_out_in_any_pieces),  SELF_TEST(mistakes_are_found),
	};

	return cmocka_run_group_tests_name("multiport", tests, resources_group_setup,
	                                   resources_group_teardown);
}
