/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the tasks: work before flush, each once, what they queue themselves in the next turn.
 */
#include "unit.h"

#include "base/macros.h"
#include "turning.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* A task that writes its name down and does one thing to another. */
struct named {
	struct loop_task task;
	struct loop *loop;
	char name;
	void (*then)(struct named *self);
	struct named *other;
};

static char order[64];

static void note(char name)
{
	order[strlen(order)] = name;
}

static void on_named(struct loop_task *task)
{
	struct named *named = container_of(task, struct named, task);

	note(named->name);
	if (named->then)
		named->then(named);
}

static void name(struct named *named, struct loop *loop, char letter)
{
	*named = (struct named){.loop = loop, .name = letter};
	loop_task_init(&named->task, on_named);
}

static struct loop *set_up(struct named *tasks, unsigned int count)
{
	struct loop *loop = turning_loop();

	memset(order, 0, sizeof(order));
	for (unsigned int i = 0; i < count; i++)
		name(&tasks[i], loop, (char)('a' + i));
	return loop;
}

static void turn(struct loop *loop)
{
	/* Waiting: with a task to run it must not sleep. */
	assert_int_equal(loop_turn(loop, true), 0);
	note('.');
}

static void then_work(struct named *self)
{
	loop_work(self->loop, &self->other->task);
}

static void then_flush(struct named *self)
{
	loop_flush(self->loop, &self->other->task);
}

static void then_cancel(struct named *self)
{
	loop_task_cancel(&self->other->task);
}

TEST(work_comes_before_flush_each_in_order)
{
	struct named t[4];
	struct loop *loop = set_up(t, 4);

	loop_flush(loop, &t[0].task);
	loop_work(loop, &t[1].task);
	loop_flush(loop, &t[2].task);
	loop_work(loop, &t[3].task);
	turn(loop);
	assert_string_equal(order, "bdac.");
	loop_free(loop);
}

TEST(a_task_runs_once_however_often_it_is_asked_for)
{
	struct named t[2];
	struct loop *loop = set_up(t, 2);

	for (unsigned int i = 0; i < 5; i++) {
		loop_work(loop, &t[0].task);
		loop_flush(loop, &t[1].task);
	}
	turn(loop);
	loop_turn(loop, false);
	assert_string_equal(order, "ab.");
	loop_work(loop, &t[0].task);
	turn(loop);
	assert_string_equal(order, "ab.a.");
	loop_free(loop);
}

TEST(what_work_flushes_goes_out_in_the_same_turn)
{
	struct named t[2];
	struct loop *loop = set_up(t, 2);

	t[0].then = then_flush;
	t[0].other = &t[1];
	loop_work(loop, &t[0].task);
	turn(loop);
	assert_string_equal(order, "ab.");
	loop_free(loop);
}

TEST(work_that_is_queued_by_work_is_for_the_next_turn)
{
	struct named t[2];
	struct loop *loop = set_up(t, 2);

	t[0].then = then_work;
	t[0].other = &t[1];
	loop_work(loop, &t[0].task);
	turn(loop);
	turn(loop);
	assert_string_equal(order, "a.b.");
	loop_free(loop);
}

TEST(a_task_that_queues_itself_runs_once_a_turn)
{
	struct named t[2];
	struct loop *loop = set_up(t, 2);

	t[0].then = then_work;
	t[0].other = &t[0];
	t[1].then = then_flush;
	t[1].other = &t[1];
	loop_work(loop, &t[0].task);
	loop_flush(loop, &t[1].task);
	turn(loop);
	turn(loop);
	turn(loop);
	assert_string_equal(order, "ab.ab.ab.");
	loop_task_cancel(&t[0].task);
	loop_task_cancel(&t[1].task);
	loop_turn(loop, false);
	assert_string_equal(order, "ab.ab.ab.");
	loop_free(loop);
}

TEST(work_that_is_queued_by_flush_is_for_the_next_turn)
{
	struct named t[2];
	struct loop *loop = set_up(t, 2);

	t[0].then = then_work;
	t[0].other = &t[1];
	loop_flush(loop, &t[0].task);
	turn(loop);
	turn(loop);
	assert_string_equal(order, "a.b.");
	loop_free(loop);
}

TEST(a_cancelled_task_does_not_run_and_may_be_queued_again)
{
	struct named t[2];
	struct loop *loop = set_up(t, 2);

	loop_work(loop, &t[0].task);
	loop_flush(loop, &t[1].task);
	loop_task_cancel(&t[0].task);
	loop_task_cancel(&t[0].task);
	loop_task_cancel(&t[1].task);
	loop_turn(loop, false);
	assert_string_equal(order, "");
	loop_work(loop, &t[0].task);
	turn(loop);
	assert_string_equal(order, "a.");
	loop_free(loop);
}

TEST(a_task_may_cancel_one_that_is_due_in_the_same_turn)
{
	struct named t[3];
	struct loop *loop = set_up(t, 3);

	t[0].then = then_cancel;
	t[0].other = &t[1];
	loop_work(loop, &t[0].task);
	loop_work(loop, &t[1].task);
	loop_work(loop, &t[2].task);
	turn(loop);
	assert_string_equal(order, "ac.");
	loop_free(loop);
}

static void on_completion(struct loop_op *op, int32_t res)
{
	(void)op, (void)res;
	note('!');
}

TEST(completions_come_before_tasks)
{
	struct watched_scope scope;
	struct named t[1];
	struct loop *loop = set_up(t, 1);
	struct loop_op op;
	int pipe[2];

	assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
	watched_scope_init(&scope, loop);
	loop_op_init(&op, &scope.scope, on_completion);
	loop_arm_poll(&op, pipe[1], POLLOUT);
	loop_work(loop, &t[0].task);
	turn(loop);
	assert_string_equal(order, "!a.");
	watched_scope_end(&scope);
	loop_free(loop);
	close(pipe[0]);
	close(pipe[1]);
}

static void then_stop(struct named *self)
{
	if (strlen(order) == 5)
		loop_stop(self->loop);
	loop_work(self->loop, &self->task);
}

TEST(run_turns_until_stop_and_can_run_again)
{
	struct named t[1];
	struct loop *loop = set_up(t, 1);

	t[0].then = then_stop;
	loop_work(loop, &t[0].task);
	assert_int_equal(loop_run(loop), 0);
	assert_string_equal(order, "aaaaa");
	memset(order, 0, sizeof(order));
	assert_int_equal(loop_run(loop), 0);
	assert_string_equal(order, "aaaaa");
	loop_task_cancel(&t[0].task);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(work_comes_before_flush_each_in_order),
	    UNIT(a_task_runs_once_however_often_it_is_asked_for),
	    UNIT(what_work_flushes_goes_out_in_the_same_turn),
	    UNIT(work_that_is_queued_by_work_is_for_the_next_turn),
	    UNIT(a_task_that_queues_itself_runs_once_a_turn),
	    UNIT(work_that_is_queued_by_flush_is_for_the_next_turn),
	    UNIT(a_cancelled_task_does_not_run_and_may_be_queued_again),
	    UNIT(a_task_may_cancel_one_that_is_due_in_the_same_turn),
	    UNIT(completions_come_before_tasks),
	    UNIT(run_turns_until_stop_and_can_run_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
