/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/slow_file.h"

#include "base/fd.h"
#include "base/macros.h"
#include "base/path.h"
#include "loop/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0640

struct slow_file {
	struct loop *loop;
	void (*done)(void *owner, int res);
	void *owner; /* NULL: it has gone */
	char *text;  /* of the path */
	struct path path;
	int fd;
	enum slow_file_kind kind;

	/* The call, and what only its thread touches until it is done. */
	struct aside_call call;
	bool busy;
	int res;
	int folder; /* the path's; or the one that was just opened */
	struct stat folder_stat;
	int opened;
	struct stat opened_stat;
	bool polled; /* what was opened can be waited for */
	const void *bytes;
	size_t len;
	int to_close[2];

	uint8_t buffer[];
};

static struct slow_file *file_of(struct aside_call *call)
{
	return container_of(call, struct slow_file, call);
}

static void begin(struct slow_file *file, void (*run)(struct aside_call *call),
                  void (*done)(struct aside_call *call))
{
	assert(!file->busy);
	file->busy = true;
	file->call.run = run;
	file->call.done = done;
	loop_aside(file->loop, &file->call);
}

/* The end. */

static void run_close(struct aside_call *call)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(file_of(call)->to_close); i++)
		fd_close(&file_of(call)->to_close[i]);
}

static void on_closed(struct aside_call *call)
{
	free(file_of(call)->text);
	free(file_of(call));
}

static void close_and_free(struct slow_file *file)
{
	file->to_close[0] = fd_take(&file->fd);
	file->to_close[1] = path_give_up(&file->path);
	if (file->to_close[0] >= 0 || file->to_close[1] >= 0)
		begin(file, run_close, on_closed);
	else
		on_closed(&file->call);
}

void slow_file_free(struct slow_file *file)
{
	file->owner = NULL;
	if (!file->busy)
		close_and_free(file);
}

/* What has been begun is done. */
static void finish(struct slow_file *file, int res)
{
	file->busy = false;
	if (file->owner)
		file->done(file->owner, res);
	else
		close_and_free(file);
}

/* Opening. */

/* The number of a descriptor that the path is a name for; -1: none. */
static int own_descriptor(const char *text)
{
	static const struct {
		const char *text;
		int fd;
	} names[] = {
	    {"/dev/stdout", STDOUT_FILENO},     {"/dev/stderr", STDERR_FILENO},
	    {"/dev/fd/1", STDOUT_FILENO},       {"/dev/fd/2", STDERR_FILENO},
	    {"/proc/self/fd/1", STDOUT_FILENO}, {"/proc/self/fd/2", STDERR_FILENO},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i].text, text) == 0)
			return names[i].fd;
	}
	return -1;
}

/*
 * A socket can't be opened by a path, and a file's position is shared with whoever else writes to
 * it: of these, a duplicate. -1: it is something else.
 */
static int duplicate_own(const char *text)
{
	int own = own_descriptor(text);
	struct stat st;

	if (own < 0 || fstat(own, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISSOCK(st.st_mode)))
		return -1;
	return fcntl(own, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

static int open_in_thread(struct slow_file *file)
{
	const char *slash = strrchr(file->text, '/');
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;

	if (file->folder < 0)
		file->folder = path_open_folder(file->text);
	if (file->folder < 0)
		return file->folder;
	if (fstat(file->folder, &file->folder_stat) < 0)
		return -errno;
	/* Always for appending: whoever truncates the file under us must not find a hole in it. */
	file->opened = duplicate_own(file->text);
	if (file->opened < 0)
		file->opened =
		    openat(file->folder, slash ? slash + 1 : file->text, flags, FILE_MODE);
	if (file->opened < 0 || fstat(file->opened, &file->opened_stat) < 0)
		return -errno;
	if (S_ISBLK(file->opened_stat.st_mode))
		return -ENOTBLK;
	file->polled = S_ISFIFO(file->opened_stat.st_mode) || S_ISSOCK(file->opened_stat.st_mode) ||
	               isatty(file->opened);
	return 0;
}

static void run_open(struct aside_call *call)
{
	struct slow_file *file = file_of(call);

	file->res = open_in_thread(file);
	if (file->res < 0)
		fd_close(&file->opened);
}

/* What was open, or a second descriptor of the folder, is closed before the owner hears of it. */
static void on_replaced(struct aside_call *call)
{
	finish(file_of(call), file_of(call)->res);
}

static void adopt_folder(struct slow_file *file)
{
	int r;

	if (file->path.folder)
		file->folder = -1;
	if (file->folder < 0)
		return;
	r = path_adopt(&file->path, file->text, &file->folder, &file->folder_stat);
	if (r < 0)
		file->res = r;
}

static void on_opened(struct aside_call *call)
{
	struct slow_file *file = file_of(call);

	file->busy = false;
	adopt_folder(file);
	file->to_close[0] = fd_take(&file->folder);
	file->to_close[1] = fd_take(&file->opened);
	if (file->res == 0) {
		int before = file->fd;

		file->fd = file->to_close[1];
		file->to_close[1] = before;
		file->kind = file->polled ? SLOW_FILE_POLLED : SLOW_FILE_STORED;
	}
	if (file->to_close[0] >= 0 || file->to_close[1] >= 0)
		begin(file, run_close, on_replaced);
	else
		finish(file, file->res);
}

void slow_file_open(struct slow_file *file)
{
	file->folder = file->path.folder ? path_folder(&file->path) : -1;
	file->opened = -1;
	begin(file, run_open, on_opened);
}

/* Writing. */

static void run_write(struct aside_call *call)
{
	struct slow_file *file = file_of(call);
	ssize_t n = write(file->fd, file->bytes, file->len);

	file->res = n < 0 ? -errno : (int)n;
}

static void on_written(struct aside_call *call)
{
	finish(file_of(call), file_of(call)->res);
}

void slow_file_write(struct slow_file *file, const void *bytes, size_t len)
{
	file->bytes = bytes;
	file->len = len;
	begin(file, run_write, on_written);
}

/* The rest. */

struct slow_file *slow_file_new(struct loop *loop, const char *path, size_t size,
                                void (*done)(void *owner, int res), void *owner)
{
	struct slow_file *file = calloc(1, sizeof(*file) + size);

	if (!file)
		return NULL;
	file->loop = loop;
	file->done = done;
	file->owner = owner;
	file->fd = file->folder = file->opened = file->to_close[0] = file->to_close[1] = -1;
	file->text = strdup(path);
	if (file->text)
		return file;
	free(file);
	return NULL;
}

void *slow_file_buffer(struct slow_file *file)
{
	return file->buffer;
}

bool slow_file_busy(const struct slow_file *file)
{
	return file->busy;
}

int slow_file_fd(const struct slow_file *file)
{
	return file->fd;
}

enum slow_file_kind slow_file_kind(const struct slow_file *file)
{
	return file->kind;
}

const char *slow_file_explain(int error, char text[LIMIT_TEXT_MAX])
{
	switch (error) {
	case -ENXIO:
		return "a FIFO that nobody reads, or a socket";
	case -ENOTBLK:
		return "a block device";
	case -EPIPE:
		return "nobody reads the FIFO any more";
	default:
		return limit_explain(error, text);
	}
}
