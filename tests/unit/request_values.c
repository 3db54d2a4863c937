/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the numbers in messages: each is judged at its width on the wire, at the edges of what it
 * may be, and whatever comes out is in range.
 */
#include "unit.h"

#include "request_fixture.h"

static const uint32_t vring_messages[] = {8, 9, 10, 11, 12, 13, 14, 18};

TEST(a_vring_that_is_not_there_is_refused)
{
	static const uint32_t indices[] = {0,    1,     VRINGS - 1, VRINGS,     VRINGS + 1,
	                                   0xff, 0x100, 0x10000,    0x7fffffff, 0xffffffff};

	for (size_t i = 0; i < ROWS(vring_messages); i++) {
		const struct message *m = message_of(vring_messages[i]);

		for (size_t k = 0; k < ROWS(indices); k++) {
			uint64_t payload[8];
			struct request request;
			enum request_verdict v;

			/* In KICK, CALL and ERR there are other bits above the index. */
			if (indices[k] > 0xff && m->id >= 12 && m->id <= 14)
				continue;
			memcpy(payload, m->payload, sizeof(payload));
			payload[0] = (payload[0] & ~(uint64_t)UINT32_MAX) | indices[k];
			v = parse(m->id, payload, m->size, m->fds, &request);
			if (v != (indices[k] < VRINGS ? REQUEST_OK : REQUEST_BAD_VRING))
				fail_msg("%s of vring %u: %s", m->name, indices[k],
				         request_verdict_text(v));
			if (v == REQUEST_OK)
				assert_int_equal(request.vring, indices[k]);
		}
	}
}

static void assert_numbers(uint32_t id, bool (*fine)(uint32_t num))
{
	static const uint32_t numbers[] = {
	    0,       1,       2,       3,          4,          255,       256,    1000,
	    1023,    1024,    1025,    2048,       4096,       7,         0x8000, 0xffff,
	    0x10000, 0x10001, 0x10100, 0x7fffffff, 0x80000000, 0xffffffff};

	for (size_t i = 0; i < ROWS(numbers); i++) {
		uint64_t payload[8] = STATE(2, numbers[i]);
		struct request request;
		enum request_verdict v = parse_payload(id, payload, &request);

		if (v != (fine(numbers[i]) ? REQUEST_OK : REQUEST_BAD_VALUE))
			fail_msg("message %u with number %u: %s", id, numbers[i],
			         request_verdict_text(v));
		if (v == REQUEST_OK && (id == 8 || id == 10))
			assert_int_equal(request.num, numbers[i]);
		if (v == REQUEST_OK && id == 18)
			assert_int_equal(request.enable, numbers[i] == 1);
	}
}

static bool is_vring_size(uint32_t num)
{
	return num > 0 && num <= VIRTQ_SIZE_MAX && (num & (num - 1)) == 0;
}

static bool is_base(uint32_t num)
{
	return num <= 0xffff;
}

static bool is_switch(uint32_t num)
{
	return num <= 1;
}

static bool is_anything(uint32_t num)
{
	(void)num;
	return true;
}

TEST(numbers_are_judged_at_their_width_on_the_wire)
{
	assert_numbers(8, is_vring_size);
	assert_numbers(10, is_base);
	assert_numbers(18, is_switch);
	/* In GET_VRING_BASE it means nothing. */
	assert_numbers(11, is_anything);
}

TEST(a_number_of_256_vrings_uses_all_of_the_index)
{
	struct request_limits other = {.vrings = 256, .vring_size = 256};
	struct request_header header = {.request = 12, .size = 8};
	uint64_t payload = 255;
	struct request request;

	assert_int_equal(request_parse(&header, &payload, 1, &other, &request), REQUEST_OK);
	assert_int_equal(request.vring, 255);
}

