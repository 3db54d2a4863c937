/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The network backend: clients on TCP, raw bytes both ways or telnet.
 */
#ifndef BACKENDS_NETWORK_H
#define BACKENDS_NETWORK_H

#include "backends/backend.h"
#include "backends/client.h"
#include "loop/loop.h"

#include <stdint.h>

/*
 * Bytes that a client's socket holds, unread or on their way; the kernel uses up to twice as much
 * for them. Left to itself it lets that grow to several MiB, for each client that doesn't read.
 */
#define NETWORK_SEND_BUFFER (512 * 1024)

/*
 * Listens on the numeric `address` (IPv4 or IPv6) and `tcp_port`. Returns 0 or -errno, which it
 * has logged. The backend frees itself before `stopped`.
 */
int network_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
                const char *address, uint16_t tcp_port, const struct client_protocol *protocol,
                enum access access);

#endif
