/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Tests the driver's side of the ring, the device's side played by hand.
 */
#include "self_test.h"

#include <string.h>

#include "driver.h"
#include "support.h"

struct ring {
	struct frontend frontend;
	struct guest_memory memory;
	struct driver_queue queue;
	uint16_t used; /* the device's index */
};

static void ring_init(struct ring *ring, uint16_t size, uint16_t base)
{
	ring->frontend = (struct frontend){.sock = -1, .backend_channel = -1};
	guest_memory_init(&ring->memory);
	driver_queue_init(&ring->queue, &ring->frontend, &ring->memory, 1, size, base);
	ring->used = base;
}

static void ring_deinit(struct ring *ring)
{
	driver_queue_deinit(&ring->queue);
	driver_queue_deinit(&ring->queue);
	guest_memory_deinit(&ring->memory);
}

/* The device's part: a used entry, and its publication. */
static void device_uses(struct ring *ring, uint32_t id, uint32_t len)
{
	uint32_t slot = ring->used++ % ring->queue.size;

	*driver_used_id(&ring->queue, slot) = id;
	*driver_used_len(&ring->queue, slot) = len;
	driver_store16(driver_used_idx(&ring->queue), ring->used);
}

static uint16_t available_head(struct ring *ring, uint16_t index)
{
	return *driver_avail_entry(&ring->queue, index % ring->queue.size);
}

static bool add(struct ring *ring, uint32_t count, bool write, uint64_t cookie)
{
	struct driver_buffer buffers[8];
	uint32_t i;

	for (i = 0; i < count; i++)
		buffers[i] = (struct driver_buffer){0x480020000 + i * 256, 100 + i, write};
	return driver_add(&ring->queue, buffers, count, cookie);
}

static void layout_is_the_specifications(void **state)
{
	struct ring ring;
	uint8_t *desc, *avail;

	(void)state;
	ring_init(&ring, 8, 0);
	desc = (uint8_t *)driver_desc_at(&ring.queue, 0);
	avail = (uint8_t *)driver_avail_flags(&ring.queue);
	assert_true(add(&ring, 2, true, 0));
	driver_publish(&ring.queue);
	assert_memory_equal(desc, "\0\0\2\x80\4\0\0\0\x64\0\0\0\3\0\1\0", 16);
	assert_memory_equal(desc + 16, "\0\1\2\x80\4\0\0\0\x65\0\0\0\2\0\0\0", 16);
	assert_memory_equal(avail, "\0\0\1\0\0\0", 6);
	assert_ptr_equal(driver_used_event(&ring.queue), avail + 4 + 16);
	assert_ptr_equal(driver_avail_event(&ring.queue),
	                 (uint8_t *)driver_used_flags(&ring.queue) + 4 + 64);
	assert_int_equal(driver_avail_bytes(8), 22);
	assert_int_equal(driver_used_bytes(8), 70);
	ring_deinit(&ring);
}

/* Every size, across the index's wrap, with chains of several lengths. */
static void buffers_go_round(void **state)
{
	static const uint16_t sizes[] = {1, 2, 4, 256, 32768};
	struct driver_used used;
	struct ring ring;
	uint16_t head;
	uint32_t i, s;

	(void)state;
	for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		ring_init(&ring, sizes[s], 0xffe0);
		for (i = 0; i < 100; i++) {
			head = (uint16_t)(0xffe0 + i);
			assert_true(add(&ring, 1 + i % (sizes[s] < 8 ? sizes[s] : 8), true, i));
			driver_publish(&ring.queue);
			assert_int_equal(driver_load16(driver_avail_idx(&ring.queue)),
			                 (uint16_t)(head + 1));
			device_uses(&ring, available_head(&ring, head), i);
			used = driver_await(&ring.queue);
			assert_int_equal(used.cookie, i);
			assert_int_equal(used.len, i);
			assert_int_equal(ring.queue.free_count, sizes[s]);
		}
		ring_deinit(&ring);
	}
}

