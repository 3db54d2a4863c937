/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the guest has switched in the terminal; see terminal_modes.h. Pure: bytes in, bytes out.
 */
#include "backends/terminal_modes.h"

#include "base/macros.h"

#include <string.h>

#define SHIFT_OUT 0x0e
#define SHIFT_IN  0x0f

/* Private modes with a meaning of their own here. */
#define MODE_ANSI          2u
#define MODE_ORIGIN        6u
#define MODE_SAVE_CURSOR   1048u
#define MODE_SCREEN_CURSOR 1049u

/*
 * The private modes that are known (DEC's, xterm's and later ones), and those that are on by
 * default. So many others as there is room for are taken for off by default.
 */
static const struct {
	uint16_t number;
	bool by_default;
} known[] = {
    {1, false},           {MODE_ANSI, true}, {3, false},    {4, false},    {5, false},
    {MODE_ORIGIN, false}, {7, true},         {8, true},     {9, false},    {12, false},
    {25, true},           {40, false},       {45, false},   {66, false},   {67, false},
    {69, false},          {80, false},       {1000, false}, {1001, false}, {1002, false},
    {1003, false},        {1004, false},     {1005, false}, {1006, false}, {1007, false},
    {1015, false},        {1016, false},     {1034, true},  {1035, true},  {1036, true},
    {1039, true},         {1042, false},     {1043, false}, {1045, false}, {1046, true},
    {1070, true},         {2004, false},     {2026, false}, {2027, false}, {2031, false},
    {2048, false},        {5522, false},     {7727, false}, {8452, false},
};

_Static_assert(ARRAY_SIZE(known) + TERMINAL_MODES_OTHERS_MAX <= TERMINAL_MODES_PRIVATE_MAX,
               "all known modes have a place");

static void init_modes(struct terminal_modes *modes)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(known); i++)
		modes->modes[i] = (struct terminal_mode){known[i].number, known[i].by_default,
		                                         known[i].by_default};
	modes->count = ARRAY_SIZE(known);
}

void terminal_modes_init(struct terminal_modes *modes)
{
	*modes = (struct terminal_modes){.charset = 'B'};
	sequence_init(&modes->sequence, true);
	init_modes(modes);
}

/* Following the guest. */

static struct terminal_keyboard *keyboard_of(struct terminal_modes *modes)
{
	return &modes->keyboards[modes->screen != 0];
}

static void set_private(struct terminal_modes *modes, uint32_t number, bool on)
{
	unsigned int i = 0;

	if (number == 47 || number == 1047 || number == MODE_SCREEN_CURSOR) {
		modes->screen = on ? number : 0;
		return;
	}
	while (i < modes->count && modes->modes[i].number != number)
		i++;
	/* That one is no state, but saves the cursor or puts it back. */
	if (number == MODE_SAVE_CURSOR || i == ARRAY_SIZE(modes->modes))
		return;
	if (i == modes->count && on)
		modes->modes[modes->count++] = (struct terminal_mode){.number = number};
	if (i < modes->count)
		modes->modes[i].now = on;
}

static void set_ansi(struct terminal_modes *modes, uint32_t number, bool on)
{
	switch (number) {
	case 2:
		modes->locked = on;
		break;
	case 4:
		modes->insert = on;
		break;
	case 12: /* SRM: the terminal itself echoes while it is off */
		modes->echo = !on;
		break;
	case 20:
		modes->newline = on;
		break;
	default:
		break;
	}
}

static void set_modes(struct terminal_modes *modes, bool on)
{
	const struct sequence *sequence = &modes->sequence;

	for (unsigned int i = 0; i < MIN(sequence->count, SEQUENCE_VALUES_MAX); i++) {
		if (sequence->prefix == '?')
			set_private(modes, sequence->values[i], on);
		else if (sequence->prefix == 0)
			set_ansi(modes, sequence->values[i], on);
	}
}

static uint32_t *flags_of(struct terminal_keyboard *keyboard)
{
	return keyboard->pushed > 0
	           ? &keyboard->flags[MIN(keyboard->pushed, TERMINAL_MODES_KEYBOARD_MAX) - 1]
	           : &keyboard->base;
}

static void push_keyboard(struct terminal_keyboard *keyboard, uint32_t flags)
{
	if (keyboard->pushed == TERMINAL_MODES_KEYBOARD_MAX)
		memmove(keyboard->flags, keyboard->flags + 1,
		        sizeof(keyboard->flags) - sizeof(keyboard->flags[0]));
	else
		keyboard->pushed++;
	keyboard->flags[keyboard->pushed - 1] = flags;
}

