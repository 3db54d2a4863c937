/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A fuzz target is one function over bytes, the same for libFuzzer, for AFL++ and for
 * replay_main.c. It leaves everything as it found it: the next input must not notice the one
 * before.
 *
 * Targets: request, session (with the console's control messages), virtq, telnet, terminal, state
 * (saved device state).
 */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Always 0; an input that shows a fault ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* What must hold, or the input has found something. */
#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