TEST(ring_addresses_have_to_be_aligned_and_keep_their_places)
{
	struct request request;

	for (uint64_t i = 0; i < 16; i++) {
		uint64_t desc[8] = {1, 0x1000 + i, 0x3000, 0x2000};
		uint64_t used[8] = {1, 0x1000, 0x3000 + i, 0x2000};
		uint64_t avail[8] = {1, 0x1000, 0x3000, 0x2000 + i};

		assert_int_equal(parse_payload(9, desc, &request),
		                 i == 0 ? REQUEST_OK : REQUEST_BAD_VALUE);
		assert_int_equal(parse_payload(9, used, &request),
		                 i % 4 == 0 ? REQUEST_OK : REQUEST_BAD_VALUE);
		assert_int_equal(parse_payload(9, avail, &request),
		                 i % 2 == 0 ? REQUEST_OK : REQUEST_BAD_VALUE);
	}
}

/* The order on the wire is descriptor, used, available, log. Of the flags, bit 0 counts. */
TEST(ring_addresses_come_with_the_place_of_their_log)
{
	static const struct {
		uint64_t flags;
		bool log_used;
	} rows[] = {{0, false}, {1, true}, {2, false}, {0xffffffff, true}, {0xfffffffe, false}};

	for (size_t i = 0; i < ROWS(rows); i++) {
		const uint64_t payload[8] = {1 | rows[i].flags << 32, 0x1000, 0x3000, 0x2000,
		                             0x777};
		struct request request;

		assert_int_equal(parse_payload(9, payload, &request), REQUEST_OK);
		assert_int_equal(request.vring, 1);
		assert_int_equal(request.vring_addr.addresses.desc, 0x1000);
		assert_int_equal(request.vring_addr.addresses.used, 0x3000);
		assert_int_equal(request.vring_addr.addresses.avail, 0x2000);
		assert_int_equal(request.vring_addr.log_used, rows[i].log_used);
		assert_int_equal(request.vring_addr.log_addr, 0x777);
	}
}

TEST(a_state_is_saved_or_loaded_while_the_device_is_stopped)
{
	static const struct {
		uint32_t direction, phase;
		enum request_verdict verdict;
	} rows[] = {
	    {0, 0, REQUEST_OK},        {1, 0, REQUEST_OK},
	    {2, 0, REQUEST_BAD_VALUE}, {0x101, 0, REQUEST_BAD_VALUE},
	    {0, 1, REQUEST_BAD_VALUE}, {1, 0x80000000, REQUEST_BAD_VALUE},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		const uint64_t payload[8] = STATE(rows[i].direction, rows[i].phase);
		struct request request;

		assert_int_equal(parse_payload(42, payload, &request), rows[i].verdict);
		if (rows[i].verdict == REQUEST_OK)
			assert_int_equal(request.load, rows[i].direction == 1);
	}
}

TEST(a_log_has_its_size_before_its_offset)
{
	const uint64_t payload[8] = {0x123456789a, 0xfedcba987654};
	struct request request;

	assert_int_equal(parse_payload(6, payload, &request), REQUEST_OK);
	assert_same(request.log.size, payload[0]);
	assert_same(request.log.offset, payload[1]);
}

/* Bits 0-7 are the index, bit 8 says that no descriptor comes. */
TEST(the_descriptor_bit_has_to_agree_with_the_descriptors)
{
	static const struct {
		uint64_t payload;
		unsigned int fds;
		enum request_verdict verdict;
	} rows[] = {
	    {0x003, 1, REQUEST_OK},
	    {0x103, 0, REQUEST_OK},
	    {0x003, 0, REQUEST_BAD_FDS},
	    {0x103, 1, REQUEST_BAD_FDS},
	    {0x003, 2, REQUEST_BAD_FDS},
	    {0x203, 1, REQUEST_BAD_VALUE},
	    {0x303, 0, REQUEST_BAD_VALUE},
	    {0x100000003, 1, REQUEST_BAD_VALUE},
	    {0x8000000000000003, 1, REQUEST_BAD_VALUE},
	    {0xffffffffffffffff, 0, REQUEST_BAD_VALUE},
	    {0x104, 0, REQUEST_BAD_VRING},
	};

	for (size_t i = 0; i < 3 * ROWS(rows); i++) {
		size_t row = i / 3;
		struct request request;
		enum request_verdict v =
		    parse((uint32_t)(12 + i % 3), &rows[row].payload, 8, rows[row].fds, &request);

		if (v != rows[row].verdict)
			fail_msg("row %zu: %s", row, request_verdict_text(v));
		if (v == REQUEST_OK) {
			assert_int_equal(request.has_fd, rows[row].fds == 1);
			assert_int_equal(request.vring, 3);
		}
	}
}

