/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/targets.h"

#include "backends/output.h"
#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct target {
	struct backend backend;
	struct loop_scope scope;
	size_t position;      /* in the source's pattern */
	struct reader reader; /* the echo's */
};

static struct target *target_of(struct backend *backend)
{
	return container_of(backend, struct target, backend);
}

static void on_drained(struct loop_scope *scope)
{
	struct target *target = container_of(scope, struct target, scope);
	struct backend_device *device = target->backend.port->device;

	reader_deinit(&target->reader);
	free(target);
	device->stopped(device);
}

static void stop(struct backend *backend)
{
	loop_scope_close(&target_of(backend)->scope);
}

static int new_target(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
                      const struct backend_ops *ops)
{
	struct target *target = calloc(1, sizeof(*target));

	if (!target)
		return log_no_memory(port->name);
	target->backend = (struct backend){.ops = ops, .port = port};
	port->attended = 1;
	list_init(&target->reader.link);
	target->reader.output = output_of(port);
	loop_scope_init(&target->scope, loop, on_drained);
	*ret_backend = &target->backend;
	return 0;
}

/* null */

/* There is nothing to do: output that nobody reads goes by itself. */
static void null_wake(struct backend *backend)
{
	(void)backend;
}

int null_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port)
{
	static const struct backend_ops ops = {.wake = null_wake, .stop = stop};

	return new_target(ret_backend, loop, port, &ops);
}

/* echo */

/* Moves what there is room for. Whether it was anything. */
static bool move_back(struct reader *reader, struct byte_ring *input)
{
	struct iovec spans[2];
	unsigned int n = reader_spans(reader, byte_ring_free(input), spans);
	size_t len = 0;

	for (unsigned int i = 0; i < n; i++) {
		byte_ring_put(input, spans[i].iov_base, spans[i].iov_len);
		len += spans[i].iov_len;
	}
	/* Last: the device may be told of the room, and wakes the echo again. */
	if (len > 0)
		reader_sent(reader, len);
	return len > 0;
}

static void wake_echo(struct reader *reader)
{
	struct target *target = container_of(reader, struct target, reader);
	struct backend_port *port = target->backend.port;

	if (move_back(reader, &port->input))
		port->device->pump(port->device);
}

static void echo_wake(struct backend *backend)
{
	wake_echo(&target_of(backend)->reader);
}

int echo_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port)
{
	static const struct backend_ops ops = {.wake = echo_wake, .stop = stop};
	int r = new_target(ret_backend, loop, port, &ops);

	if (r < 0)
		return r;
	reader_init(&target_of(*ret_backend)->reader, output_of(port), wake_echo);
	reader_make_patient(&target_of(*ret_backend)->reader);
	target_of(*ret_backend)->reader.quiet = true;
	return 0;
}

/* source */

#define LINE_CHARS 72u
#define PRINTABLE  95u

#define LINE_BYTES (LINE_CHARS + 2)

/* One period: each line begins one character further on than the one before. */
static uint8_t pattern[PRINTABLE * LINE_BYTES];

static void make_pattern(void)
{
	for (unsigned int line = 0; line < PRINTABLE; line++) {
		uint8_t *at = &pattern[line * LINE_BYTES];

		for (unsigned int column = 0; column < LINE_CHARS; column++)
			at[column] = (uint8_t)(' ' + (line + column) % PRINTABLE);
		at[LINE_CHARS] = '\r';
		at[LINE_CHARS + 1] = '\n';
	}
}

static void source_wake(struct backend *backend)
{
	struct target *target = target_of(backend);
	struct byte_ring *input = &backend->port->input;
	size_t len;

	while ((len = MIN(byte_ring_free(input), sizeof(pattern) - target->position)) > 0) {
		byte_ring_put(input, pattern + target->position, len);
		target->position = (target->position + len) % sizeof(pattern);
	}
	backend->port->device->pump(backend->port->device);
}

int source_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port)
{
	static const struct backend_ops ops = {.wake = source_wake, .stop = stop};
	int r = new_target(ret_backend, loop, port, &ops);

	make_pattern();
	if (r == 0)
		source_wake(*ret_backend);
	return r;
}
