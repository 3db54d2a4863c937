/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/terminal.h"

#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct {
	int fd;
	struct termios before;
	volatile sig_atomic_t raw;
	bool guarded;
} the_terminal;

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

static void restore(void)
{
	if (!the_terminal.raw)
		return;
	the_terminal.raw = 0;
	set_attributes(the_terminal.fd, &the_terminal.before);
}

static void on_crash(int signal)
{
	restore();
	/* The handler is gone (SA_RESETHAND): the signal does now what it does. */
	raise(signal);
}

/* All signals that end a process by default. Handlers that are there, a sanitizer's say, stay. */
static void guard_against_crashes(void)
{
	static const int crashes[] = {
	    SIGSEGV, SIGBUS,  SIGILL,    SIGFPE,  SIGABRT, SIGTRAP,   SIGSYS, SIGQUIT, SIGUSR1,
	    SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO,   SIGSTKFLT, SIGPWR, SIGXCPU, SIGXFSZ,
	};
	struct sigaction action = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};

	for (unsigned int i = 0; i < ARRAY_SIZE(crashes); i++) {
		struct sigaction there;

		if (sigaction(crashes[i], NULL, &there) == 0 && there.sa_handler == SIG_DFL)
			sigaction(crashes[i], &action, NULL);
	}
	atexit(restore);
	the_terminal.guarded = true;
}

int terminal_enter_raw(int fd)
{
	struct termios raw;
	pid_t foreground = tcgetpgrp(fd);
	int r;

	/* A terminal without job control has no foreground; it is ours. */
	if (the_terminal.raw || (foreground >= 0 && foreground != getpgrp()))
		return 0;
	if (tcgetattr(fd, &the_terminal.before) < 0)
		return -errno;
	if (!the_terminal.guarded)
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
	restore();
	log_set_raw_terminal(false);
}
