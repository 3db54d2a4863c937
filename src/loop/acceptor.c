/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop/acceptor.h"

#include "base/fd.h"
#include "base/limit.h"
#include "base/macros.h"

#include <errno.h>
#include <sys/socket.h>

/*
 * An urgent byte (MSG_OOB) is read where it stands in the stream, like any other: on TCP, and on
 * Unix sockets from Linux 5.15 on. Without this it would be taken out of the stream and be lost. A
 * socket without urgent bytes refuses it, and needs nothing.
 */
static void keep_urgent_bytes(int fd)
{
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &(int){1}, sizeof(int));
}

/* Errors of a connection that has gone again (accept(2)), or of no one's. */
static bool is_passing(int32_t res)
{
	return res == -ECONNABORTED || res == -EINTR || res == -EPROTO || res == -EPERM ||
	       res == -ENETDOWN || res == -ENETUNREACH || res == -EHOSTDOWN ||
	       res == -EHOSTUNREACH || res == -ENOPROTOOPT || res == -EOPNOTSUPP;
}

static void arm(struct acceptor *acceptor)
{
	if (!acceptor->held && !acceptor->closed && !acceptor->accept.armed &&
	    !acceptor->accept.scope->closing)
		loop_arm_accept(&acceptor->accept, acceptor->fd);
}

static void on_accept(struct loop_op *op, int32_t res)
{
	struct acceptor *acceptor = container_of(op, struct acceptor, accept);
	char why[LIMIT_TEXT_MAX];

	if (op->scope->closing || acceptor->closed) {
		if (res >= 0)
			fd_discard(acceptor->discarder, &(int){res});
		return;
	}
	if (res < 0 && !is_passing(res)) {
		log_limited(&acceptor->limit, LOG_LEVEL_WARNING, "%s: a connection has to wait: %s",
		            acceptor->name, limit_explain(res, why));
		if (res == -EMFILE || res == -ENFILE)
			loop_arm_for_fd(op, acceptor->order);
		else
			loop_arm_again(op);
		return;
	}
	if (res >= 0) {
		loop_fd_came(op->scope->loop);
		keep_urgent_bytes(res);
		acceptor->accepted(acceptor, res);
	}
	arm(acceptor);
}

void acceptor_start(struct acceptor *acceptor, struct loop_scope *scope,
                    struct fd_discarder *discarder, int fd, const char *name,
                    void (*accepted)(struct acceptor *acceptor, int fd))
{
	*acceptor = (struct acceptor){
	    .discarder = discarder,
	    .fd = fd,
	    .name = name,
	    .order = LOOP_FD_LAST,
	    .accepted = accepted,
	};
	/* TCP's connections inherit it: so it holds for what comes before they are accepted. */
	keep_urgent_bytes(fd);
	loop_op_init(&acceptor->accept, scope, on_accept);
	loop_arm_accept(&acceptor->accept, fd);
}

void acceptor_go_first(struct acceptor *acceptor)
{
	acceptor->order = LOOP_FD_FIRST;
}

void acceptor_hold(struct acceptor *acceptor)
{
	acceptor->held = true;
}

void acceptor_go_on(struct acceptor *acceptor)
{
	acceptor->held = false;
	arm(acceptor);
}

void acceptor_close(struct acceptor *acceptor)
{
	acceptor->closed = true;
	loop_cancel(&acceptor->accept);
}

void acceptor_deinit(struct acceptor *acceptor)
{
	assert(!acceptor->accept.armed);
	fd_discard(acceptor->discarder, &acceptor->fd);
}
