/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "port_spec.h"

#include "base/macros.h"
#include "base/utf8.h"
#include "values.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is known while a text is read. Its strings are the text's or the defaults'. */
struct spec {
	struct port_config port; /* but for its strings */
	const char *name, *uds_path, *pty_path, *log_path;
	unsigned int given; /* a bit for each key */
	char *error;
};

static bool fail(const struct spec *spec, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool fail(const struct spec *spec, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(spec->error, PORT_SPEC_ERROR_MAX, format, args);
	va_end(args);
	/* A line stays one, whatever was in the text. */
	for (char *c = spec->error; *c; c++)
		*c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
	return false;
}

/* The keys. */

/*
 * Linux takes any bytes, up to what its buffer of one page has room for, and shows them in sysfs.
 * udev makes the link /dev/virtio-ports/NAME of them, where '/' would be a folder and a space
 * would end the name; of other ASCII signs it keeps #+-.:=@_ and makes '_' of the rest. 64 bytes
 * are our own limit, and digits alone would be a port's number where ports are named.
 */
static bool is_name(const char *text)
{
	size_t len = strlen(text);
	uint32_t character = 0;
	unsigned int n;

	if (len > PORT_SPEC_NAME_MAX || strspn(text, "0123456789") == len ||
	    strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return false;
	for (; *text; text += n) {
		n = utf8_first(text, &character);
		if (n == 0 || character <= ' ' || character == '/' ||
		    (character >= 0x7f && character < 0xa0))
			return false;
	}
	return true;
}

static bool set_name(struct spec *spec, const char *value)
{
	spec->name = value;
	return is_name(value);
}

static bool set_type(struct spec *spec, const char *value)
{
	spec->port.data = strcmp(value, "data") == 0;
	return spec->port.data || strcmp(value, "console") == 0;
}

static bool set_backend(struct spec *spec, const char *value)
{
	return values_backend(value, &spec->port.backend);
}

static bool set_tcp_port(struct spec *spec, const char *value)
{
	return values_tcp_port(value, &spec->port.place.tcp_port);
}

static bool set_tcp_protocol(struct spec *spec, const char *value)
{
	return values_tcp_protocol(value, &spec->port.place.protocol.telnet);
}

static bool set_access(struct spec *spec, const char *value)
{
	return values_access(value, &spec->port.place.access);
}

static bool set_tail(struct spec *spec, const char *value)
{
	spec->port.tail = strcmp(value, "keep") == 0 ? TAIL_KEEP : TAIL_DROP;
	return spec->port.tail == TAIL_KEEP || strcmp(value, "drop") == 0;
}

static bool set_uds_path(struct spec *spec, const char *value)
{
	return values_path(value, &spec->uds_path);
}

static bool set_pty(struct spec *spec, const char *value)
{
	return values_path(value, &spec->pty_path);
}

static bool set_log_file(struct spec *spec, const char *value)
{
	return values_log_file(value, &spec->log_path);
}

static bool set_history(struct spec *spec, const char *value)
{
	return values_history(value, &spec->port.history);
}

static bool has_tcp(const struct backend_kind *kind)
{
	return kind->tcp;
}

static bool has_clients(const struct backend_kind *kind)
{
	return kind->tcp || kind->uds;
}

static bool has_uds(const struct backend_kind *kind)
{
	return kind->uds;
}

static bool has_pty(const struct backend_kind *kind)
{
	return kind->pty;
}

static const struct port_key {
	const char *name;
	const char *value; /* for --help */
	const char *takes; /* completes "takes ..." */
	bool (*set)(struct spec *spec, const char *value);
	/* Whether the kind has a use for it; NULL: each one has. */
	bool (*of_use)(const struct backend_kind *kind);
	bool place; /* it says where the port is, and so which backend it has */
} keys[] = {
    {"name", "NAME",
     "up to 64 bytes of UTF-8, without '/', spaces and control characters, and not digits only",
     set_name, NULL, false},
    {"type", "console|data", "console or data", set_type, NULL, false},
    {"backend", "KIND", VALUES_BACKEND_TAKES, set_backend, NULL, false},
    {"tcp-port", "PORT", VALUES_TCP_PORT_TAKES, set_tcp_port, has_tcp, true},
    {"tcp-protocol", "NAME", VALUES_TCP_PROTOCOL_TAKES, set_tcp_protocol, has_tcp, false},
    {"access", "WHO", VALUES_ACCESS_TAKES, set_access, has_clients, false},
    {"uds-path", "PATH", VALUES_PATH_TAKES, set_uds_path, has_uds, true},
    {"pty", "PATH", VALUES_PATH_TAKES, set_pty, has_pty, true},
    {"log-file", "PATTERN", VALUES_LOG_FILE_TAKES, set_log_file, NULL, false},
    {"tail", "drop|keep", "drop or keep", set_tail, has_clients, false},
    {"history", "BYTES", VALUES_HISTORY_TAKES, set_history, NULL, false},
};

const char *port_spec_key(unsigned int i, const char **ret_value)
{
	if (i >= ARRAY_SIZE(keys))
		return NULL;
	*ret_value = keys[i].value;
	return keys[i].name;
}

/* Reading them. */

static bool read_item(struct spec *spec, const char *item, const char *value)
{
	size_t len = (size_t)(value - item);

	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct port_key *key = &keys[i];

		if (strlen(key->name) != len || memcmp(key->name, item, len) != 0)
			continue;
		if (*value != '=')
			return fail(spec, "%s: takes %s", key->name, key->takes);
		if (spec->given & 1u << i)
			return fail(spec, "%s: is given twice", key->name);
		spec->given |= 1u << i;
		return key->set(spec, value + 1) ||
		       fail(spec, "%s=%s: takes %s", key->name, value + 1, key->takes);
	}
	if (len == 0)
		return fail(spec, "takes KEY=VALUE,...; --help shows the keys");
	return fail(spec, "%.*s: no such key; --help shows what there is", (int)len, item);
}

/* Ends the item that `text` begins with, its commas made single. Returns the next; NULL: none. */
static char *split(char *text)
{
	char *to = text;

	for (; *text && (*text != ',' || text[1] == ','); text++) {
		*to++ = *text;
		text += *text == ',';
	}
	text = *text ? text + 1 : NULL;
	*to = '\0';
	return text;
}

static bool read_items(struct spec *spec, char *text)
{
	for (char *item = text, *next; item; item = next) {
		next = split(item);
		if (!read_item(spec, item, item + strcspn(item, "=")))
			return false;
	}
	return true;
}

/* What becomes of them. */

static bool is_given(const struct spec *spec, bool (*set)(struct spec *spec, const char *value))
{
	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].set == set)
			return spec->given & 1u << i;
	}
	return false;
}

