/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the ring's restrictions: each operation that the loop uses works once the ring is enabled,
 * every other gets -EACCES from the kernel; the register operations of the ring's life work, every
 * other is refused.
 *
 * Includes loop.c, whose ring and lists these are.
 */
#include "unit.h"

/* NOLINTBEGIN(bugprone-suspicious-include): what the head says. */
#include "loop/discard.c"
#include "loop/loop.c"
#include "loop/loop_tasks.c"
/* NOLINTEND(bugprone-suspicious-include) */

#include "turning.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* Written anew on purpose: a list that grows unseen would make this test pass. */
static const uint8_t expected_ops[] = {
    IORING_OP_READ,     IORING_OP_WRITE,   IORING_OP_RECV,
    IORING_OP_RECVMSG,  IORING_OP_SENDMSG, IORING_OP_ACCEPT,
    IORING_OP_POLL_ADD, IORING_OP_TIMEOUT, IORING_OP_ASYNC_CANCEL,
};

static bool is_expected(unsigned int opcode)
{
	return memchr(expected_ops, (int)opcode, sizeof(expected_ops)) != NULL;
}

/* Submits one raw entry and returns its result. */
static int32_t run_entry(struct loop *loop, const struct io_uring_sqe *entry)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);
	struct io_uring_cqe *cqe;
	int32_t res;

	*sqe = *entry;
	assert_int_equal(io_uring_submit_and_wait(&loop->ring, 1), 1);
	assert_int_equal(io_uring_peek_cqe(&loop->ring, &cqe), 0);
	res = cqe->res;
	io_uring_cqe_seen(&loop->ring, cqe);
	return res;
}

TEST(every_other_operation_is_forbidden)
{
	struct loop *loop = turning_loop();

	for (unsigned int opcode = 0; opcode < IORING_OP_LAST; opcode++) {
		struct io_uring_sqe entry = {.opcode = (uint8_t)opcode, .fd = -1};
		int32_t res;

		if (is_expected(opcode))
			continue;
		res = run_entry(loop, &entry);
		if (res != -EACCES)
			fail_msg("opcode %u: %d, not -EACCES", opcode, res);
	}
	loop_free(loop);
}

/* With a wrong descriptor or argument: any answer but that it is forbidden. */
TEST(no_operation_of_ours_is_forbidden)
{
	struct loop *loop = turning_loop();

	for (unsigned int i = 0; i < ROWS(expected_ops); i++) {
		struct io_uring_sqe entry = {.opcode = expected_ops[i], .fd = -1};
		int32_t res = run_entry(loop, &entry);

		if (res == -EACCES)
			fail_msg("opcode %u is forbidden", expected_ops[i]);
	}
	loop_free(loop);
}

TEST(flags_that_change_an_entry_are_forbidden)
{
	static const uint8_t flags[] = {IOSQE_FIXED_FILE,  IOSQE_IO_DRAIN, IOSQE_IO_LINK,
	                                IOSQE_IO_HARDLINK, IOSQE_ASYNC,    IOSQE_BUFFER_SELECT};
	struct loop *loop = turning_loop();

	for (unsigned int i = 0; i < ROWS(flags); i++) {
		struct io_uring_sqe entry = {.opcode = IORING_OP_READ, .fd = -1, .flags = flags[i]};

		assert_int_equal(run_entry(loop, &entry), -EACCES);
	}
	loop_free(loop);
}

static const uint8_t expected_registers[] = {IORING_REGISTER_RING_FDS, IORING_UNREGISTER_RING_FDS};

TEST(every_other_register_operation_is_forbidden)
{
	struct loop *loop = turning_loop();
	unsigned int fd = (unsigned int)loop->ring.ring_fd;

	for (unsigned int opcode = 0; opcode < IORING_REGISTER_LAST; opcode++) {
		int r;

		if (memchr(expected_registers, (int)opcode, sizeof(expected_registers)))
			continue;
		r = io_uring_register(fd, opcode, NULL, 0);
		if (r != -EACCES)
			fail_msg("register operation %u: %d, not -EACCES", opcode, r);
	}
	loop_free(loop);
}

