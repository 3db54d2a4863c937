/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/macros.h"
#include "guest_device.h"
#include "guest_input.h"
#include "guest_slots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The frontend's connection. */

void guest_end_connection(struct guest *guest, const char *why)
{
	if (guest->connection.closing)
		return;
	if (why)
		log_limited(&guest->limit, LOG_LEVEL_WARNING, "%s: frontend closed: %s",
		            guest->name, why);
	else
		log_limited(&guest->limit, LOG_LEVEL_INFO, "%s: frontend gone", guest->name);
	loop_scope_close(&guest->connection);
}

int guest_disconnect(struct guest *guest, const char **ret_why)
{
	if (!guest->connected || guest->connection.closing) {
		*ret_why = "it has no frontend";
		return -ENOTCONN;
	}
	if (!guest->listens) {
		*ret_why = "its frontend was handed over (--fd), and no other could come";
		return -EPERM;
	}
	guest_end_connection(guest, "by a request on the control socket");
	return 0;
}

/* The end: the frontend, then the ports. */

static void stop_ports(struct guest *guest)
{
	if (guest->ports_running == 0) {
		guest->ops->stopped(guest);
		return;
	}
	for (unsigned int i = 0; i < guest->config->max_ports; i++) {
		if (guest_port_in_use(&guest->slots[i].port))
			guest_port_stop(&guest->slots[i].port, guest->finishing);
	}
}

static void frontend_part_drained(struct guest *guest)
{
	guest->frontend_parts--;
	if (guest->stopping && guest->frontend_parts == 0)
		stop_ports(guest);
}

static void on_channel_ended(struct channel *channel, const char *why)
{
	struct guest *guest = container_of(channel, struct guest, channel);

	guest_end_connection(guest, why);
}

static void on_connection_drained(struct loop_scope *scope);

static void connect_frontend(struct guest *guest, int fd)
{
	log_limited(&guest->limit, LOG_LEVEL_INFO, "%s: frontend connected", guest->name);
	loop_scope_init(&guest->connection, guest->loop, on_connection_drained);
	guest->connected = true;
	guest->frontend_parts++;
	guest_device_init(guest);
	channel_start(&guest->channel, &guest->session, &guest->connection, &guest->discards, fd,
	              guest->name, on_channel_ended);
}

/* A connection that never was more, as of somebody who only looks whether there is anybody. */
static bool has_negotiated(const struct guest *guest)
{
	const struct session_record *record = guest->session.record;

	return record->protocol_features_set || record->features != 0;
}

static void on_connection_drained(struct loop_scope *scope)
{
	struct guest *guest = container_of(scope, struct guest, connection);

	bool was_there = has_negotiated(guest);

	session_reset(&guest->session);
	if (was_there && !guest->stopping)
		guest_input_forget(guest, GUEST_INPUT_FRONTEND_GONE);
	console_forget_frontend(&guest->console);
	guest->lone_told = guest->state_saved = false;
	guest_device_deinit(guest);
	channel_deinit(&guest->channel);
	guest->connected = false;
	guest->ops->disconnected(guest);
	if (!guest->stopping && guest->next_fd >= 0)
		connect_frontend(guest, fd_take(&guest->next_fd));
	else if (!guest->stopping && !guest->listens)
		guest->ops->quit(guest, true, false);
	frontend_part_drained(guest);
}

static void on_discarded(struct loop_discards *discards)
{
	struct guest *guest = container_of(discards, struct guest, discards);

	if (guest->connected)
		channel_go_on(&guest->channel);
	if (guest->listens)
		acceptor_go_on(&guest->acceptor);
}

/* There is one frontend at a time, and a dead one is soon found out. */
static void take_frontend(struct guest *guest, int fd)
{
	if (!guest->connected) {
		connect_frontend(guest, fd);
		return;
	}
	if (!guest->connection.closing && !channel_is_hung_up(&guest->channel)) {
		log_limited(&guest->limit, LOG_LEVEL_WARNING,
		            "%s: a second frontend was turned away", guest->name);
		fd_discard(&guest->discards.discarder, &fd);
		return;
	}
	fd_discard(&guest->discards.discarder, &guest->next_fd);
	guest->next_fd = fd;
}

/* Each may bring what is hard to close, unread. */
static void on_accepted(struct acceptor *acceptor, int fd)
{
	struct guest *guest = container_of(acceptor, struct guest, acceptor);

	take_frontend(guest, fd);
	if (!loop_discards_empty(&guest->discards))
		acceptor_hold(acceptor);
}

/* Start and stop. */

static void on_life_drained(struct loop_scope *scope)
{
	struct guest *guest = container_of(scope, struct guest, life);

	if (guest->listens)
		acceptor_deinit(&guest->acceptor);
	fd_discard(&guest->discards.discarder, &guest->next_fd);
	frontend_part_drained(guest);
}

/*
 * A guest's record: of the console, the positions of its ports' rings, then that of the session.
 * All guests' records lie together, then each guest's rings: a page, and a page of page tables, for
 * every record would be most of what an idle guest costs.
 */

struct guest_record {
	struct console_record console;
	struct byte_ring_state rings[][3];
};

static unsigned int vrings_of(const struct guest_config *config)
{
	return CONSOLE_VRINGS(config->max_ports);
}

static size_t rings_end(const struct guest_config *config)
{
	return sizeof(struct guest_record) +
	       config->max_ports * sizeof(((struct guest_record *)0)->rings[0]);
}

/* In whole cache lines: what one guest writes isn't in another's. */
size_t guest_record_size(const struct guest_config *config)
{
	return (rings_end(config) + session_record_size(vrings_of(config)) + 63) & ~(size_t)63;
}

