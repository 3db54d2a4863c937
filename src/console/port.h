/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One port of the console device: a transmit and a receive queue on one side, a backend on the
 * other, and the two pumps between them (virtio 1.3, 5.3.6).
 *
 * Each byte is copied once. A pump takes a bounded amount, publishes used buffers once, and says
 * what has to follow. It must not see the loop or a socket.
 */
#ifndef CONSOLE_PORT_H
#define CONSOLE_PORT_H

#include "backends/backend.h"
#include "virtqueue/virtq.h"

/*
 * What one call of a pump takes at most, so that one guest can't keep the others waiting: bytes,
 * and descriptors, of which a chain counts as one more than it has.
 */
#define PORT_BUDGET_BYTES (256u * 1024)
#define PORT_BUDGET_DESCS 4096u

struct port {
	struct virtq *transmitq;
	struct virtq *receiveq;
	struct backend *backend;
	struct virtq_chain chain; /* of the transmitq, if `partly`: taken, not yet given back */
	bool partly;
};

/* What a pump leaves to its caller. */
struct port_outcome {
	bool call;  /* the driver wants to be called */
	bool again; /* the budget is used up, there is more */
	bool moved; /* bytes have moved: the backend should be woken */
};

void port_init(struct port *port, struct virtq *receiveq, struct virtq *transmitq,
               struct backend *backend);

/* Guest to clients. The transmitq is started and whole. */
struct port_outcome port_pump_output(struct port *port);

/* Clients to guest. The receiveq is started and whole. */
struct port_outcome port_pump_input(struct port *port);

/*
 * The transmitq is about to stop or to lie elsewhere: gives back a chain that was taken in part.
 * Of its rest, as much as the output ring can hold is kept, in place of older output if need be.
 */
struct port_outcome port_settle_output(struct port *port);

#endif
