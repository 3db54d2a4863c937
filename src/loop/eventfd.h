/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A vring's eventfds on the loop: the kick, which is read again and again, and the call or error
 * signal, which is written. What is written may also be another short message that says the same
 * however often it comes.
 *
 * Both own their descriptor and let it be replaced at any time: the old one is closed only when
 * no request names it any more. Notifications coalesce and none is lost.
 */
#ifndef LOOP_EVENTFD_H
#define LOOP_EVENTFD_H

#include "loop/loop.h"

/* A descriptor that may be replaced while an op is armed on it. */
struct eventfd_slot {
	struct loop_op op;
	int fd;     /* -1: none */
	int parked; /* the one before, while the op still names it; else -1 */
	struct fd_discarder *discarder;
};

struct eventfd_source {
	struct eventfd_slot slot;
	uint64_t count;
	void (*kicked)(struct eventfd_source *source);
};

struct eventfd_sink {
	struct eventfd_slot slot;
	const void *message;
	size_t message_len;
	bool again; /* signalled while a write was in flight, or there was no descriptor */
};

/* `kicked` is called when the eventfd was signalled, perhaps once more than that. */
void eventfd_source_init(struct eventfd_source *source, struct loop_scope *scope,
                         void (*kicked)(struct eventfd_source *source));

/* Takes `fd` (-1: none) in place of the one before and reads it from now on. */
void eventfd_source_set(struct eventfd_source *source, int fd);

/* Closes the descriptors. The scope has drained: asserted. */
void eventfd_source_deinit(struct eventfd_source *source);

void eventfd_sink_init(struct eventfd_sink *sink, struct loop_scope *scope);

/*
 * A sink of a socket, to which each signal writes the `len` bytes of `message`: few enough that
 * they are taken whole or not at all. They stay where they are. The socket ends with `discarder`.
 */
void eventfd_sink_init_message(struct eventfd_sink *sink, struct loop_scope *scope,
                               struct fd_discarder *discarder, const void *message, size_t len);

/*
 * Takes `fd` (-1: none), which must be non-blocking, in place of the one before. A signal that
 * found none is delivered now.
 */
void eventfd_sink_set(struct eventfd_sink *sink, int fd);

/* Adds one to the eventfd, or to the one that is set next. */
void eventfd_sink_signal(struct eventfd_sink *sink);

void eventfd_sink_deinit(struct eventfd_sink *sink);

#endif
