/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds that a watch tells of its file's openings and of nothing else, and that the watches of a
 * process share one descriptor and outlive each other in any order.
 */
#include "unit.h"

#include "loop/file_watch.h"
#include "turning.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WATCHES 5u

struct counted {
	struct file_watch watch;
	struct watched_scope scope;
	char path[32];
	unsigned int changes;
};

static struct loop *loop;
static struct counted counted[WATCHES];

static void on_changed(struct file_watch *watch)
{
	((struct counted *)(void *)watch)->changes++; /* watch is the first member */
}

static void start(struct counted *at)
{
	int fd;

	*at = (struct counted){.path = "/tmp/unit-watch-XXXXXX"};
	fd = mkostemp(at->path, O_CLOEXEC);
	assert_return_code(fd, 0);
	close(fd);
	watched_scope_init(&at->scope, loop);
	assert_int_equal(file_watch_start(&at->watch, &at->scope.scope, at->path, on_changed), 0);
}

static void end(struct counted *at)
{
	watched_scope_end(&at->scope);
	file_watch_deinit(&at->watch);
	unlink(at->path);
}

static void touch(const struct counted *at)
{
	int fd = open(at->path, O_RDONLY | O_CLOEXEC);

	assert_return_code(fd, 0);
	close(fd);
}

/* The file's watch tells, and no other does. */
static void assert_told(struct counted *at, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		counted[i].changes = 0;
	touch(at);
	turn_until(loop, at->changes > 0);
	turn_some(loop);
	for (unsigned int i = 0; i < count; i++)
		assert_true(&counted[i] == at || counted[i].changes == 0);
}

TEST(each_tells_of_its_own_file)
{
	loop = turning_loop();
	for (unsigned int i = 0; i < WATCHES; i++)
		start(&counted[i]);
	for (unsigned int i = 0; i < WATCHES; i++)
		assert_told(&counted[i], WATCHES);
	for (unsigned int i = 0; i < WATCHES; i++)
		end(&counted[i]);
	loop_free(loop);
}

TEST(all_share_one_descriptor)
{
	int before, after;

	loop = turning_loop();
	before = dup(STDERR_FILENO);
	close(before);
	for (unsigned int i = 0; i < WATCHES; i++)
		start(&counted[i]);
	after = dup(STDERR_FILENO);
	close(after);
	assert_int_equal(after - before, 1);
	for (unsigned int i = 0; i < WATCHES; i++)
		end(&counted[i]);
	loop_free(loop);
}

TEST(the_others_go_on_when_one_ends)
{
	static const unsigned int orders[][WATCHES] = {
	    {0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {0, 4, 1, 3, 2}};

	loop = turning_loop();
	for (unsigned int order = 0; order < ROWS(orders); order++) {
		for (unsigned int i = 0; i < WATCHES; i++)
			start(&counted[i]);
		for (unsigned int i = 0; i < WATCHES; i++) {
			end(&counted[orders[order][i]]);
			for (unsigned int j = i + 1; j < WATCHES; j++)
				assert_told(&counted[orders[order][j]], 0);
		}
	}
	loop_free(loop);
}

/* One that ends may still be waiting when the next begins. */
TEST(one_begins_while_the_last_ends)
{
	loop = turning_loop();
	start(&counted[0]);
	turn_some(loop);
	loop_scope_close(&counted[0].scope.scope);
	start(&counted[1]);
	end(&counted[0]);
	assert_told(&counted[1], 0);
	end(&counted[1]);
	loop_free(loop);
}

TEST(it_moves_to_another_file)
{
	loop = turning_loop();
	start(&counted[0]);
	start(&counted[1]);
	end(&counted[1]);
	close(open(counted[1].path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(file_watch_move(&counted[0].watch, counted[1].path), 0);
	touch(&counted[0]);
	turn_some(loop);
	assert_int_equal(counted[0].changes, 0);
	touch(&counted[1]);
	turn_until(loop, counted[0].changes > 0);
	assert_errno(file_watch_move(&counted[0].watch, "/no/such/file"), ENOENT);
	end(&counted[0]);
	unlink(counted[1].path);
	loop_free(loop);
}

TEST(a_file_that_is_not_there_is_an_error)
{
	struct watched_scope scope;
	struct file_watch watch;

	loop = turning_loop();
	watched_scope_init(&scope, loop);
	assert_errno(file_watch_start(&watch, &scope.scope, "/no/such/file", on_changed), ENOENT);
	watched_scope_end(&scope);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(each_tells_of_its_own_file),     UNIT(all_share_one_descriptor),
	    UNIT(the_others_go_on_when_one_ends), UNIT(one_begins_while_the_last_ends),
	    UNIT(it_moves_to_another_file),       UNIT(a_file_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