/* With nothing left on the stack, all flags are off. */
static void pop_keyboard(struct terminal_keyboard *keyboard, uint32_t n)
{
	if (n > keyboard->pushed)
		keyboard->base = 0;
	keyboard->pushed -= MIN(n, keyboard->pushed);
}

static void set_keyboard(struct terminal_keyboard *keyboard, uint32_t flags, uint32_t how)
{
	uint32_t *now = flags_of(keyboard);

	*now = how == 3 ? *now & ~flags : how == 2 ? *now | flags : flags;
}

static void take_keyboard(struct terminal_modes *modes)
{
	const struct sequence *sequence = &modes->sequence;
	struct terminal_keyboard *keyboard = keyboard_of(modes);

	if (sequence->prefix == '>')
		push_keyboard(keyboard, sequence_value(sequence, 0));
	else if (sequence->prefix == '<')
		pop_keyboard(keyboard, MAX(sequence_value(sequence, 0), 1u));
	else if (sequence->prefix == '=')
		set_keyboard(keyboard, sequence_value(sequence, 0), sequence_value(sequence, 1));
}

/* SGR, and modifyOtherKeys and its like, which differ in the prefix. */
static void take_attributes(struct terminal_modes *modes)
{
	const struct sequence *sequence = &modes->sequence;
	uint32_t which = sequence_value(sequence, 0);
	uint32_t value = sequence_value(sequence, 1);

	if (sequence->prefix == 0)
		modes->attributes = sequence->count > 1 || which > 0;
	if (sequence->prefix != '>')
		return;
	if (sequence->count == 0)
		modes->modify_set = 0;
	if (sequence->count == 0 || which >= ARRAY_SIZE(modes->modify))
		return;
	modes->modify_set &= ~(1u << which);
	modes->modify_set |= (sequence->count > 1 && value > 0) ? 1u << which : 0;
	modes->modify[which] = value;
}

/* DECSTR: some modes, but neither the screen nor the mouse. */
static void soft_reset(struct terminal_modes *modes)
{
	static const uint16_t reset[] = {1, MODE_ORIGIN, 25, 66, 69};

	for (unsigned int i = 0; i < ARRAY_SIZE(reset); i++)
		set_private(modes, reset[i], reset[i] == 25);
	modes->insert = modes->locked = modes->keypad = modes->attributes = false;
	modes->top = modes->bottom = 0;
	modes->charset = 'B';
	modes->shift = 0;
}

static void take_middle(struct terminal_modes *modes)
{
	const struct sequence *sequence = &modes->sequence;

	if (sequence->middle == ' ' && sequence->final == 'q')
		modes->cursor_shape = sequence_value(sequence, 0);
	else if (sequence->middle == '!' && sequence->final == 'p')
		soft_reset(modes);
}

static void take_control(struct terminal_modes *modes)
{
	const struct sequence *sequence = &modes->sequence;

	if (sequence->middle) {
		take_middle(modes);
		return;
	}
	switch (sequence->final) {
	case 'h':
	case 'l':
		set_modes(modes, sequence->final == 'h');
		break;
	case 'm':
		take_attributes(modes);
		break;
	case 'n': /* xterm: `CSI > 4 n` switches modifyOtherKeys off */
		if (sequence->prefix == '>' && sequence_value(sequence, 0) < 32)
			modes->modify_set &= ~(1u << sequence_value(sequence, 0));
		break;
	case 'r':
		if (sequence->prefix == 0) {
			modes->top = sequence_value(sequence, 0);
			modes->bottom = sequence_value(sequence, 1);
		}
		break;
	case 'u':
		take_keyboard(modes);
		break;
	default:
		break;
	}
}

static void take_escape(struct terminal_modes *modes)
{
	const struct sequence *sequence = &modes->sequence;

	if (sequence->middle == '(')
		modes->charset = sequence->final;
	else if (sequence->middle == '%')
		modes->not_utf8 = sequence->final == '@';
	else if (sequence->middle == ' ' && (sequence->final == 'F' || sequence->final == 'G'))
		modes->c1_replies = sequence->final == 'G';
	if (sequence->middle)
		return;
	switch (sequence->final) {
	case '=':
	case '>':
		modes->keypad = sequence->final == '=';
		break;
	case 'n': /* LS2, LS3 */
	case 'o':
		modes->shift = sequence->final;
		break;
	case 'c': /* RIS */
		terminal_modes_init(modes);
		break;
	case '<': /* out of VT52's mode */
		set_private(modes, MODE_ANSI, true);
		break;
	default:
		break;
	}
}

