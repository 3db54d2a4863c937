/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The program's calls that fail as planned. The linker sends each call of a name here (--wrap),
 * from the program's own code only: so the sanitizers' and the C library's calls, which are
 * nobody's to handle, aren't counted, and the same works with AddressSanitizer, which a preloaded
 * library that takes malloc() for itself doesn't.
 *
 * tests/faults/CMakeLists.txt has the list of the names.
 */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#define FAIL(kind, error, value)                                                                   \
	do {                                                                                       \
		if (plan_fails(kind)) {                                                            \
			errno = error;                                                             \
			return value;                                                              \
		}                                                                                  \
	} while (0)

/* A call of these parameters that passes on these arguments, if it doesn't fail. */
#define WRAP(kind, type, name, params, args, value, error)                                         \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		FAIL(kind, error, value);                                                          \
		return __real_##name args;                                                         \
	}

WRAP(PLAN_MEMORY, void *, malloc, (size_t size), (size), NULL, ENOMEM)
WRAP(PLAN_MEMORY, void *, calloc, (size_t count, size_t size), (count, size), NULL, ENOMEM)
WRAP(PLAN_MEMORY, char *, strdup, (const char *text), (text), NULL, ENOMEM)
WRAP(PLAN_MEMORY, char *, strndup, (const char *text, size_t len), (text, len), NULL, ENOMEM)
WRAP(PLAN_MEMORY, FILE *, open_memstream, (char **bytes, size_t *len), (bytes, len), NULL, ENOMEM)
WRAP(PLAN_MEMORY, int, vasprintf, (char **text, const char *format, va_list args),
     (text, format, args), -1, ENOMEM)
WRAP(PLAN_MEMORY, void *, mmap, (void *at, size_t len, int access, int flags, int fd, off_t offset),
     (at, len, access, flags, fd, offset), MAP_FAILED, ENOMEM)
WRAP(PLAN_FILES, int, socket, (int domain, int type, int protocol), (domain, type, protocol), -1,
     EMFILE)
WRAP(PLAN_FILES, int, memfd_create, (const char *name, unsigned int flags), (name, flags), -1,
     EMFILE)
WRAP(PLAN_FILES, int, pipe2, (int fds[2], int flags), (fds, flags), -1, EMFILE)
WRAP(PLAN_MEMORY, int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg),
     (thread, attr, run, arg), EAGAIN, EAGAIN)
WRAP(PLAN_FILES, int, posix_openpt, (int flags), (flags), -1, EMFILE)
WRAP(PLAN_FILES, int, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags), -1,
     EMFILE)
WRAP(PLAN_FILES, int, inotify_init1, (int flags), (flags), -1, EMFILE)
WRAP(PLAN_CALLS, int, bind, (int fd, const struct sockaddr *addr, socklen_t len), (fd, addr, len),
     -1, ENOSPC)
WRAP(PLAN_CALLS, int, listen, (int fd, int backlog), (fd, backlog), -1, ENOMEM)
WRAP(PLAN_CALLS, int, connect, (int fd, const struct sockaddr *addr, socklen_t len),
     (fd, addr, len), -1, EINTR)
WRAP(PLAN_CALLS, int, ftruncate, (int fd, off_t len), (fd, len), -1, ENOSPC)
WRAP(PLAN_CALLS, int, fstat, (int fd, struct stat *st), (fd, st), -1, ENOMEM)
WRAP(PLAN_CALLS, int, fstatat, (int fd, const char *path, struct stat *st, int flags),
     (fd, path, st, flags), -1, ENOMEM)
WRAP(PLAN_CALLS, int, fstatfs, (int fd, struct statfs *fs), (fd, fs), -1, EINTR)
WRAP(PLAN_CALLS, int, fchmod, (int fd, mode_t mode), (fd, mode), -1, EIO)
WRAP(PLAN_CALLS, int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group), -1, EIO)
WRAP(PLAN_CALLS, int, fchownat, (int fd, const char *path, uid_t user, gid_t group, int flags),
     (fd, path, user, group, flags), -1, EIO)
WRAP(PLAN_CALLS, int, symlinkat, (const char *target, int fd, const char *path), (target, fd, path),
     -1, ENOSPC)
WRAP(PLAN_CALLS, int, renameat, (int from_fd, const char *from, int to_fd, const char *to),
     (from_fd, from, to_fd, to), -1, ENOSPC)
