/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the command line with several ports: which there are, how many there can be, what the
 * general options say of them, and that what two would have is told in one line that names both.
 */
#include "options_fixture.h"

TEST(without_any_there_is_one_console)
{
	const struct guest_config *guest;

	assert_int_equal(parse("-s /s"), OPTIONS_RUN);
	guest = config.guests;
	assert_false(guest->multiport);
	assert_int_equal(guest->max_ports, 1);
	assert_int_equal(guest->ports_count, 1);
	assert_null(guest->ports[0].name);
	assert_false(guest->ports[0].data);
	options_free(&config);
}

TEST(ports_are_those_that_are_given)
{
	assert_int_equal(parse("-s /s -c 2 -b network -p 3000 --history=8K "
	                       "--port name=con,log-file=/log/%i.txt "
	                       "--port name=agent,type=data,uds-path=/agent,history=4K "
	                       "--port=backend=echo"),
	                 OPTIONS_RUN);
	assert_silent();
	assert_int_equal(config.guests_count, 2);
	for (unsigned int i = 0; i < 2; i++) {
		const struct guest_config *guest = &config.guests[i];
		const struct port_config *ports = guest->ports;

		assert_true(guest->multiport);
		assert_int_equal(guest->ports_count, 3);
		assert_int_equal(guest->max_ports, 3);
		assert_string_equal(ports[0].name, "con");
		assert_string_equal(ports[0].backend->name, "network");
		assert_int_equal(ports[0].place.tcp_port, 3000 + i);
		assert_string_equal(ports[0].log_path, i ? "/log/1.txt" : "/log/0.txt");
		assert_int_equal(ports[0].history, 8192);
		assert_true(ports[1].data);
		assert_string_equal(ports[1].place.uds_path, i ? "/agent1" : "/agent0");
		assert_int_equal(ports[1].history, 4096);
		assert_null(ports[2].name);
		assert_string_equal(ports[2].backend->name, "echo");
	}
	options_free(&config);
}

TEST(one_port_that_is_given_is_a_port_too)
{
	assert_int_equal(parse("-s /s --port name=a"), OPTIONS_RUN);
	assert_true(config.guests[0].multiport);
	assert_int_equal(config.guests[0].max_ports, 1);
	options_free(&config);
}

TEST(numbers_are_kept_for_ports_added_later)
{
	static const struct {
		const char *line;
		unsigned int max_ports, ports_count;
		bool multiport;
	} rows[] = {
	    {"-s /s --max-ports=1", 1, 1, false},
	    {"-s /s --max-ports=2", 2, 1, true},
	    {"-s /s --max-ports=31", 31, 1, true},
	    {"-s /s --max-ports=31 --port name=a", 31, 1, true},
	    {"-s /s --max-ports=2 --port name=a --port backend=null", 2, 2, true},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		if (parse(rows[i].line) != OPTIONS_RUN)
			fail_msg("%s: %s", rows[i].line, err);
		assert_int_equal(config.guests[0].max_ports, rows[i].max_ports);
		assert_int_equal(config.guests[0].ports_count, rows[i].ports_count);
		assert_int_equal(config.guests[0].multiport, rows[i].multiport);
		options_free(&config);
	}
}

TEST(the_longest_history_is_known)
{
	static const struct {
		const char *line;
		uint64_t max_history;
	} rows[] = {
	    {"-s /s --history=64K", 65536},
	    {"-s /s --history=64K --port history=4K --port history=8K,backend=null", 8192},
	    {"-s /s --history=64K --port history=8K,backend=null --port history=4K", 8192},
	    {"-s /s --history=64K --port history=4K --max-ports=2", 65536},
	    {"-s /s --history=64K --port history=128K --max-ports=2", 131072},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(parse(rows[i].line), OPTIONS_RUN);
		assert_int_equal(config.guests[0].max_history, rows[i].max_history);
		options_free(&config);
	}
}

/* What --control-socket's port-add begins with. */
TEST(a_later_port_is_as_the_options_say_but_for_paths)
{
	const struct port_config *defaults = &config.port_defaults;

	assert_int_equal(parse("-s /s -b uds -p 70 --uds-path=/u --log-file=/l --history=4K "
	                       "--socket-mode=0600 --listen-address=::1"),
	                 OPTIONS_RUN);
	assert_string_equal(defaults->backend->name, "uds");
	assert_int_equal(defaults->place.tcp_port, 70);
	assert_string_equal(defaults->place.address, "::1");
	assert_int_equal(defaults->place.mode, 0600);
	assert_int_equal(defaults->history, 4096);
	assert_null(defaults->place.uds_path);
	assert_null(defaults->log_path);
	assert_null(defaults->name);
	options_free(&config);
}

