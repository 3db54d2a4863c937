/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device's half of a guest: its vrings on the loop, and what the session and the console ask
 * of each other. Used by guest.c and guest_slots.c only.
 */
#ifndef GUEST_DEVICE_H
#define GUEST_DEVICE_H

#include "guest.h"

/* What the session asks for. */
extern const struct session_ops guest_device_ops;

/* For a connection that begins, whose scope is there already; and when it has drained. */
void guest_device_init(struct guest *guest);
void guest_device_deinit(struct guest *guest);

/* Has vring `i` pumped in this turn, if a frontend is connected and the vring runs. */
void guest_device_queue(struct guest *guest, unsigned int i);

/* The driver has something to be told, or takes input now. */
void guest_device_queue_answers(struct guest *guest);

/* Does what has to follow when vring `i` was pumped. */
void guest_device_follow_up(struct guest *guest, unsigned int i, struct port_outcome outcome);

/*
 * Has the driver read its configuration anew, for the window's size. Not while nothing runs:
 * QEMU's generic device would crash, so it waits until something does. Once after each start it is
 * needed in any case: Linux 6.1 does not look by itself, 7.3 does (both tried). A driver that has
 * taken MULTIPORT is told by a control message instead.
 */
void guest_device_tell_config(struct guest *guest);

#endif