static void full_ring_takes_no_more(void **state)
{
	struct driver_used used;
	struct ring ring;
	int i;

	(void)state;
	ring_init(&ring, 4, 0);
	assert_true(add(&ring, 3, false, 0));
	assert_false(add(&ring, 2, false, 1));
	assert_true(add(&ring, 1, false, 2));
	assert_false(add(&ring, 1, false, 3));
	assert_int_equal(driver_outstanding(&ring.queue), 2);
	for (i = 0; i < 2; i++)
		device_uses(&ring, available_head(&ring, (uint16_t)i), 0);
	while (driver_harvest(&ring.queue, &used))
		;
	assert_int_equal(ring.queue.free_count, 4);
	assert_true(add(&ring, 4, false, 4));
	ring_deinit(&ring);
}

static void kicks_follow_flags(void **state)
{
	struct ring ring;

	(void)state;
	ring_init(&ring, 8, 0);
	assert_true(add(&ring, 1, false, 0));
	assert_true(driver_kick(&ring.queue));
	*driver_used_flags(&ring.queue) = 1;
	assert_true(add(&ring, 1, false, 0));
	assert_false(driver_kick(&ring.queue));
	ring_deinit(&ring);
}

static void kicks_follow_avail_event(void **state)
{
	struct ring ring;

	(void)state;
	ring_init(&ring, 8, 0xfffe);
	ring.queue.event_idx = true;
	*driver_avail_event(&ring.queue) = 0xffff;
	assert_true(add(&ring, 1, false, 0));
	assert_false(driver_kick(&ring.queue)); /* 0xffff: the event's own index isn't passed */
	assert_true(add(&ring, 1, false, 0));
	assert_true(driver_kick(&ring.queue)); /* 0 */
	assert_true(add(&ring, 1, false, 0));
	assert_false(driver_kick(&ring.queue)); /* passed before */
	*driver_avail_event(&ring.queue) = 2;
	assert_true(add(&ring, 1, false, 0));
	assert_true(add(&ring, 1, false, 0));
	assert_true(driver_kick(&ring.queue)); /* 1 to 3 in one go */
	assert_false(driver_wants_kick(&ring.queue));
	ring_deinit(&ring);
}

static void calls_are_asked_for(void **state)
{
	struct ring ring;

	(void)state;
	ring_init(&ring, 8, 5);
	assert_false(driver_ask_calls(&ring.queue, false));
	assert_int_equal(*driver_avail_flags(&ring.queue), 1);
	assert_false(driver_ask_calls(&ring.queue, true));
	assert_int_equal(*driver_avail_flags(&ring.queue), 0);
	ring.queue.event_idx = true;
	assert_false(driver_ask_calls(&ring.queue, true));
	assert_int_equal(*driver_used_event(&ring.queue), 5);
	assert_true(add(&ring, 1, false, 0));
	device_uses(&ring, 0, 0);
	assert_true(driver_ask_calls(&ring.queue, false));
	assert_int_equal(*driver_used_event(&ring.queue), 0x8005);
	assert_int_equal(driver_take_calls(&ring.queue), 0);
	ring_deinit(&ring);
}

static void indirect_tables_are_filled(void **state)
{
	struct driver_buffer buffers[2] = {{0x480020000, 16, false}, {0x480030000, 32, true}};
	struct driver_desc *table;
	struct ring ring;
	uint64_t gpa;

	(void)state;
	ring_init(&ring, 2, 0);
	gpa = guest_memory_alloc(&ring.memory, 2, 32, 16);
	assert_true(driver_add_indirect(&ring.queue, gpa, buffers, 2, 9));
	table = guest_memory_at(&ring.memory, gpa, 32);
	assert_int_equal(driver_desc_at(&ring.queue, 0)->flags, DRIVER_DESC_INDIRECT);
	assert_int_equal(driver_desc_at(&ring.queue, 0)->len, 32);
	assert_int_equal(driver_desc_at(&ring.queue, 0)->addr, gpa);
	assert_int_equal(table[0].flags, DRIVER_DESC_NEXT);
	assert_int_equal(table[0].next, 1);
	assert_int_equal(table[1].flags, DRIVER_DESC_WRITE);
	assert_int_equal(table[1].addr, 0x480030000);
	device_uses(&ring, 0, 32);
	assert_int_equal(driver_await(&ring.queue).cookie, 9);
	ring_deinit(&ring);
}

