/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The lives of a device under QEMU, crosvm, Cloud Hypervisor and libkrun, as recorded in
 * tests/support/vmm_sequences.c, with data going both ways after each step; and the turns of
 * single frontends that a backend has to know (notes, section 2).
 */
#include "testbed.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SOME 20000

static void check_both_ways(struct bed_guest *guest)
{
	bed_check_output(guest, SOME);
	bed_check_input(guest, SOME);
}

static struct console_driver *new_console(const struct vmm *vmm)
{
	struct console_driver_options options = {.vmm = vmm};

	return bed_console(bed_new(&(struct bed_options){.listens = true}), &options);
}

static struct bed_guest *guest_of(struct console_driver *console)
{
	return (struct bed_guest *)((char *)console - offsetof(struct bed_guest, console));
}

/* Connect, start, data; stop, resume, data; reset, restart, data; twice. */
static void live(const struct vmm *vmm)
{
	struct console_driver *console = new_console(vmm);
	struct bed_guest *guest = guest_of(console);

	assert_true(console_driver_bring_up(console));
	check_both_ways(guest);
	for (unsigned int round = 0; round < 2; round++) {
		if (vmm->phase[VMM_STOP]) {
			assert_true(console_driver_play(console, VMM_STOP));
			assert_true(console_driver_play(console, VMM_RESUME));
			check_both_ways(guest);
		}
		assert_true(console_driver_reboot(console));
		check_both_ways(guest);
	}
	assert_int_equal(console->refused, 0);
	assert_false(frontend_peer_closed(&guest->frontend));
	bed_hang_up(guest);
}

static void qemu_lives(void **state)
{
	(void)state;
	live(&vmm_qemu);
}

static void crosvm_lives(void **state)
{
	(void)state;
	live(&vmm_crosvm);
}

static void cloud_hypervisor_lives(void **state)
{
	(void)state;
	live(&vmm_cloud_hypervisor);
}

static void libkrun_lives(void **state)
{
	(void)state;
	live(&vmm_libkrun);
}

/* QEMU without REPLY_ACK asks for the features instead; without the others it does without. */
static void frontends_without_protocol_features(void **state)
{
	static const uint64_t without[] = {
	    1ull << FE_PROTOCOL_REPLY_ACK,   1ull << FE_PROTOCOL_CONFIGURE_MEM_SLOTS,
	    1ull << FE_PROTOCOL_BACKEND_REQ, 1ull << FE_PROTOCOL_MQ,
	    1ull << FE_PROTOCOL_CONFIG,      ~0ull,
	};

	(void)state;
	for (unsigned int v = 0; vmm_all[v]; v++) {
		for (unsigned int i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
			struct console_driver_options options = {.vmm = vmm_all[v],
			                                         .no_protocol = without[i]};
			struct bed_guest *guest = bed_new(NULL);
			struct console_driver *console = bed_console(guest, &options);

			assert_true(console_driver_bring_up(console));
			check_both_ways(guest);
			assert_true(console_driver_reboot(console));
			check_both_ways(guest);
			bed_free(guest->bed);
		}
	}
}

/* Drivers without one or the other feature, rings of other sizes, buffers in indirect tables. */
static void drivers_of_all_kinds(void **state)
{
	static const struct console_driver_options kinds[] = {
	    {.features = 1ull << DRIVER_F_VERSION_1},
	    {.features = 1ull << DRIVER_F_VERSION_1 | 1ull << DRIVER_F_EVENT_IDX},
	    {.indirect = true},
	    {.indirect = true, .queue_size = 1},
	    {.queue_size = 2, .receive_size = 7, .transmit_size = 5},
	    {.queue_size = 1024, .receive_count = 3, .transmit_size = 16},
	};

	(void)state;
	for (unsigned int v = 0; vmm_all[v]; v++) {
		for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			struct console_driver_options options = kinds[i];
			struct bed_guest *guest = bed_new(NULL);

			options.vmm = vmm_all[v];
			bed_console(guest, &options);
			assert_true(console_driver_bring_up(&guest->console));
			bed_check_output(guest, 2000);
			bed_check_input(guest, 2000);
			bed_free(guest->bed);
		}
	}
}

/* Linux's hvc: 16 bytes at a time, spinning until they are back. */
static void hvc_gets_each_buffer_back(void **state)
{
	(void)state;
	for (unsigned int v = 0; vmm_all[v]; v++) {
		struct console_driver *console = new_console(vmm_all[v]);
		struct bed_guest *guest = guest_of(console);

		assert_true(console_driver_bring_up(console));
		console_driver_transmit_hvc(console, bed_pattern(1600), 1600);
		bed_expect_output(guest, bed_pattern(1600), 1600);
		bed_free(guest->bed);
	}
}

