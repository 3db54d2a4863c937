/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "base/fd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#define NAME_BYTES 64

void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

void fd_discard(struct fd_discarder *discarder, int *fd)
{
	int saved = errno;

	/* Most are eventfds, which never take long. */
	if (discarder && *fd >= 0 && !fd_is_eventfd(*fd))
		discarder->discard(discarder, fd_take(fd));
	fd_close(fd);
	errno = saved;
}

void fd_discard_map(struct fd_discarder *discarder, void *map, size_t len)
{
	if (discarder)
		discarder->unmap(discarder, map, len);
	else
		munmap(map, len);
}

int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

void fd_replace(int *fd, int with)
{
	fd_close(fd);
	*fd = with;
}

int fd_reserve_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -errno;
	fd_close(&fd);
	return 0;
}

int fd_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

void fd_bag_init(struct fd_bag *bag, struct fd_discarder *discarder)
{
	bag->discarder = discarder;
	for (unsigned int i = 0; i < FD_BAG_MAX; i++)
		bag->fd[i] = -1;
	bag->count = 0;
}

int fd_bag_take(struct fd_bag *bag, unsigned int i)
{
	assert(i < bag->count);
	return fd_take(&bag->fd[i]);
}

void fd_bag_close(struct fd_bag *bag)
{
	for (unsigned int i = 0; i < bag->count; i++)
		fd_discard(bag->discarder, &bag->fd[i]);
	bag->count = 0;
}

/*
 * How /proc names what has no path: no call asks for the kind of an anonymous inode, and one that
 * does for a pipe waits for whoever writes to it. Cut off if it is longer, empty if there is none.
 */
static void read_name(int fd, char ret_name[NAME_BYTES])
{
	char path[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, ret_name, NAME_BYTES - 1);
	ret_name[n < 0 ? 0 : n] = '\0';
}

bool fd_is_eventfd(int fd)
{
	char name[NAME_BYTES];

	read_name(fd, name);
	return strcmp(name, "anon_inode:[eventfd]") == 0;
}

static bool is_pipe(int fd)
{
	static const char start[] = "pipe:[";
	char name[NAME_BYTES];

	read_name(fd, name);
	return strncmp(name, start, sizeof(start) - 1) == 0;
}

int fd_counts_down(int fd)
{
	char path[32], info[512];
	ssize_t n;
	int proc;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	proc = open(path, O_RDONLY | O_CLOEXEC);
	if (proc < 0)
		return -errno;
	n = read(proc, info, sizeof(info) - 1);
	fd_close(&proc);
	if (n < 0)
		return -errno;
	info[n] = '\0';
	return strstr(info, "\neventfd-semaphore: 1\n") ? 1 : 0;
}

bool fd_is_unix_stream(int fd)
{
	int type, domain;
	socklen_t len = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
	       getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

bool fd_is_of_pair(int fd)
{
	struct sockaddr_un peer;
	socklen_t len = sizeof(peer);

	/* Those of a pair have no name; a listening socket has one, or nobody could connect. */
	return fd_is_unix_stream(fd) && getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
	       len <= offsetof(struct sockaddr_un, sun_path);
}

bool fd_end_input(int fd)
{
	uint8_t byte;

	/* What came out of band is seen only in line. */
	if (shutdown(fd, SHUT_RD) < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &(int){1}, sizeof(int));
	return recv(fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) == 0;
}

/*
 * Only files in memory have seals. Asked before anything else: it is the kernel that answers, while
 * fstat() may have to wait for the server of a file system.
 */
static int look_for_seals(int fd)
{
	if (fcntl(fd, F_GET_SEALS) >= 0)
		return 0;
	return errno == EINVAL ? -EMEDIUMTYPE : -errno;
}

int fd_inspect_memory(int fd, uint64_t *ret_size, uint64_t *ret_page_size)
{
	int r = look_for_seals(fd);
	struct stat st;
	struct statfs fs;

	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC))
		return -EMEDIUMTYPE;
	*ret_size = (uint64_t)st.st_size;
	*ret_page_size =
	    fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)fs.f_bsize : (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

bool fd_is_channel(int fd)
{
	uint64_t size, page;

	return is_pipe(fd) || fd_is_of_pair(fd) || fd_inspect_memory(fd, &size, &page) == 0;
}
