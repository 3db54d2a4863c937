/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest's memory: the regions that the frontend shares, mapped here.
 *
 * The only way from a peer's address to a pointer is an address together with a length, and the
 * answer is the whole range or nothing. A guest's physical address, the frontend's user address,
 * the file offset and our own address of the same byte are four different numbers.
 *
 * The frontend may make a file shorter under its mapping. At the first access that finds nothing,
 * other memory takes the mapping's place, and its gmem is `lost`, so that whoever works with
 * it can end that guest when it comes to it.
 */
#ifndef VIRTQUEUE_GMEM_H
#define VIRTQUEUE_GMEM_H

#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most regions of a guest: as many as the kernel's vhost takes. */
#define GMEM_REGIONS_MAX 509u

/* A region as the frontend describes it (vhost-user, "Memory region description"). */
struct gmem_region {
	uint64_t guest_addr;
	uint64_t size;
	uint64_t user_addr;
	uint64_t mmap_offset; /* of the region's first byte in the file */
};

struct gmem_mapping {
	struct gmem_region region;
	int fd;
	void *map; /* what was mapped: the region, widened to whole pages of its file */
	size_t map_len;
	uint8_t *host;          /* the region's first byte */
	uint64_t device, inode; /* of the file: two regions may be the same bytes of one */
};

/* Some bytes of a file that lie together: a file is its device's number and its inode's. */
struct gmem_place {
	uint64_t device, inode;
	uint64_t offset; /* of the first byte in the file */
	uint64_t len;    /* 0: no bytes */
};

struct gmem {
	struct fault_guard guard; /* stands while there are mappings */
	volatile bool lost;       /* a file has become shorter, see above */
	unsigned int count;
	unsigned int last_hit; /* the next address mostly lies where the one before did */
	unsigned int room;     /* of `mappings`: most guests have two regions, few have hundreds */
	struct gmem_mapping *mappings; /* by their guest addresses */
	struct fd_discarder *discarder;
};

enum gmem_verdict {
	GMEM_OK,
	GMEM_NO_SLOT,
	GMEM_EMPTY,
	GMEM_OVERFLOW,   /* an address or an offset plus the size passes 2^64 */
	GMEM_OVERLAP,    /* with another region, in guest or in user addresses */
	GMEM_FILE_KIND,  /* not a file in memory */
	GMEM_FILE_SHORT, /* the region ends behind the end of the file */
	GMEM_TOO_MUCH    /* more would be mapped than may be */
};

/* Its mappings and files end with `discarder` (NULL: at once). */
void gmem_init(struct gmem *gmem, struct fd_discarder *discarder);

/* All mappings and files go to the discarder. May be called again, or used again after. */
void gmem_deinit(struct gmem *gmem);

/* Moves all regions of `from`, which is empty afterwards, to `to`, which loses its own. */
void gmem_replace(struct gmem *to, struct gmem *from);

/* How much memory a guest may have. */
struct gmem_limits {
	unsigned int regions; /* at most GMEM_REGIONS_MAX */
	uint64_t mapped;      /* bytes of our address space */
};

/* Whether the region may be added to what is there. Does nothing to fd. */
enum gmem_verdict gmem_judge(const struct gmem *gmem, const struct gmem_region *region, int fd,
                             const struct gmem_limits *limits);
const char *gmem_verdict_text(enum gmem_verdict verdict);

/* How many bytes of our address space the regions have, at whole pages of their files. */
uint64_t gmem_mapped(const struct gmem *gmem);

/* Maps a region that was judged GMEM_OK. Takes fd if it succeeds. Returns 0 or -errno. */
int gmem_map(struct gmem *gmem, const struct gmem_region *region, int fd);

/*
 * Whether there is a region with these addresses and this size; the offset doesn't count
 * (vhost-user, VHOST_USER_REM_MEM_REG).
 */
bool gmem_has(const struct gmem *gmem, const struct gmem_region *region);

/* Removes it. It is there: asserted. */
void gmem_unmap(struct gmem *gmem, const struct gmem_region *region);

/*
 * Where the `len` bytes at guest physical address `addr` are. NULL unless all of them lie in
 * one region; NULL for no bytes at all.
 */
void *gmem_guest(struct gmem *gmem, uint64_t addr, uint64_t len);

/*
 * The same, for the beginning of a range that may go on in the next region: writes how many of
 * the `len` bytes lie together, at least 1.
 */
void *gmem_guest_part(struct gmem *gmem, uint64_t addr, uint64_t len, size_t *ret_len);

/*
 * In how many parts the `len` bytes at guest physical address `addr` are mapped; 0 if one of them
 * isn't, or for no bytes at all.
 */
unsigned int gmem_covers(struct gmem *gmem, uint64_t addr, uint64_t len);

/* The same as gmem_guest() for an address in the frontend's own address space. */
void *gmem_user(struct gmem *gmem, uint64_t addr, uint64_t len);

/* Which bytes of which file gmem_user() finds; none (of length 0) where it finds nothing. */
struct gmem_place gmem_user_place(const struct gmem *gmem, uint64_t addr, uint64_t len);

/* Whether two places have a byte in common, whatever addresses they were found at. */
bool gmem_places_overlap(const struct gmem_place *a, const struct gmem_place *b);

#endif
