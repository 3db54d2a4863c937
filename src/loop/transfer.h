/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Some bytes that go through a descriptor of somebody else's, all of them before their end: a pipe,
 * a stream socket or a file in memory. They go in pieces of TRANSFER_PIECE bytes: however many
 * there are, and however slow the other end is, nobody else waits.
 *
 * What is written is read where it lies. What was read lies in memory of the transfer's own, which
 * is taken from the system only as it fills.
 */
#ifndef LOOP_TRANSFER_H
#define LOOP_TRANSFER_H

#include "loop/loop.h"

#include <sys/uio.h>

#define TRANSFER_PIECE (64u * 1024)

struct transfer {
	struct loop_op op;
	struct loop_timer pause;
	struct fd_discarder *discarder;
	int fd;
	bool reading;
	bool polling; /* the op waits until there is something to do */
	/* Reading. */
	uint8_t *bytes; /* limit + 1 of them are mapped, or NULL */
	size_t len;     /* so many have come */
	size_t limit;   /* the most that is read */
	/* Writing. */
	const struct iovec *pieces; /* the next one first */
	unsigned int pieces_left;
	size_t done; /* of the first */
	/*
	 * The other end is closed (reading) or all is written and our end closed; or `error` is
	 * -errno: -EFBIG where there is more than the limit. What was read goes with
	 * transfer_forget().
	 */
	void (*ended)(struct transfer *transfer, int error);
	/* Whether what was read can be taken now; if not, it is asked again a little later. */
	bool (*may_end)(struct transfer *transfer);
};

/* The descriptors of its transfers, and the memory for what is read, end with `discarder`. */
void transfer_init(struct transfer *transfer, struct loop_scope *scope,
                   struct fd_discarder *discarder,
                   void (*ended)(struct transfer *transfer, int error),
                   bool (*may_end)(struct transfer *transfer));

/*
 * Begins to read at most `limit` bytes from a descriptor that is the transfer's from now on. None
 * is under way and nothing is left of the one before: asserted. Returns 0, or -ENOMEM (fd not
 * taken).
 */
int transfer_read(struct transfer *transfer, int fd, size_t limit);

/* The same for writing. The `count` pieces, none empty, and their bytes live until `ended`. */
void transfer_write(struct transfer *transfer, int fd, const struct iovec *pieces,
                    unsigned int count);

static inline bool transfer_under_way(const struct transfer *transfer)
{
	return transfer->fd >= 0;
}

/*
 * Gives the system back the pages of what was read that lie wholly between byte `from` and byte
 * `to`. What begins inside a page that is still needed goes with transfer_forget().
 */
void transfer_forget_part(struct transfer *transfer, size_t from, size_t to);

/* Gives back all that was read. None is under way: asserted. */
void transfer_forget(struct transfer *transfer);

/* The scope has drained. */
void transfer_deinit(struct transfer *transfer);

#endif
