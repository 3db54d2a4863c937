/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "network_fixture.h"

#include "base/macros.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct network_fixture *fixture_of(struct backend_device *device)
{
	return container_of(device, struct network_fixture, device);
}

static void on_pump(struct backend_device *device)
{
	fixture_of(device)->pumps++;
}

static void on_resized(struct backend_device *device)
{
	fixture_of(device)->resizes++;
}

static void on_stopped(struct backend_device *device)
{
	fixture_of(device)->backend = NULL;
	fixture_of(device)->stops++;
}

/* Calls `use` for each open descriptor until it returns true. */
static int find_file(bool (*use)(int fd, const void *arg), const void *arg)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	int found = -1;

	while (found < 0 && (entry = readdir(folder))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(folder) && use(fd, arg))
			found = fd;
	}
	closedir(folder);
	return found;
}

static bool listens(int fd, const void *arg)
{
	struct sockaddr_in addr;
	int value;

	(void)arg;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &(socklen_t){sizeof(value)}) ==
	           0 &&
	       value && getsockname(fd, (void *)&addr, &(socklen_t){sizeof(addr)}) == 0 &&
	       addr.sin_family == AF_INET;
}

static bool counts(int fd, const void *arg)
{
	(void)fd;
	++*(unsigned int *)(uintptr_t)arg;
	return false;
}

unsigned int network_open_files(void)
{
	unsigned int count = 0;

	find_file(counts, &count);
	return count;
}

static bool is_peer_of(int fd, const void *arg)
{
	struct sockaddr_in addr;
	const struct sockaddr_in *client = arg;

	return getpeername(fd, (void *)&addr, &(socklen_t){sizeof(addr)}) == 0 &&
	       addr.sin_family == AF_INET && addr.sin_port == client->sin_port;
}

int network_daemon_end(int client)
{
	struct sockaddr_in addr;

	if (getsockname(client, (void *)&addr, &(socklen_t){sizeof(addr)}) < 0)
		return -1;
	return find_file(is_peer_of, &addr);
}

/* A test that failed has left its listener: it must not be taken for the next one's. */
static bool stops_listening(int fd, const void *arg)
{
	if (listens(fd, arg))
		shutdown(fd, SHUT_RD);
	return false;
}

static void on_attended(struct backend_device *device)
{
	container_of(device, struct network_fixture, device)->attended++;
}

void network_fixture_init(struct network_fixture *f, size_t output_bytes, size_t input_bytes)
{
	network_fixture_init_as(f, output_bytes, input_bytes, &(struct client_protocol){0},
	                        ACCESS_SHARED);
}

void network_fixture_init_as(struct network_fixture *f, size_t output_bytes, size_t input_bytes,
                             const struct client_protocol *protocol, enum access access)
{
	struct sockaddr_in addr;

	find_file(stops_listening, NULL);
	memset(f, 0, sizeof(*f));
	f->loop = turning_loop();
	f->bytes[0] = malloc(output_bytes);
	f->bytes[1] = malloc(input_bytes);
	byte_ring_init(&f->output.port.output, &f->states[0], f->bytes[0], output_bytes);
	byte_ring_init(&f->output.port.input, &f->states[1], f->bytes[1], input_bytes);
	f->device = (struct backend_device){
	    .pump = on_pump,
	    .stopped = on_stopped,
	    .resized = on_resized,
	    .attended = on_attended,
	};
	f->output.port.device = &f->device;
	f->output.port.name = "test";
	watched_scope_init(&f->scope, f->loop);
	output_init(&f->output, &f->scope.scope);
	if (network_new(&f->backend, f->loop, &f->output.port, "127.0.0.1", 0, protocol, access) <
	    0)
		support_die("can't listen on loopback");
	getsockname(find_file(listens, NULL), (void *)&addr, &(socklen_t){sizeof(addr)});
	f->tcp_port = ntohs(addr.sin_port);
}

void network_fixture_deinit(struct network_fixture *f)
{
	if (f->backend)
		f->backend->ops->stop(f->backend);
	turn_until(f->loop, !f->backend);
	turn_some(f->loop);
	if (f->stops != 1)
		support_die("stopped %u times", f->stops);
	watched_scope_end(&f->scope);
	loop_free(f->loop);
	free(f->bytes[0]);
	free(f->bytes[1]);
}

int network_connect(struct network_fixture *f, int receive_bytes)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in addr = {
	    .sin_family = AF_INET,
	    .sin_port = htons(f->tcp_port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	if (receive_bytes > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
	if (connect(fd, (void *)&addr, sizeof(addr)) < 0)
		support_die("can't connect: %s", strerror(errno));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

size_t network_guest_writes(struct network_fixture *f, uint64_t pos, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t room = f->output.port.room(&f->output.port, 1);
		size_t n = MIN(room, MIN(len - done, f->output.port.output.size));
		uint8_t *bytes = malloc(n + 1);

		if (room > f->output.port.output.size)
			support_die("room for %zu bytes", room);
		support_fill_pattern(bytes, n, pos + done);
		byte_ring_overwrite(&f->output.port.output, bytes, n);
		free(bytes);
		if (n == 0)
			break;
		done += n;
	}
	output_wake(&f->output);
	return done;
}

static void on_finished(struct output *output)
{
	struct network_fixture *f = container_of(output, struct network_fixture, output);

	f->backend->ops->stop(f->backend);
}

void network_finish(struct network_fixture *f)
{
	f->backend->ops->close(f->backend);
	output_finish(&f->output, on_finished);
}

size_t network_read(int client, void *bytes, size_t size)
{
	ssize_t n = recv(client, bytes, size, MSG_DONTWAIT);

	return n > 0 ? (size_t)n : 0;
}

bool network_is_closed(int client)
{
	char bytes[65536];
	ssize_t n;

	while ((n = recv(client, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		;
	return n == 0 || errno != EAGAIN;
}

static void expect(struct network_fixture *f, int client, const uint8_t *expected, size_t len)
{
	uint8_t *got = malloc(len + 1);
	size_t done = 0;

	turn_until(f->loop, (done += network_read(client, got + done, len - done)) == len);
	for (size_t i = 0; i < len; i++) {
		if (got[i] != expected[i])
			support_die("byte %zu of %zu is %#x, not %#x", i, len, got[i], expected[i]);
	}
	free(got);
}

void network_expect(struct network_fixture *f, int client, uint64_t pos, size_t len)
{
	uint8_t *expected = malloc(len + 1);

	support_fill_pattern(expected, len, pos);
	expect(f, client, expected, len);
	free(expected);
}

void network_expect_text(struct network_fixture *f, int client, const char *text)
{
	expect(f, client, (const uint8_t *)text, strlen(text));
}
