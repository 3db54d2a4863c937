/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the self-test's files share. Each has one group of tests.
 */
#ifndef SUPPORT_SELF_TEST_H
#define SUPPORT_SELF_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "resources.h"

/* Runs f(arg) and fails unless it dies by support_die() with `text` in its message. */
void expect_death(void (*f)(void *arg), void *arg, const char *text);

#define SELF_TEST(f) cmocka_unit_test_setup_teardown(f, resources_setup, resources_teardown)

/* cmocka's results: the number of tests that failed. */
int self_test_memory(void);
int self_test_frontend(void);
int self_test_driver(void);
int self_test_console(void);
int self_test_multiport(void);

#endif
