/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Whose window counts, of all the people at a port: the one whose size was told last, by somebody
 * who may write. When it goes, the one before.
 */
#ifndef BACKENDS_WINDOW_H
#define BACKENDS_WINDOW_H

#include "backends/backend.h"
#include "base/list.h"

/* One person's window. Zeroed: its size isn't known. */
struct window {
	struct list link; /* in the port's windows, while the size is known */
	uint16_t cols, rows;
};

/* The windows of a port whose sizes are known, the one that was told last first. */
struct window_set {
	struct list windows;
	struct backend_port *port;
};

void window_set_init(struct window_set *set, struct backend_port *port);

void window_init(struct window *window);

/* Its size, in characters, was told; 0 x 0 takes it out. Tells the device if that changes its. */
void window_resize(struct window_set *set, struct window *window, uint16_t cols, uint16_t rows);

#endif
