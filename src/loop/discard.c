/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Closes descriptors in a worker of the kernel's, as closing may wait; see fd_discard(). A few at a
 * time, the others wait for their turn: one worker is left for what is written to files. Where too
 * many wait, somebody sends them faster than they can be closed, or they don't close at all: the
 * next ones are closed at once, so that they aren't kept.
 */
#include "base/fd.h"
#include "base/macros.h"
#include "loop/loop_impl.h"

#include <stdlib.h>

/* How long the loop's end waits for those that are being closed; the process's end closes all. */
#define PATIENCE_MS 1000

struct discard {
	struct loop_op op;
	struct list waiting;
	int fd;
};

static void close_next(struct loop *loop)
{
	while (loop->closing < LOOP_WORKERS - 1 && !list_empty(&loop->discarded)) {
		struct list *link = loop->discarded.next;
		struct discard *discard = container_of(link, struct discard, waiting);

		list_remove(link);
		loop->closing++;
		loop_arm_close(&discard->op, discard->fd);
	}
}

static void on_closed(struct loop_op *op, int32_t res)
{
	struct discard *discard = container_of(op, struct discard, op);
	struct loop *loop = op->scope->loop;

	if (loop_is_shortage(res)) {
		loop_arm_again(op);
		return;
	}
	/* There was no worker for it. Other errors are the file's, which is closed all the same. */
	if (res == -ECANCELED)
		fd_close(&discard->fd);
	free(discard);
	loop->closing--;
	loop->discards--;
	close_next(loop);
}

static bool discard_fd(void *arg, int fd)
{
	struct loop *loop = arg;
	struct discard *discard;

	if (loop->discards >= LOOP_DISCARDS_MAX)
		return false;
	discard = malloc(sizeof(*discard));
	if (!discard)
		return false;
	discard->fd = fd;
	loop_op_init(&discard->op, &loop->scope, on_closed);
	list_append(&loop->discarded, &discard->waiting);
	loop->discards++;
	close_next(loop);
	return true;
}

void loop_discard_init(struct loop *loop)
{
	list_init(&loop->discarded);
	fd_set_discarder(discard_fd, loop);
}

static void on_patience_over(struct loop_op *op, int32_t res)
{
	(void)op, (void)res;
}

void loop_discard_deinit(struct loop *loop)
{
	struct loop_timer patience;

	fd_forget_discarder(loop);
	if (loop->discards == 0)
		return;
	loop_timer_init(&patience, &loop->scope, on_patience_over);
	loop_timer_arm(&patience, PATIENCE_MS);
	while (loop->discards > 0 && patience.op.armed && loop_turn(loop, true) == 0)
		;
	loop_cancel(&patience.op);
	while (patience.op.armed && loop_turn(loop, true) == 0)
		;
}

unsigned int loop_discards(const struct loop *loop)
{
	return loop->discards;
}
