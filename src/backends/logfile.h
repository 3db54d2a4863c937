/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A port's log: everything the guest prints, in a file, whether or not somebody watches.
 *
 * It is one more reader of the port's output, with a bounded buffer and one write in flight. A
 * file that can't be written is reported once and tried again every second; the guest isn't held
 * up by it, and what is missing is counted in a line of its own.
 */
#ifndef BACKENDS_LOGFILE_H
#define BACKENDS_LOGFILE_H

#include "backends/backend.h"
#include "loop/loop.h"

struct logfile;

/*
 * Appends to the file at `path`, which has to live as long. Returns 0 or -errno, which it has
 * logged.
 */
int logfile_new(struct logfile **ret_log, struct loop *loop, struct backend_port *port,
                const char *path);

/* Frees one that has been made but hasn't run. */
void logfile_free(struct logfile *log);

/* Goes on with the file that has the path now: it may have been moved away. */
void logfile_reopen(struct logfile *log);

/* Ends and frees it; `stopped` follows, with the port. */
void logfile_stop(struct logfile *log, void (*stopped)(struct backend_port *port));

#endif
