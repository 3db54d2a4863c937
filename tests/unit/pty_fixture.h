/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The pty backend, its loop turned by the test, and people at its slave in the same thread: so
 * nothing happens but what the test does.
 */
#ifndef PTY_FIXTURE_H
#define PTY_FIXTURE_H

#include "backend_fixture.h"
#include "backends/pty.h"

#include <sys/types.h>

struct pty_fixture {
	struct backend_fixture base; /* its backend is NULL, too, if it couldn't start */
	char folder[32], link[48];
	int result;      /* of pty_new() */
	char error[256]; /* what it has logged */
};

/* A folder of its own, for the link; nothing is there yet. Sizes are powers of two. */
void pty_fixture_init(struct pty_fixture *f, size_t output_bytes, size_t input_bytes);
/* Makes the backend at f->link. */
void pty_fixture_start(struct pty_fixture *f, mode_t mode, gid_t group);
/* Both, as most tests want it. */
void pty_fixture_set_up(struct pty_fixture *f, size_t output_bytes, size_t input_bytes);
/* Stops the backend, if there is one, and waits for that. */
void pty_fixture_stop(struct pty_fixture *f);
/* That, and removes the folder, in which nothing may be left. */
void pty_fixture_tear_down(struct pty_fixture *f);

/* Opens the slave by the link, non-blocking, as a person's program does. */
int pty_open(struct pty_fixture *f);
/* And turns until it is sent output. */
int pty_join(struct pty_fixture *f);

/* The guest writes `len` bytes of the pattern from `pos`, as far as there is room. Returns how
 * many. */
size_t pty_guest_writes(struct pty_fixture *f, uint64_t pos, size_t len);

/* Turns until the person has read `len` bytes, which have to be the pattern from `pos` on. */
void pty_expect(struct pty_fixture *f, int slave, uint64_t pos, size_t len);
void pty_expect_text(struct pty_fixture *f, int slave, const char *text);

/* Turns until the guest has got exactly this text. */
void pty_expect_input(struct pty_fixture *f, const char *text);

/* Turns for so long, by the loop's clock. */
void pty_let_pass(struct pty_fixture *f, uint64_t ms);

#endif
