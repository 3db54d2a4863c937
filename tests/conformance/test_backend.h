/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A backend whose other end is the test: it collects what the guest prints, says what the guest
 * reads, and decides how much room there is. It keeps the contract of backends/backend.h.
 */
#ifndef CONFORMANCE_TEST_BACKEND_H
#define CONFORMANCE_TEST_BACKEND_H

#include "backends/backend.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEST_BACKEND_NO_LIMIT UINT64_MAX

struct test_backend {
	struct backend backend;
	struct loop *loop;
	struct loop_task stopping;
	uint64_t limit;  /* the output position up to which the guest may write */
	size_t wanted;   /* the room that the device waits for; 0: it doesn't wait */
	bool overwrites; /* room is all of the ring, in place of its oldest; nothing is collected */
	uint8_t *output; /* collected */
	size_t output_size, output_room;
	uint8_t *input; /* on its way into the port's ring */
	size_t input_size, input_taken;
	unsigned int wakes, closes, stops;
};

/*
 * No limit, collecting. Takes the place of the port's own way to make room. Owns the memory of
 * what it collects until test_backend_deinit().
 */
void test_backend_init(struct test_backend *test, struct loop *loop, struct backend_port *port);
void test_backend_deinit(struct test_backend *test);

/* The guest may write `bytes` more than it has written so far. */
void test_backend_allow(struct test_backend *test, uint64_t bytes);

/* The bytes are typed: into the port's ring as far as there is room, the rest when there is. */
void test_backend_type(struct test_backend *test, const void *bytes, size_t size);

/* Typed bytes that aren't in the port's ring yet. */
size_t test_backend_typing(const struct test_backend *test);

/* The window of whoever reads the port has another size. */
void test_backend_resize(struct test_backend *test, uint16_t cols, uint16_t rows);

/* Forgets what was collected. */
void test_backend_forget(struct test_backend *test);

#endif
