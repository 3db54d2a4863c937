/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what is said of one port: what each key means and defaults to, which backend follows, how
 * the guest's number comes in, and that a wrong text gives one line that says what is taken.
 */
#include "unit.h"

#include "port_spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct port_config defaults, port;
static char error[PORT_SPEC_ERROR_MAX];

static const struct backend_kind *kind_of(const char *name)
{
	const struct backend_kind *kind = backend_kinds;

	while (strcmp(kind->name, name) != 0)
		kind++;
	return kind;
}

static void set_defaults(const char *backend, char *uds_path, char *log_path)
{
	defaults = (struct port_config){
	    .backend = kind_of(backend),
	    .place = {.address = "::1", .tcp_port = 1000, .mode = 0660, .group = 7},
	    .history = 8192,
	};
	defaults.place.uds_path = uds_path;
	defaults.log_path = log_path;
}

/* For guest 3. */
static void parse(const char *text)
{
	error[0] = '\0';
	if (!port_spec_parse(text, &defaults, 3, &port, error))
		fail_msg("'%s': %s", text ? text : "(nothing)", error);
}

TEST(nothing_said_is_what_the_options_say)
{
	static char uds[] = "/u", log[] = "/log-%i.txt";

	set_defaults("uds", uds, log);
	parse(NULL);
	assert_null(port.name);
	assert_false(port.data);
	assert_ptr_equal(port.backend, kind_of("uds"));
	assert_string_equal(port.place.uds_path, "/u3");
	assert_string_equal(port.log_path, "/log-3.txt");
	assert_string_equal(port.place.address, "::1");
	assert_int_equal(port.place.mode, 0660);
	assert_int_equal(port.place.group, 7);
	assert_int_equal(port.history, 8192);
	assert_int_equal(port.tail, TAIL_DROP);
	port_config_deinit(&port);
	assert_null(port.place.uds_path);
	port_config_deinit(&port);
}

TEST(every_key_is_taken)
{
	set_defaults("null", NULL, NULL);
	parse("history=4K,tcp-protocol=telnet,log-file=/l,tcp-port=2000,backend=network,type=data,"
	      "name=org.example.agent.0,tail=keep");
	assert_string_equal(port.name, "org.example.agent.0");
	assert_true(port.data);
	assert_ptr_equal(port.backend, kind_of("network"));
	assert_int_equal(port.place.tcp_port, 2003);
	assert_true(port.place.protocol.telnet);
	assert_string_equal(port.log_path, "/l3");
	assert_int_equal(port.history, 4096);
	assert_int_equal(port.tail, TAIL_KEEP);
	assert_null(port.place.uds_path);
	port_config_deinit(&port);

	set_defaults("network", NULL, NULL);
	defaults.place.protocol = (struct client_protocol){.telnet = true, .break_is_sysrq = true};
	parse("type=console,tcp-protocol=raw");
	assert_false(port.data);
	assert_false(port.place.protocol.telnet);
	assert_true(port.place.protocol.break_is_sysrq);
	assert_int_equal(port.place.tcp_port, 1003);
	port_config_deinit(&port);
}

