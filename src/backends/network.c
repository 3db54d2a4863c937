/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/network.h"

#include "backends/server.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 64

/*
 * A connection without traffic is asked for after 30 s, and given up after 3 more askings. With
 * output on its way, it is the system that sends again, or asks whether the window has opened, and
 * gives up after 15 times without an answer (net.ipv4.tcp_retries2). From Linux 6.15 on the time
 * between them can be bounded: 63 s then until it gives up on output that isn't acknowledged, and
 * 80 s on a window that has closed, where it was 15 minutes and more. TCP_USER_TIMEOUT is no such
 * bound: it ends a client that lives, answers and only doesn't read. For those that wait for room
 * on older kernels there is peer_is_dead().
 */
#define KEEPALIVE_IDLE_S       30
#define KEEPALIVE_INTERVAL_S   10
#define KEEPALIVE_COUNT        3
#define ASKING_INTERVAL_MAX_MS 5000

/* Debian 12's headers don't have it. */
#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44
#endif

static void name_peer(int fd, char name[SERVER_NAME_BYTES])
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char host[INET6_ADDRSTRLEN], service[8];

	if (getpeername(fd, (struct sockaddr *)&addr, &len) < 0 ||
	    getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), service, sizeof(service),
	                NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(name, SERVER_NAME_BYTES, "unknown");
	else
		snprintf(name, SERVER_NAME_BYTES, "%s:%s", host, service);
}

static void set_option(int fd, int level, int option, int value)
{
	/* Each is a refinement; a connection without it still works. */
	setsockopt(fd, level, option, &value, sizeof(value));
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
}

/*
 * Where both ends are this machine there is no path to be careful with, and a congestion control
 * that paces (bbr) halves what a sender gets through that stops and goes. reno is always there and
 * allowed to everybody.
 */
static void spare_local_from_pacing(int fd)
{
	static const char reno[] = "reno";
	struct sockaddr_storage here = {0}, there = {0};
	socklen_t here_len = sizeof(here), there_len = sizeof(there);

	if (getsockname(fd, (struct sockaddr *)&here, &here_len) == 0 &&
	    getpeername(fd, (struct sockaddr *)&there, &there_len) == 0 &&
	    same_address(&here, &there))
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, reno, sizeof(reno) - 1);
}

static void greet(int fd, char name[SERVER_NAME_BYTES])
{
	name_peer(fd, name);
	spare_local_from_pacing(fd);
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
	set_option(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, ASKING_INTERVAL_MAX_MS);
	set_option(fd, SOL_SOCKET, SO_SNDBUF, NETWORK_SEND_BUFFER);
}

static void free_network(struct server *server)
{
	free(server);
}

static const struct server_ops network_ops = {
    .greet = greet,
    .free = free_network,
};

static int bind_and_listen(int fd, const struct addrinfo *info)
{
	uint64_t since = clock_now_ms();
	int r;

	do
		r = bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0
		        ? -errno
		        : 0;
	while (r == -EADDRINUSE && clock_wait_for_release(since));
	return r;
}

/* Begins to listen. Writes the socket. Returns 0 or -errno. */
static int listen_on(const char *address, uint16_t tcp_port, int *ret_fd)
{
	struct addrinfo hints = {
	    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
	    .ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *info;
	char service[8];
	int fd, r;

	snprintf(service, sizeof(service), "%u", tcp_port);
	if (getaddrinfo(address, service, &hints, &info) != 0)
		return -EADDRNOTAVAIL;
	fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	r = fd < 0 ? -errno : bind_and_listen(fd, info);
	freeaddrinfo(info);
	if (r < 0)
		fd_close(&fd);
	else
		*ret_fd = fd;
	return r;
}

int network_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
                const char *address, uint16_t tcp_port, const struct client_protocol *protocol,
                enum access access)
{
	struct server *server = calloc(1, sizeof(*server));
	int fd, r;

	if (!server)
		return log_no_memory(port->name);
	r = listen_on(address, tcp_port, &fd);
	if (r < 0) {
		log_error("%s: can't listen on %s port %u: %s", port->name, address, tcp_port,
		          strerror(-r));
		free(server);
		return r;
	}
	server_init(server, &network_ops, loop, port, protocol, access, fd);
	/* What is said at a data port is between its client and the guest, and may be HTTP. */
	server->clients.guards = !port->data;
	server->clients.closes_silently = true;
	*ret_backend = &server->backend;
	return 0;
}