TEST(the_log_is_as_quiet_as_any_port_needs)
{
	static const struct {
		const char *line;
		enum log_level level;
	} rows[] = {
	    {"-s /s -b network --port name=a", LOG_LEVEL_INFO},
	    {"-s /s -b network --port name=a --port backend=nested", LOG_LEVEL_WARNING},
	    {"-s /s -b nested --port backend=null --port backend=echo", LOG_LEVEL_INFO},
	    {"-s /s --log-level=debug --port name=a", LOG_LEVEL_DEBUG},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(parse(rows[i].line), OPTIONS_RUN);
		assert_int_equal(config.log_level, rows[i].level);
		options_free(&config);
	}
}

/* A line with so many ports that don't overlap. */
static const char *many_ports(const char *others, unsigned int ports)
{
	static char line[8192];
	int n = snprintf(line, sizeof(line), "-s /s %s", others);

	for (unsigned int i = 0; i < ports; i++)
		n += snprintf(line + n, sizeof(line) - (size_t)n, " --port name=p%u,uds-path=/u%u.",
		              i, i);
	return line;
}

TEST(there_are_up_to_31)
{
	assert_int_equal(parse(many_ports("", 31)), OPTIONS_RUN);
	assert_int_equal(config.guests[0].ports_count, 31);
	assert_string_equal(config.guests[0].ports[30].name, "p30");
	assert_string_equal(config.guests[0].ports[30].place.uds_path, "/u30.0");
	options_free(&config);
	assert_int_equal(parse(many_ports("", 32)), OPTIONS_USAGE);
	assert_string_equal(err, P "--port=name=p31,uds-path=/u31.: takes KEY=VALUE,..., and is "
	                           "given at most 31 times\n");
}

/* Only that it ends: what takes n * n steps doesn't, within the alarm. */
TEST(many_guests_with_many_ports_are_taken)
{
	assert_int_equal(parse(many_ports("-c 2000", 31)), OPTIONS_RUN);
	assert_string_equal(config.guests[1999].ports[30].place.uds_path, "/u30.1999");
	options_free(&config);
	assert_int_equal(parse(many_ports("-c 65535", 1)), OPTIONS_RUN);
	assert_string_equal(config.guests[65534].ports[0].place.uds_path, "/u0.65534");
	options_free(&config);
}

TEST(the_last_of_many_guests_is_looked_at_too)
{
	assert_int_equal(parse("-s /s -c 65535 -b uds --uds-path=/u --control-socket=/u65534"),
	                 OPTIONS_USAGE);
	assert_string_equal(err, P "--uds-path: uds-path /u65534 of guest 65534 is also the "
	                           "control-socket\n");
}

