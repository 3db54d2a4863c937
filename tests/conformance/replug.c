/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A device that is unplugged and plugged again on one connection, as QEMU does it (device_del,
 * device_add with the same chardev): the vrings stop, nothing is said of the memory, then the whole
 * handshake comes once more (vhost-user, VHOST_USER_SET_OWNER: "session start").
 */
#include "multiport_use.h"

#include <string.h>

static struct bed_guest *new_guest(const struct vmm *vmm)
{
	struct console_driver_options options = {.vmm = vmm};
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});

	bed_console(guest, &options);
	assert_true(console_driver_bring_up(&guest->console));
	return guest;
}

static void check_both_ways(struct bed_guest *guest)
{
	bed_check_output(guest, 20000);
	bed_check_input(guest, 20000);
	assert_int_equal(guest->console.refused, 0);
}

static void unplug(struct bed_guest *guest)
{
	assert_true(console_driver_play(&guest->console, VMM_RESET));
}

static void plug(struct bed_guest *guest)
{
	struct console_driver *console = &guest->console;

	assert_true(console_driver_play(console, VMM_CONNECT));
	assert_true(console_driver_play(console, VMM_RESTART));
	console_driver_post(console);
}

static void a_device_is_plugged_again(void **state)
{
	(void)state;
	for (unsigned int v = 0; vmm_all[v]; v++) {
		struct bed_guest *guest = new_guest(vmm_all[v]);
		struct bed_mark mark;

		check_both_ways(guest);
		bed_mark(&mark);
		for (unsigned int round = 0; round < 5; round++) {
			unplug(guest);
			plug(guest);
			check_both_ways(guest);
			/* A reboot tells QEMU's memory no more than before. */
			if (round == 2) {
				assert_true(console_driver_reboot(&guest->console));
				check_both_ways(guest);
			}
		}
		bed_same(&mark);
		bed_free(guest->bed);
	}
}

/* Memory was added meanwhile, and some of it is in other regions now. */
static void memory_may_differ_when_it_is_plugged_again(void **state)
{
	struct bed_guest *guest = new_guest(&vmm_qemu);
	struct guest_memory *memory = &guest->memory;
	struct bed_mark mark;

	(void)state;
	check_both_ways(guest);
	bed_mark(&mark);
	unplug(guest);
	memory->region[1].size /= 2;
	guest_memory_add(memory, memory->region[1].gpa + memory->region[1].size, 1ull << 44, 0x3000,
	                 memory->region[1].size, -1);
	plug(guest);
	check_both_ways(guest);
	unplug(guest);
	guest_memory_remove(memory, 3);
	memory->region[1].size *= 2;
	plug(guest);
	check_both_ways(guest);
	bed_same(&mark);
}

/* The start failed half way, or there was no driver yet. */
static void a_device_without_a_driver_is_plugged_again(void **state)
{
	struct console_driver_options options = {.vmm = &vmm_qemu};
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});
	struct console_driver *console = bed_console(guest, &options);

	(void)state;
	for (unsigned int round = 0; round < 3; round++) {
		assert_true(console_driver_play(console, VMM_CONNECT));
		assert_int_equal(frontend_add_mem_reg(&guest->frontend, &guest->memory.region[1]),
		                 0);
	}
	plug(guest);
	check_both_ways(guest);
}

/* A ring that the driver has broken is whole with the new device. */
static void a_broken_device_is_plugged_again(void **state)
{
	struct bed_guest *guest = new_guest(&vmm_qemu);
	struct driver_queue *queue = &guest->console.queue[CONSOLE_TRANSMIT];

	(void)state;
	check_both_ways(guest);
	driver_store16(driver_avail_idx(queue), 1000);
	driver_kick_always(queue);
	frontend_await_fd(&guest->frontend, queue->err, 1 /* POLLIN */, "an error");
	unplug(guest);
	plug(guest);
	check_both_ways(guest);
}

static void input_waits_for_the_new_device(void **state)
{
	struct bed_guest *guest = new_guest(&vmm_qemu);

	(void)state;
	check_both_ways(guest);
	unplug(guest);
	assert_true(console_driver_play(&guest->console, VMM_CONNECT));
	test_backend_type(&guest->backend, "typed", 5);
	assert_true(console_driver_play(&guest->console, VMM_RESTART));
	console_driver_post(&guest->console);
	console_driver_expect_input(&guest->console, "typed", 5);
	check_both_ways(guest);
}

/* The new device's driver knows no ports: all are announced again, and to as many vrings as it has.
 */
static void the_new_driver_is_told_of_the_ports(void **state)
{
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	shake_hands(guest);
	for (unsigned int round = 0; round < 3; round++) {
		assert_true(multiport_driver_reset(&guest->multiport));
		assert_true(console_driver_play(&guest->console, VMM_CONNECT));
		assert_true(multiport_driver_restart(&guest->multiport));
		shake_hands(guest);
		check_port_output(guest, USUAL_CONSOLE, 5000);
		check_port_input(guest, USUAL_CONSOLE, 5000);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(a_device_is_plugged_again),
	    BED_TEST(memory_may_differ_when_it_is_plugged_again),
	    BED_TEST(a_device_without_a_driver_is_plugged_again),
	    BED_TEST(a_broken_device_is_plugged_again),
	    BED_TEST(input_waits_for_the_new_device),
	    BED_TEST(the_new_driver_is_told_of_the_ports),
	};

	return BED_RUN(tests);
}
