/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds guest memory: which regions may be added, and that an address with a length becomes the
 * whole range or nothing. Guest address, user address, file offset and our own mapping of each
 * byte are four different numbers here (tests/support/guest_memory.h).
 */
#include "unit.h"

#include "gmem_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

struct fixture {
	struct guest_memory memory;
	struct gmem gmem;
};

static void set_up(struct fixture *f)
{
	guest_memory_init(&f->memory);
	gmem_fixture_map_all(&f->gmem, &f->memory);
}

static void tear_down(struct fixture *f)
{
	gmem_deinit(&f->gmem);
	guest_memory_deinit(&f->memory);
}

/* Whether `ours` is the byte at guest address `gpa`, by writing through the one, reading the other.
 */
static void assert_same_byte(struct fixture *f, uint8_t *ours, uint64_t gpa)
{
	uint8_t *theirs = guest_memory_at(&f->memory, gpa, 1);

	*ours = 0x5a;
	assert_int_equal(*theirs, 0x5a);
	*theirs = 0xa5;
	assert_int_equal(*ours, 0xa5);
	*ours = 0;
}

TEST(each_byte_is_found_by_guest_and_by_user_address)
{
	struct fixture f;

	set_up(&f);
	for (unsigned int i = 0; i < f.memory.count; i++) {
		const struct guest_region *r = &f.memory.region[i];
		const uint64_t offsets[] = {0, 1, 4095, 4096, r->size / 2, r->size - 1};

		for (size_t k = 0; k < ROWS(offsets); k++) {
			uint64_t gpa = r->gpa + offsets[k];
			uint8_t *guest = gmem_guest(&f.gmem, gpa, 1);

			assert_non_null(guest);
			assert_same_byte(&f, guest, gpa);
			assert_ptr_equal(gmem_user(&f.gmem, r->uva + offsets[k], 1), guest);
			/* One kind of address isn't the other. */
			assert_null(gmem_guest(&f.gmem, r->uva + offsets[k], 1));
			assert_null(gmem_user(&f.gmem, gpa, 1));
		}
	}
	tear_down(&f);
}

TEST(a_range_is_found_whole_or_not_at_all)
{
	struct fixture f;

	set_up(&f);
	for (unsigned int i = 0; i < f.memory.count; i++) {
		const struct guest_region *r = &f.memory.region[i];
		const struct {
			uint64_t offset, len;
			bool whole;
		} rows[] = {
		    {0, r->size, true},
		    {0, r->size + 1, false},
		    {1, r->size - 1, true},
		    {1, r->size, false},
		    {r->size - 1, 1, true},
		    {r->size - 1, 2, false},
		    {(uint64_t)-1, 1, false},
		    {(uint64_t)-1, 2, false},
		    {0, 0, false},
		    {0, UINT64_MAX, false},
		    {1, UINT64_MAX, false},
		    {r->size / 2, UINT64_MAX - r->gpa, false},
		};

		for (size_t k = 0; k < ROWS(rows); k++) {
			uint64_t offset = rows[k].offset, len = rows[k].len;

			if ((gmem_guest(&f.gmem, r->gpa + offset, len) != NULL) != rows[k].whole &&
			    rows[k].offset != (uint64_t)-1)
				fail_msg("region %u, row %zu, guest address", i, k);
			if ((gmem_user(&f.gmem, r->uva + offset, len) != NULL) != rows[k].whole)
				fail_msg("region %u, row %zu, user address", i, k);
		}
	}
	tear_down(&f);
}

