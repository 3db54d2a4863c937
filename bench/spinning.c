/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "spinning.h"

#include "bench.h"
#include "machine.h"
#include "support.h"

enum {
	HVC_BYTES = 16,
	SPINS_A_LOOK = 1 << 20, /* at the clock */
};

uint64_t spinning_transmit(struct guest *guest, struct pattern *pattern)
{
	struct ring *ring = &guest->transmit;
	uint64_t begin = machine_now_ns(), spins = 0, end;

	pattern_fill(pattern, ring_buffer(ring, ring->avail), HVC_BYTES);
	ring_push(ring, HVC_BYTES);
	ring_publish(ring);
	while (!ring_ready(ring)) {
		machine_relax();
		if (++spins % SPINS_A_LOOK == 0 &&
		    machine_now_ns() - begin > support_deadline_ms() * 1000000)
			bench_fail("a buffer of 16 bytes doesn't come back");
	}
	end = machine_now_ns();
	ring_take(ring);
	return end - begin;
}