TEST(a_memory_table_has_as_many_regions_and_descriptors_as_it_says)
{
	for (uint64_t said = 0; said <= 10; said++) {
		for (uint32_t given = 0; given <= 10; given++) {
			for (unsigned int fds = 0; fds <= FD_BAG_MAX; fds++) {
				uint64_t payload[1 + 4 * 10] = {said};
				bool fine = said <= 8 && given == said && fds == said;
				struct request request;

				assert_int_equal(parse(5, payload, 8 + 32 * given, fds, &request) ==
				                     REQUEST_OK,
				                 fine);
			}
		}
	}
}

TEST(a_count_of_regions_is_judged_at_its_width)
{
	static const uint32_t counts[] = {9,          0x100,      0x10001,    0x08000000,
	                                  0x08000001, 0x80000000, 0xffffffff, 0x20000001};
	uint64_t payload[64] = {0};

	for (size_t i = 0; i < ROWS(counts); i++) {
		struct request request;

		payload[0] = counts[i];
		for (uint32_t size = 8; size <= sizeof(payload); size += 32)
			assert_int_not_equal(parse(5, payload, size, 1, &request), REQUEST_OK);
	}
}

TEST(regions_keep_their_four_numbers_and_their_order)
{
	uint64_t payload[1 + 4 * 8] = {8 | 0xdeadull << 32 /* padding */};
	struct request request;

	for (unsigned int i = 1; i < ROWS(payload); i++)
		payload[i] = 0x1111111100000000 + i;
	assert_int_equal(parse(5, payload, sizeof(payload), 8, &request), REQUEST_OK);
	assert_int_equal(request.mem_table.count, 8);
	for (unsigned int i = 0; i < 8; i++) {
		const struct gmem_region *r = &request.mem_table.regions[i];

		assert_int_equal(r->guest_addr, payload[1 + 4 * i]);
		assert_int_equal(r->size, payload[2 + 4 * i]);
		assert_int_equal(r->user_addr, payload[3 + 4 * i]);
		assert_int_equal(r->mmap_offset, payload[4 + 4 * i]);
	}
	assert_int_equal(parse(37, payload, 40, 1, &request), REQUEST_OK);
	assert_int_equal(request.region.guest_addr, payload[1]);
	assert_int_equal(request.region.mmap_offset, payload[4]);
}

/* A configuration message of `given` bytes that says offset and size. */
static enum request_verdict parse_config(uint32_t id, uint32_t offset, uint32_t size,
                                         uint32_t flags, uint32_t given, struct request *ret)
{
	uint32_t payload[3 + 256 / 4 + 8] = {offset, size, flags, 0x44434241};

	return parse(id, payload, 12 + given, 0, ret);
}

