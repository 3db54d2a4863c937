/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The arithmetic of the process's descriptors. It opens nothing and asks for no limit.
 */
#include "daemon_fds.h"

#include "base/macros.h"
#include "guest.h"

/* The process's own: its streams, the ring, the arena, signals, control, folders. */
#define FDS_BASE 64u

/* Of the 65,530 mappings that Linux gives a process (vm.max_map_count), those for guest memory. */
#define REGIONS_ALL 65000u
/* What each guest may have of them in any case: there may be too many guests to share by. */
#define REGIONS_LEAST 64u

/* A region is a mapping and a descriptor; both are shared out. */
static unsigned int share_regions(unsigned int guests, uint64_t spare_fds)
{
	/* There is one at least, as the options have it. */
	unsigned int sharing = MAX(guests, 1u);
	unsigned int by_mappings = MAX(REGIONS_ALL / sharing, REGIONS_LEAST);
	uint64_t by_fds = GUEST_REGIONS_LEAST + spare_fds / 2 / sharing;

	return (unsigned int)MIN(MIN(by_fds, by_mappings), GMEM_REGIONS_MAX);
}

struct daemon_fds daemon_share_fds(const struct config *config, uint64_t limit)
{
	struct daemon_fds fds = {.needed = FDS_BASE};
	uint64_t newcomers = 0;

	for (unsigned int i = 0; i < config->guests_count; i++) {
		fds.needed += guest_fds(&config->guests[i]);
		/* A frontend, and a client of each port. */
		newcomers += 1 + config->guests[i].max_ports;
	}
	fds.regions = share_regions(config->guests_count, limit - MIN(limit, fds.needed));
	fds.reserved = fds.needed + newcomers +
	               (uint64_t)config->guests_count * (fds.regions - GUEST_REGIONS_LEAST);
	return fds;
}
