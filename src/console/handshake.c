/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "console/handshake.h"

#include "base/macros.h"

#include <string.h>

#define BIT(event) (1u << (event))

/* In this order: a name comes before the port opens, so that the guest's links exist by then. */
static const uint8_t order[] = {
    VIRTIO_CONSOLE_DEVICE_REMOVE, VIRTIO_CONSOLE_DEVICE_ADD, VIRTIO_CONSOLE_CONSOLE_PORT,
    VIRTIO_CONSOLE_PORT_NAME,     VIRTIO_CONSOLE_PORT_OPEN,  VIRTIO_CONSOLE_RESIZE,
};

static void tell(struct handshake *port, unsigned int event)
{
	port->state->pending |= (uint8_t)BIT(event);
}

void handshake_start(struct handshake *port, bool present)
{
	*port->state = (struct handshake_state){0};
	if (present)
		tell(port, VIRTIO_CONSOLE_DEVICE_ADD);
}

void handshake_restart(struct handshake *port)
{
	port->state->pending &= BIT(VIRTIO_CONSOLE_DEVICE_ADD) | BIT(VIRTIO_CONSOLE_DEVICE_REMOVE);
	port->state->ready = port->state->open = false;
}

void handshake_plug(struct handshake *port)
{
	tell(port, VIRTIO_CONSOLE_DEVICE_ADD);
}

void handshake_unplug(struct handshake *port)
{
	bool removed =
	    port->state->known || (port->state->pending & BIT(VIRTIO_CONSOLE_DEVICE_REMOVE));

	*port->state = (struct handshake_state){0};
	if (removed)
		tell(port, VIRTIO_CONSOLE_DEVICE_REMOVE);
}

/* Linux's driver knows the size of a console only after it has made one of the port. */
static void tell_size(struct handshake *port)
{
	if (port->console && port->state->ready)
		tell(port, VIRTIO_CONSOLE_RESIZE);
}

static void introduce(struct handshake *port)
{
	if (port->console)
		tell(port, VIRTIO_CONSOLE_CONSOLE_PORT);
	if (port->name)
		tell(port, VIRTIO_CONSOLE_PORT_NAME);
	tell(port, VIRTIO_CONSOLE_PORT_OPEN);
	tell_size(port);
}

/* Some say it again without having forgotten what they know: Linux after it was suspended. */
bool handshake_take(struct handshake *port, uint16_t event, uint16_t value)
{
	switch (event) {
	case VIRTIO_CONSOLE_PORT_READY:
		port->state->ready = value == 1;
		port->state->open &= port->state->ready;
		port->state->known |= port->state->ready;
		if (port->state->ready)
			introduce(port);
		return true;
	case VIRTIO_CONSOLE_PORT_OPEN:
		/* It may still speak of a port of that number that was there before. */
		if (!port->state->ready)
			return false;
		port->state->open = value != 0;
		if (port->state->open)
			tell_size(port);
		return true;
	default:
		return false;
	}
}

void handshake_set_attended(struct handshake *port, bool attended)
{
	if (port->attended == attended)
		return;
	port->attended = attended;
	if (!port->console && port->state->ready)
		tell(port, VIRTIO_CONSOLE_PORT_OPEN);
}

bool handshake_owes_close(const struct handshake *port)
{
	return port->state->ready &&
	       (port->attended || port->state->pending & BIT(VIRTIO_CONSOLE_PORT_OPEN));
}

void handshake_set_size(struct handshake *port, uint16_t cols, uint16_t rows)
{
	port->cols = cols;
	port->rows = rows;
	tell_size(port);
}

static void append(struct handshake_message *message, const void *bytes, size_t len)
{
	memcpy(message->bytes + message->len, bytes, len);
	message->len += len;
}

static void append_size(struct handshake_message *message, const struct handshake *port,
                        bool rows_first)
{
	le16 cols = le16_of(port->cols), rows = le16_of(port->rows);

	append(message, rows_first ? &rows : &cols, sizeof(le16));
	append(message, rows_first ? &cols : &rows, sizeof(le16));
}

void handshake_load(struct handshake *port, const struct handshake_state *state, uint16_t cols,
                    uint16_t rows)
{
	*port->state = *state;
	if (cols != port->cols || rows != port->rows)
		tell_size(port);
	/* Whether anybody is here the driver can't know. */
	if (!port->console && state->ready)
		tell(port, VIRTIO_CONSOLE_PORT_OPEN);
}

static uint16_t value_of(const struct handshake *port, uint8_t event)
{
	switch (event) {
	case VIRTIO_CONSOLE_CONSOLE_PORT: /* unused, but Linux does nothing at 0 */
		return 1;
	case VIRTIO_CONSOLE_PORT_OPEN:
		return port->console || port->attended;
	default:
		return 0;
	}
}

static void compose(const struct handshake *port, uint32_t id, uint8_t event, bool rows_first,
                    struct handshake_message *ret_message)
{
	struct virtio_console_control head = {
	    .id = le32_of(id),
	    .event = le16_of(event),
	    .value = le16_of(value_of(port, event)),
	};

	ret_message->event = event;
	ret_message->len = 0;
	append(ret_message, &head, sizeof(head));
	if (event == VIRTIO_CONSOLE_RESIZE)
		append_size(ret_message, port, rows_first);
	/* Without a NUL: virtio 1.3, 5.3.6.2. */
	if (event == VIRTIO_CONSOLE_PORT_NAME)
		append(ret_message, port->name, strnlen(port->name, HANDSHAKE_NAME_MAX));
}

bool handshake_next(struct handshake *port, uint32_t id, enum handshake_size size,
                    struct handshake_message *ret_message)
{
	struct handshake_state *state = port->state;

	/* Of a window that isn't known there is nothing to tell. */
	if (size == HANDSHAKE_NO_SIZE || (port->cols == 0 && port->rows == 0))
		state->pending &= (uint8_t)~BIT(VIRTIO_CONSOLE_RESIZE);
	for (unsigned int i = 0; i < ARRAY_SIZE(order) && state->pending; i++) {
		if (!(state->pending & BIT(order[i])))
			continue;
		compose(port, id, order[i], size == HANDSHAKE_ROWS_COLS, ret_message);
		return true;
	}
	return false;
}

void handshake_sent(struct handshake *port, const struct handshake_message *message)
{
	port->state->pending &= (uint8_t)~BIT(message->event);
	if (message->event == VIRTIO_CONSOLE_DEVICE_ADD)
		port->state->known = true;
}
