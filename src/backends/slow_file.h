/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A file to append to whose file system may not answer: it is opened, written and closed beside the
 * loop (loop/aside.h), and its owner may go in the middle of that.
 *
 * It may be a regular file, a FIFO, a terminal or another character device; and is always opened so
 * that nobody has to be at its other end. Must not be used for what needs an answer at once.
 */
#ifndef BACKENDS_SLOW_FILE_H
#define BACKENDS_SLOW_FILE_H

#include "base/limit.h"
#include "loop/loop.h"

struct slow_file;

enum slow_file_kind {
	SLOW_FILE_STORED, /* what can't be written without waiting is written by slow_file_write()
	                   */
	SLOW_FILE_POLLED, /* what can't be written without waiting is waited for with a poll */
};

/*
 * Makes one for `path`, which is copied, with a buffer of `size` bytes. Nothing is opened yet.
 * `done` is called at the end of whatever is begun, with what it was begun for. NULL: no memory.
 */
struct slow_file *slow_file_new(struct loop *loop, const char *path, size_t size,
                                void (*done)(void *owner, int res), void *owner);

/* For what is written. It stays untouched while a write is under way. */
void *slow_file_buffer(struct slow_file *file);

/* Whether something has been begun and isn't done. */
bool slow_file_busy(const struct slow_file *file);

/*
 * Begins to open it, in place of what is open: that stays if this fails. `done` has 0, or -errno:
 * -ENXIO for a FIFO without a reader or a socket, -ENOTBLK for a block device.
 */
void slow_file_open(struct slow_file *file);

/* The descriptor; -1: it isn't open. */
int slow_file_fd(const struct slow_file *file);
enum slow_file_kind slow_file_kind(const struct slow_file *file);

/*
 * Begins to write `len` bytes at `bytes`, which are in the buffer. `done` has how many were, or
 * -errno.
 */
void slow_file_write(struct slow_file *file, const void *bytes, size_t len);

/* Closes and frees it, as soon as it isn't busy. `done` isn't called any more. */
void slow_file_free(struct slow_file *file);

/* What `error`, as given to `done`, means. Writes it to `text` if need be. */
const char *slow_file_explain(int error, char text[LIMIT_TEXT_MAX]);

#endif
