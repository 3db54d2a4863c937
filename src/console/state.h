/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The console's state as it is saved and loaded (docs/device-state.md): bytes into a struct whose
 * every field is in range, and back. Pure. What comes in is a stranger's: a state is read whole or
 * refused.
 */
#ifndef CONSOLE_STATE_H
#define CONSOLE_STATE_H

#include "console/handshake.h"

#include <stdint.h>
#include <sys/uio.h>

/* The most ports a state may have: as many as a console. */
#define STATE_PORTS_MAX 31u

enum state_kind {
	STATE_CONSOLE,
	STATE_DATA,
	STATE_GONE, /* there is no port any more, which the driver has still to be told */
	STATE_KINDS
};

/* The bytes of a port, oldest first, in two pieces each. */
enum state_bytes {
	STATE_OUTPUT, /* a console's kept output; of a data port what nobody has got yet */
	STATE_INPUT,  /* what the driver hasn't got yet */
	STATE_SPILL,  /* what a data port had to take at once, behind its output */
	STATE_BYTES
};

struct state_port {
	uint32_t id; /* below STATE_PORTS_MAX, greater than that of the port before */
	enum state_kind kind;
	const char *name; /* name_len bytes without a NUL; NULL with 0 of them */
	uint8_t name_len; /* at most HANDSHAKE_NAME_MAX */
	struct handshake_state handshake;
	uint16_t cols, rows;
	struct iovec bytes[STATE_BYTES][2];
	uint64_t from[STATE_BYTES]; /* when saving: the ring position of the first of them */
};

struct state {
	bool driver_ready, driver_rests, driver_stopped; /* see struct console_record */
	uint16_t stopped_at;
	unsigned int ports_count;
	struct state_port ports[STATE_PORTS_MAX];
};

enum state_verdict {
	STATE_OK,
	STATE_NO_STATE,    /* it doesn't begin like one */
	STATE_BAD_VERSION, /* of another version than this one's */
	STATE_BAD_SIZE,    /* cut off, or with something behind its end */
	STATE_BAD_VALUE    /* a field out of range */
};

/* How many bytes a port has of one sort. */
size_t state_bytes_len(const struct state_port *port, enum state_bytes sort);

/* The size of a saved state, and the most it can be without the ports' bytes. */
size_t state_size(const struct state *state);
size_t state_size_max(void);

/* The most pieces that a saved state lies in: heads, and the ports' bytes between them. */
#define STATE_PIECES_MAX (1 + STATE_PORTS_MAX * (1 + 2 * STATE_BYTES))

/*
 * Writes the heads and names to `ret_heads`, which has room for state_size_max() bytes, and to
 * `ret_pieces`, in the order of the format, where all of the state lies: there, and where the
 * ports' bytes are. Returns the number of pieces, at most STATE_PIECES_MAX; none is empty.
 */
unsigned int state_write(const struct state *state, uint8_t *ret_heads,
                         struct iovec ret_pieces[STATE_PIECES_MAX]);

/* Reads a state, whose names and bytes lie in `bytes` (each in the first of its two pieces). */
enum state_verdict state_parse(const uint8_t *bytes, size_t len, struct state *ret);
const char *state_verdict_text(enum state_verdict verdict);

#endif
