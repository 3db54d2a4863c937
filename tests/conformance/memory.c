/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The guest's memory (vhost-user, "Memory region description", SET_MEM_TABLE, ADD_MEM_REG,
 * REM_MEM_REG) and what may be a descriptor of what: everything wrong is refused, changes nothing
 * and leaves nothing open.
 */
#include "testbed.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PAGE 4096ull

static struct bed_guest *prepare(void)
{
	struct bed_guest *guest = bed_new(NULL);

	bed_negotiate(guest, 0);
	bed_ring(guest, BED_RECEIVE, 16, 0);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
	return guest;
}

static void check_both_ways(struct bed_guest *guest)
{
	bed_print(guest, "printed");
	bed_type(guest, "typed");
}

/* ---- what is refused ---- */

struct bad_region {
	const char *what;
	void (*spoil)(struct guest_region *region);
};

static void spoil_size_zero(struct guest_region *region)
{
	region->size = 0;
}

static void spoil_size_by_one(struct guest_region *region)
{
	region->size++;
}

static void spoil_size_by_a_page(struct guest_region *region)
{
	region->size += PAGE;
}

static void spoil_size_huge(struct guest_region *region)
{
	region->size = 1ull << 62;
}

static void spoil_offset_by_one(struct guest_region *region)
{
	region->offset++;
}

static void spoil_offset_overflow(struct guest_region *region)
{
	region->offset = -PAGE;
	region->size = 2 * PAGE;
}

static void spoil_offset_to_the_end(struct guest_region *region)
{
	region->offset = UINT64_MAX;
	region->size = 1;
}

static void spoil_offset_signed(struct guest_region *region)
{
	region->offset = 1ull << 63;
	region->size = PAGE;
}

static void spoil_gpa_overflow(struct guest_region *region)
{
	region->gpa = -PAGE;
}

static void spoil_uva_overflow(struct guest_region *region)
{
	region->uva = -PAGE;
}

static void spoil_all(struct guest_region *region)
{
	region->gpa = region->uva = region->offset = region->size = UINT64_MAX;
}

static const struct bad_region bad_regions[] = {
    {"size 0", spoil_size_zero},
    {"a byte beyond the file", spoil_size_by_one},
    {"a page beyond the file", spoil_size_by_a_page},
    {"far beyond the file", spoil_size_huge},
    {"an offset that passes the file by one", spoil_offset_by_one},
    {"offset plus size pass 2^64", spoil_offset_overflow},
    {"offset at 2^64", spoil_offset_to_the_end},
    {"offset beyond what a file can have", spoil_offset_signed},
    {"guest address plus size pass 2^64", spoil_gpa_overflow},
    {"user address plus size pass 2^64", spoil_uva_overflow},
    {"everything at the end", spoil_all},
};

#define BAD_REGIONS (sizeof(bad_regions) / sizeof(bad_regions[0]))

/* A region of region 1's file, at addresses where none is. */
static struct guest_region spare_region(const struct bed_guest *guest)
{
	struct guest_region region = guest->memory.region[1];

	region.gpa = 1ull << 45;
	region.uva = 1ull << 44;
	return region;
}

/* "Memory region description", CVE-2020-10722 (R4): sums are checked before anything is mapped. */
static void regions_out_of_range_are_refused(void **state)
{
	struct bed_guest *guest = prepare();
	struct frontend *frontend = &guest->frontend;
	struct guest_region table[3];
	struct bed_mark mark;

	(void)state;
	bed_mark(&mark);
	for (size_t i = 0; i < BAD_REGIONS; i++) {
		table[2] = spare_region(guest);
		bad_regions[i].spoil(&table[2]);
		if (frontend_add_mem_reg(frontend, &table[2]) == 0)
			fail_msg("accepted: %s", bad_regions[i].what);
		/* Behind two good ones, which aren't kept either. */
		table[0] = guest->memory.region[0];
		table[1] = guest->memory.region[1];
		if (frontend_set_mem_table(frontend, table, 3) == 0)
			fail_msg("accepted in a table: %s", bad_regions[i].what);
		check_both_ways(guest);
	}
	bed_same(&mark);
}

