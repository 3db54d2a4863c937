/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The socket between a frontend and its session: messages in, answers out, one at a time.
 *
 * A header is read as exactly 12 bytes, together with the descriptors that come with it, then
 * exactly its payload: reading further would glue the next message's descriptors to this one.
 * All descriptors of a message are owned here; the session takes the ones it keeps, the rest are
 * closed. A refused request is answered and the connection lives on.
 *
 * Whatever else comes is taken, too, and then discarded: the kernel would close what it finds no
 * room for in the loop's thread, however long that takes. Until that is done, nothing more is
 * received.
 */
#ifndef PROTOCOL_CHANNEL_H
#define PROTOCOL_CHANNEL_H

#include "base/fd.h"
#include "base/log.h"
#include "loop/discard.h"
#include "loop/loop.h"
#include "loop/room.h"
#include "protocol/session.h"

#include <stddef.h>

/* The most descriptors that come at once: the kernel's SCM_MAX_FD. */
#define CHANNEL_FDS_MAX 253u

struct channel {
	struct session *session;
	struct loop_scope *scope;
	struct loop_discards *discards;
	const char *name; /* for the log */
	/* The connection is of no more use: `why`, or NULL if the frontend hung up. */
	void (*ended)(struct channel *channel, const char *why);
	struct log_limit limit;
	int fd;

	struct loop_op receive;
	struct loop_op send;
	struct loop_room room;
	struct loop_task handle;
	struct loop_watch awake; /* after a message: the next one often comes at once */
	bool owes;               /* the answer to the last request comes later, or */
	bool held;               /* something is still being closed that came before: */
	struct loop_op hangup;   /* nothing is read meanwhile that would tell of the end */
	struct msghdr msg;
	struct iovec iov;
	size_t done; /* of the header, the payload or the answer at hand */
	struct wire_header header;
	struct request_header parsed;
	struct fd_bag fds;
	/* cmsghdr's alignment is at most this one's */
	_Alignas(max_align_t) char control[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
	size_t answer_len;
	/* One after the other. */
	union {
		uint8_t payload[WIRE_PAYLOAD_MAX];
		struct {
			struct wire_header header;
			uint8_t payload[sizeof(((struct session_reply *)0)->payload)];
		} answer;
	};
};

/*
 * Takes the connected socket `fd` and reads from it until the scope closes or it has ended, but
 * only while `discards` is empty, to which goes what nobody wants.
 */
void channel_start(struct channel *channel, struct session *session, struct loop_scope *scope,
                   struct loop_discards *discards, int fd, const char *name,
                   void (*ended)(struct channel *channel, const char *why));

/* `discards` is empty (again). */
void channel_go_on(struct channel *channel);

/* Whether the frontend has hung up, though perhaps not all that it sent is read. */
bool channel_is_hung_up(const struct channel *channel);

/* The answer to the last request, if it said `later`; otherwise nothing happens. */
void channel_answer_later(struct channel *channel, uint64_t value);

/* Closes the socket and what came with an unfinished message. The scope has drained. */
void channel_deinit(struct channel *channel);

#endif
