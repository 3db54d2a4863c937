/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds how the link to a pseudo terminal comes and goes: it replaces what a run that was killed
 * has left and nothing else, it goes only while it is ours, and it is for whom the options say.
 */
#include "unit.h"

#include "pty_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct pty_fixture f;

static void start(void)
{
	pty_fixture_start(&f, 0600, (gid_t)-1);
}

static void assert_leads_to_a_terminal(void)
{
	struct stat st;

	assert_int_equal(f.result, 0);
	assert_string_equal(f.error, "");
	assert_int_equal(lstat(f.link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(f.link, &st), 0);
	assert_true(S_ISCHR(st.st_mode));
}

static void assert_refused(const char *why)
{
	char expected[256];

	assert_true(f.result < 0);
	snprintf(expected, sizeof(expected), "vhost-user-console: error: %s: %s\n", f.link, why);
	assert_string_equal(f.error, expected);
}

/* Somebody else's terminal, and its path. Returns the master. */
static int other_terminal(char path[64])
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_return_code(master, 0);
	assert_int_equal(unlockpt(master), 0);
	assert_int_equal(ptsname_r(master, path, 64), 0);
	return master;
}

TEST(the_link_is_there_while_the_backend_is)
{
	struct stat st;

	pty_fixture_init(&f, 4096, 1024);
	start();
	assert_leads_to_a_terminal();
	pty_fixture_stop(&f);
	assert_int_equal(lstat(f.link, &st), -1);
	/* And again. */
	start();
	assert_leads_to_a_terminal();
	pty_fixture_tear_down(&f);
}

TEST(the_terminal_has_the_mode_and_the_group)
{
	struct stat st;

	pty_fixture_init(&f, 4096, 1024);
	start();
	assert_int_equal(stat(f.link, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(st.st_gid, getegid());
	pty_fixture_stop(&f);
	if (geteuid() == 0) {
		pty_fixture_start(&f, 0660, 12345);
		assert_int_equal(stat(f.link, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0660);
		assert_int_equal(st.st_gid, 12345);
	}
	pty_fixture_tear_down(&f);
}

TEST(a_link_that_dangles_is_replaced)
{
	pty_fixture_init(&f, 4096, 1024);
	assert_int_equal(symlink("/dev/pts/999999", f.link), 0);
	start();
	assert_leads_to_a_terminal();
	pty_fixture_tear_down(&f);
}

/* The number of the terminal that is gone has been given to the new one. */
TEST(a_link_to_the_same_number_is_taken_over)
{
	char path[64];

	pty_fixture_init(&f, 4096, 1024);
	close(other_terminal(path));
	assert_int_equal(symlink(path, f.link), 0);
	start();
	assert_leads_to_a_terminal();
	pty_fixture_tear_down(&f);
}

/* The number of the terminal that is gone is somebody's: it was made after the link. */
TEST(a_link_that_is_older_than_its_terminal_is_replaced)
{
	const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	char path[64], target[64] = "";
	int master;

	pty_fixture_init(&f, 4096, 1024);
	master = other_terminal(path);
	assert_int_equal(symlink(path, f.link), 0);
	assert_int_equal(utimensat(AT_FDCWD, f.link, old, AT_SYMLINK_NOFOLLOW), 0);
	start();
	assert_leads_to_a_terminal();
	assert_true(readlink(f.link, target, sizeof(target) - 1) > 0);
	assert_string_not_equal(target, path);
	close(master);
	pty_fixture_tear_down(&f);
}

TEST(a_link_to_a_terminal_in_use_stays)
{
	char path[64], target[64] = "";
	int master;

	pty_fixture_init(&f, 4096, 1024);
	master = other_terminal(path);
	assert_int_equal(symlink(path, f.link), 0);
	start();
	assert_refused("leads to a terminal that another process uses");
	assert_true(readlink(f.link, target, sizeof(target) - 1) > 0);
	assert_string_equal(target, path);
	assert_int_equal(unlink(f.link), 0);
	close(master);
	pty_fixture_tear_down(&f);
}

TEST(nothing_else_is_ever_replaced)
{
	static const char why[] = "there is a file that isn't a link to a pseudo terminal";
	static const char *const targets[] = {"/etc/passwd", "/no/such/file", "/dev/ptmx",
	                                      "/dev/pts"};
	struct stat st;
	int fd;

	pty_fixture_init(&f, 4096, 1024);
	fd = open(f.link, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	start();
	assert_refused(why);
	assert_int_equal(lstat(f.link, &st), 0);
	assert_int_equal(st.st_size, 8);
	unlink(f.link);

	assert_int_equal(mkdir(f.link, 0700), 0);
	start();
	assert_refused(why);
	assert_int_equal(rmdir(f.link), 0);

	for (unsigned int i = 0; i < ROWS(targets); i++) {
		assert_int_equal(symlink(targets[i], f.link), 0);
		start();
		assert_refused(why);
		assert_int_equal(unlink(f.link), 0);
	}
	pty_fixture_tear_down(&f);
}

TEST(where_there_is_no_folder_is_an_error)
{
	pty_fixture_init(&f, 4096, 1024);
	snprintf(f.link, sizeof(f.link), "/tmp/no-such-folder/link");
	start();
	assert_refused("can't make a link there: No such file or directory");
	pty_fixture_tear_down(&f);
}

TEST(what_has_taken_the_links_place_stays_when_the_backend_goes)
{
	struct stat st;

	pty_fixture_init(&f, 4096, 1024);
	start();
	assert_int_equal(unlink(f.link), 0);
	assert_int_equal(symlink("/dev/null", f.link), 0);
	pty_fixture_stop(&f);
	assert_int_equal(lstat(f.link, &st), 0);
	assert_int_equal(unlink(f.link), 0);

	start();
	assert_int_equal(unlink(f.link), 0);
	close(open(f.link, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	pty_fixture_stop(&f);
	assert_int_equal(lstat(f.link, &st), 0);
	assert_int_equal(unlink(f.link), 0);
	pty_fixture_tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(the_link_is_there_while_the_backend_is),
	    UNIT(the_terminal_has_the_mode_and_the_group),
	    UNIT(a_link_that_dangles_is_replaced),
	    UNIT(a_link_to_the_same_number_is_taken_over),
	    UNIT(a_link_that_is_older_than_its_terminal_is_replaced),
	    UNIT(a_link_to_a_terminal_in_use_stays),
	    UNIT(nothing_else_is_ever_replaced),
	    UNIT(where_there_is_no_folder_is_an_error),
	    UNIT(what_has_taken_the_links_place_stays_when_the_backend_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