WRAP(PLAN_CALLS, ssize_t, readlink, (const char *path, char *target, size_t size),
     (path, target, size), -1, ENOMEM)
WRAP(PLAN_CALLS, ssize_t, readlinkat, (int fd, const char *path, char *target, size_t size),
     (fd, path, target, size), -1, ENOMEM)
WRAP(PLAN_CALLS, int, getsockopt, (int fd, int level, int option, void *value, socklen_t *len),
     (fd, level, option, value, len), -1, ENOBUFS)
WRAP(PLAN_CALLS, int, setsockopt, (int fd, int level, int option, const void *value, socklen_t len),
     (fd, level, option, value, len), -1, ENOMEM)
WRAP(PLAN_CALLS, int, getsockname, (int fd, struct sockaddr *addr, socklen_t *len), (fd, addr, len),
     -1, ENOBUFS)
WRAP(PLAN_CALLS, int, getpeername, (int fd, struct sockaddr *addr, socklen_t *len), (fd, addr, len),
     -1, ENOTCONN)
WRAP(PLAN_CALLS, int, getaddrinfo,
     (const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **info),
     (node, service, hints, info), EAI_MEMORY, ENOMEM)
WRAP(PLAN_CALLS, int, getnameinfo,
     (const struct sockaddr *addr, socklen_t len, char *host, socklen_t host_len, char *service,
      socklen_t service_len, int flags),
     (addr, len, host, host_len, service, service_len, flags), EAI_MEMORY, ENOMEM)
WRAP(PLAN_CALLS, int, inotify_add_watch, (int fd, const char *path, uint32_t mask),
     (fd, path, mask), -1, ENOSPC)
WRAP(PLAN_CALLS, ssize_t, read, (int fd, void *bytes, size_t size), (fd, bytes, size), -1, EINTR)
WRAP(PLAN_CALLS, ssize_t, send, (int fd, const void *bytes, size_t size, int flags),
     (fd, bytes, size, flags), -1, ENOBUFS)
WRAP(PLAN_CALLS, ssize_t, recv, (int fd, void *bytes, size_t size, int flags),
     (fd, bytes, size, flags), -1, ENOBUFS)
WRAP(PLAN_CALLS, int, tcgetattr, (int fd, struct termios *termios), (fd, termios), -1, EINTR)
WRAP(PLAN_CALLS, int, tcsetattr, (int fd, int when, const struct termios *termios),
     (fd, when, termios), -1, EINTR)
WRAP(PLAN_CALLS, int, sigprocmask, (int how, const sigset_t *set, sigset_t *old), (how, set, old),
     -1, EINVAL)

/* Those that take more or fewer. */

int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **text, const char *format, ...)
{
	va_list args;
	int len;

	FAIL(PLAN_MEMORY, ENOMEM, -1);
	va_start(args, format);
	len = __real_vasprintf(text, format, args);
	va_end(args);
	return len;
}

int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode)
{
	FAIL(PLAN_FILES, EMFILE, -1);
	return __real_open(path, flags, mode);
}

int __real_openat(int at, const char *path, int flags, mode_t mode);
int __wrap_openat(int at, const char *path, int flags, mode_t mode);
int __wrap_openat(int at, const char *path, int flags, mode_t mode)
{
	FAIL(PLAN_FILES, EMFILE, -1);
	return __real_openat(at, path, flags, mode);
}

int __real_fcntl(int fd, int command, long arg);
int __wrap_fcntl(int fd, int command, long arg);
int __wrap_fcntl(int fd, int command, long arg)
{
	if (command == F_DUPFD_CLOEXEC)
		FAIL(PLAN_FILES, EMFILE, -1);
	else
		FAIL(PLAN_CALLS, EINTR, -1);
	return __real_fcntl(fd, command, arg);
}

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	FAIL(PLAN_CALLS, EINTR, -1);
	return __real_ioctl(fd, request, arg);
}

/* Standard error is excepted: what the program says there is how its end is judged. */

int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	if (fds[0].fd != STDERR_FILENO)
		FAIL(PLAN_CALLS, EINTR, -1);
	return __real_poll(fds, count, timeout);
}

ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
	if (fd != STDERR_FILENO)
		FAIL(PLAN_CALLS, ENOSPC, -1);
	return __real_write(fd, bytes, size);
}
