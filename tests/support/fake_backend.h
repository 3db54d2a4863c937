/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A minute vhost-user console backend, for the self-test of the support library only: it trusts
 * everything, maps memory, walks rings, keeps what the guest transmits and hands it what the test
 * says. It records every message it gets.
 */
#ifndef SUPPORT_FAKE_BACKEND_H
#define SUPPORT_FAKE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend.h"

#define FAKE_RECORDS 512
#define FAKE_REGIONS 16
#define FAKE_VRINGS  8

struct fake_record {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
	unsigned int fd_count;
	uint8_t payload[40];
};

struct fake_vring {
	uint32_t num;
	uint64_t desc, avail, used; /* frontend addresses */
	uint16_t last_avail;
	bool started;
	bool enabled;
	int kick, call, err;
};

/* A pair of vrings: vring 2n receives, 2n + 1 transmits. */
struct fake_lane {
	uint8_t output[1 << 16];
	size_t output_size;
	const uint8_t *input;
	size_t input_size;
	size_t most;         /* of the input in one chain: a message's size; 0: as much as fits */
	unsigned int refuse; /* give so many receive buffers back without anything */
};

struct fake_backend {
	int sock;
	struct fake_record record[FAKE_RECORDS];
	unsigned int count;

	/* What it offers and answers. */
	uint64_t features;
	uint64_t protocol_features;
	uint32_t refuse;      /* acknowledge this request with 1 */
	bool mute;            /* answer nothing */
	uint32_t wrong_flags; /* or'ed into replies' flags */
	uint16_t batch;       /* IN_ORDER: use so many buffers with one entry; 0: each */
	bool suppress_kicks;  /* by NO_NOTIFY, or by an avail_event far away */

	uint64_t acked_features;
	struct guest_region region[FAKE_REGIONS];
	unsigned int region_count;
	struct fake_vring vring[FAKE_VRINGS];
	int channel;
	uint8_t config[12];
	unsigned int closed; /* the frontend hung up */

	struct fake_lane lane[FAKE_VRINGS / 2]; /* 0: port 0; 1: control; 2, 3: ports 1, 2 */
	unsigned int calls;
};

/* Takes the socket. */
void fake_backend_init(struct fake_backend *fake, int sock);
void fake_backend_deinit(struct fake_backend *fake);

/* A frontend's `turn`, with the fake as turn_arg: at most one message, then the rings. */
void fake_backend_turn(struct frontend *frontend);

#endif
