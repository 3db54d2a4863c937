/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Split virtqueues (virtio 1.3, 2.7): descriptors, chains, indirect tables, used lengths, order,
 * sizes and the wrap of the indices, in both directions of a console (5.3.6).
 */
#include "testbed.h"

#include <string.h>

static const uint16_t sizes[] = {1, 2, 4, 256, 1024, 32768};
static const uint16_t bases[] = {0, 1, 0x7fff, 0xfffe, 0xffff};

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define BASES (sizeof(bases) / sizeof(bases[0]))

/* Feature sets that make a difference to a ring. */
static const uint64_t feature_sets[] = {
    0,
    1ull << DRIVER_F_EVENT_IDX,
    1ull << DRIVER_F_IN_ORDER,
    1ull << DRIVER_F_EVENT_IDX | 1ull << DRIVER_F_INDIRECT_DESC | 1ull << DRIVER_F_IN_ORDER,
};

#define FEATURE_SETS (sizeof(feature_sets) / sizeof(feature_sets[0]))

static struct bed_guest *prepare(uint64_t features, uint16_t size, uint16_t base)
{
	struct bed_guest *guest = bed_new(NULL);

	bed_negotiate(guest, features);
	bed_ring(guest, BED_RECEIVE, size, base);
	bed_ring(guest, BED_TRANSMIT, size, base);
	return guest;
}

/* 2.7 "queue size" of any power of two up to 32768; 2.7.6, 2.7.8: indices are free running. */
static void every_size_from_every_index(void **state)
{
	(void)state;
	for (size_t s = 0; s < SIZES; s++) {
		for (size_t b = 0; b < BASES; b++) {
			struct bed_guest *guest =
			    prepare(feature_sets[(s + b) % FEATURE_SETS], sizes[s], bases[b]);

			for (unsigned int i = 0; i < 5; i++) {
				bed_print(guest, "one buffer");
				bed_type(guest, "and one back");
			}
			bed_free(guest->bed);
		}
	}
}

/* 2.7.6: idx "would" wrap at 65536: more than that many buffers, a ring's worth at a time. */
static void indices_wrap(void **state)
{
	struct bed_guest *guest = prepare(1ull << DRIVER_F_EVENT_IDX, 1024, 0);
	struct driver_queue *ring = &guest->ring[BED_TRANSMIT];
	struct driver_buffer buffer = {bed_bytes(guest, NULL, 4), 4, false};
	uint32_t total = 0;

	(void)state;
	while (total < 70000) {
		while (driver_add(ring, &buffer, 1, total))
			total++;
		driver_kick(ring);
		driver_await_used(ring, 1024);
		for (uint32_t i = total - 1024; i < total; i++)
			assert_int_equal(driver_await(ring).cookie, i);
	}
	assert_int_equal(guest->backend.output_size, 4 * total);
	assert_int_equal(driver_queue_stop(ring), (uint16_t)total);
}

/* The whole ring at once: every entry has its place, none is taken twice. */
static void a_full_ring_comes_back_whole(void **state)
{
	(void)state;
	for (size_t s = 0; s < SIZES; s++) {
		struct bed_guest *guest = prepare(0, sizes[s], 0xfff0);
		struct driver_queue *ring = &guest->ring[BED_TRANSMIT];
		uint64_t gpa = bed_bytes(guest, bed_pattern(sizes[s]), sizes[s]);

		for (uint32_t i = 0; i < sizes[s]; i++)
			assert_true(
			    driver_add(ring, &(struct driver_buffer){gpa + i, 1, false}, 1, i));
		driver_kick(ring);
		driver_await_used(ring, sizes[s]);
		for (uint32_t i = 0; i < sizes[s]; i++)
			assert_int_equal(driver_await(ring).len, 0);
		bed_expect_output(guest, bed_pattern(sizes[s]), sizes[s]);
		bed_free(guest->bed);
	}
}

/* 2.7.5: a chain is read in the order of its descriptors; as long as the queue has room. */
static void transmit_chains_of_any_length(void **state)
{
	static const uint32_t counts[] = {1, 2, 3, 16, 255, 256};
	struct bed_guest *guest = prepare(0, 256, 0);
	struct driver_queue *ring = &guest->ring[BED_TRANSMIT];
	struct driver_buffer buffers[256];

	(void)state;
	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		const uint8_t *pattern = bed_pattern(7u * counts[c]);

		/* Scattered backwards, so that order can't come by itself. */
		for (uint32_t i = counts[c]; i-- > 0;)
			buffers[i] =
			    (struct driver_buffer){bed_bytes(guest, pattern + 7u * i, 7), 7, false};
		assert_true(driver_add(ring, buffers, counts[c], 0));
		driver_kick(ring);
		assert_int_equal(driver_await(ring).len, 0);
		bed_expect_output(guest, pattern, 7u * counts[c]);
	}
}

