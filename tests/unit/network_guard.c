/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds that nothing a browser sends reaches a console's guest, in however many pieces it comes,
 * and that all else does, in order and without a byte lost.
 */
#include "unit.h"

#include "network_fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT  16384u
#define OUTPUT 65536u

static struct backend_fixture f;

static void type(int client, const void *bytes, size_t len)
{
	assert_int_equal(send(client, bytes, len, MSG_NOSIGNAL), len);
}

static void assert_guest_gets(const char *text)
{
	static char got[INPUT + 1];

	turn_until(f.loop, byte_ring_used(&f.output.port.input) >= strlen(text));
	turn_some(f.loop);
	got[byte_ring_get(&f.output.port.input, got, INPUT)] = '\0';
	assert_string_equal(got, text);
	f.backend->ops->wake(f.backend);
}

static void set_up(bool telnet, enum access access)
{
	network_fixture_init_as(&f, OUTPUT, INPUT, &(struct client_protocol){.telnet = telnet},
	                        access);
}

static void assert_shut_out(int client)
{
	turn_until(f.loop, network_is_closed(client));
	assert_int_equal(byte_ring_head(&f.output.port.input), 0);
	close(client);
}

TEST(a_web_page_types_nothing_however_it_is_cut)
{
	static const char request[] = "POST / HTTP/1.1\r\nHost: a\r\n\r\nid > /tmp/owned\n";
	static const uint8_t hello[] = {22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, '\n'};

	for (unsigned int telnet = 0; telnet < 2; telnet++) {
		for (size_t cut = 1; cut < 20; cut++) {
			int client;

			set_up(telnet, ACCESS_SHARED);
			client = network_connect(0);
			type(client, request, cut);
			turn_some(f.loop);
			if (cut < 15)
				type(client, request + cut, sizeof(request) - 1 - cut);
			assert_shut_out(client);
			backend_fixture_deinit(&f);
		}
		set_up(telnet, ACCESS_SHARED);
		for (size_t i = 0; i < 2; i++) {
			int client = network_connect(0);

			type(client, i ? (const void *)hello : request,
			     i ? sizeof(hello) : sizeof(request) - 1);
			assert_shut_out(client);
		}
		backend_fixture_deinit(&f);
	}
}

/* Nor does it take anybody's place. */
TEST(a_web_page_takes_nobodys_place)
{
	int person, page;

	set_up(false, ACCESS_EXCLUSIVE);
	person = network_connect(0);
	type(person, "mine", 4);
	assert_guest_gets("mine");
	page = network_connect(0);
	type(page, "GET / HTTP/1.1\r\n\r\n", 18);
	turn_until(f.loop, network_is_closed(page));
	type(person, "still", 5);
	assert_guest_gets("still");
	close(page);
	close(person);
	backend_fixture_deinit(&f);
}

/* A key that could begin a method comes by itself; and when more is typed, nothing is lost. */
TEST(what_only_begins_like_a_request_reaches_the_guest)
{
	static const char *const keys[] = {"G", "E", "T", " ", "/", "\r"};
	int client;

	set_up(false, ACCESS_SHARED);
	client = network_connect(0);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		type(client, keys[i], 1);
		assert_guest_gets(keys[i]);
	}
	/* Once it is known as a person's it isn't looked at any more. */
	type(client, "GET / HTTP/1.1\r\n", 16);
	assert_guest_gets("GET / HTTP/1.1\r\n");
	close(client);
	/* One that ends there. */
	client = network_connect(0);
	type(client, "GET /", 5);
	shutdown(client, SHUT_WR);
	assert_guest_gets("GET /");
	close(client);
	backend_fixture_deinit(&f);
}

/* What goes on at a data port is between its client and the guest. */
TEST(a_data_port_may_be_spoken_to_in_http)
{
	int client;

	backend_fixture_init(&f, OUTPUT, INPUT);
	f.output.port.data = true;
	if (network_new(&f.backend, f.loop, &f.output.port, "127.0.0.1", 0,
	                &(struct client_protocol){0}, ACCESS_SINGLE) < 0)
		support_die("can't listen on loopback");
	client = network_connect(0);
	type(client, "GET / HTTP/1.1\r\n\r\n", 18);
	assert_guest_gets("GET / HTTP/1.1\r\n\r\n");
	close(client);
	backend_fixture_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_web_page_types_nothing_however_it_is_cut),
	    UNIT(a_web_page_takes_nobodys_place),
	    UNIT(what_only_begins_like_a_request_reaches_the_guest),
	    UNIT(a_data_port_may_be_spoken_to_in_http),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
