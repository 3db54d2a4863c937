/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The people's half of a guest: its ports, which come and go, each in a slot of its own. Used by
 * guest.c and guest_device.c only; the rest is in guest.h.
 */
#ifndef GUEST_SLOTS_H
#define GUEST_SLOTS_H

#include "guest.h"

/*
 * Starts port number `id`, which isn't in use, and plugs it into the console. Its rings begin as
 * they are in the arena, or with `anew` empty. Returns 0 or -errno, having logged the cause.
 */
int guest_slots_start(struct guest *guest, unsigned int id, const struct port_config *config,
                      bool anew);

/* There is output of port `id`, or room for its input. */
void guest_slots_wake(struct guest *guest, unsigned int id);

/* Ports that drop what their clients have left have to be pumped for it. */
void guest_slots_drop_tails(struct guest *guest);

#endif
