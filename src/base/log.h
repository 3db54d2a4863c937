/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The log: one line an event, on standard error.
 *
 * It never waits: a line for which standard error has no room is counted, and the count is told
 * when there is room again. Others may use what standard error is, so it isn't made non-blocking:
 * log_open() finds another way. Must be used from one thread only.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/*
 * How often one source, a guest say, may speak: LOG_LIMIT_BURST lines at once, then one a
 * second. What it says beyond that is counted and told with its next line.
 */
#define LOG_LIMIT_BURST 10

struct log_limit {
	uint64_t until_ms; /* the time at which all of the burst is used up and paid back again */
	unsigned int suppressed;
};

/*
 * From now on nothing can make a line wait. Where standard error is a file, or a terminal that
 * belongs to somebody else, that takes a thread; if there can't be one, all stays as it was.
 */
void log_open(void);

/* Waits for the last lines, for a second at most. */
void log_close(void);

void log_set_level(enum log_level level);

/* In a terminal's raw mode a line has to end in CR LF. */
void log_set_raw_terminal(bool raw);

/* An error's line from a signal's handler, before the process dies. */
void log_last_words(const char *text);

/* Ends a line on standard error that isn't the log's. */
void log_end_line(void);

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *format, ...);

/* The same for lines that a peer can cause at will. */
__attribute__((format(printf, 3, 4))) void log_limited(struct log_limit *limit,
                                                       enum log_level level, const char *format,
                                                       ...);

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Says that there is none for `what`. Returns -ENOMEM, for its caller's caller. */
int log_no_memory(const char *what);

#endif
