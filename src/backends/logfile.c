/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/logfile.h"

#include "backends/slow_file.h"
#include "backends/stage.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "loop/aside.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* Each write may wake a thread, so that one should be worth it. */
#define BUFFER_BYTES (256u * 1024)
#define RETRY_MS     1000
/* From then on a file system counts as one that doesn't answer. */
#define SLOW_MS 1000
/* How long the start waits for all logs that don't answer, and each time that it does. */
#define START_MS 1000
/* A terminal tells of room when it has less than a line needs: how often it is tried then. */
#define PAUSE_MS 20

enum logfile_state {
	LOGFILE_READY,
	LOGFILE_OPENING,
	LOGFILE_WRITING, /* by the ring, or by a thread, */
	LOGFILE_BLOCKED, /* or when there is room in the FIFO or the terminal again */
	LOGFILE_FAILED,  /* it is tried again when `retry` is over */
};

struct logfile {
	const char *name;          /* the path, for messages */
	struct backend_port *port; /* NULL: it isn't attached */
	struct loop_scope scope;
	struct slow_file *file;
	enum logfile_state state;
	struct loop_op write, room;
	struct loop_timer retry, slow;
	struct loop_timer anew; /* until what couldn't be opened anew is tried again */
	uint64_t slow_since_ms; /* loop time at which `slow` began to count */
	struct loop_task flush;
	struct reader reader;
	struct stage stage;
	/* NULL: it has been called. */
	void (*opened)(struct logfile *log, void *owner, int r);
	void (*stopped)(void *owner); /* NULL: it isn't being stopped */
	void *owner;
	int error; /* why it couldn't be opened, before there was a port */
	bool reopen;
	bool told_room;  /* and nothing has been written since */
	bool complained; /* of what goes on now */
	bool old;        /* the file couldn't be opened anew: it is the one before, as was said */
};

/* Words. */

static void complain(struct logfile *log, const char *why)
{
	if (!log->complained)
		log_warning("%s: %s: output isn't logged until this ends: %s", log->port->name,
		            log->name, why);
	log->complained = true;
}

static void all_is_well(struct logfile *log)
{
	if (log->complained)
		log_info("%s: %s: output is logged again", log->port->name, log->name);
	log->complained = false;
}

/* Writing. */

static void wake_log(struct reader *reader)
{
	struct logfile *log = container_of(reader, struct logfile, reader);

	if (!log->scope.closing && !log->stopped && log->state == LOGFILE_READY)
		reader_flush(&log->reader, &log->flush);
}

/* While a thread is at work for it, somebody looks whether that comes to an end. */
static void watch_thread(struct logfile *log)
{
	log->slow_since_ms = loop_now_ms(log->scope.loop);
	if (!log->slow.op.armed)
		loop_timer_arm(&log->slow, SLOW_MS);
}

static void open_file(struct logfile *log)
{
	log->state = LOGFILE_OPENING;
	log->reopen = false;
	if (log->port)
		reader_set_blocked(&log->reader, true);
	slow_file_open(log->file);
	watch_thread(log);
}

static void write_rest(struct logfile *log)
{
	void *bytes;
	size_t len = stage_rest(&log->stage, &bytes);

	if (len == 0)
		return;
	log->state = LOGFILE_WRITING;
	/* What is polled is non-blocking by itself, and takes no such flag. */
	if (slow_file_kind(log->file) == SLOW_FILE_POLLED)
		loop_arm_write(&log->write, slow_file_fd(log->file), bytes, len);
	else
		loop_arm_write_nowait(&log->write, slow_file_fd(log->file), bytes, len);
	reader_set_blocked(&log->reader, true);
}

static void on_flush(struct loop_task *task)
{
	struct logfile *log = container_of(task, struct logfile, flush);

	if (log->reopen) {
		open_file(log);
		return;
	}
	stage_fill(&log->stage);
	write_rest(log);
}

static void fail(struct logfile *log, int error)
{
	char why[LIMIT_TEXT_MAX];

	log->state = LOGFILE_FAILED;
	complain(log, slow_file_explain(error, why));
	reader_set_blocked(&log->reader, false);
	reader_abandon(&log->reader);
	loop_timer_arm(&log->retry, RETRY_MS);
}