/* 2.7.9: the entry at the first chain's place names the last one; those before count as full. */
static void in_order_batches_unfold(void **state)
{
	struct driver_used used;
	struct ring ring;
	uint16_t i;

	(void)state;
	ring_init(&ring, 8, 0xffff);
	ring.queue.in_order = true;
	for (i = 0; i < 4; i++)
		assert_true(add(&ring, 2, true, i));
	assert_int_equal(driver_desc_at(&ring.queue, 6)->next, 7);
	driver_publish(&ring.queue);
	*driver_used_id(&ring.queue, 0xffff % 8) = 4;
	*driver_used_len(&ring.queue, 0xffff % 8) = 11;
	driver_store16(driver_used_idx(&ring.queue), 2);
	driver_await_used(&ring.queue, 3);
	for (i = 0; i < 3; i++) {
		assert_true(driver_harvest(&ring.queue, &used));
		assert_int_equal(used.head, 2 * i);
		assert_int_equal(used.cookie, i);
		assert_int_equal(used.len, i < 2 ? 201 : 11);
	}
	assert_false(driver_harvest(&ring.queue, &used));
	assert_int_equal(ring.queue.free_count, 6);
	assert_true(add(&ring, 3, true, 4)); /* in ring order: 0, 1, 2 */
	assert_int_equal(available_head(&ring, 3), 0);
	assert_int_equal(driver_desc_at(&ring.queue, 0)->next, 1);
	ring_deinit(&ring);
}

static void harvest(void *arg)
{
	struct ring *ring = arg;
	struct driver_used used;

	driver_harvest(&ring->queue, &used);
}

static void faults_of_the_device_are_seen(void **state)
{
	static const struct {
		uint32_t id, len, entries;
		bool in_order;
		const char *text;
	} faults[] = {
	    {3, 0, 1, false, "used entry for 3"},
	    {8, 0, 1, false, "used entry for 8"},
	    {0x10000, 0, 1, false, "used entry for 65536"},
	    {0, 101, 1, false, "101 bytes written into buffer 0, which has room for 100"},
	    {1, 0, 1, false, "before 1 older"},
	    {0, 0, 3, false, "3 used entries for 2 buffers"},
	    {1, 0, 1, true, "1 before it aren't used"},
	};
	struct ring ring;
	uint32_t i;

	(void)state;
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		ring_init(&ring, 8, 0);
		ring.queue.in_order = faults[i].in_order;
		assert_true(add(&ring, 1, true, 0));
		assert_true(add(&ring, 1, true, 1));
		device_uses(&ring, faults[i].id, faults[i].len);
		driver_store16(driver_used_idx(&ring.queue), (uint16_t)faults[i].entries);
		expect_death(harvest, &ring, faults[i].text);
		ring_deinit(&ring);
	}
}

static void spoilt_rings_dont_spoil_the_books(void **state)
{
	struct driver_used used;
	struct ring ring;

	(void)state;
	ring_init(&ring, 4, 0);
	ring.queue.expect_order = false;
	assert_true(add(&ring, 3, true, 1));
	assert_true(add(&ring, 1, true, 2));
	memset(driver_desc_at(&ring.queue, 0), 0xff, 64);
	*driver_avail_entry(&ring.queue, 0) = 77;
	device_uses(&ring, 3, 0);
	device_uses(&ring, 0, 0);
	assert_true(driver_harvest(&ring.queue, &used));
	assert_int_equal(used.cookie, 2);
	assert_true(driver_harvest(&ring.queue, &used));
	assert_int_equal(used.cookie, 1);
	assert_int_equal(ring.queue.free_count, 4);
	ring_deinit(&ring);
}

int self_test_driver(void)
{
	const struct CMUnitTest tests[] = {
	    SELF_TEST(layout_is_the_specifications),  SELF_TEST(buffers_go_round),
	    SELF_TEST(full_ring_takes_no_more),       SELF_TEST(kicks_follow_flags),
	    SELF_TEST(kicks_follow_avail_event),      SELF_TEST(calls_are_asked_for),
	    SELF_TEST(indirect_tables_are_filled),    SELF_TEST(in_order_batches_unfold),
	    SELF_TEST(faults_of_the_device_are_seen), SELF_TEST(spoilt_rings_dont_spoil_the_books),
	};

	return cmocka_run_group_tests_name("driver", tests, resources_group_setup,
	                                   resources_group_teardown);
}
