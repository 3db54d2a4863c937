/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The driver of one console port: a receiveq and a transmitq, and the bytes through them (virtio
 * 1.3, 5.3.6).
 *
 * Whatever comes is checked: every used buffer by the queue's books, and receive buffers for bytes
 * written beyond the length that the device gives.
 */
#ifndef SUPPORT_PORT_DRIVER_H
#define SUPPORT_PORT_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "driver.h"
#include "frontend.h"
#include "guest_memory.h"

/* How its buffers are; zero fields stand for the defaults. */
struct port_driver_options {
	uint32_t receive_count;   /* buffers posted; default: as many as the ring has, at most 64 */
	uint32_t receive_size;    /* bytes of each; 4096 */
	uint32_t transmit_count;  /* buffers; default: as many as the ring has, at most 64 */
	uint32_t transmit_size;   /* most bytes of one buffer; 4096 (Linux's hvc: 16) */
	uint32_t transmit_pieces; /* descriptors of a transmit buffer; 1 */
	bool indirect;            /* buffers in indirect tables, if `may_indirect` */
};

struct port_driver {
	struct frontend *frontend;
	struct guest_memory *memory;
	struct driver_queue *receiveq;
	struct driver_queue *transmitq;
	struct port_driver_options options;

	bool may_indirect; /* INDIRECT_DESC was negotiated */
	bool hold_receive; /* don't post a receive buffer again once used */

	/* Buffers; nobody else's. */
	uint64_t receive_gpa;
	uint64_t transmit_gpa;
	uint64_t receive_table;
	uint64_t transmit_table;
	uint8_t *transmit_busy; /* by buffer: with the device */
	uint8_t *receive_busy;
	uint8_t *input; /* received and not taken yet */
	size_t input_size;
	size_t input_room;
};

/* Takes the two queues, which are the caller's, and memory for the buffers: receive buffers in
 * region 1, transmit buffers in region 0. */
void port_driver_init(struct port_driver *port, struct frontend *frontend,
                      struct guest_memory *memory, struct driver_queue *receiveq,
                      struct driver_queue *transmitq, const struct port_driver_options *options);

/* Frees its own. May be called twice. */
void port_driver_deinit(struct port_driver *port);

/* The queues were reset: no buffer is with the device. Input that has come stays. */
void port_driver_forget(struct port_driver *port);

/* Posts the receive buffers that the device doesn't have; kicks if wanted. */
void port_driver_post(struct port_driver *port);

/* Makes as many of the bytes available as there are buffers, kicks if wanted, and doesn't wait; the
 * number of bytes taken. */
size_t port_driver_offer(struct port_driver *port, const void *bytes, size_t size);

/* Takes back used transmit buffers; how many. */
unsigned int port_driver_reap(struct port_driver *port);

/* Transmits all of the bytes and waits until the device has used every buffer. */
void port_driver_transmit(struct port_driver *port, const void *bytes, size_t size);

/* Takes used receive buffers into `input` and posts them again; returns input_size. */
size_t port_driver_collect(struct port_driver *port);

/* Waits until `size` bytes are in `input`. */
void port_driver_await_input(struct port_driver *port, size_t size);

/* Copies out and forgets up to `room` bytes of `input`; how many. */
size_t port_driver_take_input(struct port_driver *port, void *ret_bytes, size_t room);

/* Waits for `size` bytes of input and dies unless they are these. */
void port_driver_expect_input(struct port_driver *port, const void *bytes, size_t size);

#endif
