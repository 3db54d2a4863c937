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

/* Gives the folder back. Does nothing to one that isn't open. */
void path_close(struct path *path);

/* openat(), fstatat() without following a link, and unlinkat() there. Return as these or -errno. */
int path_open_file(const struct path *path, int flags, mode_t mode);
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
