/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what each kind of operation does, and that its function is called once for each time it
 * was armed, with what the system call of the same name would have returned.
 */
#include "unit.h"

#include "base/fd.h"
#include "base/macros.h"
#include "lingering.h"
#include "loop/discard.h"
#include "turning.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>

struct fixture {
	struct loop *loop;
	struct watched_scope scope;
	struct watched a, b;
	int pair[2];
};

static void set_up_with(struct fixture *f, const int pair[2])
{
	f->loop = turning_loop();
	watched_scope_init(&f->scope, f->loop);
	watched_init(&f->a, &f->scope.scope);
	watched_init(&f->b, &f->scope.scope);
	f->pair[0] = pair[0];
	f->pair[1] = pair[1];
}

static void set_up_pipe(struct fixture *f)
{
	int pair[2];

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	set_up_with(f, pair);
}

static void set_up_sockets(struct fixture *f)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	set_up_with(f, pair);
}

static void tear_down(struct fixture *f)
{
	watched_scope_end(&f->scope);
	loop_free(f->loop);
	close(f->pair[0]);
	close(f->pair[1]);
}

TEST(a_read_waits_for_bytes_and_returns_their_number)
{
	struct fixture f;
	char bytes[8];

	set_up_pipe(&f);
	loop_arm_read(&f.a.op, f.pair[0], bytes, sizeof(bytes));
	turn_some(f.loop);
	assert_int_equal(f.a.calls, 0);
	assert_int_equal(write(f.pair[1], "hello", 5), 5);
	turn_until(f.loop, f.a.calls);
	assert_int_equal(f.a.calls, 1);
	assert_int_equal(f.a.res, 5);
	assert_memory_equal(bytes, "hello", 5);
	tear_down(&f);
}

TEST(reads_and_writes_of_a_file_go_on_at_its_position)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	struct fixture f;
	char bytes[8];

	set_up_pipe(&f);
	loop_arm_write(&f.a.op, fd, "abc", 3);
	turn_until(f.loop, f.a.calls == 1);
	loop_arm_write(&f.a.op, fd, "def", 3);
	turn_until(f.loop, f.a.calls == 2);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 6);
	lseek(fd, 1, SEEK_SET);
	loop_arm_read(&f.a.op, fd, bytes, 2);
	turn_until(f.loop, f.a.calls == 3);
	loop_arm_read(&f.a.op, fd, bytes + 2, 6);
	turn_until(f.loop, f.a.calls == 4);
	assert_int_equal(f.a.res, 3);
	assert_memory_equal(bytes, "bcdef", 5);
	loop_arm_read(&f.a.op, fd, bytes, 1);
	turn_until(f.loop, f.a.calls == 5);
	assert_int_equal(f.a.res, 0);
	tear_down(&f);
	close(fd);
}

TEST(a_write_returns_what_was_taken)
{
	struct fixture f;
	char bytes[8];

	set_up_pipe(&f);
	loop_arm_write(&f.a.op, f.pair[1], "abcd", 4);
	turn_until(f.loop, f.a.calls);
	assert_int_equal(f.a.res, 4);
	assert_int_equal(read(f.pair[0], bytes, 8), 4);
	assert_memory_equal(bytes, "abcd", 4);
	tear_down(&f);
}

TEST(a_receive_that_does_not_wait_says_eagain)
{
	struct fixture f;
	char bytes[8];

	set_up_sockets(&f);
	loop_arm_recv(&f.a.op, f.pair[0], bytes, sizeof(bytes), MSG_DONTWAIT);
	turn_until(f.loop, f.a.calls);
	assert_int_equal(f.a.res, -EAGAIN);
	loop_arm_recv(&f.a.op, f.pair[0], bytes, 4, 0);
	turn_some(f.loop);
	assert_int_equal(f.a.calls, 1);
	assert_int_equal(send(f.pair[1], "abcdef", 6, 0), 6);
	turn_until(f.loop, f.a.calls == 2);
	assert_int_equal(f.a.res, 4);
	loop_arm_recv(&f.a.op, f.pair[0], bytes, sizeof(bytes), MSG_PEEK);
	turn_until(f.loop, f.a.calls == 3);
	assert_int_equal(f.a.res, 2);
	close(f.pair[1]);
	f.pair[1] = -1;
	loop_arm_recv(&f.a.op, f.pair[0], bytes, sizeof(bytes), 0);
	turn_until(f.loop, f.a.calls == 4);
	loop_arm_recv(&f.a.op, f.pair[0], bytes, sizeof(bytes), 0);
	turn_until(f.loop, f.a.calls == 5);
	assert_int_equal(f.a.res, 0);
	tear_down(&f);
}

