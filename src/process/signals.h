/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What each signal means to the process: none ends it without a word.
 *
 * SIGTERM and SIGINT, SIGHUP, SIGTSTP, SIGCONT and SIGWINCH are requests, and SIGXCPU is the
 * system's announcement of the end: these are read from a descriptor, as are those that mean
 * nothing here (SIGUSR1, SIGALRM, the real-time ones ...), so that whoever sends one by mistake
 * does no harm. What a write to a closed pipe or a full file sends is ignored: the write fails. So
 * are signals 32 and 33, which the C library keeps for itself.
 * What a fault of the program sends, and SIGQUIT, do what they always do, after a line
 * (base/crash.h).
 */
#ifndef PROCESS_SIGNALS_H
#define PROCESS_SIGNALS_H

#include <stdbool.h>

/* First of all: nothing that happens during the start ends the process without a word. */
void signals_guard(void);

/*
 * From now on signals are read: returns a non-blocking signalfd, or -errno. Before there are any
 * threads but those that block all signals.
 */
int signals_take(void);

/* Whether nobody should send it, and nothing is done. */
bool signals_is_stray(unsigned int signal);

/* "SIGUSR1", or "signal 40"; static, until the next call. */
const char *signals_name(unsigned int signal);

#endif
