/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the watches: looked at before the loop sleeps and as long as they have work, at rest
 * whenever it sleeps, and what their work sends gathered.
 */
#include "unit.h"

#include "base/clock.h"
#include "base/macros.h"
#include "loop/eventfd.h"
#include "loop/loop_impl.h"
#include "turning.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * Long enough for a machine that stops for a moment now and then; and longer, so that what ends
 * with it has slept.
 */
#define WATCH_NS 100000000u
#define SLEEP_MS 400u

/* A watch that finds work at its first `finds` looks. */
struct source {
	struct loop_watch watch;
	struct loop_task task, flush;
	unsigned int finds, looks, works, flushes, rests;
	unsigned int looks_at_flush;
	bool rest_finds;           /* there is work when it is to rest */
	bool large;                /* what its work sends is */
	struct eventfd_sink *call; /* signalled at each work, or NULL */
};

static struct {
	struct loop *loop;
	struct watched_scope scope;
	struct loop_timer timer;
	struct eventfd_sink call;
	unsigned int expired;
	struct source sources[LOOP_WATCHES_MAX + 1];
} f;

static struct source *source_of(struct loop_watch *watch)
{
	return container_of(watch, struct source, watch);
}

static bool on_look(struct loop_watch *watch)
{
	struct source *source = source_of(watch);

	if (source->looks++ >= source->finds)
		return false;
	loop_work(f.loop, &source->task);
	return true;
}

static void on_rest(struct loop_watch *watch)
{
	struct source *source = source_of(watch);

	source->rests++;
	if (source->rest_finds)
		loop_work(f.loop, &source->task);
	source->rest_finds = false;
}

/* As a pump does that finds its queue empty in the end. */
static void on_work(struct loop_task *task)
{
	struct source *source = container_of(task, struct source, task);

	source->works++;
	if (source->large)
		loop_flush(f.loop, &source->flush);
	else
		loop_gather(f.loop, &source->flush);
	loop_watch(f.loop, &source->watch);
	if (source->call)
		eventfd_sink_signal(source->call);
}

static void on_flush(struct loop_task *task)
{
	struct source *source = container_of(task, struct source, flush);

	source->flushes++;
	source->looks_at_flush = source->looks;
}

static void on_expired(struct loop_op *op, int32_t res)
{
	(void)op, (void)res;
	f.expired++;
}

static struct source *begin(unsigned int i, unsigned int finds)
{
	struct source *source = &f.sources[i];

	*source = (struct source){.finds = finds};
	loop_watch_init(&source->watch, on_look, on_rest);
	loop_task_init(&source->task, on_work);
	loop_task_init(&source->flush, on_flush);
	loop_watch(f.loop, &source->watch);
	return source;
}

static void set_up(void)
{
	memset(&f, 0, sizeof(f));
	f.loop = turning_loop();
	f.loop->watch_ns = f.loop->gather_ns = WATCH_NS;
	watched_scope_init(&f.scope, f.loop);
	loop_timer_init(&f.timer, &f.scope.scope, on_expired);
	eventfd_sink_init(&f.call, &f.scope.scope);
}

static void tear_down(void)
{
	watched_scope_end(&f.scope);
	eventfd_sink_deinit(&f.call);
	loop_free(f.loop);
}

/* Turns as the program does, until it has slept until the timer. */
static void run_until_asleep(void)
{
	loop_timer_arm(&f.timer, SLEEP_MS);
	while (f.expired == 0)
		assert_int_equal(loop_turn(f.loop, true), 0);
}

TEST(it_is_looked_at_and_rests_before_the_loop_sleeps)
{
	struct source *source;

	set_up();
	source = begin(0, 0);
	run_until_asleep();
	assert_true(source->looks > 1);
	assert_int_equal(source->rests, 1);
	assert_int_equal(source->works, 0);
	tear_down();
}

TEST(as_long_as_there_is_work_it_is_looked_at)
{
	struct source *source;

	set_up();
	source = begin(0, 1000);
	run_until_asleep();
	assert_int_equal(source->works, 1000);
	assert_int_equal(source->rests, 1);
	tear_down();
}

TEST(what_is_found_when_it_rests_is_worked_off)
{
	struct source *source;

	set_up();
	source = begin(0, 0);
	source->rest_finds = true;
	run_until_asleep();
	assert_int_equal(source->works, 1);
	assert_int_equal(source->flushes, 1);
	assert_int_equal(source->rests, 2);
	tear_down();
}

TEST(who_is_cancelled_is_neither_looked_at_nor_told_to_rest)
{
	struct source *source;

	set_up();
	source = begin(0, 10);
	loop_watch_cancel(&source->watch);
	loop_watch_cancel(&source->watch);
	run_until_asleep();
	assert_int_equal(source->looks + source->rests, 0);
	tear_down();
}

TEST(small_pieces_are_gathered)
{
	struct source *source;

	set_up();
	f.loop->gather_ns = UINT64_MAX / 2;
	f.loop->gathered_ns = clock_now_ns();
	source = begin(0, 1000);
	run_until_asleep();
	assert_int_equal(source->works, 1000);
	/* When the watching ends. */
	assert_int_equal(source->flushes, 1);
	tear_down();
}

