/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/targets.h"

#include "base/macros.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct target {
	struct backend backend;
	struct loop_scope scope;
	size_t position; /* in the source's pattern */
	bool held;       /* the echo has told the device that there is no room */
};

static struct target *target_of(struct backend *backend)
{
	return container_of(backend, struct target, backend);
}

static void on_drained(struct loop_scope *scope)
{
	struct target *target = container_of(scope, struct target, scope);
	struct backend_device *device = target->backend.port->device;

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
		return -ENOMEM;
	target->backend = (struct backend){.ops = ops, .port = port};
	loop_scope_init(&target->scope, loop, on_drained);
	*ret_backend = &target->backend;
	return 0;
}

static void pump(struct backend *backend)
{
	backend->port->device->pump(backend->port->device);
}

/* null */

static size_t swallow_room(struct backend *backend)
{
	return backend->port->output.size;
}

static void null_wake(struct backend *backend)
{
	(void)backend;
}

int null_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port)
{
	static const struct backend_ops ops = {
	    .room = swallow_room,
	    .wake = null_wake,
	    .finish = stop,
	    .stop = stop,
	};

	return new_target(ret_backend, loop, port, &ops);
}

/* echo */

static size_t echo_room(struct backend *backend)
{
	size_t room = byte_ring_free(&backend->port->output);

	target_of(backend)->held |= room == 0;
	return room;
}

/* Moves what there is room for. Whether it was anything. */
static bool move_back(struct backend_port *port)
{
	void *room;
	size_t len = byte_ring_room(&port->input, &room);

	len = byte_ring_get(&port->output, room, len);
	byte_ring_commit(&port->input, len);
	return len > 0;
}

static void echo_wake(struct backend *backend)
{
	struct target *target = target_of(backend);
	bool moved = false;

	while (move_back(backend->port))
		moved = true;
	if (moved || (target->held && byte_ring_free(&backend->port->output) > 0)) {
		target->held = false;
		pump(backend);
	}
}

int echo_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port)
{
	static const struct backend_ops ops = {
	    .room = echo_room,
	    .wake = echo_wake,
	    .finish = stop,
	    .stop = stop,
	};

	return new_target(ret_backend, loop, port, &ops);
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
		memcpy(at + LINE_CHARS, "\r\n", 2);
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
	pump(backend);
}

int source_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port)
{
	static const struct backend_ops ops = {
	    .room = swallow_room,
	    .wake = source_wake,
	    .finish = stop,
	    .stop = stop,
	};
	int r = new_target(ret_backend, loop, port, &ops);

	make_pattern();
	if (r == 0)
		source_wake(*ret_backend);
	return r;
}
