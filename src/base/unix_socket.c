/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "base/unix_socket.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Guests' frontends come one at a time. */
#define BACKLOG 8

/* Debian 12's headers don't have it. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

static struct list the_files = {&the_files, &the_files};

/*
 * Removes a socket that nobody has any more. Asking with another type of socket doesn't disturb a
 * live owner: the kernel refuses it before the owner would see it.
 */
static int remove_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, r = 0;

	if (lstat(addr->sun_path, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	/* Non-blocking: it may be a stranger's that is of this type, and nobody accepts there. */
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno != ECONNREFUSED)
		r = -EADDRINUSE;
	else if (unlink(addr->sun_path) < 0)
		r = -errno;
	fd_close(&fd);
	return r;
}

static int try_bind(int fd, const struct sockaddr_un *addr, mode_t mode)
{
	/* The mask is the only way to give a socket's file its mode before others can see it. */
	mode_t before = umask(~mode & 0777);
	int r = bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? -errno : 0;

	umask(before);
	return r;
}

/* In place of what a process that was killed has left behind. */
static int bind_anew(int fd, const struct sockaddr_un *addr, mode_t mode)
{
	int r = try_bind(fd, addr, mode);

	if (r != -EADDRINUSE)
		return r;
	r = remove_stale(addr);
	return r < 0 ? r : try_bind(fd, addr, mode);
}

static int bind_and_listen(int fd, const struct sockaddr_un *addr, mode_t mode, gid_t group,
                           struct unix_socket_file *file)
{
	struct stat st;
	uint64_t since = clock_now_ms();
	int r;

	do
		r = bind_anew(fd, addr, mode);
	while (r == -EADDRINUSE && clock_wait_for_release(since));

	if (r < 0)
		return r;
	r = path_stat(&file->path, &st);
	if (r < 0) {
		path_unlink(&file->path);
		return r;
	}
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	/* Nobody can connect before this process listens. */
	if (group != (gid_t)-1)
		r = path_set_group(&file->path, group);
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r < 0)
		path_unlink(&file->path);
	return r;
}

int unix_socket_listen(const char *path, mode_t mode, gid_t group,
                       struct unix_socket_file *ret_file)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct unix_socket_file file = {0};
	int fd, r;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	r = path_open(&file.path, path);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r = fd < 0 ? -errno : bind_and_listen(fd, &addr, mode, group, &file);
	if (r < 0) {
		fd_close(&fd);
		path_close(&file.path);
		return r;
	}
	*ret_file = file;
	list_init(&ret_file->link);
	list_append(&the_files, &ret_file->link);
	return fd;
}

bool unix_socket_refuse_fds(int fd)
{
	return setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &(int){0}, sizeof(int)) == 0;
}

void unix_socket_log_failure(const char *path, int error)
{
	if (error == -EADDRINUSE)
		log_error("%s: another process uses this socket", path);
	else if (error == -EEXIST)
		log_error("%s: there is a file that isn't a socket", path);
	else if (error == -ENAMETOOLONG)
		log_error("%s: too long for a socket's path", path);
	else
		log_error("%s: can't listen: %s", path, strerror(-error));
}

void unix_socket_remove(struct unix_socket_file *file)
{
	struct stat st;

	if (!file->path.folder)
		return;
	if (path_stat(&file->path, &st) == 0 && st.st_dev == file->dev && st.st_ino == file->ino)
		path_unlink(&file->path);
	path_close(&file->path);
	list_remove(&file->link);
}

void unix_socket_remove_all(void)
{
	while (!list_empty(&the_files))
		unix_socket_remove(container_of(the_files.next, struct unix_socket_file, link));
}
