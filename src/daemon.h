/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The process: its loop, its arena, its guests and its signals, in their order of start and stop.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include "config.h"

/*
 * Serves the guests until a signal, the person or the last frontend ends it. Returns 0, or -errno
 * having logged the cause in one line.
 */
int daemon_run(const struct config *config);

#endif
