/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What vhost-user-replay prints: a line or a JSON object for each conversation, and the sum.
 */
#ifndef FUZZ_REPORT_H
#define FUZZ_REPORT_H

#include "player.h"

struct report {
	bool quiet; /* only those that didn't go as expected */
	bool json;
	unsigned int played, outcomes[PLAYER_OUTCOMES];
};

void report_begin(const struct report *report);

/* The conversation that was just played, and judged. */
void report_conversation(struct report *report, const struct player *player, const char *name);

void report_end(const struct report *report);

/* How many went neither as expected nor weren't for the backend. */
unsigned int report_rest(const struct report *report);

#endif
