/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the loop where its queues are too small: a ring of 8 entries with hundreds of ops armed in
 * one callback, completions beyond the completion queue, a kernel short of memory.
 *
 * Includes loop.c, so that the kernel's shortage can be played.
 */
#include "unit.h"

#include <errno.h>
#include <liburing.h>

/* What the next submissions return instead of being done. */
static int played_results[8];
static unsigned int played_count;
static unsigned int starved_entries;

static int played_submit_and_get_events(struct io_uring *ring)
{
	return played_count > 0 ? played_results[--played_count]
	                        : io_uring_submit_and_get_events(ring);
}

static struct io_uring_sqe *played_get_sqe(struct io_uring *ring)
{
	if (starved_entries > 0) {
		starved_entries--;
		return NULL;
	}
	return io_uring_get_sqe(ring);
}

#define io_uring_submit_and_get_events played_submit_and_get_events
#define io_uring_get_sqe               played_get_sqe
/* NOLINTBEGIN(bugprone-suspicious-include): what the head says. */
#include "loop/discard.c"
#include "loop/loop.c"
#include "loop/loop_tasks.c"
/* NOLINTEND(bugprone-suspicious-include) */

#include "turning.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define MANY 500u

struct many {
	struct loop *loop;
	struct watched_scope scope;
	struct watched starter;
	struct watched ops[MANY];
	uint8_t bytes[MANY];
	int pipe[2];
	void (*arm_one)(struct many *m, unsigned int i);
};

static unsigned int completed(const struct many *m)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < MANY; i++)
		n += m->ops[i].calls;
	return n;
}

static void assert_each_completed_once(const struct many *m)
{
	for (unsigned int i = 0; i < MANY; i++) {
		if (m->ops[i].calls != 1)
			fail_msg("op %u was called %u times", i, m->ops[i].calls);
	}
}

static void set_up(struct many *m, unsigned int entries, unsigned int cq_entries)
{
	memset(m, 0, sizeof(*m));
	played_count = starved_entries = 0;
	m->loop = turning_loop_of(entries, cq_entries);
	watched_scope_init(&m->scope, m->loop);
	for (unsigned int i = 0; i < MANY; i++) {
		watched_init(&m->ops[i], &m->scope.scope);
		m->bytes[i] = (uint8_t)i;
	}
	assert_int_equal(pipe2(m->pipe, O_CLOEXEC | O_NONBLOCK), 0);
}

static void tear_down(struct many *m)
{
	watched_scope_end(&m->scope);
	loop_free(m->loop);
	close(m->pipe[0]);
	close(m->pipe[1]);
}

static void arm_write(struct many *m, unsigned int i)
{
	loop_arm_write(&m->ops[i].op, m->pipe[1], &m->bytes[i], 1);
}

static void arm_poll(struct many *m, unsigned int i)
{
	loop_arm_poll(&m->ops[i].op, m->pipe[0], POLLIN);
}

static void arm_all(struct loop_op *op, int32_t res)
{
	struct many *m = container_of(op, struct many, starter.op);

	(void)res;
	for (unsigned int i = 0; i < MANY; i++)
		m->arm_one(m, i);
}

/* Arms all of them in one callback. */
static void start(struct many *m, void (*arm_one)(struct many *m, unsigned int i))
{
	m->arm_one = arm_one;
	loop_op_init(&m->starter.op, &m->scope.scope, arm_all);
	loop_arm_poll(&m->starter.op, m->pipe[1], POLLOUT);
}

static void assert_pipe_in_order(const struct many *m)
{
	uint8_t bytes[MANY + 1];

	assert_int_equal(read(m->pipe[0], bytes, sizeof(bytes)), MANY);
	assert_memory_equal(bytes, m->bytes, MANY);
}

static struct many many;

TEST(hundreds_of_ops_armed_in_one_callback_all_run_in_order)
{
	static const unsigned int entries[] = {1, 8, 64};

	for (size_t i = 0; i < ROWS(entries); i++) {
		set_up(&many, entries[i], 2 * entries[i]);
		start(&many, arm_write);
		turn_until(many.loop, completed(&many) == MANY);
		turn_some(many.loop);
		assert_each_completed_once(&many);
		assert_pipe_in_order(&many);
		tear_down(&many);
	}
}

