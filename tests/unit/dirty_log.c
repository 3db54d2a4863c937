/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the log of written pages (vhost-user, "Migration"): which files it may lie in (R4: size and
 * offset are judged before anything is mapped), which bits a write sets, and that no number a peer
 * may send sets one elsewhere.
 */
#include "unit.h"

#include "base/fd.h"
#include "virtqueue/dirty_log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_SIZE 0x3000u

static int memfd(uint64_t size)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

/* A log at that place of a file, of which *ret_file is our own mapping. */
static void map_log(struct dirty_log *log, struct dirty_log_area area, uint8_t **ret_file)
{
	int fd = memfd(FILE_SIZE);

	*ret_file = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(*ret_file != MAP_FAILED);
	assert_int_equal(dirty_log_judge(&area, fd, UINT64_MAX), DIRTY_LOG_OK);
	assert_int_equal(dirty_log_map(log, &area, fd), 0);
}

TEST(a_log_lies_in_its_file)
{
	static const struct {
		uint64_t size, offset;
		enum dirty_log_verdict verdict;
	} rows[] = {
	    {FILE_SIZE, 0, DIRTY_LOG_OK},
	    {1, FILE_SIZE - 1, DIRTY_LOG_OK},
	    {8, 3, DIRTY_LOG_OK},
	    {0, 0, DIRTY_LOG_EMPTY},
	    {FILE_SIZE + 1, 0, DIRTY_LOG_FILE_SHORT},
	    {FILE_SIZE, 1, DIRTY_LOG_FILE_SHORT},
	    {1, FILE_SIZE, DIRTY_LOG_FILE_SHORT},
	    {UINT64_MAX, 0x1000, DIRTY_LOG_OVERFLOW},
	    {0x1000, UINT64_MAX, DIRTY_LOG_OVERFLOW},
	    {UINT64_MAX, UINT64_MAX, DIRTY_LOG_OVERFLOW},
	    {UINT64_MAX, 0, DIRTY_LOG_FILE_SHORT},
	};
	int fd = memfd(FILE_SIZE), pipe[2];

	assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct dirty_log_area area = {rows[i].size, rows[i].offset};

		assert_int_equal(dirty_log_judge(&area, fd, UINT64_MAX), rows[i].verdict);
		assert_true(strlen(dirty_log_verdict_text(rows[i].verdict)) > 3);
		if (rows[i].verdict == DIRTY_LOG_OK)
			assert_int_equal(dirty_log_judge(&area, pipe[1], UINT64_MAX),
			                 DIRTY_LOG_FILE_KIND);
	}
	close(pipe[0]);
	close(pipe[1]);
	close(fd);
}

TEST(a_log_takes_no_more_pages_than_it_may)
{
	const struct dirty_log_area area = {2, 0xfff};
	int fd = memfd(FILE_SIZE);

	assert_int_equal(dirty_log_judge(&area, fd, 0x2000), DIRTY_LOG_OK);
	assert_int_equal(dirty_log_judge(&area, fd, 0x1fff), DIRTY_LOG_TOO_MUCH);
	assert_true(strlen(dirty_log_verdict_text(DIRTY_LOG_TOO_MUCH)) > 3);
	close(fd);
}

TEST(a_write_sets_the_bits_of_its_pages_and_no_others)
{
	static const struct {
		uint64_t addr, len;
		unsigned int first, last; /* bits; last < first: none */
	} rows[] = {
	    {0, 1, 0, 0},
	    {0xfff, 1, 0, 0},
	    {0xfff, 2, 0, 1},
	    {0x1000, 0x1000, 1, 1},
	    {0x7fff, 2, 7, 8},
	    {0x9001, 0x3000, 9, 12},
	    {0, 0, 1, 0},
	    {127 * 0x1000ull, 0x1000, 127, 127},
	    {128 * 0x1000ull, 0x1000, 1, 0},     /* there is no bit */
	    {126 * 0x1000ull, 0x9000, 126, 127}, /* for some of it */
	    {UINT64_MAX, 1, 1, 0},
	    {UINT64_MAX, 2, 1, 0},
	    {0x1000, UINT64_MAX, 1, 0},
	    {1ull << 63, 1ull << 62, 1, 0},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct dirty_log_area area = {16, 0x1003};
		struct dirty_log log;
		uint8_t *file;

		dirty_log_init(&log, NULL);
		map_log(&log, area, &file);
		dirty_log_mark(&log, rows[i].addr, rows[i].len);
		assert_int_equal(log.marked, rows[i].first <= rows[i].last);
		for (unsigned int bit = 0; bit < 8 * FILE_SIZE; bit++) {
			bool in = bit / 8 >= area.offset &&
			          bit - 8 * area.offset >= rows[i].first &&
			          bit - 8 * area.offset <= rows[i].last;

			if ((file[bit / 8] >> bit % 8 & 1) != in)
				fail_msg("row %zu, bit %u", i, bit);
		}
		dirty_log_deinit(&log);
		munmap(file, FILE_SIZE);
	}
}

