/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The test's own backend. See test_backend.h.
 */
#include "test_backend.h"

#include "base/macros.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

static struct test_backend *test_of(struct backend *backend)
{
	return container_of(backend, struct test_backend, backend);
}

static struct backend_port *port_of(struct test_backend *test)
{
	return test->backend.port;
}

static void pump(struct test_backend *test)
{
	port_of(test)->device->pump(port_of(test)->device);
}

/* Output. */

static size_t measure_room(struct test_backend *test)
{
	struct byte_ring *ring = &port_of(test)->output;
	uint64_t head = byte_ring_head(ring);
	uint64_t allowed = test->limit > head ? test->limit - head : 0;
	size_t free_bytes = test->overwrites ? ring->size : byte_ring_free(ring);

	return (size_t)MIN(allowed, free_bytes);
}

/* The port is told of nobody but its memory: there is one of these to each. */
static struct test_backend *the_tests[128];

static struct test_backend *test_at(struct backend_port *port)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(the_tests); i++)
		if (the_tests[i] && the_tests[i]->backend.port == port)
			return the_tests[i];
	support_die("a port without a backend of the test");
}

static size_t test_room(struct backend_port *port, size_t wanted)
{
	struct test_backend *test = test_at(port);
	size_t room = measure_room(test);

	test->wanted = room < wanted ? wanted : 0;
	return room;
}

static size_t test_reclaim(struct backend_port *port)
{
	return port->output.size;
}

/* Keeps the contract: after too little room, a pump as soon as there is enough. */
static void release(struct test_backend *test)
{
	if (test->wanted == 0 || measure_room(test) < test->wanted)
		return;
	test->wanted = 0;
	pump(test);
}

static void collect(struct test_backend *test)
{
	struct byte_ring *ring = &port_of(test)->output;
	size_t size = byte_ring_used(ring);

	if (test->overwrites || size == 0)
		return;
	if (test->output_room - test->output_size < size) {
		test->output_room = 2 * (test->output_size + size);
		test->output = realloc(test->output, test->output_room);
		if (!test->output)
			support_die("out of memory for %zu bytes of output", test->output_room);
	}
	test->output_size += byte_ring_get(ring, test->output + test->output_size, size);
}

void test_backend_allow(struct test_backend *test, uint64_t bytes)
{
	test->limit = byte_ring_head(&port_of(test)->output) + bytes;
	release(test);
}

void test_backend_forget(struct test_backend *test)
{
	collect(test);
	test->output_size = 0;
}

/* Input. */

static void put_input(struct test_backend *test)
{
	struct byte_ring *ring = &port_of(test)->input;
	size_t size = MIN(test_backend_typing(test), byte_ring_free(ring));

	if (size == 0)
		return;
	byte_ring_put(ring, test->input + test->input_taken, size);
	test->input_taken += size;
	pump(test);
}

size_t test_backend_typing(const struct test_backend *test)
{
	return test->input_size - test->input_taken;
}

void test_backend_type(struct test_backend *test, const void *bytes, size_t size)
{
	size_t left = test_backend_typing(test);
	uint8_t *input = malloc(left + size);

	if (!input)
		support_die("out of memory for %zu bytes of input", left + size);
	if (left > 0)
		memcpy(input, test->input + test->input_taken, left);
	memcpy(input + left, bytes, size);
	free(test->input);
	test->input = input;
	test->input_size = left + size;
	test->input_taken = 0;
	put_input(test);
}

/* The window. */

void test_backend_resize(struct test_backend *test, uint16_t cols, uint16_t rows)
{
	port_of(test)->cols = cols;
	port_of(test)->rows = rows;
	port_of(test)->device->resized(port_of(test)->device);
}

/* The interface. */

static void test_wake(struct backend *backend)
{
	struct test_backend *test = test_of(backend);

	test->wakes++;
	collect(test);
	release(test);
	put_input(test);
}

static void on_stopping(struct loop_task *task)
{
	struct test_backend *test = container_of(task, struct test_backend, stopping);

	collect(test);
	port_of(test)->device->stopped(port_of(test)->device);
}

/* Not from within the call: `stopped` is the last thing that is heard of a backend. */
static void test_stop(struct backend *backend)
{
	test_of(backend)->stops++;
	loop_work(test_of(backend)->loop, &test_of(backend)->stopping);
}

static void test_close(struct backend *backend)
{
	test_of(backend)->closes++;
}

static const struct backend_ops test_ops = {
    .wake = test_wake,
    .close = test_close,
    .stop = test_stop,
};

void test_backend_init(struct test_backend *test, struct loop *loop, struct backend_port *port)
{
	*test = (struct test_backend){
	    .backend = {.ops = &test_ops, .port = port},
	    .loop = loop,
	    .limit = TEST_BACKEND_NO_LIMIT,
	};
	loop_task_init(&test->stopping, on_stopping);
	port->room = test_room;
	port->reclaim = test_reclaim;
	for (unsigned int i = 0; i < ARRAY_SIZE(the_tests); i++) {
		if (the_tests[i])
			continue;
		the_tests[i] = test;
		return;
	}
	support_die("too many backends of the test");
}

void test_backend_deinit(struct test_backend *test)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(the_tests); i++)
		if (the_tests[i] == test)
			the_tests[i] = NULL;
	free(test->output);
	free(test->input);
	test->output = test->input = NULL;
	test->output_size = test->output_room = test->input_size = test->input_taken = 0;
}
