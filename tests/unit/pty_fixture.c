/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "pty_fixture.h"

#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void pty_fixture_init(struct pty_fixture *f, size_t output_bytes, size_t input_bytes)
{
	memset(f, 0, sizeof(*f));
	backend_fixture_init(&f->base, output_bytes, input_bytes);
	snprintf(f->folder, sizeof(f->folder), "/tmp/unit-pty-XXXXXX");
	if (!mkdtemp(f->folder))
		support_die("can't make a folder");
	snprintf(f->link, sizeof(f->link), "%s/link", f->folder);
}

void pty_fixture_start(struct pty_fixture *f, mode_t mode, gid_t group)
{
	int ends[2], saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		support_die("no pipe");
	dup2(ends[1], STDERR_FILENO);
	f->result =
	    pty_new(&f->base.backend, f->base.loop, &f->base.output.port, f->link, mode, group);
	dup2(saved, STDERR_FILENO);
	n = read(ends[0], f->error, sizeof(f->error) - 1);
	f->error[MAX(n, 0)] = '\0';
	close(saved);
	close(ends[0]);
	close(ends[1]);
}

void pty_fixture_set_up(struct pty_fixture *f, size_t output_bytes, size_t input_bytes)
{
	pty_fixture_init(f, output_bytes, input_bytes);
	pty_fixture_start(f, 0600, (gid_t)-1);
	if (f->result < 0)
		support_die("no pseudo terminal: %s", f->error);
	turn_some(f->base.loop);
}

void pty_fixture_stop(struct pty_fixture *f)
{
	if (!f->base.backend)
		return;
	f->base.stops = 0;
	backend_fixture_stop(&f->base);
}

void pty_fixture_tear_down(struct pty_fixture *f)
{
	pty_fixture_stop(f);
	backend_fixture_free(&f->base);
	if (rmdir(f->folder) < 0)
		support_die("something is left in the folder: %s", strerror(errno));
}

int pty_open(struct pty_fixture *f)
{
	int fd = open(f->link, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		support_die("can't open %s: %s", f->link, strerror(errno));
	return fd;
}

int pty_join(struct pty_fixture *f)
{
	int fd = pty_open(f);

	turn_until(f->base.loop, !list_empty(&f->base.output.readers));
	return fd;
}

size_t pty_guest_writes(struct pty_fixture *f, uint64_t pos, size_t len)
{
	uint8_t *bytes = malloc(len + 1);
	size_t done;

	support_fill_pattern(bytes, len, pos);
	done = backend_guest_writes(&f->base, bytes, len);
	free(bytes);
	return done;
}

static void expect(struct pty_fixture *f, int slave, const uint8_t *expected, size_t len)
{
	uint8_t *got = malloc(len + 1);
	size_t done = 0;
	ssize_t n;

	turn_until(f->base.loop, (n = read(slave, got + done, len - done),
	                          done += n > 0 ? (size_t)n : 0, done == len));
	for (size_t i = 0; i < len; i++) {
		if (got[i] != expected[i])
			support_die("byte %zu of %zu is %#x, not %#x", i, len, got[i], expected[i]);
	}
	free(got);
}

void pty_expect(struct pty_fixture *f, int slave, uint64_t pos, size_t len)
{
	uint8_t *expected = malloc(len + 1);

	support_fill_pattern(expected, len, pos);
	expect(f, slave, expected, len);
	free(expected);
}

void pty_expect_text(struct pty_fixture *f, int slave, const char *text)
{
	expect(f, slave, (const uint8_t *)text, strlen(text));
}

void pty_expect_input(struct pty_fixture *f, const char *text)
{
	struct byte_ring *input = &f->base.output.port.input;
	size_t len = strlen(text);
	char *got = calloc(1, len + 1);

	turn_until(f->base.loop, byte_ring_used(input) >= len);
	turn_some(f->base.loop);
	if (byte_ring_used(input) != len)
		support_die("%zu bytes of input, not %zu", byte_ring_used(input), len);
	byte_ring_get(input, got, len);
	if (strcmp(got, text) != 0)
		support_die("input is '%s', not '%s'", got, text);
	free(got);
}

void pty_let_pass(struct pty_fixture *f, uint64_t ms)
{
	uint64_t until = loop_now_ms(f->base.loop) + ms;

	turn_until(f->base.loop, loop_now_ms(f->base.loop) >= until);
}
