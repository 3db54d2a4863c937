/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * VIRTIO_CONSOLE_F_MULTIPORT before any message: the feature bits, the number of virtqueues, the
 * configuration space (virtio 1.3, 5.3.2 to 5.3.5), and a driver that doesn't take it.
 */
#include "multiport_use.h"

#include <string.h>

#define MULTIPORT_BIT (1ull << CONSOLE_F_MULTIPORT)
#define CONFIG_BITS                                                                                \
	(1ull << CONSOLE_F_SIZE | 1ull << CONSOLE_F_MULTIPORT | 1ull << CONSOLE_F_EMERG_WRITE)

static struct bed_guest *new_connected(unsigned int max_ports,
                                       const struct console_driver_options *options)
{
	struct bed_guest *guest = bed_new(
	    &(struct bed_options){.listens = true, .multiport = true, .max_ports = max_ports});

	bed_console(guest, options);
	assert_true(console_driver_play(&guest->console, VMM_CONNECT));
	return guest;
}

/* 5.3.3: the device has the bit if it can have several ports; with one port it needn't. */
static void the_bit_is_offered_where_it_is_wanted(void **state)
{
	(void)state;
	for (unsigned int multiport = 0; multiport < 2; multiport++) {
		struct bed_guest *guest =
		    bed_new(&(struct bed_options){.multiport = multiport, .max_ports = 1});

		bed_console(guest, NULL);
		assert_true(console_driver_play(&guest->console, VMM_CONNECT));
		assert_int_equal(guest->console.offered >> CONSOLE_F_MULTIPORT & 1, multiport);
		bed_free(guest->bed);
	}
}

/* 5.3.2: two queues a port and two for control; never less than the usual four. */
static void there_are_queues_for_the_most_ports(void **state)
{
	static const unsigned int ports[] = {1, 2, 3, 16, 31};

	(void)state;
	for (unsigned int i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		struct bed_guest *guest = new_connected(ports[i], NULL);

		assert_int_equal(guest->console.queue_num, 2 * (ports[i] + 1));
		bed_free(guest->bed);
	}
}

/* The same number without the feature: QEMU is commonly told num_vqs=4. */
static void one_port_has_four_queues(void **state)
{
	struct bed_guest *guest = bed_new(NULL);

	(void)state;
	bed_console(guest, NULL);
	assert_true(console_driver_play(&guest->console, VMM_CONNECT));
	assert_int_equal(guest->console.queue_num, 4);
}

/* 5.3.4: max_nr_ports; a frontend that names no queue before the probe has them all. */
static void the_most_ports_are_in_the_configuration(void **state)
{
	static const struct vmm *const vmms[] = {&vmm_crosvm, &vmm_libkrun};

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		struct console_driver_options options = {.vmm = vmms[i % 2], .queue_size = 16};
		struct bed_guest *guest = new_connected(i < 2 ? 31 : 5, &options);

		assert_int_equal(read_max_ports(guest), i < 2 ? 31 : 5);
		bed_free(guest->bed);
	}
}

/* QEMU names its queues at connect: no more ports than they are for, or Linux's probe fails. */
static void the_most_ports_are_clamped_to_the_queues(void **state)
{
	static const struct {
		unsigned int max_ports;
		uint32_t vrings, expected;
	} rows[] = {
	    {3, 4, 1}, {3, 6, 2}, {3, 8, 3}, {31, 4, 1}, {31, 5, 1}, {31, 63, 30}, {31, 64, 31},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct console_driver_options options = {.vrings = rows[i].vrings};
		struct bed_guest *guest = new_connected(rows[i].max_ports, &options);

		assert_int_equal(read_max_ports(guest), rows[i].expected);
		bed_free(guest->bed);
	}
}