/* Output held at a stop goes on at the resume; input typed in between isn't lost. */
static void a_pause_loses_nothing(void **state)
{
	(void)state;
	for (unsigned int v = 0; vmm_all[v]; v++) {
		struct console_driver *console;
		struct bed_guest *guest;

		if (!vmm_all[v]->phase[VMM_STOP])
			continue;
		console = new_console(vmm_all[v]);
		guest = guest_of(console);
		assert_true(console_driver_bring_up(console));
		assert_true(console_driver_play(console, VMM_STOP));
		assert_int_equal(console_driver_offer(console, "printed", 7), 7);
		test_backend_type(&guest->backend, "typed", 5);
		bed_settle(guest->bed);
		assert_int_equal(console_driver_reap(console), 0);
		assert_true(console_driver_play(console, VMM_RESUME));
		console_driver_expect_input(console, "typed", 5);
		driver_await_used(&console->queue[CONSOLE_TRANSMIT], 1);
		bed_expect_output(guest, "printed", 7);
		bed_free(guest->bed);
	}
}

/* libkrun's reset is ENABLE(0) alone: nothing is written into the old rings from then on. */
static void libkrun_resets_by_disabling(void **state)
{
	struct console_driver *console = new_console(&vmm_libkrun);
	struct bed_guest *guest = guest_of(console);

	(void)state;
	assert_true(console_driver_bring_up(console));
	check_both_ways(guest);
	/* Forgets the rings and zeroes them, as the rebooting guest does. */
	assert_true(console_driver_play(console, VMM_RESET));
	test_backend_type(&guest->backend, "typed during boot", 17);
	driver_kick_always(&console->queue[CONSOLE_RECEIVE]);
	driver_kick_always(&console->queue[CONSOLE_TRANSMIT]);
	bed_settle(guest->bed);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(driver_load16(driver_used_idx(&console->queue[i])), 0);
	assert_true(console_driver_play(console, VMM_RESTART));
	console_driver_post(console);
	console_driver_expect_input(console, "typed during boot", 17);
	check_both_ways(guest);
}

/* libkrun sends KICK before CALL, and to a ring that has work. */
static void libkrun_kicks_before_it_can_be_called(void **state)
{
	struct console_driver *console = new_console(&vmm_libkrun);
	struct driver_queue *ring = &console->queue[CONSOLE_TRANSMIT];

	(void)state;
	assert_true(console_driver_play(console, VMM_CONNECT));
	console->frontend->need_reply = FE_NEED_REPLY_NEVER;
	assert_int_equal(console_driver_offer(console, "work", 4), 4);
	assert_true(console_driver_play(console, VMM_START));
	driver_await_used(ring, 1);
	driver_await_call(ring);
}

/* Cloud Hypervisor reconnects: rings that are in use go on where they were. */
static void cloud_hypervisor_reconnects(void **state)
{
	struct console_driver *console = new_console(&vmm_cloud_hypervisor);
	struct bed_guest *guest = guest_of(console);

	(void)state;
	assert_true(console_driver_bring_up(console));
	check_both_ways(guest);
	for (unsigned int i = 0; i < 3; i++) {
		test_backend_forget(&guest->backend);
		bed_reconnect(guest);
		/* Typed and printed while nobody was connected. */
		test_backend_type(&guest->backend, "typed", 5);
		console_driver_offer(console, "printed", 7);
		assert_true(console_driver_play(console, VMM_RECONNECT));
		console_driver_expect_input(console, "typed", 5);
		driver_await_used(&console->queue[CONSOLE_TRANSMIT], 1);
		console_driver_reap(console);
		bed_expect_output(guest, "printed", 7);
		check_both_ways(guest);
	}
	assert_int_equal(console->refused, 0);
}

/* crosvm's eventfds block. One that is full must not hold the backend. */
static void a_full_blocking_call_eventfd_holds_nobody(void **state)
{
	struct console_driver *console = new_console(&vmm_crosvm);
	struct bed_guest *guest = guest_of(console);
	uint64_t full = UINT64_MAX - 1;

	(void)state;
	assert_true(console_driver_bring_up(console));
	/* console_driver_reap() would empty it. */
	for (unsigned int i = 0; i < 10; i++) {
		driver_take_calls(&console->queue[CONSOLE_TRANSMIT]);
		assert_int_equal(write(console->queue[CONSOLE_TRANSMIT].call, &full, sizeof(full)),
		                 sizeof(full));
		driver_ask_calls(&console->queue[CONSOLE_TRANSMIT], true);
		assert_int_equal(console_driver_offer(console, "x", 1), 1);
		driver_await_used(&console->queue[CONSOLE_TRANSMIT], 1);
		bed_settle(guest->bed);
		assert_true(driver_take_calls(&console->queue[CONSOLE_TRANSMIT]) == full);
		console_driver_reap(console);
	}
	check_both_ways(guest);
}

/* A whole ring of crosvm's 32768 entries, all in use at once. */
static void crosvm_uses_its_large_ring(void **state)
{
	struct console_driver_options options = {
	    .vmm = &vmm_crosvm, .receive_count = 32768, .receive_size = 16};
	struct bed_guest *guest = bed_new(NULL);
	struct console_driver *console = bed_console(guest, &options);

	(void)state;
	assert_true(console_driver_bring_up(console));
	bed_check_input(guest, 32768 * 16);
	bed_check_output(guest, 100000);
}

