/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Listening Unix sockets: made with their permissions from the first moment on, in place of a
 * dead one but never of a live one, and removed only while they are still ours.
 */
#ifndef BASE_UNIX_SOCKET_H
#define BASE_UNIX_SOCKET_H

#include "base/list.h"
#include "base/path.h"

#include <stdbool.h>
#include <sys/types.h>

/* What it takes to remove a socket's file again; it stays where it is. Zero: there is none. */
struct unix_socket_file {
	struct list link; /* with all others of the process */
	struct path path;
	dev_t dev;
	ino_t ino;
};

/*
 * Makes a listening socket at `path` with file mode `mode` and, unless (gid_t)-1, group `group`.
 * `path` has to live as long as *ret_file. Returns the descriptor, or -errno: -EADDRINUSE if a
 * live process has it, -EEXIST if a file of another kind is there, -ENAMETOOLONG if a socket's
 * path can't be that long.
 */
int unix_socket_listen(const char *path, mode_t mode, gid_t group,
                       struct unix_socket_file *ret_file);

/*
 * Those who connect can't send descriptors, which nobody takes: the kernel would close them in the
 * loop's thread, however long that takes. Linux can do that from 6.16 on; false where it can't.
 */
bool unix_socket_refuse_fds(int fd);

/* Logs in one line why unix_socket_listen() returned `error`. */
void unix_socket_log_failure(const char *path, int error);

/* Removes the file, unless another has taken its place, and closes the folder. */
void unix_socket_remove(struct unix_socket_file *file);

/* The same for all that the process has, when it can't end in order. */
void unix_socket_remove_all(void);

#endif
