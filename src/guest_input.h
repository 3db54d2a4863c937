/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What was typed for a guest that is gone, and that it never read: it must not be typed to the next
 * one, which may be another boot, or another machine. Used by the guest's own files only.
 *
 * Promises that what people had sent, as far as it had come to this machine, is dropped, and that
 * they are told how much it was, but on a data port. What a sender's own machine still has, or a
 * pipe or a file that is standard input, comes later and can't be told from what is typed for the
 * next guest.
 */
#ifndef GUEST_INPUT_H
#define GUEST_INPUT_H

#include "guest.h"

enum guest_input_why {
	GUEST_INPUT_FRONTEND_GONE, /* with all that was typed meanwhile */
	GUEST_INPUT_DEVICE_RESET,  /* likewise */
	GUEST_INPUT_DRIVER_GONE,   /* it went when its vrings stopped: what came since waits */
};

/* Drops it, at all ports. */
void guest_input_forget(struct guest *guest, enum guest_input_why why);

#endif
