/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop/loop.h"

#include "base/clock.h"
#include "base/macros.h"
#include "loop/loop_impl.h"

#include <errno.h>
#include <stdlib.h>

/* Workers of the kernel's for what is written to files. */
#define FILE_WORKERS 4u

/* What the ring may do once it is enabled; everything else gets -EACCES from the kernel. */
static const uint8_t allowed_ops[] = {
    IORING_OP_READ,     IORING_OP_WRITE,   IORING_OP_RECV,
    IORING_OP_RECVMSG,  IORING_OP_SENDMSG, IORING_OP_ACCEPT,
    IORING_OP_POLL_ADD, IORING_OP_TIMEOUT, IORING_OP_ASYNC_CANCEL,
};

/* Register operations for the ring's life: liburing gives its own descriptor back at the end. */
static const uint8_t allowed_registers[] = {
    IORING_REGISTER_RING_FDS,
    IORING_UNREGISTER_RING_FDS,
};

static int restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction list[ARRAY_SIZE(allowed_ops) + ARRAY_SIZE(allowed_registers)] =
	    {0};
	unsigned int n = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(allowed_ops); i++, n++) {
		list[n].opcode = IORING_RESTRICTION_SQE_OP;
		list[n].sqe_op = allowed_ops[i];
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(allowed_registers); i++, n++) {
		list[n].opcode = IORING_RESTRICTION_REGISTER_OP;
		list[n].register_op = allowed_registers[i];
	}
	/* liburing 2.3 declares a wrapper for this and for enabling, but doesn't export them. */
	return io_uring_register((unsigned int)ring->ring_fd, IORING_REGISTER_RESTRICTIONS, list,
	                         n);
}

static int set_up_ring(struct io_uring *ring)
{
	/*
	 * Some writes (to regular files) run in a kernel worker: not all are to wait for a slow
	 * disk. Of the other sort, one is enough.
	 */
	unsigned int workers[2] = {FILE_WORKERS, 1};
	int r;

	r = io_uring_register_iowq_max_workers(ring, workers);
	if (r < 0)
		return r;
	r = restrict_ring(ring);
	if (r < 0)
		return r;
	r = io_uring_register((unsigned int)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (r < 0)
		return r;
	/* Saves a file look-up a turn; the loop does as well without. */
	io_uring_register_ring_fd(ring);
	return 0;
}

static void on_shortage_over(struct loop_op *op, int32_t res);
static void on_tidy_time(struct loop_op *op, int32_t res);

int loop_new(struct loop **ret_loop, const struct loop_config *config)
{
	struct io_uring_params params = {
	    .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
	             IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
	    .cq_entries = config->cq_entries,
	};
	struct loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (!loop)
		return -ENOMEM;
	loop_scope_init(&loop->scope, loop, NULL);
	r = loop_closed_init(loop);
	if (r == 0)
		r = loop_asides_init(loop);
	if (r < 0)
		goto fail_closed;
	r = io_uring_queue_init_params(config->entries, &loop->ring, &params);
	if (r < 0)
		goto fail_closed;
	r = set_up_ring(&loop->ring);
	if (r < 0)
		goto fail_ring;
	list_init(&loop->backlog);
	list_init(&loop->work);
	list_init(&loop->flush);
	list_init(&loop->gather);
	list_init(&loop->drainers);
	list_init(&loop->watches);
	list_init(&loop->reliefs);
	list_init(&loop->short_of);
	for (unsigned int i = 0; i < LOOP_FD_ORDERS; i++)
		list_init(&loop->short_of_fds[i]);
	loop_timer_init(&loop->shortage, &loop->scope, on_shortage_over);
	loop_timer_init(&loop->tidy_time, &loop->scope, on_tidy_time);
	loop->tidy = config->tidy;
	loop->watch_ns = LOOP_WATCH_NS;
	loop->gather_ns = LOOP_GATHER_NS;
	loop->now_ms = clock_now_ms();
	*ret_loop = loop;
	return 0;

fail_ring:
	io_uring_queue_exit(&loop->ring);
fail_closed:
	loop_closed_deinit(loop);
	loop_asides_deinit(loop);
	free(loop);
	return r;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	loop_asides_finish(loop);
	loop_closed_deinit(loop);
	loop_asides_deinit(loop);
	assert(list_empty(&loop->backlog));
	assert(list_empty(&loop->drainers));
	assert(list_empty(&loop->short_of));
	for (unsigned int i = 0; i < LOOP_FD_ORDERS; i++)
		assert(list_empty(&loop->short_of_fds[i]));
	io_uring_queue_exit(&loop->ring);
	free(loop);
}

uint64_t loop_now_ms(const struct loop *loop)
{
	return loop->now_ms;
}

uint64_t loop_completions(const struct loop *loop)
{
	return loop->completions;
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

/* The way of an op into the kernel. */

static void fill_entry(struct io_uring_sqe *sqe, struct loop_op *op)
{
	if (op->prepared) {
		/* It is in flight already, so the entry is for its cancelling. */
		io_uring_prep_cancel(sqe, op, 0);
		io_uring_sqe_set_data(sqe, NULL);
		return;
	}
	io_uring_prep_rw(op->opcode, sqe, op->fd, op->buf, op->len, 0);
	switch (op->opcode) {
	case IORING_OP_READ:
	case IORING_OP_WRITE:
		sqe->off = (uint64_t)-1; /* the file's own position, where it has one */
		sqe->rw_flags = (int)op->flags;
		break;
	case IORING_OP_POLL_ADD:
		io_uring_prep_poll_add(sqe, op->fd, op->flags);
		break;
	case IORING_OP_ACCEPT:
		sqe->accept_flags = op->flags;
		break;
	case IORING_OP_TIMEOUT:
		break;
	default:
		sqe->msg_flags = op->flags;
	}
	io_uring_sqe_set_data(sqe, op);
	op->prepared = true;
}

/* The queue being full, hands what is in it to the kernel in the middle of the turn. */
static struct io_uring_sqe *get_entry(struct loop *loop)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);

	if (!sqe) {
		io_uring_submit(&loop->ring);
		sqe = io_uring_get_sqe(&loop->ring);
	}
	return sqe;
}

