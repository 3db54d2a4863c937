/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Tests the console driver and the recorded sequences against the fake backend.
 */
#include "self_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "console_driver.h"
#include "fake_backend.h"
#include "support.h"

struct machine {
	struct frontend frontend;
	struct fake_backend fake;
	struct guest_memory memory;
	struct console_driver console;
};

static struct machine *machine_new(const struct console_driver_options *options)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	assert_non_null(machine);
	fake_backend_init(&machine->fake, frontend_init_pair(&machine->frontend));
	machine->frontend.turn = fake_backend_turn;
	machine->frontend.turn_arg = &machine->fake;
	guest_memory_init(&machine->memory);
	console_driver_init(&machine->console, &machine->frontend, &machine->memory, options);
	return machine;
}

static void machine_free(struct machine *machine)
{
	console_driver_deinit(&machine->console);
	console_driver_deinit(&machine->console);
	guest_memory_deinit(&machine->memory);
	frontend_deinit(&machine->frontend);
	fake_backend_deinit(&machine->fake);
	free(machine);
}

/* Both ways, more than the rings hold at once. */
static void check_console(struct machine *machine, size_t size)
{
	uint8_t *bytes = malloc(size);

	assert_non_null(bytes);
	support_fill_pattern(bytes, size, 3);
	machine->fake.lane[0].output_size = 0;
	console_driver_transmit(&machine->console, bytes, size);
	assert_int_equal(machine->fake.lane[0].output_size, size);
	assert_memory_equal(machine->fake.lane[0].output, bytes, size);
	machine->fake.lane[0].input = bytes;
	machine->fake.lane[0].input_size = size;
	console_driver_expect_input(&machine->console, bytes, size);
	assert_int_equal(console_driver_collect(&machine->console), 0);
	free(bytes);
}

static void every_vmm_lives(void **state)
{
	struct console_driver_options options = {0};
	struct machine *machine;
	int i;

	(void)state;
	for (i = 0; vmm_all[i]; i++) {
		options.vmm = vmm_all[i];
		machine = machine_new(&options);
		assert_true(console_driver_bring_up(&machine->console));
		check_console(machine, 60000);
		if (options.vmm->phase[VMM_STOP]) {
			assert_true(console_driver_play(&machine->console, VMM_STOP));
			assert_true(console_driver_play(&machine->console, VMM_RESUME));
			check_console(machine, 5000);
		}
		assert_true(console_driver_reboot(&machine->console));
		check_console(machine, 5000);
		assert_int_equal(machine->console.refused, 0);
		machine_free(machine);
	}
}

static void features_make_a_difference(void **state)
{
	static const struct console_driver_options options[] = {
	    {.features = 1ull << DRIVER_F_VERSION_1},
	    {.indirect = true, .queue_size = 2},
	    {.queue_size = 1, .receive_size = 7, .transmit_size = 5},
	    {.queue_size = 32768, .base = 0xfff8, .receive_count = 3},
	    {.base = 0xffff, .transmit_size = 16},
	};
	struct machine *machine;
	uint32_t i;

	(void)state;
	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		machine = machine_new(&options[i]);
		assert_true(console_driver_bring_up(&machine->console));
		check_console(machine, 3000);
		machine_free(machine);
	}
}

static void batches_are_understood(void **state)
{
	struct machine *machine = machine_new(NULL);

	(void)state;
	machine->fake.features |= 1ull << DRIVER_F_IN_ORDER;
	machine->fake.batch = 3;
	assert_true(console_driver_bring_up(&machine->console));
	assert_true(machine->console.queue[0].in_order);
	machine->fake.lane[0].output_size = 0;
	console_driver_offer(&machine->console, "0123456789", 10);
	console_driver_offer(&machine->console, "abc", 3);
	frontend_barrier(&machine->frontend);
	assert_int_equal(machine->fake.lane[0].output_size, 13);
	assert_int_equal(console_driver_reap(&machine->console), 2);
	machine_free(machine);
}

static void hvc_sends_small_buffers(void **state)
{
	struct machine *machine = machine_new(NULL);
	uint16_t before;

	(void)state;
	assert_true(console_driver_bring_up(&machine->console));
	before = machine->console.queue[CONSOLE_TRANSMIT].avail_idx;
	console_driver_transmit_hvc(&machine->console, "a line of twenty-six bytes", 26);
	assert_int_equal(machine->console.queue[CONSOLE_TRANSMIT].avail_idx - before, 2);
	machine_free(machine);
}