TEST(nothing_is_found_outside)
{
	struct fixture f;
	uint64_t outside;

	set_up(&f);
	outside = guest_memory_outside(&f.memory, 4096);
	assert_null(gmem_guest(&f.gmem, outside, 1));
	assert_null(gmem_guest(&f.gmem, 0, 1));
	assert_null(gmem_guest(&f.gmem, UINT64_MAX, 1));
	assert_null(gmem_guest(&f.gmem, UINT64_MAX, 2));
	assert_null(gmem_user(&f.gmem, 0, 1));
	assert_null(gmem_user(&f.gmem, UINT64_MAX, 1));
	assert_null(gmem_user(&f.gmem, UINT64_MAX, UINT64_MAX));
	assert_int_equal(gmem_covers(&f.gmem, outside, 1), 0);
	assert_int_equal(gmem_covers(&f.gmem, UINT64_MAX, 2), 0);
	assert_int_equal(gmem_covers(&f.gmem, f.memory.region[0].gpa, 0), 0);
	tear_down(&f);
}

/* Regions 0 and 1 are neighbours in guest memory, and nowhere else. */
TEST(a_range_across_neighbours_is_covered_but_comes_in_parts)
{
	struct fixture f;
	uint64_t crossing;
	uint8_t *part;
	size_t len;

	set_up(&f);
	crossing = guest_memory_crossing(&f.memory, 64);
	assert_null(gmem_guest(&f.gmem, crossing, 64));
	assert_non_null(gmem_guest(&f.gmem, crossing, 32));
	assert_int_equal(gmem_covers(&f.gmem, crossing, 64), 2);
	part = gmem_guest_part(&f.gmem, crossing, 64, &len);
	assert_int_equal(len, 32);
	assert_same_byte(&f, part, crossing);
	part = gmem_guest_part(&f.gmem, crossing + 32, 32, &len);
	assert_int_equal(len, 32);
	assert_same_byte(&f, part, crossing + 32);
	/* The neighbours' ends: one byte more isn't there any more. */
	assert_true(gmem_covers(&f.gmem, f.memory.region[0].gpa,
	                        f.memory.region[0].size + f.memory.region[1].size));
	assert_false(gmem_covers(&f.gmem, f.memory.region[0].gpa,
	                         f.memory.region[0].size + f.memory.region[1].size + 1));
	/* In user addresses they aren't neighbours. */
	assert_null(gmem_user(&f.gmem, f.memory.region[1].uva, f.memory.region[1].size + 1));
	tear_down(&f);
}

TEST(a_part_is_as_long_as_what_lies_together)
{
	const struct guest_region *r;
	struct fixture f;
	size_t len = 77;

	set_up(&f);
	r = &f.memory.region[2];
	assert_non_null(gmem_guest_part(&f.gmem, r->gpa, 5, &len));
	assert_int_equal(len, 5);
	assert_non_null(gmem_guest_part(&f.gmem, r->gpa + r->size - 3, 100, &len));
	assert_int_equal(len, 3);
	assert_non_null(gmem_guest_part(&f.gmem, r->gpa, UINT64_MAX, &len));
	assert_int_equal(len, r->size);
	len = 77;
	assert_null(gmem_guest_part(&f.gmem, r->gpa, 0, &len));
	assert_null(gmem_guest_part(&f.gmem, r->gpa - 1, 5, &len));
	assert_null(gmem_guest_part(&f.gmem, r->gpa + r->size, 5, &len));
	assert_int_equal(len, 77);
	tear_down(&f);
}

/* What was found last is looked at first: it must be forgotten with its region. */
TEST(the_region_that_was_hit_last_is_forgotten_with_its_mapping)
{
	for (unsigned int i = 0; i < 3; i++) {
		struct gmem_region region;
		struct fixture f;

		set_up(&f);
		region = gmem_fixture_region(&f.memory.region[i]);
		for (unsigned int k = 0; k < 3; k++)
			assert_non_null(gmem_guest(&f.gmem, f.memory.region[k].gpa, 1));
		assert_non_null(gmem_guest(&f.gmem, region.guest_addr, 1));
		assert_true(gmem_has(&f.gmem, &region));
		gmem_unmap(&f.gmem, &region);
		assert_null(gmem_guest(&f.gmem, region.guest_addr, 1));
		assert_null(gmem_user(&f.gmem, region.user_addr, 1));
		for (unsigned int k = 0; k < 3; k++) {
			uint64_t gpa = f.memory.region[k].gpa + 7;

			if (k != i)
				assert_same_byte(&f, gmem_guest(&f.gmem, gpa, 1), gpa);
		}
		assert_false(gmem_has(&f.gmem, &region));
		gmem_fixture_map(&f.gmem, &f.memory, i);
		assert_same_byte(&f, gmem_guest(&f.gmem, region.guest_addr, 1), region.guest_addr);
		tear_down(&f);
	}
}

