/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest's virtio-console driver with MULTIPORT: the control queues and the ports beyond the first
 * (virtio 1.3, 5.3.2, 5.3.6.2), beside a console driver, which plays the VMM and has port 0.
 *
 * It records every message of the device, in order, and what they say of each port; it says what a
 * test wants said. It answers nothing by itself.
 *
 * Checked without being asked: used buffers by the queues' books; a control buffer comes back with
 * one whole message or with the length 0, and is written nowhere else; what the driver sends comes
 * back with the length 0.
 */
#ifndef SUPPORT_MULTIPORT_DRIVER_H
#define SUPPORT_MULTIPORT_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "console_driver.h"
#include "port_driver.h"

/* Events (virtio 1.3, 5.3.6.2). */
enum {
	CONSOLE_DEVICE_READY = 0, /* from the driver */
	CONSOLE_DEVICE_ADD = 1,
	CONSOLE_DEVICE_REMOVE = 2,
	CONSOLE_PORT_READY = 3, /* from the driver */
	CONSOLE_CONSOLE_PORT = 4,
	CONSOLE_RESIZE = 5,
	CONSOLE_PORT_OPEN = 6, /* from both */
	CONSOLE_PORT_NAME = 7,
	CONSOLE_EVENTS,
};

enum {
	MULTIPORT_CONTROL_RECEIVE = 2, /* vrings */
	MULTIPORT_CONTROL_TRANSMIT = 3,
	MULTIPORT_PORTS = 31,
	MULTIPORT_HEADER = 8,        /* bytes of a message without more */
	MULTIPORT_MORE = 120,        /* most bytes after it */
	MULTIPORT_PIECES = 64,       /* descriptors of one message */
	MULTIPORT_NO_ID = 0xffffffff /* of what isn't for a port */
};

/* The fixed part of a control message, as it lies in memory (little endian). */
struct multiport_header {
	uint32_t id;
	uint16_t event;
	uint16_t value;
};

struct multiport_message {
	struct multiport_header header;
	uint8_t more[MULTIPORT_MORE];
	size_t more_size;
};

/* What the device has said of a port since the handshake began. */
struct multiport_port_state {
	bool added, console, open;
	uint16_t cols, rows; /* of the last RESIZE */
	char name[MULTIPORT_MORE + 1];
};

struct multiport_driver_options {
	struct console_driver_options console; /* F_MULTIPORT is added to its features; `vrings` 0:
	                                          2 (ports + 1); `configured` is that, too */
	uint32_t ports;                        /* that the driver sets up; 3 */
	struct port_driver_options port;       /* of ports 1 and up */
	uint32_t control_count;                /* receive buffers for control messages; 16 */
	uint32_t control_size;                 /* bytes of each; 128 */
};

struct multiport_buffer; /* a control receive buffer */

struct multiport_driver {
	struct console_driver *console;
	struct multiport_driver_options options;
	struct driver_queue *control_receive, *control_transmit;
	struct port_driver port[MULTIPORT_PORTS + 1]; /* from 1 on */
	struct multiport_port_state state[MULTIPORT_PORTS + 1];

	struct multiport_message *messages; /* all that were received, */
	size_t count;                       /* so many, */
	size_t taken;                       /* of which a test has looked at the first few */
	unsigned int empty;                 /* control buffers that came back with the length 0 */
	bool hold_control;                  /* don't post a control buffer again once used */

	/* Nobody else's. */
	size_t room;
	struct multiport_buffer *buffers;
	uint32_t buffers_count;
	uint64_t send_gpa;
};

/* The console driver's part of the options, with the defaults filled in: to make it with, before
 * multiport_driver_init(), which wants the same options. */
struct console_driver_options multiport_driver_console_options(
    const struct multiport_driver_options *options);

void multiport_driver_init(struct multiport_driver *driver, struct console_driver *console,
                           const struct multiport_driver_options *options);

/* Frees its own; the console driver stays. May be called twice, and on zeroed memory. */
void multiport_driver_deinit(struct multiport_driver *driver);

/* ---- the VMM's occasions, with all queues' buffers ---- */

/* VMM_CONNECT, VMM_START, VMM_CONFIG, and receive buffers for everything. */
bool multiport_driver_bring_up(struct multiport_driver *driver);
/* VMM_RESET; the messages are forgotten too. Then VMM_RESTART, VMM_CONFIG and the buffers. */
bool multiport_driver_reset(struct multiport_driver *driver);
bool multiport_driver_restart(struct multiport_driver *driver);

/* A port's driver. */
struct port_driver *multiport_driver_port(struct multiport_driver *driver, uint32_t id);

/* ---- control messages from the device ---- */

/* Posts the usual receive buffers that the device doesn't have. */
void multiport_driver_post_control(struct multiport_driver *driver);
/* Posts one more, of these pieces, each in a place of its own; it isn't posted again. */
void multiport_driver_post_pieces(struct multiport_driver *driver, const uint32_t *sizes,
                                  uint32_t count);

/* Takes what has come; how many messages a test hasn't looked at. */
size_t multiport_driver_collect(struct multiport_driver *driver);
/* Waits for so many, by the same count. */
void multiport_driver_await(struct multiport_driver *driver, size_t count);
/* Waits for the next and takes it; valid until more is collected. */
const struct multiport_message *multiport_driver_next(struct multiport_driver *driver);
/* Waits for the next and dies unless it is this one, with these bytes after it. */
void multiport_driver_expect(struct multiport_driver *driver, uint32_t id, uint16_t event,
                             uint16_t value, const void *more, size_t more_size);
/* Those that have come count as looked at. */
void multiport_driver_skip(struct multiport_driver *driver);
/* Waits until the device's last PORT_OPEN for the port has said so. */
void multiport_driver_await_open(struct multiport_driver *driver, uint32_t id, bool open);

/* ---- control messages to the device: each waits, as Linux does, until it has been used ---- */

void multiport_driver_send(struct multiport_driver *driver, uint32_t id, uint16_t event,
                           uint16_t value);
/* The bytes in `count` descriptors of these sizes (0 to 64 each), each in a place of its own. */
void multiport_driver_send_pieces(struct multiport_driver *driver, const void *bytes,
                                  const uint32_t *sizes, uint32_t count, bool indirect);

/* "PORT_OPEN", or "event 99". Valid till the next call. */
const char *multiport_event_name(uint16_t event);

#endif
