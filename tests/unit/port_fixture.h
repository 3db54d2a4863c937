/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A console port between two drivers' queues and a backend that gives room as the test says.
 */
#ifndef PORT_FIXTURE_H
#define PORT_FIXTURE_H

#include "console/console.h"
#include "driver.h"
#include "gmem_fixture.h"

#define PORT_OUTPUT_BYTES 4096u
#define PORT_INPUT_BYTES  16384u

struct port_fixture {
	struct guest_memory memory;
	struct gmem gmem;
	struct driver_queue receive, transmit, control_receive, control_transmit;
	struct virtq vqs[CONSOLE_VRINGS(1)];
	struct virtq_state states[CONSOLE_VRINGS(1)];
	struct byte_ring_state ring_states[2];
	uint8_t *output, *input;
	struct backend_port port;
	struct backend_device device;
	struct console_record record;
	struct console_port console_port;
	struct console console;
	/* What the backend answers: room up to this position, at most `piece` at once. */
	uint64_t room_until;
	size_t piece;
	size_t reclaimable;
	unsigned int asked;
	size_t wanted; /* the last that was more than there was */
	uint64_t data; /* guest address of 1 MiB for buffers */
};

/* All queues have `size` entries and begin at an index just before the wrap. */
void port_fixture_init(struct port_fixture *f, uint16_t size, size_t output_bytes,
                       uint64_t features);
void port_fixture_deinit(struct port_fixture *f);

/*
 * Adds as many regions as a guest may have, of a byte each, which lie together in guest memory, in
 * the order that makes the most work. Returns the address of the first of *ret_count bytes, which
 * are the pattern from 0.
 */
uint64_t port_crumble(struct port_fixture *f, uint32_t *ret_count);

/* Makes a chain of one buffer available for transmission: `len` bytes of the pattern from `pos`. */
void port_transmit(struct port_fixture *f, uint32_t at, uint32_t len, uint64_t pos);

/* Takes all of the output and checks that it is the pattern from `pos` on. Returns how much. */
size_t port_take_output(struct port_fixture *f, uint64_t pos);

/* Puts the pattern from `pos` into the input. */
void port_put_input(struct port_fixture *f, size_t len, uint64_t pos);

#endif
