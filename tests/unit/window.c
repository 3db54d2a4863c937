/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds whose window counts: the one whose size was told last; when it goes, the one before; and
 * the device is told only of what changes.
 */
#include "unit.h"

#include "backends/window.h"

static unsigned int resizes;

static void on_resized(struct backend_device *device)
{
	(void)device;
	resizes++;
}

TEST(the_window_that_was_told_last_counts)
{
	/* Who tells which size, what counts then, and how often the device was told by then. */
	static const struct {
		unsigned int who;
		uint16_t cols, rows, port_cols, port_rows;
		unsigned int resizes;
	} steps[] = {
	    {0, 80, 24, 80, 24, 1},
	    {1, 132, 43, 132, 43, 2},
	    {1, 132, 43, 132, 43, 2},
	    {0, 80, 24, 80, 24, 3},
	    {2, 80, 24, 80, 24, 3},
	    {2, 0, 0, 80, 24, 3},
	    {0, 0, 0, 132, 43, 4},
	    {0, 0, 0, 132, 43, 4},
	    {1, 0, 24, 0, 0, 5},
	    {2, 100, 0, 0, 0, 5},
	    {2, 65535, 65535, 65535, 65535, 6},
	    {2, 0, 0, 0, 0, 7},
	};
	struct backend_device device = {.resized = on_resized};
	struct backend_port port = {.device = &device};
	struct window windows[3];
	struct window_set set;

	resizes = 0;
	window_set_init(&set, &port);
	for (unsigned int i = 0; i < 3; i++)
		window_init(&windows[i]);
	for (size_t i = 0; i < ROWS(steps); i++) {
		window_resize(&set, &windows[steps[i].who], steps[i].cols, steps[i].rows);
		if (port.cols != steps[i].port_cols || port.rows != steps[i].port_rows ||
		    resizes != steps[i].resizes)
			fail_msg("step %zu: %u x %u, told %u times", i, port.cols, port.rows,
			         resizes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(the_window_that_was_told_last_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
