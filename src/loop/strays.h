/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Descriptors that clients of a Unix socket send though nobody wants them. The kernel closes those
 * that aren't received in the thread that reads or closes the socket, however long that takes. From
 * Linux 6.16 on they can be refused (unix_socket_refuse_fds()); before, they are received and
 * closed beside the loop.
 *
 * All functions take NULL for a socket that has none to fear, and cost nothing then.
 */
#ifndef LOOP_STRAYS_H
#define LOOP_STRAYS_H

#include "base/fd.h"
#include "loop/loop.h"

#include <sys/uio.h>

/* Of one listening socket and its clients. */
struct strays;

/* The most descriptors that one send can carry (SCM_MAX_FD). */
#define STRAYS_FDS_MAX 253

/* Room for a receive; it stays until that has completed. */
struct strays_room {
	struct msghdr msg;
	struct iovec iov;
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(STRAYS_FDS_MAX * sizeof(int))];
};

/*
 * `closed` is called when all are closed that were taken: until then nothing should be received.
 * NULL if there is no memory.
 */
struct strays *strays_new(struct loop *loop, void (*closed)(void *owner), void *owner);

/* The owner goes; what is still being closed goes on. */
void strays_free(struct strays *strays);

/* For the sockets themselves, in which some may wait unread; NULL without strays. */
struct fd_discarder *strays_discarder(struct strays *strays);

/* Whether some are still being closed. */
bool strays_pending(const struct strays *strays);

/* As loop_arm_recv(), with room for what comes besides; NULL: without. */
void strays_arm_recv(struct strays_room *room, struct loop_op *op, int fd, void *buf, size_t len,
                     int flags);

/* The receive has completed with success: takes what came besides. */
void strays_take(struct strays *strays, struct strays_room *room);

#endif
