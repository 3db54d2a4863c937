/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop/discard.h"

#include "base/limit.h"
#include "base/log.h"
#include "base/macros.h"
#include "loop/loop_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long the loop's end waits for what is being closed. */
#define PATIENCE_MS 1000
/* How long to wait when there can't be one more thread. */
#define AGAIN_MS    20
#define STACK_BYTES (64u * 1024)
#define BATCH_ITEMS 32u

/*
 * What is unmapped in one piece, in bytes. While pages are unmapped nothing can be mapped, by
 * anybody in the process: these are some 4,000, or a millisecond or two.
 */
#define PIECE_BYTES (16u * 1024 * 1024)

/* A mapping, or else a descriptor. */
struct item {
	void *map; /* or NULL */
	size_t len;
	int fd;
};

/* What a thread closes. It is all that the thread knows. */
struct batch {
	struct loop_discards *discards; /* for the loop */
	struct list link;
	int pipe; /* in which the thread says that it is done, by the batch's address */
	unsigned int count;
	struct item items[BATCH_ITEMS];
};

/* The thread. */

/* What was touched of it goes first, in pieces; then there is hardly anything left to unmap. */
static void unmap(uint8_t *map, size_t len)
{
	for (size_t at = 0; at < len; at += PIECE_BYTES)
		madvise(map + at, MIN(PIECE_BYTES, len - at), MADV_DONTNEED);
	munmap(map, len);
}

static void close_without_lingering(int fd)
{
	static const struct linger none;

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
}

static void *close_batch(void *arg)
{
	struct batch *batch = arg;
	void *told = batch;

	for (unsigned int i = 0; i < batch->count; i++) {
		if (batch->items[i].map)
			unmap(batch->items[i].map, batch->items[i].len);
		else
			close_without_lingering(batch->items[i].fd);
	}
	while (write(batch->pipe, &told, sizeof(told)) < 0 && errno == EINTR)
		;
	return NULL;
}

static int start_thread(struct batch *batch)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, MAX(STACK_BYTES, (size_t)PTHREAD_STACK_MIN));
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attr, close_batch, batch);
	pthread_attr_destroy(&attr);
	return -r;
}

/* The loop. */

static void await_threads(struct loop *loop)
{
	if (!loop->closed.armed)
		loop_arm_poll(&loop->closed, loop->closed_pipe[0], POLLIN);
}

static void close_next(struct loop_discards *discards)
{
	struct list *first = discards->waiting.next;
	struct loop *loop = discards->loop;
	char why[LIMIT_TEXT_MAX];
	int r;

	if (discards->closing || list_empty(&discards->waiting) || loop->ending)
		return;
	discards->closing = container_of(first, struct batch, link);
	list_remove(first);
	r = start_thread(discards->closing);
	if (r == 0) {
		await_threads(loop);
		return;
	}
	log_limited(&loop->no_thread, LOG_LEVEL_WARNING,
	            "a guest has to wait: no thread to close its descriptors: %s",
	            limit_explain_thread(r, why));
	list_prepend(&discards->waiting, first);
	discards->closing = NULL;
	if (!discards->again.op.armed)
		loop_timer_arm(&discards->again, AGAIN_MS);
}

static void on_start(struct loop_task *task)
{
	close_next(container_of(task, struct loop_discards, start));
}

static void on_again(struct loop_op *op, int32_t res)
{
	struct loop_discards *discards = container_of(op, struct loop_discards, again.op);

	(void)res;
	if (loop_discards_empty(discards))
		discards->emptied(discards);
	else
		close_next(discards);
}

static void batch_closed(struct batch *batch)
{
	struct loop_discards *discards = batch->discards;

	discards->loop->discards -= batch->count;
	free(batch);
	discards->closing = NULL;
	if (list_empty(&discards->waiting))
		discards->emptied(discards);
	else
		close_next(discards);
}

