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
 * and descriptors, of which a chain counts as one more than it has, and one in several regions of
 * memory as several.
 */
#define PORT_BUDGET_BYTES (256u * 1024)
#define PORT_BUDGET_DESCS 4096u

struct port {
	struct virtq *transmitq;
	struct virtq *receiveq;
	struct backend_port *people; /* NULL: nobody has attached anything */
	struct byte_ring *spill;     /* of a data port, else NULL */
	struct virtq_chain chain;    /* the transmitq's next, if `at_hand` */
	bool at_hand;
	uint64_t needs; /* the room that the chain at hand waits for, 0 once it is begun */
	/* The chains, this one included, that were meant for clients that have gone: dropped. */
	uint16_t tail;
};

/* What a pump leaves to its caller. */
struct port_outcome {
	bool call;    /* the driver wants to be called */
	bool again;   /* the budget is used up, there is more */
	bool moved;   /* bytes have moved: the backend should be woken */
	bool empty;   /* of chains, and kicks are off: to be asked for with console_rest() */
	bool control; /* control messages have changed what may be pumped */
	bool tail;    /* transmitqs have to be pumped, of ports that drop what is in them */
};

void port_init(struct port *port, struct virtq *receiveq, struct virtq *transmitq);

/*
 * The port has these queues from now on. If they are others, a chain taken in part is begun anew
 * when its queue is somebody's again.
 */
void port_set_queues(struct port *port, struct virtq *receiveq, struct virtq *transmitq);

/*
 * From now on the queues are pumped from and to `people`. A data port has a `spill`, where the rest
 * of a chain goes that has to be given back at once: it loses nothing, as long as that is no
 * longer.
 */
void port_attach(struct port *port, struct backend_port *people, struct byte_ring *spill);
void port_detach(struct port *port);

static inline bool port_attached(const struct port *port)
{
	return port->people;
}

/*
 * Puts a byte on the port's output out of turn (virtio 1.3, 5.3.4). False if there is no port, or
 * no room where it would cost a byte that mustn't be lost.
 */
bool port_emergency_write(struct port *port, uint8_t byte);

/*
 * Moves what is in the spill (or NULL) to the output as far as there is room, whether or not a
 * queue runs or the port is still attached. True if nothing is left there.
 */
bool port_drain(struct backend_port *people, struct byte_ring *spill);

/*
 * The guest knows that the last client of a data port has gone, whose tail is dropped: of what it
 * has written, that is all that is available now. The transmitq, if started, is to be pumped.
 */
void port_end_tail(struct port *port);

/* Guest to clients; without people, to nobody. The transmitq is started and whole. */
struct port_outcome port_pump_output(struct port *port);

/* Clients to guest. The receiveq is started and whole, and there are people. */
struct port_outcome port_pump_input(struct port *port);

/*
 * The transmitq is about to stop or to lie elsewhere: finishes and gives back a chain that was
 * taken in part. There are two sorts: larger than the output ring, or begun when the budget of a
 * pump ran out. Nobody is waited for: what there is no room for goes to the spill, or counts as
 * skipped.
 */
struct port_outcome port_settle_output(struct port *port);

#endif
