/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Where a terminal can begin, and what it must not be asked again; see replay.h. Pure: bytes of the
 * ring in, positions out.
 */
#include "backends/replay.h"

#include "base/macros.h"

#include <string.h>

/* Questions. */

#define ANY        0u
#define BIT(value) (1u << (value))

/*
 * The control sequences that a terminal answers: of ECMA-48, of DEC's terminals, of xterm ("XTerm
 * Control Sequences") and of kitty. `values` has a bit for each first number with which it is one.
 */
static const struct {
	uint8_t prefix, middle, final;
	uint32_t values;
} questions[] = {
    {0, 0, 'c', ANY},             /* DA1 */
    {'>', 0, 'c', ANY},           /* DA2 */
    {'=', 0, 'c', ANY},           /* DA3 */
    {0, 0, 'n', BIT(5) | BIT(6)}, /* DSR: status, cursor */
    {'?', 0, 'n', ANY},           /* DSR of DEC and later ones */
    {0, '$', 'p', ANY},           /* DECRQM */
    {'?', '$', 'p', ANY},         /* DECRQM, private modes */
    {'>', 0, 'q', ANY},           /* XTVERSION */
    {0, 0, 'x', BIT(0) | BIT(1)}, /* DECREQTPARM */
    {0, '$', 'u', ANY},           /* DECRQTSR */
    {0, '&', 'u', ANY},           /* DECRQUPSS */
    {0, '"', 'v', ANY},           /* DECRQDE */
    {0, '$', 'w', ANY},           /* DECRQPSR */
    {0, '*', 'y', ANY},           /* DECRQCRA */
    {0, '\'', '|', ANY},          /* DECRQLP */
    {0, '#', '|', ANY},           /* XTREPORTSGR */
    {0, '#', 'R', ANY},           /* XTREPORTCOLORS */
    {'?', 0, 'S', ANY},           /* XTSMGRAPHICS */
    {'?', 0, 'm', ANY},           /* XTQMODKEYS */
    {'?', 0, 'g', ANY},           /* XTQFMTKEYS */
    {'?', 0, 'u', ANY},           /* kitty's keyboard flags */
    {0, 0, 't',                   /* XTWINOPS: reports of the window */
     BIT(11) | BIT(13) | BIT(14) | BIT(15) | BIT(16) | BIT(18) | BIT(19) | BIT(20) | BIT(21)},
};

static uint8_t byte_at(const struct byte_ring *ring, uint64_t pos)
{
	return ring->data[pos & (ring->size - 1)];
}

static bool control_asks(const struct sequence *sequence)
{
	uint32_t value = sequence_value(sequence, 0);

	for (unsigned int i = 0; i < ARRAY_SIZE(questions); i++) {
		if (sequence->prefix == questions[i].prefix &&
		    sequence->middle == questions[i].middle &&
		    sequence->final == questions[i].final)
			return questions[i].values == ANY ||
			       (value < 32 && (questions[i].values & BIT(value)));
	}
	return false;
}

/* DECRQSS, XTGETTCAP and XTGETXRES. */
static bool device_control_asks(const struct sequence *sequence)
{
	return (sequence->final == 'q' && (sequence->middle == '$' || sequence->middle == '+')) ||
	       (sequence->final == 'Q' && sequence->middle == '+');
}

/* Whether the bytes [from, to) have `second` right behind one of `first`. */
static bool has_pair(const struct byte_ring *ring, uint64_t from, uint64_t to, const char *first,
                     char second)
{
	for (uint64_t at = from + 1; at < to; at++) {
		uint8_t before = byte_at(ring, at - 1);

		if (byte_at(ring, at) == (uint8_t)second && before && strchr(first, before))
			return true;
	}
	return false;
}

static bool has_text(const struct byte_ring *ring, uint64_t from, uint64_t to, const char *text)
{
	size_t len = strlen(text), i = 0;

	if (to - from < len)
		return false;
	while (i < len && byte_at(ring, from + i) == (uint8_t)text[i])
		i++;
	return i == len;
}

/* iTerm2's. */
static bool iterm_asks(const struct byte_ring *ring, uint64_t from, uint64_t to)
{
	static const char *const asks[] = {"ReportCellSize",
	                                   "ReportVariable=", "RequestUpload=", "Capabilities"};

	while (from < to && byte_at(ring, from) != ';')
		from++;
	for (unsigned int i = 0; from < to && i < ARRAY_SIZE(asks); i++) {
		if (has_text(ring, from + 1, to, asks[i]))
			return true;
	}
	return false;
}

/*
 * Bytes [from, to) are an operating system command. Most ask with a question mark in place of a
 * value; in titles, addresses and the like it is a character like others.
 */
static bool command_asks(const struct sequence *sequence, const struct byte_ring *ring,
                         uint64_t from, uint64_t to)
{
	uint32_t number = sequence_value(sequence, 0);

	switch (number) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 6:
	case 7:
	case 8:
	case 9:
	case 30:
	case 66:
	case 133:
	case 633:
	case 777:
		return false;
	case 60: /* XTQALLOWED */
	case 61: /* XTQDISALLOWED */
	case 5522:
		return true;
	case 1337:
		return iterm_asks(ring, from, to);
	default:
		return sequence->count > 0 && has_pair(ring, from, to, ";:=", '?');
	}
}

/* kitty's graphics: with the action "query" only, so that pictures stay. */
static bool graphics_ask(const struct byte_ring *ring, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at + 4 <= to && byte_at(ring, at) != ';'; at++) {
		if ((byte_at(ring, at) == 'G' || byte_at(ring, at) == ',') &&
		    has_text(ring, at + 1, to, "a=q"))
			return true;
	}
	return false;
}

