/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the listening Unix sockets: their permissions from the first moment on, what takes the
 * place of what, and that no file is removed that isn't ours.
 */
#include "unit.h"

#include "base/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64];
static char path[128];

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/unit-unix-socket-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/sock", folder);
}

static void remove_folder(void)
{
	unlink(path);
	assert_int_equal(rmdir(folder), 0);
}

static int listen_at(const char *at, struct unix_socket_file *file)
{
	return unix_socket_listen(at, 0600, (gid_t)-1, file);
}

static bool exists(const char *at)
{
	struct stat st;

	return lstat(at, &st) == 0;
}

static struct sockaddr_un address_of(const char *at)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	assert_true(strlen(at) < sizeof(addr.sun_path));
	memcpy(addr.sun_path, at, strlen(at));
	return addr;
}

static int connect_to(const char *at, int type)
{
	struct sockaddr_un addr = address_of(at);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	close(fd);
	return -errno;
}

/* A socket of another process's, listening or (backlog -1) only bound. */
static int other_owner(const char *at, int type, int backlog)
{
	struct sockaddr_un addr = address_of(at);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static bool has_visitor(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	return poll(&pollfd, 1, 0) != 0;
}

TEST(a_frontend_can_connect)
{
	struct unix_socket_file file;
	int fd, client;

	make_folder();
	fd = listen_at(path, &file);
	assert_return_code(fd, 0);
	client = connect_to(path, SOCK_STREAM);
	assert_return_code(client, 0);
	assert_true(has_visitor(fd));
	close(client);
	close(fd);
	unix_socket_remove(&file);
	assert_false(exists(path));
	remove_folder();
}

TEST(the_mode_is_as_told_whatever_the_umask)
{
	static const mode_t modes[] = {0600, 0660, 0666, 0777, 0000, 0640};
	static const mode_t masks[] = {0, 022, 077, 0777};

	make_folder();
	for (size_t i = 0; i < ROWS(modes); i++) {
		for (size_t k = 0; k < ROWS(masks); k++) {
			struct unix_socket_file file;
			mode_t before = umask(masks[k]);
			struct stat st;
			int fd = unix_socket_listen(path, modes[i], (gid_t)-1, &file);

			assert_int_equal(umask(before), masks[k]);
			assert_return_code(fd, 0);
			assert_int_equal(lstat(path, &st), 0);
			assert_int_equal(st.st_mode & 07777, modes[i]);
			assert_true(S_ISSOCK(st.st_mode));
			close(fd);
			unix_socket_remove(&file);
		}
	}
	remove_folder();
}

/* Had the mode been set afterwards, the folder would have seen a change of attributes. */
TEST(the_mode_is_there_from_the_first_moment)
{
	struct unix_socket_file file;
	char events[4096];
	int fd, watch;

	make_folder();
	watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	assert_return_code(inotify_add_watch(watch, folder, IN_ATTRIB), errno);
	fd = unix_socket_listen(path, 0660, (gid_t)-1, &file);
	assert_return_code(fd, 0);
	assert_int_equal(read(watch, events, sizeof(events)), -1);
	assert_int_equal(errno, EAGAIN);
	close(watch);
	close(fd);
	unix_socket_remove(&file);
	remove_folder();
}

TEST(the_group_is_as_told)
{
	struct unix_socket_file file;
	struct stat st;
	int fd;

	if (geteuid() != 0)
		skip();
	make_folder();
	fd = unix_socket_listen(path, 0660, 12345, &file);
	assert_return_code(fd, 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_gid, 12345);
	assert_int_equal(st.st_mode & 07777, 0660);
	close(fd);
	unix_socket_remove(&file);
	remove_folder();
}

TEST(a_stale_socket_is_replaced)
{
	struct unix_socket_file file;
	int fd, client;

	make_folder();
	close(other_owner(path, SOCK_STREAM, 1));
	assert_true(exists(path));
	fd = listen_at(path, &file);
	assert_return_code(fd, 0);
	client = connect_to(path, SOCK_STREAM);
	assert_return_code(client, 0);
	close(client);
	close(fd);
	unix_socket_remove(&file);
	remove_folder();
}

TEST(a_live_socket_is_refused_and_its_owner_sees_nobody)
{
	static const int backlogs[] = {-1, 0, 8};

	make_folder();
	for (size_t i = 0; i < ROWS(backlogs); i++) {
		int owner = other_owner(path, SOCK_STREAM, backlogs[i]);
		struct unix_socket_file file;
		struct stat before, after;

		assert_int_equal(lstat(path, &before), 0);
		assert_errno(listen_at(path, &file), EADDRINUSE);
		assert_int_equal(lstat(path, &after), 0);
		assert_int_equal(before.st_ino, after.st_ino);
		if (backlogs[i] >= 0)
			assert_false(has_visitor(owner));
		close(owner);
		unlink(path);
	}
	remove_folder();
}

TEST(a_live_socket_of_our_own_is_refused_too)
{
	struct unix_socket_file file, other;
	int fd;

	make_folder();
	fd = listen_at(path, &file);
	assert_return_code(fd, 0);
	assert_errno(listen_at(path, &other), EADDRINUSE);
	assert_false(has_visitor(fd));
	close(fd);
	unix_socket_remove(&file);
	remove_folder();
}

static void make_file(const char *at)
{
	int fd = open(at, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	assert_return_code(fd, errno);
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
}

TEST(a_file_that_is_no_socket_is_never_removed)
{
	static const struct {
		const char *name;
		mode_t kind;
	} rows[] = {{"file", S_IFREG}, {"fifo", S_IFIFO}, {"folder", S_IFDIR}};

	make_folder();
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct unix_socket_file file;
		bool there;
		int r;

		if (rows[i].kind == S_IFREG)
			make_file(path);
		else if (rows[i].kind == S_IFIFO)
			assert_int_equal(mkfifo(path, 0600), 0);
		else
			assert_int_equal(mkdir(path, 0700), 0);
		r = listen_at(path, &file);
		if (r >= 0) {
			close(r);
			unix_socket_remove(&file);
		}
		there = exists(path);
		unlink(path);
		rmdir(path);
		if (r >= 0 || !there)
			fail_msg("a %s in the socket's place: result %d, still there: %d",
			         rows[i].name, r, there);
	}
	remove_folder();
}

TEST(a_symbolic_link_to_a_file_does_not_cost_the_file)
{
	struct unix_socket_file file;
	char target[160];
	int r;

	make_folder();
	snprintf(target, sizeof(target), "%s/target", folder);
	make_file(target);
	assert_int_equal(symlink("target", path), 0);
	r = listen_at(path, &file);
	if (r >= 0) {
		close(r);
		unix_socket_remove(&file);
	}
	assert_true(exists(target));
	unlink(target);
	unlink(path);
	remove_folder();
	assert_true(r < 0);
}

TEST(removal_leaves_what_has_taken_its_place)
{
	struct unix_socket_file file;
	int fd, other;

	make_folder();
	fd = listen_at(path, &file);
	assert_return_code(fd, 0);
	unlink(path);
	other = other_owner(path, SOCK_STREAM, 1);
	close(fd);
	unix_socket_remove(&file);
	assert_true(exists(path));
	close(other);
	remove_folder();
}

TEST(removal_finds_the_folder_where_it_was_then)
{
	struct unix_socket_file file;
	char moved[96], inside[sizeof(moved) + 8];
	int fd;

	make_folder();
	fd = listen_at(path, &file);
	assert_return_code(fd, 0);
	snprintf(moved, sizeof(moved), "%s-moved", folder);
	snprintf(inside, sizeof(inside), "%s/sock", moved);
	assert_int_equal(rename(folder, moved), 0);
	close(fd);
	unix_socket_remove(&file);
	assert_false(exists(inside));
	assert_int_equal(rmdir(moved), 0);
}

TEST(removing_what_is_gone_or_never_was_does_no_harm)
{
	struct unix_socket_file file, none = {0};
	int fd;

	make_folder();
	fd = listen_at(path, &file);
	unlink(path);
	close(fd);
	unix_socket_remove(&file);
	unix_socket_remove(&file);
	unix_socket_remove(&none);
	remove_folder();
}

TEST(a_path_without_a_folder_is_in_the_current_one)
{
	struct unix_socket_file file;
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	make_folder();
	assert_int_equal(chdir(folder), 0);
	fd = listen_at("sock", &file);
	assert_return_code(fd, 0);
	assert_true(exists(path));
	assert_int_equal(fchdir(here), 0);
	close(fd);
	unix_socket_remove(&file);
	assert_false(exists(path));
	close(here);
	remove_folder();
}

TEST(what_is_wrong_with_a_path_is_told)
{
	char longest[108], too_long[109];
	struct unix_socket_file file;
	char missing[sizeof(path) + 8];
	int fd;

	make_folder();
	snprintf(missing, sizeof(missing), "%s/none/sock", folder);
	assert_errno(listen_at(missing, &file), ENOENT);
	make_file(path);
	snprintf(missing, sizeof(missing), "%s/sock", path);
	assert_errno(listen_at(missing, &file), ENOTDIR);
	unlink(path);

	/* sun_path has 108 bytes, the last one of which is for the end of the string. */
	memset(too_long, 'x', sizeof(too_long));
	memcpy(too_long, folder, strlen(folder));
	too_long[strlen(folder)] = '/';
	too_long[108] = '\0';
	assert_errno(listen_at(too_long, &file), ENAMETOOLONG);
	memcpy(longest, too_long, 107);
	longest[107] = '\0';
	fd = listen_at(longest, &file);
	assert_return_code(fd, 0);
	close(fd);
	unix_socket_remove(&file);
	assert_false(exists(longest));
	remove_folder();
}

TEST(the_socket_is_not_inherited_by_programs_we_start)
{
	struct unix_socket_file file;
	int fd;

	make_folder();
	fd = listen_at(path, &file);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
	unix_socket_remove(&file);
	remove_folder();
}

/* Also before it is accepted, where the system can do it. */
TEST(who_connects_cannot_send_descriptors)
{
	struct unix_socket_file file = {0};
	int listener, client, value;
	socklen_t len = sizeof(value);
	bool can;

	make_folder();
	listener = listen_at(path, &file);
	can = getsockopt(listener, SOL_SOCKET, 83 /* SO_PASSRIGHTS */, &value, &len) == 0;
	client = connect_to(path, SOCK_STREAM);
	assert_int_equal(support_send_fd(client, client), 0);
	close(client);
	unix_socket_refuse_fds(listener);
	client = connect_to(path, SOCK_STREAM);
	assert_int_equal(support_send_fd(client, client), can ? -EPERM : 0);
	assert_int_equal(send(client, "x", 1, 0), 1);
	close(client);
	close(listener);
	unix_socket_remove(&file);
	remove_folder();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_frontend_can_connect),
	    UNIT(the_mode_is_as_told_whatever_the_umask),
	    UNIT(the_mode_is_there_from_the_first_moment),
	    UNIT(the_group_is_as_told),
	    UNIT(a_stale_socket_is_replaced),
	    UNIT(a_live_socket_is_refused_and_its_owner_sees_nobody),
	    UNIT(a_live_socket_of_our_own_is_refused_too),
	    UNIT(a_file_that_is_no_socket_is_never_removed),
	    UNIT(a_symbolic_link_to_a_file_does_not_cost_the_file),
	    UNIT(removal_leaves_what_has_taken_its_place),
	    UNIT(removal_finds_the_folder_where_it_was_then),
	    UNIT(removing_what_is_gone_or_never_was_does_no_harm),
	    UNIT(a_path_without_a_folder_is_in_the_current_one),
	    UNIT(what_is_wrong_with_a_path_is_told),
	    UNIT(who_connects_cannot_send_descriptors),
	    UNIT(the_socket_is_not_inherited_by_programs_we_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