/* ---- configuration space: VHOST_USER_GET_CONFIG, VHOST_USER_SET_CONFIG ---- */

/* Any part of the 256 bytes may be asked for; what is behind the console's 12 is zero. */
static void config_is_read_in_any_part(void **state)
{
	static const uint32_t sizes[] = {1, 2, 3, 4, 8, 12, 13, 64, 244, 255, 256};
	struct bed_guest *guest = bed_new(NULL);
	uint8_t whole[256], part[256];

	(void)state;
	bed_negotiate(guest, 0);
	assert_int_equal(frontend_get_config(&guest->frontend, 0, 256, 0, whole), 256);
	for (unsigned int i = 12; i < 256; i++)
		assert_int_equal(whole[i], 0);
	for (uint32_t offset = 0; offset < 256; offset++) {
		for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			uint32_t size = sizes[i];
			uint32_t got =
			    frontend_get_config(&guest->frontend, offset, size, i % 2, part);

			assert_int_equal(got, offset + size <= 256 ? size : 0);
			assert_memory_equal(part, whole + offset, got);
		}
	}
}

/* Without MULTIPORT and SIZE its fields say nothing, but the answer has to come at any time. */
static void config_is_read_at_any_time(void **state)
{
	struct bed_guest *guest = bed_new(NULL);
	uint8_t bytes[12];

	(void)state;
	assert_int_equal(frontend_get_config(&guest->frontend, 0, 12, 0, bytes), 12);
	assert_int_equal(frontend_set_config(&guest->frontend, 0, 12, 0, bytes), 0);
	bed_negotiate(guest, 0);
	for (uint32_t flags = 0; flags < 3; flags++) {
		assert_int_equal(frontend_get_config(&guest->frontend, 0, 12, flags, bytes), 12);
		assert_int_equal(frontend_set_config(&guest->frontend, 0, 12, flags, bytes), 0);
	}
	assert_int_equal(frontend_set_config(&guest->frontend, 8, 4, 0, bytes), 0);
	assert_int_equal(frontend_set_config(&guest->frontend, 8, 1, 0, bytes), 0);
}

/* Offset and size that pass the end, or each other's sum 2^32, are refused. */
static void config_out_of_range_is_refused(void **state)
{
	static const uint32_t ranges[][2] = {
	    {256, 1},         {255, 2},         {0, 257}, {0xffffffff, 1},
	    {0xfffffff8, 12}, {0x80000000, 12}, {0, 0},
	};
	struct bed_guest *guest = bed_new(NULL);
	uint8_t bytes[300] = {0};

	(void)state;
	bed_negotiate(guest, 0);
	for (unsigned int i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		uint32_t offset = ranges[i][0], size = ranges[i][1];

		assert_int_equal(frontend_get_config(&guest->frontend, offset, size, 0, bytes), 0);
		assert_int_not_equal(frontend_set_config(&guest->frontend, offset, size, 0, bytes),
		                     0);
	}
}

/* QEMU enables all of num_vqs, also those that the driver never sets up (notes, 2.1, 8). */
static void rings_never_set_up_may_be_enabled(void **state)
{
	struct bed_guest *guest = bed_new(NULL);

	(void)state;
	bed_negotiate(guest, 0);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(frontend_set_vring_enable(&guest->frontend, i, 1), 0);
		assert_int_equal(frontend_set_vring_enable(&guest->frontend, i, 0), 0);
		assert_int_equal(frontend_get_vring_base(&guest->frontend, i), 0);
	}
	/* And set up, though the console has no use for them. */
	bed_ring(guest, 3, 16, 0);
	driver_kick_always(&guest->ring[3]);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
	bed_print(guest, "the console's own works");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(qemu_lives),
	    BED_TEST(crosvm_lives),
	    BED_TEST(cloud_hypervisor_lives),
	    BED_TEST(libkrun_lives),
	    BED_TEST(frontends_without_protocol_features),
	    BED_TEST(drivers_of_all_kinds),
	    BED_TEST(hvc_gets_each_buffer_back),
	    BED_TEST(a_pause_loses_nothing),
	    BED_TEST(libkrun_resets_by_disabling),
	    BED_TEST(libkrun_kicks_before_it_can_be_called),
	    BED_TEST(cloud_hypervisor_reconnects),
	    BED_TEST(a_full_blocking_call_eventfd_holds_nobody),
	    BED_TEST(crosvm_uses_its_large_ring),
	    BED_TEST(config_is_read_in_any_part),
	    BED_TEST(config_is_read_at_any_time),
	    BED_TEST(config_out_of_range_is_refused),
	    BED_TEST(rings_never_set_up_may_be_enabled),
	};

	return BED_RUN(tests);
}
