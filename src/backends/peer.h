/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the system knows of the peer of a connected stream socket, without waiting.
 */
#ifndef BACKENDS_PEER_H
#define BACKENDS_PEER_H

#include <stdbool.h>
#include <stdint.h>

/* Neither way works any more, though there may be input left. */
bool peer_has_hung_up(int fd);

/*
 * On TCP, with output on its way: the peer's host has answered nothing for `silent_ms`, though it
 * was asked several times. One that reads nothing and closes its window answers, and isn't dead
 * however long it pauses. Never true without output on its way, nor of a Unix socket.
 */
bool peer_is_dead(int fd, uint32_t silent_ms);

/* How many bytes the system has for the peer that it hasn't taken: on TCP, its host; else itself.
 */
uint64_t peer_queued(int fd);

#endif