/* Of the complete sequence that lies before position `end`. */
static bool sequence_asks(const struct sequence *sequence, const struct byte_ring *ring,
                          uint64_t end)
{
	uint64_t begin = end - sequence->len;

	if (sequence->len > REPLAY_QUESTION_MAX)
		return false;
	if (sequence->enquiry)
		return true;
	switch (sequence->introducer) {
	case 0: /* DECID */
		return sequence->final == 'Z' && sequence->middle == 0;
	case '[':
		return control_asks(sequence);
	case 'P':
		return device_control_asks(sequence);
	case ']':
		return command_asks(sequence, ring, begin, end);
	case '_':
		return sequence->first == 'G' && graphics_ask(ring, begin, end);
	default:
		return false;
	}
}

/* Whether a question ends before position `end` with `byte`, which was this part of it. */
static bool asks(const struct sequence *sequence, enum sequence_part part, uint8_t byte,
                 const struct byte_ring *ring, uint64_t end)
{
	if (part == SEQUENCE_IS_TEXT)
		return byte == SEQUENCE_ENQ;
	return part == SEQUENCE_IS_LAST && sequence_asks(sequence, ring, end);
}

void replay_init(struct replay *replay, uint64_t from, uint64_t until)
{
	*replay = (struct replay){.until = until, .kept_to = from, .go_on_at = from, .begun = from};
	sequence_init(&replay->sequence, true);
}

/* Most bytes are these: outside of a sequence nothing more has to be known of them. */
static bool is_plain(uint8_t byte)
{
	return (byte >= 0x20 && byte < 0x7f) || byte == '\n' || byte == '\r';
}

/* Whether the bytes before the next one may still turn out to be the beginning of a question. */
static bool is_undecided(const struct sequence *sequence)
{
	return sequence_is_open(sequence) &&
	       (sequence->state == SEQUENCE_TEXT || sequence->len <= REPLAY_QUESTION_MAX);
}

/*
 * Looks on from go_on_at up to `limit`, or to the first question. For one that begins before that
 * it goes on for REPLAY_QUESTION_MAX.
 */
static void look_on(struct replay *replay, const struct byte_ring *ring, uint64_t limit)
{
	struct sequence *sequence = &replay->sequence;
	uint64_t from = replay->go_on_at, at = from, most = limit + REPLAY_QUESTION_MAX;

	while (at < replay->until && (at < limit || (at < most && is_undecided(sequence)))) {
		bool open = sequence_is_open(sequence);
		uint8_t byte = byte_at(ring, at);
		enum sequence_part part = SEQUENCE_IS_TEXT;

		replay->begun = open ? replay->begun : at;
		at++;
		if (open || !is_plain(byte))
			part = sequence_step(sequence, byte);
		if (asks(sequence, part, byte, ring, at)) {
			replay->kept_to = MAX(replay->begun, from);
			replay->go_on_at = at;
			return;
		}
	}
	replay->kept_to = replay->go_on_at = at;
}

size_t replay_next(struct replay *replay, const struct byte_ring *ring, uint64_t *pos, size_t len)
{
	uint64_t limit = MIN(*pos + len, replay->until);

	/* The ring has overtaken it. */
	if (*pos > replay->kept_to)
		replay_init(replay, *pos, replay->until);
	while (*pos == replay->kept_to && *pos < limit) {
		*pos = replay->go_on_at;
		look_on(replay, ring, MAX(limit, *pos));
	}
	return *pos >= replay->until ? len : (size_t)MIN(len, replay->kept_to - *pos);
}

/* Beginnings. */

/* Behind the rest of a character or, else, of a control sequence. */
static uint64_t skip_rest(const struct byte_ring *ring, uint64_t pos, uint64_t end)
{
	uint64_t at = pos;

	while (at < end && at < pos + 3 && (byte_at(ring, at) & 0xc0) == 0x80)
		at++;
	if (at > pos || at == end)
		return at;
	if (byte_at(ring, at) == '[')
		at++;
	while (at < end && byte_at(ring, at) >= 0x20 && byte_at(ring, at) <= 0x3f)
		at++;
	return at < end && byte_at(ring, at) >= 0x40 && byte_at(ring, at) <= 0x7e ? at + 1 : at;
}

uint64_t replay_find_beginning(const struct byte_ring *ring, uint64_t pos)
{
	uint64_t used = byte_ring_head(ring) - pos;
	uint64_t end = pos + MIN(used, MIN(ring->size / 4, REPLAY_LINE_MAX));
	uint64_t line = 0, other = 0;
	struct sequence sequence;

	sequence_init(&sequence, false);
	for (uint64_t at = pos; at < end; at++) {
		uint8_t byte = byte_at(ring, at);
		enum sequence_part part = sequence_step(&sequence, byte);

		if (part == SEQUENCE_IS_LAST && sequence.introducer == 0 &&
		    sequence.final == '\\') {
			/* The end of a string that began before: so all until here is its. */
			line = 0;
			other = at + 1;
		} else if (part == SEQUENCE_IS_TEXT && byte == '\n' && line == 0) {
			line = at + 1;
		} else if (byte == SEQUENCE_ESC && other == 0) {
			other = at;
		} else if ((byte == SEQUENCE_BEL || byte == '\r') && other == 0) {
			other = at + 1;
		}
	}
	if (line > 0)
		return line;
	return other > 0 ? other : skip_rest(ring, pos, end);
}
