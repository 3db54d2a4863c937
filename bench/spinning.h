/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One operation of Linux's console driver: 16 bytes, kick if the device wants it, spin until they
 * are used.
 */
#ifndef BENCH_SPINNING_H
#define BENCH_SPINNING_H

#include <stdint.h>

#include "guest.h"

/* Returns its time, ns: from before the bytes are written to when the used index has moved. The
 * transmit ring must be empty. Ends the bench if the buffer doesn't come back. */
uint64_t spinning_transmit(struct guest *guest, struct pattern *pattern);

#endif
