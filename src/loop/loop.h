/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The loop: one io_uring ring that every wait of the process goes through.
 *
 * An operation (loop_op) is embedded in its owner and belongs to a scope. Arming one never
 * fails: where the submission queue is full it waits for its turn. Its function is called
 * exactly once for every time it was armed, also when it was cancelled; only then may its
 * buffers, its descriptor or its owner go. Closing a scope cancels what is in flight and calls
 * `drained` when nothing is: teardown is a join.
 *
 * One turn: submit and wait in one system call; call the functions of what completed, which only
 * prepare more; run the work tasks and what was waiting for scopes to drain, then the flush tasks.
 * So whatever was gathered by the work of a turn is sent at its end, in one piece. Before it waits,
 * it has a look at what has just been at work.
 *
 * Must not be used from more than one thread, and is the only user of <liburing.h>.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "base/list.h"

#include <errno.h>
#include <linux/time_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct loop;
struct loop_op;
struct loop_scope;
struct loop_task;

/* `res` is what the system call of the same name would have returned, or -errno. */
typedef void loop_op_fn(struct loop_op *op, int32_t res);
typedef void loop_task_fn(struct loop_task *task);

struct loop_op {
	loop_op_fn *fn;
	struct loop_scope *scope;
	struct list in_scope;
	struct list in_backlog; /* linked while an entry for it has to be prepared */
	bool armed;
	bool prepared; /* its entry is in the submission queue or in the kernel */
	bool cancelling;
	/* The request. */
	uint8_t opcode;
	int fd;
	uint32_t len;
	uint32_t flags;
	const void *buf;
};

struct loop_scope {
	struct loop *loop;
	void (*drained)(struct loop_scope *scope);
	struct list ops;     /* the armed ones */
	struct list drainer; /* linked in the loop when `drained` is due */
	bool closing;
};

/* A function to be called once, later in this turn or in the next. */
struct loop_task {
	loop_task_fn *fn;
	struct list link;
	bool gathers; /* it is in the queue of loop_gather() */
};

/*
 * Something that may have work without a completion saying so, and is worth a look before the loop
 * sleeps: memory that somebody else writes.
 */
struct loop_watch {
	/* Whether there is work, which is queued then. */
	bool (*look)(struct loop_watch *watch);
	/* It isn't looked at any more. From now on work has to announce itself; may queue some. */
	void (*rest)(struct loop_watch *watch);
	struct list link;
};

struct loop_timer {
	struct loop_op op;
	struct __kernel_timespec after;
};

struct loop_config {
	unsigned int entries;    /* of the submission queue: 1 to 32768 */
	unsigned int cq_entries; /* of the completion queue, at least as many */
	/*
	 * To be called LOOP_TIDY_MS after an owner has gone, once for all that have by then: a
	 * scope of theirs has drained. NULL: nobody is.
	 */
	void (*tidy)(void);
};

#define LOOP_TIDY_MS 1000u

/* Makes a loop. Returns 0 or -errno; -EPERM and -ENOSYS mean that io_uring is switched off. */
int loop_new(struct loop **ret_loop, const struct loop_config *config);

/* Every scope has drained before: asserted. NULL does no harm. */
void loop_free(struct loop *loop);

/*
 * One turn. With `wait`, sleeps until something completes, if there is nothing else to do; without,
 * it lets its watches rest instead of looking at them. Returns 0, or -errno if the ring itself
 * failed.
 */
int loop_turn(struct loop *loop, bool wait);

/* Turns until loop_stop(). Returns 0 or -errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* The monotonic time at which this turn's completions were taken, in milliseconds. */
uint64_t loop_now_ms(const struct loop *loop);

/* How many completions were taken so far: for tests that do something at each. */
uint64_t loop_completions(const struct loop *loop);

/* How many descriptors are being closed, or wait for it: see loop/discard.h. For tests. */
unsigned int loop_discards(const struct loop *loop);

