/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop/loop_impl.h"

#include "base/clock.h"
#include "base/macros.h"

#include <errno.h>

/* Tasks. */

void loop_task_init(struct loop_task *task, loop_task_fn *fn)
{
	task->fn = fn;
	task->gathers = false;
	list_init(&task->link);
}

void loop_work(struct loop *loop, struct loop_task *task)
{
	if (list_empty(&task->link))
		list_append(&loop->work, &task->link);
}

void loop_flush(struct loop *loop, struct loop_task *task)
{
	if (task->gathers)
		loop_task_cancel(task);
	if (list_empty(&task->link))
		list_append(&loop->flush, &task->link);
}

void loop_gather(struct loop *loop, struct loop_task *task)
{
	if (!list_empty(&task->link))
		return;
	task->gathers = true;
	list_append(&loop->gather, &task->link);
}

void loop_task_cancel(struct loop_task *task)
{
	task->gathers = false;
	list_remove(&task->link);
}

static void run_first(struct list *due)
{
	struct loop_task *task = container_of(due->next, struct loop_task, link);

	loop_task_cancel(task);
	task->fn(task);
}

void loop_run_tasks(struct list *queue)
{
	struct list due;

	list_take(&due, queue);
	while (!list_empty(&due))
		run_first(&due);
}

/*
 * The same until what they have armed is enough for one system call, in which others wait. The next
 * turn goes on where this one stops: before what the tasks have queued themselves.
 */
static void run_sending_tasks(struct loop *loop, struct list *queue)
{
	struct list due;

	list_take(&due, queue);
	while (!list_empty(&due) && loop->sending < LOOP_SEND_BYTES)
		run_first(&due);
	list_take_first(queue, &due);
}

/* Watches. */

void loop_watch_init(struct loop_watch *watch, bool (*look)(struct loop_watch *watch),
                     void (*rest)(struct loop_watch *watch))
{
	watch->look = look;
	watch->rest = rest;
	list_init(&watch->link);
}

void loop_watch(struct loop *loop, struct loop_watch *watch)
{
	if (list_empty(&watch->link))
		list_append(&loop->watches, &watch->link);
}

void loop_watch_cancel(struct loop_watch *watch)
{
	list_remove(&watch->link);
}

void loop_let_rest(struct loop *loop)
{
	while (!list_empty(&loop->watches)) {
		struct loop_watch *watch =
		    container_of(loop->watches.next, struct loop_watch, link);

		list_remove(&watch->link);
		watch->rest(watch);
	}
}

/* Whether there was work; *ret_count is how many were looked at. */
static bool look(struct loop *loop, unsigned int *ret_count)
{
	bool found = false;

	*ret_count = 0;
	list_for_each (link, &loop->watches) {
		struct loop_watch *watch = container_of(link, struct loop_watch, link);

		if (++*ret_count > LOOP_WATCHES_MAX)
			return false;
		found |= watch->look(watch);
	}
	return found;
}

void loop_flush_now(struct loop *loop, uint64_t now_ns)
{
	loop->sending = 0;
	run_sending_tasks(loop, &loop->flush);
	if (list_empty(&loop->gather))
		return;
	if (!list_empty(&loop->watches) && now_ns - loop->gathered_ns < loop->gather_ns)
		return;
	run_sending_tasks(loop, &loop->gather);
	/* What is left has waited for its time already. */
	if (list_empty(&loop->gather))
		loop->gathered_ns = now_ns;
}

/*
 * Hands over what is prepared, and lets the kernel finish what it announces. That may be nothing:
 * an announcement can come late, for what was done meanwhile, and then stands until there is more.
 */
int loop_exchange(struct loop *loop)
{
	unsigned int flags = IO_URING_READ_ONCE(*loop->ring.sq.kflags);
	int r = 0;

	if (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))
		r = io_uring_submit_and_get_events(&loop->ring);
	else if (io_uring_sq_ready(&loop->ring) > 0)
		r = io_uring_submit(&loop->ring);
	/* What can't be taken now stays prepared. */
	return r == -EAGAIN || r == -EBUSY || r == -EINTR ? 0 : MIN(r, 0);
}

int loop_watch_before_sleep(struct loop *loop)
{
	uint64_t now = clock_now_ns(), until = now + loop->watch_ns;
	unsigned int count;
	int r = 0;

	while (r == 0 && now < until && io_uring_cq_ready(&loop->ring) == 0) {
		if (look(loop, &count)) {
			loop_run_tasks(&loop->work);
			until = now + loop->watch_ns;
		}
		if (count == 0 || count > LOOP_WATCHES_MAX)
			break;
		loop_flush_now(loop, now);
		r = loop_exchange(loop);
		now = clock_now_ns();
	}
	if (io_uring_cq_ready(&loop->ring) == 0)
		loop_let_rest(loop);
	loop_flush_now(loop, now);
	return r;
}
