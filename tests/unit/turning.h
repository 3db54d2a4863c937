/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The loop in a unit test: turned until a condition holds, by the test itself.
 */
#ifndef TURNING_H
#define TURNING_H

#include "loop/loop.h"
#include "support.h"

/* Turns the loop until `condition` is true; support_die() if that takes too long. */
#define turn_until(loop, condition)                                                                \
	for (uint64_t give_up_at_ = support_now_ms() + support_deadline_ms(); !(condition);)       \
	turning_step((loop), give_up_at_, #condition)

static inline void turning_step(struct loop *loop, uint64_t give_up_at, const char *what)
{
	if (loop_turn(loop, false) < 0)
		support_die("the ring has failed");
	if (support_now_ms() > give_up_at)
		support_die("waited in vain until %s", what);
}

/* For what must not happen: enough turns for it to happen if it could. */
static inline void turn_some(struct loop *loop)
{
	for (unsigned int i = 0; i < 20; i++)
		turning_step(loop, UINT64_MAX, "");
}

static inline struct loop *turning_loop_with(const struct loop_config *config)
{
	struct loop *loop;
	int r = loop_new(&loop, config);

	if (r < 0)
		support_die("a loop can't be made: %d", r);
	return loop;
}

static inline struct loop *turning_loop_of(unsigned int entries, unsigned int cq_entries)
{
	struct loop_config config = {.entries = entries, .cq_entries = cq_entries};

	return turning_loop_with(&config);
}

static inline struct loop *turning_loop(void)
{
	return turning_loop_of(64, 128);
}

/* An op that remembers how it was called. */
struct watched {
	struct loop_op op;
	unsigned int calls;
	int32_t res;
};

static inline void watched_done(struct loop_op *op, int32_t res)
{
	struct watched *watched = (struct watched *)(void *)op; /* op is the first member */

	watched->calls++;
	watched->res = res;
}

static inline void watched_init(struct watched *watched, struct loop_scope *scope)
{
	*watched = (struct watched){.res = INT32_MIN};
	loop_op_init(&watched->op, scope, watched_done);
}

/* A scope that counts how often it has drained. */
struct watched_scope {
	struct loop_scope scope;
	unsigned int drained;
};

static inline void watched_scope_drained(struct loop_scope *scope)
{
	((struct watched_scope *)(void *)scope)->drained++; /* scope is the first member */
}

static inline void watched_scope_init(struct watched_scope *scope, struct loop *loop)
{
	scope->drained = 0;
	loop_scope_init(&scope->scope, loop, watched_scope_drained);
}

/* Closes and waits for the drain, which comes once. */
static inline void watched_scope_end(struct watched_scope *scope)
{
	loop_scope_close(&scope->scope);
	turn_until(scope->scope.loop, scope->drained > 0);
	if (scope->drained != 1)
		support_die("a scope has drained %u times", scope->drained);
}

#endif
