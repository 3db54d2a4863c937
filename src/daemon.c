/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon.h"

#include "backends/pty_device.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/limit.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/unix_socket.h"
#include "daemon_control.h"
#include "daemon_fds.h"
#include "guest.h"
#include "loop/descriptors.h"
#include "loop/loop.h"
#include "process/signals.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Entries of the submission queue: some for everybody, and some for each guest. */
#define ENTRIES_BASE      64u
#define ENTRIES_PER_GUEST 4u
#define ENTRIES_MAX       32768u

struct daemon_guest {
	struct guest guest;
	struct unix_socket_file file;
	struct daemon *daemon;
};

struct daemon {
	const struct config *config;
	struct daemon_fds fds;
	struct arena arena;
	struct guest_place next_place; /* of the guest that is made next, in the arena */
	struct loop *loop;
	struct loop_scope scope;
	struct loop_op signals;
	int signal_fd;
	struct log_limit strays; /* signals that mean nothing */
	struct daemon_guest *guests;
	unsigned int started, stopped;
	struct daemon_control control;
	bool controlled; /* the control socket is at work */
	bool stopping;
	bool failed;
};

/* The end: guests and the control socket, then the signals, then the loop. */

static void stop_scope_if_done(struct daemon *daemon)
{
	if (daemon->stopping && daemon->stopped == daemon->started && !daemon->controlled)
		loop_scope_close(&daemon->scope);
}

static void on_control_stopped(struct daemon_control *control)
{
	struct daemon *daemon = container_of(control, struct daemon, control);

	daemon->controlled = false;
	stop_scope_if_done(daemon);
}

/* May be called again, without `finish`, to end sooner. */
static void stop(struct daemon *daemon, bool finish)
{
	if (!daemon->stopping && daemon->controlled)
		daemon_control_stop(&daemon->control);
	daemon->stopping = true;
	for (unsigned int i = 0; i < daemon->started; i++) {
		unix_socket_remove(&daemon->guests[i].file);
		guest_stop(&daemon->guests[i].guest, finish);
	}
	stop_scope_if_done(daemon);
}

static void on_drained(struct loop_scope *scope)
{
	loop_stop(scope->loop);
}

static struct daemon *daemon_of(struct guest *guest)
{
	return container_of(guest, struct daemon_guest, guest)->daemon;
}

static void on_guest_stopped(struct guest *guest)
{
	daemon_of(guest)->stopped++;
	stop_scope_if_done(daemon_of(guest));
}

static void on_guest_disconnected(struct guest *guest)
{
	struct daemon *daemon = daemon_of(guest);

	if (daemon->controlled)
		daemon_control_disconnected(&daemon->control, guest);
}

static void on_port_removed(struct guest *guest, const struct port_config *config)
{
	daemon_control_port_removed(&daemon_of(guest)->control, config);
}

static void on_guest_quit(struct guest *guest, bool finish, bool failed)
{
	daemon_of(guest)->failed |= failed;
	stop(daemon_of(guest), finish);
}

static const struct guest_ops guest_ops = {
    .stopped = on_guest_stopped,
    .disconnected = on_guest_disconnected,
    .port_removed = on_port_removed,
    .quit = on_guest_quit,
};

/* Signals. */

/* SIGTSTP from outside: the terminal is given back while the process is stopped. */
static void suspend(struct daemon *daemon)
{
	for (unsigned int i = 0; i < daemon->started; i++)
		guest_suspend(&daemon->guests[i].guest);
	kill(getpid(), SIGSTOP);
}

static void resume(struct daemon *daemon)
{
	for (unsigned int i = 0; i < daemon->started; i++)
		guest_resume(&daemon->guests[i].guest);
}

