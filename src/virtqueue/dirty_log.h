/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The log of a guest that is migrated: one bit for each page of its memory that was written here
 * (vhost-user, "Migration").
 *
 * The frontend reads and clears the bits while they are set, so each is set in one atomic step, and
 * only after the bytes are in the page: a page that is marked before could be sent without them.
 * The log lies in a file of the frontend's, which may become shorter like a guest's memory.
 */
#ifndef VIRTQUEUE_DIRTY_LOG_H
#define VIRTQUEUE_DIRTY_LOG_H

#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIRTY_LOG_PAGE 0x1000u /* VHOST_LOG_PAGE */

/* Where the log is in its file, in bytes (vhost-user, "Log description"). */
struct dirty_log_area {
	uint64_t size;
	uint64_t offset;
};

struct dirty_log {
	struct fault_guard guard; /* stands while there is a mapping */
	volatile bool lost;       /* the file has become shorter */
	bool marked;              /* a page that wasn't, since somebody set it to false */
	struct dirty_log_area area;
	int fd;    /* -1: there is no log */
	void *map; /* the area, widened to whole pages of its file */
	size_t map_len;
	uint8_t *bits;
	struct fd_discarder *discarder;
};

enum dirty_log_verdict {
	DIRTY_LOG_OK,
	DIRTY_LOG_EMPTY,
	DIRTY_LOG_OVERFLOW,
	DIRTY_LOG_FILE_KIND,
	DIRTY_LOG_FILE_SHORT,
	DIRTY_LOG_TOO_MUCH /* more would be mapped than may be */
};

/* Its mapping and its file end with `discarder` (NULL: at once). */
void dirty_log_init(struct dirty_log *log, struct fd_discarder *discarder);

/* Its mapping and its file go to the discarder. May be called again. */
void dirty_log_deinit(struct dirty_log *log);

/* Whether there may be a log, of at most `most` bytes. Does nothing to fd. */
enum dirty_log_verdict dirty_log_judge(const struct dirty_log_area *area, int fd, uint64_t most);
const char *dirty_log_verdict_text(enum dirty_log_verdict verdict);

/*
 * Maps a log that was judged DIRTY_LOG_OK in place of the one before. Takes fd if it succeeds.
 * Returns 0 or -errno, and the log before stays then.
 */
int dirty_log_map(struct dirty_log *log, const struct dirty_log_area *area, int fd);

static inline bool dirty_log_is_there(const struct dirty_log *log)
{
	return log->fd >= 0;
}

/* Whether a log of that area has a bit for each page of the `len` > 0 bytes at guest address. */
bool dirty_log_covers(const struct dirty_log_area *area, uint64_t addr, uint64_t len);

/*
 * The `len` bytes at guest physical address `addr` have been written. Without a log nothing
 * happens, and pages that it has no bit for are passed over.
 */
void dirty_log_mark(struct dirty_log *log, uint64_t addr, uint64_t len);

#endif