void loop_scope_init(struct loop_scope *scope, struct loop *loop,
                     void (*drained)(struct loop_scope *scope));

/*
 * Cancels all that is in flight; once nothing is, and never before this returns, calls `drained`
 * (NULL: nobody). Nothing may be armed in it from now on. A second call does nothing.
 */
void loop_scope_close(struct loop_scope *scope);

void loop_op_init(struct loop_op *op, struct loop_scope *scope, loop_op_fn *fn);

/* The op is unarmed and its scope isn't closing: asserted. Buffers stay until it completes. */
void loop_arm_read(struct loop_op *op, int fd, void *buf, size_t len);
void loop_arm_write(struct loop_op *op, int fd, const void *buf, size_t len);
/* -EAGAIN where it would have to wait: for a disk, say, or because the file system never promises.
 */
void loop_arm_write_nowait(struct loop_op *op, int fd, const void *buf, size_t len);
void loop_arm_recv(struct loop_op *op, int fd, void *buf, size_t len, int flags);
void loop_arm_recvmsg(struct loop_op *op, int fd, struct msghdr *msg, int flags);
void loop_arm_sendmsg(struct loop_op *op, int fd, const struct msghdr *msg, int flags);
void loop_arm_accept(struct loop_op *op, int fd);
/* Completes once with the events that are there, of `events`, POLLERR, POLLHUP and POLLRDHUP. */
void loop_arm_poll(struct loop_op *op, int fd, short events);

/* Whether an op's result says that the system is short of memory or buffers, for now. */
static inline bool loop_is_shortage(int32_t res)
{
	return res == -ENOMEM || res == -ENOBUFS;
}

/*
 * For an op whose function was just called because the system is short of something (-ENOMEM,
 * -ENOBUFS ...): the same request once more, a little later. Of descriptors: loop/descriptors.h.
 */
void loop_arm_again(struct loop_op *op);

/* Asks for the end of an armed op; its function is called all the same, perhaps with success. */
void loop_cancel(struct loop_op *op);

void loop_timer_init(struct loop_timer *timer, struct loop_scope *scope, loop_op_fn *fn);
/* Completes with -ETIME when the time has passed. */
void loop_timer_arm(struct loop_timer *timer, uint64_t ms);

/*
 * A system call sends so many bytes, and those of one message more: the flush and gather tasks that
 * are left go on in the next turn, in order. So whoever else is served doesn't wait for all that is
 * to be sent, however many peers it is for. A message counts LOOP_SEND_OVERHEAD more, since a small
 * one takes its time, too.
 */
#define LOOP_SEND_BYTES    (4u * 1024 * 1024)
#define LOOP_SEND_OVERHEAD (16u * 1024)

void loop_task_init(struct loop_task *task, loop_task_fn *fn);
/* Queues the task once, however often it is asked for. */
void loop_work(struct loop *loop, struct loop_task *task);
void loop_flush(struct loop *loop, struct loop_task *task);
/*
 * The same for small pieces: while there are watches, not more often than every LOOP_GATHER_NS, so
 * that what comes until then is sent with it. A first piece doesn't wait. loop_flush() for the same
 * task ends the waiting.
 */
void loop_gather(struct loop *loop, struct loop_task *task);
/* Takes it out of the queue it is in, if any. */
void loop_task_cancel(struct loop_task *task);

/*
 * Before it sleeps, the loop looks at its watches again and again until none has had work for
 * LOOP_WATCH_NS; then it lets all of them rest. With more than LOOP_WATCHES_MAX it looks at none.
 */
#define LOOP_WATCH_NS    50000u
#define LOOP_GATHER_NS   20000u
#define LOOP_WATCHES_MAX 64u

void loop_watch_init(struct loop_watch *watch, bool (*look)(struct loop_watch *watch),
                     void (*rest)(struct loop_watch *watch));
void loop_watch(struct loop *loop, struct loop_watch *watch);
/* Without `rest`. */
void loop_watch_cancel(struct loop_watch *watch);

#endif
