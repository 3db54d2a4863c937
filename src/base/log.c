/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "base/log.h"

#include "base/clock.h"
#include "base/macros.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "vhost-user-console"
/* POSIX lets a write of up to PIPE_BUF (at least 512) bytes to a ready pipe pass without waiting.
 */
#define LINE_BYTES 512

/* The process has one standard error, hence one of these. */
static struct {
	enum log_level level;
	bool raw_terminal;
	unsigned int lost;
} the_log = {.level = LOG_LEVEL_INFO};

void log_set_level(enum log_level level)
{
	the_log.level = level;
}

void log_set_raw_terminal(bool raw)
{
	the_log.raw_terminal = raw;
}

static bool has_room(void)
{
	struct pollfd pollfd = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&pollfd, 1, 0) == 1 && (pollfd.revents & POLLOUT);
}

static bool write_line(enum log_level level, const char *text)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	const char *end = the_log.raw_terminal ? "\r\n" : "\n";
	char line[LINE_BYTES];
	int n;

	if (!has_room())
		return false;
	n = snprintf(line, sizeof(line) - 2, PROGRAM ": %s: %s", names[level], text);
	n = MIN(n, (int)sizeof(line) - 3);
	memcpy(line + n, end, strlen(end));
	return write(STDERR_FILENO, line, (size_t)n + strlen(end)) > 0;
}

static void write_or_count(enum log_level level, const char *text)
{
	if (the_log.lost > 0) {
		char note[64];

		snprintf(note, sizeof(note), "%u lines were lost: no room on standard error",
		         the_log.lost);
		if (write_line(LOG_LEVEL_WARNING, note))
			the_log.lost = 0;
	}
	if (!write_line(level, text))
		the_log.lost++;
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[LINE_BYTES];
	va_list args;

	if (level > the_log.level)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	write_or_count(level, text);
}

/* A bucket that LOG_LIMIT_BURST lines fill and that loses one line a second. */
static bool limit_allows(struct log_limit *limit)
{
	uint64_t now = clock_now_ms();

	limit->until_ms = MAX(limit->until_ms, now);
	if (limit->until_ms + 1000 > now + LOG_LIMIT_BURST * 1000) {
		limit->suppressed++;
		return false;
	}
	limit->until_ms += 1000;
	return true;
}

void log_limited(struct log_limit *limit, enum log_level level, const char *format, ...)
{
	char text[LINE_BYTES];
	va_list args;
	int n;

	if (level > the_log.level || !limit_allows(limit))
		return;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (limit->suppressed > 0 && n < LINE_BYTES)
		snprintf(text + n, sizeof(text) - (size_t)n, " (%u more lines not shown)",
		         limit->suppressed);
	limit->suppressed = 0;
	write_or_count(level, text);
}

int log_no_memory(const char *what)
{
	log_error("%s: no memory", what);
	return -ENOMEM;
}
