/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop/transfer.h"

#include "base/fd.h"
#include "base/macros.h"
#include "loop/room.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define PIECE (64u * 1024)

/* How often a reader is tried that writes no more and doesn't read. */
#define PAUSE_MS 20

/* What no deadline and no other guest should wait for is asked for in pieces. */
static void go_on(struct transfer *transfer);

static void forget(struct transfer *transfer)
{
	fd_discard(transfer->discarder, &transfer->fd);
	free(transfer->bytes);
	transfer->bytes = NULL;
	transfer->len = transfer->room = transfer->done = 0;
}

static void end(struct transfer *transfer, int error)
{
	/* To a reader at the other end, this is the end of the bytes. */
	fd_discard(transfer->discarder, &transfer->fd);
	transfer->ended(transfer, error);
	forget(transfer);
}

/* Room for one byte more than the limit, to see whether there is one. */
static int make_room(struct transfer *transfer)
{
	size_t room = MIN(MAX(2 * transfer->room, (size_t)PIECE), transfer->limit + 1);
	uint8_t *bytes;

	if (transfer->len < transfer->room)
		return 0;
	bytes = realloc(transfer->bytes, room);
	if (!bytes)
		return -ENOMEM;
	transfer->bytes = bytes;
	transfer->room = room;
	return 0;
}

static void await(struct transfer *transfer)
{
	transfer->polling = true;
	loop_arm_poll(&transfer->op, transfer->fd, transfer->reading ? POLLIN : POLLOUT);
}

static void on_read(struct transfer *transfer, int32_t res)
{
	transfer->len += (size_t)res;
	if (transfer->len > transfer->limit)
		end(transfer, -EFBIG);
	else if (res > 0)
		go_on(transfer);
	else if (transfer->may_end(transfer))
		end(transfer, 0);
	else
		loop_timer_arm(&transfer->pause, 1); /* then the end is read again */
}

static void on_pause_over(struct loop_op *op, int32_t res)
{
	(void)res;
	if (!op->scope->closing)
		await(container_of(op, struct transfer, pause.op));
}

static void on_done(struct loop_op *op, int32_t res)
{
	struct transfer *transfer = container_of(op, struct transfer, op);
	bool polled = transfer->polling;

	transfer->polling = false;
	if (op->scope->closing)
		return;
	if (loop_is_shortage(res)) {
		transfer->polling = polled;
		loop_arm_again(op);
	} else if (polled && !transfer->reading && loop_room_tells_none(res)) {
		loop_timer_arm(&transfer->pause, PAUSE_MS);
	} else if (res == -EAGAIN) {
		await(transfer);
	} else if (res == -EINTR || (polled && res >= 0)) {
		go_on(transfer);
	} else if (res < 0) {
		end(transfer, res);
	} else if (transfer->reading) {
		on_read(transfer, res);
	} else {
		transfer->done += (size_t)res;
		go_on(transfer);
	}
}

static void go_on(struct transfer *transfer)
{
	int r;

	if (!transfer->reading) {
		size_t left = transfer->len - transfer->done;

		if (left == 0)
			end(transfer, 0);
		else
			loop_arm_write(&transfer->op, transfer->fd,
			               transfer->bytes + transfer->done, MIN(left, PIECE));
		return;
	}
	r = make_room(transfer);
	if (r < 0)
		end(transfer, r);
	else
		loop_arm_read(&transfer->op, transfer->fd, transfer->bytes + transfer->len,
		              MIN(transfer->room - transfer->len, PIECE));
}

void transfer_init(struct transfer *transfer, struct loop_scope *scope,
                   struct fd_discarder *discarder,
                   void (*ended)(struct transfer *transfer, int error),
                   bool (*may_end)(struct transfer *transfer))
{
	*transfer =
	    (struct transfer){.discarder = discarder, .fd = -1, .ended = ended, .may_end = may_end};
	loop_op_init(&transfer->op, scope, on_done);
	loop_timer_init(&transfer->pause, scope, on_pause_over);
}

static void start(struct transfer *transfer, int fd, bool reading)
{
	assert(!transfer_under_way(transfer));
	transfer->fd = fd;
	transfer->reading = reading;
	/* First of all waits, so that nothing has ended when this returns. */
	await(transfer);
}

void transfer_read(struct transfer *transfer, int fd, size_t limit)
{
	transfer->limit = limit;
	start(transfer, fd, true);
}

void transfer_write(struct transfer *transfer, int fd, void *bytes, size_t len)
{
	transfer->bytes = bytes;
	transfer->len = len;
	start(transfer, fd, false);
}

void transfer_deinit(struct transfer *transfer)
{
	assert(!transfer->op.armed && !transfer->pause.op.armed);
	forget(transfer);
}