/* 2.7.5.3: indirect tables, also longer than the ring and in a ring of one entry. */
static void indirect_chains_of_any_length(void **state)
{
	static const uint32_t counts[] = {1, 2, 3, 128, 256};
	static struct driver_buffer buffers[256];

	(void)state;
	for (size_t s = 0; s < SIZES; s++) {
		struct bed_guest *guest = prepare(1ull << DRIVER_F_INDIRECT_DESC, sizes[s], 0);
		struct driver_queue *ring = &guest->ring[BED_TRANSMIT];

		for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
			const uint8_t *pattern = bed_pattern(3u * counts[c]);
			uint64_t table = guest_memory_alloc(&guest->memory, 1, 16 * counts[c], 16);

			for (uint32_t i = 0; i < counts[c]; i++)
				buffers[i] = (struct driver_buffer){
				    bed_bytes(guest, pattern + 3u * i, 3), 3, false};
			assert_true(driver_add_indirect(ring, table, buffers, counts[c], 0));
			driver_kick(ring);
			assert_int_equal(driver_await(ring).len, 0);
			bed_expect_output(guest, pattern, 3u * counts[c]);
		}
		bed_free(guest->bed);
	}
}

/* 2.7.5.3.2: the write-only flag of a descriptor that refers to an indirect table is ignored. */
static void the_write_flag_of_an_indirect_descriptor_is_ignored(void **state)
{
	struct bed_guest *guest = prepare(1ull << DRIVER_F_INDIRECT_DESC, 4, 0);
	struct driver_queue *ring = &guest->ring[BED_TRANSMIT];
	uint64_t table = guest_memory_alloc(&guest->memory, 0, 16, 16);
	struct driver_buffer buffer = {bed_bytes(guest, "through", 7), 7, false};

	(void)state;
	assert_true(driver_add_indirect(ring, table, &buffer, 1, 0));
	driver_desc_at(ring, 0)->flags |= DRIVER_DESC_WRITE;
	driver_kick(ring);
	driver_await(ring);
	bed_expect_output(guest, "through", 7);
}

/* 2.7.4.2, 2.7.5: what lies together in guest addresses is one buffer, whatever regions it is in.
 */
static void buffers_may_cross_regions(void **state)
{
	struct bed_guest *guest = prepare(0, 16, 0);
	uint64_t gpa = guest_memory_crossing(&guest->memory, 6000);
	struct driver_buffer buffer = {gpa, 6000, false};
	uint8_t got[6000];

	(void)state;
	guest_memory_write(&guest->memory, gpa, bed_pattern(6000), 6000);
	assert_true(driver_add(&guest->ring[BED_TRANSMIT], &buffer, 1, 0));
	driver_kick(&guest->ring[BED_TRANSMIT]);
	driver_await(&guest->ring[BED_TRANSMIT]);
	bed_expect_output(guest, bed_pattern(6000), 6000);
	buffer.write = true;
	assert_true(driver_add(&guest->ring[BED_RECEIVE], &buffer, 1, 0));
	driver_kick(&guest->ring[BED_RECEIVE]);
	test_backend_type(&guest->backend, bed_pattern(5000), 5000);
	assert_int_equal(driver_await(&guest->ring[BED_RECEIVE]).len, 5000);
	guest_memory_read(&guest->memory, gpa, got, 5000);
	assert_memory_equal(got, bed_pattern(5000), 5000);
}

/* The first and the last byte of each region. */
static void buffers_at_the_bounds_of_regions(void **state)
{
	struct bed_guest *guest = prepare(0, 16, 0);

	(void)state;
	for (unsigned int r = 0; r < guest->memory.count; r++) {
		struct driver_buffer buffers[2] = {
		    {guest_memory_first_bytes(&guest->memory, r), 1, false},
		    {guest_memory_last_bytes(&guest->memory, r, 1), 1, false},
		};

		guest_memory_write(&guest->memory, buffers[0].gpa, "a", 1);
		guest_memory_write(&guest->memory, buffers[1].gpa, "z", 1);
		assert_true(driver_add(&guest->ring[BED_TRANSMIT], buffers, 2, 0));
		driver_kick(&guest->ring[BED_TRANSMIT]);
		driver_await(&guest->ring[BED_TRANSMIT]);
		bed_expect_output(guest, "az", 2);
	}
}

