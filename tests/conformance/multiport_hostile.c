/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Drivers that misuse the control queues (virtio 1.3, 5.3.6.2; rules R9, R11, R14 of the notes):
 * whatever they say is passed over or breaks that queue, and their bytes go on.
 */
#include "multiport_use.h"

#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1024u * 1024u)

/* Everything still works: both queues of the consoles, and the answers to a port. */
static void check_works(struct bed_guest *guest)
{
	bed_settle(guest->bed);
	multiport_driver_skip(&guest->multiport);
	for (uint32_t id = 0; id < USUAL_DATA; id++) {
		expect_port_answers(guest, id);
		check_port_output(guest, id, 5000);
		check_port_input(guest, id, 5000);
	}
}

static struct bed_guest *new_ready_guest(void)
{
	struct bed_guest *guest = new_usual_guest();

	shake_hands(guest);
	return guest;
}

/* Sends one buffer, whatever it is, and awaits it back: nothing may be written into it. */
static void send_buffers(struct bed_guest *guest, const struct driver_buffer *buffers,
                         uint32_t count)
{
	struct driver_queue *queue = guest->multiport.control_transmit;

	assert_true(driver_add(queue, buffers, count, 0));
	driver_kick(queue);
	assert_int_equal(driver_await(queue).len, 0);
}

/* ---- chains ---- */

/* Shorter than a message: passed over. Longer: what follows is. */
static void a_message_may_have_any_length(void **state)
{
	static const uint32_t sizes[] = {0, 1, 4, 7, 9, 12, 4096, 65536, 1 * MIB};
	struct multiport_header header = {USUAL_CONSOLE, CONSOLE_PORT_READY, 1};
	struct bed_guest *guest = new_ready_guest();

	(void)state;
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t size = sizes[i] > 8 ? sizes[i] : 8;
		struct driver_buffer buffer = {bed_bytes(guest, NULL, size), sizes[i], false};

		guest_memory_write(&guest->memory, buffer.gpa, &header, sizeof(header));
		send_buffers(guest, &buffer, 1);
		if (sizes[i] < 8)
			expect_no_message(guest);
		check_works(guest);
	}
}

/* As many descriptors as the queue has, with nothing in them, or a byte in each. */
static void a_message_may_have_many_descriptors(void **state)
{
	struct driver_buffer buffers[64];
	struct bed_guest *guest = new_ready_guest();
	uint64_t gpa = bed_bytes(guest, NULL, 64);

	(void)state;
	for (unsigned int len = 0; len < 2; len++) {
		for (unsigned int i = 0; i < 64; i++)
			buffers[i] = (struct driver_buffer){gpa + i, len, false};
		send_buffers(guest, buffers, 64);
		expect_no_message(guest);
		check_works(guest);
	}
}

/* 5.3.6.2: the driver's messages are for the device to read. What it may write stays as it is. */
static void nothing_is_written_into_a_message(void **state)
{
	static const uint8_t zeros[16];
	struct bed_guest *guest = new_ready_guest();
	uint64_t gpa = bed_bytes(guest, NULL, 16);
	struct driver_buffer buffers[2] = {{gpa, 8, false}, {gpa, 16, true}};

	(void)state;
	send_buffers(guest, &buffers[1], 1);
	multiport_driver_skip(&guest->multiport);
	buffers[0].len = 4;
	send_buffers(guest, buffers, 2);
	assert_memory_equal(guest_memory_at(&guest->memory, gpa, 16), zeros, 16);
	check_works(guest);
}

/* A control receive buffer that can't be written holds no message: it comes back empty. */
static void a_buffer_to_read_takes_no_message(void **state)
{
	struct bed_guest *guest = new_usual_guest();
	struct multiport_driver *multiport = &guest->multiport;
	struct driver_buffer buffer = {bed_bytes(guest, "unwritten", 9), 9, false};
	struct driver_used used;

	(void)state;
	multiport->hold_control = true;
	shake_hands(guest);
	assert_true(multiport_driver_reset(multiport));
	assert_true(console_driver_play(&guest->console, VMM_RESTART));
	assert_true(driver_add(multiport->control_receive, &buffer, 1, 0));
	driver_kick(multiport->control_receive);
	multiport_driver_send(multiport, 0, CONSOLE_PORT_READY, 1);
	used = driver_await(multiport->control_receive);
	assert_int_equal(used.len, 0);
	assert_memory_equal(guest_memory_at(&guest->memory, buffer.gpa, 9), "unwritten", 9);
	multiport->hold_control = false;
	multiport_driver_post_control(multiport);
	expect_event(guest, 0, CONSOLE_CONSOLE_PORT);
	expect_event(guest, 0, CONSOLE_PORT_OPEN);
}

