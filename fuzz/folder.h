/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Files of a folder and what is in them, for the programs that walk over a corpus.
 */
#ifndef FUZZ_FOLDER_H
#define FUZZ_FOLDER_H

#include <stddef.h>
#include <stdint.h>

struct folder {
	char **paths; /* sorted */
	size_t count;
	size_t root; /* the bytes of a path that are the folder's own, for shorter names */
};

/*
 * The regular files below `path`, or `path` itself if it is one, whose names end in `ending`
 * ("" for all). Returns 0 or -errno.
 */
int folder_list(struct folder *ret_folder, const char *path, const char *ending);
void folder_deinit(struct folder *folder);

/* All of a file, allocated; NULL with errno set. A zero byte follows what is counted. */
uint8_t *folder_read(const char *path, size_t *ret_len);

#endif
