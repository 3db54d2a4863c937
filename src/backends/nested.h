/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The nested backend: the guest's console in the terminal that the program was started in, or,
 * where standard input and output aren't terminals, as a filter between them.
 *
 * In a terminal all keys go to the guest but the escape key, which begins a command to this program
 * (backends/escape_key.h). At the end, and while the process is suspended, the terminal is as it
 * was: what the guest's output switched in it is taken back (backends/terminal_modes.h). What can't
 * be sent without waiting goes through a bounded buffer, one write in flight. The open files of
 * standard input and output are shared with others and aren't changed.
 */
#ifndef BACKENDS_NESTED_H
#define BACKENDS_NESTED_H

#include "backends/backend.h"
#include "loop/loop.h"

/*
 * Sets the terminal raw, if there is one. `escape_key` is a control character or ESCAPE_KEY_NONE.
 * Returns 0 or -errno, which it has logged. The backend
 * frees itself after `stopped`, and has restored the terminal then.
 */
int nested_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
               int escape_key);

#endif
