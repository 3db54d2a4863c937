/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "network_fixture.h"

#include "backends/network.h"
#include "base/macros.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Calls `use` for each open descriptor until it returns true. */
static int find_file(bool (*use)(int fd, void *arg), void *arg)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	int found = -1;

	while (found < 0 && (entry = readdir(folder))) {
		int fd;

		if (entry->d_name[0] == '.')
			continue;
		fd = (int)support_number(entry->d_name, INT_MAX);
		if (fd != dirfd(folder) && use(fd, arg))
			found = fd;
	}
	closedir(folder);
	return found;
}

static bool listens(int fd, void *arg)
{
	struct sockaddr_in addr = {0};
	int value;

	(void)arg;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &(socklen_t){sizeof(value)}) ==
	           0 &&
	       value && getsockname(fd, (void *)&addr, &(socklen_t){sizeof(addr)}) == 0 &&
	       addr.sin_family == AF_INET;
}

static bool counts(int fd, void *arg)
{
	unsigned int *count = arg;

	(void)fd;
	++*count;
	return false;
}

unsigned int network_open_files(void)
{
	unsigned int count = 0;

	find_file(counts, &count);
	return count;
}

static bool is_peer_of(int fd, void *arg)
{
	struct sockaddr_in addr = {0};
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
static bool stops_listening(int fd, void *arg)
{
	if (listens(fd, arg))
		shutdown(fd, SHUT_RD);
	return false;
}

void network_fixture_init(struct backend_fixture *f, size_t output_bytes, size_t input_bytes)
{
	network_fixture_init_as(f, output_bytes, input_bytes, &(struct client_protocol){0},
	                        ACCESS_SHARED);
}

void network_fixture_init_as(struct backend_fixture *f, size_t output_bytes, size_t input_bytes,
                             const struct client_protocol *protocol, enum access access)
{
	find_file(stops_listening, NULL);
	backend_fixture_init(f, output_bytes, input_bytes);
	if (network_new(&f->backend, f->loop, &f->output.port, "127.0.0.1", 0, protocol, access) <
	    0)
		support_die("can't listen on loopback");
}

uint16_t network_port(void)
{
	struct sockaddr_in addr = {0};

	if (getsockname(find_file(listens, NULL), (void *)&addr, &(socklen_t){sizeof(addr)}) < 0)
		support_die("nothing listens");
	return ntohs(addr.sin_port);
}

int network_connect(int receive_bytes)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in addr = {
	    .sin_family = AF_INET,
	    .sin_port = htons(network_port()),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	if (receive_bytes > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
	if (connect(fd, (void *)&addr, sizeof(addr)) < 0)
		support_die("can't connect: %s", strerror(errno));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

size_t network_guest_writes(struct backend_fixture *f, uint64_t pos, size_t len)
{
	size_t piece, done = 0, size = f->output.port.output.size;
	uint8_t *bytes = malloc(size);

	do {
		size_t n = MIN(len - done, size);

		support_fill_pattern(bytes, n, pos + done);
		piece = backend_guest_writes(f, bytes, n);
		done += piece;
	} while (piece == size);
	free(bytes);
	return done;
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

static void expect(struct backend_fixture *f, int client, const uint8_t *expected, size_t len)
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

void network_expect(struct backend_fixture *f, int client, uint64_t pos, size_t len)
{
	uint8_t *expected = malloc(len + 1);

	support_fill_pattern(expected, len, pos);
	expect(f, client, expected, len);
	free(expected);
}

void network_expect_text(struct backend_fixture *f, int client, const char *text)
{
	expect(f, client, (const uint8_t *)text, strlen(text));
}
