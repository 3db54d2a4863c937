/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Waiting until a stream socket takes more. Sends themselves shouldn't wait: io_uring would do so
 * by a poll that a peer which sends no more ends at once, again and again, and then in a worker of
 * the kernel's, of which there is one for all.
 */
#ifndef LOOP_ROOM_H
#define LOOP_ROOM_H

#include "loop/loop.h"

#include <poll.h>

struct loop_room {
	struct loop_timer wait; /* its op is the poll, too */
	bool pausing;           /* it is the timer now */
	unsigned int pause_ms;
	/* There may be room, or the socket has failed: the next send tells. */
	void (*found)(struct loop_room *room);
};

void loop_room_init(struct loop_room *room, struct loop_scope *scope,
                    void (*found)(struct loop_room *room));

/* Something was sent: who takes it is soon tried again. */
void loop_room_progress(struct loop_room *room);

/* Calls `found` once, unless the scope closes. */
void loop_room_await(struct loop_room *room, int fd);

/*
 * Whether a poll for room has told only that the peer sends no more: io_uring tells of that, too,
 * and at once, so that such a poll would never again wait for room.
 */
static inline bool loop_room_tells_none(int32_t res)
{
	return res > 0 && !(res & (POLLOUT | POLLERR | POLLHUP));
}

static inline bool loop_room_awaited(const struct loop_room *room)
{
	return room->wait.op.armed;
}

#endif
