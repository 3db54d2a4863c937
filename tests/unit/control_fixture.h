/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The control socket with an owner that remembers what it was asked, its loop turned by the test,
 * and clients in the same thread: so nothing happens but what the test does.
 */
#ifndef CONTROL_FIXTURE_H
#define CONTROL_FIXTURE_H

#include "control/control.h"
#include "turning.h"

struct control_fixture {
	struct loop *loop;
	struct control control;
	char folder[64];
	char path[128];
	size_t list_bytes; /* how much `list` writes */
	unsigned int lists, adds, removes, disconnects, stops;
	unsigned int guest;  /* of the last port_add or port_remove */
	char rest[8192];     /* its SPEC or NAME */
	uint64_t tickets[8]; /* of the calls that were left for later */
	unsigned int later;
	uint64_t last_ticket; /* of whatever call */
};

/*
 * Listens. The owner refuses what begins with "no", leaves for later what begins with "later",
 * does so but answers at once what begins with "now", and does the rest.
 */
void control_fixture_init(struct control_fixture *f);
/* Stops it, if the test hasn't, and waits for that. */
void control_fixture_deinit(struct control_fixture *f);

/* A connected client, non-blocking. */
int control_connect(struct control_fixture *f);

/* The client sends a text, turning the loop while there is no room. */
void control_send(struct control_fixture *f, int client, const char *text);
void control_send_bytes(struct control_fixture *f, int client, const char *bytes, size_t len);

/* Turns until the client has read as much as `text`, which it has to be. */
void control_expect(struct control_fixture *f, int client, const char *text);
/* The same for what `list` answers. */
void control_expect_list(struct control_fixture *f, int client);
/* Turns until the connection is closed, without any more bytes. */
void control_expect_closed(struct control_fixture *f, int client);
/* After some turns the client has been sent nothing and is connected. */
void control_expect_nothing(struct control_fixture *f, int client);

#endif
