/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds whose window counts: the one whose size was told last; when it goes, the one before; only
 * those of clients that may write; and the device is told only of what changes.
 */
#include "unit.h"

#include "backends/window.h"

static unsigned int resizes;

static void on_resized(struct backend_device *device)
{
	(void)device;
	resizes++;
}

struct step {
	unsigned int who;
	enum { SIZE, MAY, MAY_NOT } what;
	uint16_t cols, rows; /* with SIZE */
	/* What counts then, and how often the device was told by then. */
	uint16_t port_cols, port_rows;
	unsigned int resizes;
};

static void walk(const struct step *steps, size_t count, bool may_count)
{
	struct backend_device device = {.resized = on_resized};
	struct backend_port port = {.device = &device};
	struct window windows[3];
	struct window_set set;

	resizes = 0;
	window_set_init(&set, &port);
	for (unsigned int i = 0; i < 3; i++) {
		window_init(&windows[i]);
		window_let_count(&set, &windows[i], may_count);
	}
	for (size_t i = 0; i < count; i++) {
		const struct step *step = &steps[i];
		struct window *window = &windows[step->who];

		if (step->what == SIZE)
			window_resize(&set, window, step->cols, step->rows);
		else
			window_let_count(&set, window, step->what == MAY);
		if (port.cols != step->port_cols || port.rows != step->port_rows ||
		    resizes != step->resizes)
			fail_msg("step %zu: %u x %u, told %u times", i, port.cols, port.rows,
			         resizes);
	}
}

TEST(the_window_that_was_told_last_counts)
{
	static const struct step steps[] = {
	    {0, SIZE, 80, 24, 80, 24, 1},
	    {1, SIZE, 132, 43, 132, 43, 2},
	    {1, SIZE, 132, 43, 132, 43, 2},
	    {0, SIZE, 80, 24, 80, 24, 3},
	    {2, SIZE, 80, 24, 80, 24, 3},
	    {2, SIZE, 0, 0, 80, 24, 3},
	    {0, SIZE, 0, 0, 132, 43, 4},
	    {0, SIZE, 0, 0, 132, 43, 4},
	    {1, SIZE, 0, 24, 0, 0, 5},
	    {2, SIZE, 100, 0, 0, 0, 5},
	    {2, SIZE, 65535, 65535, 65535, 65535, 6},
	    {2, SIZE, 0, 0, 0, 0, 7},
	};

	walk(steps, ROWS(steps), true);
}

TEST(only_windows_of_those_that_may_write_count)
{
	static const struct step steps[] = {
	    /* A watcher's is remembered. */
	    {0, SIZE, 80, 24, 0, 0, 0},
	    {1, MAY, 0, 0, 0, 0, 0},
	    {1, SIZE, 100, 30, 100, 30, 1},
	    {0, SIZE, 81, 25, 100, 30, 1},
	    /* When it may write it is the newest. */
	    {0, MAY, 0, 0, 81, 25, 2},
	    {0, MAY, 0, 0, 81, 25, 2},
	    {1, MAY, 0, 0, 81, 25, 2},
	    {0, MAY_NOT, 0, 0, 100, 30, 3},
	    {0, MAY_NOT, 0, 0, 100, 30, 3},
	    /* One without a size never counts. */
	    {2, MAY, 0, 0, 100, 30, 3},
	    {1, MAY_NOT, 0, 0, 0, 0, 4},
	    {2, SIZE, 90, 20, 90, 20, 5},
	    {2, MAY_NOT, 0, 0, 0, 0, 6},
	};

	walk(steps, ROWS(steps), false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(the_window_that_was_told_last_counts),
	    UNIT(only_windows_of_those_that_may_write_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