TEST(configuration_lies_within_its_256_bytes)
{
	static const struct {
		uint32_t offset, size;
		bool fine;
	} rows[] = {
	    {0, 12, true},          {0, 256, true},         {255, 1, true},
	    {256, 1, false},        {255, 2, false},        {0, 257, false},
	    {0, 0, false},          {12, 0, false},         {1, 255, true},
	    {1, 256, false},        {8, 4, true},           {300, 4, false},
	    {0xffffffff, 1, false}, {0xfffffffe, 4, false}, {0xffffff00, 256, false},
	    {0, 0xffffffff, false}, {8, 0xfffffff8, false},
	};

	for (size_t i = 0; i < 2 * ROWS(rows); i++) {
		uint32_t id = 24 + i % 2, size = rows[i / 2].size;
		struct request request;
		enum request_verdict v =
		    parse_config(id, rows[i / 2].offset, size, 1, size <= 260 ? size : 4, &request);

		if ((v == REQUEST_OK) != rows[i / 2].fine)
			fail_msg("message %u, offset %u, size %u: %s", id, rows[i / 2].offset, size,
			         request_verdict_text(v));
		if (v == REQUEST_OK) {
			assert_int_equal(request.config.offset, rows[i / 2].offset);
			assert_int_equal(request.config.size, size);
			assert_int_equal(request.config.flags, 1);
		}
	}
}

TEST(a_configuration_message_has_the_bytes_that_it_says)
{
	struct request request;

	for (uint32_t size = 1; size <= 16; size++) {
		for (uint32_t given = 0; given <= 20; given++)
			assert_int_equal(parse_config(25, 0, size, 0, given, &request),
			                 given == size ? REQUEST_OK : REQUEST_BAD_SIZE);
	}
}

TEST(the_bytes_of_a_configuration_message_are_those_behind_its_header)
{
	const uint32_t payload[] = {8, 4, 0, 0x44434241};
	struct request_header header = {.request = 25, .size = sizeof(payload)};
	struct request request;

	assert_int_equal(request_parse(&header, payload, 0, &limits, &request), REQUEST_OK);
	assert_ptr_equal(request.config.bytes, (const uint8_t *)payload + 12);
	assert_memory_equal(request.config.bytes, "ABCD", 4);
}

TEST(any_bytes_come_out_in_range_or_refused)
{
	unsigned int random = 4711;

	for (unsigned int i = 0; i < 200000; i++) {
		const struct message *m = &messages[i % ROWS(messages)];
		uint8_t payload[64];
		struct request r;

		memcpy(payload, m->payload, sizeof(payload));
		for (unsigned int k = 0; k < 2 && m->size > 0; k++) {
			random = random * 1103515245 + 12345;
			payload[(random >> 8) % m->size] = (uint8_t)(random >> 20);
		}
		if (request_parse(&(struct request_header){.request = m->id, .size = m->size},
		                  payload, m->fds, &limits, &r) != REQUEST_OK)
			continue;
		assert_true(r.vring < VRINGS);
		if (m->id == 8)
			assert_true(is_vring_size(r.num));
		if (m->id == 24 || m->id == 25)
			assert_true(r.config.size > 0 && r.config.offset + r.config.size <= 256);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_vring_that_is_not_there_is_refused),
	    UNIT(numbers_are_judged_at_their_width_on_the_wire),
	    UNIT(a_number_of_256_vrings_uses_all_of_the_index),
	    UNIT(ring_addresses_have_to_be_aligned_and_keep_their_places),
	    UNIT(ring_addresses_come_with_the_place_of_their_log),
	    UNIT(a_state_is_saved_or_loaded_while_the_device_is_stopped),
	    UNIT(a_log_has_its_size_before_its_offset),
	    UNIT(the_descriptor_bit_has_to_agree_with_the_descriptors),
	    UNIT(a_memory_table_has_as_many_regions_and_descriptors_as_it_says),
	    UNIT(a_count_of_regions_is_judged_at_its_width),
	    UNIT(regions_keep_their_four_numbers_and_their_order),
	    UNIT(configuration_lies_within_its_256_bytes),
	    UNIT(a_configuration_message_has_the_bytes_that_it_says),
	    UNIT(the_bytes_of_a_configuration_message_are_those_behind_its_header),
	    UNIT(any_bytes_come_out_in_range_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
