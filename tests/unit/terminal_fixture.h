/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The nested backend in a pseudo terminal of the test's.
 *
 * The program makes itself the leader of a session, so that the terminal can be its own.
 */
#ifndef TERMINAL_FIXTURE_H
#define TERMINAL_FIXTURE_H

#include "nested_fixture.h"

#include <stdbool.h>
#include <termios.h>

/* What it says at the start. */
#define TERMINAL_HINT "\r\n[vhost-user-console: Ctrl-] . ends, Ctrl-] ? shows help]\r\n"

extern struct backend_fixture terminal_backend;
extern int terminal_master, terminal_slave;
extern struct termios terminal_before; /* the settings before the backend came */

/* Runs the tests in a session of their own. Returns the exit code. */
int terminal_fixture_main(int (*run)(void));

/* For each test's teardown: also after a failure, which would be told to nobody. */
int terminal_fixture_teardown(void **state);

/* The terminal alone, and with the backend in it, which has given its hint. */
void terminal_fixture_open(void);
void terminal_fixture_close(void);
void terminal_fixture_set_up(void);
void terminal_fixture_tear_down(void);

bool terminal_is_as_before(void);
bool terminal_is_set_raw(void);

/* The person types. */
void terminal_type(const char *keys, size_t len);
/* Turns until exactly this has come out. */
void terminal_expect_text(const char *text);

#endif
