/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The virtio-console device (virtio 1.3, 5.3): its features, its configuration space, and which
 * virtqueue belongs to which port. It must not see the loop or a socket.
 */
#ifndef CONSOLE_CONSOLE_H
#define CONSOLE_CONSOLE_H

#include "base/endian.h"
#include "console/port.h"

#include <stdint.h>

/* The device's configuration space (virtio 1.3, 5.3.4). */
struct console_config {
	le16 cols;
	le16 rows;
	le32 max_nr_ports;
	le32 emerg_wr;
};
_Static_assert(sizeof(struct console_config) == 12, "virtio 1.3, 5.3.4");

/* receiveq and transmitq of the one port (virtio 1.3, 5.3.2). */
#define CONSOLE_VRINGS 2u

/* The device's own features (virtio 1.3, 5.3.3), all of which need the configuration space. */
#define VIRTIO_CONSOLE_F_SIZE        0
#define VIRTIO_CONSOLE_F_EMERG_WRITE 2
#define CONSOLE_CONFIG_FEATURES                                                                    \
	(1ull << VIRTIO_CONSOLE_F_SIZE | 1ull << VIRTIO_CONSOLE_F_EMERG_WRITE)

/* The features that are offered: those, and those of the ring that virtq understands. */
#define CONSOLE_FEATURES                                                                           \
	(CONSOLE_CONFIG_FEATURES | 1ull << 28 /* VIRTIO_F_INDIRECT_DESC */ |                       \
	 1ull << 29 /* VIRTIO_F_EVENT_IDX */ | 1ull << 32 /* VIRTIO_F_VERSION_1 */ |               \
	 1ull << 35 /* VIRTIO_F_IN_ORDER */)

struct console {
	struct console_config config;
	struct console_config seen; /* as the frontend has last read or written it */
	struct port port;
};

/* `vrings` are CONSOLE_VRINGS virtqueues, receiveq first. */
void console_init(struct console *console, struct virtq *vrings, struct backend *backend);

/*
 * Reads `len` bytes at `offset`. What is behind the end reads as zero: frontends ask for as many
 * bytes as they were told to show their guest.
 */
void console_read_config(struct console *console, uint32_t offset, void *ret_bytes, uint32_t len);

/*
 * A driver writes `len` bytes at `offset`. Only emerg_wr means anything: a write that covers its
 * first byte puts that on the port's output (virtio 1.3, 5.3.4), at any time, and true is returned
 * then. A frontend that knows only the whole space (QEMU's generic device) writes all of it for
 * each byte, with an old emerg_wr in it: where another field has changed, that was what the driver
 * wrote, and emerg_wr is nothing new.
 */
bool console_write_config(struct console *console, uint32_t offset, const uint8_t *bytes,
                          uint32_t len);

/* The size of the window that counts, in characters; 0 x 0 if none is known. */
void console_set_size(struct console *console, uint16_t cols, uint16_t rows);

/* Pumps the port of virtqueue `vring`, which is started and whole. */
struct port_outcome console_pump(struct console *console, unsigned int vring);

/* Virtqueue `vring` is about to stop or to move: nothing of it may stay taken in part. */
struct port_outcome console_settle(struct console *console, unsigned int vring);

#endif
