/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop/room.h"

#include "base/macros.h"

/*
 * How soon the next try is, where a poll would end at once, and how rarely in the end, where none
 * has succeeded: soon enough that who reads at full speed isn't found lagging.
 */
#define PAUSE_MS     1u
#define PAUSE_MS_MAX 100u

static void pause_for(struct loop_room *room)
{
	room->pausing = true;
	loop_timer_arm(&room->wait, room->pause_ms);
	room->pause_ms = MIN(2 * room->pause_ms, PAUSE_MS_MAX);
}

static void on_waited(struct loop_op *op, int32_t res)
{
	struct loop_room *room = container_of(op, struct loop_room, wait.op);
	bool paused = room->pausing;

	room->pausing = false;
	if (op->scope->closing)
		return;
	if (!paused && loop_is_shortage(res))
		loop_arm_again(op);
	else if (!paused && loop_room_tells_none(res))
		pause_for(room);
	else
		room->found(room);
}

void loop_room_init(struct loop_room *room, struct loop_scope *scope,
                    void (*found)(struct loop_room *room))
{
	loop_timer_init(&room->wait, scope, on_waited);
	room->pausing = false;
	room->pause_ms = PAUSE_MS;
	room->found = found;
}

void loop_room_progress(struct loop_room *room)
{
	room->pause_ms = PAUSE_MS;
}

void loop_room_await(struct loop_room *room, int fd)
{
	loop_arm_poll(&room->wait.op, fd, POLLOUT);
}
