/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the arena: zero bytes in a memfd at offsets that follow from the sizes alone, found again
 * by whoever inherits the memfd, and gone without a trace.
 */
#include "unit.h"

#include "base/arena.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

TEST(sizes_are_rounded_up_to_whole_pages)
{
	assert_int_equal(arena_round(0), 0);
	assert_int_equal(arena_round(1), page());
	assert_int_equal(arena_round(page()), page());
	assert_int_equal(arena_round(page() + 1), 2 * page());
	assert_int_equal(arena_round(1024 * page()), 1024 * page());
}

TEST(pieces_are_zero_page_aligned_and_apart)
{
	struct arena arena;
	uint8_t *a, *b, *c;

	assert_int_equal(arena_init(&arena, arena_round(10) + arena_round(page() + 1)), 0);
	a = arena_take(&arena, 10);
	b = arena_take(&arena, page() + 1);
	assert_int_equal((uintptr_t)a % page(), 0);
	assert_ptr_equal(b, a + page());
	for (size_t i = 0; i < 3 * page(); i++)
		assert_int_equal(a[i], 0);
	memset(a, 0xff, 3 * page());
	arena_deinit(&arena);

	assert_int_equal(arena_init(&arena, page()), 0);
	c = arena_take(&arena, page());
	assert_int_equal(c[0], 0);
	arena_deinit(&arena);
}

TEST(the_memfd_has_what_was_written_at_the_same_offsets)
{
	static const char kept[] = "kept";
	struct arena arena;
	struct stat st;
	uint8_t *second, *again;

	assert_int_equal(arena_init(&arena, 2 * page()), 0);
	arena_take(&arena, 1);
	second = arena_take(&arena, 1);
	memcpy(second + 5, kept, sizeof(kept));
	assert_int_equal(fstat(arena.fd, &st), 0);
	assert_int_equal(st.st_size, 2 * page());
	again = mmap(NULL, 2 * page(), PROT_READ, MAP_SHARED, arena.fd, 0);
	assert_ptr_not_equal(again, MAP_FAILED);
	assert_memory_equal(again + page() + 5, kept, sizeof(kept));
	munmap(again, 2 * page());
	arena_deinit(&arena);
}

TEST(untouched_pages_cost_nothing)
{
	struct arena arena;
	struct stat st;

	assert_int_equal(arena_init(&arena, (size_t)1 << 30), 0);
	*(uint8_t *)arena_take(&arena, (size_t)1 << 30) = 1;
	assert_int_equal(fstat(arena.fd, &st), 0);
	/* One page, or a huge one where the system gives those to memfds. */
	assert_in_range(st.st_blocks * 512, page(), 2 << 20);
	arena_deinit(&arena);
}

TEST(ending_twice_does_no_harm)
{
	struct arena arena;

	assert_int_equal(arena_init(&arena, page()), 0);
	arena_deinit(&arena);
	arena_deinit(&arena);
	assert_int_equal(arena.fd, -1);
}

TEST(a_size_that_cannot_be_is_an_error_and_leaves_nothing)
{
	struct arena arena;

	assert_true(arena_init(&arena, SIZE_MAX & ~(page() - 1)) < 0);
	assert_int_equal(arena.fd, -1);
	arena_deinit(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(sizes_are_rounded_up_to_whole_pages),
	    UNIT(pieces_are_zero_page_aligned_and_apart),
	    UNIT(the_memfd_has_what_was_written_at_the_same_offsets),
	    UNIT(untouched_pages_cost_nothing),
	    UNIT(ending_twice_does_no_harm),
	    UNIT(a_size_that_cannot_be_is_an_error_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
