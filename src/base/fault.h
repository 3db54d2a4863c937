/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Mappings of files that somebody else may make shorter: an access behind the new end is answered
 * with SIGBUS.
 *
 * Guards stand in line; the one whose mapping was hit puts other memory in its place, and the
 * access goes on. A SIGBUS that none of them knows ends the process.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>

struct fault_guard {
	struct list link;
	/*
	 * Whether `addr` was in one of its mappings, which is replaced. Called in the signal's
	 * handler: it must be async-signal-safe.
	 */
	bool (*hit)(struct fault_guard *guard, const void *addr);
};

void fault_guard_init(struct fault_guard *guard,
                      bool (*hit)(struct fault_guard *guard, const void *addr));

/*
 * Puts other memory in the place of a mapping, whole pages; async-signal-safe. False if the system
 * refuses.
 */
bool fault_replace(void *map, size_t len);

/* Has it stand guard, or not any more. The signal is taken over by the first that does. */
void fault_guard_enter(struct fault_guard *guard);
void fault_guard_leave(struct fault_guard *guard);

#endif
