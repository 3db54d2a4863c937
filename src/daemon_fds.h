/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * How the descriptors that the process may have are shared out among guests and clients. Pure.
 *
 * Each guest has what it needs, with one client a port and a few regions of memory. Of the others
 * half are for more regions, the rest for more clients. So nobody can use up what others need.
 */
#ifndef DAEMON_FDS_H
#define DAEMON_FDS_H

#include "config.h"

#include <stdint.h>

struct daemon_fds {
	uint64_t needed;      /* by the process and all guests */
	unsigned int regions; /* of memory, that each guest may have */
	/*
	 * What is kept from clients but each port's first: what is needed, all regions, and those
	 * who have just been accepted, until they are turned away.
	 */
	uint64_t reserved;
};

/* `limit` is the most that may be open, UINT64_MAX without one. It may be less than is needed. */
struct daemon_fds daemon_share_fds(const struct config *config, uint64_t limit);

#endif
