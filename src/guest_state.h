/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest's device state: saved to a descriptor of its frontend's, and loaded from one
 * (vhost-user, "Migrating back-end state"; the format is in docs/device-state.md).
 *
 * What is saved is what there was when it was asked for. A state is loaded whole or not at all.
 * Both go in pieces, so that others don't wait for a long history.
 */
#ifndef GUEST_STATE_H
#define GUEST_STATE_H

#include "guest.h"

/* For one connection. */
void guest_state_init(struct guest *guest);
void guest_state_deinit(struct guest *guest);

/* For the session; see session_ops. */
const char *guest_state_transfer(struct guest *guest, bool load, int fd);
enum session_transfer guest_state_check(const struct guest *guest);

#endif
