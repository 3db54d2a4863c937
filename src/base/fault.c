/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "base/fault.h"

#include "base/macros.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

/* A signal comes to the process, so there is one line of guards. */
static struct list the_guards = {&the_guards, &the_guards};

static void on_bus_error(int signal, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)signal, (void)context;
	list_for_each (link, &the_guards) {
		struct fault_guard *guard = container_of(link, struct fault_guard, link);

		if (guard->hit(guard, info->si_addr)) {
			errno = saved;
			return;
		}
	}
	/* Not by SIGBUS once more: whoever has something to put in order may do so at this one. */
	abort();
}

void fault_guard_init(struct fault_guard *guard,
                      bool (*hit)(struct fault_guard *guard, const void *addr))
{
	list_init(&guard->link);
	guard->hit = hit;
}

void fault_guard_enter(struct fault_guard *guard)
{
	struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

	if (list_empty(&the_guards))
		sigaction(SIGBUS, &action, NULL);
	list_remove(&guard->link);
	list_append(&the_guards, &guard->link);
}

void fault_guard_leave(struct fault_guard *guard)
{
	list_remove(&guard->link);
}