static int passed_fd(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd;

	assert_non_null(c);
	assert_int_equal(c->cmsg_len, CMSG_LEN(sizeof(fd)));
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

TEST(messages_carry_bytes_and_descriptors)
{
	_Alignas(struct cmsghdr) char out[CMSG_SPACE(sizeof(int))] = {0}, in[sizeof(out)];
	char sent[] = "xyz", got[8];
	struct iovec iov[2] = {{sent, 3}, {got, sizeof(got)}};
	struct msghdr send = {
	    .msg_iov = &iov[0], .msg_iovlen = 1, .msg_control = out, .msg_controllen = sizeof(out)};
	struct msghdr receive = {
	    .msg_iov = &iov[1], .msg_iovlen = 1, .msg_control = in, .msg_controllen = sizeof(in)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&send);
	struct fixture f;
	int fd;

	set_up_sockets(&f);
	*c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(c), &f.pair[0], sizeof(int));
	loop_arm_recvmsg(&f.a.op, f.pair[0], &receive, MSG_CMSG_CLOEXEC);
	loop_arm_sendmsg(&f.b.op, f.pair[1], &send, MSG_NOSIGNAL);
	turn_until(f.loop, f.a.calls && f.b.calls);
	assert_int_equal(f.a.res, 3);
	assert_int_equal(f.b.res, 3);
	assert_memory_equal(got, "xyz", 3);
	fd = passed_fd(&receive);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
	tear_down(&f);
}

