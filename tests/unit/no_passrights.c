/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The system as before Linux 6.16, which can't refuse descriptors on a Unix socket: for programs
 * that are linked with --wrap=setsockopt.
 */
#include <errno.h>
#include <sys/socket.h>

int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len);

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	if (level == SOL_SOCKET && option == 83 /* SO_PASSRIGHTS */) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return __real_setsockopt(fd, level, option, value, len);
}
