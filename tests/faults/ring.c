/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * io_uring's requests that fail as planned.
 *
 * What a request is answered with comes from the kernel, by memory. So the request that is to fail
 * is made one for a time-out of no time just before it is handed over, and that one's completion is
 * given the wanted error before the program sees it. What was asked for has not been done then, as
 * with a real failure: no byte, no descriptor is lost.
 *
 * And the ring can be made small (plan_entries()): its queues then are full all the time.
 */
#include "plan.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stddef.h>
#include <sys/stat.h>

/* The most requests that are on their way to fail at a time. */
#define FAILING_MAX 256u

static struct {
	uint64_t user_data;
	int error;
} failing[FAILING_MAX];

static struct __kernel_timespec no_time;

static bool is_file(int fd)
{
	struct stat st;
	int r = fstatat(fd, "", &st, AT_EMPTY_PATH);

	return r == 0 && S_ISREG(st.st_mode);
}

/* What a system that is short of something says to that request; 0: it is let through. */
static int shortage(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_ACCEPT:
		return -EMFILE;
	case IORING_OP_WRITE:
		return is_file(sqe->fd) ? -ENOSPC : -ENOMEM;
	case IORING_OP_READ:
		return -ENOMEM;
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
	case IORING_OP_SENDMSG:
		return -ENOBUFS;
	case IORING_OP_POLL_ADD:
		return -ENOMEM;
	default:
		return 0;
	}
}

/* What a signal does to that request. */
static int interruption(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_TIMEOUT:
	case IORING_OP_ASYNC_CANCEL:
	case IORING_OP_POLL_ADD: /* never, by the kernel's io_uring/poll.c */
		return 0;
	default:
		return -EINTR;
	}
}

static int planned_error(const struct io_uring_sqe *sqe)
{
	int error = shortage(sqe);

	if (error && plan_fails(PLAN_RING))
		return error;
	error = interruption(sqe);
	return error && plan_fails(PLAN_INTERRUPTS) ? error : 0;
}

static void make_fail(struct io_uring_sqe *sqe, int error)
{
	uint64_t user_data = sqe->user_data;
	unsigned int i = 0;

	while (i < FAILING_MAX && failing[i].error)
		i++;
	assert(i < FAILING_MAX);
	failing[i].user_data = user_data;
	failing[i].error = error;
	io_uring_prep_timeout(sqe, &no_time, 0, 0);
	sqe->user_data = user_data;
}

static void before_submit(struct io_uring *ring)
{
	struct io_uring_sq *sq = &ring->sq;

	for (unsigned int i = sq->sqe_head; i != sq->sqe_tail; i++) {
		struct io_uring_sqe *sqe = &sq->sqes[i & *sq->kring_mask];
		int error = planned_error(sqe);

		if (error)
			make_fail(sqe, error);
	}
}

/* A cancelled one keeps its answer, too. */
static void judge(struct io_uring_cqe *cqe)
{
	for (unsigned int i = 0; i < FAILING_MAX; i++) {
		if (!failing[i].error || failing[i].user_data != cqe->user_data)
			continue;
		if (cqe->res == -ETIME)
			cqe->res = failing[i].error;
		failing[i].error = 0;
		return;
	}
}

static void after_enter(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned int head;

	io_uring_for_each_cqe(ring, head, cqe) judge(cqe);
}

/* What entering the kernel fails with; 0: it doesn't. Nothing is handed over then. */
static int entering_fails(void)
{
	static bool busy;

	if (plan_fails(PLAN_INTERRUPTS))
		return -EINTR;
	if (!plan_fails(PLAN_ENTER))
		return 0;
	busy = !busy;
	return busy ? -EBUSY : -EAGAIN;
}

#define WRAP(name, params, args)                                                                   \
	int __real_##name params;                                                                  \
	int __wrap_##name params;                                                                  \
	int __wrap_##name params                                                                   \
	{                                                                                          \
		int r = entering_fails();                                                          \
                                                                                                   \
		if (r < 0)                                                                         \
			return r;                                                                  \
		before_submit(ring);                                                               \
		r = __real_##name args;                                                            \
		after_enter(ring);                                                                 \
		return r;                                                                          \
	}

WRAP(io_uring_submit, (struct io_uring * ring), (ring))
WRAP(io_uring_submit_and_get_events, (struct io_uring * ring), (ring))
WRAP(io_uring_submit_and_wait, (struct io_uring * ring, unsigned int count), (ring, count))

int __real_io_uring_wait_cqe_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                     struct __kernel_timespec *time);
int __wrap_io_uring_wait_cqe_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                     struct __kernel_timespec *time);
int __wrap_io_uring_wait_cqe_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                     struct __kernel_timespec *time)
{
	int r = __real_io_uring_wait_cqe_timeout(ring, cqe, time);

	after_enter(ring);
	return r;
}

int __real_io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
                                      struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
                                      struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
                                      struct io_uring_params *params)
{
	if (plan_fails(PLAN_MEMORY))
		return -ENOMEM;
	if (plan_entries() > 0)
		params->cq_entries = entries = plan_entries();
	return __real_io_uring_queue_init_params(entries, ring, params);
}
