/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the waiting for room in a socket: it ends once when there is some or the socket has failed,
 * and a peer that sends no more is tried more and more rarely.
 */
#include "unit.h"

#include "base/macros.h"
#include "loop/room.h"
#include "turning.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
	struct loop *loop;
	struct watched_scope scope;
	struct loop_room room;
	int ours, peers;
	unsigned int found;
};

static void on_found(struct loop_room *room)
{
	container_of(room, struct fixture, room)->found++;
}

static void fill(struct fixture *f)
{
	static const char bytes[4096];

	while (send(f->ours, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static void set_up(struct fixture *f)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*f = (struct fixture){.loop = turning_loop(), .ours = pair[0], .peers = pair[1]};
	watched_scope_init(&f->scope, f->loop);
	loop_room_init(&f->room, &f->scope.scope, on_found);
	fill(f);
}

static void tear_down(struct fixture *f)
{
	if (f->scope.drained == 0)
		watched_scope_end(&f->scope);
	loop_free(f->loop);
	close(f->ours);
	close(f->peers);
}

static void empty(struct fixture *f)
{
	char bytes[4096];

	while (recv(f->peers, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

TEST(it_ends_once_when_there_is_room)
{
	struct fixture f;

	set_up(&f);
	for (unsigned int i = 1; i <= 3; i++) {
		fill(&f);
		loop_room_await(&f.room, f.ours);
		turn_some(f.loop);
		assert_true(loop_room_awaited(&f.room));
		assert_int_equal(f.found, i - 1);
		empty(&f);
		turn_until(f.loop, f.found == i);
		turn_some(f.loop);
		assert_int_equal(f.found, i);
		assert_false(loop_room_awaited(&f.room));
	}
	tear_down(&f);
}

TEST(it_ends_when_the_peer_has_gone)
{
	struct fixture f;

	set_up(&f);
	loop_room_await(&f.room, f.ours);
	turn_some(f.loop);
	close(f.peers);
	turn_until(f.loop, f.found > 0);
	f.peers = -1;
	tear_down(&f);
	assert_int_equal(f.found, 1);
}

/* After a millisecond, two, four ... And once more soon, after something was sent. */
TEST(a_peer_that_sends_no_more_is_tried_more_and_more_rarely)
{
	struct fixture f;
	uint64_t since;

	set_up(&f);
	shutdown(f.peers, SHUT_WR);
	since = support_now_ms();
	for (unsigned int i = 1; i <= 6; i++) {
		loop_room_await(&f.room, f.ours);
		turn_until(f.loop, f.found == i);
	}
	assert_true(support_now_ms() - since >= 63 - 6); /* each begins a little earlier */
	assert_int_equal(f.room.pause_ms, 64);
	loop_room_progress(&f.room);
	assert_int_equal(f.room.pause_ms, 1);
	empty(&f);
	loop_room_await(&f.room, f.ours);
	turn_until(f.loop, f.found == 7);
	tear_down(&f);
}

TEST(nothing_is_found_once_the_scope_closes)
{
	for (unsigned int half_closed = 0; half_closed < 2; half_closed++) {
		struct fixture f;

		set_up(&f);
		if (half_closed)
			shutdown(f.peers, SHUT_WR);
		loop_room_await(&f.room, f.ours);
		if (half_closed)
			turn_until(f.loop, f.room.pausing);
		watched_scope_end(&f.scope);
		assert_int_equal(f.found, 0);
		tear_down(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(it_ends_once_when_there_is_room),
	    UNIT(it_ends_when_the_peer_has_gone),
	    UNIT(a_peer_that_sends_no_more_is_tried_more_and_more_rarely),
	    UNIT(nothing_is_found_once_the_scope_closes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
