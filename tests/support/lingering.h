/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Descriptors that are slow to close, for tests that nobody waits for that.
 */
#ifndef SUPPORT_LINGERING_H
#define SUPPORT_LINGERING_H

#define LINGERING_S 30

/*
 * A TCP connection whose last close waits LINGERING_S for its peer, which reads nothing, or until
 * that is closed: *ret_peer.
 */
int lingering_connection(int *ret_peer);

/*
 * A socket in which such a connection waits unread, the last of it: so to close this one is as
 * slow, and to set its options doesn't help.
 */
int lingering_socket(int *ret_peer);

#endif
