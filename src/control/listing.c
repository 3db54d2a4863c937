/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "control/listing.h"

#include <string.h>

static bool misleads(unsigned char byte)
{
	return byte <= ' ' || byte == '\\' || byte == 0x7f;
}

/* One field, with the space before it. */
static void put_text(FILE *out, const char *text)
{
	if (!text || *text == '\0') {
		fputs(" -", out);
		return;
	}
	if (strcmp(text, "-") == 0) {
		fputs(" \\055", out);
		return;
	}
	fputc(' ', out);
	for (; *text; text++) {
		if (misleads((unsigned char)*text))
			fprintf(out, "\\%03o", (unsigned char)*text);
		else
			fputc(*text, out);
	}
}

static void put_place(FILE *out, const struct control_port_line *line)
{
	bool v6 = line->tcp_address && strchr(line->tcp_address, ':');

	if (line->tcp_address)
		fprintf(out, " %s%s%s:%u", v6 ? "[" : "", line->tcp_address, v6 ? "]" : "",
		        line->tcp_port);
	else
		put_text(out, line->uds_path);
}

void control_listing_guest(FILE *out, const struct control_guest_line *line)
{
	fprintf(out, "guest %u %s", line->guest, line->connected ? "connected" : "waiting");
	put_text(out, line->socket_path);
	fputc('\n', out);
}

void control_listing_port(FILE *out, const struct control_port_line *line)
{
	fprintf(out, "port %u %u", line->guest, line->port);
	put_text(out, line->name);
	fputs(line->data ? " data" : " console", out);
	put_text(out, line->backend);
	fprintf(out, " %s %u", line->open ? "open" : "closed", line->clients);
	put_place(out, line);
	fputc('\n', out);
}