size_t guest_arena_size(const struct guest_config *config)
{
	return config->max_ports * guest_port_arena_size(config->max_history);
}

unsigned int guest_fds(const struct guest_config *config)
{
	/* It listens; the connection and the one back; regions; each vring's kick, call, err. */
	unsigned int fds = 1 + 2 + GUEST_REGIONS_LEAST + 3 * vrings_of(config);

	/* Each port listens and has a client. */
	for (unsigned int i = 0; i < config->max_ports; i++)
		fds += i < config->ports_count && config->ports[i].log_path ? 3 : 2;
	return fds;
}

static uint64_t features_of(const struct guest_config *config)
{
	return config->multiport ? CONSOLE_FEATURES
	                         : CONSOLE_FEATURES & ~(1ull << VIRTIO_CONSOLE_F_MULTIPORT);
}

static void init_guest(struct guest *guest, const struct guest_place *place, struct arena *arena)
{
	const struct guest_config *config = guest->config;
	struct guest_record *record = (struct guest_record *)(void *)place->record;
	struct session_place session = {
	    .record = (struct session_record *)(void *)(place->record + rings_end(config)),
	    .regions = place->regions,
	    .stride = place->stride,
	    .discarder = &guest->discards.discarder,
	};
	struct request_limits limits = {
	    .vrings = guest->vrings_count,
	    .vring_size = config->max_queue_size,
	    .memory = {.regions = place->max_regions, .mapped = config->max_mapped},
	};

	for (unsigned int i = 0; i < config->max_ports; i++) {
		guest->slots[i].guest = guest;
		guest_port_lay_out(&guest->slots[i].port, arena, config->max_history,
		                   record->rings[i]);
	}
	loop_discards_init(&guest->discards, guest->loop, on_discarded);
	loop_scope_init(&guest->life, guest->loop, on_life_drained);
	session_init(&guest->session, &guest_device_ops, &session, guest->virtqs, &limits,
	             features_of(config), CONSOLE_CONFIG_FEATURES);
	console_init(&guest->console, &record->console, guest->virtqs, guest->console_ports,
	             config->max_ports);
	guest->console.rows_first = config->resize_rows_first;
}

static int allocate(struct guest *guest)
{
	unsigned int ports = guest->config->max_ports;

	guest->vrings_count = vrings_of(guest->config);
	guest->slots = calloc(ports, sizeof(*guest->slots));
	guest->console_ports = calloc(ports, sizeof(*guest->console_ports));
	guest->virtqs = calloc(guest->vrings_count, sizeof(*guest->virtqs));
	guest->vrings = calloc(guest->vrings_count, sizeof(*guest->vrings));
	if (guest->slots && guest->console_ports && guest->virtqs && guest->vrings)
		return 0;
	log_error("%s: no memory for %u ports", guest->name, ports);
	return -ENOMEM;
}

void guest_deinit(struct guest *guest)
{
	free(guest->slots);
	free(guest->console_ports);
	free(guest->virtqs);
	free(guest->vrings);
	guest->slots = NULL;
	guest->console_ports = NULL;
	guest->virtqs = NULL;
	guest->vrings = NULL;
}

int guest_init(struct guest *guest, const struct guest_ops *ops, struct loop *loop,
               const struct guest_place *place, struct arena *arena,
               const struct guest_config *config, unsigned int index)
{
	int r;

	*guest = (struct guest){
	    .ops = ops,
	    .config = config,
	    .loop = loop,
	    .next_fd = -1,
	    .frontend_parts = 1,
	};
	snprintf(guest->name, sizeof(guest->name), "guest %u", index);
	r = allocate(guest);
	if (r < 0)
		guest_deinit(guest);
	else
		init_guest(guest, place, arena);
	return r;
}

int guest_start(struct guest *guest, int listen_fd, int connected_fd)
{
	int r = 0;

	for (unsigned int i = 0; i < guest->config->ports_count && r == 0; i++)
		r = guest_slots_start(guest, i, &guest->config->ports[i], false);
	if (r < 0) {
		fd_close(&listen_fd);
		fd_close(&connected_fd);
		return r;
	}
	guest->listens = listen_fd >= 0;
	if (!guest->listens) {
		connect_frontend(guest, connected_fd);
		return 0;
	}
	acceptor_start(&guest->acceptor, &guest->life, &guest->discards.discarder, listen_fd,
	               guest->name, on_accepted);
	acceptor_go_first(&guest->acceptor);
	return 0;
}

static void stop_finishing(struct guest *guest)
{
	guest->finishing = false;
	if (guest->frontend_parts == 0)
		stop_ports(guest);
}

void guest_stop(struct guest *guest, bool finish)
{
	if (guest->stopping && guest->finishing && !finish)
		stop_finishing(guest);
	if (guest->stopping)
		return;
	guest->stopping = true;
	guest->finishing = finish;
	loop_scope_close(&guest->life);
	if (guest->connected)
		loop_scope_close(&guest->connection);
}

/* What concerns all ports. */

static void for_each_port(struct guest *guest, void (*fn)(struct guest_port *port))
{
	for (unsigned int i = 0; i < guest->config->max_ports; i++) {
		if (guest_port_in_use(&guest->slots[i].port))
			fn(&guest->slots[i].port);
	}
}

void guest_reopen_log(struct guest *guest)
{
	for_each_port(guest, guest_port_reopen_log);
}

void guest_resize(struct guest *guest)
{
	for_each_port(guest, guest_port_resize);
}

void guest_suspend(struct guest *guest)
{
	for_each_port(guest, guest_port_suspend);
}

void guest_resume(struct guest *guest)
{
	for_each_port(guest, guest_port_resume);
}
