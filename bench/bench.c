/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "support.h"

const struct scenario scenarios[] = {
    {"floors", "what this machine can do: TCP loopback, memcpy, eventfds", scenario_floors},
    {"output", "guest to client, buffers of each size queued deep", scenario_output},
    {"input", "client to guest, buffers of each size queued deep", scenario_input},
    {"hvc", "16 bytes, kick, spin until used: Linux's console driver", scenario_hvc},
    {"wait", "16 bytes, kick, wait for the call", scenario_wait},
    {"keystroke", "a client's byte to the guest, its echo to the client", scenario_keystroke},
    {"cost", "what telnet, a log and a second client cost", scenario_cost},
    {"slow", "the guest's output with no client, a slow one, one that reads nothing",
     scenario_slow},
    {"scale", "1 to 1000 guests: bring-up, memory, idling, fairness", scenario_scale},
    {NULL, NULL, NULL},
};

static struct report *fail_report;

static void fail(const char *message)
{
	fflush(stdout);
	fprintf(stderr, "\n*** FAILED: %s ***\n", message);
	if (fail_report)
		report_failure(fail_report, message);
	backend_stop_all();
	exit(1);
}

void bench_fail(const char *format, ...)
{
	char message[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	fail(message);
	abort();
}

bool bench_missed(struct bench *bench, const char *variant, uint64_t missed)
{
	char message[256];

	if (!missed || bench->check)
		return false;
	snprintf(message, sizeof(message),
	         "%s: a reading client missed %llu bytes: this run isn't counted", variant,
	         (unsigned long long)missed);
	fprintf(stderr, "*** FAILED: %s ***\n", message);
	report_failure(bench->report, message);
	bench->failed = true;
	return true;
}

void bench_fail_setup(struct report *report)
{
	fail_report = report;
	support_on_die = fail;
}
