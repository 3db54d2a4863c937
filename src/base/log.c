/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "base/log.h"

#include "base/clock.h"
#include "base/limit.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM "vhost-user-console"
/* POSIX lets a write of up to PIPE_BUF (at least 512) bytes to a ready pipe pass without waiting.
 */
#define LINE_BYTES 512

/* What waits for the thread, in bytes. */
#define QUEUE_BYTES (64u * 1024)
#define STACK_BYTES (64u * 1024)
/* How long the end waits for the thread. */
#define CLOSE_MS 1000u

enum sink {
	SINK_PLAIN,  /* before log_open(): standard error, if it says that it has room */
	SINK_OWN,    /* an open file of our own, which is non-blocking, */
	SINK_SOCKET, /* a socket, which can be asked not to wait each time, */
	SINK_THREAD, /* or anything else: a thread may wait */
};

/* The process has one standard error, hence one of these. */
static struct {
	enum log_level level;
	bool raw_terminal;
	unsigned int lost;
	enum sink sink;
	int fd;
	/* What a terminal hadn't room for, of the last line. */
	char rest[LINE_BYTES];
	size_t rest_len;
} the_log = {.level = LOG_LEVEL_INFO, .fd = STDERR_FILENO};

/* What the thread shares with the others. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t put, taken, written; /* bytes */
	char bytes[QUEUE_BYTES];
} the_queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

void log_set_level(enum log_level level)
{
	the_log.level = level;
}

void log_set_raw_terminal(bool raw)
{
	the_log.raw_terminal = raw;
}

/* The thread. */

static void write_all(const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, bytes, len);

		if (n < 0 && errno != EINTR)
			return; /* nobody could be told */
		bytes += MAX(n, 0);
		len -= (size_t)MAX(n, 0);
	}
}

static size_t take_bytes(char *ret_bytes, size_t size)
{
	size_t n = MIN(size, (size_t)(the_queue.put - the_queue.taken));

	for (size_t i = 0; i < n; i++)
		ret_bytes[i] = the_queue.bytes[the_queue.taken++ % QUEUE_BYTES];
	return n;
}

static void *write_queue(void *arg)
{
	char bytes[LINE_BYTES];
	size_t n;

	(void)arg;
	pthread_mutex_lock(&the_queue.lock);
	while (true) {
		while (the_queue.put == the_queue.taken)
			pthread_cond_wait(&the_queue.changed, &the_queue.lock);
		n = take_bytes(bytes, sizeof(bytes));
		pthread_mutex_unlock(&the_queue.lock);
		write_all(bytes, n);
		pthread_mutex_lock(&the_queue.lock);
		the_queue.written += n;
		pthread_cond_broadcast(&the_queue.changed);
	}
	return NULL;
}

static int start_thread(void)
{
	pthread_condattr_t clock;
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all;
	int r;

	sigfillset(&all);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&the_queue.changed, &clock);
	pthread_condattr_destroy(&clock);
	pthread_attr_init(&attr);
	pthread_attr_setsigmask_np(&attr, &all);
	pthread_attr_setstacksize(&attr, MAX(STACK_BYTES, (size_t)PTHREAD_STACK_MIN));
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attr, write_queue, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

static bool queue_bytes(const char *bytes, size_t len)
{
	bool room;

	pthread_mutex_lock(&the_queue.lock);
	room = QUEUE_BYTES - (the_queue.put - the_queue.written) >= len;
	for (size_t i = 0; room && i < len; i++)
		the_queue.bytes[the_queue.put++ % QUEUE_BYTES] = bytes[i];
	pthread_cond_broadcast(&the_queue.changed);
	pthread_mutex_unlock(&the_queue.lock);
	return room;
}

