/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the rules of file descriptors: each is closed exactly once, whoever takes one out of a bag
 * owns it, and each kind that a peer may send is told from all others.
 */
#include "unit.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/magic.h>

#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif

/* The calls that a file system of somebody's own answers when it likes. */
static unsigned int stats;

int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __real_fstatfs(int fd, struct statfs *fs);
int __wrap_fstatfs(int fd, struct statfs *fs);

int __wrap_fstat(int fd, struct stat *st)
{
	stats++;
	return __real_fstat(fd, st);
}

int __wrap_fstatfs(int fd, struct statfs *fs)
{
	stats++;
	return __real_fstatfs(fd, fs);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool linux_is_at_least(unsigned int major, unsigned int minor)
{
	unsigned long got_major, got_minor;
	struct utsname name;
	char *end;

	uname(&name);
	got_major = strtoul(name.release, &end, 10);
	assert_true(*end == '.');
	got_minor = strtoul(end + 1, NULL, 10);
	return got_major > major || (got_major == major && got_minor >= minor);
}

static int make_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int make_signalfd(void)
{
	sigset_t none;

	sigemptyset(&none);
	return signalfd(-1, &none, SFD_CLOEXEC);
}

static int make_timerfd(void)
{
	return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
}

static int make_epoll(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int make_memfd(void)
{
	return memfd_create("kind", MFD_CLOEXEC);
}

/* A file that is called what an eventfd is called. */
static int make_impostor(void)
{
	return memfd_create("anon_inode:[eventfd]", MFD_CLOEXEC);
}

static int one_of(int pair[2])
{
	close(pair[1]);
	return pair[0];
}

static int make_pipe(void)
{
	int pair[2];

	return pipe2(pair, O_CLOEXEC) < 0 ? -1 : one_of(pair);
}

static int make_socket(int type)
{
	int pair[2];

	return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0 ? -1 : one_of(pair);
}

static int make_stream(void)
{
	return make_socket(SOCK_STREAM);
}

static int make_unconnected(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* Both ends of a connection to a listening socket; false if there is none. */
static bool connect_two(int ret_ends[2])
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(name.sun_family);
	int listening = make_unconnected();

	/* Bound without a path, it is given a name of the system's. */
	if (bind(listening, (struct sockaddr *)&name, len) < 0 || listen(listening, 1) < 0)
		return false;
	len = sizeof(name);
	ret_ends[0] = make_unconnected();
	if (getsockname(listening, (struct sockaddr *)&name, &len) < 0 ||
	    connect(ret_ends[0], (struct sockaddr *)&name, len) < 0)
		return false;
	ret_ends[1] = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	close(listening);
	return ret_ends[1] >= 0;
}

static int make_connected(void)
{
	int ends[2];

	if (!connect_two(ends))
		return -1;
	close(ends[1]);
	return ends[0];
}

static int make_accepted(void)
{
	int ends[2];

	if (!connect_two(ends))
		return -1;
	close(ends[0]);
	return ends[1];
}

static int make_packets(void)
{
	return make_socket(SOCK_SEQPACKET);
}

static int make_datagrams(void)
{
	return make_socket(SOCK_DGRAM);
}

static int make_tcp(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int make_null(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int make_folder(void)
{
	return open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int make_proc(void)
{
	return open("/proc/self/status", O_RDONLY | O_CLOEXEC);
}

static int make_program(void)
{
	return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

TEST(each_kind_is_told_from_all_others)
{
	static const struct {
		const char *name;
		int (*make)(void);
		bool eventfd, stream, pair, memory, channel;
	} rows[] = {
	    {"eventfd", make_eventfd, .eventfd = true},
	    {"memfd", make_memfd, .memory = true, .channel = true},
	    {"memfd with an eventfd's name", make_impostor, .memory = true, .channel = true},
	    {"Unix stream socket", make_stream, .stream = true, .pair = true, .channel = true},
	    {"one that isn't connected", make_unconnected, .stream = true},
	    {"one that is connected", make_connected, .stream = true},
	    {"one that was accepted", make_accepted, .stream = true, .pair = true, .channel = true},
	    {"TCP socket", make_tcp},
	    {"seqpacket socket", make_packets},
	    {"datagram socket", make_datagrams},
	    {"pipe", make_pipe, .channel = true},
	    {"signalfd", make_signalfd},
	    {"timerfd", make_timerfd},
	    {"epoll", make_epoll},
	    {"/dev/null", make_null},
	    {"folder", make_folder},
	    {"proc file", make_proc},
	    {"file on a disk", make_program},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uint64_t size, page_size;
		int fd = rows[i].make();

		if (fd < 0)
			fail_msg("can't make a %s", rows[i].name);
		/* In a guest without a disk, it isn't on one. */
		if (rows[i].make == make_program && fcntl(fd, F_GET_SEALS) >= 0) {
			close(fd);
			continue;
		}
		stats = 0;
		if (fd_is_eventfd(fd) != rows[i].eventfd ||
		    fd_is_unix_stream(fd) != rows[i].stream || fd_is_of_pair(fd) != rows[i].pair ||
		    (fd_inspect_memory(fd, &size, &page_size) == 0) != rows[i].memory ||
		    fd_is_channel(fd) != rows[i].channel)
			fail_msg("%s: taken for another kind", rows[i].name);
		/* Where it isn't known that it lies in memory, its file system isn't asked. */
		if ((stats > 0) != rows[i].memory)
			fail_msg("%s: %u calls of its file system", rows[i].name, stats);
		close(fd);
	}
}

TEST(a_closed_descriptor_is_of_no_kind)
{
	uint64_t size = 7, page_size = 7;

	assert_false(fd_is_eventfd(-1));
	assert_false(fd_is_unix_stream(-1));
	assert_errno(fd_inspect_memory(-1, &size, &page_size), EBADF);
	assert_int_equal(size, 7);
}

/* Where something is unread, there may be descriptors in it; afterwards nothing comes. */
TEST(input_is_ended_where_none_has_come)
{
	static const int flags[] = {0, MSG_OOB};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_true(fd_end_input(pair[0]));
	assert_true(fd_end_input(pair[0]));
	assert_int_equal(send(pair[1], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(send(pair[0], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), 1);
	close(pair[0]);
	close(pair[1]);
	for (size_t i = 0; i < ROWS(flags); i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		/* Some systems have no bytes out of band here. */
		if (send(pair[1], "x", 1, MSG_NOSIGNAL | flags[i]) == 1)
			assert_false(fd_end_input(pair[0]));
		close(pair[0]);
		close(pair[1]);
	}
	assert_false(fd_end_input(-1));
}

TEST(a_semaphore_is_told_from_other_eventfds)
{
	int plain = eventfd(3, EFD_CLOEXEC), semaphore = eventfd(3, EFD_CLOEXEC | EFD_SEMAPHORE);
	bool told = linux_is_at_least(6, 5);

	assert_int_equal(fd_counts_down(plain), 0);
	assert_int_equal(fd_counts_down(semaphore), told);
	close(plain);
	close(semaphore);
	assert_int_equal(fd_counts_down(semaphore), -ENOENT);
	assert_int_equal(fd_counts_down(-1), -ENOENT);
}

/* To look takes a descriptor: where there is none left, nobody may say that all is well. */
TEST(a_semaphore_is_not_passed_where_nobody_can_look)
{
	int semaphore = eventfd(3, EFD_CLOEXEC | EFD_SEMAPHORE);
	struct rlimit before, none = {0};

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(fd_counts_down(semaphore), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(semaphore);
}

TEST(eventfds_are_told_whatever_their_flags)
{
	static const int flags[] = {0, EFD_NONBLOCK, EFD_SEMAPHORE, EFD_NONBLOCK | EFD_SEMAPHORE};

	for (size_t i = 0; i < ROWS(flags); i++) {
		int fd = eventfd(3, flags[i] | EFD_CLOEXEC);

		assert_true(fd_is_eventfd(fd));
		close(fd);
	}
}

TEST(a_memfd_has_its_size_and_the_systems_pages)
{
	uint64_t size, page_size;
	int fd = make_memfd();

	assert_int_equal(ftruncate(fd, 12345), 0);
	assert_int_equal(fd_inspect_memory(fd, &size, &page_size), 0);
	assert_int_equal(size, 12345);
	assert_int_equal(page_size, sysconf(_SC_PAGESIZE));
	close(fd);
}

static bool lies_on(int fd, long magic)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == magic;
}

TEST(a_file_of_tmpfs_is_memory)
{
	uint64_t size, page_size;
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 || !lies_on(fd, TMPFS_MAGIC)) {
		if (fd >= 0)
			close(fd);
		skip();
	}
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(fd_inspect_memory(fd, &size, &page_size), 0);
	assert_int_equal(size, 8192);
	assert_true(fd_is_channel(fd));
	close(fd);
}

TEST(a_file_of_huge_pages_is_memory_with_their_size)
{
	uint64_t size, page_size;
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | 21u << MFD_HUGE_SHIFT);

	if (fd < 0)
		skip();
	assert_int_equal(ftruncate(fd, 4 << 20), 0);
	assert_int_equal(fd_inspect_memory(fd, &size, &page_size), 0);
	assert_int_equal(size, 4 << 20);
	assert_int_equal(page_size, 2 << 20);
	close(fd);
}

TEST(a_file_on_a_disk_is_no_memory)
{
	uint64_t size = 7, page_size = 7;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || lies_on(fd, TMPFS_MAGIC)) {
		if (fd >= 0)
			close(fd);
		skip();
	}
	assert_errno(fd_inspect_memory(fd, &size, &page_size), EMEDIUMTYPE);
	assert_int_equal(size, 7);
	assert_int_equal(page_size, 7);
	close(fd);
}

TEST(closing_happens_once_and_keeps_errno)
{
	int fd = make_null(), number = fd;

	errno = ENOTTY;
	fd_close(&fd);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(fd, -1);
	assert_false(is_open(number));
	errno = ENOTTY;
	fd_close(&fd);
	assert_int_equal(errno, ENOTTY);
}

TEST(taking_moves_the_descriptor)
{
	int fd = make_null(), number = fd;

	assert_int_equal(fd_take(&fd), number);
	assert_int_equal(fd, -1);
	assert_int_equal(fd_take(&fd), -1);
	assert_true(is_open(number));
	close(number);
}

TEST(replacing_closes_what_was_there)
{
	int fd = make_null(), before = fd, after = make_null();

	fd_replace(&fd, after);
	assert_false(is_open(before));
	assert_int_equal(fd, after);
	fd_replace(&fd, -1);
	assert_false(is_open(after));
	assert_int_equal(fd, -1);
}

TEST(nonblock_is_set_and_other_flags_stay)
{
	int fd = open("/dev/null", O_WRONLY | O_APPEND | O_CLOEXEC);
	int before = fcntl(fd, F_GETFL);

	assert_int_equal(fd_set_nonblock(fd), 0);
	assert_int_equal(fcntl(fd, F_GETFL), before | O_NONBLOCK);
	assert_errno(fd_set_nonblock(-1), EBADF);
	close(fd);
}

/* In a child, whose standard descriptors may be lost. */
TEST(closed_standard_descriptors_are_reserved_and_others_left_alone)
{
	for (unsigned int closed = 0; closed < 8; closed++) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			int other = fcntl(make_memfd(), F_DUPFD, 20);

			for (int fd = 0; fd < 3; fd++) {
				dup2(other, fd);
				if (closed >> fd & 1)
					close(fd);
			}
			if (fd_reserve_standard() != 0)
				_exit(1);
			for (int fd = 0; fd < 3; fd++) {
				uint64_t size, page_size;
				int r = fd_inspect_memory(fd, &size, &page_size);

				if (!is_open(fd) || (r == 0) != !(closed >> fd & 1))
					_exit(2);
			}
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

TEST(a_bag_closes_what_nobody_took)
{
	int numbers[FD_BAG_MAX];
	struct fd_bag bag;

	for (unsigned int taken = 0; taken <= FD_BAG_MAX; taken++) {
		fd_bag_init(&bag, NULL);
		for (unsigned int i = 0; i < FD_BAG_MAX; i++)
			numbers[i] = bag.fd[bag.count++] = make_null();
		for (unsigned int i = 0; i < taken; i++)
			assert_int_equal(fd_bag_take(&bag, i), numbers[i]);
		fd_bag_close(&bag);
		assert_int_equal(bag.count, 0);
		for (unsigned int i = 0; i < FD_BAG_MAX; i++)
			assert_int_equal(is_open(numbers[i]), i < taken);
		for (unsigned int i = 0; i < taken; i++)
			close(numbers[i]);
		fd_bag_close(&bag);
	}
}

TEST(an_empty_bag_closes_nothing)
{
	struct fd_bag bag;

	fd_bag_init(&bag, NULL);
	assert_int_equal(bag.count, 0);
	fd_bag_close(&bag);
	assert_true(is_open(STDERR_FILENO));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(each_kind_is_told_from_all_others),
	    UNIT(a_closed_descriptor_is_of_no_kind),
	    UNIT(input_is_ended_where_none_has_come),
	    UNIT(a_semaphore_is_told_from_other_eventfds),
	    UNIT(a_semaphore_is_not_passed_where_nobody_can_look),
	    UNIT(eventfds_are_told_whatever_their_flags),
	    UNIT(a_memfd_has_its_size_and_the_systems_pages),
	    UNIT(a_file_of_tmpfs_is_memory),
	    UNIT(a_file_of_huge_pages_is_memory_with_their_size),
	    UNIT(a_file_on_a_disk_is_no_memory),
	    UNIT(closing_happens_once_and_keeps_errno),
	    UNIT(taking_moves_the_descriptor),
	    UNIT(replacing_closes_what_was_there),
	    UNIT(nonblock_is_set_and_other_flags_stay),
	    UNIT(closed_standard_descriptors_are_reserved_and_others_left_alone),
	    UNIT(a_bag_closes_what_nobody_took),
	    UNIT(an_empty_bag_closes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