static void on_closed(struct loop_op *op, int32_t res)
{
	struct loop *loop = container_of(op, struct loop, closed);
	void *batch;

	if (loop->ending)
		return;
	if (loop_is_shortage(res)) {
		loop_arm_again(op);
		return;
	}
	while (read(loop->closed_pipe[0], &batch, sizeof(batch)) == sizeof(batch))
		batch_closed(batch);
	if (loop->discards > 0)
		await_threads(loop);
}

/* The batch that the next item goes to, or NULL: there is no memory. */
static struct batch *find_batch(struct loop_discards *discards)
{
	struct batch *batch = container_of(discards->waiting.prev, struct batch, link);

	if (!list_empty(&discards->waiting) && batch->count < BATCH_ITEMS)
		return batch;
	batch = malloc(sizeof(*batch));
	if (!batch)
		return NULL;
	batch->discards = discards;
	batch->pipe = discards->loop->closed_pipe[1];
	batch->count = 0;
	list_append(&discards->waiting, &batch->link);
	return batch;
}

/* Whether there is memory to do it later. */
static bool give_away(struct loop_discards *discards, struct item item)
{
	struct batch *batch = find_batch(discards);

	if (!batch)
		return false;
	batch->items[batch->count++] = item;
	discards->loop->discards++;
	loop_flush(discards->loop, &discards->start);
	return true;
}

/* Without memory there are only bad choices, and nearly always it doesn't take long. */
static void on_discard(struct fd_discarder *discarder, int fd)
{
	struct loop_discards *discards = container_of(discarder, struct loop_discards, discarder);

	if (!give_away(discards, (struct item){.fd = fd}))
		fd_close(&fd);
}

static void on_unmap(struct fd_discarder *discarder, void *map, size_t len)
{
	struct loop_discards *discards = container_of(discarder, struct loop_discards, discarder);

	if (!give_away(discards, (struct item){.map = map, .len = len}))
		munmap(map, len);
}

void loop_discards_init(struct loop_discards *discards, struct loop *loop,
                        void (*emptied)(struct loop_discards *discards))
{
	discards->discarder.discard = on_discard;
	discards->discarder.unmap = on_unmap;
	discards->loop = loop;
	discards->closing = NULL;
	discards->emptied = emptied;
	list_init(&discards->waiting);
	loop_task_init(&discards->start, on_start);
	loop_timer_init(&discards->again, &loop->scope, on_again);
}

bool loop_discards_empty(const struct loop_discards *discards)
{
	return !discards->closing && list_empty(&discards->waiting);
}

unsigned int loop_discards(const struct loop *loop)
{
	return loop->discards;
}

/* The loop's beginning and end. */

int loop_closed_init(struct loop *loop)
{
	loop->closed_pipe[0] = loop->closed_pipe[1] = -1;
	loop_op_init(&loop->closed, &loop->scope, on_closed);
	return pipe2(loop->closed_pipe, O_CLOEXEC) < 0 ? -errno
	                                               : fd_set_nonblock(loop->closed_pipe[0]);
}

static void on_patience_over(struct loop_op *op, int32_t res)
{
	(void)op, (void)res;
}

static void await_discards(struct loop *loop)
{
	struct loop_timer patience;

	loop_timer_init(&patience, &loop->scope, on_patience_over);
	loop_timer_arm(&patience, PATIENCE_MS);
	while (loop->discards > 0 && patience.op.armed && loop_turn(loop, true) == 0)
		;
	loop_cancel(&patience.op);
	while (patience.op.armed && loop_turn(loop, true) == 0)
		;
}

void loop_closed_deinit(struct loop *loop)
{
	if (loop->discards > 0)
		await_discards(loop);
	loop->ending = true;
	loop_cancel(&loop->closed);
	loop_cancel(&loop->asides.told);
	loop_cancel(&loop->asides.again.op);
	while ((loop->closed.armed || loop->asides.told.armed || loop->asides.again.op.armed) &&
	       loop_turn(loop, true) == 0)
		;
	/* Else a thread may still write to it: it ends with the process. */
	if (loop->discards == 0) {
		fd_close(&loop->closed_pipe[0]);
		fd_close(&loop->closed_pipe[1]);
	}
}
