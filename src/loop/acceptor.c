/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop/acceptor.h"

#include "base/fd.h"
#include "base/macros.h"

#include <errno.h>
#include <string.h>

/* How long to wait when there is a shortage. */
#define SHORTAGE_MS 100

static void on_accept(struct loop_op *op, int32_t res)
{
	struct acceptor *acceptor = container_of(op, struct acceptor, accept);

	if (op->scope->closing) {
		if (res >= 0)
			fd_close(&(int){res});
		return;
	}
	if (res == -EMFILE || res == -ENFILE || res == -ENOMEM || res == -ENOBUFS) {
		log_limited(&acceptor->limit, LOG_LEVEL_WARNING, "%s: a connection has to wait: %s",
		            acceptor->name, strerror(-res));
		loop_timer_arm(&acceptor->shortage, SHORTAGE_MS);
		return;
	}
	/* Other errors are those of a connection that has gone again. */
	loop_arm_accept(&acceptor->accept, acceptor->fd);
	if (res >= 0)
		acceptor->accepted(acceptor, res);
}

static void on_shortage_over(struct loop_op *op, int32_t res)
{
	struct acceptor *acceptor = container_of(op, struct acceptor, shortage.op);

	(void)res;
	if (!op->scope->closing)
		loop_arm_accept(&acceptor->accept, acceptor->fd);
}

void acceptor_start(struct acceptor *acceptor, struct loop_scope *scope, int fd, const char *name,
                    void (*accepted)(struct acceptor *acceptor, int fd))
{
	*acceptor = (struct acceptor){.fd = fd, .name = name, .accepted = accepted};
	loop_op_init(&acceptor->accept, scope, on_accept);
	loop_timer_init(&acceptor->shortage, scope, on_shortage_over);
	loop_arm_accept(&acceptor->accept, fd);
}

void acceptor_deinit(struct acceptor *acceptor)
{
	assert(!acceptor->accept.armed && !acceptor->shortage.op.armed);
	fd_close(&acceptor->fd);
}