/* A receive buffer of a megabyte has one message, and nothing beyond it. */
static void a_huge_buffer_takes_one_message(void **state)
{
	static const uint32_t sizes[] = {1 * MIB, 7, 100000};
	struct bed_guest *guest = new_usual_guest();
	struct multiport_driver *multiport = &guest->multiport;

	(void)state;
	multiport->hold_control = true;
	shake_hands(guest);
	assert_true(multiport_driver_reset(multiport));
	assert_true(console_driver_play(&guest->console, VMM_RESTART));
	multiport_driver_post_pieces(multiport, sizes, 3);
	multiport_driver_post_pieces(multiport, sizes, 2);
	multiport_driver_send(multiport, 0, CONSOLE_PORT_READY, 1);
	expect_event(guest, 0, CONSOLE_CONSOLE_PORT);
	expect_event(guest, 0, CONSOLE_PORT_OPEN);
}

/* ---- what is said ---- */

/* 5.3.6.2: ids of ports that there are not, and can't be. */
static void unknown_ports_are_passed_over(void **state)
{
	static const uint32_t ids[] = {USUAL_PORTS, 30,     31,         32,         63,        64,
	                               255,         0x8000, 0x7fffffff, 0x80000000, 0xffffffff};
	struct bed_guest *guest = new_ready_guest();

	(void)state;
	for (unsigned int i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		for (uint16_t event = CONSOLE_PORT_READY; event < 10; event++)
			for (uint16_t value = 0; value < 2; value++)
				multiport_driver_send(&guest->multiport, ids[i], event, value);
	expect_no_message(guest);
	check_works(guest);
}

/* Events that there are not, and those that are the device's to say. */
static void unknown_events_are_passed_over(void **state)
{
	static const uint16_t events[] = {
	    CONSOLE_DEVICE_ADD,
	    CONSOLE_DEVICE_REMOVE,
	    CONSOLE_CONSOLE_PORT,
	    CONSOLE_RESIZE,
	    CONSOLE_PORT_NAME,
	    CONSOLE_EVENTS,
	    0x100,
	    0x303,
	    0x8003,
	    0xffff,
	};
	struct bed_guest *guest = new_ready_guest();

	(void)state;
	for (unsigned int i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		for (uint32_t id = 0; id < USUAL_PORTS; id++)
			multiport_driver_send(&guest->multiport, id, events[i], (uint16_t)(i % 2));
	expect_no_message(guest);
	check_works(guest);
}

/* ---- floods ---- */

static size_t heap_used(void)
{
	return mallinfo2().uordblks;
}

/* PORT_READY without end, without a buffer for the answers: it costs nothing, each has one. */
static void a_flood_without_buffers_is_bounded(void **state)
{
	struct bed_guest *guest = new_usual_guest();
	struct multiport_driver *multiport = &guest->multiport;
	size_t before, seen[USUAL_PORTS] = {0};

	(void)state;
	multiport->hold_control = true;
	shake_hands(guest);
	assert_true(multiport_driver_reset(multiport));
	assert_true(console_driver_play(&guest->console, VMM_RESTART));
	multiport_driver_send(multiport, MULTIPORT_NO_ID, CONSOLE_DEVICE_READY, 1);
	before = heap_used();
	for (unsigned int i = 0; i < 30000; i++)
		multiport_driver_send(multiport, i % USUAL_PORTS, CONSOLE_PORT_READY, 1);
	assert_int_equal(heap_used(), before);
	multiport->hold_control = false;
	multiport_driver_post_control(multiport);
	bed_settle(guest->bed);
	while (multiport_driver_collect(multiport) > 0)
		seen[multiport_driver_next(multiport)->header.id]++;
	/* PORT_ADD, CONSOLE_PORT, PORT_NAME, PORT_OPEN. */
	for (uint32_t id = 0; id < USUAL_PORTS; id++)
		assert_in_range(seen[id], 1, 4);
}

/* As many messages as the queue holds, again and again: nobody else is kept waiting. */
static void a_flood_holds_nobody(void **state)
{
	struct multiport_header header = {0, CONSOLE_PORT_READY, 1};
	struct bed_guest *guest = new_ready_guest();
	struct bed_guest *other = bed_add(guest->bed, NULL);
	struct driver_queue *queue = guest->multiport.control_transmit;
	struct driver_buffer buffer = {bed_bytes(guest, &header, 8), 8, false};
	struct driver_used used;

	(void)state;
	bed_console(other, NULL);
	assert_true(console_driver_bring_up(&other->console));
	for (unsigned int i = 0; i < 200; i++) {
		while (driver_add(queue, &buffer, 1, 0))
			;
		driver_kick(queue);
		bed_check_output(other, 1000);
		check_port_output(guest, USUAL_CONSOLE, 1000);
		while (driver_harvest(queue, &used))
			assert_int_equal(used.len, 0);
		multiport_driver_skip(&guest->multiport);
	}
	while (driver_outstanding(queue) > 0)
		assert_int_equal(driver_await(queue).len, 0);
	bed_settle(guest->bed);
	check_works(guest);
}

/* ---- queues that break ---- */

static void await_error(struct bed_guest *guest, struct driver_queue *queue)
{
	frontend_await_fd(&guest->frontend, queue->err, POLLIN, "an error");
	assert_true(driver_take_error(queue));
}

/* The consoles go on without the control queue; the next driver has it again. */
static void check_survives(struct bed_guest *guest)
{
	for (uint32_t id = 0; id < USUAL_DATA; id++) {
		check_port_output(guest, id, 5000);
		check_port_input(guest, id, 5000);
	}
	guest->multiport.hold_control = false;
	assert_true(multiport_driver_reset(&guest->multiport));
	assert_true(multiport_driver_restart(&guest->multiport));
	shake_hands(guest);
	check_works(guest);
}

/* 2.7.6: a control queue whose index jumps is broken, and nothing else is. */
static void a_broken_control_queue_breaks_nothing_else(void **state)
{
	(void)state;
	for (unsigned int i = MULTIPORT_CONTROL_RECEIVE; i <= MULTIPORT_CONTROL_TRANSMIT; i++) {
		struct bed_guest *guest = new_ready_guest();
		struct driver_queue *queue = &guest->console.queue[i];
		uint16_t *idx = driver_avail_idx(queue);

		driver_store16(idx, (uint16_t)(driver_load16(idx) + 1000));
		/* There is nothing to look for in the receive queue before there is something to
		 * say. */
		test_backend_resize(&guest->backends[USUAL_CONSOLE], 80, 24);
		driver_kick_always(queue);
		await_error(guest, queue);
		test_backend_resize(&guest->backends[USUAL_CONSOLE], 0, 0);
		check_survives(guest);
		bed_free(guest->bed);
	}
}

/* 2.7.5: messages in memory that isn't the guest's. */
static void a_message_outside_of_memory_breaks_its_queue(void **state)
{
	(void)state;
	for (unsigned int i = MULTIPORT_CONTROL_RECEIVE; i <= MULTIPORT_CONTROL_TRANSMIT; i++) {
		struct bed_guest *guest = new_usual_guest();
		struct driver_queue *queue = &guest->console.queue[i];
		struct driver_buffer buffer = {.gpa = guest_memory_outside(&guest->memory, 64),
		                               .len = 64,
		                               .write = i == MULTIPORT_CONTROL_RECEIVE};

		guest->multiport.hold_control = true;
		shake_hands(guest);
		assert_true(multiport_driver_reset(&guest->multiport));
		assert_true(console_driver_play(&guest->console, VMM_RESTART));
		for (uint32_t id = 0; id < USUAL_PORTS; id++)
			port_driver_post(multiport_driver_port(&guest->multiport, id));
		if (i == MULTIPORT_CONTROL_RECEIVE)
			multiport_driver_send(&guest->multiport, 0, CONSOLE_PORT_READY, 1);
		assert_true(driver_add(queue, &buffer, 1, 0));
		driver_kick(queue);
		await_error(guest, queue);
		check_survives(guest);
		bed_free(guest->bed);
	}
}

/* The control queues lie in a region of their own, which the VMM takes away under them. */
static void control_memory_may_go(void **state)
{
	struct multiport_driver_options options = {.ports = USUAL_PORTS};
	struct bed_guest *guest = new_ports_guest(usual_ports, USUAL_PORTS, &options);
	struct guest_memory *memory = &guest->memory;

	(void)state;
	for (unsigned int i = MULTIPORT_CONTROL_RECEIVE; i <= MULTIPORT_CONTROL_TRANSMIT; i++) {
		const struct driver_places places = {
		    .desc = guest_memory_alloc(memory, 2, driver_desc_bytes(64), 16),
		    .avail = guest_memory_alloc(memory, 2, driver_avail_bytes(64), 2),
		    .used = guest_memory_alloc(memory, 2, driver_used_bytes(64), 4),
		};

		driver_queue_deinit(&guest->console.queue[i]);
		driver_queue_init_at(&guest->console.queue[i], &guest->frontend, memory, i, 64, 0,
		                     &places);
	}
	assert_true(multiport_driver_bring_up(&guest->multiport));
	shake_hands(guest);
	assert_int_equal(frontend_rem_mem_reg(&guest->frontend, &memory->region[2]), 0);
	for (unsigned int i = MULTIPORT_CONTROL_RECEIVE; i <= MULTIPORT_CONTROL_TRANSMIT; i++)
		await_error(guest, &guest->console.queue[i]);
	/* Something to say, and nowhere to say it. */
	test_backend_resize(&guest->backends[USUAL_CONSOLE], 80, 24);
	driver_kick_always(guest->multiport.control_transmit);
	for (uint32_t id = 0; id < USUAL_DATA; id++) {
		check_port_output(guest, id, 5000);
		check_port_input(guest, id, 5000);
	}
	/* The memory is back: the next driver has all of it. */
	test_backend_resize(&guest->backends[USUAL_CONSOLE], 0, 0);
	assert_int_equal(frontend_add_mem_reg(&guest->frontend, &memory->region[2]), 0);
	assert_true(multiport_driver_reset(&guest->multiport));
	assert_true(multiport_driver_restart(&guest->multiport));
	shake_hands(guest);
	check_works(guest);
}

/* ---- queues of no port ---- */

/* A driver may set up and use the queues of ports that there aren't. */
static void queues_without_a_port_do_no_harm(void **state)
{
	struct multiport_driver_options options = {
	    .ports = 9,
	    .port = {.receive_count = 4, .transmit_count = 4},
	};
	struct bed_guest *guest = bed_new(&(struct bed_options){
	    .multiport = true, .ports = usual_ports, .ports_count = USUAL_PORTS, .max_ports = 9});

	(void)state;
	bed_multiport(guest, &options);
	assert_true(multiport_driver_bring_up(&guest->multiport));
	for (unsigned int i = 0; i < 10; i++)
		for (uint32_t id = USUAL_PORTS; id < 9; id++) {
			port_driver_offer(multiport_driver_port(&guest->multiport, id), "abc", 3);
			bed_settle(guest->bed);
			port_driver_reap(multiport_driver_port(&guest->multiport, id));
			assert_int_equal(
			    port_driver_collect(multiport_driver_port(&guest->multiport, id)), 0);
		}
	check_port_output(guest, USUAL_CONSOLE, 5000);
	assert_true(console_driver_play(&guest->console, VMM_STOP));
	assert_true(console_driver_play(&guest->console, VMM_RESUME));
	check_works(guest);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(a_message_may_have_any_length),
	    BED_TEST(a_message_may_have_many_descriptors),
	    BED_TEST(nothing_is_written_into_a_message),
	    BED_TEST(a_buffer_to_read_takes_no_message),
	    BED_TEST(a_huge_buffer_takes_one_message),
	    BED_TEST(unknown_ports_are_passed_over),
	    BED_TEST(unknown_events_are_passed_over),
	    BED_TEST(a_flood_without_buffers_is_bounded),
	    BED_TEST(a_flood_holds_nobody),
	    BED_TEST(a_broken_control_queue_breaks_nothing_else),
	    BED_TEST(a_message_outside_of_memory_breaks_its_queue),
	    BED_TEST(control_memory_may_go),
	    BED_TEST(queues_without_a_port_do_no_harm),
	};

	return BED_RUN(tests);
}
