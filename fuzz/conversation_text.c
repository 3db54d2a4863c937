/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Text into conversations: one step a line, FORMAT.md says how. */
#include "conversation.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES (4 * CONVERSATION_BYTES_MAX)

struct parser {
	struct conversation *conversation;
	struct conversation_error *error;
	unsigned int line;
	bool begun; /* the line that names the format has been read */
	char *rest; /* of the line */
};

static bool wrong(struct parser *parser, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Notes what is wrong with the line at hand. Always false. */
static bool wrong(struct parser *parser, const char *format, ...)
{
	char what[150];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(parser->error->text, sizeof(parser->error->text), "line %u: %s", parser->line,
	         what);
	return false;
}

/* The next word, or NULL. */
static char *word(struct parser *parser)
{
	char *start = parser->rest + strspn(parser->rest, " \t");
	char *end = start + strcspn(start, " \t");

	if (*start == '\0')
		return NULL;
	parser->rest = *end ? end + 1 : end;
	*end = '\0';
	return start;
}

static bool number(struct parser *parser, const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = text ? strtoull(text, &end, 0) : 0;
	if (!text || !isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0)
		return wrong(parser, "a number is needed, not '%.40s'", text ? text : "");
	if (*ret > max)
		return wrong(parser, "%.40s is too large", text);
	return true;
}

/* A number for each of the words between commas; no more than `max` of them. */
static bool numbers(struct parser *parser, char *list, uint32_t *ret, uint32_t max, uint32_t *count)
{
	for (char *at = list, *next; at; at = next) {
		uint64_t value;

		next = strchr(at, ',');
		if (next)
			*next++ = '\0';
		if (*count == max)
			return wrong(parser, "more than %u numbers", max);
		if (!number(parser, at, UINT32_MAX, &value))
			return false;
		ret[(*count)++] = (uint32_t)value;
	}
	return true;
}

static bool file_named(struct parser *parser, const char *name, unsigned int *ret)
{
	*ret = name ? conversation_find_file(parser->conversation, name) : 0;
	if (!name || *ret == parser->conversation->files)
		return wrong(parser, "no file '%.40s' before this line", name ? name : "");
	return true;
}

static bool fds(struct parser *parser, struct conversation_step *step, char *list)
{
	for (char *at = list, *next; at; at = next) {
		unsigned int file;

		next = strchr(at, ',');
		if (next)
			*next++ = '\0';
		if (step->fds_count == CONVERSATION_FDS_MAX)
			return wrong(parser, "more than %u descriptors", CONVERSATION_FDS_MAX);
		if (!file_named(parser, at, &file))
			return false;
		step->fds[step->fds_count++] = (uint8_t)file;
	}
	return true;
}

/* Pieces of bytes. They go to the end of `step`, which may be a scratch one for a mask. */

static bool append(struct parser *parser, struct conversation_step *step, const void *bytes,
                   size_t len)
{
	if (!conversation_append(step, bytes, len))
		return wrong(parser, "more than %u bytes", CONVERSATION_BYTES_MAX);
	return true;
}

static bool integer(struct parser *parser, struct conversation_step *step, const char *value,
                    unsigned int size)
{
	uint64_t n, max = size == 8 ? UINT64_MAX : (1ull << 8 * size) - 1;
	uint8_t bytes[8];

	if (!number(parser, value, max, &n))
		return false;
	for (unsigned int i = 0; i < size; i++)
		bytes[i] = (uint8_t)(n >> 8 * i);
	return append(parser, step, bytes, size);
}

static bool zeros(struct parser *parser, struct conversation_step *step, const char *value)
{
	static const uint8_t zero[CONVERSATION_BYTES_MAX];
	uint64_t n;

	return number(parser, value, CONVERSATION_BYTES_MAX, &n) &&
	       append(parser, step, zero, (size_t)n);
}

static bool hex(struct parser *parser, struct conversation_step *step, const char *value)
{
	for (const char *at = value; *at; at += 2) {
		char digits[3] = {at[0], at[0] ? at[1] : '\0', '\0'};
		uint8_t byte;

		if (!isxdigit((unsigned char)digits[0]) || !isxdigit((unsigned char)digits[1]))
			return wrong(parser, "not pairs of hexadecimal digits: '%.40s'", at);
		byte = (uint8_t)strtoul(digits, NULL, 16);
		if (!append(parser, step, &byte, 1))
			return false;
	}
	return true;
}

/* Whether the word is a piece of bytes at all goes to *ret_known. */
static bool piece(struct parser *parser, struct conversation_step *step, const char *key,
                  const char *value, bool *ret_known)
{
	static const struct {
		const char *key;
		unsigned int size;
	} integers[] = {{"u8", 1}, {"u16", 2}, {"u32", 4}, {"u64", 8}};

	*ret_known = true;
	for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
		if (strcmp(key, integers[i].key) == 0)
			return integer(parser, step, value, integers[i].size);
	}
	if (strcmp(key, "zeros") == 0)
		return zeros(parser, step, value);
	if (strcmp(key, "hex") == 0)
		return hex(parser, step, value);
	*ret_known = false;
	return true;
}

