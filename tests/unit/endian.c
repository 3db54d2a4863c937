/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the wire integers: the bytes in memory are little endian on every machine, and each type
 * is as large as its number.
 */
#include "unit.h"

#include "base/endian.h"

#include <string.h>

_Static_assert(sizeof(le16) == 2 && sizeof(le32) == 4 && sizeof(le64) == 8, "no padding");

TEST(bytes_in_memory_are_little_endian)
{
	static const uint8_t bytes[] = {0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
	le16 v16 = le16_of(0x7788);
	le32 v32 = le32_of(0x55667788);
	le64 v64 = le64_of(0x1122334455667788);

	assert_memory_equal(&v16, bytes, sizeof(v16));
	assert_memory_equal(&v32, bytes, sizeof(v32));
	assert_memory_equal(&v64, bytes, sizeof(v64));
}

TEST(numbers_come_back)
{
	static const uint64_t numbers[] = {0,          1,          0xff,       0x100,
	                                   0x7fff,     0x8000,     0xffff,     0x10000,
	                                   0x80000000, 0xffffffff, 1ull << 63, UINT64_MAX};

	for (size_t i = 0; i < ROWS(numbers); i++) {
		assert_int_equal(le16_get(le16_of((uint16_t)numbers[i])), (uint16_t)numbers[i]);
		assert_int_equal(le32_get(le32_of((uint32_t)numbers[i])), (uint32_t)numbers[i]);
		assert_int_equal(le64_get(le64_of(numbers[i])), numbers[i]);
	}
}

TEST(bytes_from_a_peer_are_read_as_little_endian)
{
	static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8};
	le16 v16;
	le32 v32;
	le64 v64;

	memcpy(&v16, bytes, sizeof(v16));
	memcpy(&v32, bytes, sizeof(v32));
	memcpy(&v64, bytes, sizeof(v64));
	assert_int_equal(le16_get(v16), 0x0201);
	assert_int_equal(le32_get(v32), 0x04030201);
	assert_int_equal(le64_get(v64), 0x0807060504030201);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(bytes_in_memory_are_little_endian),
	    UNIT(numbers_come_back),
	    UNIT(bytes_from_a_peer_are_read_as_little_endian),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
