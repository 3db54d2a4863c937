/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Handlers of the signals that a fault of the program sends, and of SIGQUIT. They call only what
 * a handler may call.
 */
#include "base/crash.h"

#include "base/log.h"
#include "base/macros.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

static const int fatal[] = {
    SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS,
};

/* For a handler when there is no more stack. */
static char handler_stack[16 * 1024];

/* Signals come to the process, so there is one of these. */
static void (*volatile the_restore)(void);

static void restore_once(void)
{
	void (*restore)(void) = the_restore;

	/* First: if it crashes, too, the next handler goes on without it. */
	the_restore = NULL;
	if (restore)
		restore();
}

static void on_fatal(int signal)
{
	char text[64] = "";
	const char *name = sigabbrev_np(signal);
	const char *parts[] = {"SIG", name ? name : "?",
	                       signal == SIGQUIT ? ": ending at once"
	                                         : ": a fault of this program"};

	restore_once();
	/* snprintf() isn't for handlers. */
	for (unsigned int i = 0; i < ARRAY_SIZE(parts); i++)
		strncat(text, parts[i], sizeof(text) - 1 - strlen(text));
	log_last_words(text);
	/* The handler is gone (SA_RESETHAND): the signal does now what it does. */
	raise(signal);
}

void crash_guard(void)
{
	stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof(handler_stack)};
	struct sigaction action = {
	    .sa_handler = on_fatal,
	    .sa_flags = (int)(SA_RESETHAND | SA_ONSTACK),
	};

	sigaltstack(&stack, NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(fatal); i++) {
		struct sigaction there;

		if (sigaction(fatal[i], NULL, &there) == 0 && there.sa_handler == SIG_DFL)
			sigaction(fatal[i], &action, NULL);
	}
}

void crash_restore_by(void (*restore)(void))
{
	the_restore = restore;
}
