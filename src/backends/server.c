/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/server.h"

#include "base/fd.h"
#include "base/limit.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/unix_socket.h"

#include <errno.h>

static struct server *server_of(struct backend *backend)
{
	return container_of(backend, struct server, backend);
}

static void refuse_for_want_of_fds(struct server *server, int fd)
{
	char why[LIMIT_TEXT_MAX];

	log_limited(&server->limit, LOG_LEVEL_WARNING,
	            "%s: a client was turned away, what guests need is kept for them: %s",
	            server->backend.port->name, limit_explain(-EMFILE, why));
	client_set_turn_away(&server->clients, fd, "too few open files for more clients");
}

static void on_accepted(struct acceptor *acceptor, int fd)
{
	struct server *server = container_of(acceptor, struct server, acceptor);
	const char *guest = server->backend.port->name;
	unsigned int most = server->clients.access == ACCESS_SINGLE ? 1 : SERVER_CLIENTS_MAX;
	char name[SERVER_NAME_BYTES];

	/* One that sends no more may long be gone: TCP can't tell. Its place is taken over. */
	if (client_set_staying(&server->clients) >= most &&
	    !client_set_close_gone(&server->clients)) {
		log_limited(&server->limit, LOG_LEVEL_WARNING,
		            "%s: a client was turned away, there are %u already", guest, most);
		client_set_turn_away(&server->clients, fd, "too many clients");
		return;
	}
	if (!client_set_can_afford_one(&server->clients)) {
		refuse_for_want_of_fds(server, fd);
		return;
	}
	server->ops->greet(fd, name);
	if (client_new(&server->clients, fd, name) < 0)
		log_warning("%s: no memory for client %s", guest, name);
}

static void server_wake(struct backend *backend)
{
	client_set_receive(&server_of(backend)->clients);
}

static void stop_if_done(struct server *server)
{
	struct backend_device *device = server->backend.port->device;

	if (!server->drained || server->clients.count > 0)
		return;
	acceptor_deinit(&server->acceptor);
	strays_free(server->clients.strays);
	server->ops->free(server);
	device->stopped(device);
}

static void on_drained(struct loop_scope *scope)
{
	struct server *server = container_of(scope, struct server, scope);

	server->drained = true;
	stop_if_done(server);
}

static void on_emptied(struct client_set *clients)
{
	stop_if_done(container_of(clients, struct server, clients));
}

/* A port for one client: who comes meanwhile isn't turned away for the sake of a port check. */
static void on_settled(struct client_set *clients)
{
	struct server *server = container_of(clients, struct server, clients);

	if (clients->access != ACCESS_SINGLE)
		return;
	if (client_set_calls(clients))
		acceptor_hold(&server->acceptor);
	else
		acceptor_go_on(&server->acceptor);
}

static void server_stop(struct backend *backend)
{
	loop_scope_close(&server_of(backend)->scope);
	client_set_close(&server_of(backend)->clients);
}

static size_t server_drop_input(struct backend *backend)
{
	return client_set_drop_input(&server_of(backend)->clients);
}

static void server_close(struct backend *backend)
{
	acceptor_close(&server_of(backend)->acceptor);
}

static const struct backend_ops server_backend_ops = {
    .close = server_close,
    .wake = server_wake,
    .drop_input = server_drop_input,
    .stop = server_stop,
};

static void on_strays_closed(void *owner)
{
	client_set_receive(&((struct server *)owner)->clients);
}

static void init(struct server *server, const struct server_ops *ops, struct loop *loop,
                 struct backend_port *port, const struct client_protocol *protocol,
                 enum access access, int fd, struct strays *strays)
{
	server->backend = (struct backend){.ops = &server_backend_ops, .port = port};
	server->ops = ops;
	server->drained = false;
	loop_scope_init(&server->scope, loop, on_drained);
	client_set_init(&server->clients, port, protocol, access, &server->scope, on_emptied);
	server->clients.settled = on_settled;
	server->clients.strays = strays;
	acceptor_start(&server->acceptor, &server->scope, strays_discarder(strays), fd, port->name,
	               on_accepted);
}

void server_init(struct server *server, const struct server_ops *ops, struct loop *loop,
                 struct backend_port *port, const struct client_protocol *protocol,
                 enum access access, int fd)
{
	init(server, ops, loop, port, protocol, access, fd, NULL);
}

int server_init_unix(struct server *server, const struct server_ops *ops, struct loop *loop,
                     struct backend_port *port, enum access access, int fd)
{
	struct strays *strays = NULL;

	if (!unix_socket_refuse_fds(fd)) {
		strays = strays_new(loop, on_strays_closed, server);
		if (!strays) {
			fd_close(&fd);
			return -ENOMEM;
		}
	}
	init(server, ops, loop, port, &(struct client_protocol){0}, access, fd, strays);
	return 0;
}
