/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The terminal's raw mode and what the guest's output switches in it, and the promise that both
 * end: by leaving, at exit, and where the program crashes as far as a handler can.
 *
 * The process has one terminal, so there is one of these.
 */
#ifndef BACKENDS_TERMINAL_H
#define BACKENDS_TERMINAL_H

#include "backends/terminal_modes.h"

#include <stdbool.h>
#include <stddef.h>

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

/*
 * The guest's output is shown in the terminal `fd`, which has no mode of the guest's yet; -1: it
 * isn't any more. Unless `fd` is non-blocking, a crash leaves what the guest has switched.
 */
void terminal_show(int fd);

/* The terminal has been sent these bytes. */
void terminal_sent(const void *bytes, size_t len);

/* Writes what takes back all that they have switched. Returns its length. */
size_t terminal_take_back(char ret_bytes[TERMINAL_MODES_BYTES_MAX]);

/*
 * The process is about to be suspended: takes that back, as far as it can without waiting.
 * `on_its_way` may have been sent or not.
 */
void terminal_lend(const void *on_its_way, size_t len);

/* It goes on: in the foreground it switches on again what the guest believes to be on. */
void terminal_have_again(void);

#endif
