/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the end of things: an op may be cancelled in each of its states and its function is called
 * all the same, once; a closed scope calls `drained` once, after all of its ops, and never from
 * inside a call of ours.
 *
 * Includes loop.c, to starve it of submission entries: the states of an op that waits for one.
 */
#include "unit.h"

#include <liburing.h>
#include <poll.h>

static bool starved;

static struct io_uring_sqe *starved_get_sqe(struct io_uring *ring)
{
	return starved ? NULL : io_uring_get_sqe(ring);
}

#define io_uring_get_sqe starved_get_sqe
/* NOLINTBEGIN(bugprone-suspicious-include): what the head says. */
#include "loop/discard.c"
#include "loop/loop.c"
#include "loop/loop_tasks.c"
/* NOLINTEND(bugprone-suspicious-include) */

#include "turning.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct fixture {
	struct loop *loop;
	struct watched_scope scope;
	struct watched a;
	int pipe[2];
	char byte;
};

static void set_up(struct fixture *f)
{
	f->loop = turning_loop();
	watched_scope_init(&f->scope, f->loop);
	watched_init(&f->a, &f->scope.scope);
	assert_int_equal(pipe2(f->pipe, O_CLOEXEC), 0);
}

static void free_all(struct fixture *f)
{
	starved = false;
	loop_free(f->loop);
	close(f->pipe[0]);
	close(f->pipe[1]);
}

static void tear_down(struct fixture *f)
{
	starved = false;
	watched_scope_end(&f->scope);
	free_all(f);
}

static void arm_a(struct fixture *f)
{
	loop_arm_read(&f->a.op, f->pipe[0], &f->byte, 1);
}

/* The states. Each leaves `a` armed. */

static void not_submitted(struct fixture *f)
{
	arm_a(f);
}

static void in_flight(struct fixture *f)
{
	arm_a(f);
	turn_some(f->loop);
}

static void waiting_for_an_entry(struct fixture *f)
{
	starved = true;
	arm_a(f);
	turn_some(f->loop);
	assert_false(f->a.op.prepared);
}

static void its_cancel_waits_for_an_entry(struct fixture *f)
{
	in_flight(f);
	starved = true;
	loop_cancel(&f->a.op);
	turn_some(f->loop);
}

static const struct {
	const char *name;
	void (*enter)(struct fixture *f);
} states[] = {
    {"not submitted", not_submitted},
    {"in flight", in_flight},
    {"waiting for an entry", waiting_for_an_entry},
    {"its cancel waiting for an entry", its_cancel_waits_for_an_entry},
};

TEST(a_cancelled_op_is_told_once_in_every_state)
{
	for (size_t i = 0; i < ROWS(states); i++) {
		struct fixture f;

		set_up(&f);
		states[i].enter(&f);
		loop_cancel(&f.a.op);
		loop_cancel(&f.a.op);
		if (f.a.calls > 0)
			fail_msg("%s: called from inside loop_cancel()", states[i].name);
		turn_some(f.loop);
		starved = false;
		turn_until(f.loop, f.a.calls > 0);
		turn_some(f.loop);
		if (f.a.calls != 1 || f.a.res != -ECANCELED)
			fail_msg("%s: %u calls, result %d", states[i].name, f.a.calls, f.a.res);
		tear_down(&f);
	}
}

TEST(a_scope_can_be_closed_in_every_state_of_its_ops)
{
	for (size_t i = 0; i < ROWS(states); i++) {
		struct fixture f;

		set_up(&f);
		states[i].enter(&f);
		loop_scope_close(&f.scope.scope);
		loop_scope_close(&f.scope.scope);
		if (f.a.calls > 0 || f.scope.drained > 0)
			fail_msg("%s: called from inside loop_scope_close()", states[i].name);
		turn_some(f.loop);
		if (f.scope.drained > 0 && f.a.calls == 0)
			fail_msg("%s: drained while an op was armed", states[i].name);
		starved = false;
		turn_until(f.loop, f.scope.drained > 0);
		turn_some(f.loop);
		if (f.a.calls != 1 || f.a.res != -ECANCELED || f.scope.drained != 1)
			fail_msg("%s: %u calls, result %d, drained %u times", states[i].name,
			         f.a.calls, f.a.res, f.scope.drained);
		free_all(&f);
	}
}

