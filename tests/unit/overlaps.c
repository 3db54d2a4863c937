/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what a port that is added later can't have beside another, and which paths are the same.
 * Overlaps of a whole command line are with the options.
 */
#include "unit.h"

#include "overlaps.h"

#include <stdio.h>
#include <string.h>

static const struct backend_kind *kind_of(const char *name)
{
	const struct backend_kind *kind = backend_kinds;

	while (strcmp(kind->name, name) != 0)
		kind++;
	return kind;
}

static struct port_config uds_port(char *path)
{
	struct port_config port = {.backend = kind_of("uds")};

	port.place.uds_path = path;
	return port;
}

static struct port_config tcp_port(const char *address, uint16_t number)
{
	return (struct port_config){
	    .backend = kind_of("network"),
	    .place = {.address = address, .tcp_port = number},
	};
}

/* What is said of port 7 of guest 5 beside port 2 of guest `guest`; "" if nothing overlaps. */
static const char *with_port(const struct port_config *a, const struct port_config *b,
                             unsigned int guest)
{
	static struct overlap overlap;

	overlaps_with_port(&(struct overlaps_port){a, 5, 7}, &(struct overlaps_port){b, guest, 2},
	                   &overlap);
	if (overlap.key) {
		assert_int_equal(overlap.port, 7);
		assert_int_equal(memcmp(overlap.text, overlap.key, strlen(overlap.key)), 0);
	}
	return overlap.key ? overlap.text : "";
}

TEST(paths_are_the_same_however_they_are_written)
{
	static char same[][12] = {"/a/b", "//a/b", "/a//b", "/./a/b", "/a/./b", "/a/b/", "/a/b/."};
	static char others[][12] = {"a/b",   "/a/c",  "/a",  "/a/b/c", "/a/bb",
	                            "/a/.b", "/a/b.", "/ab", "/",      "/a/../b"};

	for (size_t i = 0; i < ROWS(same); i++) {
		struct port_config a = uds_port(same[0]), b = uds_port(same[i]);
		char expected[160];

		snprintf(expected, sizeof(expected),
		         "uds-path %s of guest 5 is also that of port 2 of guest 4", same[i]);
		assert_string_equal(with_port(&b, &a, 4), expected);
		assert_string_not_equal(with_port(&a, &b, 4), "");
	}
	for (size_t i = 0; i < ROWS(others); i++) {
		struct port_config a = uds_port(same[0]), b = uds_port(others[i]);

		assert_string_equal(with_port(&b, &a, 4), "");
		assert_string_equal(with_port(&a, &b, 4), "");
	}
}

TEST(tcp_ports_are_those_of_an_address)
{
	struct port_config a = tcp_port("::1", 5), b = tcp_port("::1", 6), c = tcp_port("::", 5);

	assert_string_equal(with_port(&a, &a, 0),
	                    "tcp-port 5 of guest 5 is also that of port 2 of guest 0");
	assert_string_equal(with_port(&a, &b, 0), "");
	assert_string_equal(with_port(&a, &c, 0), "");
}

TEST(names_are_those_of_a_guest)
{
	static char name[] = "x", other_name[] = "y", path[] = "/p";
	struct port_config a = {.name = name, .backend = kind_of("null")}, b = a;

	assert_string_equal(with_port(&a, &b, 5),
	                    "name x of guest 5 is also that of port 2 of guest 5");
	assert_string_equal(with_port(&a, &b, 4), "");
	b.name = other_name;
	assert_string_equal(with_port(&a, &b, 5), "");
	b.name = NULL;
	assert_string_equal(with_port(&a, &b, 5), "");
	/* Another port is named if it can be. */
	a.log_path = b.log_path = path;
	b.name = other_name;
	assert_string_equal(with_port(&a, &b, 4),
	                    "log-file /p of guest 5 is also that of port y of guest 4");
}

TEST(there_is_one_terminal)
{
	struct port_config a = {.backend = kind_of("nested")}, b = {.backend = kind_of("null")};

	assert_string_equal(with_port(&a, &a, 0),
	                    "backend nested of guest 5 is also that of port 2 of "
	                    "guest 0, and there can be only one");
	assert_string_equal(with_port(&a, &b, 0), "");
	assert_string_equal(with_port(&b, &b, 0), "");
}

TEST(a_port_can_not_have_a_socket_of_a_guest_or_the_process)
{
	static char path[] = "/p", socket[] = "/s1", control[] = "/c";
	struct guest_config guests[] = {{.fd = 3}, {.fd = -1, .socket_path = socket}};
	struct config config = {.guests = guests, .guests_count = 2, .control_path = control};
	struct port_config port = uds_port(path);
	struct overlaps_port at = {&port, 5, 7};
	struct overlap overlap;

	overlaps_with_sockets(&at, &config, &overlap);
	assert_null(overlap.key);
	port.log_path = socket;
	overlaps_with_sockets(&at, &config, &overlap);
	assert_string_equal(overlap.key, "log-file");
	assert_string_equal(overlap.text,
	                    "log-file /s1 of guest 5 is also the socket-path of guest 1");
	port.place.uds_path = control;
	overlaps_with_sockets(&at, &config, &overlap);
	assert_string_equal(overlap.text, "uds-path /c of guest 5 is also the control-socket");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(paths_are_the_same_however_they_are_written),
	    UNIT(tcp_ports_are_those_of_an_address),
	    UNIT(names_are_those_of_a_guest),
	    UNIT(there_is_one_terminal),
	    UNIT(a_port_can_not_have_a_socket_of_a_guest_or_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
