/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/uds.h"

#include "backends/server.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/unix_socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

struct uds {
	struct server server;
	struct unix_socket_file file;
};

static void greet(int fd, char name[SERVER_NAME_BYTES])
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		snprintf(name, SERVER_NAME_BYTES, "unknown");
	else
		snprintf(name, SERVER_NAME_BYTES, "uid %u pid %d", peer.uid, peer.pid);
}

static void free_uds(struct server *server)
{
	struct uds *uds = container_of(server, struct uds, server);

	unix_socket_remove(&uds->file);
	free(uds);
}

static const struct server_ops uds_ops = {
    .greet = greet,
    .free = free_uds,
};

int uds_new(struct backend **ret_backend, struct loop *loop, struct backend_port *port,
            const char *path, mode_t mode, gid_t group, enum access access)
{
	struct uds *uds = calloc(1, sizeof(*uds));
	int fd;

	if (!uds)
		return log_no_memory(port->name);
	fd = unix_socket_listen(path, mode, group, &uds->file);
	if (fd < 0) {
		unix_socket_log_failure(path, fd);
		free(uds);
		return fd;
	}
	if (server_init_unix(&uds->server, &uds_ops, loop, port, access, fd) < 0) {
		unix_socket_remove(&uds->file);
		free(uds);
		return log_no_memory(port->name);
	}
	*ret_backend = &uds->server.backend;
	return 0;
}
