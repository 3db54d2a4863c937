/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a guest's VMM was told wrongly: one line of the log for each mistake, which names the cause
 * and the cure, once in a session of the frontend's. It only looks.
 */
#ifndef GUEST_HINTS_H
#define GUEST_HINTS_H

#include "guest.h"

/* For a connection that begins, whose scope is there already. */
void guest_hints_init(struct guest *guest);

/* A session has begun: each line may come once more. */
void guest_hints_forget(struct guest *guest);

/* The frontend has named a vring: once it names no more, are there enough for a driver to start? */
void guest_hints_on_named(struct guest *guest);

/* A vring runs: is there a configuration space? Can the driver have all ports? */
void guest_hints_on_run(struct guest *guest);

/* The session has refused something for this reason, which a number belongs to. */
void guest_hints_on_refusal(struct guest *guest, enum session_hint hint, uint64_t number);

#endif
