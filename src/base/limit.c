/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "base/limit.h"

#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* What the deepest calls of this program and of the C library take, with much to spare, in bytes.
 */
#define STACK_NEEDED (256u * 1024)
/* The loop's thread, the ring's workers, and some threads for descriptors and logs. */
#define THREADS_NEEDED 32u

static const struct limit {
	int resource;
	const char *name; /* and how it is raised */
	uint64_t needed;  /* at the start a lower one is told of; RLIM_INFINITY: each one is */
	const char *what; /* it is for */
} limits[] = {
    {RLIMIT_CPU, "ulimit -t; LimitCPU=", RLIM_INFINITY,
     "seconds of processor time, after which the system has it end"},
    {RLIMIT_FSIZE, "ulimit -f; LimitFSIZE=", RLIM_INFINITY,
     "bytes in a file: logs, and the kept output of all guests together, grow no further"},
    {RLIMIT_DATA, "ulimit -d; LimitDATA=", RLIM_INFINITY, "bytes of memory of its own"},
    {RLIMIT_AS, "ulimit -v; LimitAS=", RLIM_INFINITY,
     "bytes of addresses, the memory of all guests among them"},
    {RLIMIT_STACK, "ulimit -s; LimitSTACK=", STACK_NEEDED, "bytes of stack"},
    {RLIMIT_NPROC, "ulimit -u; LimitNPROC=; TasksMax=", THREADS_NEEDED,
     "processes and threads of its user"},
    {RLIMIT_NOFILE, "ulimit -Hn; LimitNOFILE=", 0, "open files"},
};

/* False: it is unlimited. */
static bool get(const struct limit *limit, uint64_t *ret_value)
{
	struct rlimit value;

	if (getrlimit((__rlimit_resource_t)limit->resource, &value) < 0 ||
	    value.rlim_cur == RLIM_INFINITY)
		return false;
	*ret_value = value.rlim_cur;
	return true;
}

static size_t append(char text[LIMIT_TEXT_MAX], size_t len, const struct limit *limit)
{
	uint64_t value;
	int n = 0;

	if (len < LIMIT_TEXT_MAX && get(limit, &value))
		n = snprintf(text + len, LIMIT_TEXT_MAX - len,
		             "; this process may have %" PRIu64 " %.*s (%s)", value,
		             (int)strcspn(limit->what, ",:"), limit->what, limit->name);
	return len + (size_t)MAX(n, 0);
}

static const char *explain(int error, const int *resources, unsigned int count,
                           char text[LIMIT_TEXT_MAX])
{
	size_t len = (size_t)snprintf(text, LIMIT_TEXT_MAX, "%s", strerror(-error));

	for (unsigned int i = 0; i < count; i++) {
		for (unsigned int k = 0; k < ARRAY_SIZE(limits); k++) {
			if (limits[k].resource == resources[i])
				len = append(text, len, &limits[k]);
		}
	}
	return text;
}

const char *limit_explain(int error, char text[LIMIT_TEXT_MAX])
{
	static const int memory[] = {RLIMIT_AS, RLIMIT_DATA}, files[] = {RLIMIT_NOFILE},
			 size[] = {RLIMIT_FSIZE};

	switch (error) {
	case -ENOMEM:
		return explain(error, memory, ARRAY_SIZE(memory), text);
	case -EMFILE:
		return explain(error, files, ARRAY_SIZE(files), text);
	case -ENFILE:
		snprintf(text, LIMIT_TEXT_MAX, "%s (sysctl fs.file-max)", strerror(-error));
		return text;
	case -EFBIG:
		return explain(error, size, ARRAY_SIZE(size), text);
	default:
		return explain(error, NULL, 0, text);
	}
}

const char *limit_explain_thread(int error, char text[LIMIT_TEXT_MAX])
{
	static const int causes[] = {RLIMIT_NPROC, RLIMIT_AS};

	return explain(error, causes, ARRAY_SIZE(causes), text);
}

/* Not inlined: it is to have a frame of its own, of that size. */
static __attribute__((noinline)) void touch_stack(void)
{
	volatile char page[STACK_NEEDED];

	for (size_t i = 0; i < sizeof(page); i += 4096)
		page[sizeof(page) - 1 - i] = 0;
}

/* As far as the hard limit allows. */
static void raise_stack(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_STACK, &limit) < 0 || limit.rlim_cur >= 2 * STACK_NEEDED)
		return;
	limit.rlim_cur = MIN(limit.rlim_max, 2 * STACK_NEEDED);
	setrlimit(RLIMIT_STACK, &limit);
}

void limit_check_all(void)
{
	struct rlimit stack;

	raise_stack();
	for (unsigned int i = 0; i < ARRAY_SIZE(limits); i++) {
		uint64_t value;

		if (get(&limits[i], &value) && value < limits[i].needed)
			log_warning("this process may have %" PRIu64 " %s (%s)", value,
			            limits[i].what, limits[i].name);
	}
	if (getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur >= 2 * STACK_NEEDED)
		touch_stack();
}
