/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest's virtio-console driver, and the VMM around it: the whole other side of one console.
 *
 * It brings a device up as one of the real VMMs does (vmm_sequences.h), posts receive buffers,
 * transmits bytes and collects input. One port: vring 0 receives, vring 1 transmits; the VMM's
 * device has more. What a driver with MULTIPORT does with those is in multiport_driver.h.
 */
#ifndef SUPPORT_CONSOLE_DRIVER_H
#define SUPPORT_CONSOLE_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "driver.h"
#include "frontend.h"
#include "guest_memory.h"
#include "port_driver.h"
#include "vmm_sequences.h"

/* virtio-console's feature bits (virtio 1.3, 5.3.3). */
enum {
	CONSOLE_F_SIZE = 0,
	CONSOLE_F_MULTIPORT = 1,
	CONSOLE_F_EMERG_WRITE = 2,
};

enum {
	CONSOLE_RECEIVE = 0,
	CONSOLE_TRANSMIT = 1,
	CONSOLE_DRIVER_VRINGS = 64, /* the most that the VMM's device has here */
	CONSOLE_CONFIG_SIZE = 12,
};

/* How to be; zero fields stand for the defaults. */
struct console_driver_options {
	const struct vmm *vmm; /* vmm_qemu */
	uint64_t features;     /* what the guest's driver can do; default: VERSION_1, EVENT_IDX,
	                          INDIRECT_DESC, IN_ORDER, F_SIZE, as Linux 7.3 */
	uint64_t no_protocol;  /* protocol features this VMM does without (bit mask) */
	uint16_t queue_size;   /* the VMM's usual one */
	uint16_t base;         /* index the rings start at; 0. Only with VMMs that ask for it (QEMU,
	                          crosvm: as if resumed; Cloud Hypervisor) */
	uint32_t receive_count; /* buffers posted; default: as many as the ring has, at most 64 */
	uint32_t receive_size;  /* bytes of each; 4096 */
	uint32_t transmit_size; /* most bytes of one buffer; 4096 (Linux's hvc: 16) */
	uint32_t vrings;        /* of the VMM's device: 4 */
	uint32_t configured;    /* those that the guest's driver sets up: 2 (with MULTIPORT: 4) */
	bool indirect;          /* buffers in indirect tables, if negotiated */
};

struct console_driver {
	struct frontend *frontend;
	struct guest_memory *memory;
	const struct vmm *vmm;
	struct console_driver_options options;

	uint64_t offered;           /* the backend's features, last GET_FEATURES */
	uint64_t features;          /* acknowledged */
	uint64_t offered_protocol;  /* the backend's protocol features */
	uint64_t protocol_features; /* negotiated */
	uint64_t queue_num;         /* last GET_QUEUE_NUM */
	uint64_t max_mem_slots;     /* last GET_MAX_MEM_SLOTS */
	uint64_t refused;           /* acknowledgements that weren't 0 */
	bool started_before;        /* on this connection */

	struct driver_queue queue[CONSOLE_DRIVER_VRINGS];
	uint16_t saved_base[CONSOLE_DRIVER_VRINGS]; /* GET_VRING_BASE's answers */
	int masked_call[CONSOLE_DRIVER_VRINGS];
	uint8_t config[CONSOLE_CONFIG_SIZE]; /* the VMM's copy */

	/* Called between the steps, if set, as frontend.observe (which belongs to the player while
	 * it plays). May call frontend_hangup(): playing then ends. */
	void (*observe)(struct console_driver *console, enum frontend_moment moment,
	                uint32_t request);
	void *observe_arg;

	struct port_driver port; /* vrings 0 and 1 */
};

/* ---- life ---- */

/*
 * Takes the connected frontend and the memory as they are and keeps pointers to both. NULL options:
 * all defaults. Sends nothing. To reconnect, close and initialise the same struct frontend again
 * (frontend_deinit(), frontend_init_path()), then play VMM_RECONNECT.
 */
void console_driver_init(struct console_driver *console, struct frontend *frontend,
                         struct guest_memory *memory, const struct console_driver_options *options);

/* Frees its own; the frontend and the memory stay. May be called twice. */
void console_driver_deinit(struct console_driver *console);

/*
 * Plays the VMM's sequence for an occasion, and what belongs to it in the guest: after VMM_RESET,
 * once the backend has read it, the rings are forgotten and zeroed, before VMM_START and
 * VMM_RESTART eventfds are renewed where the VMM does so, after VMM_RECONNECT rings with buffers
 * waiting are kicked. Receive buffers are posted by console_driver_post(). Returns false if the
 * connection was closed on the way, or if the VMM has no such sequence. Refusals are counted in
 * `refused`.
 */
bool console_driver_play(struct console_driver *console, enum vmm_phase phase);

/* VMM_CONNECT, VMM_START, VMM_CONFIG and the receive buffers. */
bool console_driver_bring_up(struct console_driver *console);

/* VMM_RESET, VMM_RESTART, VMM_CONFIG and the receive buffers: a guest's reboot. */
bool console_driver_reboot(struct console_driver *console);

/* Configuration space, the way the VMM does it for a guest's access. */
bool console_driver_read_config(struct console_driver *console, uint32_t offset, uint32_t size,
                                void *ret_bytes);
uint64_t console_driver_write_config(struct console_driver *console, uint32_t offset, uint32_t size,
                                     const void *bytes);

/* ---- the console ---- */

/* Posts the receive buffers that the device doesn't have; kicks if wanted. */
void console_driver_post(struct console_driver *console);

/* Makes as many of the bytes available as there are buffers, kicks if wanted, and doesn't wait; the
 * number of bytes taken. */
size_t console_driver_offer(struct console_driver *console, const void *bytes, size_t size);

/* Takes back used transmit buffers; how many. */
unsigned int console_driver_reap(struct console_driver *console);

/* Transmits all of the bytes and waits until the device has used every buffer. */
void console_driver_transmit(struct console_driver *console, const void *bytes, size_t size);

/* Linux's hvc: buffers of at most 16 bytes, one at a time, each waited for before the next. */
void console_driver_transmit_hvc(struct console_driver *console, const void *bytes, size_t size);

/* Takes used receive buffers into `input` and posts them again; returns input_size. */
size_t console_driver_collect(struct console_driver *console);

/* Waits until `size` bytes are in `input`. */
void console_driver_await_input(struct console_driver *console, size_t size);

/* Copies out and forgets up to `room` bytes of `input`; how many. */
size_t console_driver_take_input(struct console_driver *console, void *ret_bytes, size_t room);

/* Waits for `size` bytes of input and dies unless they are these. */
void console_driver_expect_input(struct console_driver *console, const void *bytes, size_t size);

#endif
