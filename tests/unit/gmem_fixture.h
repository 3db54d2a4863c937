/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The guest memory of tests/support as the frontend's regions, mapped by the code under test.
 */
#ifndef GMEM_FIXTURE_H
#define GMEM_FIXTURE_H

#include "guest_memory.h"
#include "support.h"
#include "virtqueue/gmem.h"

#include <fcntl.h>

static const struct gmem_limits gmem_fixture_no_limits = {GMEM_REGIONS_MAX, UINT64_MAX};

static inline struct gmem_region gmem_fixture_region(const struct guest_region *region)
{
	return (struct gmem_region){
	    .guest_addr = region->gpa,
	    .size = region->size,
	    .user_addr = region->uva,
	    .mmap_offset = region->offset,
	};
}

static inline void gmem_fixture_map(struct gmem *gmem, const struct guest_memory *memory,
                                    unsigned int i)
{
	struct gmem_region region = gmem_fixture_region(&memory->region[i]);
	int fd = fcntl(memory->region[i].fd, F_DUPFD_CLOEXEC, 0);

	if (gmem_judge(gmem, &region, fd, &gmem_fixture_no_limits) != GMEM_OK ||
	    gmem_map(gmem, &region, fd) < 0)
		support_die("region %u can't be mapped", i);
}

static inline void gmem_fixture_map_all(struct gmem *gmem, const struct guest_memory *memory)
{
	gmem_init(gmem, NULL);
	for (unsigned int i = 0; i < memory->count; i++)
		gmem_fixture_map(gmem, memory, i);
}

#endif