/* 2.7.8.2, 5.3.6.1: a receive chain is filled in order, its length is what was written. */
static void receive_chains_are_filled_in_order(void **state)
{
	static const uint32_t inputs[] = {1, 9, 10, 11, 29, 30};
	struct bed_guest *guest = prepare(0, 16, 0);
	struct driver_queue *ring = &guest->ring[BED_RECEIVE];

	(void)state;
	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		struct driver_buffer buffers[3];
		uint8_t got[30];

		for (unsigned int k = 0; k < 3; k++)
			buffers[k] = (struct driver_buffer){bed_bytes(guest, NULL, 10), 10, true};
		assert_true(driver_add(ring, buffers, 3, 0));
		driver_kick(ring);
		test_backend_type(&guest->backend, bed_pattern(inputs[i]), inputs[i]);
		assert_int_equal(driver_await(ring).len, inputs[i]);
		for (unsigned int k = 0; k < 3; k++)
			guest_memory_read(&guest->memory, buffers[k].gpa, got + 10 * k, 10);
		assert_memory_equal(got, bed_pattern(inputs[i]), inputs[i]);
		/* Behind it nothing was written. */
		for (uint32_t k = inputs[i]; k < 30; k++)
			assert_int_equal(got[k], 0);
	}
}

/* Input of more than one buffer goes on in the next; each has the exact length of its part. */
static void input_goes_on_in_the_next_buffer(void **state)
{
	struct bed_guest *guest = prepare(0, 16, 0);
	struct driver_queue *ring = &guest->ring[BED_RECEIVE];
	const uint8_t *pattern;
	uint64_t at[4];

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		at[i] = bed_add_post(guest, 100);
	driver_kick(ring);
	pattern = bed_pattern(250);
	test_backend_type(&guest->backend, pattern, 250);
	for (unsigned int i = 0; i < 3; i++) {
		uint32_t len = i < 2 ? 100 : 50;

		assert_int_equal(driver_await(ring).len, len);
		assert_memory_equal(guest_memory_at(&guest->memory, at[i], len), pattern + 100 * i,
		                    len);
	}
	bed_settle(guest->bed);
	assert_int_equal(driver_used_count(ring), 0);
}

/* 5.3.6.1: input that finds no buffer waits for one. */
static void input_waits_for_buffers(void **state)
{
	struct bed_guest *guest = prepare(0, 16, 0);

	(void)state;
	test_backend_type(&guest->backend, "early", 5);
	bed_settle(guest->bed);
	for (unsigned int i = 0; i < 5; i++) {
		uint64_t at = bed_add_post(guest, 1);

		driver_kick(&guest->ring[BED_RECEIVE]);
		assert_int_equal(driver_await(&guest->ring[BED_RECEIVE]).len, 1);
		assert_memory_equal(guest_memory_at(&guest->memory, at, 1), &"early"[i], 1);
	}
}

/*
 * 5.3.6.1.1: no device-readable buffer in a receiveq, no device-writable one in a transmitq. A
 * driver that does so harms itself only: what has the wrong direction is passed over.
 */
static void descriptors_of_the_wrong_direction_are_passed_over(void **state)
{
	struct bed_guest *guest = prepare(0, 16, 0);
	struct driver_buffer out[3] = {
	    {bed_bytes(guest, "ab", 2), 2, false},
	    {bed_bytes(guest, "XX", 2), 2, true},
	    {bed_bytes(guest, "cd", 2), 2, false},
	};
	struct driver_buffer in[3] = {
	    {bed_bytes(guest, "..", 2), 2, true},
	    {bed_bytes(guest, "XX", 2), 2, false},
	    {bed_bytes(guest, "..", 2), 2, true},
	};

	(void)state;
	assert_true(driver_add(&guest->ring[BED_TRANSMIT], out, 3, 0));
	driver_kick(&guest->ring[BED_TRANSMIT]);
	assert_int_equal(driver_await(&guest->ring[BED_TRANSMIT]).len, 0);
	bed_expect_output(guest, "abcd", 4);
	assert_memory_equal(guest_memory_at(&guest->memory, out[1].gpa, 2), "XX", 2);
	assert_true(driver_add(&guest->ring[BED_RECEIVE], in, 3, 0));
	driver_kick(&guest->ring[BED_RECEIVE]);
	test_backend_type(&guest->backend, "1234", 4);
	assert_int_equal(driver_await(&guest->ring[BED_RECEIVE]).len, 4);
	assert_memory_equal(guest_memory_at(&guest->memory, in[0].gpa, 2), "12", 2);
	assert_memory_equal(guest_memory_at(&guest->memory, in[1].gpa, 2), "XX", 2);
	assert_memory_equal(guest_memory_at(&guest->memory, in[2].gpa, 2), "34", 2);
	bed_print(guest, "still alive");
	bed_type(guest, "so is this");
}