TEST(the_register_operations_of_the_rings_life_work)
{
	struct loop *loop = turning_loop();
	struct watched_scope scope;
	struct watched op;

	assert_int_equal(io_uring_unregister_ring_fd(&loop->ring), 1);
	assert_int_equal(io_uring_register_ring_fd(&loop->ring), 1);
	watched_scope_init(&scope, loop);
	watched_init(&op, &scope.scope);
	loop_arm_poll(&op.op, STDERR_FILENO, POLLOUT);
	turn_until(loop, op.calls);
	watched_scope_end(&scope);
	loop_free(loop);
}

/* Each operation as the loop prepares it. */
struct use {
	struct watched_scope scope;
	struct watched op;
	int pair[2];
	char bytes[4];
	struct iovec iov;
	struct msghdr msg;
	struct loop_timer timer;
};

static void use_read(struct use *use)
{
	loop_arm_read(&use->op.op, use->pair[0], use->bytes, 2);
}

static void use_write(struct use *use)
{
	loop_arm_write(&use->op.op, use->pair[0], use->bytes, 2);
}

static void use_recv(struct use *use)
{
	loop_arm_recv(&use->op.op, use->pair[0], use->bytes, 2, 0);
}

static void use_recvmsg(struct use *use)
{
	loop_arm_recvmsg(&use->op.op, use->pair[0], &use->msg, 0);
}

static void use_sendmsg(struct use *use)
{
	loop_arm_sendmsg(&use->op.op, use->pair[0], &use->msg, 0);
}

static void use_poll(struct use *use)
{
	loop_arm_poll(&use->op.op, use->pair[0], POLLIN);
}

static void use_accept(struct use *use)
{
	loop_arm_accept(&use->op.op, use->pair[0]);
}

static void use_cancel(struct use *use)
{
	loop_arm_poll(&use->op.op, use->pair[0], POLLPRI);
	loop_cancel(&use->op.op);
}

TEST(each_operation_works_on_the_enabled_ring)
{
	static const struct {
		void (*arm)(struct use *use);
		int32_t res;
	} rows[] = {
	    {use_read, 2},
	    {use_write, 2},
	    {use_recv, 2},
	    {use_recvmsg, 2},
	    {use_sendmsg, 2},
	    {use_poll, POLLIN},
	    {use_accept, -EINVAL /* it doesn't listen */},
	    {use_cancel, -ECANCELED},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct loop *loop = turning_loop();
		struct use use = {.bytes = "xy"};

		use.iov = (struct iovec){use.bytes, 2};
		use.msg = (struct msghdr){.msg_iov = &use.iov, .msg_iovlen = 1};
		watched_scope_init(&use.scope, loop);
		watched_init(&use.op, &use.scope.scope);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, use.pair), 0);
		assert_int_equal(write(use.pair[1], "ab", 2), 2);
		rows[i].arm(&use);
		turn_until(loop, use.op.calls);
		if (use.op.res != rows[i].res)
			fail_msg("row %zu: %d", i, use.op.res);
		watched_scope_end(&use.scope);
		loop_free(loop);
		close(use.pair[0]);
		close(use.pair[1]);
	}
}

static int32_t timer_result;

static void on_timer(struct loop_op *op, int32_t res)
{
	(void)op;
	timer_result = res;
}

TEST(timers_work_on_the_enabled_ring)
{
	struct loop *loop = turning_loop();
	struct watched_scope scope;
	struct loop_timer timer;

	timer_result = 0;
	watched_scope_init(&scope, loop);
	loop_timer_init(&timer, &scope.scope, on_timer);
	loop_timer_arm(&timer, 0);
	turn_until(loop, timer_result == -ETIME);
	watched_scope_end(&scope);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(every_other_operation_is_forbidden),
	    UNIT(no_operation_of_ours_is_forbidden),
	    UNIT(flags_that_change_an_entry_are_forbidden),
	    UNIT(every_other_register_operation_is_forbidden),
	    UNIT(the_register_operations_of_the_rings_life_work),
	    UNIT(each_operation_works_on_the_enabled_ring),
	    UNIT(timers_work_on_the_enabled_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
