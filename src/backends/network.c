/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/network.h"

#include "backends/client.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/macros.h"
#include "loop/acceptor.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 64

/* A connection without traffic is asked for after 30 s, and given up after 3 more askings. */
#define KEEPALIVE_IDLE_S     30
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_COUNT      3

struct network {
	struct backend backend;
	struct loop_scope scope;
	struct acceptor acceptor;
	struct output output;
	struct client_set clients;
	bool drained;
};

static struct network *network_of(struct backend *backend)
{
	return container_of(backend, struct network, backend);
}

static void name_peer(int fd, char *name, size_t size)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char host[INET6_ADDRSTRLEN], service[8];

	if (getpeername(fd, (struct sockaddr *)&addr, &len) < 0 ||
	    getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), service, sizeof(service),
	                NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(name, size, "unknown");
	else
		snprintf(name, size, "%s:%s", host, service);
}

static void set_option(int fd, int level, int option, int value)
{
	/* Each is a refinement; a connection without it still works. */
	setsockopt(fd, level, option, &value, sizeof(value));
}

static void set_up_client(int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
	           (KEEPALIVE_IDLE_S + KEEPALIVE_COUNT * KEEPALIVE_INTERVAL_S) * 1000);
}

static void turn_away(int fd)
{
	static const char line[] = "vhost-user-console: too many clients\r\n";

	send(fd, line, sizeof(line) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	fd_close(&fd);
}

static void on_accepted(struct acceptor *acceptor, int fd)
{
	struct network *network = container_of(acceptor, struct network, acceptor);
	const char *guest = network->backend.port->name;
	char name[64];

	/* One that sends no more may long be gone: TCP can't tell. Its place is taken over. */
	if (network->clients.count >= NETWORK_CLIENTS_MAX &&
	    !client_set_close_half_closed(&network->clients)) {
		log_warning("%s: a client was turned away, there are %u already", guest,
		            network->clients.count);
		turn_away(fd);
		return;
	}
	set_up_client(fd);
	name_peer(fd, name, sizeof(name));
	if (client_new(&network->clients, fd, name) < 0)
		log_warning("%s: no memory for client %s", guest, name);
}

/* The interface. */

static size_t network_room(struct backend *backend)
{
	return output_room(&network_of(backend)->output);
}

static void network_wake(struct backend *backend)
{
	struct network *network = network_of(backend);

	output_wake(&network->output);
	client_set_receive(&network->clients);
}

static void stop_if_done(struct network *network)
{
	struct backend_device *device = network->backend.port->device;

	if (!network->drained || network->clients.count > 0)
		return;
	acceptor_deinit(&network->acceptor);
	free(network);
	device->stopped(device);
}

static void on_drained(struct loop_scope *scope)
{
	struct network *network = container_of(scope, struct network, scope);

	network->drained = true;
	stop_if_done(network);
}

static void on_emptied(struct client_set *clients)
{
	stop_if_done(container_of(clients, struct network, clients));
}

static void network_stop(struct backend *backend)
{
	loop_scope_close(&network_of(backend)->scope);
	client_set_close(&network_of(backend)->clients);
}

static void on_finished(struct output *output)
{
	network_stop(&container_of(output, struct network, output)->backend);
}

static void network_finish(struct backend *backend)
{
	output_finish(&network_of(backend)->output, on_finished);
}

static const struct backend_ops network_ops = {
    .room = network_room,
    .wake = network_wake,
    .finish = network_finish,
    .stop = network_stop,
};

/* Begins to listen. Writes the socket. Returns 0 or -errno. */
static int listen_on(const char *address, uint16_t tcp_port, int *ret_fd)
{
	struct addrinfo hints = {
	    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
	    .ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *info;
	char service[8];
	int fd, r = 0;

	snprintf(service, sizeof(service), "%u", tcp_port);
	if (getaddrinfo(address, service, &hints, &info) != 0)
		return -EADDRNOTAVAIL;
	fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (fd < 0 || bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
		r = -errno;
	freeaddrinfo(info);
	if (r < 0)
		fd_close(&fd);
	else
		*ret_fd = fd;
	return r;
}

int network_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
                const char *address, uint16_t tcp_port)
{
	struct network *network = calloc(1, sizeof(*network));
	int fd, r;

	if (!network)
		return -ENOMEM;
	r = listen_on(address, tcp_port, &fd);
	if (r < 0) {
		log_error("%s: can't listen on %s port %u: %s", port->name, address, tcp_port,
		          strerror(-r));
		free(network);
		return r;
	}
	network->backend = (struct backend){.ops = &network_ops, .port = port};
	loop_scope_init(&network->scope, loop, on_drained);
	output_init(&network->output, port, &network->scope);
	client_set_init(&network->clients, port, &network->output, loop, on_emptied);
	acceptor_start(&network->acceptor, &network->scope, fd, port->name, on_accepted);
	*ret_backend = &network->backend;
	return 0;
}
