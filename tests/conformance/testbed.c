/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guests, loop and frontends of a test: made, turned, taken down. See testbed.h; what tests do
 * with them again and again is in testbed_use.c.
 */
#include "tcp_client.h"
#include "testbed.h"

#include "backends/network.h"
#include "base/log.h"
#include "base/macros.h"
#include "guest.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOP_ENTRIES 64
/* So many turns without a completion, and there will be none. Tasks that go on by themselves need
 * at most one turn per budget of port.h: 16 for the largest ring. */
#define QUIET_TURNS 24
/* More is no settling: somebody is awake for nothing. */
#define MOST_TURNS 100000

static struct bed *current_bed;

/* The backends. */

/* Whose port it is; the place is part of its configuration. */
static struct bed_guest *guest_at(const struct backend_place *place, unsigned int *ret_port)
{
	const struct port_config *config = container_of(place, const struct port_config, place);

	for (unsigned int i = 0; i < current_bed->count; i++)
		for (unsigned int k = 0; k < BED_PORTS; k++) {
			if (config != &current_bed->guest[i].ports[k])
				continue;
			*ret_port = k;
			return &current_bed->guest[i];
		}
	support_die("a backend for a port that isn't in the bed");
}

static int new_test_backend(struct backend **ret_backend, struct loop *loop,
                            struct backend_port *port, const struct backend_place *place)
{
	unsigned int index;
	struct bed_guest *guest = guest_at(place, &index);

	test_backend_init(&guest->backends[index], loop, port);
	*ret_backend = &guest->backends[index].backend;
	return 0;
}

static bool is_known(uint16_t tcp_port)
{
	for (unsigned int i = 0; i < current_bed->count; i++)
		for (unsigned int k = 0; k < BED_PORTS; k++)
			if (current_bed->guest[i].tcp_port[k] == tcp_port)
				return true;
	return false;
}

/* The port of the newest listening TCP socket; 0 if there is none. */
static uint16_t newest_tcp_port(void)
{
	for (int fd = 3; fd < 1024; fd++) {
		struct sockaddr_in address = {0};
		socklen_t len = sizeof(address), flag_len = sizeof(int);
		int listening = 0;

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &flag_len) < 0 ||
		    !listening || getsockname(fd, (struct sockaddr *)&address, &len) < 0 ||
		    address.sin_family != AF_INET)
			continue;
		if (!is_known(ntohs(address.sin_port)))
			return ntohs(address.sin_port);
	}
	return 0;
}

/* Any free port: tests may run side by side. */
static int new_network_backend(struct backend **ret_backend, struct loop *loop,
                               struct backend_port *port, const struct backend_place *place)
{
	unsigned int index;
	struct bed_guest *guest = guest_at(place, &index);
	int r =
	    network_new(ret_backend, loop, port, "127.0.0.1", 0, &place->protocol, place->access);

	if (r == 0)
		guest->tcp_port[index] = newest_tcp_port();
	return r;
}

static const struct backend_kind test_kind = {.name = "test", .make = new_test_backend};
static const struct backend_kind network_kind = {.name = "network", .make = new_network_backend};

/* Guests. */

static struct bed_guest *guest_of(struct guest *guest)
{
	for (unsigned int i = 0; i < current_bed->count; i++)
		if (current_bed->guest[i].guest == guest)
			return &current_bed->guest[i];
	support_die("a guest that isn't in the bed speaks");
}

static void on_guest_stopped(struct guest *guest)
{
	guest_of(guest)->stopped++;
}

static void on_guest_quit(struct guest *guest, bool finish, bool failed)
{
	(void)finish, (void)failed;
	guest_of(guest)->quits++;
}

static void on_guest_disconnected(struct guest *guest)
{
	guest_of(guest)->disconnected++;
}

static void on_port_removed(struct guest *guest, const struct port_config *config)
{
	struct bed_guest *bed_guest = guest_of(guest);

	bed_guest->removed |= 1u << (config - bed_guest->ports);
}

static const struct guest_ops guest_ops = {
    .stopped = on_guest_stopped,
    .disconnected = on_guest_disconnected,
    .port_removed = on_port_removed,
    .quit = on_guest_quit,
};

static void turn_frontend(struct frontend *frontend)
{
	bed_turn(frontend->turn_arg);
}

static void adopt_frontend(struct bed_guest *guest)
{
	guest->frontend.turn = turn_frontend;
	guest->frontend.turn_arg = guest->bed;
}

/* An abstract address, so that there is no file to remove. */
static int listen_for_frontends(struct bed_guest *guest)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	guest->address.sun_family = AF_UNIX;
	guest->address_len = sizeof(guest->address);
	if (fd < 0 || bind(fd, (struct sockaddr *)&guest->address, sizeof(sa_family_t)) < 0 ||
	    listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)&guest->address, &guest->address_len) < 0)
		support_die("a socket for frontends: %s", strerror(errno));
	return fd;
}

static void connect_frontend(struct bed_guest *guest)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&guest->address, guest->address_len) < 0)
		support_die("connecting to the guest: %s", strerror(errno));
	frontend_init(&guest->frontend, fd);
	adopt_frontend(guest);
}