/* The byte comes first: then the op succeeds, whatever was asked for after. */
TEST(an_op_that_has_completed_already_keeps_its_result)
{
	for (unsigned int close_scope = 0; close_scope < 2; close_scope++) {
		struct fixture f;

		set_up(&f);
		in_flight(&f);
		assert_int_equal(write(f.pipe[1], "x", 1), 1);
		if (close_scope)
			loop_scope_close(&f.scope.scope);
		else
			loop_cancel(&f.a.op);
		turn_until(f.loop, f.a.calls > 0);
		turn_some(f.loop);
		assert_int_equal(f.a.calls, 1);
		/* Whoever came first, nothing is lost: the byte was read or is still there. */
		if (f.a.res == 1)
			assert_int_equal(f.byte, 'x');
		else
			assert_int_equal(read(f.pipe[0], &f.byte, 1), 1);
		tear_down(&f);
	}
}

TEST(a_cancel_does_not_hit_the_next_time_the_op_is_armed)
{
	struct fixture f;

	for (unsigned int waits = 0; waits < 2; waits++) {
		set_up(&f);
		in_flight(&f);
		assert_int_equal(write(f.pipe[1], "x", 1), 1);
		starved = waits;
		loop_cancel(&f.a.op);
		turn_until(f.loop, f.a.calls == 1);
		starved = false;
		if (f.a.res == -ECANCELED)
			assert_int_equal(read(f.pipe[0], &f.byte, 1), 1);
		arm_a(&f);
		turn_some(f.loop);
		assert_true(f.a.op.armed);
		tear_down(&f);
		assert_int_equal(f.a.res, -ECANCELED);
	}
}

TEST(cancelling_what_is_not_armed_does_nothing)
{
	struct fixture f;

	set_up(&f);
	loop_cancel(&f.a.op);
	turn_some(f.loop);
	assert_int_equal(f.a.calls, 0);
	arm_a(&f);
	turn_some(f.loop);
	assert_int_equal(f.a.calls, 0);
	tear_down(&f);
}

TEST(an_empty_scope_drains_in_the_next_turn_not_before)
{
	struct fixture f;

	set_up(&f);
	loop_scope_close(&f.scope.scope);
	assert_int_equal(f.scope.drained, 0);
	/* Nothing else will complete: a turn that waits must not sleep. */
	assert_int_equal(loop_turn(f.loop, true), 0);
	assert_int_equal(f.scope.drained, 1);
	loop_scope_close(&f.scope.scope);
	turn_some(f.loop);
	assert_int_equal(f.scope.drained, 1);
	free_all(&f);
}

TEST(a_scope_without_a_function_drains_silently)
{
	struct fixture f;
	struct loop_scope other;

	set_up(&f);
	loop_scope_init(&other, f.loop, NULL);
	loop_scope_close(&other);
	turn_some(f.loop);
	tear_down(&f);
}

/* A scope that is closed by a completion of its own, as a connection is at its end. */
struct self_closing {
	struct loop_scope scope;
	struct loop_op first, second;
	unsigned int calls;
	bool inside, freed;
	unsigned int *drained;
};

static void on_first(struct loop_op *op, int32_t res)
{
	struct self_closing *self = container_of(op, struct self_closing, first);

	(void)res;
	self->inside = true;
	self->calls++;
	loop_scope_close(&self->scope);
	self->inside = false;
}

static void on_second(struct loop_op *op, int32_t res)
{
	struct self_closing *self = container_of(op, struct self_closing, second);

	assert_false(self->inside);
	assert_int_equal(res, -ECANCELED);
	self->calls++;
}

static unsigned int self_drained;

static void on_self_drained(struct loop_scope *scope)
{
	struct self_closing *self = container_of(scope, struct self_closing, scope);

	assert_false(self->inside);
	assert_int_equal(self->calls, 2);
	++*self->drained;
	free(self);
}

TEST(a_scope_may_be_closed_by_its_own_op_and_freed_by_drained)
{
	struct self_closing *self = calloc(1, sizeof(*self));
	struct fixture f;

	set_up(&f);
	self_drained = 0;
	self->drained = &self_drained;
	loop_scope_init(&self->scope, f.loop, on_self_drained);
	loop_op_init(&self->first, &self->scope, on_first);
	loop_op_init(&self->second, &self->scope, on_second);
	loop_arm_write(&self->first, f.pipe[1], "x", 1);
	loop_arm_poll(&self->second, f.pipe[0], POLLHUP);
	turn_until(f.loop, self_drained == 1);
	turn_some(f.loop);
	tear_down(&f);
}

/* A chain of ends: each scope that has drained closes the next. */
struct chained {
	struct loop_scope scope;
	struct loop_scope *next;
	bool inside;
};

static unsigned int chain_length;

