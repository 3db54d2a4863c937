/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_file(pid_t pid, const char *task, const char *name)
{
	char path[320];

	if (task)
		snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", (int)pid, task, name);
	else
		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return fopen(path, "re");
}

/* The sum of the lines' numbers that begin with one of the two names. */
static uint64_t sum_of(FILE *file, const char *name, const char *other)
{
	char line[256];
	uint64_t sum = 0;

	while (file && fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');

		if (!colon)
			continue;
		*colon = '\0';
		if (strcmp(line, name) == 0 || (other && strcmp(line, other) == 0))
			sum += strtoull(colon + 1, NULL, 10);
	}
	return sum;
}

static uint64_t number_in(pid_t pid, const char *task, const char *file_name, const char *name,
                          const char *other)
{
	FILE *file = open_file(pid, task, file_name);
	uint64_t sum = sum_of(file, name, other);

	if (file)
		fclose(file);
	return sum;
}

static uint64_t processor_ns(pid_t pid, const char *task)
{
	FILE *file = open_file(pid, task, "schedstat");
	char line[128] = "";
	uint64_t ns = 0;

	if (file && fgets(line, sizeof(line), file))
		ns = strtoull(line, NULL, 10);
	if (file)
		fclose(file);
	return ns;
}

struct process_usage process_usage(pid_t pid)
{
	struct process_usage usage = {0};
	char path[64];
	struct dirent *entry;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks))) {
		if (entry->d_name[0] == '.')
			continue;
		usage.cpu_ns += processor_ns(pid, entry->d_name);
		usage.voluntary +=
		    number_in(pid, entry->d_name, "status", "voluntary_ctxt_switches", NULL);
		usage.involuntary +=
		    number_in(pid, entry->d_name, "status", "nonvoluntary_ctxt_switches", NULL);
	}
	if (tasks)
		closedir(tasks);
	return usage;
}

struct process_usage process_since(pid_t pid, const struct process_usage *begin)
{
	struct process_usage usage = process_usage(pid);

	usage.cpu_ns -= begin->cpu_ns;
	usage.voluntary -= begin->voluntary;
	usage.involuntary -= begin->involuntary;
	return usage;
}

static unsigned int entries(pid_t pid, const char *name)
{
	char path[64];
	struct dirent *entry;
	unsigned int count = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	folder = opendir(path);
	while (folder && (entry = readdir(folder)))
		count += entry->d_name[0] != '.';
	if (folder)
		closedir(folder);
	return count;
}

struct process_size process_size(pid_t pid)
{
	return (struct process_size){
	    .threads = entries(pid, "task"),
	    .fds = entries(pid, "fd"),
	    .private_bytes =
		1024 * number_in(pid, NULL, "smaps_rollup", "Private_Clean", "Private_Dirty"),
	    .page_table_bytes = 1024 * number_in(pid, NULL, "status", "VmPTE", NULL),
	};
}