static int init_guest(struct bed_guest *guest, unsigned int index)
{
	size_t record = guest_record_size(&guest->config);
	size_t regions = GMEM_REGIONS_MAX * sizeof(struct gmem_region);
	struct guest_place place = {.stride = 1, .max_regions = GMEM_REGIONS_MAX};
	int r = arena_init(&guest->arena, arena_round(record) + arena_round(regions) +
	                                      guest_arena_size(&guest->config));

	if (r < 0)
		return r;
	place.record = arena_take(&guest->arena, record);
	place.regions = arena_take(&guest->arena, regions);
	return guest_init(guest->guest, &guest_ops, guest->bed->loop, &place, &guest->arena,
	                  &guest->config, index);
}

static void start_guest(struct bed_guest *guest, bool listens)
{
	int listen_fd = listens ? listen_for_frontends(guest) : -1;
	int connected_fd = listens ? -1 : frontend_init_pair(&guest->frontend);
	unsigned int index = (unsigned int)(guest - guest->bed->guest);

	guest->guest = calloc(1, sizeof(*guest->guest));
	if (!guest->guest || init_guest(guest, index) < 0 ||
	    guest_start(guest->guest, listen_fd, connected_fd) < 0)
		support_die("guest %u can't be started", index);
	if (listens)
		connect_frontend(guest);
	else
		adopt_frontend(guest);
}

static void configure_port(struct bed_guest *guest, unsigned int i,
                           const struct bed_port_options *options)
{
	guest->ports[i] = (struct port_config){
	    .data = options->data,
	    .tail = options->tail,
	    .backend = options->network ? &network_kind : &test_kind,
	    .history = options->history ? options->history : 256 * 1024,
	};
	if (!options->name)
		return;
	strncpy(guest->names[i], options->name, sizeof(guest->names[i]) - 1);
	guest->ports[i].name = guest->names[i];
}

static void configure_ports(struct bed_guest *guest, const struct bed_options *options)
{
	struct bed_port_options only = {.network = options->network, .history = options->history};

	if (!options->ports)
		configure_port(guest, 0, &only);
	for (unsigned int i = 0; options->ports && i < options->ports_count; i++)
		configure_port(guest, i, &options->ports[i]);
}

int bed_add_port(struct bed_guest *guest, unsigned int id, const struct bed_port_options *options)
{
	const char *why = NULL;
	int r;

	test_backend_deinit(&guest->backends[id]);
	guest->tcp_port[id] = 0;
	guest->removed &= ~(1u << id);
	configure_port(guest, id, options);
	r = guest_add_port(guest->guest, &guest->ports[id], &why);
	assert_true(r == 0 ? guest->guest->slots[id].port.config == &guest->ports[id] : !!why);
	return r;
}

int bed_remove_port(struct bed_guest *guest, unsigned int id)
{
	const struct port_config *config = NULL;
	const char *why = NULL;
	char name[12];
	int r;

	snprintf(name, sizeof(name), "%u", id);
	r = guest_remove_port(guest->guest, name, &config, &why);
	assert_true(r == 0 ? config == &guest->ports[id] : !!why);
	return r;
}

struct removal {
	struct bed_guest *guest;
	unsigned int id;
};

static bool is_removed(void *arg)
{
	struct removal *removal = arg;

	return removal->guest->removed >> removal->id & 1;
}

void bed_await_removed(struct bed_guest *guest, unsigned int id)
{
	struct removal removal = {guest, id};

	frontend_await(&guest->frontend, is_removed, &removal, "a removed port to stop");
}

struct bed_guest *bed_add(struct bed *bed, const struct bed_options *options)
{
	static const struct bed_options defaults;
	struct bed_guest *guest = &bed->guest[bed->count++];
	unsigned int count;

	if (!options)
		options = &defaults;
	count = options->ports ? options->ports_count : 1;
	*guest = (struct bed_guest){
	    .bed = bed,
	    .config =
		{
		    .fd = -1,
		    .max_queue_size = options->max_queue_size ? options->max_queue_size : 32768,
		    .max_mapped = 1ull << 40,
		    .multiport = options->multiport,
		    .resize_rows_first = options->resize_rows_first,
		    .max_ports = options->max_ports ? options->max_ports : count,
		    .ports = guest->ports,
		    .ports_count = count,
		    .max_history = options->history ? options->history : 256 * 1024,
		},
	};
	configure_ports(guest, options);
	start_guest(guest, options->listens);
	guest_memory_init(&guest->memory);
	return guest;
}

struct bed_guest *bed_new(const struct bed_options *options)
{
	struct loop_config config = {.entries = LOOP_ENTRIES, .cq_entries = 2 * LOOP_ENTRIES};
	struct bed *bed = calloc(1, sizeof(*bed));
	int r;

	if (!bed || current_bed)
		support_die("a second bed");
	current_bed = bed;
	r = loop_new(&bed->loop, &config);
	if (r < 0)
		support_die("no loop: %s", strerror(-r));
	return bed_add(bed, options);
}

