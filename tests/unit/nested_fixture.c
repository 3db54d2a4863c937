/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "nested_fixture.h"

#include "base/macros.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct nested_fixture *fixture_of(struct backend_device *device)
{
	return container_of(device, struct nested_fixture, device);
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

static void on_resized(struct backend_device *device)
{
	fixture_of(device)->resizes++;
}

void nested_fixture_init(struct nested_fixture *f, int in, int out, size_t output_bytes,
                         size_t input_bytes)
{
	memset(f, 0, sizeof(*f));
	fflush(stdout);
	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	f->saved_in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
	f->saved_out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	f->loop = turning_loop();
	f->bytes[0] = malloc(output_bytes);
	f->bytes[1] = malloc(input_bytes);
	byte_ring_init(&f->output.port.output, &f->states[0], f->bytes[0], output_bytes);
	byte_ring_init(&f->output.port.input, &f->states[1], f->bytes[1], input_bytes);
	f->device = (struct backend_device){
	    .pump = on_pump,
	    .stopped = on_stopped,
	    .resized = on_resized,
	    .quit = on_quit,
	};
	f->output.port.device = &f->device;
	f->output.port.name = "test";
	watched_scope_init(&f->scope, f->loop);
	output_init(&f->output, &f->scope.scope);
	if (nested_new(&f->backend, f->loop, &f->output.port) < 0)
		support_die("no nested backend");
}

static void give_back(int saved, int number)
{
	if (saved < 0) {
		close(number);
		return;
	}
	dup2(saved, number);
	close(saved);
}

void nested_fixture_deinit(struct nested_fixture *f)
{
	if (f->backend)
		f->backend->ops->stop(f->backend);
	turn_until(f->loop, !f->backend);
	turn_some(f->loop);
	if (f->stops != 1)
		support_die("stopped %u times", f->stops);
	watched_scope_end(&f->scope);
	loop_free(f->loop);
	free(f->bytes[0]);
	free(f->bytes[1]);
	give_back(f->saved_in, STDIN_FILENO);
	give_back(f->saved_out, STDOUT_FILENO);
}

size_t nested_guest_writes(struct nested_fixture *f, const void *bytes, size_t len)
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
	struct nested_fixture *f = container_of(output, struct nested_fixture, output);

	f->backend->ops->stop(f->backend);
}

void nested_finish_all(struct nested_fixture *f)
{
	if (f->backend->ops->close)
		f->backend->ops->close(f->backend);
	output_finish(&f->output, on_finished);
}

size_t nested_guest_takes(struct nested_fixture *f, void *bytes, size_t len)
{
	size_t n = byte_ring_get(&f->output.port.input, bytes, len);

	if (n > 0)
		f->backend->ops->wake(f->backend);
	return n;
}

static void compare(const char *what, const char *got, const char *expected, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (got[i] != expected[i])
			support_die("%s: byte %zu of %zu is %#x, not %#x", what, i, len,
			            (unsigned char)got[i], (unsigned char)expected[i]);
	}
}

void nested_expect_input(struct nested_fixture *f, const char *bytes, size_t len)
{
	char *got = malloc(len + 1);
	size_t done = 0;

	turn_until(f->loop, (done += nested_guest_takes(f, got + done, len - done)) == len);
	compare("input", got, bytes, len);
	turn_some(f->loop);
	if (byte_ring_used(&f->output.port.input) > 0)
		support_die("more input than expected");
	free(got);
}

static size_t read_some(int fd, void *bytes, size_t len)
{
	ssize_t n = len > 0 ? read(fd, bytes, len) : 0;

	return n > 0 ? (size_t)n : 0;
}

void nested_expect_output(struct nested_fixture *f, int fd, const char *bytes, size_t len)
{
	char *got = malloc(len + 1);
	size_t done = 0;

	turn_until(f->loop, (done += read_some(fd, got + done, len - done)) == len);
	compare("output", got, bytes, len);
	turn_some(f->loop);
	if (read_some(fd, got, 1) > 0)
		support_die("more output than expected");
	free(got);
}