static void take_signal(struct daemon *daemon, uint32_t signal)
{
	switch (signal) {
	case SIGTERM:
	case SIGINT:
		stop(daemon, false);
		break;
	case SIGTSTP:
		suspend(daemon);
		break;
	case SIGCONT:
		resume(daemon);
		break;
	case SIGWINCH:
		for (unsigned int i = 0; i < daemon->started; i++)
			guest_resize(&daemon->guests[i].guest);
		break;
	case SIGXCPU:
		log_error("ending: the processor time that this process may use is over "
		          "(ulimit -t; LimitCPU= and LimitRTTIME= of a service)");
		daemon->failed = true;
		stop(daemon, false);
		break;
	case SIGHUP: /* always means this; a terminal that is gone is noticed by itself */
		for (unsigned int i = 0; i < daemon->started; i++)
			guest_reopen_log(&daemon->guests[i].guest);
		break;
	default:
		if (signals_is_stray(signal))
			log_limited(&daemon->strays, LOG_LEVEL_WARNING,
			            "%s means nothing here: nothing is done", signals_name(signal));
		break;
	}
}

static void on_signals(struct loop_op *op, int32_t res)
{
	struct daemon *daemon = container_of(op, struct daemon, signals);
	struct signalfd_siginfo info;

	(void)res;
	while (!daemon->scope.closing &&
	       read(daemon->signal_fd, &info, sizeof(info)) == sizeof(info))
		take_signal(daemon, info.ssi_signo);
	if (!daemon->scope.closing)
		loop_arm_poll(&daemon->signals, daemon->signal_fd, POLLIN);
}

/* The start. */

/* Between what lives on, small things that were freed leave holes: their pages go back, too. */
static void tidy_heap(void)
{
	malloc_trim(0);
}

static int make_loop(struct daemon *daemon)
{
	struct loop_config config = {.entries = ENTRIES_BASE, .tidy = tidy_heap};
	unsigned int wanted = ENTRIES_BASE + ENTRIES_PER_GUEST * daemon->config->guests_count;
	char why[LIMIT_TEXT_MAX];
	int r;

	while (config.entries < MIN(wanted, ENTRIES_MAX))
		config.entries *= 2;
	config.cq_entries = 2 * config.entries;
	r = loop_new(&daemon->loop, &config);
	if (r == -EPERM || r == -ENOSYS || r == -EACCES)
		log_error("io_uring is switched off (%s): allow it with 'sysctl "
		          "kernel.io_uring_disabled=0', and in a container by a seccomp profile "
		          "with the io_uring_* calls",
		          strerror(-r));
	else if (r == -EINVAL)
		log_error("this kernel's io_uring is too old: Linux 6.1 or newer is needed");
	else if (r < 0)
		log_error("can't set up io_uring: %s", limit_explain(r, why));
	return r;
}

/*
 * The soft limit is for programs that use select(); the hard one can be raised by who may. What is
 * missing then may never be needed: frontends and clients that come too late for it have to wait.
 */
static void raise_fd_limit(const struct config *config)
{
	struct rlimit limit, wanted = {0};
	rlim_t fds = daemon_share_fds(config, 0).needed;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	wanted.rlim_cur = wanted.rlim_max = MAX(limit.rlim_max, fds);
	if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
		return;
	wanted.rlim_cur = wanted.rlim_max = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &wanted);
	log_warning("%u guests with a client each need up to %ju open files, and this process may "
	            "have %ju: raise the limit (ulimit -Hn; LimitNOFILE= of a service; at most "
	            "sysctl fs.nr_open)",
	            config->guests_count, (uintmax_t)fds, (uintmax_t)limit.rlim_max);
}

/* To be called when the limit is as it stays: see raise_fd_limit(). */
static void share_fds(struct daemon *daemon)
{
	struct rlimit limit;
	bool unlimited = getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY;

	daemon->fds = daemon_share_fds(daemon->config, unlimited ? UINT64_MAX : limit.rlim_cur);
}

