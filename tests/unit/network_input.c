/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what TCP clients send and how they go: every byte reaches the input ring once, in order,
 * each client in its turn, TCP itself holding them back; hang-ups in every state leave nothing
 * behind.
 */
#include "unit.h"

#include "base/macros.h"
#include "network_fixture.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT 1024u

static struct backend_fixture f;

static void set_up(void)
{
	network_fixture_init(&f, 65536, INPUT);
}

static void tear_down(void)
{
	backend_fixture_deinit(&f);
}

/* The guest takes up to `len` bytes of input. */
static size_t take(void *bytes, size_t len)
{
	size_t n = byte_ring_get(&f.output.port.input, bytes, len);

	if (n > 0)
		f.backend->ops->wake(f.backend);
	return n;
}

static void send_text(int client, const char *text)
{
	assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

TEST(input_arrives_and_the_device_is_told)
{
	char bytes[16];
	int client;

	set_up();
	client = network_connect(0);
	send_text(client, "hello");
	turn_until(f.loop, byte_ring_used(&f.output.port.input) == 5);
	assert_true(f.pumps > 0);
	assert_int_equal(take(bytes, sizeof(bytes)), 5);
	assert_memory_equal(bytes, "hello", 5);
	for (unsigned int i = 0; i < 100; i++) {
		send_text(client, "x");
		turn_until(f.loop, take(bytes, sizeof(bytes)) == 1);
	}
	close(client);
	tear_down();
}

/* Megabytes pasted through a ring of a kilobyte. */
TEST(a_large_paste_arrives_byte_for_byte)
{
	enum { TOTAL = 4 << 20 };
	uint8_t *paste = malloc(TOTAL), bytes[700];
	size_t sent = 0, got = 0;
	int client;

	set_up();
	support_fill_pattern(paste, TOTAL, 0);
	client = network_connect(0);
	while (got < TOTAL) {
		size_t len = MIN((size_t)TOTAL - sent, 100000);
		ssize_t n = len > 0 ? send(client, paste + sent, len, MSG_NOSIGNAL) : 0;

		sent += n > 0 ? (size_t)n : 0;
		turning_step(f.loop, UINT64_MAX, "");
		len = take(bytes, sizeof(bytes));
		assert_memory_equal(bytes, paste + got, len);
		got += len;
	}
	turn_some(f.loop);
	assert_int_equal(byte_ring_used(&f.output.port.input), 0);
	free(paste);
	close(client);
	tear_down();
}

TEST(a_full_ring_holds_the_clients_back_without_wake_ups)
{
	static uint8_t bytes[100000];
	uint64_t before;
	int clients[3];

	set_up();
	for (unsigned int i = 0; i < ROWS(clients); i++) {
		clients[i] = network_connect(0);
		assert_true(send(clients[i], bytes, sizeof(bytes), MSG_NOSIGNAL) > (int)INPUT);
	}
	turn_until(f.loop, byte_ring_free(&f.output.port.input) == 0);
	turn_some(f.loop);
	before = loop_completions(f.loop);
	turn_some(f.loop);
	assert_int_equal(loop_completions(f.loop), before);
	/* Output still reaches them. */
	network_guest_writes(&f, 0, 100);
	for (unsigned int i = 0; i < ROWS(clients); i++) {
		network_expect(&f, clients[i], 0, 100);
		close(clients[i]);
	}
	tear_down();
}

/* "nc < file": all is sent, then the sending side closed, long before the guest takes it. */
TEST(a_client_that_sends_no_more_before_its_input_is_taken_costs_no_wake_ups)
{
	static uint8_t bytes[3 * INPUT];
	uint64_t before;
	size_t got = 0;
	int client;

	set_up();
	client = network_connect(0);
	assert_int_equal(send(client, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	turn_until(f.loop, byte_ring_free(&f.output.port.input) == 0);
	turn_some(f.loop);
	before = loop_completions(f.loop);
	turn_some(f.loop);
	before = loop_completions(f.loop) - before;
	turn_until(f.loop, (got += take(bytes, 100)) == sizeof(bytes));
	close(client);
	tear_down();
	/* One or two may be on their way; one a turn is a busy loop. */
	assert_in_range(before, 0, 2);
}

/* Each client's bytes carry its number above and a count below. */
TEST(clients_take_turns_and_each_ones_bytes_stay_in_order)
{
	enum { CLIENTS = 8, EACH = 20000 };
	static uint8_t bytes[CLIENTS][EACH];
	unsigned int got[CLIENTS] = {0}, total = 0;
	int clients[CLIENTS];

	set_up();
	for (unsigned int i = 0; i < CLIENTS; i++) {
		clients[i] = network_connect(0);
		for (unsigned int k = 0; k < EACH; k++)
			bytes[i][k] = (uint8_t)(i << 5 | k % 32);
		assert_int_equal(send(clients[i], bytes[i], EACH, MSG_NOSIGNAL), EACH);
	}
	while (total < CLIENTS * EACH) {
		uint8_t some[INPUT];
		size_t n;

		turning_step(f.loop, UINT64_MAX, "");
		n = take(some, sizeof(some));
		for (size_t i = 0; i < n; i++) {
			unsigned int who = some[i] >> 5;

			assert_int_equal(some[i], bytes[who][got[who]]);
			got[who]++;
		}
		total += (unsigned int)n;
		/* Nobody is through before everybody else has had a turn. */
		for (unsigned int i = 0; total > 2 * CLIENTS * INPUT && i < CLIENTS; i++)
			assert_true(got[i] > 0);
	}
	for (unsigned int i = 0; i < CLIENTS; i++)
		close(clients[i]);
	tear_down();
}

TEST(half_closed_clients_input_is_complete)
{
	char bytes[16];
	int client;

	set_up();
	client = network_connect(0);
	send_text(client, "last words");
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	turn_until(f.loop, byte_ring_used(&f.output.port.input) == 10);
	turn_some(f.loop);
	assert_false(network_is_closed(client));
	assert_int_equal(take(bytes, sizeof(bytes)), 10);
	close(client);
	tear_down();
}

/* Hang-ups. Each brings a client into a state; then it goes, politely or by a reset. */

static void just_connected(int client)
{
	(void)client;
}

static void idle(int client)
{
	turn_until(f.loop, network_daemon_end(client) >= 0);
	turn_some(f.loop);
}

static void with_input_to_be_read(int client)
{
	idle(client);
	send_text(client, "unread");
}

static void with_the_input_ring_full(int client)
{
	static uint8_t bytes[INPUT + 100];

	idle(client);
	assert_int_equal(send(client, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
	turn_until(f.loop, byte_ring_free(&f.output.port.input) == 0);
	turn_some(f.loop);
}

static void with_output_it_has_not_read(int client)
{
	idle(client);
	network_guest_writes(&f, 0, 100);
	turn_some(f.loop);
}

static void with_a_full_socket(int client)
{
	idle(client);
	for (unsigned int i = 0; i < 200; i++) {
		network_guest_writes(&f, 0, 65536);
		turn_some(f.loop);
	}
}

static void with_a_send_prepared(int client)
{
	idle(client);
	network_guest_writes(&f, 0, 65536);
	assert_int_equal(loop_turn(f.loop, false), 0);
}

static void half_closed(int client)
{
	idle(client);
	shutdown(client, SHUT_WR);
	turn_some(f.loop);
}

static void reset(int client)
{
	struct linger now = {.l_onoff = 1};

	setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static const struct {
	const char *name;
	void (*enter)(int client);
	size_t input;       /* bytes of it that are to arrive, if it goes politely */
	bool told_by_reset; /* a polite end doesn't show without traffic */
} states[] = {
    {"just connected", just_connected},
    {"idle", idle},
    {"input to be read", with_input_to_be_read, 6},
    {"input ring full", with_the_input_ring_full, INPUT + 100},
    {"output unread", with_output_it_has_not_read},
    {"socket full", with_a_full_socket},
    {"send prepared", with_a_send_prepared},
    {"half closed", half_closed, .told_by_reset = true},
};

static size_t drain_input(void)
{
	uint8_t bytes[INPUT];

	return take(bytes, sizeof(bytes));
}

/*
 * The client is gone from the daemon when its descriptor is. As long as it isn't, the guest writes
 * now and then: TCP can't tell a half-closed client from one that has gone.
 */
static void assert_goes(const char *name, unsigned int files, size_t input)
{
	uint64_t give_up = support_now_ms() + support_deadline_ms();
	size_t got = 0;

	while (network_open_files() > files || got < input) {
		if (support_now_ms() > give_up)
			fail_msg("%s: %u descriptors too many, %zu bytes of input", name,
			         network_open_files() - files, got);
		got += drain_input();
		network_guest_writes(&f, 0, 1);
		turning_step(f.loop, UINT64_MAX, "");
	}
}

TEST(a_client_may_hang_up_in_every_state)
{
	for (size_t i = 0; i < 2 * ROWS(states); i++) {
		bool by_reset = i % 2;
		size_t row = i / 2;
		unsigned int files;
		int client;

		set_up();
		turn_some(f.loop);
		files = network_open_files();
		client = network_connect(4096);
		states[row].enter(client);
		if (by_reset)
			reset(client);
		close(client);
		assert_goes(states[row].name, files, by_reset ? 0 : states[row].input);
		/* The next one is served. */
		client = network_connect(0);
		turn_until(f.loop, network_daemon_end(client) >= 0);
		send_text(client, "next");
		while (drain_input() > 0)
			;
		turn_until(f.loop, f.pumps > 0);
		close(client);
		tear_down();
	}
}

TEST(one_clients_end_is_not_anothers)
{
	int first, second;
	char bytes[8];

	set_up();
	first = network_connect(0);
	second = network_connect(0);
	idle(second);
	reset(first);
	close(first);
	turn_some(f.loop);
	send_text(second, "here");
	turn_until(f.loop, take(bytes, sizeof(bytes)) == 4);
	network_guest_writes(&f, 0, 1000);
	network_expect(&f, second, 0, 1000);
	close(second);
	tear_down();
}

TEST(the_backend_may_be_stopped_in_every_state_of_its_clients)
{
	for (size_t i = 0; i < ROWS(states); i++) {
		int client;

		set_up();
		client = network_connect(4096);
		states[i].enter(client);
		f.backend->ops->stop(f.backend);
		assert_int_equal(f.stops, 0);
		tear_down();
		/* What was sent before may still be on its way. */
		for (uint64_t until = support_now_ms() + support_deadline_ms();
		     !network_is_closed(client);)
			assert_true(support_now_ms() < until);
		close(client);
	}
}

TEST(the_backend_stops_without_clients_too)
{
	set_up();
	f.backend->ops->stop(f.backend);
	f.backend->ops->stop(f.backend);
	assert_int_equal(f.stops, 0);
	tear_down();
	set_up();
	backend_finish(&f);
	turn_until(f.loop, f.stops);
	tear_down();
}

/* Its end is read like any other's while nobody waits for it: that it has gone is asked, then. */
TEST(a_unix_client_that_went_while_there_was_no_room_is_known_to_have_gone)
{
	struct server *server;
	uint8_t bytes[INPUT + 1] = {0};
	int pair[2];

	set_up();
	server = container_of(f.backend, struct server, backend);
	server->clients.look_ms = 3600 * 1000;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(client_new(&server->clients, pair[0], "unix"), 0);
	assert_int_equal(send(pair[1], bytes, INPUT + 1, 0), INPUT + 1);
	turn_until(f.loop, byte_ring_used(&f.output.port.input) == INPUT);
	turn_some(f.loop);
	close(pair[1]);
	turn_some(f.loop);
	assert_int_equal(server->clients.count, 1);
	assert_int_equal(take(bytes, INPUT), INPUT);
	turn_until(f.loop, server->clients.count == 0);
	assert_int_equal(take(bytes, INPUT), 1);
	tear_down();
}

/* Sends `before`, the urgent byte, which is the last of `urgent`, and `after`. */
static void send_urgent(int client, const char *before, const char *urgent, const char *after)
{
	send_text(client, before);
	assert_int_equal(send(client, urgent, strlen(urgent), MSG_NOSIGNAL | MSG_OOB),
	                 strlen(urgent));
	send_text(client, after);
}

static void expect_input(const char *text)
{
	size_t len = strlen(text), got = 0;
	char bytes[256];

	turn_until(f.loop, (got += take(bytes + got, sizeof(bytes) - got)) >= len);
	turn_some(f.loop);
	got += take(bytes + got, sizeof(bytes) - got);
	assert_int_equal(got, len);
	assert_memory_equal(bytes, text, len);
}

/* Idle is idle, also behind an urgent byte. */
static void expect_no_wake_ups(void)
{
	uint64_t before;

	turn_some(f.loop);
	before = loop_completions(f.loop);
	turn_some(f.loop);
	assert_int_equal(loop_completions(f.loop), before);
}

TEST(urgent_bytes_keep_their_place)
{
	for (unsigned int data = 0; data < 2; data++) {
		int client;

		set_up();
		f.output.port.data = data;
		client = network_connect(0);
		send_urgent(client, "ab", "c", "de");
		expect_input("abcde");
		send_urgent(client, "", "xyz", "");
		expect_no_wake_ups();
		send_urgent(client, "", "1", "");
		send_urgent(client, "", "2", "3");
		expect_input("xyz123");
		expect_no_wake_ups();
		close(client);
		tear_down();
	}
}

/* "Synch" (RFC 854): the data mark is the urgent byte, and what stands before it is still read. */
TEST(telnets_data_mark_is_no_key)
{
	int client;

	network_fixture_init_as(&f, 65536, INPUT, &(struct client_protocol){.telnet = true},
	                        ACCESS_SHARED);
	client = network_connect(0);
	send_urgent(client, "typed\xff\xf4", "\xff\xf2", "on");
	expect_input("typed\003on");
	send_urgent(client, "a\xff", "\xf2", "b");
	send_urgent(client, "c", "\xff",
	            "\xf2"
	            "d");
	send_urgent(client, "e", "f", "g");
	expect_input("abcdefg");
	expect_no_wake_ups();
	close(client);
	tear_down();
}

/*
 * Compression that nobody agreed on: 4160 bytes "A" (zlib, level 9), more than there is room for
 * wherever a client's input goes. It is typed as it came, and costs nobody anything.
 */
TEST(what_a_telnet_client_compresses_stays_compressed)
{
	static const char compressed[] = "\xff\xfa\x56\xff\xf0"
					 "\x78\xda\xed\xc1\x81\x00\x00\x00\x00\xc3\x20\xb6\xf9\x4b"
					 "\xdd\xe0\x04\x55\x01\x00\x00\x00\x7c\x03\x1f\x76\x20\x7d";
	const size_t len = sizeof(compressed) - 1;
	char bytes[sizeof(compressed)];
	int writer, watcher;
	size_t got = 0;

	network_fixture_init_as(&f, 65536, INPUT, &(struct client_protocol){.telnet = true},
	                        ACCESS_WATCH);
	writer = network_connect(0);
	turn_some(f.loop);
	watcher = network_connect(0);
	assert_int_equal(send(watcher, compressed, len, MSG_NOSIGNAL), len);
	turn_some(f.loop);
	assert_int_equal(byte_ring_used(&f.output.port.input), 0);
	assert_int_equal(send(writer, compressed, len, MSG_NOSIGNAL), len);
	turn_until(f.loop, (got += take(bytes + got, sizeof(bytes) - got)) >= len - 5);
	assert_int_equal(got, len - 5);
	assert_memory_equal(bytes, compressed + 5, got);
	send_text(writer, "key");
	expect_input("key");
	assert_false(network_is_closed(watcher));
	close(writer);
	close(watcher);
	tear_down();
}

/* What a watcher sends is thrown away, with its urgent bytes. */
TEST(urgent_bytes_of_a_watcher_wake_nobody)
{
	int writer, watcher;

	network_fixture_init_as(&f, 65536, INPUT, &(struct client_protocol){0}, ACCESS_WATCH);
	writer = network_connect(0);
	turn_some(f.loop);
	watcher = network_connect(0);
	turn_some(f.loop);
	send_urgent(watcher, "a", "b", "");
	turn_some(f.loop);
	send_urgent(watcher, "", "c", "");
	expect_no_wake_ups();
	send_text(writer, "x");
	expect_input("x");
	close(writer);
	close(watcher);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(input_arrives_and_the_device_is_told),
	    UNIT(a_large_paste_arrives_byte_for_byte),
	    UNIT(a_full_ring_holds_the_clients_back_without_wake_ups),
	    UNIT(a_client_that_sends_no_more_before_its_input_is_taken_costs_no_wake_ups),
	    UNIT(clients_take_turns_and_each_ones_bytes_stay_in_order),
	    UNIT(half_closed_clients_input_is_complete),
	    UNIT(a_unix_client_that_went_while_there_was_no_room_is_known_to_have_gone),
	    UNIT(a_client_may_hang_up_in_every_state),
	    UNIT(one_clients_end_is_not_anothers),
	    UNIT(the_backend_may_be_stopped_in_every_state_of_its_clients),
	    UNIT(the_backend_stops_without_clients_too),
	    UNIT(urgent_bytes_keep_their_place),
	    UNIT(telnets_data_mark_is_no_key),
	    UNIT(urgent_bytes_of_a_watcher_wake_nobody),
	    UNIT(what_a_telnet_client_compresses_stays_compressed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
