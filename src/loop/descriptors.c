/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Who may have descriptors, and in which order. It opens and closes none itself.
 */
#include "loop/descriptors.h"

#include "base/macros.h"
#include "loop/loop_impl.h"

#include <assert.h>
#include <sys/resource.h>

void loop_reserve_fds(struct loop *loop, uint64_t fds)
{
	loop->reserved_fds = fds;
}

bool loop_has_spare_fd(const struct loop *loop)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return true;
	return limit.rlim_cur > loop->reserved_fds + loop->spare_fds_used;
}

void loop_use_spare_fd(struct loop *loop)
{
	loop->spare_fds_used++;
}

void loop_return_spare_fd(struct loop *loop)
{
	assert(loop->spare_fds_used > 0);
	loop->spare_fds_used--;
}

/* The shortage. */

void loop_arm_for_fd(struct loop_op *op, enum loop_fd_order order)
{
	loop_wait_in(op, &op->scope->loop->short_of_fds[order]);
}

static bool wake_one(struct loop *loop)
{
	for (unsigned int i = 0; i < LOOP_FD_ORDERS; i++) {
		struct list *link = loop->short_of_fds[i].next;

		if (list_empty(&loop->short_of_fds[i]))
			continue;
		list_remove(link);
		list_append(&loop->backlog, link);
		return true;
	}
	return false;
}

void loop_fd_came(struct loop *loop)
{
	wake_one(loop);
}

static bool is_short(const struct loop *loop)
{
	for (unsigned int i = 0; i < LOOP_FD_ORDERS; i++) {
		if (!list_empty(&loop->short_of_fds[i]))
			return true;
	}
	return false;
}

/* Asks one after the other, until one has something; the next time begins behind that one. */
static void ask_for_relief(struct loop *loop)
{
	struct list *first = loop->reliefs.next, *asked = first;
	unsigned int looks = 0;

	while (looks < LOOP_FD_LOOKS && !list_empty(&loop->reliefs)) {
		struct loop_relief *relief = container_of(asked, struct loop_relief, link);

		list_remove(asked);
		list_append(&loop->reliefs, asked);
		looks++; /* also if there is no peer */
		if (relief->relieve(relief, &looks))
			return;
		asked = loop->reliefs.next;
		if (asked == first)
			return;
	}
}

bool loop_retry_fds(struct loop *loop)
{
	if (!is_short(loop))
		return false;
	ask_for_relief(loop);
	for (unsigned int i = 0; i < LOOP_FD_TRIES; i++)
		wake_one(loop);
	return is_short(loop);
}

void loop_relief_add(struct loop *loop, struct loop_relief *relief,
                     bool (*relieve)(struct loop_relief *relief, unsigned int *looks))
{
	relief->relieve = relieve;
	list_init(&relief->link);
	list_append(&loop->reliefs, &relief->link);
}

void loop_relief_remove(struct loop_relief *relief)
{
	list_remove(&relief->link);
}
