/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "console/state.h"

#include "base/macros.h"

#include <string.h>

#define VERSION 1u

static const char magic[8] = "vhostcon";

/* docs/device-state.md. */
struct wire_state {
	uint8_t magic[8];
	le32 version;
	le16 driver;
	le16 stopped_at;
	le32 ports;
	le32 zero;
	le64 size; /* of all of it */
};
_Static_assert(sizeof(struct wire_state) == 32, "docs/device-state.md");

struct wire_port {
	le32 id;
	uint8_t kind;
	uint8_t flags;
	uint8_t pending;
	uint8_t name_len;
	le16 cols;
	le16 rows;
	le32 zero;
	le64 len[STATE_BYTES];
};
_Static_assert(sizeof(struct wire_port) == 40, "docs/device-state.md");

#define DRIVER_READY   1u
#define DRIVER_RESTS   2u
#define DRIVER_STOPPED 4u
#define PORT_KNOWN     1u
#define PORT_READY     2u
#define PORT_OPEN      4u

size_t state_bytes_len(const struct state_port *port, enum state_bytes sort)
{
	return port->bytes[sort][0].iov_len + port->bytes[sort][1].iov_len;
}

size_t state_size_max(void)
{
	return sizeof(struct wire_state) +
	       STATE_PORTS_MAX * (sizeof(struct wire_port) + HANDSHAKE_NAME_MAX);
}

size_t state_size(const struct state *state)
{
	size_t size = sizeof(struct wire_state);

	for (unsigned int i = 0; i < state->ports_count; i++) {
		size += sizeof(struct wire_port) + state->ports[i].name_len;
		for (unsigned int k = 0; k < STATE_BYTES; k++)
			size += state_bytes_len(&state->ports[i], (enum state_bytes)k);
	}
	return size;
}

/* Writing. */

struct writer {
	uint8_t *heads; /* where the next one goes */
	struct iovec *pieces;
	unsigned int count;
};

static void add_piece(struct writer *writer, const void *bytes, size_t len)
{
	if (len > 0)
		writer->pieces[writer->count++] = (struct iovec){(void *)bytes, len};
}

static void add_head(struct writer *writer, const void *head, size_t len, const char *name,
                     size_t name_len)
{
	memcpy(writer->heads, head, len);
	if (name_len > 0)
		memcpy(writer->heads + len, name, name_len);
	add_piece(writer, writer->heads, len + name_len);
	writer->heads += len + name_len;
}

static void add_port(struct writer *writer, const struct state_port *port)
{
	const struct handshake_state *handshake = &port->handshake;
	struct wire_port wire = {
	    .id = le32_of(port->id),
	    .kind = (uint8_t)port->kind,
	    .flags =
		(uint8_t)((handshake->known ? PORT_KNOWN : 0) |
	                  (handshake->ready ? PORT_READY : 0) | (handshake->open ? PORT_OPEN : 0)),
	    .pending = handshake->pending,
	    .name_len = port->name_len,
	    .cols = le16_of(port->cols),
	    .rows = le16_of(port->rows),
	};

	for (unsigned int i = 0; i < STATE_BYTES; i++)
		wire.len[i] = le64_of(state_bytes_len(port, (enum state_bytes)i));
	add_head(writer, &wire, sizeof(wire), port->name, port->name_len);
	for (unsigned int i = 0; i < STATE_BYTES; i++) {
		add_piece(writer, port->bytes[i][0].iov_base, port->bytes[i][0].iov_len);
		add_piece(writer, port->bytes[i][1].iov_base, port->bytes[i][1].iov_len);
	}
}

unsigned int state_write(const struct state *state, uint8_t *ret_heads,
                         struct iovec ret_pieces[STATE_PIECES_MAX])
{
	struct wire_state wire = {
	    .version = le32_of(VERSION),
	    .driver = le16_of((uint16_t)((state->driver_ready ? DRIVER_READY : 0) |
	                                 (state->driver_rests ? DRIVER_RESTS : 0) |
	                                 (state->driver_stopped ? DRIVER_STOPPED : 0))),
	    .stopped_at = le16_of(state->stopped_at),
	    .ports = le32_of(state->ports_count),
	    .size = le64_of(state_size(state)),
	};
	struct writer writer = {.pieces = ret_pieces};

	writer.heads = ret_heads;
	memcpy(wire.magic, magic, sizeof(magic));
	add_head(&writer, &wire, sizeof(wire), NULL, 0);
	for (unsigned int i = 0; i < state->ports_count; i++)
		add_port(&writer, &state->ports[i]);
	return writer.count;
}

/* Reading. */

struct rest {
	const uint8_t *at;
	size_t len;
};

/* The next `len` bytes, or NULL if there are fewer. */
static const uint8_t *take(struct rest *rest, uint64_t len)
{
	const uint8_t *at = rest->at;

	if (len > rest->len)
		return NULL;
	rest->at += len;
	rest->len -= (size_t)len;
	return at;
}

/* Of what a port hasn't got, its driver has nothing to be told. */
static uint8_t messages_of(const struct state_port *port)
{
	uint8_t messages = HANDSHAKE_MESSAGES;

	if (port->kind == STATE_GONE)
		return HANDSHAKE_REMOVE;
	if (port->kind != STATE_CONSOLE)
		messages &= (uint8_t)~HANDSHAKE_OF_CONSOLES;
	if (port->name_len == 0)
		messages &= (uint8_t)~HANDSHAKE_NAME;
	return messages;
}

