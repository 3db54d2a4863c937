/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The control messages of one port (virtio 1.3, 5.3.6.2): what the driver has said of it, and what
 * it has still to be told.
 *
 * What is to be told is a set, not a list: however often something changes or is asked for, there
 * is one message of each sort, with what holds when it is sent. So a driver that doesn't listen
 * costs nothing, and whatever it says again is answered again. Pure: bytes out.
 */
#ifndef CONSOLE_CONTROL_H
#define CONSOLE_CONTROL_H

#include "base/endian.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct virtio_console_control {
	le32 id;
	le16 event;
	le16 value;
};
_Static_assert(sizeof(struct virtio_console_control) == 8, "virtio 1.3, 5.3.6.2");

enum {
	VIRTIO_CONSOLE_DEVICE_READY = 0,
	VIRTIO_CONSOLE_DEVICE_ADD = 1,
	VIRTIO_CONSOLE_DEVICE_REMOVE = 2,
	VIRTIO_CONSOLE_PORT_READY = 3,
	VIRTIO_CONSOLE_CONSOLE_PORT = 4,
	VIRTIO_CONSOLE_RESIZE = 5,
	VIRTIO_CONSOLE_PORT_OPEN = 6,
	VIRTIO_CONSOLE_PORT_NAME = 7,
};

/* The longest name of a port, in bytes. */
#define CONTROL_NAME_MAX    64u
#define CONTROL_MESSAGE_MAX (sizeof(struct virtio_console_control) + CONTROL_NAME_MAX)

/* What outlives the process. Zero: no driver knows of the port. */
struct control_state {
	uint8_t pending; /* what the driver has to be told: a bit for each event */
	bool known;      /* it has been told that there is a port */
	bool ready;      /* it has taken the port */
	bool open;       /* and has opened it */
};

struct control_port {
	struct control_state *state;
	const char *name; /* or NULL; at most CONTROL_NAME_MAX bytes count */
	bool console;     /* else a data port */
	bool attended;    /* our side of it is open */
	uint16_t cols, rows;
};

struct control_message {
	uint8_t event; /* for control_sent() */
	size_t len;
	uint8_t bytes[CONTROL_MESSAGE_MAX];
};

/* A driver has started that knows nothing yet of the port, which is there or (`present`) isn't. */
void control_start(struct control_port *port, bool present);

/* The port has come or gone while a driver is at work. */
void control_plug(struct control_port *port);
void control_unplug(struct control_port *port);

/* Takes a message of the driver's about the port. Whether it changes or asks for anything. */
bool control_take(struct control_port *port, uint16_t event, uint16_t value);

/* Our side was opened or closed, or the window has another size: tells a driver that cares. */
void control_set_attended(struct control_port *port, bool attended);
void control_set_size(struct control_port *port, uint16_t cols, uint16_t rows);

/*
 * The message that is to be sent next, about port number `id`; false if there is none. It stays the
 * next one until it was sent. `rows_first`: what the driver takes a RESIZE for.
 */
bool control_next(struct control_port *port, uint32_t id, bool rows_first,
                  struct control_message *ret_message);
void control_sent(struct control_port *port, const struct control_message *message);

#endif
