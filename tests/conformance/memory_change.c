/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The guest's memory changing while its rings work (vhost-user, SET_MEM_TABLE, ADD_MEM_REG,
 * REM_MEM_REG): rings are found again or stop, nothing is lost on the way.
 */
#include "testbed.h"

#include <poll.h>
#include <string.h>

#define PAGE 4096ull

static struct bed_guest *prepare_with(uint64_t history)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.history = history});

	bed_negotiate(guest, 0);
	bed_ring(guest, BED_RECEIVE, 16, 0xfffe);
	bed_ring(guest, BED_TRANSMIT, 16, 0xfffe);
	return guest;
}

static struct bed_guest *prepare(void)
{
	return prepare_with(0);
}

static struct driver_queue *transmitq(struct bed_guest *guest)
{
	return &guest->ring[BED_TRANSMIT];
}

static void check_both_ways(struct bed_guest *guest)
{
	bed_print(guest, "printed");
	bed_type(guest, "typed");
}

/* One buffer of `region` is printed. */
static void print_from(struct bed_guest *guest, unsigned int region, const char *text)
{
	uint32_t size = (uint32_t)strlen(text);
	struct driver_buffer buffer = {guest_memory_alloc(&guest->memory, region, size, 1), size,
	                               false};

	guest_memory_write(&guest->memory, buffer.gpa, text, size);
	assert_true(driver_add(transmitq(guest), &buffer, 1, 0));
	driver_kick(transmitq(guest));
	driver_await(transmitq(guest));
	bed_expect_output(guest, text, size);
}

/* SET_MEM_TABLE: the same again doesn't disturb rings at work. */
static void the_table_may_be_sent_again(void **state)
{
	struct bed_guest *guest = prepare();
	struct bed_mark mark;

	(void)state;
	bed_mark(&mark);
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(frontend_set_mem_table(&guest->frontend, guest->memory.region,
		                                        guest->memory.count),
		                 0);
		check_both_ways(guest);
	}
	bed_same(&mark);
	assert_false(driver_take_error(transmitq(guest)));
}

/* SET_MEM_TABLE replaces: with more or fewer regions than before, in another order. */
static void the_table_is_replaced_whole(void **state)
{
	struct bed_guest *guest = prepare();
	struct guest_region *region = guest->memory.region;
	struct guest_region turned[3] = {region[2], region[1], region[0]};

	(void)state;
	assert_int_equal(frontend_set_mem_table(&guest->frontend, turned, 3), 0);
	check_both_ways(guest);
	print_from(guest, 1, "from region 1");
	print_from(guest, 2, "from region 2");
	assert_int_equal(frontend_set_mem_table(&guest->frontend, region, 1), 0);
	check_both_ways(guest);
	/* Region 1 isn't there any more: a buffer in it breaks the ring. */
	assert_true(
	    driver_add(transmitq(guest), &(struct driver_buffer){region[1].gpa, 1, false}, 1, 0));
	driver_kick(transmitq(guest));
	frontend_await_fd(&guest->frontend, transmitq(guest)->err, POLLIN, "an error");
	assert_int_equal(driver_used_count(transmitq(guest)), 0);
	bed_type(guest, "the other ring works");
}

/* Output that is held while the table is replaced goes on, or is kept, but whole and in order. */
static void held_output_survives_a_new_table(void **state)
{
	struct bed_guest *guest = prepare_with(64); /* less than a buffer */
	const uint8_t *pattern = bed_pattern(300);

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		bed_add_print(guest, pattern + 100 * i, 100);
	test_backend_allow(&guest->backend, 150);
	driver_kick(transmitq(guest));
	bed_settle(guest->bed);
	assert_int_equal(
	    frontend_set_mem_table(&guest->frontend, guest->memory.region, guest->memory.count), 0);
	test_backend_allow(&guest->backend, 1000);
	driver_await_used(transmitq(guest), 3);
	bed_expect_output(guest, pattern, 300);
}

/* A refused message changes nothing: output that is held stays held. */
static void refused_changes_leave_held_output_alone(void **state)
{
	struct bed_guest *guest = prepare_with(256); /* less than a buffer */
	struct guest_region unknown = guest->memory.region[1];
	struct guest_region table[2] = {guest->memory.region[0], guest->memory.region[0]};

	(void)state;
	unknown.gpa += PAGE;
	test_backend_allow(&guest->backend, 100);
	bed_add_print(guest, bed_pattern(300), 300);
	driver_kick(transmitq(guest));
	bed_settle(guest->bed);
	assert_int_not_equal(frontend_rem_mem_reg(&guest->frontend, &unknown), 0);
	assert_int_not_equal(frontend_set_mem_table(&guest->frontend, table, 2), 0);
	assert_int_not_equal(frontend_add_mem_reg(&guest->frontend, &table[0]), 0);
	assert_int_not_equal(frontend_set_vring_num(&guest->frontend, 1, 3), 0);
	bed_settle(guest->bed);
	assert_int_equal(driver_used_count(transmitq(guest)), 0);
	assert_int_equal(guest->backend.output_size, 100);
	test_backend_allow(&guest->backend, 1000);
	driver_await(transmitq(guest));
	bed_expect_output(guest, bed_pattern(300), 300);
}

