/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Tells when somebody opens or closes a file, by inotify.
 *
 * All watches of the process share one inotify descriptor: a user may have 128 of those by
 * default, and guests can be more. So it isn't in any one watch's hands: the first of them whose
 * scope is alive waits for all.
 */
#ifndef LOOP_FILE_WATCH_H
#define LOOP_FILE_WATCH_H

#include "loop/loop.h"

struct file_watch {
	struct list link;
	struct loop_op readable;
	int id; /* inotify's */
	/* The file was opened or closed, perhaps more than once; or might have been. */
	void (*changed)(struct file_watch *watch);
};

/* No two may watch the same file. Returns 0 or -errno: -EMFILE if the user has too many. */
int file_watch_start(struct file_watch *watch, struct loop_scope *scope, const char *path,
                     void (*changed)(struct file_watch *watch));

/* Watches another file instead. Returns 0 or -errno; then it watches none. */
int file_watch_move(struct file_watch *watch, const char *path);

/* For when its scope has drained. */
void file_watch_deinit(struct file_watch *watch);

#endif