/* Prepares the op's entry now, or behind those that wait already. */
static void prepare(struct loop_op *op)
{
	struct loop *loop = op->scope->loop;
	struct io_uring_sqe *sqe = list_empty(&loop->backlog) ? get_entry(loop) : NULL;

	if (sqe)
		fill_entry(sqe, op);
	else
		list_append(&loop->backlog, &op->in_backlog);
}

static void complete(struct loop_op *op, int32_t res)
{
	op->armed = op->prepared = op->cancelling = false;
	list_remove(&op->in_scope);
	list_remove(&op->in_backlog);
	struct loop_scope *scope = op->scope;

	/* The function may free the op, never the scope: only `drained` does that. */
	op->fn(op, res);
	if (scope->closing && list_empty(&scope->ops) && list_empty(&scope->drainer))
		list_append(&scope->loop->drainers, &scope->drainer);
}

static void prepare_backlog(struct loop *loop)
{
	struct list waiting;

	list_take(&waiting, &loop->backlog);
	while (!list_empty(&waiting)) {
		struct loop_op *op = container_of(waiting.next, struct loop_op, in_backlog);
		struct io_uring_sqe *sqe;

		if (op->cancelling && !op->prepared) {
			complete(op, -ECANCELED);
			continue;
		}
		list_remove(&op->in_backlog);
		sqe = get_entry(loop);
		if (sqe)
			fill_entry(sqe, op);
		else
			list_append(&loop->backlog, &op->in_backlog);
	}
}

/* Scopes and ops. */

void loop_scope_init(struct loop_scope *scope, struct loop *loop,
                     void (*drained)(struct loop_scope *scope))
{
	scope->loop = loop;
	scope->drained = drained;
	scope->closing = false;
	list_init(&scope->ops);
	list_init(&scope->drainer);
}

void loop_scope_close(struct loop_scope *scope)
{
	if (scope->closing)
		return;
	scope->closing = true;
	list_for_each (link, &scope->ops)
		loop_cancel(container_of(link, struct loop_op, in_scope));
	if (list_empty(&scope->ops))
		list_append(&scope->loop->drainers, &scope->drainer);
}