/* As where a driver wants a call for each buffer, whose write completes. */
TEST(small_pieces_are_gathered_over_turns)
{
	uint64_t before;
	struct source *source;

	set_up();
	f.loop->gather_ns = UINT64_MAX / 2;
	f.loop->gathered_ns = clock_now_ns();
	source = begin(0, 1000);
	eventfd_sink_set(&f.call, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	source->call = &f.call;
	before = loop_completions(f.loop);
	run_until_asleep();
	assert_int_equal(source->works, 1000);
	assert_true(loop_completions(f.loop) - before > 100);
	assert_int_equal(source->flushes, 1);
	tear_down();
}

TEST(a_large_piece_is_sent_at_once)
{
	struct source *source;

	set_up();
	f.loop->gather_ns = UINT64_MAX / 2;
	f.loop->gathered_ns = clock_now_ns();
	source = begin(0, 1000);
	source->large = true;
	run_until_asleep();
	assert_int_equal(source->flushes, 1000);
	tear_down();
}

TEST(what_is_gathered_goes_with_what_is_flushed)
{
	struct source *source;

	set_up();
	f.loop->gather_ns = UINT64_MAX / 2;
	f.loop->gathered_ns = clock_now_ns();
	source = begin(0, 0);
	loop_gather(f.loop, &source->flush);
	loop_flush_now(f.loop, clock_now_ns());
	assert_int_equal(source->flushes, 0);
	loop_flush(f.loop, &source->flush);
	loop_gather(f.loop, &source->flush);
	loop_flush_now(f.loop, clock_now_ns());
	assert_int_equal(source->flushes, 1);
	run_until_asleep();
	assert_int_equal(source->flushes, 1);
	tear_down();
}

TEST(nothing_is_kept_back_for_longer_than_that)
{
	struct source *source;

	set_up();
	f.loop->gather_ns = 0;
	source = begin(0, 1000);
	run_until_asleep();
	assert_int_equal(source->flushes, 1000);
	tear_down();
}

TEST(a_first_piece_is_sent_at_once)
{
	struct source *source;

	set_up();
	source = begin(0, 1);
	run_until_asleep();
	assert_int_equal(source->flushes, 1);
	/* Before it was looked for more. */
	assert_int_equal(source->looks_at_flush, 1);
	tear_down();
}

TEST(too_many_are_not_looked_at_and_rest)
{
	set_up();
	for (unsigned int i = 0; i <= LOOP_WATCHES_MAX; i++)
		begin(i, 0);
	run_until_asleep();
	for (unsigned int i = 0; i <= LOOP_WATCHES_MAX; i++) {
		assert_true(f.sources[i].looks <= 1);
		assert_int_equal(f.sources[i].rests, 1);
	}
	tear_down();
}

TEST(without_waiting_it_rests)
{
	struct source *source;

	set_up();
	source = begin(0, 10);
	assert_int_equal(loop_turn(f.loop, false), 0);
	assert_int_equal(source->looks, 0);
	assert_int_equal(source->rests, 1);
	tear_down();
}

/*
 * The kernel announces something that turns out to be nothing: a read of an eventfd that another
 * has read. The loop sleeps then, and whoever was watched has to be at rest.
 */
TEST(nobody_is_watched_in_a_sleep)
{
	uint64_t one = 1, count;
	struct source *source;
	struct watched read_op;
	int shared = eventfd(0, EFD_CLOEXEC);

	set_up();
	watched_init(&read_op, &f.scope.scope);
	loop_arm_read(&read_op.op, shared, &count, sizeof(count));
	turn_some(f.loop);
	source = begin(0, 0);
	assert_int_equal(write(shared, &one, sizeof(one)), sizeof(one));
	assert_int_equal(read(shared, &one, sizeof(one)), sizeof(one));
	loop_timer_arm(&f.timer, SLEEP_MS);
	while (f.expired == 0) {
		assert_int_equal(loop_turn(f.loop, true), 0);
		assert_true(f.expired == 0 || source->rests == 1);
	}
	assert_int_equal(read_op.calls, 0);
	tear_down();
	close(shared);
}

/* As the kernel's announcement is when it comes after what it announces: it stands for a while. */
TEST(a_late_announcement_does_not_keep_from_looking)
{
	struct source *source;

	set_up();
	source = begin(0, 10);
	loop_timer_arm(&f.timer, SLEEP_MS);
	assert_int_equal(loop_turn(f.loop, false), 0);
	loop_watch(f.loop, &source->watch);
	__atomic_fetch_or(f.loop->ring.sq.kflags, IORING_SQ_TASKRUN, __ATOMIC_RELAXED);
	assert_int_equal(loop_turn(f.loop, true), 0);
	assert_int_equal(source->works, 10);
	tear_down();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    UNIT(it_is_looked_at_and_rests_before_the_loop_sleeps),
	    UNIT(as_long_as_there_is_work_it_is_looked_at),
	    UNIT(what_is_found_when_it_rests_is_worked_off),
	    UNIT(who_is_cancelled_is_neither_looked_at_nor_told_to_rest),
	    UNIT(small_pieces_are_gathered),
	    UNIT(small_pieces_are_gathered_over_turns),
	    UNIT(a_large_piece_is_sent_at_once),
	    UNIT(what_is_gathered_goes_with_what_is_flushed),
	    UNIT(nothing_is_kept_back_for_longer_than_that),
	    UNIT(a_first_piece_is_sent_at_once),
	    UNIT(too_many_are_not_looked_at_and_rest),
	    UNIT(without_waiting_it_rests),
	    UNIT(nobody_is_watched_in_a_sleep),
	    UNIT(a_late_announcement_does_not_keep_from_looking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