/* A new frontend has its own number of queues, whatever the one before had. */
static void a_new_frontend_is_clamped_anew(void **state)
{
	static const uint32_t vrings[] = {4, 8, 6, 8};
	struct bed_guest *guest =
	    bed_new(&(struct bed_options){.listens = true, .multiport = true, .max_ports = 3});

	(void)state;
	for (unsigned int i = 0; i < sizeof(vrings) / sizeof(vrings[0]); i++) {
		struct console_driver_options options = {.vrings = vrings[i]};

		bed_console(guest, &options);
		assert_true(console_driver_play(&guest->console, VMM_CONNECT));
		assert_int_equal(read_max_ports(guest), vrings[i] / 2 - 1);
		bed_reconnect(guest);
	}
}

/* Only ports that the clamped number has room for are announced (5.3.6.2). */
static void ports_beyond_the_queues_are_not_announced(void **state)
{
	struct multiport_driver_options options = {.ports = 2};
	struct bed_guest *guest = new_ports_guest(usual_ports, USUAL_PORTS, &options);

	(void)state;
	assert_true(multiport_driver_bring_up(&guest->multiport));
	assert_int_equal(read_max_ports(guest), 2);
	expect_ports(guest);
	multiport_driver_send(&guest->multiport, USUAL_DATA, CONSOLE_PORT_READY, 1);
	expect_no_message(guest);
	check_port_output(guest, 0, 5000);
	check_port_output(guest, 1, 5000);
}

/* There may be fewer ports than the most: room for those that are added later. */
static void only_ports_that_exist_are_announced(void **state)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){
	    .multiport = true, .ports = usual_ports, .ports_count = 2, .max_ports = 9});
	struct multiport_driver_options options = {.ports = 2, .console = {.vrings = 20}};

	(void)state;
	bed_multiport(guest, &options);
	assert_true(multiport_driver_bring_up(&guest->multiport));
	assert_int_equal(read_max_ports(guest), 9);
	expect_ports(guest);
}

/* 5.3.3: bits whose fields nobody can read are not offered. */
static void without_configuration_its_bits_are_withdrawn(void **state)
{
	(void)state;
	for (unsigned int config = 0; config < 2; config++) {
		struct console_driver_options options = {
		    .no_protocol = config ? 0 : 1ull << FE_PROTOCOL_CONFIG};
		struct bed_guest *guest = new_connected(3, &options);

		/* The second GET_FEATURES, which comes after SET_PROTOCOL_FEATURES. */
		assert_int_equal(guest->console.offered & CONFIG_BITS, config ? CONFIG_BITS : 0);
		bed_free(guest->bed);
	}
}

/* And one port works then. */
static void without_configuration_there_is_one_port(void **state)
{
	struct console_driver_options options = {
	    .no_protocol = 1ull << FE_PROTOCOL_CONFIG,
	    .features = 1ull << DRIVER_F_VERSION_1 | CONFIG_BITS,
	};
	struct bed_guest *guest = new_connected(3, &options);

	(void)state;
	assert_true(console_driver_play(&guest->console, VMM_START));
	console_driver_post(&guest->console);
	bed_check_output(guest, 5000);
	bed_check_input(guest, 5000);
}

/* 5.3.4: the driver writes emerg_wr and nothing else. */
static void max_nr_ports_is_read_only(void **state)
{
	static const struct vmm *const vmms[] = {&vmm_qemu, &vmm_crosvm};

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct console_driver_options options = {
		    .vmm = vmms[i], .vrings = 8, .queue_size = 16};
		struct bed_guest *guest = new_connected(3, &options);
		uint32_t other = 77;

		console_driver_write_config(&guest->console, 4, sizeof(other), &other);
		assert_int_equal(read_max_ports(guest), 3);
		bed_free(guest->bed);
	}
}