static void await_queue(void)
{
	uint64_t until = clock_now_ms() + CLOSE_MS;
	struct timespec at = {
	    .tv_sec = (time_t)(until / 1000),
	    .tv_nsec = (long)(until % 1000) * 1000000,
	};
	int r = 0;

	pthread_mutex_lock(&the_queue.lock);
	while (the_queue.put != the_queue.written && r == 0)
		r = pthread_cond_timedwait(&the_queue.changed, &the_queue.lock, &at);
	pthread_mutex_unlock(&the_queue.lock);
}

/* Opening and closing. */

/*
 * Pipes, terminals and other devices are opened anew: O_NONBLOCK belongs to the open file, which
 * the shell and others have too. -1 where that can't be.
 */
static int open_own(const struct stat *st)
{
	char path[32];

	if (!S_ISFIFO(st->st_mode) && !S_ISCHR(st->st_mode))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", STDERR_FILENO);
	return open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void log_open(void)
{
	struct stat st;
	int own;

	if (fstat(STDERR_FILENO, &st) < 0)
		return;
	own = open_own(&st);
	if (own >= 0) {
		the_log.sink = SINK_OWN;
		the_log.fd = own;
	} else if (S_ISSOCK(st.st_mode)) {
		the_log.sink = SINK_SOCKET;
	} else if (start_thread() == 0) {
		the_log.sink = SINK_THREAD;
	}
}

void log_close(void)
{
	if (the_log.sink == SINK_THREAD)
		await_queue();
}

/* Lines. */

static bool has_room(void)
{
	struct pollfd pollfd = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&pollfd, 1, 0) == 1 && (pollfd.revents & POLLOUT);
}

/* Returns how many bytes were taken, or -1. It never waits. */
static ssize_t write_some(const char *bytes, size_t len)
{
	switch (the_log.sink) {
	case SINK_SOCKET:
		return send(the_log.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case SINK_THREAD:
		return queue_bytes(bytes, len) ? (ssize_t)len : -1;
	case SINK_PLAIN:
		if (!has_room())
			return -1;
		break;
	case SINK_OWN:
		break;
	}
	return write(the_log.fd, bytes, len);
}

/* False: nothing of it was. What is left of one that was begun is written before the next. */
static bool write_bytes(const char *bytes, size_t len)
{
	ssize_t n;

	if (the_log.rest_len > 0) {
		n = write_some(the_log.rest, the_log.rest_len);
		the_log.rest_len -= (size_t)MAX(n, 0);
		memmove(the_log.rest, the_log.rest + MAX(n, 0), the_log.rest_len);
	}
	if (the_log.rest_len > 0)
		return false;
	n = write_some(bytes, len);
	if (n <= 0)
		return false;
	the_log.rest_len = len - (size_t)n;
	memcpy(the_log.rest, bytes + n, the_log.rest_len);
	return true;
}

static bool write_line(enum log_level level, const char *text)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	const char *end = the_log.raw_terminal ? "\r\n" : "\n";
	char line[LINE_BYTES];
	int n;

	n = snprintf(line, sizeof(line) - 2, PROGRAM ": %s: %s", names[level], text);
	n = MIN(n, (int)sizeof(line) - 3);
	n += snprintf(line + n, sizeof(line) - (size_t)n, "%s", end);
	return write_bytes(line, (size_t)n);
}

static size_t append(char line[LINE_BYTES], size_t len, const char *text)
{
	while (*text && len < LINE_BYTES - 1)
		line[len++] = *text++;
	return len;
}

/* Calls only what a handler may. A thread wouldn't come to it. */
void log_last_words(const char *text)
{
	char line[LINE_BYTES];
	size_t len = append(line, 0, PROGRAM ": error: ");

	len = append(line, len, text);
	line[len++] = '\n';
	if (the_log.sink == SINK_THREAD)
		write_all(line, len);
	else
		write_bytes(line, len);
}

void log_end_line(void)
{
	write_bytes("\n", 1);
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
	char why[LIMIT_TEXT_MAX];

	log_error("%s: no memory: %s", what, limit_explain(-ENOMEM, why));
	return -ENOMEM;
}
