/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds how much is sent at once: a turn's tasks arm LOOP_SEND_BYTES and one message more, and the
 * rest goes on in the next turns, in order, before what is queued meanwhile.
 */
#include "unit.h"

#include "base/fd.h"
#include "base/macros.h"
#include "loop/loop_impl.h"
#include "turning.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	SENDERS = 4096,
	LARGE = 256 * 1024,
	LARGE_A_TURN = LOOP_SEND_BYTES / LARGE,
};

/* A task that arms a message to a socket. */
struct sender {
	struct loop_task task;
	struct loop_op op;
	struct iovec iov;
	struct msghdr msg;
	bool again;   /* it queues itself */
	bool gathers; /* it does that, and is queued, by loop_gather() */
	unsigned int runs;
};

static struct {
	struct loop *loop;
	struct watched_scope scope;
	int fds[2];
	struct sender *senders;
	/* In the order in which they ran. */
	unsigned int ran[4 * SENDERS], ran_count;
	size_t most; /* bytes that were armed in one turn */
	size_t armed;
} f;

static void queue(struct sender *sender)
{
	if (sender->gathers)
		loop_gather(f.loop, &sender->task);
	else
		loop_flush(f.loop, &sender->task);
}

static void on_sent(struct loop_op *op, int32_t res)
{
	(void)op, (void)res; /* whether there was room is no matter */
}

static void on_task(struct loop_task *task)
{
	struct sender *sender = container_of(task, struct sender, task);

	f.ran[f.ran_count++ % ROWS(f.ran)] = (unsigned int)(sender - f.senders);
	sender->runs++;
	f.armed += sender->iov.iov_len;
	if (!sender->op.armed)
		loop_arm_sendmsg(&sender->op, f.fds[0], &sender->msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sender->again)
		queue(sender);
}

static void set_up(unsigned int count, size_t len, bool gathers)
{
	static uint8_t bytes[LARGE];

	memset(&f, 0, sizeof(f));
	f.loop = turning_loop();
	watched_scope_init(&f.scope, f.loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f.fds), 0);
	f.senders = calloc(count, sizeof(*f.senders));
	assert_non_null(f.senders);
	for (unsigned int i = 0; i < count; i++) {
		struct sender *sender = &f.senders[i];

		sender->iov = (struct iovec){bytes, len};
		sender->msg = (struct msghdr){.msg_iov = &sender->iov, .msg_iovlen = 1};
		sender->gathers = gathers;
		loop_task_init(&sender->task, on_task);
		loop_op_init(&sender->op, &f.scope.scope, on_sent);
		queue(sender);
	}
}

static void tear_down(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		loop_task_cancel(&f.senders[i].task);
	watched_scope_end(&f.scope);
	loop_free(f.loop);
	fd_close(&f.fds[0]);
	fd_close(&f.fds[1]);
	free(f.senders);
}

/* How many tasks ran in a turn. */
static unsigned int turn(void)
{
	unsigned int before = f.ran_count;

	f.armed = 0;
	/* It doesn't sleep while there are tasks left. */
	assert_int_equal(loop_turn(f.loop, true), 0);
	f.most = MAX(f.most, f.armed);
	return f.ran_count - before;
}

static void all_run_in_order(unsigned int count)
{
	for (unsigned int turns = 0; f.ran_count < count; turns++) {
		assert_in_range(turns, 0, count);
		turn();
	}
	assert_int_equal(f.ran_count, count);
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(f.ran[i], i);
}

TEST(a_turn_sends_a_bounded_amount)
{
	enum { COUNT = 10 * LARGE_A_TURN };

	set_up(COUNT, LARGE, false);
	all_run_in_order(COUNT);
	assert_in_range(f.most, LOOP_SEND_BYTES / 2, LOOP_SEND_BYTES + LARGE);
	tear_down(COUNT);
}

/* Else many small ones would take as long as a few large ones. */
TEST(small_messages_count_as_well)
{
	set_up(SENDERS, 1, false);
	assert_in_range(turn(), 1, LOOP_SEND_BYTES / LOOP_SEND_OVERHEAD);
	all_run_in_order(SENDERS);
	tear_down(SENDERS);
}

TEST(so_do_those_that_are_gathered)
{
	set_up(SENDERS, 1, true);
	assert_in_range(turn(), 1, LOOP_SEND_BYTES / LOOP_SEND_OVERHEAD);
	all_run_in_order(SENDERS);
	tear_down(SENDERS);
}

/* One that always has more comes again when all others have been there. */
TEST(nobody_starves)
{
	enum { COUNT = 3 * LARGE_A_TURN };

	set_up(COUNT, LARGE, false);
	for (unsigned int i = 0; i < COUNT; i++)
		f.senders[i].again = true;
	for (unsigned int turns = 0; turns < 50; turns++) {
		assert_true(turn() > 0);
		for (unsigned int i = 1; i < COUNT; i++)
			assert_in_range(f.senders[i - 1].runs - f.senders[i].runs, 0, 1);
	}
	tear_down(COUNT);
}

static struct loop_op other;

static void on_polled(struct loop_op *op, int32_t res)
{
	(void)op, (void)res;
}

/* What others wait for is found between two parts. */
TEST(what_has_completed_is_taken_in_between)
{
	enum { COUNT = 4 * LARGE_A_TURN };
	uint64_t before;

	set_up(COUNT, LARGE, false);
	loop_op_init(&other, &f.scope.scope, on_polled);
	turn();
	loop_arm_poll(&other, f.fds[1], POLLIN);
	before = loop_completions(f.loop);
	turn();
	assert_true(loop_completions(f.loop) > before);
	assert_false(other.armed);
	assert_true(f.ran_count < COUNT);
	tear_down(COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_turn_sends_a_bounded_amount),          UNIT(small_messages_count_as_well),
	    UNIT(so_do_those_that_are_gathered),          UNIT(nobody_starves),
	    UNIT(what_has_completed_is_taken_in_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
