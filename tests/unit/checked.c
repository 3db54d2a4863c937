/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the arithmetic on a peer's numbers at the edges of 64 bits.
 */
#include "unit.h"

#include "base/checked.h"

TEST(a_sum_says_whether_it_fits)
{
	static const struct {
		uint64_t a, b, sum;
		bool fits;
	} rows[] = {
	    {0, 0, 0, true},
	    {UINT64_MAX, 0, UINT64_MAX, true},
	    {0, UINT64_MAX, UINT64_MAX, true},
	    {UINT64_MAX - 1, 1, UINT64_MAX, true},
	    {UINT64_MAX, 1, 0, false},
	    {1ull << 63, 1ull << 63, 0, false},
	    {UINT64_MAX, UINT64_MAX, 0, false},
	    {UINT32_MAX, 1, 1ull << 32, true},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uint64_t sum;

		assert_int_equal(checked_add(rows[i].a, rows[i].b, &sum), rows[i].fits);
		if (rows[i].fits)
			assert_int_equal(sum, rows[i].sum);
	}
}

TEST(a_range_lies_inside_or_not_without_overflow)
{
	static const struct {
		uint64_t start, len, size;
		bool inside;
	} rows[] = {
	    {0, 0, 0, true},
	    {0, 1, 0, false},
	    {1, 0, 0, false},
	    {0, 10, 10, true},
	    {0, 11, 10, false},
	    {10, 0, 10, true},
	    {11, 0, 10, false},
	    {9, 1, 10, true},
	    {9, 2, 10, false},
	    {UINT64_MAX, 1, 10, false},
	    {UINT64_MAX, UINT64_MAX, 10, false},
	    {1, UINT64_MAX, 10, false},
	    {5, UINT64_MAX - 4, 10, false},
	    {5, UINT64_MAX - 3, 10, false},
	    {0, UINT64_MAX, UINT64_MAX, true},
	    {1, UINT64_MAX, UINT64_MAX, false},
	    {UINT64_MAX, 0, UINT64_MAX, true},
	};

	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(checked_range(rows[i].start, rows[i].len, rows[i].size),
		                 rows[i].inside);
}

TEST(pages_are_whole_and_fit_or_not)
{
	static const struct {
		uint64_t start, len, page;
		bool fits;
		uint64_t first, all;
	} rows[] = {
	    {0, 1, 0x1000, true, 0, 0x1000},
	    {0xfff, 1, 0x1000, true, 0, 0x1000},
	    {0xfff, 2, 0x1000, true, 0, 0x2000},
	    {0x1000, 0x1000, 0x1000, true, 0x1000, 0x1000},
	    {0x1234, 0x1000, 0x200000, true, 0, 0x200000},
	    {-0x3000ull, 0x2000, 0x1000, true, -0x3000ull, 0x2000},
	    {-0x3000ull, 0x2001, 0x1000, false, 0, 0},
	    {UINT64_MAX, 1, 0x1000, false, 0, 0},
	    {1, UINT64_MAX, 0x1000, false, 0, 0},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uint64_t first = 1, all = 1;

		assert_int_equal(
		    checked_pages(rows[i].start, rows[i].len, rows[i].page, &first, &all),
		    rows[i].fits);
		if (rows[i].fits)
			assert_true(first == rows[i].first && all == rows[i].all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_sum_says_whether_it_fits),
	    UNIT(a_range_lies_inside_or_not_without_overflow),
	    UNIT(pages_are_whole_and_fit_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