TEST(wrong_ports_are_told_in_one_line)
{
	static const struct {
		const char *line, *error;
	} rows[] = {
	    {"-s /s --port \"\"", P "--port=: takes KEY=VALUE,...; --help shows the keys\n"},
	    {"-s /s --port x=y", P "--port=x=y: x: no such key; --help shows what there is\n"},
	    {"-s /s --port a\nb=y",
	     P "--port=a?b=y: a?b: no such key; --help shows what there is\n"},
	    {"-s /s --port type=x", P "--port=type=x: type=x: takes console or data\n"},
	    {"-s /s --port type=data --port backend=uds",
	     P "--port=backend=uds: uds-path: is required with backend=uds; it takes a path\n"},
	    {"-s /s --port tcp-port=65535 -c 2", P
	     "--port=tcp-port=65535: tcp-port=65535: takes a port that leaves room up to 65535 for "
	     "guest 1\n"},
	    {"-s /s -b null --port name=a --port name=b --max-ports=1",
	     P "--max-ports=1: takes at least the number of --port, 2\n"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		if (parse(rows[i].line) != OPTIONS_USAGE || strcmp(err, rows[i].error) != 0)
			fail_msg("'%s' gives '%s', not '%s'", rows[i].line, err, rows[i].error);
		assert_string_equal(out, "");
	}
}

#define ONE "and there can be only one\n"

TEST(overlaps_are_told_in_one_line_that_names_both)
{
	static const struct {
		const char *line, *error;
	} rows[] = {
	    {"-s /s -c 2 --port name=a,tcp-port=5000 --port name=b,tcp-port=5001",
	     P "--port name=b: tcp-port 5001 of guest 0 is also that of port a of guest 1\n"},
	    {"-s /s -c 2 --port name=a,tcp-port=5001 --port name=b,tcp-port=5000",
	     P "--port name=b: tcp-port 5001 of guest 1 is also that of port a of guest 0\n"},
	    {"-s /s -b network --port type=data --port name=b",
	     P "--port name=b: tcp-port 12345 of guest 0 is also that of port 0 of guest 0\n"},
	    {"-s /s -b network --port name=a --port type=data",
	     P "--port number 1: tcp-port 12345 of guest 0 is also that of port a of guest 0\n"},
	    {"-s /s -b null --port name=a --port name=a",
	     P "--port name=a: name a of guest 0 is also that of port 0 of guest 0\n"},
	    {"-s /s --port name=a --port name=b",
	     P "--port name=b: backend nested of guest 0 is also that of port a of guest 0, " ONE},
	    {"-s /s -c 2 --port name=a",
	     P "--port name=a: backend nested of guest 1 is also that of port a of guest 0, " ONE},
	    {"-s /s -b null --log-file=/l --port name=a --port name=b",
	     P "--port name=b: log-file /l0 of guest 0 is also that of port a of guest 0\n"},
	    {"-s /s -c 12 --port name=a,uds-path=/u --port name=b,uds-path=/u1",
	     P "--port name=b: uds-path /u10 of guest 0 is also that of port a of guest 10\n"},
	    {"-s /s --port name=a,uds-path=/u,log-file=/u", P
	     "--port name=a: uds-path /u0 of guest 0 is also the log-file of port a of guest 0\n"},
	    {"-s /s --port name=a,uds-path=/s",
	     P "--port name=a: uds-path /s0 of guest 0 is also the socket-path of guest 0\n"},
	    {"-s /s --port name=a,uds-path=/u --control-socket=/u0",
	     P "--port name=a: uds-path /u0 of guest 0 is also the control-socket\n"},
	    {"-s /s --control-socket=/s0",
	     P "--socket-path: socket-path /s0 of guest 0 is also the control-socket\n"},
	    {"-s /s -b uds --uds-path=/s",
	     P "--uds-path: uds-path /s0 of guest 0 is also the socket-path of guest 0\n"},
	    {"-s /s --log-file=/s%i",
	     P "--log-file: log-file /s0 of guest 0 is also the socket-path of guest 0\n"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		if (parse(rows[i].line) != OPTIONS_USAGE || strcmp(err, rows[i].error) != 0)
			fail_msg("'%s' gives '%s', not '%s'", rows[i].line, err, rows[i].error);
	}
}

TEST(what_is_not_used_does_not_overlap)
{
	static const char *const lines[] = {
	    /* The same default TCP port and path, without a backend that has them. */
	    "-s /s -b null --port name=a --port name=b -p 5000",
	    "-s /s -b null --uds-path=/u --port name=a --port name=b --control-socket=/u0",
	    "-s /s -c 2 --port name=a,tcp-port=5000 --port name=b,tcp-port=5002",
	    /* One terminal, and no other. */
	    "-s /s --port name=a --port name=b,backend=null",
	    "--fd=3 --port name=a --port name=b,backend=null --control-socket=/c",
	    /* A number too few for the same path. */
	    "-s /s -c 10 --port name=a,uds-path=/u --port name=b,uds-path=/u1",
	};

	for (size_t i = 0; i < ROWS(lines); i++) {
		if (parse(lines[i]) != OPTIONS_RUN)
			fail_msg("'%s' gives '%s'", lines[i], err);
		options_free(&config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(without_any_there_is_one_console),
	    UNIT(ports_are_those_that_are_given),
	    UNIT(one_port_that_is_given_is_a_port_too),
	    UNIT(numbers_are_kept_for_ports_added_later),
	    UNIT(the_longest_history_is_known),
	    UNIT(a_later_port_is_as_the_options_say_but_for_paths),
	    UNIT(the_log_is_as_quiet_as_any_port_needs),
	    UNIT(there_are_up_to_31),
	    UNIT(many_guests_with_many_ports_are_taken),
	    UNIT(the_last_of_many_guests_is_looked_at_too),
	    UNIT(wrong_ports_are_told_in_one_line),
	    UNIT(overlaps_are_told_in_one_line_that_names_both),
	    UNIT(what_is_not_used_does_not_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