void loop_op_init(struct loop_op *op, struct loop_scope *scope, loop_op_fn *fn)
{
	*op = (struct loop_op){.fn = fn, .scope = scope};
	list_init(&op->in_scope);
	list_init(&op->in_backlog);
}

static void arm(struct loop_op *op, uint8_t opcode, int fd, const void *buf, size_t len,
                uint32_t flags)
{
	assert(!op->armed && !op->scope->closing);
	op->armed = true;
	op->opcode = opcode;
	op->fd = fd;
	op->buf = buf;
	op->len = (uint32_t)MIN(len, INT32_MAX);
	op->flags = flags;
	list_append(&op->scope->ops, &op->in_scope);
	prepare(op);
}

void loop_arm_read(struct loop_op *op, int fd, void *buf, size_t len)
{
	arm(op, IORING_OP_READ, fd, buf, len, 0);
}

void loop_arm_write(struct loop_op *op, int fd, const void *buf, size_t len)
{
	arm(op, IORING_OP_WRITE, fd, buf, len, 0);
}

void loop_arm_write_nowait(struct loop_op *op, int fd, const void *buf, size_t len)
{
	arm(op, IORING_OP_WRITE, fd, buf, len, RWF_NOWAIT);
}

void loop_arm_recv(struct loop_op *op, int fd, void *buf, size_t len, int flags)
{
	arm(op, IORING_OP_RECV, fd, buf, len, (uint32_t)flags);
}

void loop_arm_recvmsg(struct loop_op *op, int fd, struct msghdr *msg, int flags)
{
	arm(op, IORING_OP_RECVMSG, fd, msg, 1, (uint32_t)flags);
}

void loop_arm_sendmsg(struct loop_op *op, int fd, const struct msghdr *msg, int flags)
{
	size_t *sending = &op->scope->loop->sending;

	*sending += LOOP_SEND_OVERHEAD;
	for (size_t i = 0; i < msg->msg_iovlen; i++)
		*sending += msg->msg_iov[i].iov_len;
	arm(op, IORING_OP_SENDMSG, fd, msg, 1, (uint32_t)flags);
}

void loop_arm_accept(struct loop_op *op, int fd)
{
	arm(op, IORING_OP_ACCEPT, fd, NULL, 0, SOCK_CLOEXEC);
}

void loop_arm_poll(struct loop_op *op, int fd, short events)
{
	arm(op, IORING_OP_POLL_ADD, fd, NULL, 0, (uint16_t)events);
}

/* An op that isn't in flight and is cancelled completes when the backlog is worked off. */
void loop_cancel(struct loop_op *op)
{
	if (!op->armed || op->cancelling)
		return;
	op->cancelling = true;
	if (op->prepared) {
		prepare(op);
		return;
	}
	list_remove(&op->in_backlog);
	list_append(&op->scope->loop->backlog, &op->in_backlog);
}

void loop_wait_in(struct loop_op *op, struct list *queue)
{
	struct loop *loop = op->scope->loop;

	assert(!op->armed && !op->scope->closing);
	op->armed = true;
	list_append(&op->scope->ops, &op->in_scope);
	list_append(queue, &op->in_backlog);
	if (!loop->shortage.op.armed)
		loop_timer_arm(&loop->shortage, LOOP_SHORTAGE_MS);
}

void loop_arm_again(struct loop_op *op)
{
	loop_wait_in(op, &op->scope->loop->short_of);
}

static void on_shortage_over(struct loop_op *op, int32_t res)
{
	struct loop *loop = op->scope->loop;

	(void)res;
	while (!list_empty(&loop->short_of)) {
		struct list *link = loop->short_of.next;

		list_remove(link);
		list_append(&loop->backlog, link);
	}
	if (loop_retry_fds(loop) && !loop->shortage.op.armed)
		loop_timer_arm(&loop->shortage, LOOP_SHORTAGE_MS);
}

void loop_timer_init(struct loop_timer *timer, struct loop_scope *scope, loop_op_fn *fn)
{
	loop_op_init(&timer->op, scope, fn);
}