static bool u32(struct parser *parser, const char *value, uint32_t *ret)
{
	uint64_t n;

	if (!number(parser, value, UINT32_MAX, &n))
		return false;
	*ret = (uint32_t)n;
	return true;
}

/* A word KEY=VALUE of a header or of descriptors. */
static bool attribute(struct parser *parser, struct conversation_step *step, const char *key,
                      char *value, bool *sized)
{
	unsigned int has = conversation_kind_has(step->kind);

	if ((has & CONVERSATION_HAS_HEADER) && strcmp(key, "flags") == 0)
		return u32(parser, value, &step->flags);
	if ((has & CONVERSATION_HAS_HEADER) && strcmp(key, "size") == 0) {
		*sized = true;
		return u32(parser, value, &step->size);
	}
	if ((has & CONVERSATION_HAS_FDS) && strcmp(key, "fds") == 0)
		return fds(parser, step, value);
	if ((has & CONVERSATION_HAS_FDS) && strcmp(key, "fds-at") == 0)
		return u32(parser, value, &step->fds_at);
	if ((has & CONVERSATION_HAS_FDS) && strcmp(key, "split") == 0)
		return numbers(parser, value, step->splits, CONVERSATION_SPLITS_MAX,
		               &step->splits_count);
	return wrong(parser, "'%s' doesn't take '%.40s='", conversation_kind_name(step->kind), key);
}

static bool key_and_value(struct parser *parser, struct conversation_step *step,
                          struct conversation_step *to, char *text, bool *sized)
{
	char *value = strchr(text, '=');
	bool known = false;

	if (!value)
		return wrong(parser, "'%.40s' isn't KEY=VALUE", text);
	*value++ = '\0';
	if ((conversation_kind_has(step->kind) & CONVERSATION_HAS_BYTES) &&
	    !piece(parser, to, text, value, &known))
		return false;
	return known || attribute(parser, step, text, value, sized);
}

/* The words after the places: KEY=VALUE, `need-reply`, and `mask` before the mask's bytes. */
static bool options(struct parser *parser, struct conversation_step *step)
{
	struct conversation_step mask = {0}, *to = step;
	bool fine = true, sized = false;
	char *text;

	while (fine && (text = word(parser))) {
		if (step->kind == CONVERSATION_SEND && strcmp(text, "need-reply") == 0)
			step->flags |= 8;
		else if ((conversation_kind_has(step->kind) & CONVERSATION_HAS_MASK) &&
		         to == step && strcmp(text, "mask") == 0)
			to = &mask;
		else
			fine = key_and_value(parser, step, to, text, &sized);
	}
	if (!sized)
		step->size = step->len;
	step->mask = mask.bytes;
	if (fine && to == &mask && mask.len != step->len)
		return wrong(parser, "a mask of %u bytes for %u", mask.len, step->len);
	return fine;
}

static bool request(struct parser *parser, struct conversation_step *step)
{
	const char *text = word(parser);

	step->request = text ? conversation_request_number(text) : 0;
	if (step->request != 0)
		return true;
	if (text && !isdigit((unsigned char)text[0]))
		return wrong(parser, "no request is called '%.40s'", text);
	return u32(parser, text, &step->request);
}

/* What stands in its place, without a key. */
static bool places(struct parser *parser, struct conversation_step *step)
{
	unsigned int has = conversation_kind_has(step->kind);

	if ((has & CONVERSATION_HAS_REQUEST) && !request(parser, step))
		return false;
	if ((has & CONVERSATION_HAS_FILE) && !file_named(parser, word(parser), &step->file))
		return false;
	return !(has & CONVERSATION_HAS_NUMBER) ||
	       number(parser, word(parser), UINT64_MAX, &step->number);
}