TEST(a_region_is_removed_by_its_addresses_and_size_whatever_its_offset)
{
	struct gmem_region region;
	struct fixture f;

	set_up(&f);
	region = gmem_fixture_region(&f.memory.region[1]);
	region.guest_addr++;
	assert_false(gmem_has(&f.gmem, &region));
	region.guest_addr--;
	region.user_addr++;
	assert_false(gmem_has(&f.gmem, &region));
	region.user_addr--;
	region.size--;
	assert_false(gmem_has(&f.gmem, &region));
	region.size++;
	assert_int_equal(f.gmem.count, 3);
	region.mmap_offset = 0;
	assert_true(gmem_has(&f.gmem, &region));
	gmem_unmap(&f.gmem, &region);
	assert_int_equal(f.gmem.count, 2);
	tear_down(&f);
}

TEST(replacing_moves_all_regions_and_drops_the_old)
{
	struct fixture old, new;

	set_up(&old);
	set_up(&new);
	gmem_replace(&old.gmem, &new.gmem);
	assert_int_equal(new.gmem.count, 0);
	assert_same_byte(&new, gmem_guest(&old.gmem, new.memory.region[0].gpa, 1),
	                 new.memory.region[0].gpa);
	gmem_replace(&old.gmem, &new.gmem);
	assert_int_equal(old.gmem.count, 0);
	assert_null(gmem_guest(&old.gmem, old.memory.region[0].gpa, 1));
	tear_down(&old);
	tear_down(&new);
}