TEST(a_send_to_one_who_has_gone_is_an_error_and_no_signal)
{
	struct iovec iov = {(char[]){"x"}, 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct fixture f;

	set_up_sockets(&f);
	close(f.pair[1]);
	f.pair[1] = -1;
	loop_arm_sendmsg(&f.a.op, f.pair[0], &msg, MSG_NOSIGNAL);
	turn_until(f.loop, f.a.calls);
	assert_int_equal(f.a.res, -EPIPE);
	tear_down(&f);
}

TEST(an_accept_waits_for_a_connection)
{
	/* An abstract name: no file. */
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct fixture f;
	int listener, client;

	set_up_pipe(&f);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(
	    getsockname(listener, (struct sockaddr *)&addr, &(socklen_t){sizeof(addr)}), 0);
	loop_arm_accept(&f.a.op, listener);
	turn_some(f.loop);
	assert_int_equal(f.a.calls, 0);
	client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&addr,
	                         sizeof(sa_family_t) + 6 /* NUL and five digits */),
	                 0);
	turn_until(f.loop, f.a.calls);
	assert_true(f.a.res >= 0);
	assert_int_equal(fcntl(f.a.res, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(f.a.res);
	close(client);
	tear_down(&f);
	close(listener);
}

TEST(a_poll_completes_once_with_the_events_asked_for)
{
	struct fixture f;

	set_up_sockets(&f);
	loop_arm_poll(&f.a.op, f.pair[0], POLLIN);
	turn_some(f.loop);
	assert_int_equal(f.a.calls, 0);
	assert_int_equal(send(f.pair[1], "x", 1, 0), 1);
	turn_until(f.loop, f.a.calls);
	assert_int_equal(f.a.res, POLLIN);
	assert_int_equal(send(f.pair[1], "y", 1, 0), 1);
	turn_some(f.loop);
	assert_int_equal(f.a.calls, 1);
	/* It is level triggered: what is there already counts. */
	loop_arm_poll(&f.a.op, f.pair[0], POLLIN);
	turn_until(f.loop, f.a.calls == 2);
	loop_arm_poll(&f.b.op, f.pair[0], POLLOUT);
	turn_until(f.loop, f.b.calls);
	assert_int_equal(f.b.res, POLLOUT);
	tear_down(&f);
}

TEST(a_poll_for_nothing_completes_at_the_hangup_only)
{
	struct fixture f;

	set_up_sockets(&f);
	loop_arm_poll(&f.a.op, f.pair[0], 0);
	assert_int_equal(send(f.pair[1], "x", 1, 0), 1);
	turn_some(f.loop);
	assert_int_equal(f.a.calls, 0);
	close(f.pair[1]);
	f.pair[1] = -1;
	turn_until(f.loop, f.a.calls);
	assert_int_equal(f.a.res & POLLHUP, POLLHUP);
	assert_int_equal(f.a.res & POLLIN, 0);
	tear_down(&f);
}

/* Timers that write down the order in which they complete. */
struct named_timer {
	struct loop_timer timer;
	char name;
};

static char timer_order[8];

static void on_named_timer(struct loop_op *op, int32_t res)
{
	struct named_timer *named = (struct named_timer *)(void *)op; /* op is the first member */

	timer_order[strlen(timer_order)] = res == -ETIME ? named->name : '!';
}

/* POLLRDHUP, which the kernel adds to whatever is asked for: so nobody may poll for nothing twice.
 */
TEST(a_poll_for_nothing_completes_when_the_peer_sends_no_more)
{
	struct fixture f;

	set_up_sockets(&f);
	loop_arm_poll(&f.a.op, f.pair[0], 0);
	turn_some(f.loop);
	assert_true(f.a.op.armed);
	assert_int_equal(shutdown(f.pair[1], SHUT_WR), 0);
	turn_until(f.loop, !f.a.op.armed);
	assert_int_equal(f.a.res, POLLRDHUP);
	tear_down(&f);
}

TEST(timers_complete_with_etime_in_the_order_of_their_times)
{
	/* Far apart: a slow machine takes its time between the first and the last arming. */
	static const uint64_t ms[] = {400, 150, 0, 1000000};
	struct named_timer timers[ROWS(ms)];
	uint64_t began = support_now_ms();
	struct fixture f;

	set_up_pipe(&f);
	memset(timer_order, 0, sizeof(timer_order));
	for (unsigned int i = 0; i < ROWS(ms); i++) {
		loop_timer_init(&timers[i].timer, &f.scope.scope, on_named_timer);
		timers[i].name = (char)('a' + i);
		loop_timer_arm(&timers[i].timer, ms[i]);
	}
	turn_until(f.loop, strlen(timer_order) == 3);
	assert_string_equal(timer_order, "cba");
	/* Never early: these clocks are the same. */
	assert_true(support_now_ms() >= began + 400);
	assert_true(loop_now_ms(f.loop) >= began + 400);
	tear_down(&f);
	assert_string_equal(timer_order, "cba!");
}

/* Without anything else to do a turn that waits sleeps until something completes. */
TEST(a_turn_that_waits_ends_with_a_completion)
{
	struct named_timer named = {.name = 'x'};
	struct fixture f;

	set_up_pipe(&f);
	memset(timer_order, 0, sizeof(timer_order));
	loop_timer_init(&named.timer, &f.scope.scope, on_named_timer);
	for (unsigned int i = 1; i <= 3; i++) {
		uint64_t before = loop_completions(f.loop);
		unsigned int turns = 0;

		loop_timer_arm(&named.timer, 20);
		for (; loop_completions(f.loop) == before; turns++)
			assert_int_equal(loop_turn(f.loop, true), 0);
		/* One to arm it and sleep; a signal may have ended another early. */
		assert_in_range(turns, 1, 5);
	}
	tear_down(&f);
}

TEST(what_cannot_be_done_is_told_by_the_result)
{
	struct fixture f;
	char byte;

	set_up_pipe(&f);
	loop_arm_read(&f.a.op, -1, &byte, 1);
	turn_until(f.loop, f.a.calls);
	assert_int_equal(f.a.res, -EBADF);
	loop_arm_recv(&f.a.op, f.pair[0], &byte, 1, 0);
	turn_until(f.loop, f.a.calls == 2);
	assert_int_equal(f.a.res, -ENOTSOCK);
	loop_arm_write(&f.a.op, f.pair[0], &byte, 1);
	turn_until(f.loop, f.a.calls == 3);
	assert_int_equal(f.a.res, -EBADF);
	tear_down(&f);
}

TEST(an_op_may_be_armed_again_in_its_own_function)
{
	struct fixture f;

	set_up_pipe(&f);
	for (unsigned int i = 1; i <= 100; i++) {
		loop_arm_write(&f.a.op, f.pair[1], "x", 1);
		turn_until(f.loop, f.a.calls == i);
	}
	assert_int_equal(loop_completions(f.loop), 100);
	tear_down(&f);
}

/* What two peers have sent. */
struct discarding {
	struct fixture f;
	struct loop_discards peers[2];
	unsigned int emptied[2];
};

static struct discarding *the_discarding;

static void on_emptied(struct loop_discards *discards)
{
	assert_true(loop_discards_empty(discards));
	the_discarding->emptied[discards - the_discarding->peers]++;
}

static void set_up_discarding(struct discarding *d)
{
	the_discarding = d;
	*d = (struct discarding){0};
	set_up_pipe(&d->f);
	for (unsigned int i = 0; i < 2; i++)
		loop_discards_init(&d->peers[i], d->f.loop, on_emptied);
}

static int discard_copy(struct discarding *d, unsigned int peer)
{
	int fd = fcntl(d->f.pair[0], F_DUPFD_CLOEXEC, 0), copy = fd;

	fd_discard(&d->peers[peer].discarder, &copy);
	assert_int_equal(copy, -1);
	assert_false(loop_discards_empty(&d->peers[peer]));
	return fd;
}

/* Not here and now: it may take long. */
TEST(what_is_discarded_is_closed_by_a_thread)
{
	struct discarding d;
	int fd;

	set_up_discarding(&d);
	for (unsigned int i = 1; i <= 100; i++) {
		fd = discard_copy(&d, 0);
		assert_int_not_equal(fcntl(fd, F_GETFD), -1);
		assert_int_equal(loop_discards(d.f.loop), 1);
		turn_until(d.f.loop, d.emptied[0] == i);
		assert_int_equal(fcntl(fd, F_GETFD), -1);
		assert_int_equal(loop_discards(d.f.loop), 0);
	}
	/* Many at once: in turn. */
	for (unsigned int i = 0; i < 100; i++)
		discard_copy(&d, 0);
	turn_until(d.f.loop, d.emptied[0] > 100);
	turn_some(d.f.loop);
	assert_int_equal(d.emptied[0], 101);
	assert_int_equal(loop_discards(d.f.loop), 0);
	/* The end waits for those on the way. */
	fd = discard_copy(&d, 1);
	tear_down(&d.f);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fd_discard(&d.peers[0].discarder, &(int){-1});
}

static bool is_mapped(void *map, size_t len)
{
	static unsigned char in_core[1 << 14];

	return mincore(map, len, in_core) == 0 || errno != ENOMEM;
}

/* It takes long for what was touched. More than one piece, and one that isn't whole. */
TEST(what_was_mapped_is_unmapped_by_a_thread)
{
	const size_t len = (40 << 20) + 4096;
	struct discarding d;
	uint8_t *map;

	set_up_discarding(&d);
	for (unsigned int i = 1; i <= 3; i++) {
		map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(map, MAP_FAILED);
		map[0] = map[len - 1] = 1;
		fd_discard_map(&d.peers[0].discarder, map, len);
		assert_true(is_mapped(map, len));
		assert_int_equal(map[len - 1], 1);
		turn_until(d.f.loop, d.emptied[0] == i);
		assert_false(is_mapped(map, len));
	}
	/* With nobody to do it later it is done at once. */
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fd_discard_map(NULL, map, len);
	assert_false(is_mapped(map, len));
	tear_down(&d.f);
}

/* However long it takes: the other peer's are closed meanwhile, and files are written to. */
TEST(what_one_peer_has_sent_is_in_nobody_elses_way)
{
	struct discarding d;
	int peer, fd = lingering_socket(&peer), file = memfd_create("file", MFD_CLOEXEC);

	set_up_discarding(&d);
	fd_discard(&d.peers[0].discarder, &fd);
	for (unsigned int i = 0; i < 10; i++)
		discard_copy(&d, 0);
	for (unsigned int i = 1; i <= 10; i++) {
		discard_copy(&d, 1);
		turn_until(d.f.loop, d.emptied[1] == i);
		loop_arm_write(&d.f.a.op, file, "x", 1);
		turn_until(d.f.loop, d.f.a.calls == i);
		assert_int_equal(d.f.a.res, 1);
	}
	assert_int_equal(d.emptied[0], 0);
	assert_int_equal(loop_discards(d.f.loop), 11);
	close(peer); /* what lingers has nobody left to wait for */
	turn_until(d.f.loop, d.emptied[0] > 0);
	assert_int_equal(loop_discards(d.f.loop), 0);
	tear_down(&d.f);
	close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_read_waits_for_bytes_and_returns_their_number),
	    UNIT(reads_and_writes_of_a_file_go_on_at_its_position),
	    UNIT(a_write_returns_what_was_taken),
	    UNIT(a_receive_that_does_not_wait_says_eagain),
	    UNIT(messages_carry_bytes_and_descriptors),
	    UNIT(a_send_to_one_who_has_gone_is_an_error_and_no_signal),
	    UNIT(an_accept_waits_for_a_connection),
	    UNIT(a_poll_completes_once_with_the_events_asked_for),
	    UNIT(a_poll_for_nothing_completes_at_the_hangup_only),
	    UNIT(a_poll_for_nothing_completes_when_the_peer_sends_no_more),
	    UNIT(timers_complete_with_etime_in_the_order_of_their_times),
	    UNIT(a_turn_that_waits_ends_with_a_completion),
	    UNIT(what_cannot_be_done_is_told_by_the_result),
	    UNIT(an_op_may_be_armed_again_in_its_own_function),
	    UNIT(what_is_discarded_is_closed_by_a_thread),
	    UNIT(what_was_mapped_is_unmapped_by_a_thread),
	    UNIT(what_one_peer_has_sent_is_in_nobody_elses_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
