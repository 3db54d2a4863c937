/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Which calls fail. See plan.h.
 */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[PLAN_KINDS] = {"memory", "files",      "calls",
                                              "ring",   "interrupts", "enter"};

/* There is one process, hence one plan. */
static struct {
	bool read;
	enum plan_kind kind;
	unsigned long first, count, every;
	unsigned long calls, failed;
} the_plan;

static bool read_numbers(const char *text, unsigned long *const *numbers, unsigned int count)
{
	char *end;

	for (unsigned int i = 0; i < count; i++) {
		*numbers[i] = strtoul(text, &end, 10);
		if (end == text)
			return false;
		text = end;
	}
	return true;
}

/* Nothing here may call what is wrapped; what the C library calls itself isn't. */
static void read_plan(void)
{
	unsigned long *const numbers[] = {&the_plan.first, &the_plan.count, &the_plan.every};
	const char *text = getenv("FAULTS");
	size_t len = text ? strcspn(text, " ") : 0;

	the_plan.read = true;
	the_plan.kind = PLAN_KINDS;
	if (!text || !read_numbers(text + len, numbers, 3))
		return;
	for (unsigned int i = 0; i < PLAN_KINDS; i++) {
		if (strlen(names[i]) == len && strncmp(text, names[i], len) == 0)
			the_plan.kind = (enum plan_kind)i;
	}
}

/* With a period the same request of each turn would fail for ever. */
static unsigned long scattered(unsigned long number)
{
	return (unsigned long)((uint64_t)number * 0x9e3779b97f4a7c15 >> 33);
}

bool plan_fails(enum plan_kind kind)
{
	unsigned long since;

	if (!the_plan.read)
		read_plan();
	/* When the threads that close descriptors run is in nobody's plan. */
	if (kind != the_plan.kind || gettid() != getpid())
		return false;
	the_plan.calls++;
	if (the_plan.calls < the_plan.first || the_plan.failed >= the_plan.count)
		return false;
	since = the_plan.calls - the_plan.first;
	if (since > 0 && scattered(since) % the_plan.every != 0)
		return false;
	the_plan.failed++;
	return true;
}

unsigned int plan_entries(void)
{
	const char *text = getenv("FAULTS_ENTRIES");

	return text ? (unsigned int)strtoul(text, NULL, 10) : 0;
}

__attribute__((destructor)) static void report(void)
{
	const char *path = getenv("FAULTS_REPORT");
	FILE *file = path ? fopen(path, "we") : NULL;

	if (!file)
		return;
	fprintf(file, "%lu %lu\n", the_plan.calls, the_plan.failed);
	fclose(file);
}
