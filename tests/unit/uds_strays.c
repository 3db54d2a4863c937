/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds that descriptors which clients of Unix sockets send are never closed in the loop's thread
 * where the kernel can't refuse them: here it says that it can't, as before Linux 6.16.
 */
#include "unit.h"

#include "backend_fixture.h"
#include "backends/uds.h"
#include "lingering.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define INPUT  1024u
#define OUTPUT 65536u

static struct backend_fixture f;
static char path[64];

static void set_up(enum access access)
{
	snprintf(path, sizeof(path), "/tmp/uds_strays.%d", getpid());
	backend_fixture_init(&f, OUTPUT, INPUT);
	if (uds_new(&f.backend, f.loop, &f.output.port, path, 0600, (gid_t)-1, access) < 0)
		support_die("can't listen");
}

static int join(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (connect(fd, (void *)&addr, sizeof(addr)) < 0)
		support_die("can't connect: %s", strerror(errno));
	return fd;
}

/* Sends, with a byte, the last of a connection whose close lingers. Returns what ends that. */
static int send_slow(int client)
{
	int peer, fd = lingering_socket(&peer);

	if (support_send_fd(client, fd) < 0)
		support_die("a descriptor can't be sent");
	close(fd);
	return peer;
}

static void await_closed(int peer)
{
	close(peer);
	turn_until(f.loop, loop_discards(f.loop) == 0);
}

TEST(what_comes_with_input_is_closed_beside_the_loop)
{
	int client, peer;

	set_up(ACCESS_SHARED);
	client = join();
	peer = send_slow(client);
	turn_until(f.loop, byte_ring_used(&f.output.port.input) == 1);
	assert_int_equal(loop_discards(f.loop), 1);
	/* Until then it isn't received from: so what it holds here is bounded. */
	assert_int_equal(send(client, "more", 4, MSG_NOSIGNAL), 4);
	turn_some(f.loop);
	assert_int_equal(byte_ring_used(&f.output.port.input), 1);
	await_closed(peer);
	turn_until(f.loop, byte_ring_used(&f.output.port.input) == 5);
	close(client);
	backend_fixture_deinit(&f);
}

TEST(what_only_watchers_send_is_closed_beside_the_loop)
{
	int clients[2], peer;

	set_up(ACCESS_WATCH);
	clients[0] = join();
	turn_some(f.loop);
	clients[1] = join();
	peer = send_slow(clients[1]);
	turn_until(f.loop, loop_discards(f.loop) == 1);
	await_closed(peer);
	close(clients[0]);
	close(clients[1]);
	backend_fixture_deinit(&f);
}

/* It waits unread in the client's socket, or in the queue of those who aren't accepted. */
TEST(what_waits_unread_is_closed_beside_the_loop)
{
	for (unsigned int accepted = 0; accepted < 2; accepted++) {
		static const char bytes[INPUT];
		int client, peer;

		set_up(ACCESS_SHARED);
		turn_some(f.loop);
		if (!accepted)
			f.backend->ops->close(f.backend);
		turn_some(f.loop);
		client = join();
		if (accepted) {
			assert_int_equal(send(client, bytes, INPUT, MSG_NOSIGNAL), INPUT);
			turn_until(f.loop, byte_ring_free(&f.output.port.input) == 0);
		}
		peer = send_slow(client);
		turn_some(f.loop);
		f.backend->ops->stop(f.backend);
		turn_until(f.loop, !f.backend);
		assert_true(loop_discards(f.loop) > 0);
		await_closed(peer);
		close(client);
		backend_fixture_free(&f);
	}
}

/* One that is turned away may have sent some, too. */
TEST(what_one_sends_that_is_turned_away_is_closed_beside_the_loop)
{
	int clients[2], peer;
	char byte;

	set_up(ACCESS_SINGLE);
	clients[0] = join();
	assert_int_equal(send(clients[0], "x", 1, MSG_NOSIGNAL), 1);
	turn_until(f.loop, byte_ring_used(&f.output.port.input) == 1);
	clients[1] = join();
	peer = send_slow(clients[1]);
	turn_until(f.loop, loop_discards(f.loop) > 0);
	turn_until(f.loop, recv(clients[1], &byte, 1, MSG_DONTWAIT) == 1);
	await_closed(peer);
	close(clients[0]);
	close(clients[1]);
	backend_fixture_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(what_comes_with_input_is_closed_beside_the_loop),
	    UNIT(what_only_watchers_send_is_closed_beside_the_loop),
	    UNIT(what_waits_unread_is_closed_beside_the_loop),
	    UNIT(what_one_sends_that_is_turned_away_is_closed_beside_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
