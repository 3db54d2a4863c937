/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Closes what one peer has sent, beside the loop, as closing may take for ever; see fd_discard().
 * Mappings are given back there, too: it takes a second for some ten gigabytes that were touched.
 *
 * While there is something to close the peer has a thread, which does nothing else (if there can't
 * be one, it comes later). A worker of the ring's wouldn't do: the last reference to a file is
 * given up only when the worker turns to its next task, which may be anybody's, and that one waits
 * then (tried with Linux 6.18). So files that can't be closed are in their sender's way and in
 * nobody else's. Nothing more should be taken from a peer until all is closed: so what it has this
 * process hold is bounded.
 */
#ifndef LOOP_DISCARD_H
#define LOOP_DISCARD_H

#include "base/fd.h"
#include "loop/loop.h"

struct loop_discards {
	struct fd_discarder discarder;
	struct loop *loop;
	struct list waiting;     /* batches of descriptors and mappings, and */
	struct batch *closing;   /* the one that a thread has, or NULL */
	struct loop_task start;  /* the next thread, at the end of the turn, */
	struct loop_timer again; /* or later, if there can't be one */
	/* All of them are closed and unmapped. */
	void (*emptied)(struct loop_discards *discards);
};

/* It stays until the loop has gone, which waits a moment for what is still being closed. */
void loop_discards_init(struct loop_discards *discards, struct loop *loop,
                        void (*emptied)(struct loop_discards *discards));

/* Whether all is closed that was discarded. */
bool loop_discards_empty(const struct loop_discards *discards);

#endif
