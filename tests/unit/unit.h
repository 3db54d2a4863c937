/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What every unit test uses: cmocka, with open files and mappings counted before and after each
 * test and an alarm against hangs (tests/support/resources.h).
 */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "resources.h"
#include "support.h"

/* TEST(name_of_the_rule) { ... }, listed as UNIT(name_of_the_rule). */
#define TEST(name) static void name(__attribute__((unused)) void **state)
#define UNIT(name) cmocka_unit_test_setup_teardown(name, resources_setup, resources_teardown)

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* Both are unsigned 64-bit numbers to cmocka, whatever their types. */
#define assert_same(a, b) assert_int_equal((uint64_t)(a), (uint64_t)(b))

/* For a result that is 0 or -errno. */
#define assert_errno(result, number) assert_int_equal((result), -(number))

/* What the support library finds wrong fails the test at hand. */
static void unit_on_die(const char *message)
{
	fail_msg("%s", message);
}

__attribute__((constructor)) static void unit_set_up(void)
{
	support_on_die = unit_on_die;
}

#endif
