/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "console/port.h"

#include "base/macros.h"

void port_init(struct port *port, struct virtq *receiveq, struct virtq *transmitq)
{
	*port = (struct port){
	    .receiveq = receiveq,
	    .transmitq = transmitq,
	};
}

/* What comes from now on is for the next client; what a queue's stop had left isn't. */
static void forget_tail(struct port *port)
{
	struct backend_port *people = port->people;

	port->tail = 0;
	if (!people || !people->dropping)
		return;
	if (port->spill && !port_drain(people, port->spill))
		byte_ring_drop(port->spill, byte_ring_used(port->spill));
	people->dropped(people);
}

void port_set_queues(struct port *port, struct virtq *receiveq, struct virtq *transmitq)
{
	if (port->transmitq != transmitq)
		port->at_hand = false;
	port->receiveq = receiveq;
	port->transmitq = transmitq;
}

void port_attach(struct port *port, struct backend_port *people, struct byte_ring *spill)
{
	port->people = people;
	port->spill = spill;
}

void port_detach(struct port *port)
{
	if (port->people)
		forget_tail(port);
	port->people = NULL;
	port->spill = NULL;
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

static void charge_one(struct allowance *allowance)
{
	allowance->descs -= MIN(allowance->descs, 1);
}

/* Guest to clients. */

static struct byte_ring *output_of(struct port *port)
{
	return &port->people->output;
}

/* Whether the chain at hand has bytes that may be looked at now. */
static enum virtq_result look_for_bytes(struct port *port, struct allowance *allowance)
{
	enum virtq_result r;

	port->chain.budget = allowance->descs;
	r = virtq_chain_ready(port->transmitq, &port->chain, false);
	allowance->descs = port->chain.budget;
	return r;
}

/*
 * The room that the chain at hand needs before it is begun: a chain is begun when all of it can be
 * taken, so that hardly ever one is half done when the queue stops. One that is larger than the
 * ring is taken in pieces.
 */
static uint64_t measure_chain(struct port *port, struct allowance *allowance)
{
	uint64_t size = output_of(port)->size;
	uint64_t rest;

	switch (look_for_bytes(port, allowance)) {
	case VIRTQ_OK:
		break;
	case VIRTQ_LATER:
		return 1;
	default:
		return 0;
	}
	if (!port->chain.more)
		return port->chain.len <= size ? port->chain.len : 1;
	rest = virtq_chain_rest(port->transmitq, &port->chain, false, size + 1);
	allowance->descs = port->chain.budget;
	return rest <= size ? rest : 1;
}

/* Has a chain at hand: the one from before, or else the next. */
static enum virtq_result look_at_chain(struct port *port, struct allowance *allowance)
{
	enum virtq_result r;

	charge_one(allowance);
	if (port->at_hand)
		return VIRTQ_OK;
	r = virtq_peek(port->transmitq, &port->chain);
	if (r != VIRTQ_OK)
		return r;
	port->at_hand = true;
	port->needs = measure_chain(port, allowance);
	return VIRTQ_OK;
}

/* Whether there is room to go on. If not, the backend pumps when there is. */
static bool has_room(struct port *port, struct allowance *allowance)
{
	size_t needs = MAX((size_t)port->needs, 1);

	if (allowance->room < needs)
		allowance->room = port->people->room(port->people, needs);
	if (allowance->room < needs)
		return false;
	port->needs = 0;
	return true;
}

/* Copies the next piece of the chain at hand into the output ring. */
static enum virtq_result copy_piece(struct port *port, struct allowance *allowance)
{
	enum virtq_result r;
	void *bytes;
	size_t n;

	r = virtq_chain_next(port->transmitq, &port->chain, MIN(allowance->room, allowance->bytes),
	                     &bytes, &n);
	if (r != VIRTQ_OK)
		return r;
	byte_ring_overwrite(output_of(port), bytes, n);
	allowance->room -= n;
	allowance->bytes -= n;
	return VIRTQ_OK;
}

/* Copies the chain at hand. VIRTQ_END when all of it is, VIRTQ_LATER when it can't go on now. */
static enum virtq_result copy_chain(struct port *port, struct allowance *allowance)
{
	enum virtq_result r;

	for (;;) {
		r = look_for_bytes(port, allowance);
		if (r != VIRTQ_OK)
			return r;
		if (allowance->bytes == 0 || !has_room(port, allowance))
			return VIRTQ_LATER;
		r = copy_piece(port, allowance);
		if (r != VIRTQ_OK)
			return r;
	}
}

static void give_back_chain(struct port *port)
{
	if (!port->transmitq->broken)
		virtq_push(port->transmitq, &port->chain);
	port->at_hand = false;
	if (port->tail > 0 && --port->tail == 0)
		forget_tail(port);
}

void port_end_tail(struct port *port)
{
	port->tail = virtq_started(port->transmitq) ? virtq_available(port->transmitq) : 0;
	if (port->tail == 0)
		forget_tail(port);
}

bool port_drain(struct backend_port *people, struct byte_ring *spill)
{
	struct iovec spans[2];

	while (spill && byte_ring_used(spill) > 0) {
		size_t room = people->room(people, 1);

		if (room == 0)
			return false;
		byte_ring_spans(spill, byte_ring_tail(spill), MIN(room, byte_ring_used(spill)),
		                spans);
		byte_ring_overwrite(&people->output, spans[0].iov_base, spans[0].iov_len);
		byte_ring_drop(spill, spans[0].iov_len);
	}
	return true;
}

/* A data port's byte takes no other's place: it goes to the spill, and is lost if that is full. */
static bool put_byte(struct port *port, uint8_t byte)
{
	struct backend_port *people = port->people;
	struct byte_ring *spill = port->spill;

	if (!spill || (port_drain(people, spill) && people->reclaim(people) > 0)) {
		byte_ring_overwrite(output_of(port), &byte, 1);
		return true;
	}
	if (byte_ring_free(spill) == 0)
		return false;
	byte_ring_put(spill, &byte, 1);
	port_drain(people, spill);
	return true;
}

bool port_emergency_write(struct port *port, uint8_t byte)
{
	return port->people && put_byte(port, byte);
}

/* Takes what a driver sends that nobody is there for. */
static struct port_outcome swallow(struct virtq *vq)
{
	unsigned int budget = PORT_BUDGET_DESCS;
	struct port_outcome outcome = {0};
	struct virtq_chain chain;

	virtq_kicks_off(vq);
	while (budget > 0) {
		enum virtq_result r = virtq_peek(vq, &chain);

		outcome.empty = r == VIRTQ_END;
		if (r != VIRTQ_OK)
			break;
		virtq_push(vq, &chain);
		budget--;
	}
	outcome.call = virtq_publish(vq);
	outcome.again = budget == 0;
	return outcome;
}

static struct port_outcome pump_chains(struct port *port)
{
	struct virtq *vq = port->transmitq;
	struct allowance allowance = {.bytes = PORT_BUDGET_BYTES, .descs = PORT_BUDGET_DESCS};
	struct port_outcome outcome = {0};

	virtq_kicks_off(vq);
	while (!used_up(&allowance)) {
		enum virtq_result r = look_at_chain(port, &allowance);

		outcome.empty = r == VIRTQ_END;
		/* Broken, out of chains, or held by the backend, which pumps when that changes. */
		if (r != VIRTQ_OK || copy_chain(port, &allowance) != VIRTQ_END)
			break;
		give_back_chain(port);
	}
	outcome.call = virtq_publish(vq);
	outcome.again = used_up(&allowance);
	return outcome;
}

struct port_outcome port_pump_output(struct port *port)
{
	struct port_outcome outcome = {0};
	uint64_t before;

	if (!port->people)
		return swallow(port->transmitq);
	before = byte_ring_head(output_of(port));
	if (port_drain(port->people, port->spill))
		outcome = pump_chains(port);
	outcome.moved = byte_ring_head(output_of(port)) != before;
	return outcome;
}

/* Passes over `len` bytes of the chain at hand. */
static void skip_bytes(struct port *port, uint64_t len)
{
	uint64_t left = len;
	void *bytes;
	size_t n;

	while (left > 0 && virtq_chain_ready(port->transmitq, &port->chain, false) == VIRTQ_OK &&
	       virtq_chain_next(port->transmitq, &port->chain, left, &bytes, &n) == VIRTQ_OK)
		left -= n;
	byte_ring_skip(output_of(port), len - left);
}

/* The rest of a data port's chain goes where it isn't lost. */
static void spill_rest(struct port *port)
{
	struct byte_ring *spill = port->spill;
	void *bytes;
	size_t n;

	while (byte_ring_free(spill) > 0 &&
	       virtq_chain_ready(port->transmitq, &port->chain, false) == VIRTQ_OK &&
	       virtq_chain_next(port->transmitq, &port->chain, byte_ring_free(spill), &bytes, &n) ==
	           VIRTQ_OK)
		byte_ring_put(spill, bytes, n);
}

/* Of the rest of the chain at hand, keeps what the ring can hold: the newest. */
static void keep_newest(struct port *port)
{
	struct byte_ring *output = output_of(port);
	uint64_t rest;
	struct allowance allowance = {
	    .room = port->people->reclaim(port->people),
	    .bytes = SIZE_MAX,
	    .descs = UINT32_MAX,
	};

	rest = virtq_chain_rest(port->transmitq, &port->chain, false, UINT64_MAX);
	/* Where something in flight is in the way, there is no room to keep a part. */
	if (rest > allowance.room)
		skip_bytes(port, allowance.room == output->size ? rest - output->size : rest);
	copy_chain(port, &allowance);
}

struct port_outcome port_settle_output(struct port *port)
{
	struct port_outcome outcome = {0};

	/* A chain that wasn't begun is still the next one. */
	if (port->people && port->at_hand && port->needs == 0) {
		port->chain.budget = UINT32_MAX;
		if (port->spill)
			spill_rest(port);
		else
			keep_newest(port);
		give_back_chain(port);
		port_drain(port->people, port->spill);
		outcome.call = virtq_publish(port->transmitq);
		outcome.moved = true;
	}
	port->at_hand = false;
	/* Where the queue goes on, and for whom, isn't known. */
	if (port->tail > 0)
		forget_tail(port);
	return outcome;
}

/* Clients to guest. */

/* Fills one receive buffer with as much input as there is, as far as the chain's budget goes. */
static enum virtq_result fill_chain(struct port *port, struct virtq_chain *chain)
{
	struct byte_ring *input = &port->people->input;
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
	struct byte_ring *input = &port->people->input;
	struct allowance allowance = {.bytes = SIZE_MAX, .descs = PORT_BUDGET_DESCS};
	uint64_t before = byte_ring_tail(input);
	struct port_outcome outcome = {0};
	struct virtq *vq = port->receiveq;
	struct virtq_chain chain;

	/* New buffers are of interest only while input waits for them. */
	virtq_kicks_off(vq);
	while (byte_ring_used(input) > 0 && !used_up(&allowance)) {
		enum virtq_result r = virtq_peek(vq, &chain);

		charge_one(&allowance);
		if (r == VIRTQ_END && virtq_kicks_on(vq)) {
			virtq_kicks_off(vq);
			continue;
		}
		chain.budget = allowance.descs;
		if (r != VIRTQ_OK || fill_chain(port, &chain) == VIRTQ_BROKEN)
			break;
		allowance.descs = chain.budget;
		virtq_push(vq, &chain);
	}
	outcome.call = virtq_publish(vq);
	outcome.again = used_up(&allowance);
	outcome.moved = byte_ring_tail(input) != before;
	return outcome;
}
