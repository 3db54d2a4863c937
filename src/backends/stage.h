/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A reader's own bounded buffer, for whoever can't be sent bytes straight out of the ring: because
 * a write may have to wait, or because the bytes are encoded on the way.
 *
 * It is filled when it is empty, with the line that marks a gap if there is one and then with the
 * ring's bytes, and is delivered in as many pieces as it takes.
 */
#ifndef BACKENDS_STAGE_H
#define BACKENDS_STAGE_H

#include "backends/output.h"

struct stage;

/*
 * Appends the first of `len` bytes, encoded, to the stage by stage_append(), as long as
 * stage_room() is enough for them. Returns how many bytes it has taken; the rest stays in the ring.
 */
typedef size_t stage_encode_fn(struct stage *stage, const uint8_t *bytes, size_t len);

struct stage {
	struct reader *reader;
	stage_encode_fn *encode; /* NULL: as they are */
	uint8_t *bytes;
	size_t size, len, done;
	size_t reserve; /* of `size`, what the ring's bytes leave for stage_append() */
};

/* `bytes`, of `size`, belong to the caller. */
void stage_init(struct stage *stage, struct reader *reader, void *bytes, size_t size);

/* Appends bytes that don't come out of the ring. False, without doing so, if they don't fit. */
bool stage_append(struct stage *stage, const void *bytes, size_t len);

/* How many of the ring's bytes fit, encoded. */
size_t stage_room(const struct stage *stage);

/* Fills it, if it is empty, with what the reader has to read. */
void stage_fill(struct stage *stage);

/* What is to be delivered next: writes where it is and returns how much. */
size_t stage_rest(const struct stage *stage, void **ret_bytes);

/* The first `len` bytes of the rest have been delivered. */
void stage_delivered(struct stage *stage, size_t len);

/* Whether there is anything to deliver, here or in the ring. */
bool stage_pending(const struct stage *stage);

#endif
