/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Plays one conversation to a backend's socket and says how it went.
 */
#ifndef FUZZ_PLAYER_H
#define FUZZ_PLAYER_H

#include "conversation.h"
#include "files.h"
#include "frame.h"

enum player_outcome {
	PLAYER_AS_EXPECTED,
	PLAYER_NOT_FOR_IT, /* the backend lacks what the conversation needs */
	PLAYER_OTHERWISE,  /* something else came than was expected */
	PLAYER_REFUSED,    /* what should have been done was refused */
	PLAYER_CLOSED,     /* the connection, where it should have lived */
	PLAYER_HUNG,       /* nothing came */
	/* Those that are seen from outside the conversation. */
	PLAYER_DIED,   /* the process is gone, or takes no connection */
	PLAYER_LEAKED, /* descriptors, mappings or memory */
	PLAYER_OUTCOMES
};

/* What the backend offers, asked once: it says which conversations are for it. */
struct player_offer {
	uint64_t features;
	uint64_t protocol_features;
	uint64_t vrings;
	bool console;
};

struct player {
	const char *socket; /* where the backend listens */
	const struct player_offer *offer;
	unsigned int deadline_ms;

	enum player_outcome outcome;
	const struct conversation_step *at; /* the step that the outcome is of, or NULL */
	char why[160];                      /* in words, "" if it went as expected */

	/* While it plays; nobody else's. */
	const struct conversation *conversation;
	struct files files;
	int sock;
	bool
	    over; /* a backend that may close has closed: up to the next `connect` all is skipped */
	bool given_up;
	uint32_t request; /* the last that was sent */
	struct frame frame;
};

const char *player_outcome_name(enum player_outcome outcome);

/* Plays it from a connection of its own to its end. Outcome, step and words are in the player. */
void player_play(struct player *player, const struct conversation *conversation);

/* Asks a backend what it offers; false if it doesn't answer. */
bool player_ask_offer(const char *socket, unsigned int deadline_ms, struct player_offer *ret);

/*
 * A new connection on which GET_FEATURES was answered, or -1. Such a backend is alive; while the
 * connection lives, it is in the same state each time.
 */
int player_knock(const char *socket, unsigned int deadline_ms);

#endif
