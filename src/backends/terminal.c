/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/terminal.h"

#include "backends/terminal_modes.h"
#include "base/crash.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct {
	int fd;
	struct termios before;
	volatile sig_atomic_t raw;
	bool guarded;
	bool lent;    /* the process is suspended, or goes on in the background */
	int shown_in; /* where the guest's output goes; -1: in no terminal */
	struct terminal_modes modes;
} the_terminal = {.shown_in = -1};

/* A terminal without job control has no foreground; it is ours. */
static bool is_ours(int fd)
{
	pid_t foreground = tcgetpgrp(fd);

	return foreground < 0 || foreground == getpgrp();
}

/*
 * Without waiting: a terminal that takes nothing mustn't hold up the end or the suspension. Some
 * may be missing then.
 */
static void write_now(const char *bytes, size_t len)
{
	int fd = the_terminal.shown_in, flags = fcntl(fd, F_GETFL);
	size_t done = 0;
	ssize_t n = 1;

	if (flags < 0 || !(flags & O_NONBLOCK) || !is_ours(fd))
		return;
	while (done < len && n > 0) {
		n = write(fd, bytes + done, len - done);
		done += n > 0 ? (size_t)n : 0;
	}
}

/*
 * tcsetattr() from the background would stop the process; with SIGTTOU blocked it works. It doesn't
 * wait for output: a terminal that is held up (Ctrl-S) would hold up the end as well.
 */
static int set_attributes(int fd, const struct termios *attributes)
{
	sigset_t ttou, before;
	int r;

	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	sigprocmask(SIG_BLOCK, &ttou, &before);
	r = tcsetattr(fd, TCSANOW, attributes) < 0 ? -errno : 0;
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}

static void restore_attributes(void)
{
	if (!the_terminal.raw)
		return;
	the_terminal.raw = 0;
	set_attributes(the_terminal.fd, &the_terminal.before);
}

/* What the guest has switched, then what we have. Async-signal-safe. */
static void restore(void)
{
	char bytes[TERMINAL_MODES_BYTES_MAX];

	if (the_terminal.shown_in >= 0)
		write_now(bytes, terminal_modes_take_back(&the_terminal.modes, bytes));
	restore_attributes();
}

static void guard_against_crashes(void)
{
	if (the_terminal.guarded)
		return;
	crash_guard();
	crash_restore_by(restore);
	atexit(restore);
	the_terminal.guarded = true;
}

int terminal_enter_raw(int fd)
{
	struct termios raw;
	int r;

	if (the_terminal.raw || !is_ours(fd))
		return 0;
	if (tcgetattr(fd, &the_terminal.before) < 0)
		return -errno;
	guard_against_crashes();
	raw = the_terminal.before;
	cfmakeraw(&raw);
	/* First, so that a crash in between finds what to restore. */
	the_terminal.fd = fd;
	the_terminal.raw = 1;
	r = set_attributes(fd, &raw);
	if (r < 0)
		the_terminal.raw = 0;
	else
		log_set_raw_terminal(isatty(STDERR_FILENO));
	return r;
}

bool terminal_is_raw(void)
{
	return the_terminal.raw;
}

void terminal_leave_raw(void)
{
	restore_attributes();
	log_set_raw_terminal(false);
}

void terminal_show(int fd)
{
	the_terminal.shown_in = fd;
	terminal_modes_init(&the_terminal.modes);
	if (fd >= 0)
		guard_against_crashes();
}

void terminal_sent(const void *bytes, size_t len)
{
	if (the_terminal.shown_in >= 0)
		terminal_modes_sent(&the_terminal.modes, bytes, len);
}

size_t terminal_take_back(char ret_bytes[TERMINAL_MODES_BYTES_MAX])
{
	return the_terminal.shown_in < 0 ? 0
	                                 : terminal_modes_take_back(&the_terminal.modes, ret_bytes);
}

void terminal_lend(const void *on_its_way, size_t len)
{
	struct terminal_modes modes = the_terminal.modes;
	char bytes[TERMINAL_MODES_BYTES_MAX];

	if (the_terminal.shown_in < 0 || the_terminal.lent)
		return;
	the_terminal.lent = true;
	terminal_modes_sent(&modes, on_its_way, len);
	write_now(bytes, terminal_modes_take_back(&modes, bytes));
}

void terminal_have_again(void)
{
	char bytes[TERMINAL_MODES_BYTES_MAX];

	if (the_terminal.shown_in < 0 || !the_terminal.lent || !is_ours(the_terminal.shown_in))
		return;
	the_terminal.lent = false;
	write_now(bytes, terminal_modes_give_again(&the_terminal.modes, bytes));
}
