/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The end by a fault of the program (SIGSEGV, SIGABRT ...) or by SIGQUIT.
 *
 * One handler does all there is to do, in this order: what somebody has asked to be restored, a
 * line, the signal's default action. Handlers that are there already, a sanitizer's say, stay; it
 * is theirs then. It mustn't allocate, lock or wait.
 */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

/* Installs the handler; does nothing the second time. */
void crash_guard(void);

/*
 * From now on a crash calls `restore` first: it must be async-signal-safe. There is one of these;
 * NULL: none.
 */
void crash_restore_by(void (*restore)(void));

#endif