static int file_of(uint64_t size)
{
	int fd = memfd_create("region", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

#define BASE_GUEST 0x100000ull
#define BASE_USER  0x700000ull
#define BASE_SIZE  0x10000ull

/* What is judged beside a region at BASE_GUEST and BASE_USER, with a file of 1 MiB. */
TEST(regions_are_judged)
{
	static const struct {
		const char *what;
		struct gmem_region region;
		enum gmem_verdict verdict;
	} rows[] = {
	    {"apart", {0x900000, 0x1000, 0x10000, 0x2000}, GMEM_OK},
	    {"one byte", {0x900000, 1, 0x10000, 0}, GMEM_OK},
	    {"no byte", {0x900000, 0, 0x10000, 0}, GMEM_EMPTY},
	    {"unaligned", {0x900001, 0x1001, 0x10003, 0x1005}, GMEM_OK},
	    {"whole file", {0x900000, 0x100000, 0x10000000, 0}, GMEM_OK},
	    {"behind the file", {0x900000, 1, 0x10000, 0x100000}, GMEM_FILE_SHORT},
	    {"over the file's end", {0x900000, 0x1000, 0x10000, 0xff001}, GMEM_FILE_SHORT},
	    {"longer than the file", {0x900000, 0x100001, 0x10000000, 0}, GMEM_FILE_SHORT},
	    {"guest over 2^64", {-0x1000ull, 0x2000, 0x10000, 0}, GMEM_OVERFLOW},
	    {"user over 2^64", {0x900000, 0x2000, -0x1000ull, 0}, GMEM_OVERFLOW},
	    {"offset over 2^64", {0x900000, 0x2000, 0x10000, -0x1000ull}, GMEM_OVERFLOW},
	    {"size of 2^64 - 1", {0x900000, -1ull, 0x10000, 0}, GMEM_OVERFLOW},
	    {"offset just below 2^64", {0x900000, 0xfff, 0x10000, -0x1000ull}, GMEM_FILE_SHORT},
	    {"touching below, guest", {BASE_GUEST - 0x1000, 0x1000, 0x10000, 0}, GMEM_OK},
	    {"touching above, guest", {BASE_GUEST + BASE_SIZE, 0x1000, 0x10000, 0}, GMEM_OK},
	    {"touching below, user", {0x900000, 0x1000, BASE_USER - 0x1000, 0}, GMEM_OK},
	    {"touching above, user", {0x900000, 0x1000, BASE_USER + BASE_SIZE, 0}, GMEM_OK},
	    {"a byte inside, guest", {BASE_GUEST - 0x1000, 0x1001, 0x10000, 0}, GMEM_OVERLAP},
	    {"the last byte, guest",
	     {BASE_GUEST + BASE_SIZE - 1, 0x1000, 0x10000, 0},
	     GMEM_OVERLAP},
	    {"a byte inside, user", {0x900000, 0x1001, BASE_USER - 0x1000, 0}, GMEM_OVERLAP},
	    {"the last byte, user", {0x900000, 0x1000, BASE_USER + BASE_SIZE - 1, 0}, GMEM_OVERLAP},
	    {"the same", {BASE_GUEST, BASE_SIZE, BASE_USER, 0}, GMEM_OVERLAP},
	    {"around it", {BASE_GUEST - 1, BASE_SIZE + 2, 0x1000000, 0}, GMEM_OVERLAP},
	    {"within it", {BASE_GUEST + 1, 1, 0x1000000, 0}, GMEM_OVERLAP},
	};
	const struct gmem_region base = {BASE_GUEST, BASE_SIZE, BASE_USER, 0};
	struct gmem gmem;

	gmem_init(&gmem, NULL);
	assert_int_equal(gmem_map(&gmem, &base, file_of(BASE_SIZE)), 0);
	for (size_t i = 0; i < ROWS(rows); i++) {
		int fd = file_of(0x100000);
		enum gmem_verdict verdict =
		    gmem_judge(&gmem, &rows[i].region, fd, &gmem_fixture_no_limits);

		if (verdict != rows[i].verdict)
			fail_msg("%s: %s", rows[i].what, gmem_verdict_text(verdict));
		if (verdict == GMEM_OK) {
			assert_int_equal(gmem_map(&gmem, &rows[i].region, fd), 0);
			assert_non_null(
			    gmem_guest(&gmem, rows[i].region.guest_addr, rows[i].region.size));
			gmem_unmap(&gmem, &rows[i].region);
		} else {
			assert_int_equal(close(fd), 0);
		}
	}
	gmem_deinit(&gmem);
}

TEST(only_files_in_memory_are_taken)
{
	static const struct gmem_region region = {0x1000, 0x10, 0x5000, 0};
	int event = eventfd(0, EFD_CLOEXEC), null = open("/dev/zero", O_RDWR | O_CLOEXEC), pair[2];
	struct gmem gmem;

	gmem_init(&gmem, NULL);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(gmem_judge(&gmem, &region, event, &gmem_fixture_no_limits),
	                 GMEM_FILE_KIND);
	assert_int_equal(gmem_judge(&gmem, &region, null, &gmem_fixture_no_limits), GMEM_FILE_KIND);
	assert_int_equal(gmem_judge(&gmem, &region, pair[0], &gmem_fixture_no_limits),
	                 GMEM_FILE_KIND);
	assert_int_equal(gmem_judge(&gmem, &region, -1, &gmem_fixture_no_limits), GMEM_FILE_KIND);
	close(event);
	close(null);
	close(pair[0]);
	close(pair[1]);
}

TEST(a_file_that_may_not_be_written_is_an_error_and_stays_the_callers)
{
	static const struct gmem_region region = {0x1000, 0x1000, 0x5000, 0};
	int fd = file_of(0x1000), readable;
	struct gmem gmem;
	char path[32];

	gmem_init(&gmem, NULL);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	readable = open(path, O_RDONLY | O_CLOEXEC);
	assert_return_code(readable, errno);
	assert_int_equal(gmem_map(&gmem, &region, readable), -EACCES);
	assert_int_equal(gmem.count, 0);
	assert_int_equal(close(readable), 0);
	close(fd);
	gmem_deinit(&gmem);
}

TEST(there_are_as_many_regions_as_slots)
{
	struct gmem gmem;
	struct gmem_region region = {0x1000, 0x1000, 0x70001000, 0};
	int fd;

	gmem_init(&gmem, NULL);
	for (unsigned int i = 0; i < GMEM_REGIONS_MAX; i++) {
		fd = file_of(0x1000);
		assert_int_equal(gmem_judge(&gmem, &region, fd, &gmem_fixture_no_limits), GMEM_OK);
		assert_int_equal(gmem_map(&gmem, &region, fd), 0);
		region.guest_addr += 0x1000;
		region.user_addr += 0x2000;
	}
	fd = file_of(0x1000);
	assert_int_equal(gmem_judge(&gmem, &region, fd, &gmem_fixture_no_limits), GMEM_NO_SLOT);
	close(fd);
	assert_int_equal(gmem_covers(&gmem, 0x1000, GMEM_REGIONS_MAX * 0x1000), GMEM_REGIONS_MAX);
	gmem_deinit(&gmem);
	gmem_deinit(&gmem);
}

TEST(there_are_no_more_regions_than_a_guest_may_have)
{
	static const struct gmem_limits limits = {2, UINT64_MAX};
	struct gmem_region region = {0x1000, 0x1000, 0x70001000, 0};
	int fd = file_of(0x1000);
	struct gmem gmem;

	gmem_init(&gmem, NULL);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(gmem_judge(&gmem, &region, fd, &limits), GMEM_OK);
		assert_int_equal(gmem_map(&gmem, &region, file_of(0x1000)), 0);
		region.guest_addr += 0x1000;
		region.user_addr += 0x1000;
	}
	assert_int_equal(gmem_judge(&gmem, &region, fd, &limits), GMEM_NO_SLOT);
	close(fd);
	gmem_deinit(&gmem);
}

/* The regions of a guest in which number `i` is at this address, with a hole behind each. */
static struct gmem_region spread(unsigned int i)
{
	return (struct gmem_region){0x100000 + i * 0x3000ull, 0x1000, 0x70000000 + i * 0x5000ull,
	                            0};
}

static void assert_found(struct gmem *gmem, unsigned int i, bool there)
{
	const struct gmem_region region = spread(i);
	uint8_t *first = gmem_guest(gmem, region.guest_addr, region.size);

	assert_int_equal(first != NULL, there);
	assert_null(gmem_guest(gmem, region.guest_addr - 1, 1));
	assert_null(gmem_guest(gmem, region.guest_addr + region.size, 1));
	assert_ptr_equal(gmem_user(gmem, region.user_addr, region.size), first);
	if (first)
		assert_int_equal(*first, i % 251);
}

/* However many there are, in whatever order they come and go. */
TEST(regions_come_and_go_in_any_order)
{
	struct gmem gmem;

	gmem_init(&gmem, NULL);
	for (unsigned int k = 0; k < GMEM_REGIONS_MAX; k++) {
		/* 509 is a prime: each number once. */
		unsigned int i = k * 197 % GMEM_REGIONS_MAX;
		const struct gmem_region region = spread(i);
		int fd = file_of(0x1000);

		assert_int_equal(gmem_judge(&gmem, &region, fd, &gmem_fixture_no_limits), GMEM_OK);
		assert_int_equal(gmem_map(&gmem, &region, fd), 0);
		*(uint8_t *)gmem_guest(&gmem, region.guest_addr, 1) = (uint8_t)(i % 251);
		assert_found(&gmem, i, true);
	}
	for (unsigned int i = 0; i < GMEM_REGIONS_MAX; i++)
		assert_found(&gmem, i, true);
	for (unsigned int k = 0; k < GMEM_REGIONS_MAX; k++) {
		unsigned int i = k * 311 % GMEM_REGIONS_MAX;
		unsigned int next = (k + 1) * 311 % GMEM_REGIONS_MAX;
		const struct gmem_region region = spread(i);

		gmem_unmap(&gmem, &region);
		assert_found(&gmem, i, false);
		assert_found(&gmem, next, k + 1 < GMEM_REGIONS_MAX);
	}
	assert_int_equal(gmem.count, 0);
	gmem_deinit(&gmem);
}

/* A region takes whole pages of its file, and each counts. */
TEST(no_more_is_mapped_than_may_be)
{
	static const struct {
		struct gmem_region region;
		uint64_t most;
		enum gmem_verdict verdict;
	} rows[] = {
	    {{0x900000, 0x2000, 0x10000, 0}, 0x12000, GMEM_OK},
	    {{0x900000, 0x2000, 0x10000, 0}, 0x11fff, GMEM_TOO_MUCH},
	    {{0x900000, 1, 0x10000, 0xfff}, 0x11000, GMEM_OK},
	    {{0x900000, 1, 0x10000, 0xfff}, 0x10fff, GMEM_TOO_MUCH},
	    {{0x900000, 2, 0x10000, 0xfff}, 0x12000, GMEM_OK},
	    {{0x900000, 2, 0x10000, 0xfff}, 0x11fff, GMEM_TOO_MUCH},
	    {{0x900000, 1, 0x10000, 0}, 0, GMEM_TOO_MUCH},
	    {{0x900000, 1ull << 46, 1ull << 45, 0}, 1ull << 45, GMEM_TOO_MUCH},
	};
	const struct gmem_region base = {BASE_GUEST, BASE_SIZE, BASE_USER, 0};
	int fd = file_of(1ull << 46);
	struct gmem gmem;

	gmem_init(&gmem, NULL);
	assert_int_equal(gmem_mapped(&gmem), 0);
	assert_int_equal(gmem_map(&gmem, &base, file_of(BASE_SIZE)), 0);
	assert_int_equal(gmem_mapped(&gmem), BASE_SIZE);
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct gmem_limits limits = {GMEM_REGIONS_MAX, rows[i].most};

		if (gmem_judge(&gmem, &rows[i].region, fd, &limits) != rows[i].verdict)
			fail_msg("row %zu", i);
	}
	close(fd);
	gmem_deinit(&gmem);
	assert_int_equal(gmem_mapped(&gmem), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(each_byte_is_found_by_guest_and_by_user_address),
	    UNIT(a_range_is_found_whole_or_not_at_all),
	    UNIT(nothing_is_found_outside),
	    UNIT(a_range_across_neighbours_is_covered_but_comes_in_parts),
	    UNIT(a_part_is_as_long_as_what_lies_together),
	    UNIT(the_region_that_was_hit_last_is_forgotten_with_its_mapping),
	    UNIT(a_region_is_removed_by_its_addresses_and_size_whatever_its_offset),
	    UNIT(replacing_moves_all_regions_and_drops_the_old),
	    UNIT(regions_are_judged),
	    UNIT(no_more_is_mapped_than_may_be),
	    UNIT(only_files_in_memory_are_taken),
	    UNIT(a_file_that_may_not_be_written_is_an_error_and_stays_the_callers),
	    UNIT(there_are_as_many_regions_as_slots),
	    UNIT(there_are_no_more_regions_than_a_guest_may_have),
	    UNIT(regions_come_and_go_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
