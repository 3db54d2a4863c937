/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds how much of the control queues one pump looks at, whatever the driver has put there: the
 * other guests wait meanwhile.
 */
#include "unit.h"

#include "base/macros.h"
#include "port_fixture.h"

#define QUEUE    64u
#define FEATURES (1ull << 28 | 1ull << VIRTIO_CONSOLE_F_MULTIPORT)

static struct port_fixture f;

static void set_up(void)
{
	port_fixture_init(&f, QUEUE, PORT_OUTPUT_BYTES, FEATURES);
	console_run(&f.console, CONSOLE_CONTROL_TRANSMITQ, FEATURES);
	/* A driver that has to be told of the port. */
	f.record.driver_ready = true;
	f.record.ports[0].pending = 1u << VIRTIO_CONSOLE_DEVICE_ADD;
}

/* The same chain as often as the queue takes it: the longest, of descriptors without use. */
static void fill(struct driver_queue *queue, uint16_t flags)
{
	const uint32_t count = VIRTQ_SIZE_MAX;
	uint64_t table = guest_memory_alloc(&f.memory, 0, 16 * count, 16);
	struct driver_desc *desc = guest_memory_at(&f.memory, table, 16 * count);

	for (uint32_t i = 0; i < count; i++)
		driver_write_desc(&desc[i], f.data, 8,
		                  flags | (i + 1 < count ? DRIVER_DESC_NEXT : 0),
		                  (uint16_t)(i + 1));
	driver_write_desc(driver_desc_at(queue, 0), table, 16 * count, DRIVER_DESC_INDIRECT, 0);
	for (uint16_t i = 0; i < QUEUE; i++)
		*driver_avail_entry(queue, i) = 0;
	driver_store16(driver_avail_idx(queue), (uint16_t)(*driver_avail_idx(queue) + QUEUE));
}

static uint16_t used_in_one_pump(unsigned int vring, bool *ret_again)
{
	uint16_t before = f.states[vring].next_used;

	*ret_again = console_pump(&f.console, vring).again;
	return (uint16_t)(f.states[vring].next_used - before);
}

static void check_pumps(unsigned int vring)
{
	bool again = true;

	for (unsigned int pump = 0; pump < QUEUE; pump++) {
		assert_true(again);
		assert_int_equal(used_in_one_pump(vring, &again), 1);
	}
	/* It is found out by another look that there are no more. */
	assert_int_equal(used_in_one_pump(vring, &again), 0);
	assert_false(again);
	assert_null(f.vqs[vring].broken);
}

TEST(long_chains_without_a_message_are_taken_one_a_pump)
{
	set_up();
	fill(&f.control_transmit, DRIVER_DESC_WRITE);
	check_pumps(CONSOLE_CONTROL_TRANSMITQ);
	port_fixture_deinit(&f);
}

TEST(long_chains_without_room_for_a_message_are_taken_one_a_pump)
{
	set_up();
	fill(&f.control_receive, 0);
	check_pumps(CONSOLE_CONTROL_RECEIVEQ);
	assert_int_equal(f.record.ports[0].pending, 1u << VIRTIO_CONSOLE_DEVICE_ADD);
	port_fixture_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(long_chains_without_a_message_are_taken_one_a_pump),
	    UNIT(long_chains_without_room_for_a_message_are_taken_one_a_pump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
