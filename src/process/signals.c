/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "process/signals.h"

#include "base/crash.h"
#include "base/macros.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int requests[] = {
    SIGTERM, SIGINT, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH, SIGXCPU,
};

static const int strays[] = {
    SIGUSR1, SIGUSR2, SIGALRM,   SIGVTALRM, SIGPROF,
    SIGIO,   SIGPWR,  SIGSTKFLT, SIGTTIN, /* a terminal isn't read from the background */
};

/* SIGTTOU: the log's terminal is written to also from the background. */
static const int ignored[] = {SIGPIPE, SIGXFSZ, SIGTTOU};

/*
 * The C library keeps these for itself, below SIGRTMIN, and has its own functions refuse them: so
 * the kernel is asked. It sets a handler anew where it needs one, when there are threads.
 */
#define KERNEL_SIGRTMIN     32
#define KERNEL_SIGSET_BYTES 8

/* The kernel's struct sigaction: the handler comes first, and all else is zero. */
static void ignore_reserved(void)
{
	static const struct {
		void (*handler)(int signal);
		unsigned long rest[8];
	} action = {.handler = SIG_IGN};

	for (int i = KERNEL_SIGRTMIN; i < SIGRTMIN; i++)
		syscall(SYS_rt_sigaction, i, &action, NULL, KERNEL_SIGSET_BYTES);
}

void signals_guard(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	ignore_reserved();
	crash_guard();
}

int signals_take(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (unsigned int i = 0; i < ARRAY_SIZE(requests); i++)
		sigaddset(&set, requests[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(strays); i++)
		sigaddset(&set, strays[i]);
	for (int i = SIGRTMIN; i <= SIGRTMAX; i++)
		sigaddset(&set, i);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

bool signals_is_stray(unsigned int signal)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(strays); i++) {
		if ((int)signal == strays[i])
			return true;
	}
	return (int)signal >= SIGRTMIN && (int)signal <= SIGRTMAX;
}

const char *signals_name(unsigned int signal)
{
	static char text[32];
	const char *name = sigabbrev_np((int)signal);

	if (name)
		snprintf(text, sizeof(text), "SIG%s", name);
	else
		snprintf(text, sizeof(text), "signal %u", signal);
	return text;
}
