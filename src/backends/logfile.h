/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A port's log: everything the guest prints, in a file, whether or not somebody watches.
 *
 * It is one more reader of the port's output, with a bounded buffer and one write in flight. A
 * file that can't be opened or written is reported once and tried again every second; the guest
 * isn't held up by it, and what is missing is counted in a line of its own. Nor does a file system
 * that doesn't answer hold up anything else: only the file itself is missing then.
 */
#ifndef BACKENDS_LOGFILE_H
#define BACKENDS_LOGFILE_H

#include "backends/backend.h"
#include "base/limit.h"
#include "loop/loop.h"

struct logfile;

/*
 * Begins to open the file at `path`, which has to live as long, for appending. Returns 0 or -errno,
 * which it has logged. To be followed by one of the two that wait for that, and then by
 * logfile_attach().
 */
int logfile_new(struct logfile **ret_log, struct loop *loop, const char *path);

/*
 * While others are served: `opened` follows, with `owner` and 0 or -errno; with 0 also if the file
 * system doesn't answer for a second.
 */
void logfile_await(struct logfile *log, void (*opened)(struct logfile *log, void *owner, int r),
                   void *owner);

/* At the start: waits, for a second in all. Returns the same, and has logged an error. */
int logfile_await_now(struct logfile *log);

/* It reads the output of this port from now on. */
void logfile_attach(struct logfile *log, struct backend_port *port);

/* Frees one that only logfile_await_now() has waited for. */
void logfile_free(struct logfile *log);

/* Goes on with the file that has the path now: it may have been moved away. */
void logfile_reopen(struct logfile *log);

/*
 * Ends and frees it; `stopped` follows, with `owner`. What is being written is waited for, for a
 * second.
 */
void logfile_stop(struct logfile *log, void (*stopped)(void *owner), void *owner);

/* What an error of these functions means. Writes it to `text` if need be. */
const char *logfile_explain(int error, char text[LIMIT_TEXT_MAX]);

#endif
