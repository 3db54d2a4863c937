/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop/aside.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/limit.h"
#include "base/macros.h"
#include "loop/loop_impl.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* How long the loop's end waits for calls. */
#define PATIENCE_MS 1000u
/* How long to wait when there can't be one more thread. */
#define AGAIN_MS    20
#define STACK_BYTES (64u * 1024)

/* What the loop and its threads share; the last of them frees it. */
struct aside_pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct list queued;   /* calls that no thread has yet, */
	unsigned int waiting; /* how many these are, */
	struct list made;     /* and those that are made */
	unsigned int idle;    /* threads without a call, also those that are just starting */
	unsigned int users;   /* threads, and the loop */
	bool ending;
	int told; /* an eventfd: something is made; until the loop's end */
};

static void free_pool(struct aside_pool *pool)
{
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* Gives the lock back, too. */
static void leave_pool(struct aside_pool *pool)
{
	bool last = --pool->users == 0;

	pthread_mutex_unlock(&pool->lock);
	if (last)
		free_pool(pool);
}

/* The threads. All of these have the lock. */

/* Waits for a call. False: for too long. */
static bool await_call(struct aside_pool *pool)
{
	uint64_t until = clock_now_ms() + ASIDE_LINGER_MS;
	struct timespec at = {
	    .tv_sec = (time_t)(until / 1000),
	    .tv_nsec = (long)(until % 1000) * 1000000,
	};
	int r = 0;

	while (list_empty(&pool->queued) && !pool->ending && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&pool->work, &pool->lock, &at);
	return !list_empty(&pool->queued);
}

static void make_next(struct aside_pool *pool)
{
	static const uint64_t one = 1;
	struct aside_call *call = container_of(pool->queued.next, struct aside_call, link);

	list_remove(&call->link);
	pool->waiting--;
	pool->idle--;
	pthread_mutex_unlock(&pool->lock);
	call->run(call);
	pthread_mutex_lock(&pool->lock);
	pool->idle++;
	list_append(&pool->made, &call->link);
	/* It can be full only if the loop has been told very often. */
	while (!pool->ending && write(pool->told, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void *run_thread(void *arg)
{
	struct aside_pool *pool = arg;

	pthread_mutex_lock(&pool->lock);
	while (await_call(pool))
		make_next(pool);
	pool->idle--;
	leave_pool(pool);
	return NULL;
}

static int start_thread(struct aside_pool *pool)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all;
	int r;

	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setsigmask_np(&attr, &all);
	pthread_attr_setstacksize(&attr, MAX(STACK_BYTES, (size_t)PTHREAD_STACK_MIN));
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attr, run_thread, pool);
	if (r == 0) {
		pool->users++;
		pool->idle++;
	}
	pthread_attr_destroy(&attr);
	return -r;
}

/* The loop. */

/* Sees to it that each queued call has a thread, or will have. */
static void find_threads(struct loop *loop)
{
	struct aside_pool *pool = loop->asides.pool;
	char why[LIMIT_TEXT_MAX];
	int r = 0;

	pthread_mutex_lock(&pool->lock);
	if (pool->waiting > 0 && pool->idle > 0)
		pthread_cond_broadcast(&pool->work);
	while (pool->idle < pool->waiting && r == 0)
		r = start_thread(pool);
	pthread_mutex_unlock(&pool->lock);
	if (r == 0)
		return;
	log_limited(&loop->no_thread, LOG_LEVEL_WARNING, "a log has to wait: no thread for it: %s",
	            limit_explain_thread(r, why));
	if (!loop->asides.again.op.armed)
		loop_timer_arm(&loop->asides.again, AGAIN_MS);
}

static void on_again(struct loop_op *op, int32_t res)
{
	(void)res;
	if (!op->scope->loop->ending)
		find_threads(op->scope->loop);
}

static void await_told(struct loop *loop)
{
	if (loop->asides.calls > 0 && !loop->asides.told.armed)
		loop_arm_poll(&loop->asides.told, loop->asides.pool->told, POLLIN);
}

static void take_made(struct loop *loop)
{
	struct aside_pool *pool = loop->asides.pool;
	struct list made;
	uint64_t count;
	ssize_t n = read(pool->told, &count, sizeof(count));

	(void)n; /* what is made is in the list */
	pthread_mutex_lock(&pool->lock);
	list_take(&made, &pool->made);
	pthread_mutex_unlock(&pool->lock);
	while (!list_empty(&made)) {
		struct aside_call *call = container_of(made.next, struct aside_call, link);

		list_remove(&call->link);
		loop->asides.calls--;
		call->done(call);
	}
}

static void on_told(struct loop_op *op, int32_t res)
{
	struct loop *loop = op->scope->loop;

	if (loop->ending)
		return;
	if (loop_is_shortage(res)) {
		loop_arm_again(op);
		return;
	}
	take_made(loop);
	await_told(loop);
}

void loop_aside(struct loop *loop, struct aside_call *call)
{
	struct aside_pool *pool = loop->asides.pool;

	list_init(&call->link);
	pthread_mutex_lock(&pool->lock);
	list_append(&pool->queued, &call->link);
	pool->waiting++;
	pthread_mutex_unlock(&pool->lock);
	loop->asides.calls++;
	find_threads(loop);
	await_told(loop);
}

bool loop_aside_wait(struct loop *loop, unsigned int ms)
{
	uint64_t until = clock_now_ms() + ms;

	while (loop->asides.calls > 0) {
		struct pollfd told = {.fd = loop->asides.pool->told, .events = POLLIN};
		uint64_t now = clock_now_ms();

		if (now >= until)
			return false;
		find_threads(loop);
		if (poll(&told, 1, (int)(until - now)) > 0)
			take_made(loop);
	}
	return true;
}

unsigned int loop_aside_calls(const struct loop *loop)
{
	return loop->asides.calls;
}

/* The loop's beginning and end. */

static struct aside_pool *new_pool(void)
{
	struct aside_pool *pool = calloc(1, sizeof(*pool));
	pthread_condattr_t attr;

	if (!pool)
		return NULL;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->work, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&pool->lock, NULL);
	list_init(&pool->queued);
	list_init(&pool->made);
	pool->users = 1;
	pool->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return pool;
}

int loop_asides_init(struct loop *loop)
{
	struct loop_asides *asides = &loop->asides;

	loop_op_init(&asides->told, &loop->scope, on_told);
	loop_timer_init(&asides->again, &loop->scope, on_again);
	asides->pool = new_pool();
	if (!asides->pool)
		return -ENOMEM;
	return asides->pool->told < 0 ? -errno : 0;
}

void loop_asides_finish(struct loop *loop)
{
	if (loop->asides.pool)
		loop_aside_wait(loop, PATIENCE_MS);
}

void loop_asides_deinit(struct loop *loop)
{
	struct aside_pool *pool = loop->asides.pool;

	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	fd_close(&pool->told);
	pthread_cond_broadcast(&pool->work);
	leave_pool(pool);
}
