/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Paths that are used after the start: a name in a folder that was opened at the start.
 *
 * So what they mean doesn't change when folders are moved, and a process that has locked itself in
 * can still use them. Paths in the same folder share its descriptor.
 */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <stddef.h>
#include <sys/stat.h>

struct path_folder;

struct path {
	struct path_folder *folder; /* NULL: not open */
	const char *name;           /* in the text it was opened with */
};

/* Opens the folder of `text`, which has to live as long as the path. Returns 0 or -errno. */
int path_open(struct path *path, const char *text);

/*
 * The same in two steps, for a folder in a file system that may not answer. The first may be taken
 * in any thread: opens the folder of `text` and returns its descriptor or -errno. The second makes
 * a path of that and of what fstat() says of it; it takes *fd only if no other path has the folder.
 * Returns 0 or -ENOMEM.
 */
int path_open_folder(const char *text);
int path_adopt(struct path *path, const char *text, int *fd, const struct stat *st);

/* Gives the folder back. Does nothing to one that isn't open. */
void path_close(struct path *path);

/* The same, but leaves the descriptor to be closed to the caller: returns it; -1: there is none. */
int path_give_up(struct path *path);

/* The folder's descriptor, which stays the path's. */
int path_folder(const struct path *path);

/* fstatat() without following a link, and unlinkat() there. Return 0 or -errno. */
int path_stat(const struct path *path, struct stat *ret_st);
int path_unlink(const struct path *path);

/*
 * A symbolic link: made, where the name must be free; put in the place of what is there, in one
 * step; and read, as a string that has to fit into `size`, else -ENAMETOOLONG; of what isn't a
 * link, -EINVAL. Return 0 or -errno.
 */
int path_link(const struct path *path, const char *target);
int path_replace_by_link(const struct path *path, const char *target);
int path_read_link(const struct path *path, char *ret_target, size_t size);

/* Gives the file, or the link itself, to the group. Returns 0 or -errno. */
int path_set_group(const struct path *path, gid_t group);

#endif