void loop_timer_arm(struct loop_timer *timer, uint64_t ms)
{
	timer->after.tv_sec = (int64_t)(ms / 1000);
	timer->after.tv_nsec = (long long)(ms % 1000) * 1000000;
	arm(&timer->op, IORING_OP_TIMEOUT, -1, &timer->after, 1, 0);
}

static void on_tidy_time(struct loop_op *op, int32_t res)
{
	(void)res;
	op->scope->loop->tidy();
}

static void run_drainers(struct loop *loop)
{
	struct list due;

	list_take(&due, &loop->drainers);
	if (!list_empty(&due) && loop->tidy && !loop->tidy_time.op.armed)
		loop_timer_arm(&loop->tidy_time, LOOP_TIDY_MS);
	while (!list_empty(&due)) {
		struct loop_scope *scope = container_of(due.next, struct loop_scope, drainer);

		list_remove(&scope->drainer);
		if (scope->drained)
			scope->drained(scope);
	}
}

/* The turn. */

/* What is gathered while there are watches has time. */
static bool has_more_to_do(const struct loop *loop)
{
	return !list_empty(&loop->backlog) || !list_empty(&loop->work) ||
	       !list_empty(&loop->flush) || !list_empty(&loop->drainers) ||
	       (!list_empty(&loop->gather) && list_empty(&loop->watches));
}

static int submit(struct loop *loop, bool wait)
{
	struct __kernel_timespec shortage = {.tv_nsec = LOOP_SHORTAGE_MS * 1000000};
	struct io_uring_cqe *cqe;
	int r;

	if (wait)
		r = io_uring_submit_and_wait(&loop->ring, 1);
	else
		r = io_uring_submit_and_get_events(&loop->ring);
	switch (r) {
	case -EAGAIN: /* no memory for a request */
	case -EBUSY:  /* completions overflowed, they come first */
		io_uring_wait_cqe_timeout(&loop->ring, &cqe, &shortage);
		return 0;
	case -EINTR:
		return 0;
	default:
		return r < 0 ? r : 0;
	}
}

static void take_completions(struct loop *loop)
{
	/* Only what is there now: what comes meanwhile must not keep the tasks waiting. */
	for (unsigned int ready = io_uring_cq_ready(&loop->ring); ready > 0; ready--) {
		struct io_uring_cqe *cqe = NULL;
		struct loop_op *op;
		int32_t res;

		if (io_uring_peek_cqe(&loop->ring, &cqe) < 0)
			break;
		op = io_uring_cqe_get_data(cqe);
		res = cqe->res;

		assert(!(cqe->flags & IORING_CQE_F_MORE));
		io_uring_cqe_seen(&loop->ring, cqe);
		if (!op)
			continue; /* what a cancel says of itself; its target speaks too */
		loop->completions++;
		complete(op, res);
	}
}

/* What there is to submit goes first, and may be all: then the loop has a look before it sleeps. */
static int submit_and_watch(struct loop *loop)
{
	int r = loop_exchange(loop);

	if (r < 0 || io_uring_cq_ready(&loop->ring) > 0)
		return r;
	r = loop_watch_before_sleep(loop);
	if (r < 0)
		return r;
	/* What still is watched doesn't announce itself: no sleep then. */
	return submit(loop, list_empty(&loop->watches) && !has_more_to_do(loop));
}

int loop_turn(struct loop *loop, bool wait)
{
	int r;

	prepare_backlog(loop);
	if (!wait)
		loop_let_rest(loop);
	wait = wait && !has_more_to_do(loop);
	if (wait && !list_empty(&loop->watches))
		r = submit_and_watch(loop);
	else
		r = submit(loop, wait);
	if (r < 0)
		return r;
	loop->now_ms = clock_now_ms();
	take_completions(loop);
	loop_run_tasks(&loop->work);
	run_drainers(loop);
	loop_flush_now(loop, clock_now_ns());
	return 0;
}

int loop_run(struct loop *loop)
{
	int r = 0;

	loop->stopping = false;
	while (!loop->stopping && r >= 0)
		r = loop_turn(loop, true);
	return r;
}
