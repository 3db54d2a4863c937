/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The nested backend on descriptors of the test's, in place of the test's own standard input and
 * output while it lives.
 */
#ifndef NESTED_FIXTURE_H
#define NESTED_FIXTURE_H

#include "backends/nested.h"
#include "backends/output.h"
#include "turning.h"

struct nested_fixture {
	struct loop *loop;
	struct output output; /* with the port */
	struct watched_scope scope;
	struct backend_device device;
	struct backend *backend; /* NULL once it has stopped */
	struct byte_ring_state states[2];
	uint8_t *bytes[2]; /* of output and input */
	unsigned int pumps, stops, quits, failures, resizes;
	int saved_in, saved_out;
};

/* Copies `in` and `out` to be standard input and output. Sizes are powers of two. */
void nested_fixture_init(struct nested_fixture *f, int in, int out, size_t output_bytes,
                         size_t input_bytes);
/* Stops it, if it hasn't stopped, waits, and gives the test its own files back. */
void nested_fixture_deinit(struct nested_fixture *f);

/* The guest writes; as far as there is room. Returns how many bytes. */
size_t nested_guest_writes(struct nested_fixture *f, const void *bytes, size_t len);
/* Writes out what is left, then stops. */
void nested_finish_all(struct nested_fixture *f);
/* The guest takes up to `len` bytes of input. */
size_t nested_guest_takes(struct nested_fixture *f, void *bytes, size_t len);
/* Turns until exactly this input has come. */
void nested_expect_input(struct nested_fixture *f, const char *bytes, size_t len);
/* Turns until exactly these bytes have come out at `fd`, which is non-blocking. */
void nested_expect_output(struct nested_fixture *f, int fd, const char *bytes, size_t len);

#endif
