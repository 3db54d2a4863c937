/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest's state, saved and loaded through pipes, and guests to do it with.
 */
#ifndef CONFORMANCE_STATE_USE_H
#define CONFORMANCE_STATE_USE_H

#include "testbed.h"

#define STATE_MAX (20u << 20)

/* What state_save() has saved. */
struct state_saved {
	uint8_t bytes[STATE_MAX];
	size_t size;
};

extern struct state_saved saved;

/* A pipe whose end to read from doesn't wait. */
void state_pipe(int ret_pipe[2]);

/* Reads what is there behind what was saved; false at the end. */
bool state_read_some(int fd);

/* Saves the guest's state. CHECK_DEVICE_STATE has to say 0. */
void state_save(struct bed_guest *guest);

/* Loads these bytes, or what was saved; what CHECK_DEVICE_STATE says. */
uint64_t state_load_bytes(struct bed_guest *guest, const uint8_t *bytes, size_t size);
uint64_t state_load(struct bed_guest *guest);

/* CHECK_DEVICE_STATE, and its answer when that comes. */
void state_send_check(struct bed_guest *guest);
uint64_t state_receive_check(struct bed_guest *guest);

void state_start_rings(struct bed_guest *guest);
void state_stop_rings(struct bed_guest *guest);

/* A guest that has printed, and was sent something that it hasn't got; its rings are stopped. */
struct bed_guest *state_prepare(const struct bed_options *options);

/* Another one, which has negotiated. */
struct bed_guest *state_prepare_other(struct bed_guest *guest, const struct bed_options *options);

#endif
