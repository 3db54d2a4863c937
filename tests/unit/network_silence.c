/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds that a client that reads nothing may pause as long as it likes, and that one whose host has
 * gone silent is noticed. The host goes silent for one socket by a filter that drops all it gets.
 */
#include "unit.h"

#include "base/macros.h"
#include "backends/client_impl.h"
#include "network_fixture.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE (8u << 20)

/* Sooner than in life. */
#define LOOK_MS   100
#define SILENT_MS 1000

static struct backend_fixture f;

static void set_up(void)
{
	struct server *server;

	network_fixture_init(&f, SIZE, 1024);
	server = container_of(f.backend, struct server, backend);
	server->clients.look_ms = LOOK_MS;
	server->clients.silent_ms = SILENT_MS;
}

static void tear_down(void)
{
	backend_fixture_deinit(&f);
}

static void go_silent(int client)
{
	struct sock_filter drop = {.code = BPF_RET | BPF_K};
	struct sock_fprog program = {.len = 1, .filter = &drop};

	assert_int_equal(
	    setsockopt(client, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
}

/* A client that waits for room: both sockets' buffers are full. */
static int join_and_fill(void)
{
	int client = network_connect(4096);

	turn_until(f.loop, network_daemon_end(client) >= 0);
	assert_int_equal(network_guest_writes(&f, 0, SIZE), SIZE);
	turn_some(f.loop);
	return client;
}

/* The system asks at growing intervals: lets them grow beyond the time that makes one dead. */
static void let_be_asked(int client)
{
	int end = network_daemon_end(client);
	struct tcp_info info = {0};

	turn_until(f.loop,
	           (getsockopt(end, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof(info)}),
	            info.tcpi_last_ack_recv > SILENT_MS + 5 * LOOK_MS));
}

TEST(a_client_that_pauses_stays_and_loses_nothing)
{
	int client;

	set_up();
	client = join_and_fill();
	let_be_asked(client);
	turn_some(f.loop);
	assert_true(network_daemon_end(client) >= 0);
	network_expect(&f, client, 0, SIZE);
	close(client);
	tear_down();
}

TEST(a_client_that_has_gone_silent_while_it_paused_is_closed)
{
	int client;

	set_up();
	client = join_and_fill();
	go_silent(client);
	turn_until(f.loop, network_daemon_end(client) < 0);
	close(client);
	tear_down();
}

TEST(a_client_that_has_gone_silent_while_it_read_is_closed)
{
	int client;

	set_up();
	client = network_connect(0);
	turn_until(f.loop, network_daemon_end(client) >= 0);
	go_silent(client);
	assert_int_equal(network_guest_writes(&f, 0, SIZE), SIZE);
	turn_until(f.loop, network_daemon_end(client) < 0);
	close(client);
	tear_down();
}

static void let_pass(uint64_t ms)
{
	uint64_t until = support_now_ms() + ms;

	while (support_now_ms() < until)
		turning_step(f.loop, UINT64_MAX, "");
}

/* io_uring's polls end at once for a client that is half closed. */
TEST(a_half_closed_client_that_does_not_read_costs_little_and_gets_all)
{
	uint64_t began, passed, completions;
	int client;

	set_up();
	client = join_and_fill();
	shutdown(client, SHUT_WR);
	/* It is tried at growing intervals. */
	let_pass(300);
	began = support_now_ms();
	completions = loop_completions(f.loop);
	let_pass(500);
	turn_until(f.loop, loop_completions(f.loop) >= completions + 3);
	passed = support_now_ms() - began;
	/* Each time a timer, a send and a poll; and the looks at it. */
	assert_in_range(loop_completions(f.loop) - completions, 3,
	                3 * (2 + passed / 100) + 2 + passed / LOOK_MS);
	network_expect(&f, client, 0, SIZE);
	close(client);
	tear_down();
}

/* It is no worse off than others: as long as it takes something, it is soon tried again. */
TEST(a_half_closed_client_that_reads_is_tried_soon)
{
	struct server *server;
	struct client *client;
	static char bytes[65536]; /* so much that a buffer of the kernel's is free again */
	uint64_t pos = 0;
	int pair[2];

	set_up();
	server = container_of(f.backend, struct server, backend);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(client_new(&server->clients, pair[0], "unix"), 0);
	client = container_of(server->clients.clients.next, struct client, link);
	shutdown(pair[1], SHUT_WR);
	while (client->room.pause_ms < 64) {
		pos += network_guest_writes(&f, pos, SIZE);
		turning_step(f.loop, UINT64_MAX, "");
	}
	for (unsigned int i = 0; i < 5; i++) {
		uint64_t before = client->reader.pos;

		assert_int_equal(recv(pair[1], bytes, sizeof(bytes), MSG_WAITALL), sizeof(bytes));
		/* Of more than what it may leave out to go on where a terminal can. */
		turn_until(f.loop, client->reader.pos > before + REPLAY_LINE_MAX);
		assert_in_range(client->room.pause_ms, 1, 2);
	}
	close(pair[1]);
	tear_down();
}

TEST(nobody_is_looked_at_while_nobody_waits)
{
	uint64_t before;
	int client;

	set_up();
	client = join_and_fill();
	network_expect(&f, client, 0, SIZE);
	/* The look that is on its way is the last one. */
	let_pass(2 * LOOK_MS);
	before = loop_completions(f.loop);
	let_pass(5 * LOOK_MS);
	assert_int_equal(loop_completions(f.loop), before);
	close(client);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_client_that_pauses_stays_and_loses_nothing),
	    UNIT(a_client_that_has_gone_silent_while_it_paused_is_closed),
	    UNIT(a_client_that_has_gone_silent_while_it_read_is_closed),
	    UNIT(a_half_closed_client_that_does_not_read_costs_little_and_gets_all),
	    UNIT(a_half_closed_client_that_reads_is_tried_soon),
	    UNIT(nobody_is_looked_at_while_nobody_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
