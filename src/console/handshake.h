/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The control messages of one port (virtio 1.3, 5.3.6.2): what the driver has said of it, and what
 * it has still to be told.
 *
 * What is to be told is a set, not a list: however often something changes or is asked for, there
 * is one message of each sort, with what holds when it is sent. So a driver that doesn't listen
 * costs nothing, and whatever it says again is answered again. Pure: bytes out.
 */
#ifndef CONSOLE_HANDSHAKE_H
#define CONSOLE_HANDSHAKE_H

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
#define HANDSHAKE_NAME_MAX    64u
#define HANDSHAKE_MESSAGE_MAX (sizeof(struct virtio_console_control) + HANDSHAKE_NAME_MAX)

/* The messages that the driver may have to be told: of `pending`. */
#define HANDSHAKE_ADD         (1u << VIRTIO_CONSOLE_DEVICE_ADD)
#define HANDSHAKE_REMOVE      (1u << VIRTIO_CONSOLE_DEVICE_REMOVE)
#define HANDSHAKE_NAME        (1u << VIRTIO_CONSOLE_PORT_NAME)
#define HANDSHAKE_OF_CONSOLES (1u << VIRTIO_CONSOLE_CONSOLE_PORT | 1u << VIRTIO_CONSOLE_RESIZE)
#define HANDSHAKE_MESSAGES                                                                         \
	(HANDSHAKE_ADD | HANDSHAKE_REMOVE | HANDSHAKE_NAME | HANDSHAKE_OF_CONSOLES |               \
	 1u << VIRTIO_CONSOLE_PORT_OPEN)

/* What outlives the process. Zero: no driver knows of the port. */
struct handshake_state {
	uint8_t pending; /* what the driver has to be told: a bit for each event */
	bool known;      /* it has been told that there is a port, or says so */
	bool ready;      /* it has taken the port */
	bool open;       /* and has opened it */
};

struct handshake {
	struct handshake_state *state;
	const char *name; /* or NULL; at most HANDSHAKE_NAME_MAX bytes count */
	bool console;     /* else a data port */
	bool attended;    /* our side of it is open */
	uint16_t cols, rows;
};

struct handshake_message {
	uint8_t event; /* for handshake_sent() */
	size_t len;
	uint8_t bytes[HANDSHAKE_MESSAGE_MAX];
};

/* A driver has started that knows nothing yet of the port, which is there or (`present`) isn't. */
void handshake_start(struct handshake *port, bool present);

/* The driver at work is another one, or the same resumed: that one goes on with the ports it knows.
 */
void handshake_restart(struct handshake *port);

/* The port has come or gone. */
void handshake_plug(struct handshake *port);
void handshake_unplug(struct handshake *port);

/*
 * The port goes on with the state of another device's (zero: that had none), whose driver knew it
 * as `cols` x `rows`; what is otherwise here is told.
 */
void handshake_load(struct handshake *port, const struct handshake_state *state, uint16_t cols,
                    uint16_t rows);

/* Takes a message of the driver's about the port. Whether it changes or asks for anything. */
bool handshake_take(struct handshake *port, uint16_t event, uint16_t value);

/* Our side was opened or closed, or the window has another size: tells a driver that cares. */
void handshake_set_attended(struct handshake *port, bool attended);
void handshake_set_size(struct handshake *port, uint16_t cols, uint16_t rows);

/* What the driver takes a VIRTIO_CONSOLE_RESIZE for. */
enum handshake_size {
	HANDSHAKE_NO_SIZE, /* for nothing */
	HANDSHAKE_COLS_ROWS,
	HANDSHAKE_ROWS_COLS,
};

/* Whether the driver, which has taken the port, takes our side for open though nobody is there. */
bool handshake_owes_close(const struct handshake *port);

/*
 * The message that is to be sent next, about port number `id`; false if there is none. It stays the
 * next one until it was sent.
 */
bool handshake_next(struct handshake *port, uint32_t id, enum handshake_size size,
                    struct handshake_message *ret_message);
void handshake_sent(struct handshake *port, const struct handshake_message *message);

#endif