/* Regions that share a byte, in the guest's or in the frontend's addresses. */
static void overlapping_regions_are_refused(void **state)
{
	struct bed_guest *guest = prepare();
	const struct guest_region *there = &guest->memory.region[1];

	(void)state;
	for (unsigned int i = 0; i < 10; i++) {
		struct guest_region region = spare_region(guest);
		uint64_t *address = i % 2 ? &region.gpa : &region.uva;
		uint64_t base = i % 2 ? there->gpa : there->uva;
		struct guest_region table[2] = {*there};

		region.size = 2 * PAGE;
		*address =
		    (const uint64_t[]){base, base + PAGE, base + there->size - 1,
		                       base - 2 * PAGE + 1, base + there->size - PAGE}[i / 2];
		assert_int_not_equal(frontend_add_mem_reg(&guest->frontend, &region), 0);
		table[1] = region;
		assert_int_not_equal(frontend_set_mem_table(&guest->frontend, table, 2), 0);
		check_both_ways(guest);
	}
}

/* Regions that only touch are two regions. */
static void touching_regions_are_accepted(void **state)
{
	struct bed_guest *guest = prepare();
	struct guest_region region = spare_region(guest);

	(void)state;
	region.size = PAGE;
	assert_int_equal(frontend_add_mem_reg(&guest->frontend, &region), 0);
	region.gpa += PAGE;
	region.uva += PAGE;
	assert_int_equal(frontend_add_mem_reg(&guest->frontend, &region), 0);
	region.gpa -= 2 * PAGE;
	region.uva -= 2 * PAGE;
	assert_int_equal(frontend_add_mem_reg(&guest->frontend, &region), 0);
	check_both_ways(guest);
}

/* ---- descriptors of the wrong kind ---- */

enum file_kind {
	FILE_EVENTFD,
	FILE_PIPE,
	FILE_SOCKET,
	FILE_DATAGRAM,
	FILE_EPOLL,
	FILE_TIMER,
	FILE_NULL,
	FILE_ZERO,
	FILE_PROC,
	FILE_FOLDER,
	FILE_DISK,
	FILE_READ_ONLY,
	FILE_SEALED,
	FILE_MEMFD,
	FILE_KINDS,
};

