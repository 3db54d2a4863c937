/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/pty_device.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define SLAVES "/dev/pts/"

static struct list the_devices = {&the_devices, &the_devices};

/* The terminal. */

static int set_packet_mode(const struct pty_device *device, int on)
{
	return ioctl(device->master, TIOCPKT, &on) < 0 ? -errno : 0;
}

/* On Linux what is asked of the master is done to the slave, which so needn't be opened. */
static int set_raw(const struct pty_device *device)
{
	struct termios attributes;

	if (tcgetattr(device->master, &attributes) < 0)
		return -errno;
	cfmakeraw(&attributes);
	return tcsetattr(device->master, TCSAFLUSH, &attributes) < 0 ? -errno : 0;
}

/* By the master, so that no name is needed. Returns the descriptor or -errno. */
static int open_slave(const struct pty_device *device)
{
	int fd = ioctl(device->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Opened and closed once, the master hangs up; before it would look as if somebody were there. */
static int set_permissions(const struct pty_device *device)
{
	gid_t group = device->group == (gid_t)-1 ? getegid() : device->group;
	int fd = open_slave(device), r = 0;

	if (fd < 0)
		return fd;
	if (fchown(fd, (uid_t)-1, group) < 0 || fchmod(fd, device->mode) < 0)
		r = -errno;
	fd_close(&fd);
	return r;
}

static int set_up_master(struct pty_device *device)
{
	int r;

	if (grantpt(device->master) < 0 || unlockpt(device->master) < 0)
		return -errno;
	r = ptsname_r(device->master, device->slave, sizeof(device->slave));
	if (r != 0)
		return -r;
	r = set_raw(device);
	if (r == 0)
		r = set_permissions(device);
	if (r == 0)
		r = set_packet_mode(device, 1);
	return r;
}

/* Returns 0 or -errno, and then there is none. */
static int make_terminal(struct pty_device *device)
{
	int r;

	device->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (device->master < 0)
		return -errno;
	r = set_up_master(device);
	if (r < 0)
		fd_close(&device->master);
	return r;
}

bool pty_device_is_open(const struct pty_device *device)
{
	struct pollfd master = {.fd = device->master};

	return poll(&master, 1, 0) == 0 || !(master.revents & POLLHUP);
}

uint8_t pty_device_take_status(const struct pty_device *device)
{
	struct pollfd master = {.fd = device->master, .events = POLLPRI};
	uint8_t status = 0;

	/* Status comes alone and before all data. */
	if (poll(&master, 1, 0) == 1 && (master.revents & POLLPRI) &&
	    read(device->master, &status, 1) < 0)
		return 0;
	return status;
}

size_t pty_device_drop_input(const struct pty_device *device)
{
	int waiting = 0;

	if (ioctl(device->master, FIONREAD, &waiting) < 0 || waiting < 0)
		waiting = 0;
	/* It flushes what the system hasn't passed on to the master yet, too. */
	tcflush(device->master, TCIFLUSH);
	return (size_t)waiting;
}

void pty_device_drop_output(const struct pty_device *device)
{
	int fd = open_slave(device);

	/* Of the two buffers on the way, the master can empty only the first. */
	tcflush(device->master, TCOFLUSH);
	if (fd >= 0)
		tcflush(fd, TCIFLUSH);
	fd_close(&fd);
	/* It would tell of that as if somebody else had flushed it. */
	pty_device_take_status(device);
}

void pty_device_reset(const struct pty_device *device)
{
	tcflush(device->master, TCOFLUSH);
	set_raw(device);
	pty_device_take_status(device);
}

int pty_device_unlock(const struct pty_device *device)
{
	int fd = open_slave(device);

	/* Who may open it all the same, as root may, can do so for the others. */
	if (fd < 0)
		return fd;
	ioctl(fd, TIOCNXCL);
	fd_close(&fd);
	return 0;
}

void pty_device_get_window(const struct pty_device *device, uint16_t *ret_cols, uint16_t *ret_rows)
{
	struct winsize size = {0};

	ioctl(device->master, TIOCGWINSZ, &size);
	*ret_cols = size.ws_col;
	*ret_rows = size.ws_row;
}

/* The link. */

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* Whether `target` is a slave and nothing else: stat() of anything else might take for ever. */
static bool is_slave(const char *target)
{
	const char *number = target + strlen(SLAVES);

	return strncmp(target, SLAVES, strlen(SLAVES)) == 0 && *number &&
	       number[strspn(number, "0123456789")] == '\0';
}

/* 0 if what is at the link's place may be replaced, see pty_device_open(); else -errno. */
static int judge_old_link(const struct pty_device *device)
{
	char target[PTY_SLAVE_BYTES];
	struct stat link, terminal;
	int r = path_stat(&device->link, &link);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!S_ISLNK(link.st_mode) || path_read_link(&device->link, target, sizeof(target)) < 0 ||
	    !is_slave(target))
		return -EEXIST;
	/* Our own number: whoever had it before is gone. */
	if (strcmp(target, device->slave) == 0)
		return 0;
	if (stat(target, &terminal) < 0)
		return errno == ENOENT ? 0 : -errno;
	/* A terminal's change time is that of its making or later, of its permissions. */
	return is_later(&terminal.st_ctim, &link.st_mtim) ? 0 : -EADDRINUSE;
}

static int make_link(const struct pty_device *device)
{
	uint64_t since = clock_now_ms();
	int r = path_link(&device->link, device->slave);

	if (r != -EEXIST)
		return r;
	do
		r = judge_old_link(device);
	while (r == -EADDRINUSE && clock_wait_for_release(since));
	return r < 0 ? r : path_replace_by_link(&device->link, device->slave);
}

static void log_link_failure(const char *link, int error)
{
	if (error == -EADDRINUSE)
		log_error("%s: leads to a terminal that another process uses", link);
	else if (error == -EEXIST)
		log_error("%s: there is a file that isn't a link to a pseudo terminal", link);
	else
		log_error("%s: can't make a link there: %s", link, strerror(-error));
}

static bool link_is_ours(const struct pty_device *device)
{
	char target[PTY_SLAVE_BYTES];

	return path_read_link(&device->link, target, sizeof(target)) == 0 &&
	       strcmp(target, device->slave) == 0;
}

/* Both. */

static int open_link(struct pty_device *device)
{
	int r = path_open(&device->link, device->link_name);

	if (r == 0)
		r = make_link(device);
	if (r < 0) {
		log_link_failure(device->link_name, r);
		path_close(&device->link);
	}
	return r;
}

int pty_device_open(struct pty_device *device, const char *link, mode_t mode, gid_t group)
{
	int r;

	*device = (struct pty_device){.link_name = link, .mode = mode, .group = group};
	r = make_terminal(device);
	if (r < 0) {
		log_error("%s: can't make a pseudo terminal: %s", link, strerror(-r));
		return r;
	}
	r = open_link(device);
	if (r < 0) {
		fd_close(&device->master);
		return r;
	}
	list_init(&device->in_devices);
	list_append(&the_devices, &device->in_devices);
	return 0;
}

static void remove_link(const struct pty_device *device)
{
	if (link_is_ours(device))
		path_unlink(&device->link);
}

void pty_device_remove_links(void)
{
	list_for_each (link, &the_devices)
		remove_link(container_of(link, struct pty_device, in_devices));
}

void pty_device_close(struct pty_device *device)
{
	list_remove(&device->in_devices);
	/* First: afterwards its number may be another's. */
	remove_link(device);
	path_close(&device->link);
	fd_close(&device->master);
}

int pty_device_renew(struct pty_device *device)
{
	struct pty_device fresh = *device; /* its place in the list, too */
	struct winsize size = {0};
	int r = make_terminal(&fresh);

	if (r < 0)
		return r;
	if (ioctl(device->master, TIOCGWINSZ, &size) == 0)
		ioctl(fresh.master, TIOCSWINSZ, &size);
	if (link_is_ours(device))
		r = path_replace_by_link(&fresh.link, fresh.slave);
	if (r < 0) {
		fd_close(&fresh.master);
		return r;
	}
	fd_close(&device->master);
	*device = fresh;
	return 0;
}
