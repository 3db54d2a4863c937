/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "waiting.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "bench.h"
#include "support.h"

void waiting_for_eventfd(int fd)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	eventfd_t value;

	if (poll(&readable, 1, (int)support_deadline_ms()) != 1)
		bench_fail("waited in vain for a call");
	eventfd_read(fd, &value);
}

void waiting_begin(struct ring *ring)
{
	eventfd_t value;

	eventfd_read(ring->call, &value); /* of before */
	ring_ask_calls(ring, true);
}

void waiting_for_used(struct ring *ring)
{
	/* A call of before may still come: it finds nothing. */
	while (!ring_ready(ring))
		waiting_for_eventfd(ring->call);
}
