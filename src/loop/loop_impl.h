/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the files of the loop have in common. Nobody else should need this.
 */
#ifndef LOOP_LOOP_IMPL_H
#define LOOP_LOOP_IMPL_H

#include "base/log.h"
#include "loop/descriptors.h"
#include "loop/loop.h"

#include <liburing.h>

struct aside_pool;

/* aside.c */
struct loop_asides {
	struct aside_pool *pool;
	struct loop_op told;     /* waits until something is made */
	struct loop_timer again; /* for a thread, if there can't be one */
	unsigned int calls;      /* that aren't done */
};

struct loop {
	struct io_uring ring;
	struct list backlog; /* ops that need an entry, to be armed or to be cancelled */
	struct list work;
	struct list flush;
	struct list gather;
	struct list drainers;
	struct list watches;
	struct list reliefs;
	struct list short_of; /* ops to be armed again when `shortage` is over */
	struct list short_of_fds[LOOP_FD_ORDERS]; /* ops to be armed again one after the other */
	struct loop_scope scope;
	struct loop_timer shortage;
	struct loop_timer tidy_time;
	void (*tidy)(void);
	uint64_t now_ms;
	uint64_t watch_ns, gather_ns; /* LOOP_WATCH_NS and LOOP_GATHER_NS, but in tests */
	uint64_t gathered_ns;         /* when gather tasks were run last */
	size_t sending; /* what the flush and gather tasks of this turn have armed to be sent */
	uint64_t completions;
	/* descriptors.c */
	uint64_t reserved_fds;
	uint64_t spare_fds_used; /* besides */
	/* discard.c */
	unsigned int discards; /* descriptors that are being closed, or wait for it */
	struct loop_op closed;
	struct log_limit no_thread;
	int closed_pipe[2]; /* in which threads give back what they have closed */
	bool ending;
	bool stopping;
	struct loop_asides asides;
};

/* loop.c */

/* For an op that has just completed: it waits in `queue`, which the shortage's end works off. */
void loop_wait_in(struct loop_op *op, struct list *queue);

/* descriptors.c */

/*
 * Lets some of those who wait for a descriptor try again. Returns whether others still wait; those
 * who try will, too, if there is none.
 */
bool loop_retry_fds(struct loop *loop);

/* discard.c */

/* Returns 0 or -errno. The end waits, not for long, until what was discarded is closed. */
int loop_closed_init(struct loop *loop);
void loop_closed_deinit(struct loop *loop);

/* aside.c */

/* Returns 0 or -errno; to be followed by the end in any case. */
int loop_asides_init(struct loop *loop);
/* Waits for what isn't done, not for long. */
void loop_asides_finish(struct loop *loop);
/* When nothing is in flight any more. Threads whose calls hang stay. */
void loop_asides_deinit(struct loop *loop);

/* loop_tasks.c */

/* Runs what is queued now; what that queues is for the next turn. */
void loop_run_tasks(struct list *queue);

/* Runs the flush tasks, and the gather tasks if it is time, up to LOOP_SEND_BYTES. */
void loop_flush_now(struct loop *loop, uint64_t now_ns);

/* Nothing is watched any more. */
void loop_let_rest(struct loop *loop);

/* Hands over what is prepared without waiting; a system call only if it takes one. */
int loop_exchange(struct loop *loop);

/*
 * Works off what the watches find, as long as they find something soon enough and the kernel has
 * nothing for us. Returns 0, or -errno if the ring itself failed.
 */
int loop_watch_before_sleep(struct loop *loop);

#endif
