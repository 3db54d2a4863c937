/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest's clients in the soak, and what both processes need. See peers.h.
 */
#include "peers.h"

#include "records.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

char doing[96];

/* xorshift64*, Vigna 2016. */
uint32_t dice(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (uint32_t)(*seed * 2685821657736338717u >> 32);
}

uint64_t wide_dice(uint64_t *seed)
{
	uint64_t high = dice(seed);

	return high << 32 | dice(seed);
}

static int connect_to(const struct sockaddr *address, socklen_t len)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, address, len) < 0)
		support_die("a client can't connect: %s", strerror(errno));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

int connect_client(const struct place *place, unsigned int guest, unsigned int port)
{
	struct sockaddr_un path = {.sun_family = AF_UNIX};
	struct sockaddr_in address = {
	    .sin_family = AF_INET,
	    .sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	uint16_t first = port == PORT_RAW ? place->raw_port : place->telnet_port;

	if (port == PORT_DATA) {
		snprintf(path.sun_path, sizeof(path.sun_path), "%.80s/dat%u", place->folder, guest);
		return connect_to((struct sockaddr *)&path, sizeof(path));
	}
	address.sin_port = htons((uint16_t)(first + guest));
	return connect_to((struct sockaddr *)&address, sizeof(address));
}

void close_client(int *fd, bool reset)
{
	struct linger linger = {.l_onoff = reset, .l_linger = 0};

	if (*fd < 0)
		return;
	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(*fd);
	*fd = -1;
}

/* Reads for a while and checks it. False if the connection has ended: it was one too many. */
static bool read_for(int fd, struct record_reader *reader, uint64_t ms)
{
	uint64_t end = support_now_ms() + ms;
	char bytes[4096];

	while (support_now_ms() < end) {
		struct pollfd pollfd = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&pollfd, 1, 10) == 0)
			continue;
		n = read(fd, bytes, sizeof(bytes));
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return false;
		record_read(reader, bytes, (size_t)(n > 0 ? n : 0));
	}
	return true;
}

static void flood(int fd, uint64_t *seed)
{
	char bytes[4096];

	memset(bytes, 'x', sizeof(bytes));
	for (unsigned int i = dice(seed) % 64; i > 0; i--) {
		if (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) < 0)
			return;
	}
}

static void one_client(const struct place *place, unsigned int guest, uint64_t *seed)
{
	unsigned int port = dice(seed) % 2 ? PORT_RAW : PORT_TELNET;
	int fd = connect_client(place, guest, port);
	struct record_reader reader;
	bool lives = true;

	record_reader_init(&reader, guest, true, port == PORT_TELNET);
	for (unsigned int i = dice(seed) % 6; i > 0 && lives; i--) {
		switch (dice(seed) % 4) {
		case 0:
			flood(fd, seed);
			break;
		case 1:
			shutdown(fd, SHUT_WR);
			break;
		case 2: /* it doesn't read */
			poll(NULL, 0, (int)(dice(seed) % 200));
			break;
		default:
			lives = read_for(fd, &reader, dice(seed) % 300);
		}
	}
	close_client(&fd, dice(seed) % 2);
}

void clients_session(const struct place *place, unsigned int guest, uint64_t seed, uint64_t end_ms)
{
	while (support_now_ms() < end_ms)
		one_client(place, guest, &seed);
}
