/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds a vring's eventfds on the loop: kicks and calls coalesce and none is lost, descriptors may
 * be replaced at any time, each is closed exactly once and never while an entry names it.
 */
#include "unit.h"

#include "base/macros.h"
#include "loop/eventfd.h"
#include "turning.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct fixture {
	struct loop *loop;
	struct watched_scope scope;
	struct eventfd_source source;
	struct eventfd_sink sink;
	unsigned int kicks;
};

static void on_kicked(struct eventfd_source *source)
{
	container_of(source, struct fixture, source)->kicks++;
}

static void set_up(struct fixture *f)
{
	f->loop = turning_loop();
	f->kicks = 0;
	watched_scope_init(&f->scope, f->loop);
	eventfd_source_init(&f->source, &f->scope.scope, on_kicked);
	eventfd_sink_init(&f->sink, &f->scope.scope);
}

static void tear_down(struct fixture *f)
{
	watched_scope_end(&f->scope);
	eventfd_source_deinit(&f->source);
	eventfd_sink_deinit(&f->sink);
	eventfd_source_deinit(&f->source);
	eventfd_sink_deinit(&f->sink);
	loop_free(f->loop);
}

/* An eventfd of which the daemon gets a copy, as it does over a socket. */
static int make(int flags, int *ret_copy)
{
	int fd = eventfd(0, flags | EFD_CLOEXEC);

	assert_return_code(fd, errno);
	*ret_copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void signal_it(int fd)
{
	assert_int_equal(eventfd_write(fd, 1), 0);
}

/* What has been signalled since the last time; 0 for nothing. The file's flags stay. */
static uint64_t counter_of(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	eventfd_t value = 0;

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (eventfd_read(fd, &value) < 0)
		assert_int_equal(errno, EAGAIN);
	fcntl(fd, F_SETFL, flags);
	return value;
}

/* The kick. */

TEST(each_kick_is_told_with_blocking_and_non_blocking_eventfds)
{
	static const int flags[] = {0, EFD_NONBLOCK};

	for (size_t i = 0; i < ROWS(flags); i++) {
		struct fixture f;
		int fd, copy;

		set_up(&f);
		fd = make(flags[i], &copy);
		eventfd_source_set(&f.source, copy);
		turn_some(f.loop);
		assert_int_equal(f.kicks, 0);
		for (unsigned int k = 1; k <= 50; k++) {
			signal_it(fd);
			turn_until(f.loop, f.kicks == k);
		}
		/* It was read: the counter doesn't grow for ever. */
		assert_int_equal(counter_of(fd), 0);
		tear_down(&f);
		assert_false(is_open(copy));
		close(fd);
	}
}

/* A turn without anything to do completes nothing: a frontend's idle guest costs no wake-ups. */
TEST(a_quiet_kick_costs_nothing)
{
	static const int flags[] = {0, EFD_NONBLOCK};

	for (size_t i = 0; i < ROWS(flags); i++) {
		struct fixture f;
		int fd, copy;
		uint64_t before;

		set_up(&f);
		fd = make(flags[i], &copy);
		eventfd_source_set(&f.source, copy);
		turn_some(f.loop);
		before = loop_completions(f.loop);
		turn_some(f.loop);
		assert_int_equal(loop_completions(f.loop), before);
		tear_down(&f);
		close(fd);
	}
}

TEST(kicks_before_and_between_turns_coalesce_and_none_is_lost)
{
	struct fixture f;
	int fd, copy;

	set_up(&f);
	fd = make(0, &copy);
	signal_it(fd);
	signal_it(fd);
	eventfd_source_set(&f.source, copy);
	turn_until(f.loop, f.kicks);
	turn_some(f.loop);
	assert_in_range(f.kicks, 1, 2);
	f.kicks = 0;
	for (unsigned int i = 0; i < 100; i++)
		signal_it(fd);
	turn_until(f.loop, f.kicks);
	turn_some(f.loop);
	assert_in_range(f.kicks, 1, 2);
	tear_down(&f);
	close(fd);
}

TEST(a_replaced_kick_is_closed_and_the_new_one_heard)
{
	struct fixture f;
	int old, old_copy, fd, copy;

	set_up(&f);
	old = make(0, &old_copy);
	fd = make(0, &copy);
	eventfd_source_set(&f.source, old_copy);
	turn_some(f.loop);
	eventfd_source_set(&f.source, copy);
	turn_until(f.loop, !is_open(old_copy));
	f.kicks = 0;
	signal_it(fd);
	turn_until(f.loop, f.kicks);
	/* Nobody reads the old one any more. */
	signal_it(old);
	turn_some(f.loop);
	assert_int_equal(counter_of(old), 1);
	tear_down(&f);
	assert_false(is_open(copy));
	close(old);
	close(fd);
}

/* The same eventfd may come again; the old read may eat the kick that was for the new one. */
TEST(a_kick_that_the_old_read_ate_is_told_all_the_same)
{
	for (unsigned int submitted = 0; submitted < 2; submitted++) {
		struct fixture f;
		int fd, copy;

		set_up(&f);
		fd = make(0, &copy);
		eventfd_source_set(&f.source, copy);
		if (submitted)
			turn_some(f.loop);
		eventfd_source_set(&f.source, fcntl(fd, F_DUPFD_CLOEXEC, 0));
		signal_it(fd);
		turn_until(f.loop, f.kicks);
		f.kicks = 0;
		signal_it(fd);
		turn_until(f.loop, f.kicks);
		tear_down(&f);
		close(fd);
	}
}

TEST(a_kick_may_be_replaced_many_times_in_a_turn)
{
	struct fixture f;
	int fd, copy, copies[10];

	set_up(&f);
	fd = make(0, &copy);
	eventfd_source_set(&f.source, copy);
	turn_some(f.loop);
	for (unsigned int i = 0; i < ROWS(copies); i++) {
		copies[i] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		eventfd_source_set(&f.source, copies[i]);
	}
	turn_until(f.loop, !is_open(copy));
	signal_it(fd);
	f.kicks = 0;
	turn_until(f.loop, f.kicks);
	assert_true(is_open(copies[9]));
	tear_down(&f);
	assert_false(is_open(copies[9]));
	close(fd);
}

TEST(a_kick_that_is_taken_away_is_closed_and_silent)
{
	for (unsigned int submitted = 0; submitted < 2; submitted++) {
		struct fixture f;
		int fd, copy;

		set_up(&f);
		fd = make(0, &copy);
		eventfd_source_set(&f.source, copy);
		if (submitted)
			turn_some(f.loop);
		eventfd_source_set(&f.source, -1);
		turn_until(f.loop, !is_open(copy));
		signal_it(fd);
		turn_some(f.loop);
		assert_int_equal(f.kicks, 0);
		assert_int_equal(counter_of(fd), 1);
		/* And back. */
		eventfd_source_set(&f.source, fcntl(fd, F_DUPFD_CLOEXEC, 0));
		signal_it(fd);
		turn_until(f.loop, f.kicks);
		tear_down(&f);
		close(fd);
	}
}

TEST(a_kick_after_closing_began_does_no_harm)
{
	struct fixture f;
	int fd, copy;

	set_up(&f);
	fd = make(0, &copy);
	eventfd_source_set(&f.source, copy);
	turn_some(f.loop);
	signal_it(fd);
	loop_scope_close(&f.scope.scope);
	tear_down(&f);
	assert_int_equal(f.kicks, 0);
	close(fd);
}

/* The call. */

TEST(each_call_is_signalled)
{
	struct fixture f;
	int fd, copy;

	set_up(&f);
	fd = make(EFD_NONBLOCK, &copy);
	eventfd_sink_set(&f.sink, copy);
	turn_some(f.loop);
	assert_int_equal(counter_of(fd), 0);
	for (unsigned int i = 0; i < 50; i++) {
		eventfd_sink_signal(&f.sink);
		turn_until(f.loop, counter_of(fd) == 1);
	}
	turn_some(f.loop);
	assert_int_equal(counter_of(fd), 0);
	tear_down(&f);
	assert_false(is_open(copy));
	close(fd);
}

TEST(calls_coalesce_and_the_last_comes_after_the_last_signal)
{
	struct fixture f;
	int fd, copy;

	set_up(&f);
	fd = make(EFD_NONBLOCK, &copy);
	eventfd_sink_set(&f.sink, copy);
	for (unsigned int i = 0; i < 100; i++)
		eventfd_sink_signal(&f.sink);
	turn_some(f.loop);
	/* The first write may have come before the last signal, so there is a second. */
	assert_in_range(counter_of(fd), 1, 2);
	eventfd_sink_signal(&f.sink);
	assert_int_equal(loop_turn(f.loop, false), 0);
	eventfd_sink_signal(&f.sink);
	turn_some(f.loop);
	assert_in_range(counter_of(fd), 1, 2);
	tear_down(&f);
	close(fd);
}

/* libkrun sends the kick before the call. */
TEST(a_call_without_a_descriptor_is_kept_for_the_next_one)
{
	struct fixture f;
	int fd, copy;

	set_up(&f);
	eventfd_sink_signal(&f.sink);
	eventfd_sink_signal(&f.sink);
	turn_some(f.loop);
	fd = make(EFD_NONBLOCK, &copy);
	eventfd_sink_set(&f.sink, copy);
	turn_some(f.loop);
	assert_int_equal(counter_of(fd), 1);
	/* Once: a later descriptor isn't told of it again. */
	eventfd_sink_set(&f.sink, -1);
	eventfd_sink_set(&f.sink, fcntl(fd, F_DUPFD_CLOEXEC, 0));
	turn_some(f.loop);
	assert_int_equal(counter_of(fd), 0);
	tear_down(&f);
	close(fd);
}

TEST(a_call_in_flight_reaches_the_new_descriptor)
{
	struct fixture f;
	int old, old_copy, fd, copy;

	set_up(&f);
	old = make(EFD_NONBLOCK, &old_copy);
	fd = make(EFD_NONBLOCK, &copy);
	eventfd_sink_set(&f.sink, old_copy);
	eventfd_sink_signal(&f.sink);
	eventfd_sink_set(&f.sink, copy);
	turn_some(f.loop);
	assert_in_range(counter_of(fd), 1, 2);
	assert_false(is_open(old_copy));
	tear_down(&f);
	assert_false(is_open(copy));
	close(old);
	close(fd);
}

TEST(a_call_in_flight_while_the_descriptor_goes_is_kept_for_the_next)
{
	struct fixture f;
	int old, old_copy, fd, copy;

	set_up(&f);
	old = make(EFD_NONBLOCK, &old_copy);
	fd = make(EFD_NONBLOCK, &copy);
	eventfd_sink_set(&f.sink, old_copy);
	eventfd_sink_signal(&f.sink);
	eventfd_sink_set(&f.sink, -1);
	turn_until(f.loop, !is_open(old_copy));
	eventfd_sink_set(&f.sink, copy);
	turn_some(f.loop);
	assert_in_range(counter_of(fd), 1, 2);
	tear_down(&f);
	close(old);
	close(fd);
}

/* A reader who is told already: the counter is at its top. */
TEST(a_full_counter_neither_blocks_nor_spins_nor_is_lost)
{
	struct fixture f;
	uint64_t before;
	int fd, copy;

	set_up(&f);
	fd = make(EFD_NONBLOCK, &copy);
	assert_int_equal(eventfd_write(fd, UINT64_MAX - 1), 0);
	eventfd_sink_set(&f.sink, copy);
	eventfd_sink_signal(&f.sink);
	turn_some(f.loop);
	eventfd_sink_signal(&f.sink);
	turn_some(f.loop);
	before = loop_completions(f.loop);
	turn_some(f.loop);
	assert_int_equal(loop_completions(f.loop), before);
	assert_int_equal(counter_of(fd), UINT64_MAX - 1);
	/* Whoever has read it is told of what comes after. */
	eventfd_sink_signal(&f.sink);
	turn_until(f.loop, counter_of(fd) > 0);
	tear_down(&f);
	close(fd);
}

TEST(a_full_counter_does_not_keep_the_scope_from_draining)
{
	struct fixture f;
	int fd, copy;

	set_up(&f);
	fd = make(EFD_NONBLOCK, &copy);
	assert_int_equal(eventfd_write(fd, UINT64_MAX - 1), 0);
	eventfd_sink_set(&f.sink, copy);
	eventfd_sink_signal(&f.sink);
	turn_some(f.loop);
	tear_down(&f);
	assert_false(is_open(copy));
	close(fd);
}

TEST(a_full_counter_does_not_keep_the_next_descriptor_from_its_call)
{
	struct fixture f;
	int full, full_copy, fd, copy;

	set_up(&f);
	full = make(EFD_NONBLOCK, &full_copy);
	fd = make(EFD_NONBLOCK, &copy);
	assert_int_equal(eventfd_write(full, UINT64_MAX - 1), 0);
	eventfd_sink_set(&f.sink, full_copy);
	eventfd_sink_signal(&f.sink);
	turn_some(f.loop);
	eventfd_sink_signal(&f.sink);
	eventfd_sink_set(&f.sink, copy);
	turn_until(f.loop, counter_of(fd) > 0);
	turn_until(f.loop, !is_open(full_copy));
	tear_down(&f);
	close(full);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(each_kick_is_told_with_blocking_and_non_blocking_eventfds),
	    UNIT(a_quiet_kick_costs_nothing),
	    UNIT(kicks_before_and_between_turns_coalesce_and_none_is_lost),
	    UNIT(a_replaced_kick_is_closed_and_the_new_one_heard),
	    UNIT(a_kick_that_the_old_read_ate_is_told_all_the_same),
	    UNIT(a_kick_may_be_replaced_many_times_in_a_turn),
	    UNIT(a_kick_that_is_taken_away_is_closed_and_silent),
	    UNIT(a_kick_after_closing_began_does_no_harm),
	    UNIT(each_call_is_signalled),
	    UNIT(calls_coalesce_and_the_last_comes_after_the_last_signal),
	    UNIT(a_call_without_a_descriptor_is_kept_for_the_next_one),
	    UNIT(a_call_in_flight_reaches_the_new_descriptor),
	    UNIT(a_call_in_flight_while_the_descriptor_goes_is_kept_for_the_next),
	    UNIT(a_full_counter_neither_blocks_nor_spins_nor_is_lost),
	    UNIT(a_full_counter_does_not_keep_the_scope_from_draining),
	    UNIT(a_full_counter_does_not_keep_the_next_descriptor_from_its_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
