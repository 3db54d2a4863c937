/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The program with a ring that fails: after it has started, handing over to the kernel fails for
 * good. tests/faults/ring_fails.py looks at what is left.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned int count);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int count);

/* The first time that it waits, it is at work. */
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int count)
{
	if (getenv("RING_FAILS"))
		return -EBADFD;
	return __real_io_uring_submit_and_wait(ring, count);
}
