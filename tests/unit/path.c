/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds paths that were opened once: they mean the same file wherever their folder goes, share its
 * descriptor, and follow no link where that would be another's file.
 */
#include "unit.h"

#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], text[96];

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/unit-path-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(text, sizeof(text), "%s/file", folder);
}

static void remove_folder(void)
{
	unlink(text);
	assert_int_equal(rmdir(folder), 0);
}

TEST(a_file_is_made_found_and_removed)
{
	struct path path;
	struct stat st;
	int fd;

	make_folder();
	assert_int_equal(path_open(&path, text), 0);
	assert_errno(path_stat(&path, &st), ENOENT);
	fd = openat(path_folder(&path), path.name, O_CREAT | O_WRONLY, 0640);
	assert_return_code(fd, 0);
	close(fd);
	assert_int_equal(path_stat(&path, &st), 0);
	assert_int_equal(access(text, F_OK), 0);
	assert_int_equal(path_unlink(&path), 0);
	assert_errno(path_unlink(&path), ENOENT);
	path_close(&path);
	path_close(&path);
	remove_folder();
}

TEST(it_is_the_folder_that_counts_not_its_name)
{
	char moved[sizeof(folder) + 8], there[sizeof(moved) + 8];
	struct path path;
	int fd;

	make_folder();
	assert_int_equal(path_open(&path, text), 0);
	snprintf(moved, sizeof(moved), "%s-moved", folder);
	snprintf(there, sizeof(there), "%s/file", moved);
	assert_int_equal(rename(folder, moved), 0);
	fd = openat(path_folder(&path), path.name, O_CREAT | O_WRONLY, 0600);
	assert_return_code(fd, 0);
	close(fd);
	assert_int_equal(unlink(there), 0);
	path_close(&path);
	assert_int_equal(rmdir(moved), 0);
}

TEST(a_link_is_looked_at_and_removed_itself)
{
	struct path path;
	struct stat st;

	make_folder();
	assert_int_equal(symlink("/etc/passwd", text), 0);
	assert_int_equal(path_open(&path, text), 0);
	assert_int_equal(path_stat(&path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(path_unlink(&path), 0);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	path_close(&path);
	remove_folder();
}

TEST(a_link_is_made_read_and_replaced_in_one_step)
{
	char target[16];
	struct path path;
	struct stat before, after;

	make_folder();
	assert_int_equal(path_open(&path, text), 0);
	assert_errno(path_read_link(&path, target, sizeof(target)), ENOENT);
	assert_int_equal(path_link(&path, "/dev/pts/1"), 0);
	assert_errno(path_link(&path, "/dev/pts/2"), EEXIST);
	assert_int_equal(path_read_link(&path, target, sizeof(target)), 0);
	assert_string_equal(target, "/dev/pts/1");
	assert_int_equal(path_stat(&path, &before), 0);
	assert_int_equal(path_replace_by_link(&path, "/dev/pts/22"), 0);
	assert_int_equal(path_read_link(&path, target, strlen("/dev/pts/22") + 1), 0);
	assert_string_equal(target, "/dev/pts/22");
	assert_errno(path_read_link(&path, target, strlen("/dev/pts/22")), ENAMETOOLONG);
	assert_int_equal(path_stat(&path, &after), 0);
	assert_int_not_equal(after.st_ino, before.st_ino);
	assert_int_equal(path_unlink(&path), 0);

	/* Where it can't, nothing is left of the try: the folder can be removed. */
	assert_int_equal(mkdir(text, 0700), 0);
	assert_errno(path_replace_by_link(&path, "/dev/pts/3"), EISDIR);
	assert_errno(path_read_link(&path, target, sizeof(target)), EINVAL);
	assert_int_equal(rmdir(text), 0);
	path_close(&path);
	remove_folder();
}

TEST(paths_in_one_folder_share_its_descriptor)
{
	struct path paths[10], other;
	int before, after;

	make_folder();
	before = dup(STDERR_FILENO);
	close(before);
	for (unsigned int i = 0; i < ROWS(paths); i++)
		assert_int_equal(path_open(&paths[i], text), 0);
	assert_int_equal(path_open(&other, "/name"), 0);
	after = dup(STDERR_FILENO);
	close(after);
	assert_int_equal(after - before, 2);
	for (unsigned int i = 0; i < ROWS(paths); i++) {
		struct stat st;

		assert_errno(path_stat(&paths[i], &st), ENOENT);
		path_close(&paths[i]);
	}
	path_close(&other);
	remove_folder();
}

TEST(where_there_is_no_folder_is_an_error)
{
	struct path path;
	char long_text[8192];

	assert_errno(path_open(&path, "/tmp/no-such-folder-here/file"), ENOENT);
	assert_errno(path_open(&path, "/proc/self/status/file"), ENOTDIR);
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[0] = long_text[6000] = '/';
	long_text[sizeof(long_text) - 1] = '\0';
	assert_errno(path_open(&path, long_text), ENAMETOOLONG);
}

TEST(names_without_a_folder_and_in_the_root_are_found)
{
	struct path here, root;
	struct stat st;

	assert_int_equal(path_open(&root, "/proc"), 0);
	assert_int_equal(path_stat(&root, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(path_open(&here, "no-such-name"), 0);
	assert_errno(path_stat(&here, &st), ENOENT);
	path_close(&here);
	path_close(&root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_file_is_made_found_and_removed),
	    UNIT(it_is_the_folder_that_counts_not_its_name),
	    UNIT(a_link_is_looked_at_and_removed_itself),
	    UNIT(a_link_is_made_read_and_replaced_in_one_step),
	    UNIT(paths_in_one_folder_share_its_descriptor),
	    UNIT(where_there_is_no_folder_is_an_error),
	    UNIT(names_without_a_folder_and_in_the_root_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
