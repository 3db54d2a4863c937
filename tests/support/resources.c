/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Counts open files and shared mappings. See resources.h.
 */
#include "resources.h"

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

static struct resources before_test;
static struct resources before_group;

/* ---- counting ---- */

static int list_fds(FILE *list)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	char target[256];
	ssize_t length;
	int count = 0;

	if (!directory)
		support_die("/proc/self/fd can't be read");
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.' ||
		    (int)support_number(entry->d_name, INT_MAX) == dirfd(directory))
			continue;
		length = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = 0;
		fprintf(list, "file %s -> %s\n", entry->d_name, target);
		count++;
	}
	closedir(directory);
	return count;
}

/* Lines of /proc/self/maps are: from-to perms offset device inode path; perms end in s if shared.
 */
static int list_mappings(FILE *list)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512], permissions[8];
	int count = 0;

	if (!maps)
		support_die("/proc/self/maps can't be read");
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%*s %7s", permissions) != 1 || permissions[3] != 's')
			continue;
		fprintf(list, "mapping %s", line);
		count++;
	}
	fclose(maps);
	return count;
}

void resources_count(struct resources *ret_resources)
{
	char *text = NULL;
	size_t size = 0;
	FILE *list = open_memstream(&text, &size);

	if (!list)
		support_die("out of memory");
	/* open_memstream() has no file of its own; the two readers close theirs. */
	ret_resources->fds = list_fds(list);
	ret_resources->mappings = list_mappings(list);
	fclose(list);
	ret_resources->list = text;
}

void resources_free(struct resources *resources)
{
	free(resources->list);
	*resources = (struct resources){0};
}

/* ---- comparing ---- */

static bool has_line(const char *list, const char *line, size_t length)
{
	const char *at;

	for (at = list; (at = strstr(at, "\n")); at++)
		if (strncmp(at + 1, line, length) == 0)
			return true;
	return strncmp(list, line, length) == 0;
}

static void print_missing(const char *what, const char *list, const char *other)
{
	const char *line, *end;

	for (line = list; (end = strchr(line, '\n')); line = end + 1)
		if (!has_line(other, line, (size_t)(end - line) + 1))
			fprintf(stderr, "%s %.*s\n", what, (int)(end - line), line);
}

bool resources_same(const struct resources *before, const struct resources *after)
{
	if (before->fds == after->fds && before->mappings == after->mappings)
		return true;
	fprintf(stderr, "files %d before, %d after; shared mappings %d before, %d after\n",
	        before->fds, after->fds, before->mappings, after->mappings);
	print_missing("gone:", before->list, after->list);
	print_missing("left:", after->list, before->list);
	return false;
}

/* ---- around tests ---- */

static void on_alarm(int signal_number)
{
	static const char message[] = "test support: the test takes too long\n";

	(void)signal_number;
	if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0)
		_exit(1);
	abort();
}

static unsigned int alarm_seconds(void)
{
	uint64_t deadlines = RESOURCES_DEADLINES * support_deadline_ms() / 1000;

	return deadlines > 0 ? (unsigned int)deadlines : 1;
}

static int compare_with(struct resources *before)
{
	struct resources after;
	bool same;

	resources_count(&after);
	same = resources_same(before, &after);
	resources_free(&after);
	resources_free(before);
	return same ? 0 : -1;
}

int resources_setup(void **state)
{
	struct sigaction action = {.sa_handler = on_alarm};

	(void)state;
	resources_free(&before_test);
	resources_count(&before_test);
	sigaction(SIGALRM, &action, NULL);
	alarm(alarm_seconds());
	return 0;
}

int resources_teardown(void **state)
{
	(void)state;
	alarm(0);
	return compare_with(&before_test);
}

int resources_group_setup(void **state)
{
	(void)state;
	resources_free(&before_group);
	resources_count(&before_group);
	return 0;
}

int resources_group_teardown(void **state)
{
	(void)state;
	return compare_with(&before_group);
}