static void follow_place(struct spec *spec)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!keys[i].place || !(spec->given & 1u << i))
			continue;
		for (const struct backend_kind *kind = backend_kinds; kind->name; kind++) {
			if (keys[i].of_use(kind)) {
				spec->port.backend = kind;
				return;
			}
		}
	}
}

static bool settle_backend(struct spec *spec)
{
	if (!is_given(spec, set_backend))
		follow_place(spec);
	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++) {
		if (spec->given & 1u << i && keys[i].of_use && !keys[i].of_use(spec->port.backend))
			return fail(spec, "%s: is of no use with backend=%s", keys[i].name,
			            spec->port.backend->name);
	}
	if (spec->port.backend->uds && !spec->uds_path)
		return fail(spec, "uds-path: is required with backend=uds; it takes a path");
	if (spec->port.backend->pty && !spec->pty_path)
		return fail(spec, "pty: is required with backend=pty; it takes a path");
	return true;
}

static bool settle_tail(struct spec *spec)
{
	if (is_given(spec, set_tail) && !spec->port.data)
		return fail(spec, "tail: is of no use with type=console: all clients get the same");
	return true;
}

/* What a data port sends is one stream for one client, unless it is said otherwise. */
static void settle_access(struct spec *spec)
{
	if (spec->port.data && !is_given(spec, set_access))
		spec->port.place.access = ACCESS_SINGLE;
}

static bool add_number(struct spec *spec, unsigned int guest_index)
{
	uint32_t tcp_port = spec->port.place.tcp_port + (uint32_t)guest_index;

	if (spec->port.backend->tcp && tcp_port > UINT16_MAX)
		return fail(spec,
		            "tcp-port=%u: takes a port that leaves room up to 65535 for guest %u",
		            spec->port.place.tcp_port, guest_index);
	spec->port.place.tcp_port = (uint16_t)tcp_port;
	return true;
}

/* Makes strings of its own. */
static bool make_port(const struct spec *spec, unsigned int guest_index, struct port_config *ret)
{
	struct port_config port = spec->port;
	bool uds = port.backend->uds, pty = port.backend->pty;

	port.name = spec->name ? strdup(spec->name) : NULL;
	port.place.uds_path = uds ? values_append_number(spec->uds_path, guest_index) : NULL;
	port.place.pty_path = pty ? values_append_number(spec->pty_path, guest_index) : NULL;
	port.log_path = spec->log_path ? values_log_of(spec->log_path, guest_index) : NULL;
	if ((spec->name && !port.name) || (uds && !port.place.uds_path) ||
	    (pty && !port.place.pty_path) || (spec->log_path && !port.log_path)) {
		port_config_deinit(&port);
		return fail(spec, "no memory");
	}
	*ret = port;
	return true;
}

bool port_spec_parse(const char *text, const struct port_config *defaults, unsigned int guest_index,
                     struct port_config *ret, char ret_error[PORT_SPEC_ERROR_MAX])
{
	struct spec spec = {
	    .port = *defaults,
	    .uds_path = defaults->place.uds_path,
	    .pty_path = defaults->place.pty_path,
	    .log_path = defaults->log_path,
	};
	char *copy = strdup(text ? text : "");
	bool ok;

	spec.error = ret_error;
	if (!copy)
		return fail(&spec, "no memory");
	ok = (!text || read_items(&spec, copy)) && settle_backend(&spec) && settle_tail(&spec);
	settle_access(&spec);
	ok = ok && add_number(&spec, guest_index) && make_port(&spec, guest_index, ret);
	free(copy);
	return ok;
}
