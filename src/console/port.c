/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "console/port.h"

#include "base/macros.h"

void port_init(struct port *port, struct virtq *receiveq, struct virtq *transmitq,
               struct backend *backend)
{
	*port = (struct port){
	    .receiveq = receiveq,
	    .transmitq = transmitq,
	    .backend = backend,
	};
}

static void publish(struct virtq *vq, struct port_outcome *outcome)
{
	outcome->call |= virtq_publish(vq);
}

/* What is left of a pump's budget, and of the room that the backend gave. */
struct allowance {
	size_t room;
	size_t bytes;
	uint32_t descs;
};

static bool used_up(const struct allowance *allowance)
{
	return allowance->bytes == 0 || allowance->descs == 0;
}

static void charge_chain(struct allowance *allowance, const struct virtq_chain *chain)
{
	allowance->descs -= MIN(allowance->descs, chain->seen + 1);
}

/* Guest to clients. */

/* Has a chain at hand: the one taken in part, or else the next. */
static enum virtq_result open_chain(struct port *port)
{
	enum virtq_result r = VIRTQ_OK;

	if (!port->partly)
		r = virtq_pop(port->transmitq, &port->chain);
	port->partly = r == VIRTQ_OK;
	return r;
}

/* How many bytes may be copied now: none at the end of the budget or of the backend's room. */
static size_t allowed(struct port *port, struct allowance *allowance)
{
	if (allowance->room == 0)
		allowance->room = port->backend->port->room(port->backend->port);
	return MIN(allowance->room, allowance->bytes);
}

/* Copies the chain at hand. VIRTQ_END when it is all copied, VIRTQ_OK when no more is allowed. */
static enum virtq_result copy_chain(struct port *port, struct allowance *allowance)
{
	struct byte_ring *output = &port->backend->port->output;
	enum virtq_result r;
	size_t len, n;
	void *bytes;

	for (;;) {
		r = virtq_chain_ready(port->transmitq, &port->chain, false);
		if (r != VIRTQ_OK)
			return r;
		len = allowed(port, allowance);
		if (len == 0)
			return VIRTQ_OK;
		r = virtq_chain_next(port->transmitq, &port->chain, len, &bytes, &n);
		if (r != VIRTQ_OK)
			return r;
		byte_ring_overwrite(output, bytes, n);
		allowance->room -= n;
		allowance->bytes -= n;
	}
}

static void give_back_chain(struct port *port)
{
	if (!port->transmitq->broken)
		virtq_push(port->transmitq, &port->chain);
	port->partly = false;
}

struct port_outcome port_pump_output(struct port *port)
{
	struct virtq *vq = port->transmitq;
	struct allowance allowance = {.bytes = PORT_BUDGET_BYTES, .descs = PORT_BUDGET_DESCS};
	uint64_t before = byte_ring_head(&port->backend->port->output);
	struct port_outcome outcome = {0};

	virtq_kicks_off(vq);
	while (!used_up(&allowance)) {
		enum virtq_result r = open_chain(port);

		if (r == VIRTQ_END && virtq_kicks_on(vq)) {
			virtq_kicks_off(vq);
			continue;
		}
		/* Broken, out of chains, or held by the backend, which pumps when that changes. */
		if (r != VIRTQ_OK || copy_chain(port, &allowance) != VIRTQ_END)
			break;
		charge_chain(&allowance, &port->chain);
		give_back_chain(port);
	}
	publish(vq, &outcome);
	outcome.again = used_up(&allowance);
	outcome.moved = byte_ring_head(&port->backend->port->output) != before;
	return outcome;
}

struct port_outcome port_settle_output(struct port *port)
{
	size_t size = port->backend->port->output.size;
	struct allowance allowance = {.room = size, .bytes = size};
	struct port_outcome outcome = {0};

	if (!port->partly)
		return outcome;
	copy_chain(port, &allowance);
	give_back_chain(port);
	publish(port->transmitq, &outcome);
	outcome.moved = true;
	return outcome;
}

/* Clients to guest. */

/* Fills one receive buffer with as much input as there is. */
static enum virtq_result fill_chain(struct port *port, struct virtq_chain *chain)
{
	struct byte_ring *input = &port->backend->port->input;
	enum virtq_result r = VIRTQ_OK;

	while (r == VIRTQ_OK && byte_ring_used(input) > 0) {
		void *bytes;
		size_t n;

		r = virtq_chain_ready(port->receiveq, chain, true);
		if (r == VIRTQ_OK)
			r = virtq_chain_next(port->receiveq, chain, byte_ring_used(input), &bytes,
			                     &n);
		if (r == VIRTQ_OK)
			byte_ring_get(input, bytes, n);
	}
	return r;
}

struct port_outcome port_pump_input(struct port *port)
{
	struct byte_ring *input = &port->backend->port->input;
	struct allowance allowance = {.bytes = SIZE_MAX, .descs = PORT_BUDGET_DESCS};
	uint64_t before = byte_ring_tail(input);
	struct port_outcome outcome = {0};
	struct virtq *vq = port->receiveq;
	struct virtq_chain chain;

	/* New buffers are of interest only while input waits for them. */
	virtq_kicks_off(vq);
	while (byte_ring_used(input) > 0 && !used_up(&allowance)) {
		enum virtq_result r = virtq_pop(vq, &chain);

		if (r == VIRTQ_END && virtq_kicks_on(vq)) {
			virtq_kicks_off(vq);
			continue;
		}
		if (r != VIRTQ_OK || fill_chain(port, &chain) == VIRTQ_BROKEN)
			break;
		charge_chain(&allowance, &chain);
		virtq_push(vq, &chain);
	}
	publish(vq, &outcome);
	outcome.again = used_up(&allowance);
	outcome.moved = byte_ring_tail(input) != before;
	return outcome;
}
