/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Some bytes that go through a descriptor of somebody else's, all of them before their end: a pipe,
 * a stream socket or a file in memory. However slow the other end is, nobody else waits.
 */
#ifndef LOOP_TRANSFER_H
#define LOOP_TRANSFER_H

#include "loop/loop.h"

struct transfer {
	struct loop_op op;
	struct loop_timer pause;
	struct fd_discarder *discarder;
	int fd;
	bool reading;
	bool polling; /* the op waits until there is something to do */
	uint8_t *bytes;
	size_t len;   /* done, when reading; to be done, when writing */
	size_t room;  /* of `bytes` */
	size_t limit; /* the most that is read */
	size_t done;
	/*
	 * The other end is closed (reading) or all is written and our end closed; or `error` is
	 * -errno: -EFBIG where there is more than the limit. The bytes go when this returns.
	 */
	void (*ended)(struct transfer *transfer, int error);
	/* Whether what was read can be taken now; if not, it is asked again a little later. */
	bool (*may_end)(struct transfer *transfer);
};

/* The descriptors of its transfers end with `discarder`. */
void transfer_init(struct transfer *transfer, struct loop_scope *scope,
                   struct fd_discarder *discarder,
                   void (*ended)(struct transfer *transfer, int error),
                   bool (*may_end)(struct transfer *transfer));

/* Begins, with a descriptor that is the transfer's from now on. It isn't under way: asserted. */
void transfer_read(struct transfer *transfer, int fd, size_t limit);
/* `bytes` are allocated, and the transfer's from now on. */
void transfer_write(struct transfer *transfer, int fd, void *bytes, size_t len);

static inline bool transfer_under_way(const struct transfer *transfer)
{
	return transfer->fd >= 0;
}

/* The scope has drained. */
void transfer_deinit(struct transfer *transfer);

#endif
