/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a backend stands on in a unit test: a loop that the test turns, a port with its rings, and
 * a device that counts what it is told.
 */
#ifndef BACKEND_FIXTURE_H
#define BACKEND_FIXTURE_H

#include "backends/output.h"
#include "turning.h"

struct backend_fixture {
	struct loop *loop;
	struct output output; /* with the port */
	struct watched_scope scope;
	struct backend_device device;
	struct backend *backend; /* the test's to make; NULL once it has stopped */
	struct byte_ring_state states[2];
	uint8_t *bytes[2]; /* of output and input */
	unsigned int pumps, stops, quits, failures, resizes, attended;
};

/* Everything but the backend. Sizes are powers of two. */
void backend_fixture_init(struct backend_fixture *f, size_t output_bytes, size_t input_bytes);
/* Stops the backend, if it hasn't stopped, and waits for that, which comes once. */
void backend_fixture_stop(struct backend_fixture *f);
/* Everything but the backend, which has stopped. */
void backend_fixture_free(struct backend_fixture *f);
/* Both. */
void backend_fixture_deinit(struct backend_fixture *f);

/* The guest writes; as far as there is room. Returns how many bytes. */
size_t backend_guest_writes(struct backend_fixture *f, const void *bytes, size_t len);
/* Writes out what is left, then stops. */
void backend_finish(struct backend_fixture *f);

#endif
