/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* See strays.h. Must not keep a descriptor, nor look at what it is. */
#include "loop/strays.h"

#include "base/macros.h"
#include "loop/discard.h"

#include <stdlib.h>
#include <string.h>

struct strays {
	struct loop_discards discards;
	void (*closed)(void *owner); /* NULL: the owner has gone */
	void *owner;
};

static void free_if_done(struct strays *strays)
{
	if (!loop_discards_empty(&strays->discards))
		return;
	/* Its function calls `emptied` again. */
	if (strays->discards.again.op.armed)
		loop_cancel(&strays->discards.again.op);
	else
		free(strays);
}

static void on_emptied(struct loop_discards *discards)
{
	struct strays *strays = container_of(discards, struct strays, discards);

	if (strays->closed)
		strays->closed(strays->owner);
	else
		free_if_done(strays);
}

struct strays *strays_new(struct loop *loop, void (*closed)(void *owner), void *owner)
{
	struct strays *strays = calloc(1, sizeof(*strays));

	if (!strays)
		return NULL;
	strays->closed = closed;
	strays->owner = owner;
	loop_discards_init(&strays->discards, loop, on_emptied);
	return strays;
}

void strays_free(struct strays *strays)
{
	if (!strays)
		return;
	strays->closed = NULL;
	free_if_done(strays);
}

struct fd_discarder *strays_discarder(struct strays *strays)
{
	return strays ? &strays->discards.discarder : NULL;
}

bool strays_pending(const struct strays *strays)
{
	return strays && !loop_discards_empty(&strays->discards);
}

void strays_arm_recv(struct strays_room *room, struct loop_op *op, int fd, void *buf, size_t len,
                     int flags)
{
	if (!room) {
		loop_arm_recv(op, fd, buf, len, flags);
		return;
	}
	room->iov = (struct iovec){buf, len};
	room->msg = (struct msghdr){
	    .msg_iov = &room->iov,
	    .msg_iovlen = 1,
	    .msg_control = room->control,
	    .msg_controllen = sizeof(room->control),
	};
	loop_arm_recvmsg(op, fd, &room->msg, flags | MSG_CMSG_CLOEXEC);
}

void strays_take(struct strays *strays, struct strays_room *room)
{
	if (!strays || !room)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&room->msg); c; c = CMSG_NXTHDR(&room->msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0;
		     i < n && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			fd_discard(&strays->discards.discarder, &fd);
		}
	}
}
