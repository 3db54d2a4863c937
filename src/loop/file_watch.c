/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop/file_watch.h"

#include "base/fd.h"
#include "base/macros.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Events that are read at once; the file's name comes only with those of a folder. */
#define EVENTS 64u

static struct {
	struct list watches;
	int fd;
} the_inotify = {{&the_inotify.watches, &the_inotify.watches}, -1};

static struct file_watch *watch_at(struct list *link)
{
	return container_of(link, struct file_watch, link);
}

/* Has one watch wait, of those that may. */
static void listen_on(void)
{
	struct file_watch *free = NULL;

	list_for_each (link, &the_inotify.watches) {
		struct file_watch *watch = watch_at(link);

		if (watch->readable.scope->closing)
			continue;
		if (watch->readable.armed)
			return;
		if (!free)
			free = watch;
	}
	if (free)
		loop_arm_poll(&free->readable, the_inotify.fd, POLLIN);
}

static void tell(const struct inotify_event *event)
{
	list_for_each (link, &the_inotify.watches) {
		struct file_watch *watch = watch_at(link);

		/* -1: there were too many to be kept, so it may have been any. */
		if ((event->wd == watch->id || event->wd == -1) && !watch->readable.scope->closing)
			watch->changed(watch);
	}
}

static void on_readable(struct loop_op *op, int32_t res)
{
	struct inotify_event events[EVENTS];
	ssize_t n;

	(void)op;
	(void)res; /* the read tells what is there */
	n = read(the_inotify.fd, events, sizeof(events));
	for (ssize_t i = 0; i < n / (ssize_t)sizeof(events[0]); i++)
		tell(&events[i]);
	listen_on();
}

static int add(const char *path)
{
	int id = inotify_add_watch(the_inotify.fd, path, IN_OPEN | IN_CLOSE);

	return id < 0 ? -errno : id;
}

static void close_if_unused(void)
{
	if (list_empty(&the_inotify.watches))
		fd_close(&the_inotify.fd);
}

int file_watch_start(struct file_watch *watch, struct loop_scope *scope, const char *path,
                     void (*changed)(struct file_watch *watch))
{
	int id;

	if (the_inotify.fd < 0)
		the_inotify.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (the_inotify.fd < 0)
		return -errno;
	id = add(path);
	if (id < 0) {
		close_if_unused();
		return id;
	}
	*watch = (struct file_watch){.id = id, .changed = changed};
	loop_op_init(&watch->readable, scope, on_readable);
	list_append(&the_inotify.watches, &watch->link);
	listen_on();
	return 0;
}

int file_watch_move(struct file_watch *watch, const char *path)
{
	inotify_rm_watch(the_inotify.fd, watch->id);
	watch->id = add(path);
	return watch->id < 0 ? watch->id : 0;
}

void file_watch_deinit(struct file_watch *watch)
{
	inotify_rm_watch(the_inotify.fd, watch->id);
	list_remove(&watch->link);
	close_if_unused();
}
