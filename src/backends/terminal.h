/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The terminal's raw mode, and the promise that it ends: by leaving it, at exit, and where the
 * program crashes as far as a handler can.
 *
 * The process has one terminal, so there is one of these.
 */
#ifndef BACKENDS_TERMINAL_H
#define BACKENDS_TERMINAL_H

#include <stdbool.h>

/*
 * Sets the terminal `fd` raw, so that each key comes at once and none means anything here. What
 * it was before is kept. Does nothing in the background or if it is raw already. Returns 0, or
 * -errno.
 */
int terminal_enter_raw(int fd);

/* Whether it is raw: if not, the process is in the background and mustn't read from it. */
bool terminal_is_raw(void);

/* Sets it as it was. Does nothing if it isn't raw. Async-signal-safe. */
void terminal_leave_raw(void);

#endif