static void held_receive_buffers_stay_away(void **state)
{
	struct console_driver_options options = {.receive_count = 2, .receive_size = 4};
	struct machine *machine = machine_new(&options);
	uint8_t bytes[16];

	(void)state;
	assert_true(console_driver_bring_up(&machine->console));
	machine->console.port.hold_receive = true;
	machine->fake.lane[0].input = (const uint8_t *)"0123456789";
	machine->fake.lane[0].input_size = 10;
	console_driver_await_input(&machine->console, 8);
	frontend_barrier(&machine->frontend);
	assert_int_equal(console_driver_collect(&machine->console), 8);
	machine->console.port.hold_receive = false;
	console_driver_post(&machine->console);
	console_driver_await_input(&machine->console, 10);
	assert_int_equal(console_driver_take_input(&machine->console, bytes, 3), 3);
	assert_int_equal(console_driver_take_input(&machine->console, bytes, 16), 7);
	assert_memory_equal(bytes, "3456789", 7);
	machine_free(machine);
}

/* What QEMU 11.1.3 sent, recorded from the wire: request and flags (1, or 9 with NEED_REPLY). */
static void qemu_is_verbatim(void **state)
{
	static const uint8_t wire[][2] = {
	    {1, 1},  {15, 1}, {16, 1}, {17, 1}, {36, 1}, {21, 9}, {3, 1},  {1, 1},  {13, 9},
	    {14, 9}, {13, 9}, {14, 9}, {13, 9}, {14, 9}, {13, 9}, {14, 9}, {2, 1},  {37, 9},
	    {8, 1},  {10, 1}, {9, 1},  {12, 9}, {13, 9}, {8, 1},  {10, 1}, {9, 1},  {12, 9},
	    {13, 9}, {18, 9}, {18, 9}, {18, 9}, {18, 9}, {13, 9}, {13, 9}, {13, 9}, {13, 9},
	    {24, 1}, {24, 1}, {18, 9}, {18, 9}, {18, 9}, {18, 9}, {11, 1}, {11, 1}, {2, 1},
	    {8, 1},  {10, 1}, {9, 1},  {12, 9}, {13, 9}, {8, 1},  {10, 1}, {9, 1},  {12, 9},
	    {13, 9}, {18, 9}, {18, 9}, {18, 9}, {18, 9}, {13, 9}, {13, 9}, {13, 9}, {13, 9},
	};
	struct machine *machine = machine_new(NULL);
	const struct fake_record *record = machine->fake.record;
	uint32_t i, at = 0;

	(void)state;
	assert_true(console_driver_play(&machine->console, VMM_CONNECT));
	assert_true(console_driver_play(&machine->console, VMM_START));
	assert_true(console_driver_play(&machine->console, VMM_CONFIG));
	assert_true(console_driver_play(&machine->console, VMM_STOP));
	assert_true(console_driver_play(&machine->console, VMM_RESUME));
	for (i = 0; i < machine->fake.count; i++) {
		/* That guest had one region of memory, this one has more. */
		if (i && record[i].request == FE_ADD_MEM_REG &&
		    record[i - 1].request == FE_ADD_MEM_REG)
			continue;
		if (at == sizeof(wire) / sizeof(wire[0]) || record[i].request != wire[at][0] ||
		    record[i].flags != wire[at][1])
			fail_msg("%u: %s with flags %u", i,
			         frontend_request_name(record[i].request), record[i].flags);
		at++;
	}
	assert_int_equal(at, sizeof(wire) / sizeof(wire[0]));
	machine_free(machine);
}

static void libkrun_starts_what_isnt_set_up(void **state)
{
	struct console_driver_options options = {.vmm = &vmm_libkrun};
	struct machine *machine = machine_new(&options);

	(void)state;
	assert_true(console_driver_bring_up(&machine->console));
	frontend_barrier(&machine->frontend);
	assert_int_equal(machine->fake.vring[1].num, 256);
	assert_int_equal(machine->fake.vring[2].num, 0);
	assert_true(machine->fake.vring[3].enabled);
	assert_int_not_equal(machine->fake.vring[3].call, -1);
	machine_free(machine);
}

