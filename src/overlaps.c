/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "overlaps.h"

#include "base/macros.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Things of different sorts never overlap. */
enum sort {
	SORT_NAME,   /* `number` is the guest's */
	SORT_SINGLE, /* `text` is the backend's name */
	SORT_TCP,    /* `text` is the address, `number` the port */
	SORT_PATH    /* `number` is its hash, so that most are told apart at once */
};

struct thing {
	enum sort sort;
	uint64_t number;
	const char *text;
	const char *key; /* the option or key it was said with */
	const struct port_config *config;
	unsigned int guest;
	int port; /* its number; -1: it isn't a port's */
};

#define CONTROL_SOCKET "control-socket"

/* The most that one port has. */
#define PORT_THINGS_MAX 6u

/* Comparing. */

/* The next part of a path that means something, and its length; 0 at the end. */
static const char *next_part(const char *path, size_t *ret_len)
{
	size_t len;

	do {
		path += strspn(path, "/");
		len = strcspn(path, "/");
		path += len;
	} while (len == 1 && path[-1] == '.');
	*ret_len = len;
	return path - len;
}

/* FNV-1a, of the parts. */
static uint64_t hash_path(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325u;
	size_t len;

	for (path = next_part(path, &len); len > 0; path = next_part(path + len, &len)) {
		for (size_t i = 0; i < len; i++)
			hash = (hash ^ (uint8_t)path[i]) * 0x100000001b3u;
	}
	return hash;
}

static int compare_paths(const char *a, const char *b)
{
	size_t a_len, b_len;
	int r = (a[0] == '/') - (b[0] == '/');

	while (r == 0) {
		a = next_part(a, &a_len);
		b = next_part(b, &b_len);
		r = memcmp(a, b, MIN(a_len, b_len));
		if (r == 0)
			r = (a_len > b_len) - (a_len < b_len);
		if (a_len == 0 && b_len == 0)
			break;
		a += a_len;
		b += b_len;
	}
	return r;
}

/* 0: both can't be. */
static int compare(const struct thing *a, const struct thing *b)
{
	int r = (a->sort > b->sort) - (a->sort < b->sort);

	if (r == 0)
		r = (a->number > b->number) - (a->number < b->number);
	if (r == 0)
		r = a->sort == SORT_PATH ? compare_paths(a->text, b->text)
		                         : strcmp(a->text, b->text);
	return r;
}

/* Of two that are the same, the one that was said first comes first: it is the other's fault. */
static int compare_in_order(const void *a, const void *b)
{
	const struct thing *left = a, *right = b;
	int r = compare(left, right);

	if (r == 0)
		r = (left->port > right->port) - (left->port < right->port);
	if (r == 0)
		r = (left->guest > right->guest) - (left->guest < right->guest);
	/* The control socket before guest 0's. */
	return r == 0 ? strcmp(left->key, right->key) : r;
}

/* Telling. */

static void tell_value(const struct thing *thing, char *text, size_t size)
{
	if (thing->sort == SORT_TCP)
		snprintf(text, size, "%u", (unsigned int)thing->number);
	else
		snprintf(text, size, "%s", thing->text);
}

static void tell_owner(const struct thing *thing, char *text, size_t size)
{
	if (thing->port < 0)
		snprintf(text, size, "guest %u", thing->guest);
	else if (thing->config->name && thing->sort != SORT_NAME)
		snprintf(text, size, "port %s of guest %u", thing->config->name, thing->guest);
	else
		snprintf(text, size, "port %d of guest %u", thing->port, thing->guest);
}

static void tell(const struct thing *blamed, const struct thing *other, struct overlap *ret)
{
	bool same_key = strcmp(blamed->key, other->key) == 0;
	char value[300], owner[128];

	tell_value(blamed, value, sizeof(value));
	tell_owner(other, owner, sizeof(owner));
	if (strcmp(other->key, CONTROL_SOCKET) == 0)
		snprintf(ret->text, sizeof(ret->text), "%s %s of guest %u is also the %s",
		         blamed->key, value, blamed->guest, other->key);
	else
		snprintf(ret->text, sizeof(ret->text), "%s %s of guest %u is also %s%s of %s%s",
		         blamed->key, value, blamed->guest, same_key ? "that" : "the ",
		         same_key ? "" : other->key, owner,
		         blamed->sort == SORT_SINGLE ? ", and there can be only one" : "");
	ret->key = blamed->key;
	ret->port = blamed->port;
}

/* Listing. Each returns the number of things. */

