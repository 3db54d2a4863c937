/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The nested backend on descriptors of the test's, in place of the test's own standard input and
 * output while it lives.
 */
#ifndef NESTED_FIXTURE_H
#define NESTED_FIXTURE_H

#include "backend_fixture.h"

/* What the backend is given as its escape key. */
extern int nested_fixture_key;

/* Copies `in` and `out` to be standard input and output. Sizes are powers of two. */
void nested_fixture_init(struct backend_fixture *f, int in, int out, size_t output_bytes,
                         size_t input_bytes);
/* Stops it, if it hasn't stopped, waits, and gives the test its own files back. */
void nested_fixture_deinit(struct backend_fixture *f);

/* The guest takes up to `len` bytes of input. */
size_t nested_guest_takes(struct backend_fixture *f, void *bytes, size_t len);
/* Turns until exactly this input has come. */
void nested_expect_input(struct backend_fixture *f, const char *bytes, size_t len);
/* Turns until exactly these bytes have come out at `fd`, which is non-blocking. */
void nested_expect_output(struct backend_fixture *f, int fd, const char *bytes, size_t len);

#endif