TEST(the_backend_follows_from_the_place)
{
	static const struct {
		const char *text, *otherwise, *backend;
	} rows[] = {
	    {"name=a", "null", "null"},
	    {"name=a", "nested", "nested"},
	    {"tcp-port=1", "nested", "network"},
	    {"uds-path=/u", "network", "uds"},
	    {"uds-path=/u,backend=uds", "network", "uds"},
	    {"backend=source", "network", "source"},
	    {"log-file=/l", "echo", "echo"},
	    {"history=1M", "uds", "uds"},
	    {"tcp-protocol=raw", "network", "network"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		static char uds[] = "/default";

		set_defaults(rows[i].otherwise, uds, NULL);
		parse(rows[i].text);
		assert_string_equal(port.backend->name, rows[i].backend);
		port_config_deinit(&port);
	}
}

TEST(a_comma_in_a_value_is_written_twice)
{
	static const struct {
		const char *text, *name, *path;
	} rows[] = {
	    {"name=a,,b,uds-path=/u", "a,b", "/u3"}, {"name=a,,,uds-path=/u", "a,", "/u3"},
	    {"name=,,,,,uds-path=/u", ",,", "/u3"},  {"uds-path=/x,,y=z,name=a", "a", "/x,y=z3"},
	    {"name=a=b,uds-path=,,", "a=b", ",3"},
	};

	set_defaults("null", NULL, NULL);
	for (size_t i = 0; i < ROWS(rows); i++) {
		parse(rows[i].text);
		assert_string_equal(port.name, rows[i].name);
		assert_string_equal(port.place.uds_path, rows[i].path);
		port_config_deinit(&port);
	}
}

/* 64 bytes. */
#define LONGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

TEST(names_are_taken)
{
	static const char *const names[] = {
	    "a",   "com.redhat.spice.0", LONGEST,        "0x", "1.2", "-",
	    "...", "caf\xc3\xa9",        "\xe2\x82\xac",
	};

	set_defaults("null", NULL, NULL);
	for (size_t i = 0; i < ROWS(names); i++) {
		char text[80];

		snprintf(text, sizeof(text), "name=%s", names[i]);
		parse(text);
		assert_string_equal(port.name, names[i]);
		port_config_deinit(&port);
	}
}

static void assert_refused(const char *text, const char *expected)
{
	port = (struct port_config){.history = 42};
	error[0] = '\0';
	if (port_spec_parse(text, &defaults, 3, &port, error))
		fail_msg("'%s' is taken", text);
	if (strcmp(error, expected) != 0)
		fail_msg("'%s' gives '%s', not '%s'", text, error, expected);
	assert_int_equal(port.history, 42);
}

#define NAME                                                                                       \
	"takes up to 64 bytes of UTF-8, without '/', spaces and control characters, and not "      \
	"digits only"

TEST(what_is_no_name_is_refused)
{
	static const struct {
		const char *name, *shown;
	} rows[] = {
	    {"", ""},
	    {"0", "0"},
	    {"31", "31"},
	    {".", "."},
	    {"..", ".."},
	    {"a/b", "a/b"},
	    {"a b", "a b"},
	    {"a\nb", "a?b"},
	    {"a\tb", "a?b"},
	    {"a\x7f", "a?"},
	    {"a\xc2\x85", "a\xc2\x85"}, /* U+0085, a line's end */
	    {"caf\xe9", "caf\xe9"},     /* Latin 1 */
	    {LONGEST "0", LONGEST "0"},
	};

	set_defaults("null", NULL, NULL);
	for (size_t i = 0; i < ROWS(rows); i++) {
		char text[80], expected[256];

		snprintf(text, sizeof(text), "name=%s", rows[i].name);
		snprintf(expected, sizeof(expected), "name=%s: " NAME, rows[i].shown);
		assert_refused(text, expected);
	}
}

TEST(wrong_values_are_told_in_one_line)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
	    {"", "takes KEY=VALUE,...; --help shows the keys"},
	    {"name=a,", "takes KEY=VALUE,...; --help shows the keys"},
	    {"=x", "takes KEY=VALUE,...; --help shows the keys"},
	    {"nam=a", "nam: no such key; --help shows what there is"},
	    {"names=a", "names: no such key; --help shows what there is"},
	    {"name=a,console", "console: no such key; --help shows what there is"},
	    {"a\nb=c", "a?b: no such key; --help shows what there is"},
	    {"name", "name: " NAME},
	    {"name=a,name=b", "name: is given twice"},
	    {"type", "type: takes console or data"},
	    {"type=", "type=: takes console or data"},
	    {"type=tty", "type=tty: takes console or data"},
	    {"backend=tty", "backend=tty: takes a kind of backend, see --help"},
	    {"tcp-port=0", "tcp-port=0: takes a port from 1 to 65535"},
	    {"tcp-port=65536", "tcp-port=65536: takes a port from 1 to 65535"},
	    {"tcp-port=65533",
	     "tcp-port=65533: takes a port that leaves room up to 65535 for guest 3"},
	    {"tcp-protocol=ssh", "tcp-protocol=ssh: takes raw or telnet"},
	    {"uds-path=", "uds-path=: takes a path"},
	    {"log-file=", "log-file=: takes a path; of this process's descriptors only 1 and 2"},
	    {"type=data,tail=some", "tail=some: takes drop or keep"},
	    {"backend=network,tail=keep",
	     "tail: is of no use with type=console: all clients get the same"},
	    {"type=data,backend=null,tail=keep", "tail: is of no use with backend=null"},
	    {"history=1", "history=1: takes 4096 to 1G bytes; K, M and G are understood"},
	    {"backend=uds", "uds-path: is required with backend=uds; it takes a path"},
	};

	set_defaults("null", NULL, NULL);
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_refused(rows[i].text, rows[i].expected);
}

TEST(a_key_that_the_backend_has_no_use_for_is_refused)
{
	set_defaults("null", NULL, NULL);
	assert_refused("tcp-port=1,backend=uds,uds-path=/u",
	               "tcp-port: is of no use with backend=uds");
	assert_refused("tcp-port=1,uds-path=/u", "uds-path: is of no use with backend=network");
	assert_refused("uds-path=/u,backend=null", "uds-path: is of no use with backend=null");
	assert_refused("tcp-protocol=raw", "tcp-protocol: is of no use with backend=null");
}

TEST(the_last_tcp_port_is_taken)
{
	set_defaults("null", NULL, NULL);
	parse("tcp-port=65532");
	assert_int_equal(port.place.tcp_port, 65535);
	port_config_deinit(&port);
}

TEST(an_error_that_is_too_long_is_cut)
{
	char text[2 * PORT_SPEC_ERROR_MAX];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	set_defaults("null", NULL, NULL);
	assert_false(port_spec_parse(text, &defaults, 0, &port, error));
	assert_int_equal(strlen(error), PORT_SPEC_ERROR_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(nothing_said_is_what_the_options_say),
	    UNIT(every_key_is_taken),
	    UNIT(the_backend_follows_from_the_place),
	    UNIT(a_comma_in_a_value_is_written_twice),
	    UNIT(names_are_taken),
	    UNIT(what_is_no_name_is_refused),
	    UNIT(wrong_values_are_told_in_one_line),
	    UNIT(a_key_that_the_backend_has_no_use_for_is_refused),
	    UNIT(the_last_tcp_port_is_taken),
	    UNIT(an_error_that_is_too_long_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
