/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The backend's process: started here or somebody else's, whether it lives, what it holds.
 */
#ifndef FUZZ_PROCESS_H
#define FUZZ_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct process {
	pid_t pid;    /* 0: not known */
	bool spawned; /* by us: a child, until it has ended */
	bool ended;
	int status; /* of waitpid(), once a child has ended */
};

/* Descriptors, shared mappings, and KiB of private memory. */
struct process_holds {
	unsigned int fds;
	unsigned int mappings;
	unsigned long memory;
};

/*
 * Starts a shell's command, with `{socket}` in it replaced by the path; what it prints goes to the
 * file `log`. It dies with us. Returns 0 or -errno.
 */
int process_spawn(struct process *process, const char *command, const char *socket,
                  const char *log);

/* Whether it runs. One whose number isn't known does. */
bool process_lives(struct process *process);

/* Ends a child: SIGTERM, and SIGKILL after the deadline. Whether it went by itself, with status 0.
 */
bool process_end(struct process *process, unsigned int deadline_ms);

/* False if that can't be read, or no number is known. */
bool process_count(const struct process *process, struct process_holds *ret);

/* Whether a child that has ended did so by a signal. */
bool process_was_killed(const struct process *process);

/* How a child ended, in words; static. */
const char *process_status_text(const struct process *process);

#endif
