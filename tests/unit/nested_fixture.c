/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "nested_fixture.h"

#include "backends/escape_key.h"
#include "backends/nested.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int nested_fixture_key = ESCAPE_KEY_DEFAULT;

/* The test's own, while the backend has other files in their place. */
static int saved_in, saved_out;

void nested_fixture_init(struct backend_fixture *f, int in, int out, size_t output_bytes,
                         size_t input_bytes)
{
	fflush(stdout);
	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	saved_in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
	saved_out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	backend_fixture_init(f, output_bytes, input_bytes);
	if (nested_new(&f->backend, f->loop, &f->output.port, nested_fixture_key) < 0)
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

void nested_fixture_deinit(struct backend_fixture *f)
{
	backend_fixture_deinit(f);
	give_back(saved_in, STDIN_FILENO);
	give_back(saved_out, STDOUT_FILENO);
}

size_t nested_guest_takes(struct backend_fixture *f, void *bytes, size_t len)
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

void nested_expect_input(struct backend_fixture *f, const char *bytes, size_t len)
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

void nested_expect_output(struct backend_fixture *f, int fd, const char *bytes, size_t len)
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
