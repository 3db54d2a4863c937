/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a test must leave as it found it: open files and shared mappings; and a limit to its time.
 *
 * Use as cmocka's setup and teardown:
 *	cmocka_unit_test_setup_teardown(test, resources_setup, resources_teardown)
 *	cmocka_run_group_tests(tests, resources_group_setup, resources_group_teardown)
 * The teardown fails the test, and says which files and mappings are new.
 */
#ifndef SUPPORT_RESOURCES_H
#define SUPPORT_RESOURCES_H

#include <stdbool.h>
#include <stddef.h>

struct resources {
	int fds;      /* entries of /proc/self/fd */
	int mappings; /* shared ones of /proc/self/maps: memfds, files, rings of io_uring */
	char *list;   /* one line for each, allocated */
};

/* Counts. Free with resources_free(). */
void resources_count(struct resources *ret_resources);
void resources_free(struct resources *resources);

/* Whether the numbers are the same; if not, prints the lines that are only in one of the lists. */
bool resources_same(const struct resources *before, const struct resources *after);

/*
 * For each test: remembers the numbers and sets an alarm of six times the deadline of support.h;
 * when it rings, the program says so and aborts.
 * `state` isn't touched.
 */
#define RESOURCES_DEADLINES 6
int resources_setup(void **state);
int resources_teardown(void **state);

/* For a group of tests, without the alarm. */
int resources_group_setup(void **state);
int resources_group_teardown(void **state);

#endif