static bool parse_handshake(const struct wire_port *wire, struct state_port *ret)
{
	bool known = wire->flags & PORT_KNOWN, ready = wire->flags & PORT_READY,
	     open = wire->flags & PORT_OPEN;

	if ((wire->flags & ~(PORT_KNOWN | PORT_READY | PORT_OPEN)) ||
	    (wire->pending & ~messages_of(ret)))
		return false;
	/* Each takes the one before. */
	if ((ready && !known) || (open && !ready))
		return false;
	if (ret->kind == STATE_GONE && (known || !wire->pending))
		return false;
	ret->handshake = (struct handshake_state){
	    .pending = wire->pending, .known = known, .ready = ready, .open = open};
	return true;
}

static bool parse_fields(const struct wire_port *wire, struct state_port *ret)
{
	*ret = (struct state_port){
	    .id = le32_get(wire->id),
	    .kind = (enum state_kind)wire->kind,
	    .name_len = wire->name_len,
	    .cols = le16_get(wire->cols),
	    .rows = le16_get(wire->rows),
	};
	if (ret->id >= STATE_PORTS_MAX || wire->kind >= STATE_KINDS ||
	    wire->name_len > HANDSHAKE_NAME_MAX || le32_get(wire->zero) != 0)
		return false;
	if (ret->kind != STATE_DATA && le64_get(wire->len[STATE_SPILL]) > 0)
		return false;
	if (ret->kind == STATE_GONE &&
	    (wire->name_len > 0 || le64_get(wire->len[STATE_OUTPUT]) > 0 ||
	     le64_get(wire->len[STATE_INPUT]) > 0))
		return false;
	return parse_handshake(wire, ret);
}

static enum state_verdict parse_port(struct rest *rest, struct state_port *ret)
{
	const uint8_t *at = take(rest, sizeof(struct wire_port));
	struct wire_port wire;

	if (!at)
		return STATE_BAD_SIZE;
	memcpy(&wire, at, sizeof(wire));
	if (!parse_fields(&wire, ret))
		return STATE_BAD_VALUE;
	at = take(rest, wire.name_len);
	if (!at)
		return STATE_BAD_SIZE;
	ret->name = wire.name_len > 0 ? (const char *)at : NULL;
	for (unsigned int i = 0; i < STATE_BYTES; i++) {
		uint64_t len = le64_get(wire.len[i]);

		at = take(rest, len);
		if (!at)
			return STATE_BAD_SIZE;
		/* Only read from here on. */
		ret->bytes[i][0] = (struct iovec){.iov_base = (void *)at, .iov_len = (size_t)len};
	}
	return STATE_OK;
}

static enum state_verdict parse_head(const struct wire_state *wire, size_t len, struct state *ret)
{
	uint16_t driver = le16_get(wire->driver);

	if (memcmp(wire->magic, magic, sizeof(magic)) != 0)
		return STATE_NO_STATE;
	if (le32_get(wire->version) != VERSION)
		return STATE_BAD_VERSION;
	if (le64_get(wire->size) != len)
		return STATE_BAD_SIZE;
	if ((driver & ~(DRIVER_READY | DRIVER_RESTS | DRIVER_STOPPED)) ||
	    le32_get(wire->zero) != 0 || le32_get(wire->ports) > STATE_PORTS_MAX)
		return STATE_BAD_VALUE;
	ret->driver_ready = driver & DRIVER_READY;
	ret->driver_rests = driver & DRIVER_RESTS;
	ret->driver_stopped = driver & DRIVER_STOPPED;
	ret->stopped_at = le16_get(wire->stopped_at);
	ret->ports_count = le32_get(wire->ports);
	return STATE_OK;
}

enum state_verdict state_parse(const uint8_t *bytes, size_t len, struct state *ret)
{
	struct rest rest = {bytes, len};
	const uint8_t *at = take(&rest, sizeof(struct wire_state));
	enum state_verdict verdict;
	struct wire_state wire;

	if (!at)
		return STATE_BAD_SIZE;
	memcpy(&wire, at, sizeof(wire));
	verdict = parse_head(&wire, len, ret);
	for (unsigned int i = 0; verdict == STATE_OK && i < ret->ports_count; i++) {
		verdict = parse_port(&rest, &ret->ports[i]);
		if (verdict == STATE_OK && i > 0 && ret->ports[i].id <= ret->ports[i - 1].id)
			verdict = STATE_BAD_VALUE;
	}
	if (verdict == STATE_OK && rest.len > 0)
		verdict = STATE_BAD_SIZE;
	return verdict;
}

const char *state_verdict_text(enum state_verdict verdict)
{
	static const char *const texts[] = {
	    [STATE_OK] = "fine",
	    [STATE_NO_STATE] = "not a console's state",
	    [STATE_BAD_VERSION] = "a version of the state that this program doesn't know",
	    [STATE_BAD_SIZE] = "a state that is cut off or too long",
	    [STATE_BAD_VALUE] = "a value out of range",
	};

	return texts[verdict];
}
