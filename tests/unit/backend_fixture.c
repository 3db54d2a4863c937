/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backend_fixture.h"

#include "base/macros.h"

#include <stdlib.h>
#include <string.h>

static struct backend_fixture *fixture_of(struct backend_device *device)
{
	return container_of(device, struct backend_fixture, device);
}

static void on_pump(struct backend_device *device)
{
	fixture_of(device)->pumps++;
}

static void on_stopped(struct backend_device *device)
{
	fixture_of(device)->backend = NULL;
	fixture_of(device)->stops++;
}

static void on_quit(struct backend_device *device, bool failed)
{
	fixture_of(device)->quits++;
	fixture_of(device)->failures += failed;
}

static void on_attended(struct backend_device *device)
{
	fixture_of(device)->attended++;
}

static void on_resized(struct backend_device *device)
{
	fixture_of(device)->resizes++;
}

void backend_fixture_init(struct backend_fixture *f, size_t output_bytes, size_t input_bytes)
{
	memset(f, 0, sizeof(*f));
	f->loop = turning_loop();
	f->bytes[0] = malloc(output_bytes);
	f->bytes[1] = malloc(input_bytes);
	byte_ring_init(&f->output.port.output, &f->states[0], f->bytes[0], output_bytes);
	byte_ring_init(&f->output.port.input, &f->states[1], f->bytes[1], input_bytes);
	f->device = (struct backend_device){
	    .pump = on_pump,
	    .stopped = on_stopped,
	    .resized = on_resized,
	    .attended = on_attended,
	    .quit = on_quit,
	};
	f->output.port.device = &f->device;
	f->output.port.name = "test";
	watched_scope_init(&f->scope, f->loop);
	output_init(&f->output, &f->scope.scope);
}

void backend_fixture_stop(struct backend_fixture *f)
{
	if (f->backend)
		f->backend->ops->stop(f->backend);
	turn_until(f->loop, !f->backend);
	turn_some(f->loop);
	if (f->stops != 1)
		support_die("stopped %u times", f->stops);
}

void backend_fixture_free(struct backend_fixture *f)
{
	watched_scope_end(&f->scope);
	loop_free(f->loop);
	free(f->bytes[0]);
	free(f->bytes[1]);
}

void backend_fixture_deinit(struct backend_fixture *f)
{
	backend_fixture_stop(f);
	backend_fixture_free(f);
}

size_t backend_guest_writes(struct backend_fixture *f, const void *bytes, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t room = f->output.port.room(&f->output.port, 1);
		size_t n = MIN(room, MIN(len - done, f->output.port.output.size));

		if (room > f->output.port.output.size)
			support_die("room for %zu bytes", room);
		if (n == 0)
			break;
		byte_ring_overwrite(&f->output.port.output, (const uint8_t *)bytes + done, n);
		done += n;
	}
	output_wake(&f->output);
	return done;
}

static void on_finished(struct output *output)
{
	struct backend_fixture *f = container_of(output, struct backend_fixture, output);

	f->backend->ops->stop(f->backend);
}

void backend_finish(struct backend_fixture *f)
{
	if (f->backend->ops->close)
		f->backend->ops->close(f->backend);
	output_finish(&f->output, on_finished);
}