TEST(completions_beyond_the_queue_all_come)
{
	set_up(&many, 8, 8);
	start(&many, arm_poll);
	turn_some(many.loop);
	assert_int_equal(completed(&many), 0);
	/* All of them complete at once: 500 for a queue of 8. */
	assert_int_equal(write(many.pipe[1], "x", 1), 1);
	turn_until(many.loop, completed(&many) == MANY);
	turn_some(many.loop);
	assert_each_completed_once(&many);
	for (unsigned int i = 0; i < MANY; i++)
		assert_int_equal(many.ops[i].res, POLLIN);
	tear_down(&many);
}

TEST(hundreds_of_ops_in_flight_are_cancelled_through_8_entries)
{
	set_up(&many, 8, 8);
	start(&many, arm_poll);
	turn_some(many.loop);
	loop_scope_close(&many.scope.scope);
	turn_until(many.loop, many.scope.drained);
	assert_each_completed_once(&many);
	for (unsigned int i = 0; i < MANY; i++)
		assert_int_equal(many.ops[i].res, -ECANCELED);
	tear_down(&many);
}

TEST(ops_that_wait_for_an_entry_keep_their_order)
{
	set_up(&many, 8, 16);
	starved_entries = 100;
	start(&many, arm_write);
	turn_until(many.loop, completed(&many) == MANY);
	assert_each_completed_once(&many);
	assert_pipe_in_order(&many);
	tear_down(&many);
}

TEST(a_turn_does_not_sleep_while_ops_wait_for_an_entry)
{
	set_up(&many, 8, 16);
	starved_entries = 2; /* the second is the one after the submit */
	arm_write(&many, 0);
	assert_false(list_empty(&many.loop->backlog));
	/* Nothing is in flight: sleeping here would never end. */
	for (unsigned int turns = 0; many.ops[0].calls == 0; turns++) {
		assert_in_range(turns, 0, 5);
		assert_int_equal(loop_turn(many.loop, true), 0);
	}
	tear_down(&many);
}

TEST(a_shortage_of_the_kernel_passes)
{
	static const int shortages[] = {-EAGAIN, -EBUSY, -EINTR};

	for (size_t i = 0; i < ROWS(shortages); i++) {
		set_up(&many, 8, 16);
		for (played_count = 0; played_count < 3; played_count++)
			played_results[played_count] = shortages[i];
		arm_write(&many, 0);
		for (unsigned int turns = 0; turns < 3; turns++)
			assert_int_equal(loop_turn(many.loop, false), 0);
		assert_int_equal(played_count, 0);
		turn_until(many.loop, many.ops[0].calls);
		assert_int_equal(many.ops[0].res, 1);
		tear_down(&many);
	}
}

TEST(a_failure_of_the_ring_is_told)
{
	set_up(&many, 8, 16);
	played_count = 1;
	played_results[0] = -EBADF;
	assert_int_equal(loop_turn(many.loop, false), -EBADF);
	tear_down(&many);
}

/* What completes while the functions run waits for the next turn: so a turn has an end. */
static unsigned int endless_calls;

static void on_endless(struct loop_op *op, int32_t res)
{
	(void)res;
	endless_calls++;
	if (!op->scope->closing)
		loop_arm_poll(op, op->fd, POLLOUT);
}

static void on_task(struct loop_task *task)
{
	task->fn = NULL;
}

TEST(an_op_that_completes_at_once_again_and_again_does_not_keep_the_tasks_waiting)
{
	struct loop_task task;

	set_up(&many, 8, 16);
	endless_calls = 0;
	loop_op_init(&many.starter.op, &many.scope.scope, on_endless);
	loop_arm_poll(&many.starter.op, many.pipe[1], POLLOUT);
	loop_task_init(&task, on_task);
	loop_work(many.loop, &task);
	assert_int_equal(loop_turn(many.loop, true), 0);
	assert_null(task.fn);
	assert_in_range(endless_calls, 0, 2);
	tear_down(&many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(hundreds_of_ops_armed_in_one_callback_all_run_in_order),
	    UNIT(completions_beyond_the_queue_all_come),
	    UNIT(hundreds_of_ops_in_flight_are_cancelled_through_8_entries),
	    UNIT(ops_that_wait_for_an_entry_keep_their_order),
	    UNIT(a_turn_does_not_sleep_while_ops_wait_for_an_entry),
	    UNIT(a_shortage_of_the_kernel_passes),
	    UNIT(a_failure_of_the_ring_is_told),
	    UNIT(an_op_that_completes_at_once_again_and_again_does_not_keep_the_tasks_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
