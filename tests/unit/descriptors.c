/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what a shortage of descriptors may cost: a bounded number of tries and looks an interval,
 * whatever the number of those who wait; and who gets the next descriptor. Each interval asks for
 * relief once, so reliefs count the intervals here.
 */
#include "unit.h"

#include "base/macros.h"
#include "loop/acceptor.h"
#include "turning.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WAITING   40u
#define INTERVALS 10u

struct door {
	struct acceptor acceptor;
	int client;
	int accepted; /* -1: not yet */
};

static struct {
	struct loop *loop;
	struct watched_scope scope;
	struct door doors[WAITING];
	struct loop_relief reliefs[WAITING];
	unsigned int asked; /* for relief */
	unsigned int looks_each;
	unsigned int accepted;
	struct door *first; /* that accepted */
	rlim_t before;
} f;

static void on_accepted(struct acceptor *acceptor, int fd)
{
	struct door *door = container_of(acceptor, struct door, acceptor);

	door->accepted = fd;
	if (f.accepted++ == 0)
		f.first = door;
}

static bool on_relieve(struct loop_relief *relief, unsigned int *looks)
{
	(void)relief;
	f.asked++;
	*looks += f.looks_each;
	return false;
}

static void set_limit(rlim_t value)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	f.before = limit.rlim_cur;
	limit.rlim_cur = value;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* `more` may still be opened. */
static void use_up_descriptors(unsigned int more)
{
	int next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	close(next);
	set_limit((rlim_t)next + more);
}

/* One that listens, with a client that waits. */
static void open_door(struct door *door)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (void *)&addr, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (void *)&addr, &len), 0);
	door->accepted = -1;
	door->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(door->client, (void *)&addr, len), 0);
	acceptor_start(&door->acceptor, &f.scope.scope, NULL, fd, "test", on_accepted);
}

/* Everybody has tried once in vain. */
static void set_up(unsigned int reliefs)
{
	memset(&f, 0, sizeof(f));
	log_set_level(LOG_LEVEL_ERROR);
	f.loop = turning_loop();
	watched_scope_init(&f.scope, f.loop);
	for (unsigned int i = 0; i < WAITING; i++)
		open_door(&f.doors[i]);
	for (unsigned int i = 0; i < reliefs; i++)
		loop_relief_add(f.loop, &f.reliefs[i], on_relieve);
	use_up_descriptors(0);
	turn_until(f.loop, loop_completions(f.loop) >= WAITING);
}

static void tear_down(void)
{
	watched_scope_end(&f.scope);
	for (unsigned int i = 0; i < WAITING; i++) {
		acceptor_deinit(&f.doors[i].acceptor);
		close(f.doors[i].client);
		if (f.doors[i].accepted >= 0)
			close(f.doors[i].accepted);
	}
	loop_free(f.loop);
	log_set_level(LOG_LEVEL_INFO);
}

TEST(an_interval_has_a_bounded_number_of_tries_and_asks_for_relief_once)
{
	uint64_t before;

	set_up(1);
	turn_until(f.loop, f.asked > 0);
	before = loop_completions(f.loop);
	turn_until(f.loop, f.asked > INTERVALS);
	/* Each try, and the interval's end. */
	assert_in_range(loop_completions(f.loop) - before, INTERVALS,
	                (INTERVALS + 1) * (LOOP_FD_TRIES + 1));
	assert_int_equal(f.accepted, 0);
	set_limit(f.before);
	turn_until(f.loop, f.accepted == WAITING);
	tear_down();
}

TEST(an_interval_has_a_bounded_number_of_looks)
{
	enum { EACH = 9, INTERVAL = LOOP_FD_LOOKS / (EACH + 1) + 1 };

	set_up(WAITING);
	f.looks_each = EACH;
	turn_until(f.loop, f.asked > 0);
	assert_int_equal(f.asked, INTERVAL);
	turn_until(f.loop, f.asked > INTERVAL);
	assert_int_equal(f.asked, 2 * INTERVAL);
	set_limit(f.before);
	tear_down();
}

TEST(who_comes_first_gets_the_next_descriptor)
{
	set_up(1);
	acceptor_go_first(&f.doors[WAITING - 1].acceptor);
	/* Long enough that it has tried once more, and waits among the first. */
	turn_until(f.loop, f.asked > WAITING / LOOP_FD_TRIES);
	set_limit(f.before);
	turn_until(f.loop, f.accepted == WAITING);
	assert_ptr_equal(f.first, &f.doors[WAITING - 1]);
	tear_down();
}

TEST(the_end_does_not_wait_for_a_descriptor)
{
	set_up(0);
	watched_scope_end(&f.scope);
	set_limit(f.before);
	assert_int_equal(f.accepted, 0);
	for (unsigned int i = 0; i < WAITING; i++) {
		acceptor_deinit(&f.doors[i].acceptor);
		close(f.doors[i].client);
	}
	loop_free(f.loop);
	log_set_level(LOG_LEVEL_INFO);
}

TEST(what_is_reserved_is_not_spare)
{
	struct loop *loop = turning_loop();
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	assert_true(loop_has_spare_fd(loop));
	loop_reserve_fds(loop, limit.rlim_cur - 2);
	loop_use_spare_fd(loop);
	assert_true(loop_has_spare_fd(loop));
	loop_use_spare_fd(loop);
	assert_false(loop_has_spare_fd(loop));
	/* Who may be in the way later, too. */
	set_limit(limit.rlim_cur - 1);
	loop_return_spare_fd(loop);
	assert_false(loop_has_spare_fd(loop));
	set_limit(limit.rlim_cur);
	assert_true(loop_has_spare_fd(loop));
	loop_return_spare_fd(loop);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(an_interval_has_a_bounded_number_of_tries_and_asks_for_relief_once),
	    UNIT(an_interval_has_a_bounded_number_of_looks),
	    UNIT(who_comes_first_gets_the_next_descriptor),
	    UNIT(the_end_does_not_wait_for_a_descriptor),
	    UNIT(what_is_reserved_is_not_spare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
