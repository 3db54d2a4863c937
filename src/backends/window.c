/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/window.h"

#include "base/macros.h"

void window_set_init(struct window_set *set, struct backend_port *port)
{
	list_init(&set->windows);
	set->port = port;
}

void window_init(struct window *window)
{
	*window = (struct window){0};
	list_init(&window->link);
}

static void choose(struct window_set *set)
{
	struct backend_port *port = set->port;
	const struct window *first =
	    list_empty(&set->windows) ? NULL : container_of(set->windows.next, struct window, link);
	uint16_t cols = first ? first->cols : 0, rows = first ? first->rows : 0;

	if (cols == port->cols && rows == port->rows)
		return;
	port->cols = cols;
	port->rows = rows;
	port->device->resized(port->device);
}

/* To the front, or out. */
static void place(struct window_set *set, struct window *window)
{
	list_remove(&window->link);
	if (window->may_count && window->cols > 0 && window->rows > 0)
		list_prepend(&set->windows, &window->link);
	choose(set);
}

void window_resize(struct window_set *set, struct window *window, uint16_t cols, uint16_t rows)
{
	window->cols = cols;
	window->rows = rows;
	place(set, window);
}

void window_let_count(struct window_set *set, struct window *window, bool may_count)
{
	if (window->may_count == may_count)
		return;
	window->may_count = may_count;
	place(set, window);
}