static void check_emergency_write(const struct vmm *vmm, bool read_first)
{
	struct multiport_driver_options options = {
	    .ports = USUAL_PORTS,
	    .console = {.vmm = vmm, .queue_size = 16},
	};
	struct bed_guest *guest = new_ports_guest(usual_ports, USUAL_PORTS, &options);

	assert_true(console_driver_play(&guest->console, VMM_CONNECT));
	if (read_first)
		assert_int_equal(read_max_ports(guest), USUAL_PORTS);
	console_driver_write_config(&guest->console, 8, 1, "!");
	bed_settle(guest->bed);
	bed_expect_output(guest, "!", 1);
	assert_int_equal(guest->backends[USUAL_CONSOLE].output_size, 0);
	bed_free(guest->bed);
}

/* 5.3.4: emerg_wr works without any set-up, and goes where the first port's output goes. */
static void an_emergency_write_goes_to_port_0(void **state)
{
	(void)state;
	check_emergency_write(&vmm_qemu, true);
	check_emergency_write(&vmm_crosvm, true);
}

/* Whoever writes needn't have read before: QEMU's copy of the other fields is zeros then. */
static void an_emergency_write_may_come_first(void **state)
{
	(void)state;
	check_emergency_write(&vmm_crosvm, false);
	check_emergency_write(&vmm_qemu, false);
}

/* 5.3.2, 5.3.5: without the feature port 0 is all there is, and works as ever. */
static void without_the_feature_port_0_works_alone(void **state)
{
	(void)state;
	for (unsigned int v = 0; vmm_all[v]; v++) {
		struct console_driver_options options = {.vmm = vmm_all[v], .vrings = 8};
		struct bed_guest *guest = bed_new(&(struct bed_options){
		    .multiport = true, .ports = usual_ports, .ports_count = USUAL_PORTS});

		options.queue_size = vmm_all[v]->queue_size > 256 ? 256 : 0;
		bed_console(guest, &options);
		assert_true(console_driver_bring_up(&guest->console));
		assert_int_equal(guest->console.features & MULTIPORT_BIT, 0);
		bed_check_output(guest, 50000);
		bed_check_input(guest, 5000);
		assert_true(console_driver_reboot(&guest->console));
		bed_check_output(guest, 5000);
		bed_check_input(guest, 5000);
		bed_free(guest->bed);
	}
}

/* What a driver once negotiated doesn't bind the next one: with the feature, without, with. */
static void the_next_driver_may_choose_otherwise(void **state)
{
	struct bed_guest *guest = new_usual_guest();

	(void)state;
	shake_hands(guest);
	for (unsigned int i = 0; i < 4; i++) {
		bool multiport = i % 2;

		assert_true(multiport_driver_reset(&guest->multiport));
		guest->console.options.configured = multiport ? 8 : 2;
		guest->console.options.features &= ~MULTIPORT_BIT;
		guest->console.options.features |= multiport ? MULTIPORT_BIT : 0;
		assert_true(multiport_driver_restart(&guest->multiport));
		if (multiport)
			shake_hands(guest);
		bed_check_output(guest, 5000);
		bed_check_input(guest, 5000);
		if (multiport)
			check_port_output(guest, USUAL_CONSOLE, 5000);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(the_bit_is_offered_where_it_is_wanted),
	    BED_TEST(there_are_queues_for_the_most_ports),
	    BED_TEST(one_port_has_four_queues),
	    BED_TEST(the_most_ports_are_in_the_configuration),
	    BED_TEST(the_most_ports_are_clamped_to_the_queues),
	    BED_TEST(a_new_frontend_is_clamped_anew),
	    BED_TEST(ports_beyond_the_queues_are_not_announced),
	    BED_TEST(only_ports_that_exist_are_announced),
	    BED_TEST(without_configuration_its_bits_are_withdrawn),
	    BED_TEST(without_configuration_there_is_one_port),
	    BED_TEST(max_nr_ports_is_read_only),
	    BED_TEST(an_emergency_write_goes_to_port_0),
	    BED_TEST(an_emergency_write_may_come_first),
	    BED_TEST(without_the_feature_port_0_works_alone),
	    BED_TEST(the_next_driver_may_choose_otherwise),
	};

	return BED_RUN(tests);
}