/* 2.7.5: a descriptor of length 0 has nothing in it, and its address isn't looked at (R7). */
static void descriptors_without_length(void **state)
{
	struct bed_guest *guest = prepare(0, 16, 0);
	uint64_t nowhere = guest_memory_outside(&guest->memory, 4096);
	struct driver_buffer out[3] = {
	    {nowhere, 0, false}, {bed_bytes(guest, "x", 1), 1, false}, {~0ull, 0, false}};
	struct driver_buffer in[3] = {
	    {nowhere, 0, true}, {bed_bytes(guest, NULL, 8), 8, true}, {~0ull, 0, true}};
	struct driver_buffer nothing = {0, 0, true};

	(void)state;
	assert_true(driver_add(&guest->ring[BED_TRANSMIT], out, 3, 0));
	driver_kick(&guest->ring[BED_TRANSMIT]);
	driver_await(&guest->ring[BED_TRANSMIT]);
	bed_expect_output(guest, "x", 1);
	assert_true(driver_add(&guest->ring[BED_RECEIVE], &nothing, 1, 0));
	assert_true(driver_add(&guest->ring[BED_RECEIVE], in, 3, 0));
	driver_kick(&guest->ring[BED_RECEIVE]);
	test_backend_type(&guest->backend, "typed", 5);
	assert_int_equal(driver_await(&guest->ring[BED_RECEIVE]).len, 0);
	assert_int_equal(driver_await(&guest->ring[BED_RECEIVE]).len, 5);
	assert_memory_equal(guest_memory_at(&guest->memory, in[1].gpa, 5), "typed", 5);
}

/* 2.7.9, IN_ORDER: descriptors in ring order, buffers used in the order they were available. */
static void buffers_are_used_in_order(void **state)
{
	(void)state;
	for (size_t f = 0; f < FEATURE_SETS; f++) {
		struct bed_guest *guest = prepare(feature_sets[f], 64, 0xffe0);

		for (unsigned int round = 0; round < 10; round++) {
			for (unsigned int i = 0; i < 64; i++) {
				uint32_t size = 1 + (i * 37) % 50;
				struct driver_buffer buffer = {bed_bytes(guest, NULL, size), size,
				                               false};

				assert_true(driver_add(&guest->ring[BED_TRANSMIT], &buffer, 1, i));
			}
			driver_kick(&guest->ring[BED_TRANSMIT]);
			/* driver_harvest() fails for one out of order. */
			for (unsigned int i = 0; i < 64; i++)
				assert_int_equal(driver_await(&guest->ring[BED_TRANSMIT]).cookie,
				                 i);
		}
		bed_free(guest->bed);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(every_size_from_every_index),
	    BED_TEST(indices_wrap),
	    BED_TEST(a_full_ring_comes_back_whole),
	    BED_TEST(transmit_chains_of_any_length),
	    BED_TEST(indirect_chains_of_any_length),
	    BED_TEST(the_write_flag_of_an_indirect_descriptor_is_ignored),
	    BED_TEST(buffers_may_cross_regions),
	    BED_TEST(buffers_at_the_bounds_of_regions),
	    BED_TEST(receive_chains_are_filled_in_order),
	    BED_TEST(input_goes_on_in_the_next_buffer),
	    BED_TEST(input_waits_for_buffers),
	    BED_TEST(descriptors_of_the_wrong_direction_are_passed_over),
	    BED_TEST(descriptors_without_length),
	    BED_TEST(buffers_are_used_in_order),
	};

	return BED_RUN(tests);
}