/* Of operating system commands, colours and links; a question mark asks and sets nothing. */
static void take_command(struct terminal_modes *modes)
{
	const struct sequence *sequence = &modes->sequence;
	uint32_t number = sequence_value(sequence, 0);
	bool sets = sequence->last != '?' && sequence->first != 0;

	if (sequence->count == 0)
		return;
	if (number == 4 || number == 104)
		modes->palette =
		    number == 4 ? modes->palette || sets : modes->palette && sequence->first != 0;
	else if (number == 5 || number == 105)
		modes->special_colours = number == 5
		                             ? modes->special_colours || sets
		                             : modes->special_colours && sequence->first != 0;
	else if (number >= 10 && number <= 19)
		modes->colours |= sets ? 1u << (number - 10) : 0;
	else if (number >= 110 && number <= 119)
		modes->colours &= ~(1u << (number - 110));
	else if (number == 8) /* OSC 8 ; parameters ; address: without an address it ends */
		modes->link = sequence->last != ';';
}

static void take_sequence(struct terminal_modes *modes)
{
	switch (modes->sequence.introducer) {
	case 0:
		take_escape(modes);
		break;
	case '[':
		take_control(modes);
		break;
	case ']':
		take_command(modes);
		break;
	default:
		break;
	}
}

static void sent(struct terminal_modes *modes, uint8_t byte)
{
	if ((byte == SHIFT_OUT || byte == SHIFT_IN) && modes->sequence.state != SEQUENCE_STRING)
		modes->shift = byte == SHIFT_OUT ? byte : 0;
	if (sequence_step(&modes->sequence, byte) == SEQUENCE_IS_LAST)
		take_sequence(modes);
}

void terminal_modes_sent(struct terminal_modes *modes, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++) {
		/* Most bytes are these, and nothing has to be known of them. */
		if (at[i] < 0x20 || at[i] >= 0x7f || sequence_is_open(&modes->sequence))
			sent(modes, at[i]);
	}
}

/* Writing. snprintf() isn't for signal handlers. */

struct writer {
	char *bytes;
	size_t len;
};

static void put(struct writer *writer, const char *text)
{
	size_t len = strlen(text);

	/* What everything takes is less: TERMINAL_MODES_BYTES_MAX. */
	len = MIN(len, TERMINAL_MODES_BYTES_MAX - writer->len);
	memcpy(writer->bytes + writer->len, text, len);
	writer->len += len;
}

static void put_number(struct writer *writer, uint32_t number)
{
	char digits[11];
	unsigned int at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	put(writer, digits + at);
}

static void put_with_number(struct writer *writer, const char *before, uint32_t number,
                            const char *behind)
{
	put(writer, before);
	put_number(writer, number);
	put(writer, behind);
}

static void put_if(struct writer *writer, bool condition, const char *text)
{
	if (condition)
		put(writer, text);
}

/* CAN ends a sequence and, in most terminals, a string; ST does where CAN doesn't. */
static void put_end(struct writer *writer, const struct sequence *sequence)
{
	put_if(writer, sequence_is_open(sequence), "\x18");
	put_if(writer,
	       sequence->state == SEQUENCE_STRING || sequence->state == SEQUENCE_STRING_ESCAPE,
	       "\x1b\\");
}

static void put_keyboard_off(struct writer *writer, const struct terminal_keyboard *keyboard)
{
	if (keyboard->pushed == 1)
		put(writer, "\x1b[<u");
	else if (keyboard->pushed > 1)
		put_with_number(writer, "\x1b[<", keyboard->pushed, "u");
	put_if(writer, keyboard->base > 0, "\x1b[=0u");
}

static void put_keyboard_on(struct writer *writer, const struct terminal_keyboard *keyboard)
{
	if (keyboard->base > 0)
		put_with_number(writer, "\x1b[=", keyboard->base, "u");
	for (unsigned int i = 0; i < keyboard->pushed; i++)
		put_with_number(writer, "\x1b[>", keyboard->flags[i], "u");
}

/* Each private mode that isn't as it was, as it was or, with `again`, as the guest has it. */
static void put_modes(struct writer *writer, const struct terminal_modes *modes, bool again)
{
	for (unsigned int i = 0; i < modes->count; i++) {
		const struct terminal_mode *mode = &modes->modes[i];
		bool on = again ? mode->now : mode->by_default;

		if (mode->now != mode->by_default && mode->number != MODE_ANSI)
			put_with_number(writer, "\x1b[?", mode->number, on ? "h" : "l");
	}
}

static bool is_private_changed(const struct terminal_modes *modes, uint32_t number)
{
	for (unsigned int i = 0; i < modes->count; i++) {
		if (modes->modes[i].number == number)
			return modes->modes[i].now != modes->modes[i].by_default;
	}
	return false;
}

