/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "machine.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

static int processor[2];
static int processors;

void machine_init(void)
{
	cpu_set_t allowed;
	int i;

	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	processors = 0;
	for (i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET((size_t)i, &allowed))
			continue;
		if (!processors)
			processor[MACHINE_BENCH] = i;
		processor[MACHINE_BACKEND] = i;
		processors++;
	}
}

bool machine_is_pinned(void)
{
	return processors > 1;
}

int machine_processor(enum machine_side side)
{
	return processor[side];
}

void machine_pin(pid_t thread, enum machine_side side)
{
	cpu_set_t one;

	if (!machine_is_pinned())
		return;
	CPU_ZERO(&one);
	CPU_SET((size_t)processor[side], &one);
	sched_setaffinity(thread, sizeof(one), &one);
}

uint64_t machine_raise_files(uint64_t wanted)
{
	struct rlimit limit, more;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	if (limit.rlim_cur >= wanted)
		return limit.rlim_cur;
	more = (struct rlimit){.rlim_cur = wanted, .rlim_max = limit.rlim_max};
	if (more.rlim_max < wanted)
		more.rlim_max = wanted;
	if (!setrlimit(RLIMIT_NOFILE, &more))
		return wanted;
	more = (struct rlimit){.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
	return setrlimit(RLIMIT_NOFILE, &more) ? limit.rlim_cur : more.rlim_cur;
}

static void read_model(char *ret_model, size_t room)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(ret_model, room, "unknown processor");
	while (file && fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !colon)
			continue;
		colon[strcspn(colon, "\n")] = '\0';
		snprintf(ret_model, room, "%.100s", colon + 2);
		break;
	}
	if (file)
		fclose(file);
}

/* How TCP paces itself makes a difference even on loopback. */
static void read_congestion(char *ret_name, size_t room)
{
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_congestion_control", "re");

	if (!file || !fgets(ret_name, (int)room, file))
		snprintf(ret_name, room, "unknown");
	ret_name[strcspn(ret_name, "\n")] = '\0';
	if (file)
		fclose(file);
}

const char *machine_folder(void)
{
	return access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
}

const char *machine_describe(void)
{
	static char text[512];
	char model[128], congestion[32], where[128] = "one processor, nobody pinned";
	struct utsname system;

	uname(&system);
	read_model(model, sizeof(model));
	read_congestion(congestion, sizeof(congestion));
	if (machine_is_pinned())
		snprintf(where, sizeof(where), "guest and client on processor %d, backend on %d",
		         processor[MACHINE_BENCH], processor[MACHINE_BACKEND]);
	snprintf(text, sizeof(text), "%d x %s, %s %s, TCP %s; %s", processors, model,
	         system.sysname, system.release, congestion, where);
	return text;
}