static void on_chained(struct loop_scope *scope)
{
	struct chained *chained = container_of(scope, struct chained, scope);

	chain_length++;
	chained->inside = true;
	if (chained->next) {
		assert_false(container_of(chained->next, struct chained, scope)->inside);
		loop_scope_close(chained->next);
	}
	chained->inside = false;
}

TEST(a_scope_may_be_closed_by_the_end_of_another_and_never_inside_it)
{
	struct chained scopes[5];
	struct fixture f;

	set_up(&f);
	chain_length = 0;
	for (size_t i = 0; i < ROWS(scopes); i++) {
		scopes[i] = (struct chained){
		    .next = i + 1 < ROWS(scopes) ? &scopes[i + 1].scope : NULL,
		};
		loop_scope_init(&scopes[i].scope, f.loop, on_chained);
	}
	loop_scope_close(&scopes[0].scope);
	turn_until(f.loop, chain_length == ROWS(scopes));
	turn_some(f.loop);
	assert_int_equal(chain_length, ROWS(scopes));
	tear_down(&f);
}

/* The owner of an op may go in the op's function. */
static unsigned int freed_owners;

static void on_owned(struct loop_op *op, int32_t res)
{
	(void)res;
	free(op);
	freed_owners++;
}

TEST(an_op_may_be_freed_by_its_function)
{
	struct fixture f;

	set_up(&f);
	freed_owners = 0;
	for (unsigned int i = 0; i < 30; i++) {
		struct loop_op *op = malloc(sizeof(*op));

		loop_op_init(op, &f.scope.scope, on_owned);
		if (i % 3 == 0)
			loop_arm_write(op, f.pipe[1], "x", 1);
		else
			loop_arm_poll(op, f.pipe[0], POLLHUP);
	}
	turn_some(f.loop);
	tear_down(&f);
	assert_int_equal(freed_owners, 30);
}

TEST(one_scope_ends_while_another_goes_on)
{
	struct watched_scope other;
	struct watched theirs;
	struct fixture f;

	set_up(&f);
	watched_scope_init(&other, f.loop);
	watched_init(&theirs, &other.scope);
	arm_a(&f);
	loop_arm_poll(&theirs.op, f.pipe[0], POLLHUP);
	turn_some(f.loop);
	watched_scope_end(&other);
	assert_int_equal(theirs.calls, 1);
	assert_int_equal(f.a.calls, 0);
	assert_int_equal(write(f.pipe[1], "x", 1), 1);
	turn_until(f.loop, f.a.calls);
	assert_int_equal(f.a.res, 1);
	tear_down(&f);
}

static unsigned int tidied;

static void tidy(void)
{
	tidied++;
}

TEST(what_the_owners_of_scopes_leave_is_tidied_once_they_have_gone)
{
	struct loop_config config = {.entries = 8, .cq_entries = 16, .tidy = tidy};
	struct loop_scope scopes[3];
	struct loop *loop = turning_loop_with(&config);

	tidied = 0;
	for (size_t i = 0; i < ROWS(scopes); i++)
		loop_scope_init(&scopes[i], loop, NULL);
	turn_some(loop);
	assert_false(loop->tidy_time.op.armed);
	loop_scope_close(&scopes[0]);
	loop_scope_close(&scopes[1]);
	turn_some(loop);
	assert_int_equal(tidied, 0);
	turn_until(loop, tidied > 0);
	turn_some(loop);
	assert_int_equal(tidied, 1);
	assert_false(loop->tidy_time.op.armed);
	loop_scope_close(&scopes[2]);
	turn_until(loop, tidied > 1);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(what_the_owners_of_scopes_leave_is_tidied_once_they_have_gone),
	    UNIT(a_cancelled_op_is_told_once_in_every_state),
	    UNIT(a_scope_can_be_closed_in_every_state_of_its_ops),
	    UNIT(an_op_that_has_completed_already_keeps_its_result),
	    UNIT(a_cancel_does_not_hit_the_next_time_the_op_is_armed),
	    UNIT(cancelling_what_is_not_armed_does_nothing),
	    UNIT(an_empty_scope_drains_in_the_next_turn_not_before),
	    UNIT(a_scope_without_a_function_drains_silently),
	    UNIT(a_scope_may_be_closed_by_its_own_op_and_freed_by_drained),
	    UNIT(a_scope_may_be_closed_by_the_end_of_another_and_never_inside_it),
	    UNIT(an_op_may_be_freed_by_its_function),
	    UNIT(one_scope_ends_while_another_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
