/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "base/fault.h"

#include "base/macros.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

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

static bool replace_by(void *map, size_t len, int flags, int fd)
{
	return mmap(map, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) != MAP_FAILED;
}

/* Pages of a memfd are charged when they are written, whatever the system's rules for the rest. */
static bool replace_by_memfd(void *map, size_t len)
{
	int fd = memfd_create("lost", MFD_CLOEXEC);
	bool ok = fd >= 0 && ftruncate(fd, (off_t)len) == 0 && replace_by(map, len, MAP_SHARED, fd);

	if (fd >= 0)
		close(fd);
	return ok;
}

bool fault_replace(void *map, size_t len)
{
	/* With vm.overcommit_memory=2 or RLIMIT_DATA, the first may be refused. */
	return replace_by(map, len, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1) ||
	       replace_by_memfd(map, len);
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