static bool is_name(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len > 0 && len <= CONVERSATION_NAME_MAX && text[len] == '\0';
}

static bool file_step(struct parser *parser)
{
	const char *name = word(parser), *kind = word(parser);
	enum conversation_file_kind is = 1;
	struct conversation_step *step;
	uint64_t size = 0;

	if (!name || !is_name(name))
		return wrong(parser, "a file's name is up to %u of a-z, 0-9 and -",
		             CONVERSATION_NAME_MAX);
	while (kind && is < CONVERSATION_FILE_KINDS &&
	       strcmp(conversation_file_kind_name(is), kind) != 0)
		is++;
	if (!kind || is == CONVERSATION_FILE_KINDS)
		return wrong(parser, "no kind of file is called '%.40s'", kind ? kind : "");
	if (is == CONVERSATION_MEMFD &&
	    !number(parser, word(parser), CONVERSATION_MEMORY_MAX, &size))
		return false;
	if (word(parser))
		return wrong(parser, "there is more than a file's kind and size");
	step = conversation_add_file(parser->conversation, is, name, size);
	if (!step)
		return wrong(parser, "the file '%s' is there already, or there are %u", name,
		             CONVERSATION_FILES_MAX);
	step->line = parser->line;
	return true;
}

/* The kind of the line at hand, by its first word or two; 0 if there is none. */
static enum conversation_kind kind_of(struct parser *parser)
{
	char *first = word(parser), *second = NULL;
	char both[64];

	if (strcmp(first, "needs") == 0 || strcmp(first, "expect") == 0)
		second = word(parser);
	snprintf(both, sizeof(both), "%.20s%s%.30s", first, second ? " " : "",
	         second ? second : "");
	for (enum conversation_kind kind = 1; kind < CONVERSATION_KINDS; kind++) {
		if (strcmp(conversation_kind_name(kind), both) == 0)
			return kind;
	}
	wrong(parser, "no step is called '%s'", both);
	return 0;
}

static bool first_line(struct parser *parser)
{
	const char *format = word(parser), *version = word(parser);

	if (strcmp(format, "conversation") != 0 || !version || strcmp(version, "1") != 0 ||
	    word(parser))
		return wrong(parser, "the first line of a conversation is 'conversation 1'");
	parser->begun = true;
	return true;
}

static bool step_line(struct parser *parser)
{
	enum conversation_kind kind = kind_of(parser);
	struct conversation_step *step;
	const char *why;

	if (kind == 0)
		return false;
	if (kind == CONVERSATION_FILE)
		return file_step(parser);
	step = conversation_add(parser->conversation, kind);
	if (!step)
		return wrong(parser, "more than %u steps", CONVERSATION_STEPS_MAX);
	step->line = parser->line;
	if (!places(parser, step) || !options(parser, step))
		return false;
	why = conversation_judge(parser->conversation, step);
	return why ? wrong(parser, "%s", why) : true;
}

static bool parse_line(struct parser *parser, char *line)
{
	size_t len;

	line[strcspn(line, "#")] = '\0';
	len = strlen(line);
	while (len > 0 && isspace((unsigned char)line[len - 1]))
		line[--len] = '\0';
	parser->rest = line + strspn(line, " \t");
	if (*parser->rest == '\0')
		return true;
	return parser->begun ? step_line(parser) : first_line(parser);
}

bool conversation_parse(struct conversation *conversation, const char *text, size_t len,
                        struct conversation_error *ret_error)
{
	struct parser parser = {.conversation = conversation, .error = ret_error};
	const char *end = text + len;
	bool fine = true;

	while (fine && text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((stop ? stop : end) - text);
		char *line;

		parser.line++;
		if (n > LINE_MAX_BYTES || memchr(text, '\0', n))
			return wrong(&parser, "a line that is too long, or with a zero byte");
		line = strndup(text, n);
		fine = line && parse_line(&parser, line);
		free(line);
		text += n + (stop ? 1 : 0);
	}
	if (fine && !parser.begun)
		return wrong(&parser, "the first line of a conversation is 'conversation 1'");
	return fine;
}