static int make_arena(struct daemon *daemon)
{
	unsigned int guests = daemon->config->guests_count;
	size_t regions = (size_t)guests * GMEM_REGIONS_MAX * sizeof(struct gmem_region);
	size_t records = 0, rings = 0;
	char why[LIMIT_TEXT_MAX];
	int r;

	for (unsigned int i = 0; i < guests; i++) {
		records += guest_record_size(&daemon->config->guests[i]);
		rings += guest_arena_size(&daemon->config->guests[i]);
	}
	r = arena_init(&daemon->arena, arena_round(records) + arena_round(regions) + rings);
	if (r < 0) {
		log_error("no memory for the kept output of %u guests: %s", guests,
		          limit_explain(r, why));
		return r;
	}
	daemon->next_place = (struct guest_place){
	    .record = arena_take(&daemon->arena, records),
	    .regions = arena_take(&daemon->arena, regions),
	    .stride = guests,
	    .max_regions = daemon->fds.regions,
	};
	return 0;
}

/*
 * Large buffers (a telnet client's, a saved state) are mapped one by one: what isn't touched costs
 * nothing, and all of it goes back to the system at once.
 */
#define MAPPED_FROM_BYTES (16 * 1024)

static int init(struct daemon *daemon)
{
	int r;

	mallopt(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES);
	limit_check_all();
	raise_fd_limit(daemon->config);
	share_fds(daemon);
	r = make_arena(daemon);
	if (r < 0)
		return r;
	r = make_loop(daemon);
	if (r < 0)
		return r;
	loop_reserve_fds(daemon->loop, daemon->fds.reserved);
	r = daemon->signal_fd = signals_take();
	if (r < 0) {
		log_error("can't take over the signals: %s", strerror(-r));
		return r;
	}
	daemon->guests = calloc(daemon->config->guests_count, sizeof(*daemon->guests));
	if (!daemon->guests)
		return log_no_memory("start");
	loop_scope_init(&daemon->scope, daemon->loop, on_drained);
	loop_op_init(&daemon->signals, &daemon->scope, on_signals);
	loop_arm_poll(&daemon->signals, daemon->signal_fd, POLLIN);
	return 0;
}

static void deinit(struct daemon *daemon)
{
	loop_free(daemon->loop);
	for (unsigned int i = 0; daemon->guests && i < daemon->config->guests_count; i++)
		guest_deinit(&daemon->guests[i].guest);
	daemon_control_deinit(&daemon->control);
	free(daemon->guests);
	fd_close(&daemon->signal_fd);
	arena_deinit(&daemon->arena);
}

static int listen_for(struct daemon_guest *at, const struct guest_config *config)
{
	int fd = unix_socket_listen(config->socket_path, config->socket_mode, config->socket_group,
	                            &at->file);

	if (fd < 0)
		unix_socket_log_failure(config->socket_path, fd);
	return fd;
}

/* A socket that was handed over: whether it listens, or is the frontend's already. */
static int judge_handed_over(int fd, bool *ret_listens)
{
	struct sockaddr_un addr = {0};
	socklen_t addr_len = sizeof(addr), len = sizeof(int);
	int listens = 0, r = 0;

	if (!fd_is_unix_stream(fd) || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0)
		r = -ENOTSOCK;
	if (r == 0 && !listens && getpeername(fd, (struct sockaddr *)&addr, &addr_len) < 0)
		r = -ENOTCONN;
	if (r < 0)
		log_error("--fd=%d: not a Unix stream socket that listens or is connected", fd);
	*ret_listens = listens;
	return r;
}

/* The socket for the frontends of guest number i, or the frontend itself: one of the two. */
static int find_frontends(struct daemon *daemon, unsigned int i, int *ret_listen_fd,
                          int *ret_connected_fd)
{
	const struct guest_config *config = &daemon->config->guests[i];
	int fd = config->fd, r = 0;
	bool listens = true;

	if (fd >= 0)
		r = judge_handed_over(fd, &listens);
	else
		r = fd = listen_for(&daemon->guests[i], config);
	*ret_listen_fd = r >= 0 && listens ? fd : -1;
	*ret_connected_fd = r >= 0 && !listens ? fd : -1;
	return MIN(r, 0);
}