/* A table without a ring's place stops the ring, and says so by its err descriptor. */
static void a_ring_whose_memory_goes_stops(void **state)
{
	struct bed_guest *guest = prepare();
	struct frontend *frontend = &guest->frontend;

	(void)state;
	assert_int_equal(frontend_set_mem_table(frontend, &guest->memory.region[1], 1), 0);
	frontend_await_fd(frontend, transmitq(guest)->err, POLLIN, "an error");
	assert_true(driver_take_error(transmitq(guest)));
	driver_kick_always(transmitq(guest));
	test_backend_type(&guest->backend, "x", 1);
	bed_settle(guest->bed);
	/* The memory is back: the rings start anew, from where they were. */
	assert_int_equal(
	    frontend_set_mem_table(frontend, guest->memory.region, guest->memory.count), 0);
	for (unsigned int i = 0; i < 2; i++) {
		uint16_t base = driver_queue_stop(&guest->ring[i]);

		assert_int_equal(base, guest->ring[i].used_idx);
		assert_int_equal(driver_queue_start(&guest->ring[i]), 0);
	}
	bed_print(guest, "back");
	bed_add_post(guest, 1);
	driver_kick(&guest->ring[BED_RECEIVE]);
	assert_int_equal(driver_await(&guest->ring[BED_RECEIVE]).len, 1);
	check_both_ways(guest);
}

/* ADD_MEM_REG while rings work; its buffers are found. REM_MEM_REG: they aren't any more. */
static void regions_come_and_go(void **state)
{
	struct bed_guest *guest = prepare();
	struct bed_mark mark;

	(void)state;
	bed_mark(&mark);
	for (unsigned int round = 0; round < 5; round++) {
		unsigned int i;

		i = guest_memory_add(&guest->memory, 1ull << 45, 1ull << 44, 3 * PAGE, 64 * PAGE,
		                     -1);
		assert_int_equal(frontend_add_mem_reg(&guest->frontend, &guest->memory.region[i]),
		                 0);
		print_from(guest, i, "from the new region");
		check_both_ways(guest);
		assert_int_equal(frontend_rem_mem_reg(&guest->frontend, &guest->memory.region[i]),
		                 0);
		check_both_ways(guest);
		assert_true(driver_add(
		    transmitq(guest),
		    &(struct driver_buffer){guest->memory.region[i].gpa + 17 * PAGE, 1, false}, 1,
		    0));
		guest_memory_remove(&guest->memory, i);
		driver_kick(transmitq(guest));
		frontend_await_fd(&guest->frontend, transmitq(guest)->err, POLLIN, "an error");
		driver_queue_stop(transmitq(guest));
		bed_ring(guest, BED_TRANSMIT, 16, 0);
		check_both_ways(guest);
	}
	bed_same(&mark);
}

/* REM_MEM_REG names a region by its guest address, user address and size, all three. */
static void only_the_region_that_is_named_goes(void **state)
{
	struct bed_guest *guest = prepare();
	struct frontend *frontend = &guest->frontend;
	const struct guest_region *region = &guest->memory.region[1];
	struct frontend_message message;
	struct bed_mark mark;

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct guest_region other = *region;

		*(uint64_t *[]){&other.gpa, &other.uva, &other.size}[i] += PAGE;
		assert_int_not_equal(frontend_rem_mem_reg(frontend, &other), 0);
		print_from(guest, 1, "still there");
	}
	bed_mark(&mark);
	/* A descriptor may come along, and is closed. */
	frontend_message_init(&message, FE_REM_MEM_REG);
	frontend_message_u64(&message, 0);
	frontend_message_region(&message, region);
	frontend_message_fd(&message, region->fd);
	assert_int_equal(frontend_set(frontend, &message), 0);
	assert_int_not_equal(frontend_set(frontend, &message), 0);
	assert_int_equal(frontend_add_mem_reg(frontend, region), 0);
	bed_same(&mark);
	print_from(guest, 1, "again");
	check_both_ways(guest);
}

/* GET_MAX_MEM_SLOTS: as many as that, and not one more. */
static void there_are_as_many_slots_as_said(void **state)
{
	struct bed_guest *guest = prepare();
	struct frontend *frontend = &guest->frontend;
	uint64_t slots = frontend_get_max_mem_slots(frontend);
	struct guest_region region = guest->memory.region[1];
	struct bed_mark mark;

	(void)state;
	assert_true(slots >= 8 && slots <= 512);
	bed_mark(&mark);
	region.size = PAGE;
	region.uva = 1ull << 44;
	region.gpa = 1ull << 45;
	for (uint64_t i = guest->memory.count; i < slots; i++) {
		region.uva += 2 * PAGE;
		region.gpa += 2 * PAGE;
		assert_int_equal(frontend_add_mem_reg(frontend, &region), 0);
	}
	check_both_ways(guest);
	region.uva += 2 * PAGE;
	region.gpa += 2 * PAGE;
	assert_int_not_equal(frontend_add_mem_reg(frontend, &region), 0);
	check_both_ways(guest);
	for (uint64_t i = guest->memory.count; i < slots; i++) {
		region.uva -= 2 * PAGE;
		region.gpa -= 2 * PAGE;
		assert_int_equal(frontend_rem_mem_reg(frontend, &region), 0);
	}
	bed_same(&mark);
	check_both_ways(guest);
}