/* Turning. */

void bed_turn(struct bed *bed)
{
	int r;

	if (bed->before_turn)
		bed->before_turn(bed, bed->before_turn_arg);
	bed->turns++;
	r = loop_turn(bed->loop, false);
	if (r < 0)
		support_die("the loop failed: %s", strerror(-r));
}

void bed_await_discards(void)
{
	uint64_t end = support_now_ms() + support_deadline_ms();

	while (current_bed && loop_discards(current_bed->loop) > 0) {
		if (support_now_ms() > end)
			support_die("something can't be closed");
		bed_turn(current_bed);
	}
}

void bed_settle(struct bed *bed)
{
	uint64_t seen = loop_completions(bed->loop), last = bed->turns + MOST_TURNS;

	for (unsigned int quiet = 0; quiet < QUIET_TURNS; quiet++) {
		if (bed->turns > last)
			support_die("the loop doesn't come to rest");
		bed_turn(bed);
		if (loop_discards(bed->loop) > 0) {
			bed_await_discards();
			last = bed->turns + MOST_TURNS;
		}
		if (loop_completions(bed->loop) != seen)
			quiet = 0;
		seen = loop_completions(bed->loop);
	}
}

struct bed_wait {
	struct bed_guest *guest;
	bool (*done)(struct bed_guest *guest);
};

static bool is_done(void *arg)
{
	struct bed_wait *wait = arg;

	return wait->done(wait->guest);
}

void bed_await(struct bed_guest *guest, bool (*done)(struct bed_guest *guest), const char *what)
{
	struct bed_wait wait = {guest, done};

	frontend_await(&guest->frontend, is_done, &wait, what);
}

/* Coming and going. */

static bool has_stopped(struct bed_guest *guest)
{
	return guest->stopped > 0;
}

void bed_begin_stop(struct bed_guest *guest)
{
	guest->stopping = true;
	guest_stop(guest->guest, false);
}

void bed_stop(struct bed_guest *guest, bool finish)
{
	guest->stopping = true;
	guest_stop(guest->guest, finish);
	bed_await(guest, has_stopped, "the guest to stop");
}

static bool is_disconnected(struct bed_guest *guest)
{
	return !guest->guest->connected;
}

void bed_hang_up(struct bed_guest *guest)
{
	frontend_deinit(&guest->frontend);
	bed_await(guest, is_disconnected, "the guest to forget its frontend");
}

void bed_reconnect(struct bed_guest *guest)
{
	frontend_deinit(&guest->frontend);
	connect_frontend(guest);
}

static void free_guest(struct bed_guest *guest)
{
	for (unsigned int i = 0; i < BED_RINGS; i++)
		driver_queue_deinit(&guest->ring[i]);
	multiport_driver_deinit(&guest->multiport);
	console_driver_deinit(&guest->console);
	frontend_deinit(&guest->frontend);
	guest_memory_deinit(&guest->memory);
	for (unsigned int i = 0; i < BED_PORTS; i++)
		test_backend_deinit(&guest->backends[i]);
	arena_deinit(&guest->arena);
	guest_deinit(guest->guest);
	free(guest->guest);
}

void bed_free(struct bed *bed)
{
	bed->before_turn = NULL;
	for (unsigned int i = 0; i < bed->count; i++)
		if (!has_stopped(&bed->guest[i]))
			bed_stop(&bed->guest[i], false);
	/* What was queued and never run would have spoken by now. */
	bed_settle(bed);
	for (unsigned int i = 0; i < bed->count; i++) {
		if (bed->guest[i].stopped != 1)
			support_die("guest %u stopped %u times", i, bed->guest[i].stopped);
	}
	loop_free(bed->loop);
	for (unsigned int i = 0; i < bed->count; i++)
		free_guest(&bed->guest[i]);
	current_bed = NULL;
	free(bed);
}

/* Failing. */

static void on_die(const char *message)
{
	if (current_bed && current_bed->escapes)
		longjmp(current_bed->escape, 1);
	fail_msg("%s", message);
}

bool bed_try(struct bed *bed, void (*run)(void *arg), void *arg)
{
	if (setjmp(bed->escape) != 0) {
		bed->trying = bed->escapes = false;
		return false;
	}
	bed->trying = true;
	run(arg);
	bed->trying = bed->escapes = false;
	return true;
}

void bed_may_fail(struct bed *bed)
{
	bed->escapes = bed->trying;
}

void bed_escape(struct bed *bed)
{
	if (bed->trying)
		longjmp(bed->escape, 1);
}

/* The fixtures. */

int bed_setup(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	/* Refusals are what is tested here. */
	log_set_level(LOG_LEVEL_ERROR);
	support_on_die = on_die;
	return resources_setup(state);
}

int bed_teardown(void **state)
{
	if (current_bed) {
		current_bed->trying = current_bed->escapes = false;
		bed_free(current_bed);
	}
	tcp_client_close_all();
	bed_pattern(0);
	return resources_teardown(state);
}
