/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Closes descriptors in a worker of the kernel's, as closing may wait; see fd_discard(). */
#include "base/fd.h"
#include "base/macros.h"
#include "loop/loop_impl.h"

#include <stdlib.h>

struct discard {
	struct loop_op op;
	int fd;
};

static void on_closed(struct loop_op *op, int32_t res)
{
	struct discard *discard = container_of(op, struct discard, op);

	if (loop_is_shortage(res)) {
		loop_arm_again(op);
		return;
	}
	/* There was no worker for it. Other errors are the file's, which is closed all the same. */
	if (res == -ECANCELED)
		fd_close(&discard->fd);
	op->scope->loop->discards--;
	free(discard);
}

static bool discard_fd(void *arg, int fd)
{
	struct loop *loop = arg;
	struct discard *discard = malloc(sizeof(*discard));

	if (!discard)
		return false;
	discard->fd = fd;
	loop_op_init(&discard->op, &loop->scope, on_closed);
	loop_arm_close(&discard->op, fd);
	loop->discards++;
	return true;
}

void loop_discard_init(struct loop *loop)
{
	fd_set_discarder(discard_fd, loop);
}

void loop_discard_deinit(struct loop *loop)
{
	fd_forget_discarder(loop);
	while (loop->discards > 0 && loop_turn(loop, true) == 0)
		;
}

unsigned int loop_discards(const struct loop *loop)
{
	return loop->discards;
}