static void cloud_hypervisor_reconnects(void **state)
{
	struct console_driver_options options = {.vmm = &vmm_cloud_hypervisor};
	struct machine *machine = machine_new(&options);
	struct frontend *frontend = &machine->frontend;

	(void)state;
	machine->fake.features |= 1ull << DRIVER_F_IN_ORDER;
	assert_true(console_driver_bring_up(&machine->console));
	check_console(machine, 9000);
	fake_backend_deinit(&machine->fake);
	frontend_deinit(frontend);
	fake_backend_init(&machine->fake, frontend_init_pair(frontend));
	machine->fake.features |= 1ull << DRIVER_F_IN_ORDER;
	frontend->turn = fake_backend_turn;
	frontend->turn_arg = &machine->fake;
	assert_true(console_driver_play(&machine->console, VMM_RECONNECT));
	/* SET_PROTOCOL_FEATURES comes without asking first, and without NEED_REPLY. */
	assert_int_equal(machine->fake.record[2].request, FE_SET_PROTOCOL_FEATURES);
	assert_int_equal(machine->fake.record[2].flags, 1);
	assert_int_equal(machine->fake.record[3].flags, 9);
	check_console(machine, 9000);
	machine_free(machine);
}

static void configuration_is_accessed_as_the_vmm_does(void **state)
{
	struct console_driver_options options = {0};
	struct machine *machine;
	struct fake_record *last;
	uint8_t bytes[2];
	int i;

	(void)state;
	for (i = 0; vmm_all[i]; i++) {
		options.vmm = vmm_all[i];
		machine = machine_new(&options);
		assert_true(console_driver_play(&machine->console, VMM_CONNECT));
		memcpy(machine->fake.config, "abcdefghijkl", 12);
		assert_true(console_driver_read_config(&machine->console, 2, 2, bytes));
		assert_memory_equal(bytes, "cd", 2);
		last = &machine->fake.record[machine->fake.count - 1];
		assert_int_equal(last->size, options.vmm->config_whole ? 24 : 14);
		console_driver_write_config(&machine->console, 8, 1, "Z");
		frontend_barrier(&machine->frontend);
		last = &machine->fake.record[machine->fake.count - 2];
		assert_int_equal(last->request, FE_SET_CONFIG);
		assert_int_equal(last->size, options.vmm->config_whole ? 24 : 13);
		assert_int_equal(last->payload[options.vmm->config_whole ? 20 : 12], 'Z');
		machine_free(machine);
	}
}

struct hangup {
	unsigned int countdown;
};

static void hang_up_at(struct console_driver *console, enum frontend_moment moment,
                       uint32_t request)
{
	struct hangup *hangup = console->observe_arg;

	(void)moment;
	(void)request;
	if (!hangup->countdown--)
		frontend_hangup(console->frontend);
}

/* At every moment of every VMM's life; nothing may be left open (the teardown counts). */
static void hanging_up_anywhere_is_clean(void **state)
{
	struct console_driver_options options = {.queue_size = 4};
	struct machine *machine;
	struct hangup hangup;
	unsigned int moments;
	bool done;
	int i;

	(void)state;
	for (i = 0; vmm_all[i]; i++) {
		options.vmm = vmm_all[i];
		for (done = false, moments = 0; !done; moments++) {
			machine = machine_new(&options);
			hangup.countdown = moments;
			machine->console.observe = hang_up_at;
			machine->console.observe_arg = &hangup;
			done = console_driver_bring_up(&machine->console) &&
			       console_driver_reboot(&machine->console);
			machine_free(machine);
		}
		assert_true(moments > 50);
	}
}

int self_test_console(void)
{
	const struct CMUnitTest tests[] = {
	    SELF_TEST(every_vmm_lives),
	    SELF_TEST(features_make_a_difference),
	    SELF_TEST(batches_are_understood),
	    SELF_TEST(hvc_sends_small_buffers),
	    SELF_TEST(held_receive_buffers_stay_away),
	    SELF_TEST(qemu_is_verbatim),
	    SELF_TEST(libkrun_starts_what_isnt_set_up),
	    SELF_TEST(cloud_hypervisor_reconnects),
	    SELF_TEST(configuration_is_accessed_as_the_vmm_does),
	    SELF_TEST(hanging_up_anywhere_is_clean),
	};

	return cmocka_run_group_tests_name("console", tests, resources_group_setup,
	                                   resources_group_teardown);
}
