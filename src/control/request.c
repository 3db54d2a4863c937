/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "control/request.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* How much of an unknown verb is repeated. */
#define VERB_SHOWN 32

struct verb {
	const char *name;
	const char *takes; /* the arguments, or NULL */
	bool guest;        /* the first of them is a guest's number */
	bool rest;         /* the last of them is the rest of the line */
	const char *example;
	const char *help;
};

static const struct verb verbs[CONTROL_REQUEST_VERBS] = {
    [CONTROL_REQUEST_HELP] =
	{
	    .name = "help",
	    .example = "help",
	    .help = "shows the verbs",
	},
    [CONTROL_REQUEST_LIST] =
	{
	    .name = "list",
	    .example = "list",
	    .help = "shows the guests and their ports",
	},
    [CONTROL_REQUEST_PORT_ADD] =
	{
	    .name = "port-add",
	    .takes = "GUEST SPEC",
	    .guest = true,
	    .rest = true,
	    .example = "port-add 0 name=org.example.agent.0,type=data,uds-path=/run/agent",
	    .help = "gives a guest one more port",
	},
    [CONTROL_REQUEST_PORT_REMOVE] =
	{
	    .name = "port-remove",
	    .takes = "GUEST NAME",
	    .guest = true,
	    .rest = true,
	    .example = "port-remove 0 org.example.agent.0",
	    .help = "takes a port away, and its clients' connections",
	},
    [CONTROL_REQUEST_DISCONNECT] =
	{
	    .name = "disconnect",
	    .takes = "GUEST",
	    .guest = true,
	    .example = "disconnect 0",
	    .help = "ends the connection of a guest's VMM, as if that had gone; it may come back",
	},
};

static bool is_printable(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)line[i];

		/* From 0x80 on they are parts of other characters, as a path may have. */
		if (byte < 0x20 || byte == 0x7f)
			return false;
	}
	return true;
}

/* Takes the text up to the next space, or all of it, out of *line, which is NULL after the end. */
static const char *take_word(char **line)
{
	char *word = *line, *space = strchr(word, ' ');

	*line = space ? space + 1 : NULL;
	if (space)
		*space = '\0';
	return word;
}

static bool parse_guest(const char *text, unsigned int *ret_guest)
{
	uint32_t guest = 0;

	if (*text == '\0')
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		guest = guest * 10 + (uint32_t)(*text - '0');
		if (guest > CONTROL_REQUEST_GUEST_MAX)
			return false;
	}
	*ret_guest = guest;
	return true;
}

static enum control_request_verdict refuse(const struct verb *verb, const char *why,
                                           char error[CONTROL_REQUEST_ERROR_BYTES])
{
	snprintf(error, CONTROL_REQUEST_ERROR_BYTES, "%s: %s, as in \"%s\"", verb->name, why,
	         verb->example);
	return CONTROL_REQUEST_REFUSED;
}

static enum control_request_verdict refuse_arguments(const struct verb *verb,
                                                     char error[CONTROL_REQUEST_ERROR_BYTES])
{
	char takes[64];

	snprintf(takes, sizeof(takes), "takes %s", verb->takes ? verb->takes : "nothing");
	return refuse(verb, takes, error);
}

static enum control_request_verdict parse_arguments(const struct verb *verb, char *line,
                                                    struct control_request *request,
                                                    char error[CONTROL_REQUEST_ERROR_BYTES])
{
	if (verb->guest) {
		if (!line)
			return refuse_arguments(verb, error);
		if (!parse_guest(take_word(&line), &request->guest))
			return refuse(verb, "GUEST is a number from 0 to 65535", error);
	}
	if (verb->rest) {
		if (!line || *line == '\0')
			return refuse_arguments(verb, error);
		request->rest = line;
		line = NULL;
	}
	return line ? refuse_arguments(verb, error) : CONTROL_REQUEST_GOOD;
}

enum control_request_verdict control_request_parse(char *line, size_t len,
                                                   struct control_request *ret_request,
                                                   char ret_error[CONTROL_REQUEST_ERROR_BYTES])
{
	struct control_request request = {0};
	const char *name;

	if (len > 0 && line[len - 1] == '\r')
		len--;
	line[len] = '\0';
	if (len > CONTROL_REQUEST_LINE_MAX) {
		snprintf(ret_error, CONTROL_REQUEST_ERROR_BYTES, CONTROL_REQUEST_TOO_LONG);
		return CONTROL_REQUEST_REFUSED;
	}
	if (!is_printable(line, len)) {
		snprintf(ret_error, CONTROL_REQUEST_ERROR_BYTES,
		         "the line has a byte that isn't printable");
		return CONTROL_REQUEST_REFUSED;
	}
	name = take_word(&line);
	for (unsigned int i = 0; i < CONTROL_REQUEST_VERBS; i++) {
		if (strcmp(name, verbs[i].name) != 0)
			continue;
		request.verb = (enum control_request_verb)i;
		if (parse_arguments(&verbs[i], line, &request, ret_error) != CONTROL_REQUEST_GOOD)
			return CONTROL_REQUEST_REFUSED;
		*ret_request = request;
		return CONTROL_REQUEST_GOOD;
	}
	snprintf(ret_error, CONTROL_REQUEST_ERROR_BYTES,
	         "there is no verb \"%.*s\": \"help\" shows the verbs", VERB_SHOWN, name);
	return CONTROL_REQUEST_REFUSED;
}

void control_request_help(FILE *out)
{
	for (const struct verb *verb = verbs; verb < verbs + CONTROL_REQUEST_VERBS; verb++) {
		fprintf(out, "%s%s%s: %s", verb->name, verb->takes ? " " : "",
		        verb->takes ? verb->takes : "", verb->help);
		if (verb->takes)
			fprintf(out, ", as in \"%s\"", verb->example);
		fputc('\n', out);
	}
}
