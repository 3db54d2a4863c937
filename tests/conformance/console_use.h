/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the tests of the network backend do again and again: print, type and check the one endless
 * pattern of support.h, of which a position says which byte comes next. No byte of it is CR or LF,
 * so that the line that marks a gap stands out.
 */
#ifndef CONFORMANCE_CONSOLE_USE_H
#define CONFORMANCE_CONSOLE_USE_H

#include "tcp_client.h"
#include "testbed.h"

/* A guest with the network backend and QEMU's frontend, running; or only connected. */
struct bed_guest *new_network_guest(uint64_t history);
struct bed_guest *new_bare_network_guest(uint64_t history);

/* The guest prints the pattern from `pos` on and waits until all buffers are back. */
void print(struct bed_guest *guest, uint64_t pos, size_t size);

/* Makes up to `size` bytes of it available, as many as there are buffers; how many. */
size_t offer_printed(struct bed_guest *guest, uint64_t pos, uint64_t size);

/* Awaits exactly this piece at a client. */
void expect_printed(struct tcp_client *client, uint64_t pos, size_t size);

/* How far a client has come in the pattern. */
struct stream_check {
	uint64_t pos;
	uint64_t skipped; /* bytes it was told that it missed */
	unsigned int gaps;
};

/* Checks what was read: that it is the pattern, or the line that marks a gap; takes it. */
void check_piece(struct tcp_client *client, struct stream_check *check);

/* Reads what there is and checks it. */
void check_stream(struct tcp_client *client, struct stream_check *check);

/* The same from `from` on, until it has come to `to`. */
void await_position(struct tcp_client *client, struct stream_check *ret_check, uint64_t from,
                    uint64_t to);

/* The guest prints as fast as it can up to position `size`, the client reads in every turn. */
void print_while_reading(struct bed_guest *guest, uint64_t size, struct tcp_client *client,
                         struct stream_check *check);
/* Nothing more is printed: until the client has come to `size`. */
void print_rest_while_reading(struct bed_guest *guest, uint64_t size, struct tcp_client *client,
                              struct stream_check *check);

/* Sends the pattern from `pos` up to `end`, as much as goes at once; how many bytes. */
size_t send_printed(struct tcp_client *client, uint64_t pos, uint64_t end);

/* Takes what has come for the guest, which must be the pattern from `pos` on; how many bytes. */
size_t take_typed(struct bed_guest *guest, uint64_t pos);

/* The client types the pattern's first `size` bytes, the guest reads them. */
void type_and_read(struct bed_guest *guest, struct tcp_client *client, uint64_t size);

/* A pattern of client 0's or client 1's own, up to position `end`; and its check. */
size_t send_marked(struct tcp_client *client, unsigned int which, uint64_t pos, uint64_t end);
void check_marked(uint8_t byte, uint64_t pos[2]);

/* Lets time pass. For tests of time itself, never to wait for anything. */
void pause_ms(unsigned int ms);

#endif
