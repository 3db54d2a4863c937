/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Messages on a socket, for a frontend of any manners: everything can be sent, and what comes is
 * taken as it is, with a deadline.
 */
#ifndef FUZZ_FRAME_H
#define FUZZ_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER      12u
#define FRAME_PAYLOAD_MAX 65536u
#define FRAME_FDS_MAX     253u

struct frame {
	uint32_t request, flags, size;
	uint8_t payload[FRAME_PAYLOAD_MAX]; /* `size` of it */
	int fds[FRAME_FDS_MAX];             /* the receiver's to close */
	unsigned int fds_count;
};

enum frame_result {
	FRAME_OK,
	FRAME_CLOSED,  /* by the other side, perhaps in the middle of a message */
	FRAME_LATE,    /* nothing, or not all of it, before the deadline */
	FRAME_TOO_LONG /* more than any vhost-user message has */
};

uint64_t frame_now_ms(void);

/* Connects, waiting for a socket that isn't there yet. Returns the descriptor or -errno. */
int frame_connect(const char *path, unsigned int deadline_ms);

/* Sends all of the bytes, the descriptors with the first. */
enum frame_result frame_send(int sock, const void *bytes, size_t len, const int *fds,
                             unsigned int fds_count, unsigned int deadline_ms);

/* Whether the other side has read all, or closed, within the time. */
bool frame_is_taken(int sock, unsigned int deadline_ms);

/* The next message. Its descriptors stay open in it, whatever the result: frame_close_fds(). */
enum frame_result frame_receive(int sock, struct frame *ret, unsigned int deadline_ms);
void frame_close_fds(struct frame *frame);

/* Whether anything comes, or the other side closes, within the time. */
bool frame_waits(int sock, unsigned int deadline_ms);

/* The first eight bytes of the payload as a number, 0 if there are fewer. */
uint64_t frame_u64(const struct frame *frame);

#endif
