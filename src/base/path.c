/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "base/path.h"

#include "base/fd.h"
#include "base/list.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct path_folder {
	struct list link;
	unsigned int users;
	int fd;
	dev_t dev;
	ino_t ino;
};

/* The process has one view of the file system. */
static struct list the_folders = {&the_folders, &the_folders};

int path_open_folder(const char *text)
{
	const char *slash = strrchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : 0;
	char *folder;
	int fd;

	/* "name" is in ".", "/name" in "/". */
	if (len == 0)
		folder = strdup(slash ? "/" : ".");
	else
		folder = strndup(text, len);
	if (!folder)
		return -ENOMEM;
	fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = fd < 0 ? -errno : fd;
	free(folder);
	return fd;
}

static struct path_folder *find_folder(const struct stat *st)
{
	list_for_each (link, &the_folders) {
		struct path_folder *folder = container_of(link, struct path_folder, link);

		if (folder->dev == st->st_dev && folder->ino == st->st_ino)
			return folder;
	}
	return NULL;
}

int path_adopt(struct path *path, const char *text, int *fd, const struct stat *st)
{
	const char *slash = strrchr(text, '/');
	struct path_folder *folder = find_folder(st);

	if (!folder) {
		folder = malloc(sizeof(*folder));
		if (!folder)
			return -ENOMEM;
		*folder =
		    (struct path_folder){.fd = fd_take(fd), .dev = st->st_dev, .ino = st->st_ino};
		list_append(&the_folders, &folder->link);
	}
	folder->users++;
	*path = (struct path){.folder = folder, .name = slash ? slash + 1 : text};
	return 0;
}

int path_open(struct path *path, const char *text)
{
	int fd = path_open_folder(text), r;
	struct stat st;

	if (fd < 0)
		return fd;
	r = fstat(fd, &st) < 0 ? -errno : path_adopt(path, text, &fd, &st);
	fd_close(&fd);
	return r;
}

int path_give_up(struct path *path)
{
	struct path_folder *folder = path->folder;
	int fd;

	path->folder = NULL;
	if (!folder || --folder->users > 0)
		return -1;
	fd = folder->fd;
	list_remove(&folder->link);
	free(folder);
	return fd;
}

void path_close(struct path *path)
{
	int fd = path_give_up(path);

	fd_close(&fd);
}

int path_folder(const struct path *path)
{
	return path->folder->fd;
}

int path_stat(const struct path *path, struct stat *ret_st)
{
	return fstatat(path->folder->fd, path->name, ret_st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int path_unlink(const struct path *path)
{
	return unlinkat(path->folder->fd, path->name, 0) < 0 ? -errno : 0;
}

int path_link(const struct path *path, const char *target)
{
	return symlinkat(target, path->folder->fd, path->name) < 0 ? -errno : 0;
}

int path_replace_by_link(const struct path *path, const char *target)
{
	int folder = path->folder->fd, r;
	char *name;

	/* Only a rename replaces in one step, so it is made under a name of this process first. */
	if (asprintf(&name, "%s.%d.new", path->name, getpid()) < 0)
		return -ENOMEM;
	r = symlinkat(target, folder, name) < 0 ? -errno : 0;
	if (r == 0 && renameat(folder, name, folder, path->name) < 0) {
		r = -errno;
		unlinkat(folder, name, 0);
	}
	free(name);
	return r;
}

int path_read_link(const struct path *path, char *ret_target, size_t size)
{
	ssize_t len = readlinkat(path->folder->fd, path->name, ret_target, size);

	if (len < 0)
		return -errno;
	if ((size_t)len >= size)
		return -ENAMETOOLONG;
	ret_target[len] = '\0';
	return 0;
}

int path_set_group(const struct path *path, gid_t group)
{
	int r = fchownat(path->folder->fd, path->name, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW);

	return r < 0 ? -errno : 0;
}