static void go_on(struct logfile *log)
{
	log->state = LOGFILE_READY;
	if (log->reopen || stage_pending(&log->stage))
		wake_log(&log->reader);
}

static void await_room(struct logfile *log)
{
	log->state = LOGFILE_BLOCKED;
	if (log->told_room)
		loop_timer_arm(&log->retry, PAUSE_MS);
	else
		loop_arm_poll(&log->room, slow_file_fd(log->file), POLLOUT);
	log->told_room = false;
}

static void write_in_thread(struct logfile *log)
{
	void *bytes;
	size_t len = stage_rest(&log->stage, &bytes);

	slow_file_write(log->file, bytes, len);
	watch_thread(log);
}

static void try_again(struct logfile *log)
{
	if (log->reopen || slow_file_fd(log->file) < 0)
		open_file(log);
	else if (stage_rest(&log->stage, &(void *){NULL}) > 0)
		write_rest(log);
	else
		go_on(log);
}

static void written(struct logfile *log, int res)
{
	if (res < 0 && res != -EINTR) {
		fail(log, res);
		return;
	}
	if (res > 0)
		all_is_well(log);
	log->told_room = false;
	stage_delivered(&log->stage, (size_t)MAX(res, 0));
	reader_set_blocked(&log->reader, false);
	go_on(log);
}

static void on_written(struct loop_op *op, int32_t res)
{
	struct logfile *log = container_of(op, struct logfile, write);
	bool stored = slow_file_kind(log->file) == SLOW_FILE_STORED;

	if (log->scope.closing)
		stage_delivered(&log->stage, (size_t)MAX(res, 0));
	else if (loop_is_shortage(res))
		loop_arm_again(op);
	else if ((res == -EAGAIN || res == -EOPNOTSUPP) && stored)
		write_in_thread(log);
	else if (res == -ECANCELED || (res == -EAGAIN && log->reopen))
		try_again(log);
	else if (res == -EAGAIN)
		await_room(log);
	else
		written(log, res);
}

static void on_room(struct loop_op *op, int32_t res)
{
	struct logfile *log = container_of(op, struct logfile, room);

	(void)res; /* the write tells what is wrong */
	if (log->scope.closing)
		return;
	log->told_room = true;
	try_again(log);
}

static void on_retry(struct loop_op *op, int32_t res)
{
	struct logfile *log = container_of(op, struct logfile, retry.op);

	(void)res;
	if (!op->scope->closing)
		try_again(log);
}

/* What a thread has done. */

static void tell_opened(struct logfile *log, int r)
{
	void (*opened)(struct logfile * log, void *owner, int r) = log->opened;

	log->opened = NULL;
	if (opened)
		opened(log, log->owner, r);
}

static void take_opened(struct logfile *log, int r)
{
	char why[LIMIT_TEXT_MAX];

	if (r < 0 && slow_file_fd(log->file) < 0) {
		fail(log, r);
		return;
	}
	if (r < 0 && !log->old)
		log_warning("%s: %s: can't open it anew, going on with the old one: %s",
		            log->port->name, log->name, slow_file_explain(r, why));
	else if (r == 0 && log->old)
		log_info("%s: %s: opened anew", log->port->name, log->name);
	log->old = r < 0;
	if (!log->old)
		all_is_well(log);
	else if (!log->anew.op.armed)
		loop_timer_arm(&log->anew, RETRY_MS);
	reader_set_blocked(&log->reader, false);
	go_on(log);
}

static void on_anew(struct loop_op *op, int32_t res)
{
	struct logfile *log = container_of(op, struct logfile, anew.op);

	(void)res;
	if (!op->scope->closing && !log->stopped && log->old)
		logfile_reopen(log);
}

/* A FIFO's reader may come later. */
static int judge_start(int error)
{
	return error == -ENXIO ? 0 : error;
}

static void close_scope(struct logfile *log)
{
	loop_scope_close(&log->scope);
}

static void on_done(void *owner, int res)
{
	struct logfile *log = owner;

	if (log->stopped) {
		if (log->state == LOGFILE_WRITING)
			stage_delivered(&log->stage, (size_t)MAX(res, 0));
		close_scope(log);
	} else if (log->state == LOGFILE_WRITING) {
		written(log, res);
	} else if (log->port) {
		take_opened(log, res);
	} else {
		log->state = LOGFILE_READY;
		log->error = res;
		tell_opened(log, judge_start(res));
	}
}