/* Keeps the descriptors of a pair in ends[]; the one to send is the first. */
static int open_memfd(enum file_kind kind)
{
	int fd = memfd_create("region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char path[32];
	int reopened;

	if (fd < 0 || ftruncate(fd, 16 * PAGE) < 0)
		support_die("no memfd");
	if (kind == FILE_SEALED && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0)
		support_die("no seal");
	if (kind != FILE_READ_ONLY)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reopened = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return reopened;
}

/* A file that isn't in memory; -1 where /tmp is. */
static int open_disk_file(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct statfs fs;

	if (fd >= 0 && (fstatfs(fd, &fs) < 0 || fs.f_type == 0x01021994 /* tmpfs */ ||
	                ftruncate(fd, 16 * PAGE) < 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int open_kind(enum file_kind kind)
{
	int pair[2];

	switch (kind) {
	case FILE_EVENTFD:
		return eventfd(0, EFD_CLOEXEC);
	case FILE_PIPE:
		if (pipe2(pair, O_CLOEXEC) < 0)
			return -1;
		close(pair[0]);
		return pair[1];
	case FILE_SOCKET:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case FILE_DATAGRAM:
		return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	case FILE_EPOLL:
		return epoll_create1(EPOLL_CLOEXEC);
	case FILE_TIMER:
		return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	case FILE_NULL:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case FILE_ZERO:
		return open("/dev/zero", O_RDWR | O_CLOEXEC);
	case FILE_PROC:
		return open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	case FILE_FOLDER:
		return open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case FILE_DISK:
		return open_disk_file();
	default:
		return open_memfd(kind);
	}
}

/* Guest memory has to be a writable file in memory: a page fault on another may wait for ever. */
static void regions_of_other_files_are_refused(void **state)
{
	struct bed_guest *guest = prepare();
	struct bed_mark mark;

	(void)state;
	bed_mark(&mark);
	for (unsigned int kind = 0; kind < FILE_KINDS; kind++) {
		struct guest_region region = {.gpa = 1ull << 45, .uva = 1ull << 44, .size = PAGE};

		region.fd = open_kind(kind);
		if (region.fd < 0) {
			assert_true(kind == FILE_DISK || kind == FILE_ZERO || kind == FILE_NULL);
			continue;
		}
		if (kind == FILE_MEMFD) {
			assert_int_equal(frontend_add_mem_reg(&guest->frontend, &region), 0);
			assert_int_equal(frontend_rem_mem_reg(&guest->frontend, &region), 0);
		} else {
			if (frontend_add_mem_reg(&guest->frontend, &region) == 0 ||
			    frontend_set_mem_table(&guest->frontend, &region, 1) == 0)
				fail_msg("a region of file kind %u was accepted", kind);
		}
		close(region.fd);
		check_both_ways(guest);
	}
	bed_same(&mark);
}

/* VHOST_USER_SET_VRING_KICK, CALL, ERR: eventfds only; what is refused changes nothing. */
static void kick_call_and_err_must_be_eventfds(void **state)
{
	struct bed_guest *guest = prepare();
	struct frontend *frontend = &guest->frontend;
	struct bed_mark mark;

	(void)state;
	bed_mark(&mark);
	for (unsigned int kind = FILE_EVENTFD + 1; kind < FILE_KINDS; kind++) {
		int fd = open_kind(kind);

		if (fd < 0)
			continue;
		if (frontend_set_vring_kick(frontend, 1, fd) == 0 ||
		    frontend_set_vring_call(frontend, 1, fd) == 0 ||
		    frontend_set_vring_err(frontend, 1, fd) == 0)
			fail_msg("file kind %u was accepted as an eventfd", kind);
		close(fd);
		check_both_ways(guest);
		driver_await_call(&guest->ring[BED_TRANSMIT]);
	}
	bed_same(&mark);
}

/* VHOST_USER_SET_BACKEND_REQ_FD: a connected stream socket. */
static void the_backend_channel_must_be_a_socket(void **state)
{
	struct bed_guest *guest = prepare();
	struct frontend_message message;

	(void)state;
	for (unsigned int kind = 0; kind < FILE_KINDS; kind++) {
		int fd = open_kind(kind);

		if (fd < 0)
			continue;
		frontend_message_init(&message, FE_SET_BACKEND_REQ_FD);
		frontend_message_fd(&message, fd);
		if (kind != FILE_SOCKET && frontend_set(&guest->frontend, &message) == 0)
			fail_msg("file kind %u was accepted as a socket", kind);
		close(fd);
	}
	assert_int_equal(frontend_set_backend_req_fd(&guest->frontend), 0);
	check_both_ways(guest);
}

/* A refused message leaves what was there: here each good and one bad descriptor of a table. */
static void one_bad_file_refuses_the_table(void **state)
{
	struct bed_guest *guest = prepare();
	struct guest_region table[3];
	struct bed_mark mark;
	int fd = open_kind(FILE_PIPE);

	(void)state;
	bed_mark(&mark);
	for (unsigned int i = 0; i < 3; i++) {
		memcpy(table, guest->memory.region, sizeof(table));
		table[i].fd = fd;
		assert_int_not_equal(frontend_set_mem_table(&guest->frontend, table, 3), 0);
		check_both_ways(guest);
	}
	bed_same(&mark);
	close(fd);
}

/* ---- rings in memory ---- */

/* VHOST_USER_SET_VRING_ADDR: alignment as virtio 1.3, 2.7 has it. */
static void misaligned_rings_are_refused(void **state)
{
	struct bed_guest *guest = prepare();
	struct frontend_vring_addr addr = driver_queue_addr(&guest->ring[BED_TRANSMIT]);

	(void)state;
	for (unsigned int by = 1; by < 16; by++) {
		struct frontend_vring_addr desc = addr, avail = addr, used = addr;

		desc.desc += by;
		avail.avail += by;
		used.used += by;
		assert_int_not_equal(frontend_set_vring_addr(&guest->frontend, &desc), 0);
		if (by % 2)
			assert_int_not_equal(frontend_set_vring_addr(&guest->frontend, &avail), 0);
		if (by % 4)
			assert_int_not_equal(frontend_set_vring_addr(&guest->frontend, &used), 0);
		check_both_ways(guest);
	}
}

/* Starts vring 3 with one part of it at `gpa` of region `region`'s user address. */
static uint64_t start_with(struct bed_guest *guest, unsigned int part, uint64_t uva)
{
	struct driver_queue *ring = &guest->ring[3];
	struct frontend_vring_addr addr = driver_queue_addr(ring);
	uint64_t refused;

	*(uint64_t *[]){&addr.desc, &addr.avail, &addr.used}[part] = uva;
	frontend_get_vring_base(&guest->frontend, 3);
	assert_int_equal(frontend_set_vring_num(&guest->frontend, 3, ring->size), 0);
	refused = frontend_set_vring_addr(&guest->frontend, &addr);
	return refused | frontend_set_vring_kick(&guest->frontend, 3, ring->kick);
}

/* CVE-2018-1059 (R1): each part of a ring lies wholly in one region, from start to end. */
static void rings_outside_of_memory_are_refused(void **state)
{
	struct bed_guest *guest = prepare();
	struct driver_queue *ring = bed_ring_unstarted(guest, 3, 256, 0);
	uint64_t bytes[3] = {driver_desc_bytes(256), driver_avail_bytes(256),
	                     driver_used_bytes(256)};
	static const uint64_t align[3] = {16, 2, 4};
	/* A region that touches region 1 in user addresses, and is mapped elsewhere. */
	const struct guest_region *region = &guest->memory.region[1];
	uint64_t end = region->uva + region->size;
	unsigned int next = guest_memory_add(&guest->memory, 1ull << 45, end, 0, 16 * PAGE, -1);

	(void)state;
	(void)ring;
	region = &guest->memory.region[1];
	assert_int_equal(frontend_add_mem_reg(&guest->frontend, &guest->memory.region[next]), 0);
	for (unsigned int part = 0; part < 3; part++) {
		/* The last place where it fits, the event field behind it included. */
		uint64_t fits = (end - bytes[part]) & ~(align[part] - 1);
		uint64_t bad[] = {0,  end - 16, fits + align[part], region->uva - 16,
		                  16, -16ull,   1ull << 63,         region->gpa};

		for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			if (start_with(guest, part, bad[i]) == 0)
				fail_msg("part %u was accepted at %#llx", part,
				         (unsigned long long)bad[i]);
			check_both_ways(guest);
		}
		assert_int_equal(start_with(guest, part, fits), 0);
		assert_int_equal(start_with(guest, part, end), 0);
	}
	check_both_ways(guest);
}

/* SET_VRING_ADDR before the memory: what counts is where it is at the start. */
static void addresses_may_come_before_memory(void **state)
{
	struct bed_guest *guest = bed_new(NULL);
	struct frontend *frontend = &guest->frontend;
	struct driver_queue *ring = bed_ring_unstarted(guest, BED_TRANSMIT, 16, 0);
	struct frontend_vring_addr addr = driver_queue_addr(ring);

	(void)state;
	bed_negotiate(guest, 0);
	frontend_set_mem_table(frontend, &guest->memory.region[1], 1);
	assert_int_equal(frontend_set_vring_num(frontend, 1, 16), 0);
	assert_int_equal(frontend_set_vring_addr(frontend, &addr), 0);
	assert_int_not_equal(frontend_set_vring_kick(frontend, 1, ring->kick), 0);
	frontend_set_mem_table(frontend, guest->memory.region, guest->memory.count);
	assert_int_equal(frontend_set_vring_kick(frontend, 1, ring->kick), 0);
	assert_int_equal(frontend_set_vring_enable(frontend, 1, 1), 0);
	bed_print(guest, "found");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(regions_out_of_range_are_refused),
	    BED_TEST(overlapping_regions_are_refused),
	    BED_TEST(touching_regions_are_accepted),
	    BED_TEST(regions_of_other_files_are_refused),
	    BED_TEST(kick_call_and_err_must_be_eventfds),
	    BED_TEST(the_backend_channel_must_be_a_socket),
	    BED_TEST(one_bad_file_refuses_the_table),
	    BED_TEST(misaligned_rings_are_refused),
	    BED_TEST(rings_outside_of_memory_are_refused),
	    BED_TEST(addresses_may_come_before_memory),
	};

	return BED_RUN(tests);
}
