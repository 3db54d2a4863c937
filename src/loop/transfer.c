/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop/transfer.h"

#include "base/fd.h"
#include "base/macros.h"
#include "loop/room.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

/* How often a reader is tried that writes no more and doesn't read. */
#define PAUSE_MS 20

static void go_on(struct transfer *transfer);

static void end(struct transfer *transfer, int error)
{
	/* To a reader at the other end, this is the end of the bytes. */
	fd_discard(transfer->discarder, &transfer->fd);
	transfer->ended(transfer, error);
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

static void on_written(struct transfer *transfer, size_t len)
{
	transfer->done += len;
	if (transfer->done == transfer->pieces->iov_len) {
		transfer->pieces++;
		transfer->pieces_left--;
		transfer->done = 0;
	}
	go_on(transfer);
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
		on_written(transfer, (size_t)res);
	}
}

static void write_next(struct transfer *transfer)
{
	const struct iovec *piece = transfer->pieces;

	if (transfer->pieces_left == 0)
		end(transfer, 0);
	else
		loop_arm_write(&transfer->op, transfer->fd,
		               (const uint8_t *)piece->iov_base + transfer->done,
		               MIN(piece->iov_len - transfer->done, TRANSFER_PIECE));
}

/* Asks for one byte more than the limit, to see whether there is one. */
static void read_next(struct transfer *transfer)
{
	loop_arm_read(&transfer->op, transfer->fd, transfer->bytes + transfer->len,
	              MIN(transfer->limit + 1 - transfer->len, TRANSFER_PIECE));
}

static void go_on(struct transfer *transfer)
{
	if (transfer->reading)
		read_next(transfer);
	else
		write_next(transfer);
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
	assert(!transfer_under_way(transfer) && !transfer->bytes);
	transfer->fd = fd;
	transfer->reading = reading;
	transfer->len = transfer->done = 0;
	/* First of all waits, so that nothing has ended when this returns. */
	await(transfer);
}

int transfer_read(struct transfer *transfer, int fd, size_t limit)
{
	void *bytes = mmap(NULL, limit + 1, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (bytes == MAP_FAILED)
		return -errno;
	start(transfer, fd, true);
	transfer->bytes = bytes;
	transfer->limit = limit;
	return 0;
}

void transfer_write(struct transfer *transfer, int fd, const struct iovec *pieces,
                    unsigned int count)
{
	start(transfer, fd, false);
	transfer->pieces = pieces;
	transfer->pieces_left = count;
}

void transfer_forget_part(struct transfer *transfer, size_t from, size_t to)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t start = (from + page - 1) & ~(page - 1), end = to & ~(page - 1);

	if (end > start)
		madvise(transfer->bytes + start, end - start, MADV_DONTNEED);
}

void transfer_forget(struct transfer *transfer)
{
	assert(!transfer_under_way(transfer));
	if (transfer->bytes)
		fd_discard_map(transfer->discarder, transfer->bytes, transfer->limit + 1);
	transfer->bytes = NULL;
}

void transfer_deinit(struct transfer *transfer)
{
	assert(!transfer->op.armed && !transfer->pause.op.armed);
	fd_discard(transfer->discarder, &transfer->fd);
	transfer_forget(transfer);
}
