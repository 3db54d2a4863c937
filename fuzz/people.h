/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The people's side of a port, for fuzz targets: its rings, and a backend that has now more room
 * and now less.
 */
#ifndef FUZZ_PEOPLE_H
#define FUZZ_PEOPLE_H

#include "backends/backend.h"

#define PEOPLE_OUTPUT_BYTES 4096u
#define PEOPLE_INPUT_BYTES  1024u
#define PEOPLE_SPILL_BYTES  (1u << 16)

struct people {
	struct backend_port port;
	struct byte_ring spill;
	struct byte_ring_state states[3];
	uint8_t output[PEOPLE_OUTPUT_BYTES], input[PEOPLE_INPUT_BYTES], spilled[PEOPLE_SPILL_BYTES];
	unsigned int asked; /* for room, which is less now and then */
};

/* Nobody is there, and nothing was said; `spill_bytes` is a power of two. */
void people_init(struct people *people, bool data, size_t spill_bytes);

#endif
