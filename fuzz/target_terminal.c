/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a guest prints and a person's terminal sends, the same bytes: scanned for the escape key,
 * for modes to take back, and for questions that aren't replayed. The input's first byte says how
 * long the pieces are; pieces make no difference.
 */
#include "target.h"

#include "backends/escape_key.h"
#include "backends/replay.h"
#include "backends/terminal_modes.h"
#include "base/macros.h"

#include <string.h>

#define RING 4096u

struct kept {
	uint8_t bytes[RING + ESCAPE_KEY_HELD_MAX];
	size_t len, commands;
};

static void keep(struct kept *kept, const void *bytes, size_t len)
{
	must(len <= sizeof(kept->bytes) - kept->len);
	memcpy(kept->bytes + kept->len, bytes, len);
	kept->len += len;
}

/* The escape key: a command is one in any pieces, and the guest gets no byte that wasn't typed. */
static void take_keys(struct kept *kept, const uint8_t *bytes, size_t len, size_t piece)
{
	struct escape_key escape;
	uint8_t given[ESCAPE_KEY_HELD_MAX];

	escape_key_init(&escape, ESCAPE_KEY_DEFAULT);
	for (size_t i = 0; i < len; i++) {
		enum escape_command command;

		keep(kept, given, escape_key_take(&escape, bytes[i], given, &command));
		kept->commands = kept->commands * 3 + (size_t)command;
		must(escape_key_held(&escape) < ESCAPE_KEY_HELD_MAX);
		if ((i + 1) % piece == 0)
			keep(kept, given, escape_key_pause(&escape, given));
	}
	must(kept->len <= len);
}

/* Modes: what takes them back leaves nothing to take back. */
static size_t switch_modes(const uint8_t *bytes, size_t len, size_t piece,
                           char ret_back[TERMINAL_MODES_BYTES_MAX])
{
	struct terminal_modes modes;
	char rest[TERMINAL_MODES_BYTES_MAX];
	size_t back;

	terminal_modes_init(&modes);
	for (size_t at = 0; at < len; at += MIN(piece, len - at))
		terminal_modes_sent(&modes, bytes + at, MIN(piece, len - at));
	must(terminal_modes_give_again(&modes, rest) < sizeof(rest));
	back = terminal_modes_take_back(&modes, ret_back);
	must(back < TERMINAL_MODES_BYTES_MAX);
	terminal_modes_sent(&modes, ret_back, back);
	must(terminal_modes_take_back(&modes, rest) == 0);
	return back;
}

/* A replay of the bytes, which lie across the ring's end. */
static void replay(struct kept *kept, const uint8_t *bytes, size_t len, size_t piece)
{
	static uint8_t memory[RING];
	struct byte_ring_state state = {RING / 2, RING / 2};
	uint64_t pos = RING / 2;
	struct byte_ring ring;
	struct replay replay;

	byte_ring_init(&ring, &state, memory, RING);
	byte_ring_put(&ring, bytes, len);
	must(replay_find_beginning(&ring, pos) <= pos + RING / 4);
	replay_init(&replay, pos, byte_ring_head(&ring));
	while (pos < byte_ring_head(&ring)) {
		struct iovec spans[2];
		uint64_t before = pos;
		size_t n = replay_next(&replay, &ring, &pos, piece);
		unsigned int count = byte_ring_spans(&ring, pos, n, spans);

		must(n <= piece);
		for (unsigned int i = 0; i < count; i++) {
			keep(kept, spans[i].iov_base, spans[i].iov_len);
			pos += spans[i].iov_len;
		}
		must(pos > before);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct kept whole, pieces, again;
	char back[TERMINAL_MODES_BYTES_MAX], back_in_pieces[TERMINAL_MODES_BYTES_MAX];
	size_t piece, n;

	if (len < 1)
		return 0;
	piece = bytes[0] % 64 + 1u;
	bytes++;
	len = MIN(len - 1, RING);

	whole.len = pieces.len = whole.commands = pieces.commands = 0;
	take_keys(&whole, bytes, len, RING + 1);
	take_keys(&pieces, bytes, len, piece);
	must(whole.commands == pieces.commands);

	n = switch_modes(bytes, len, RING, back);
	must(switch_modes(bytes, len, piece, back_in_pieces) == n);
	must(memcmp(back, back_in_pieces, n) == 0);

	/* Leaving questions out leaves none. */
	whole.len = pieces.len = again.len = 0;
	replay(&whole, bytes, len, RING);
	replay(&pieces, bytes, len, piece);
	must(whole.len == pieces.len && memcmp(whole.bytes, pieces.bytes, whole.len) == 0);
	replay(&again, whole.bytes, whole.len, RING);
	must(again.len == whole.len);
	return 0;
}