/* CONFIGURE_MEM_SLOTS not negotiated: its messages are refused. */
static void slots_have_to_be_negotiated(void **state)
{
	struct bed_guest *guest = prepare();
	struct frontend *frontend = &guest->frontend;
	struct frontend_message message;
	struct frontend_reply reply;
	struct guest_region region = guest->memory.region[1];

	(void)state;
	assert_int_equal(frontend_set_protocol_features(frontend, 1ull << FE_PROTOCOL_REPLY_ACK),
	                 0);
	assert_int_not_equal(frontend_rem_mem_reg(frontend, &region), 0);
	region.gpa = 1ull << 45;
	region.uva = 1ull << 44;
	assert_int_not_equal(frontend_add_mem_reg(frontend, &region), 0);
	frontend_message_init(&message, FE_GET_MAX_MEM_SLOTS);
	assert_int_equal(frontend_request(frontend, &message, &reply, 0), 0);
	assert_int_not_equal(frontend_set_backend_req_fd(frontend), 0);
	check_both_ways(guest);
}

/* Offsets in the file that aren't whole pages, and a region that begins in the middle of one. */
static void offsets_need_not_be_pages(void **state)
{
	static const uint64_t offsets[] = {1, 16, 4095, 4097, 0x12345};
	struct bed_guest *guest = prepare();

	(void)state;
	for (unsigned int i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		unsigned int r = guest_memory_add(&guest->memory, 1ull << 45, 1ull << 44,
		                                  offsets[i], 48 * PAGE + 7, -1);
		struct driver_buffer buffers[2] = {
		    {guest_memory_first_bytes(&guest->memory, r), 1, false},
		    {guest_memory_last_bytes(&guest->memory, r, 1), 1, false},
		};

		assert_int_equal(frontend_add_mem_reg(&guest->frontend, &guest->memory.region[r]),
		                 0);
		guest_memory_write(&guest->memory, buffers[0].gpa, "A", 1);
		guest_memory_write(&guest->memory, buffers[1].gpa, "Z", 1);
		assert_true(driver_add(transmitq(guest), buffers, 2, 0));
		driver_kick(transmitq(guest));
		driver_await(transmitq(guest));
		bed_expect_output(guest, "AZ", 2);
		assert_int_equal(frontend_rem_mem_reg(&guest->frontend, &guest->memory.region[r]),
		                 0);
		guest_memory_remove(&guest->memory, r);
	}
}

/* Rings in different regions: the loss of one's region stops that one. */
static void a_ring_in_another_region_works_on(void **state)
{
	struct bed_guest *guest = bed_new(NULL);
	struct guest_memory *memory = &guest->memory;
	struct driver_queue *ring = &guest->ring[BED_TRANSMIT];
	struct driver_places places;

	(void)state;
	bed_negotiate(guest, 0);
	bed_ring(guest, BED_RECEIVE, 16, 0);
	places.desc = guest_memory_alloc(memory, 1, driver_desc_bytes(16), 16);
	places.avail = guest_memory_alloc(memory, 2, driver_avail_bytes(16), 2);
	places.used = guest_memory_alloc(memory, 1, driver_used_bytes(16), 4);
	driver_queue_init_at(ring, &guest->frontend, memory, 1, 16, 0, &places);
	assert_int_equal(driver_queue_start(ring), 0);
	check_both_ways(guest);
	assert_int_equal(frontend_rem_mem_reg(&guest->frontend, &memory->region[2]), 0);
	frontend_await_fd(&guest->frontend, ring->err, POLLIN, "an error");
	bed_type(guest, "the other one");
	assert_int_equal(frontend_add_mem_reg(&guest->frontend, &memory->region[2]), 0);
	driver_queue_stop(ring);
	assert_int_equal(driver_queue_start(ring), 0);
	check_both_ways(guest);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(the_table_may_be_sent_again),
	    BED_TEST(the_table_is_replaced_whole),
	    BED_TEST(held_output_survives_a_new_table),
	    BED_TEST(refused_changes_leave_held_output_alone),
	    BED_TEST(a_ring_whose_memory_goes_stops),
	    BED_TEST(regions_come_and_go),
	    BED_TEST(only_the_region_that_is_named_goes),
	    BED_TEST(there_are_as_many_slots_as_said),
	    BED_TEST(slots_have_to_be_negotiated),
	    BED_TEST(offsets_need_not_be_pages),
	    BED_TEST(a_ring_in_another_region_works_on),
	};

	return BED_RUN(tests);
}