/* Without margins the cursor goes home: it stays where it is, or goes below what was shown. */
static void put_margins_off(struct writer *writer, const struct terminal_modes *modes)
{
	bool origin = is_private_changed(modes, MODE_ORIGIN);
	bool margins = modes->top > 0 || modes->bottom > 0;

	if (origin || modes->screen != 0) {
		put_if(writer, margins, "\x1b[r");
		return;
	}
	put_if(writer, margins,
	       "\x1b"
	       "7\x1b[r\x1b"
	       "8");
}

static void put_colours_off(struct writer *writer, const struct terminal_modes *modes)
{
	put_if(writer, modes->palette, "\x1b]104\x1b\\");
	put_if(writer, modes->special_colours, "\x1b]105\x1b\\");
	for (uint32_t i = 0; i < 10; i++) {
		if (modes->colours >> i & 1)
			put_with_number(writer, "\x1b]", 110 + i, "\x1b\\");
	}
}

static void put_modify(struct writer *writer, const struct terminal_modes *modes, bool again)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(modes->modify); i++) {
		if (!(modes->modify_set >> i & 1))
			continue;
		put_with_number(writer, "\x1b[>", i, "");
		if (again)
			put_with_number(writer, ";", modes->modify[i], "");
		put(writer, "m");
	}
}

static void put_ansi(struct writer *writer, const struct terminal_modes *modes, bool again)
{
	put_if(writer, modes->locked, again ? "\x1b[2h" : "\x1b[2l");
	put_if(writer, modes->insert, again ? "\x1b[4h" : "\x1b[4l");
	put_if(writer, modes->echo, again ? "\x1b[12l" : "\x1b[12h");
	put_if(writer, modes->newline, again ? "\x1b[20h" : "\x1b[20l");
}

static void put_charsets_off(struct writer *writer, const struct terminal_modes *modes)
{
	put_if(writer, modes->charset != 'B', "\x1b(B");
	put_if(writer, modes->shift != 0, "\x0f");
	put_if(writer, modes->not_utf8, "\x1b%G");
	put_if(writer, modes->c1_replies, "\x1b F");
}

size_t terminal_modes_take_back(const struct terminal_modes *modes,
                                char ret_bytes[TERMINAL_MODES_BYTES_MAX])
{
	bool alternate = modes->screen != 0;
	struct writer writer = {0};

	writer.bytes = ret_bytes;
	put_end(&writer, &modes->sequence);
	put_if(&writer, is_private_changed(modes, MODE_ANSI), "\x1b<");
	put_if(&writer, modes->link, "\x1b]8;;\x1b\\");
	put_margins_off(&writer, modes);
	put_modes(&writer, modes, false);
	put_ansi(&writer, modes, false);
	put_modify(&writer, modes, false);
	put_if(&writer, modes->keypad, "\x1b>");
	put_if(&writer, modes->cursor_shape > 0, "\x1b[0 q");
	/* Each screen has its own stack. */
	put_keyboard_off(&writer, &modes->keyboards[alternate]);
	if (alternate) {
		put_with_number(&writer, "\x1b[?", modes->screen, "l");
		put_keyboard_off(&writer, &modes->keyboards[0]);
	} else if (is_private_changed(modes, MODE_ORIGIN)) {
		put(&writer, "\x1b[999;1H");
	}
	/* Last, as leaving the alternate screen may bring some back. */
	put_charsets_off(&writer, modes);
	put_colours_off(&writer, modes);
	put_if(&writer, modes->attributes || alternate, "\x1b[0m");
	return writer.len;
}

size_t terminal_modes_give_again(const struct terminal_modes *modes,
                                 char ret_bytes[TERMINAL_MODES_BYTES_MAX])
{
	struct writer writer = {0};

	writer.bytes = ret_bytes;
	put_keyboard_on(&writer, &modes->keyboards[0]);
	if (modes->screen != 0) {
		put_with_number(&writer, "\x1b[?", modes->screen, "h");
		put_keyboard_on(&writer, &modes->keyboards[1]);
	}
	if (modes->top > 0 || modes->bottom > 0) {
		put_with_number(&writer, "\x1b[", modes->top, ";");
		put_with_number(&writer, "", modes->bottom, "r");
	}
	put_modes(&writer, modes, true);
	put_ansi(&writer, modes, true);
	put_modify(&writer, modes, true);
	put_if(&writer, modes->keypad, "\x1b=");
	if (modes->cursor_shape > 0)
		put_with_number(&writer, "\x1b[", modes->cursor_shape, " q");
	return writer.len;
}