static void on_slow(struct loop_op *op, int32_t res)
{
	struct logfile *log = container_of(op, struct logfile, slow.op);
	uint64_t passed = loop_now_ms(op->scope->loop) - log->slow_since_ms;

	(void)res;
	if (op->scope->closing || !slow_file_busy(log->file))
		return;
	/* It was armed for a call that is done: another one has begun since. */
	if (passed < SLOW_MS) {
		loop_timer_arm(&log->slow, SLOW_MS - passed);
		return;
	}
	if (log->stopped) {
		close_scope(log);
		return;
	}
	if (log->port)
		complain(log, "its file system doesn't answer");
	else
		tell_opened(log, 0);
}

/* The end. */

static void on_drained(struct loop_scope *scope)
{
	struct logfile *log = container_of(scope, struct logfile, scope);
	void (*stopped)(void *owner) = log->stopped;
	void *owner = log->owner;

	logfile_free(log);
	stopped(owner);
}

void logfile_free(struct logfile *log)
{
	if (log->port)
		reader_deinit(&log->reader);
	slow_file_free(log->file);
	free(log);
}

void logfile_stop(struct logfile *log, void (*stopped)(void *owner), void *owner)
{
	log->opened = NULL;
	log->stopped = stopped;
	log->owner = owner;
	loop_task_cancel(&log->flush);
	if (slow_file_busy(log->file))
		watch_thread(log);
	else
		close_scope(log);
}

/* The start. */

int logfile_new(struct logfile **ret_log, struct loop *loop, const char *path)
{
	struct logfile *log = calloc(1, sizeof(*log));

	if (log)
		log->file = slow_file_new(loop, path, BUFFER_BYTES, on_done, log);
	if (!log || !log->file) {
		free(log);
		return log_no_memory(path);
	}
	log->name = path;
	loop_scope_init(&log->scope, loop, on_drained);
	loop_op_init(&log->write, &log->scope, on_written);
	loop_op_init(&log->room, &log->scope, on_room);
	loop_timer_init(&log->retry, &log->scope, on_retry);
	loop_timer_init(&log->slow, &log->scope, on_slow);
	loop_timer_init(&log->anew, &log->scope, on_anew);
	loop_task_init(&log->flush, on_flush);
	log->state = LOGFILE_OPENING;
	slow_file_open(log->file);
	*ret_log = log;
	return 0;
}

void logfile_await(struct logfile *log, void (*opened)(struct logfile *log, void *owner, int r),
                   void *owner)
{
	log->opened = opened;
	log->owner = owner;
	watch_thread(log);
}

int logfile_await_now(struct logfile *log)
{
	static unsigned int budget_ms = START_MS;
	uint64_t since = clock_now_ms();
	char why[LIMIT_TEXT_MAX];

	if (slow_file_busy(log->file))
		loop_aside_wait(log->scope.loop, budget_ms);
	budget_ms -= (unsigned int)MIN(clock_now_ms() - since, budget_ms);
	if (judge_start(log->error) < 0)
		log_error("%s: can't write a log there: %s", log->name,
		          slow_file_explain(log->error, why));
	return judge_start(log->error);
}

void logfile_attach(struct logfile *log, struct backend_port *port)
{
	log->port = port;
	reader_init(&log->reader, output_of(port), wake_log);
	log->reader.quiet = true;
	stage_init(&log->stage, &log->reader, slow_file_buffer(log->file), BUFFER_BYTES);
	if (log->error < 0) {
		fail(log, log->error);
	} else if (slow_file_busy(log->file)) {
		reader_set_blocked(&log->reader, true);
		watch_thread(log);
	}
}

const char *logfile_explain(int error, char text[LIMIT_TEXT_MAX])
{
	return slow_file_explain(error, text);
}

void logfile_reopen(struct logfile *log)
{
	log->reopen = true;
	/* A FIFO that isn't read would hold up this, too. */
	loop_cancel(&log->room);
	loop_cancel(&log->write);
	wake_log(&log->reader);
}