static int start_guest(struct daemon *daemon, unsigned int i)
{
	const struct guest_config *config = &daemon->config->guests[i];
	struct guest *guest = &daemon->guests[i].guest;
	int listen_fd, connected_fd, r;

	daemon->guests[i].daemon = daemon;
	r = guest_init(guest, &guest_ops, daemon->loop, &daemon->next_place, &daemon->arena, config,
	               i);
	if (r < 0)
		return r;
	daemon->next_place.record += guest_record_size(config);
	daemon->next_place.regions++;
	daemon->started++;
	r = find_frontends(daemon, i, &listen_fd, &connected_fd);
	return r < 0 ? r : guest_start(guest, listen_fd, connected_fd);
}

static struct guest *find_guest(void *daemon, unsigned int index)
{
	return &((struct daemon *)daemon)->guests[index].guest;
}

static int start_control(struct daemon *daemon)
{
	int r;

	if (!daemon->config->control_path)
		return 0;
	r = daemon_control_start(&daemon->control, daemon->config, daemon->loop, find_guest, daemon,
	                         on_control_stopped);
	daemon->controlled = r == 0;
	return r;
}

/* Drivers without MULTIPORT know one port only. */
static void warn_of_first_port(const struct guest_config *config)
{
	unsigned int i = 0;

	if (!config->ports[0].data)
		return;
	while (i < config->ports_count && config->ports[i].data)
		i++;
	if (i == config->ports_count)
		log_warning("there is no console: a driver without MULTIPORT (firmware, a boot "
		            "loader) prints to the first port, which is of type data and holds it "
		            "up until a client reads");
	else
		log_warning("the first port is of type data: a driver without MULTIPORT (firmware, "
		            "a boot loader) has the first console as its only port, which is "
		            "number %u, and doesn't see the others; give that --port first",
		            i);
}

static void log_ready(const struct config *config)
{
	const struct guest_config *first = &config->guests[0];
	const struct port_config *port = &first->ports[0];
	unsigned int last = config->guests_count - 1;
	char frontends[128], clients[128] = "", ports[32] = "";

	if (first->socket_path)
		snprintf(frontends, sizeof(frontends), last ? "%s to %u" : "%s", first->socket_path,
		         last);
	else
		snprintf(frontends, sizeof(frontends), "descriptor %d", first->fd);
	if (first->ports_count > 1)
		snprintf(ports, sizeof(ports), " with %u ports%s", first->ports_count,
		         last ? " each" : "");
	else if (port->backend->tcp)
		snprintf(clients, sizeof(clients),
		         last ? ", clients at %s port %u to %u" : ", clients at %s port %u",
		         port->place.address, port->place.tcp_port, port->place.tcp_port + last);
	else if (port->backend->uds)
		snprintf(clients, sizeof(clients),
		         last ? ", clients at %s to %u" : ", clients at %s", port->place.uds_path,
		         last);
	else if (port->backend->pty)
		snprintf(clients, sizeof(clients),
		         last ? ", terminals at %s to %u" : ", terminal at %s",
		         port->place.pty_path, last);
	log_info("ready for %u guest%s%s: frontends at %s%s", config->guests_count, last ? "s" : "",
	         ports, frontends, clients);
}

/* Nothing can be stopped in order any more; what others would find of us goes all the same. */
static void remove_files(void)
{
	unix_socket_remove_all();
	pty_device_remove_links();
}

int daemon_run(const struct config *config)
{
	struct daemon daemon = {.config = config, .signal_fd = -1, .arena = {.fd = -1}};
	int r, start = init(&daemon);

	if (start < 0) {
		deinit(&daemon);
		return start;
	}
	for (unsigned int i = 0; i < config->guests_count && start == 0; i++)
		start = start_guest(&daemon, i);
	if (start == 0)
		start = start_control(&daemon);
	if (start < 0)
		stop(&daemon, false);
	else
		log_ready(config);
	if (start == 0)
		warn_of_first_port(&config->guests[0]);
	clock_start_is_over();
	r = loop_run(daemon.loop);
	if (r < 0) {
		log_error("io_uring has failed: %s", strerror(-r));
		remove_files();
		return r;
	}
	deinit(&daemon);
	return start == 0 && daemon.failed ? -EIO : start;
}
