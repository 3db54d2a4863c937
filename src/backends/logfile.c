/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/logfile.h"

#include "backends/stage.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Each write may wake a thread of the kernel's, so that one should be worth it. */
#define BUFFER_BYTES (256u * 1024)
#define RETRY_MS     1000
#define FILE_MODE    0640

struct logfile {
	struct backend_port *port;
	const char *name; /* the path, for messages */
	struct path path;
	struct loop_scope scope;
	struct reader reader;
	struct loop_op write;
	struct loop_timer retry;
	struct loop_task flush;
	void (*stopped)(struct backend_port *port);
	int fd;
	bool reopen;
	bool failed; /* and that is reported */
	struct stage stage;
	uint8_t buffer[BUFFER_BYTES];
};

static void wake_log(struct reader *reader)
{
	struct logfile *log = container_of(reader, struct logfile, reader);

	if (!log->scope.closing && !log->write.armed && !log->retry.op.armed)
		reader_flush(&log->reader, &log->flush);
}

/* Always for appending: whoever truncates the file under us must not find a hole in it. */
static int open_file(const struct logfile *log)
{
	return path_open_file(&log->path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY, FILE_MODE);
}

/* If that fails, the old file is better than none. */
static void reopen_now(struct logfile *log)
{
	int fd = open_file(log);

	log->reopen = false;
	if (fd < 0)
		log_warning("%s: %s: can't open it anew, going on with the old one: %s",
		            log->port->name, log->name, strerror(-fd));
	else
		fd_replace(&log->fd, fd);
}

static void on_flush(struct loop_task *task)
{
	struct logfile *log = container_of(task, struct logfile, flush);
	void *bytes;
	size_t len;

	if (log->reopen)
		reopen_now(log);
	stage_fill(&log->stage);
	len = stage_rest(&log->stage, &bytes);
	if (len == 0)
		return;
	loop_arm_write(&log->write, log->fd, bytes, len);
	reader_set_blocked(&log->reader, true);
}

static void on_failed(struct logfile *log, int error)
{
	if (!log->failed)
		log_warning("%s: %s: output isn't logged until this ends: %s", log->port->name,
		            log->name, strerror(error));
	log->failed = true;
	reader_abandon(&log->reader);
	loop_timer_arm(&log->retry, RETRY_MS);
}

static void on_written(struct loop_op *op, int32_t res)
{
	struct logfile *log = container_of(op, struct logfile, write);

	reader_set_blocked(&log->reader, false);
	stage_delivered(&log->stage, (size_t)MAX(res, 0));
	if (log->scope.closing)
		return;
	if (res < 0 && res != -EINTR && res != -EAGAIN) {
		on_failed(log, -res);
		return;
	}
	if (log->failed)
		log_info("%s: %s: output is logged again", log->port->name, log->name);
	log->failed = false;
	if (log->reopen || stage_pending(&log->stage))
		wake_log(&log->reader);
}

static void on_retry(struct loop_op *op, int32_t res)
{
	(void)res;
	wake_log(&container_of(op, struct logfile, retry.op)->reader);
}

void logfile_free(struct logfile *log)
{
	reader_deinit(&log->reader);
	path_close(&log->path);
	fd_close(&log->fd);
	free(log);
}

static void on_drained(struct loop_scope *scope)
{
	struct logfile *log = container_of(scope, struct logfile, scope);
	struct backend_port *port = log->port;
	void (*stopped)(struct backend_port * port) = log->stopped;

	logfile_free(log);
	stopped(port);
}

static int open_first(struct logfile *log, const char *path)
{
	int r = path_open(&log->path, path);

	if (r == 0)
		r = log->fd = open_file(log);
	if (r < 0) {
		log_error("%s: %s: can't write a log there: %s", log->port->name, path,
		          strerror(-r));
		path_close(&log->path);
	}
	return MIN(r, 0);
}

int logfile_new(struct logfile **ret_log, struct loop *loop, struct backend_port *port,
                const char *path)
{
	struct logfile *log = calloc(1, sizeof(*log));
	int r;

	if (!log)
		return log_no_memory(port->name);
	log->port = port;
	log->name = path;
	r = open_first(log, path);
	if (r < 0) {
		free(log);
		return r;
	}
	loop_scope_init(&log->scope, loop, on_drained);
	loop_op_init(&log->write, &log->scope, on_written);
	loop_timer_init(&log->retry, &log->scope, on_retry);
	loop_task_init(&log->flush, on_flush);
	reader_init(&log->reader, output_of(port), wake_log);
	log->reader.quiet = true;
	stage_init(&log->stage, &log->reader, log->buffer, sizeof(log->buffer));
	*ret_log = log;
	return 0;
}

void logfile_reopen(struct logfile *log)
{
	log->reopen = true;
	wake_log(&log->reader);
}

void logfile_stop(struct logfile *log, void (*stopped)(struct backend_port *port))
{
	log->stopped = stopped;
	loop_task_cancel(&log->flush);
	loop_scope_close(&log->scope);
}
