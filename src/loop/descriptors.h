/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The descriptors that the process may have (RLIMIT_NOFILE).
 *
 * Clients come as many as they like, guests' frontends can't do without. So most descriptors are
 * reserved, and clients have only those that are spare. If the process, or the system, can open no
 * more all the same, those who hold descriptors for peers that are gone give them back, and who
 * needs one tries again now and then. Whatever the number of those who wait, and of clients, an
 * interval costs no more than LOOP_FD_TRIES tries and LOOP_FD_LOOKS looks.
 */
#ifndef LOOP_DESCRIPTORS_H
#define LOOP_DESCRIPTORS_H

#include "loop/loop.h"

/* In LOOP_SHORTAGE_MS: how many try again, unless one succeeds; then the next follows at once. */
#define LOOP_SHORTAGE_MS 20u
#define LOOP_FD_TRIES    8u
/* After how many looks at those who may give one back the rest is for the next interval. */
#define LOOP_FD_LOOKS 64u

/* So many descriptors, open or not yet, aren't for others than those they are meant for. */
void loop_reserve_fds(struct loop *loop, uint64_t fds);

/*
 * Whether another descriptor that isn't a reserved one may be used. The limit is looked at anew:
 * somebody may have changed it.
 */
bool loop_has_spare_fd(const struct loop *loop);
/* One more that isn't a reserved one is used, or one less. */
void loop_use_spare_fd(struct loop *loop);
void loop_return_spare_fd(struct loop *loop);

/* In which order ops get the next descriptors. */
enum loop_fd_order {
	LOOP_FD_FIRST,
	LOOP_FD_LAST,
	LOOP_FD_ORDERS,
};

/*
 * For an op whose function was just called because no more descriptors can be opened (-EMFILE,
 * -ENFILE): the same request once more, when it is its turn.
 */
void loop_arm_for_fd(struct loop_op *op, enum loop_fd_order order);
/* An op got a descriptor: the next that waits for one tries now. */
void loop_fd_came(struct loop *loop);

/*
 * Somebody who holds descriptors for peers that may be gone, and can give one back. `relieve`
 * returns whether it has, or will soon, and adds how many peers it has looked at.
 */
struct loop_relief {
	bool (*relieve)(struct loop_relief *relief, unsigned int *looks);
	struct list link;
};

/* From now on it may be asked; it ends with loop_relief_remove(), which may be called twice. */
void loop_relief_add(struct loop *loop, struct loop_relief *relief,
                     bool (*relieve)(struct loop_relief *relief, unsigned int *looks));
void loop_relief_remove(struct loop_relief *relief);

#endif
