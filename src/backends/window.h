/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Whose window counts, of all the people at a port: the one whose size was told last, by somebody
 * who may write. When it goes, the one before.
 */
#ifndef BACKENDS_WINDOW_H
#define BACKENDS_WINDOW_H

#include "backends/backend.h"
#include "base/list.h"

/* One person's window. */
struct window {
	struct list link; /* in the port's windows, while it may count and its size is known */
	bool may_count;
	uint16_t cols, rows; /* 0 x 0 while the size isn't known */
};

/* The windows of a port that may count and whose sizes are known, the newest first. */
struct window_set {
	struct list windows;
	struct backend_port *port;
};

void window_set_init(struct window_set *set, struct backend_port *port);

/* Without a size, and not to count. */
void window_init(struct window *window);

/* Its size, in characters, was told; 0 x 0 takes it out. Tells the device if that changes its. */
void window_resize(struct window_set *set, struct window *window, uint16_t cols, uint16_t rows);

/*
 * Its person may write from now on, or no more. The size that is known already counts as told now.
 * Tells the device if that changes its.
 */
void window_let_count(struct window_set *set, struct window *window, bool may_count);

#endif