static unsigned int list_port(const struct overlaps_port *port, struct thing *ret)
{
	const struct port_config *config = port->config;
	const struct backend_kind *kind = config->backend;
	const struct backend_place *place = &config->place;
	/* Those without a text aren't there. */
	const struct thing all[] = {
	    {SORT_NAME, port->guest, config->name, "name"},
	    {SORT_SINGLE, 0, kind->single ? kind->name : NULL, "backend"},
	    {SORT_TCP, place->tcp_port, kind->tcp ? place->address : NULL, "tcp-port"},
	    {SORT_PATH, 0, kind->uds ? place->uds_path : NULL, "uds-path"},
	    {SORT_PATH, 0, kind->pty ? place->pty_path : NULL, "pty"},
	    {SORT_PATH, 0, config->log_path, "log-file"},
	};
	unsigned int n = 0;

	static_assert(ARRAY_SIZE(all) == PORT_THINGS_MAX, "as many as there may be");
	for (unsigned int i = 0; i < ARRAY_SIZE(all); i++) {
		if (!all[i].text)
			continue;
		ret[n] = all[i];
		if (all[i].sort == SORT_PATH)
			ret[n].number = hash_path(all[i].text);
		ret[n].config = config;
		ret[n].guest = port->guest;
		ret[n++].port = (int)port->number;
	}
	return n;
}

static unsigned int list_socket(const char *path, const char *key, unsigned int guest,
                                struct thing *ret)
{
	if (!path)
		return 0;
	*ret = (struct thing){
	    .sort = SORT_PATH,
	    .number = hash_path(path),
	    .text = path,
	    .key = key,
	    .guest = guest,
	    .port = -1,
	};
	return 1;
}

static size_t list_guest(const struct config *config, unsigned int i, struct thing *ret)
{
	const struct guest_config *guest = &config->guests[i];
	size_t n = list_socket(guest->socket_path, "socket-path", i, ret);

	for (unsigned int k = 0; k < guest->ports_count; k++) {
		struct overlaps_port port = {&guest->ports[k], i, k};

		n += list_port(&port, &ret[n]);
	}
	return n;
}

static size_t most_things(const struct config *config)
{
	size_t n = 1;

	for (unsigned int i = 0; i < config->guests_count; i++)
		n += 1 + PORT_THINGS_MAX * (size_t)config->guests[i].ports_count;
	return n;
}

/* Of those in order that are as the one before, the first guest's first; 0: there is none. */
static size_t find_first(const struct thing *things, size_t n)
{
	size_t first = 0;

	for (size_t i = 1; i < n; i++) {
		const struct thing *thing = &things[i], *best = &things[first];

		if (compare(thing, thing - 1) == 0 &&
		    (first == 0 || thing->guest < best->guest ||
		     (thing->guest == best->guest && thing->port < best->port)))
			first = i;
	}
	return first;
}

int overlaps_find(const struct config *config, struct overlap *ret_overlap)
{
	struct thing *things = calloc(most_things(config), sizeof(*things));
	size_t n, found;

	if (!things)
		return -ENOMEM;
	ret_overlap->key = NULL;
	n = list_socket(config->control_path, CONTROL_SOCKET, 0, things);
	for (unsigned int i = 0; i < config->guests_count; i++)
		n += list_guest(config, i, &things[n]);
	qsort(things, n, sizeof(*things), compare_in_order);
	found = find_first(things, n);
	if (found > 0)
		tell(&things[found], &things[found - 1], ret_overlap);
	free(things);
	return 0;
}

/* The first of some things that is also one of others. */
static void find_in_both(const struct thing *things, unsigned int n, const struct thing *others,
                         unsigned int others_n, struct overlap *ret_overlap)
{
	for (unsigned int i = 0; i < n * others_n && !ret_overlap->key; i++) {
		if (compare(&things[i / others_n], &others[i % others_n]) == 0)
			tell(&things[i / others_n], &others[i % others_n], ret_overlap);
	}
}

void overlaps_with_port(const struct overlaps_port *port, const struct overlaps_port *other,
                        struct overlap *ret_overlap)
{
	struct thing things[PORT_THINGS_MAX], others[PORT_THINGS_MAX];
	unsigned int n = list_port(port, things), others_n = list_port(other, others);

	ret_overlap->key = NULL;
	find_in_both(things, n, others, others_n, ret_overlap);
}

void overlaps_with_sockets(const struct overlaps_port *port, const struct config *config,
                           struct overlap *ret_overlap)
{
	struct thing things[PORT_THINGS_MAX], other;
	unsigned int n = list_port(port, things);

	ret_overlap->key = NULL;
	if (list_socket(config->control_path, CONTROL_SOCKET, 0, &other) > 0)
		find_in_both(things, n, &other, 1, ret_overlap);
	for (unsigned int i = 0; i < config->guests_count; i++) {
		if (list_socket(config->guests[i].socket_path, "socket-path", i, &other) > 0)
			find_in_both(things, n, &other, 1, ret_overlap);
	}
}