TEST(bits_that_are_set_stay)
{
	struct dirty_log log;
	uint8_t *file;

	dirty_log_init(&log, NULL);
	map_log(&log, (struct dirty_log_area){16, 0}, &file);
	file[0] = 0x81;
	dirty_log_mark(&log, 0x1000, 1);
	dirty_log_mark(&log, 0x1000, 1);
	dirty_log_mark(&log, 0x3000, 1);
	assert_int_equal(file[0], 0x8b);
	dirty_log_deinit(&log);
	munmap(file, FILE_SIZE);
}

TEST(a_log_covers_what_it_has_bits_for)
{
	static const struct dirty_log_area area = {2, 0};

	assert_true(dirty_log_covers(&area, 0, 0x10000));
	assert_false(dirty_log_covers(&area, 0, 0x10001));
	assert_true(dirty_log_covers(&area, 0xffff, 1));
	assert_false(dirty_log_covers(&area, 0x10000, 1));
	assert_false(dirty_log_covers(&area, UINT64_MAX, 1));
	assert_false(dirty_log_covers(&area, UINT64_MAX, 2));
	assert_false(dirty_log_covers(&area, 1, UINT64_MAX));
}

TEST(without_a_log_nothing_is_marked)
{
	struct dirty_log log;

	dirty_log_init(&log, NULL);
	assert_false(dirty_log_is_there(&log));
	dirty_log_mark(&log, 0, 0x1000);
	assert_false(log.marked);
	dirty_log_deinit(&log);
	dirty_log_deinit(&log);
}

TEST(another_log_takes_the_place_of_the_one_before)
{
	uint8_t *first, *second;
	struct dirty_log log;

	dirty_log_init(&log, NULL);
	map_log(&log, (struct dirty_log_area){16, 0}, &first);
	map_log(&log, (struct dirty_log_area){16, 0}, &second);
	dirty_log_mark(&log, 0, 1);
	assert_int_equal(first[0], 0);
	assert_int_equal(second[0], 1);
	dirty_log_deinit(&log);
	munmap(first, FILE_SIZE);
	munmap(second, FILE_SIZE);
}

/* R18. */
TEST(a_log_whose_file_becomes_shorter_is_lost_and_nothing_else)
{
	struct dirty_log log;
	uint8_t *file;

	dirty_log_init(&log, NULL);
	map_log(&log, (struct dirty_log_area){0x2000, 0x1000}, &file);
	assert_int_equal(ftruncate(log.fd, 0x1000), 0);
	file[0] = 0x55;
	dirty_log_mark(&log, 0x1000, 1);
	assert_true(log.lost);
	dirty_log_mark(&log, 0x8000000, 1);
	assert_int_equal(file[0], 0x55);
	dirty_log_deinit(&log);
	assert_false(log.lost);
	munmap(file, FILE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_log_lies_in_its_file),
	    UNIT(a_log_takes_no_more_pages_than_it_may),
	    UNIT(a_write_sets_the_bits_of_its_pages_and_no_others),
	    UNIT(bits_that_are_set_stay),
	    UNIT(a_log_covers_what_it_has_bits_for),
	    UNIT(without_a_log_nothing_is_marked),
	    UNIT(another_log_takes_the_place_of_the_one_before),
	    UNIT(a_log_whose_file_becomes_shorter_is_lost_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
