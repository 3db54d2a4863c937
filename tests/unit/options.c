/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the command line: what each option means and defaults to, in every way of writing it, and
 * that a wrong one gives exactly one line that names the option and what it takes.
 */
#include "options_fixture.h"

TEST(the_defaults_are_those_of_the_program_it_stands_in_for)
{
	const struct guest_config *guest;

	assert_int_equal(parse("-s /tmp/con.sock"), OPTIONS_RUN);
	assert_silent();
	guest = config.guests;
	assert_int_equal(config.guests_count, 1);
	assert_string_equal(guest->socket_path, "/tmp/con.sock0");
	assert_int_equal(guest->fd, -1);
	assert_int_equal(guest->socket_mode, 0600);
	assert_int_equal(guest->socket_group, (gid_t)-1);
	assert_string_equal(guest->ports[0].backend->name, "nested");
	assert_string_equal(guest->ports[0].place.address, "127.0.0.1");
	assert_int_equal(guest->ports[0].place.tcp_port, 12345);
	assert_int_equal(guest->max_queue_size, 1024);
	assert_int_equal(guest->ports[0].history, 256 * 1024);
	options_free(&config);
}

TEST(each_guest_has_its_number_in_path_and_port)
{
	assert_int_equal(parse("--socket-path=/tmp/c --socket-count=3 --tcp-port=2000 "
	                       "--backend=network"),
	                 OPTIONS_RUN);
	assert_int_equal(config.guests_count, 3);
	for (unsigned int i = 0; i < 3; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/tmp/c%u", i);
		assert_string_equal(config.guests[i].socket_path, path);
		assert_int_equal(config.guests[i].ports[0].place.tcp_port, 2000 + i);
	}
	options_free(&config);
}

/* Of 2^46 bytes, but at least 1 TiB. */
TEST(guests_share_what_may_be_mapped)
{
	static const struct {
		unsigned int count;
		uint64_t each;
	} rows[] = {{1, 1ull << 46}, {3, (1ull << 46) / 3}, {64, 1ull << 40}, {1000, 1ull << 40}};

	for (size_t i = 0; i < ROWS(rows); i++) {
		char line[64];

		snprintf(line, sizeof(line), "-s /s -b null -c %u", rows[i].count);
		assert_int_equal(parse(line), OPTIONS_RUN);
		for (unsigned int k = 0; k < rows[i].count; k++)
			assert_true(config.guests[k].max_mapped == rows[i].each);
		options_free(&config);
	}
}

TEST(every_way_of_writing_an_option_means_the_same)
{
	static const char *const lines[] = {
	    "--socket-path=/s --max-queue-size=256 --tcp-port=99 --backend=network",
	    "--socket-path /s --max-queue-size 256 --tcp-port 99 --backend network",
	    "-s/s -q256 -p99 -bnetwork",
	    "-s /s -q 256 -p 99 -b network",
	    "-bnetwork -p99 -q256 -s/s",
	    "-s /other -s /s -q 1 -q 256 -p 99 -b nested -b network",
	    "-s /s -q 256 -p 99 -b network --",
	    "-s /s -q 256 -p 99 -b network -c1",
	};

	for (size_t i = 0; i < ROWS(lines); i++) {
		if (parse(lines[i]) != OPTIONS_RUN)
			fail_msg("%s: %s", lines[i], err);
		assert_silent();
		assert_string_equal(config.guests[0].socket_path, "/s0");
		assert_int_equal(config.guests[0].max_queue_size, 256);
		assert_int_equal(config.guests[0].ports[0].place.tcp_port, 99);
		assert_string_equal(config.guests[0].ports[0].backend->name, "network");
		options_free(&config);
	}
}

/* Values that are taken, one option each beside -s, and what becomes of them. */

static uint64_t queue_size(void)
{
	return config.guests[0].max_queue_size;
}

static uint64_t history(void)
{
	return config.guests[0].ports[0].history;
}

static uint64_t access_of(void)
{
	return config.guests[0].ports[0].place.access;
}

static uint64_t mode(void)
{
	return config.guests[0].socket_mode;
}

static uint64_t group(void)
{
	return config.guests[0].socket_group;
}

static uint64_t client_mode(void)
{
	return config.guests[0].ports[0].place.mode;
}

static uint64_t client_group(void)
{
	return config.guests[0].ports[0].place.group;
}

static uint64_t port(void)
{
	return config.guests[0].ports[0].place.tcp_port;
}

static uint64_t count(void)
{
	return config.guests_count;
}

static uint64_t level(void)
{
	return config.log_level;
}

static uint64_t rows_first(void)
{
	return config.guests[0].resize_rows_first;
}

TEST(values_are_taken)
{
	static const struct {
		const char *line;
		uint64_t (*of)(void);
		uint64_t value;
	} rows[] = {
	    {"-q 1", queue_size, 1},
	    {"-q 32768", queue_size, 32768},
	    {"--history=4096", history, 4096},
	    {"--history=1G", history, 1 << 30},
	    {"--history=64K", history, 65536},
	    {"--history=2M", history, 2 << 20},
	    /* Up to a power of two. */
	    {"--history=4097", history, 8192},
	    {"--history=100000", history, 131072},
	    {"--socket-mode=0660", mode, 0660},
	    {"--socket-mode=660", mode, 0660},
	    {"--socket-mode=0", mode, 0},
	    {"--socket-mode=777", mode, 0777},
	    {"--socket-group=0", group, 0},
	    {"--socket-group=4242", group, 4242},
	    {"--socket-mode=660 --socket-group=4242", client_mode, 0600},
	    {"--socket-mode=660 --socket-group=4242", client_group, (gid_t)-1},
	    {"--client-mode=0660", client_mode, 0660},
	    {"--client-group=4242", client_group, 4242},
	    {"--client-mode=0660 --client-group=4242", mode, 0600},
	    {"--client-mode=0660 --client-group=4242", group, (gid_t)-1},
	    {"-p 1", port, 1},
	    {"-p 65535", port, 65535},
	    {"-b network -c 2 -p 65534", count, 2},
	    {"-b network -c 65535 -p 1", count, 65535},
	    {"--log-level=error", level, LOG_LEVEL_ERROR},
	    {"--log-level=debug", level, LOG_LEVEL_DEBUG},
	    {"-b network", access_of, ACCESS_SHARED},
	    {"-b network --access=shared", access_of, ACCESS_SHARED},
	    {"-b network --access=exclusive", access_of, ACCESS_EXCLUSIVE},
	    {"-b uds --uds-path=/u --access=watch", access_of, ACCESS_WATCH},
	    {"-b network --access=single", access_of, ACCESS_SINGLE},
	    {"--port type=data,tcp-port=5", access_of, ACCESS_SINGLE},
	    {"--access=watch --port type=data,tcp-port=5", access_of, ACCESS_SINGLE},
	    {"--port type=data,tcp-port=5,access=watch", access_of, ACCESS_WATCH},
	    {"-b network --log-level=warning", level, LOG_LEVEL_WARNING},
	    {"-b network", level, LOG_LEVEL_INFO},
	    {"-b nested", level, LOG_LEVEL_WARNING},
	    {"", rows_first, false},
	    {"--resize-order=cols-rows", rows_first, false},
	    {"--resize-order=rows-cols", rows_first, true},
	    {"--resize-order=rows-cols --resize-order=cols-rows", rows_first, false},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		char line[128];

		snprintf(line, sizeof(line), "-s /s %s", rows[i].line);
		if (parse(line) != OPTIONS_RUN)
			fail_msg("%s: %s", line, err);
		if (rows[i].of() != rows[i].value)
			fail_msg("%s: %llu", line, (unsigned long long)rows[i].of());
		options_free(&config);
	}
}

TEST(addresses_are_taken)
{
	static const char *const addresses[] = {"127.0.0.1", "0.0.0.0", "10.1.2.3", "::1", "::"};

	for (size_t i = 0; i < ROWS(addresses); i++) {
		char line[64];

		snprintf(line, sizeof(line), "-s /s --listen-address=%s", addresses[i]);
		assert_int_equal(parse(line), OPTIONS_RUN);
		assert_string_equal(config.guests[0].ports[0].place.address, addresses[i]);
		options_free(&config);
	}
}

TEST(links_to_terminals_have_the_guests_numbers)
{
	assert_int_equal(parse("-s /s -b pty --pty=/p -c 2"), OPTIONS_RUN);
	assert_string_equal(config.guests[0].ports[0].place.pty_path, "/p0");
	assert_string_equal(config.guests[1].ports[0].place.pty_path, "/p1");
	options_free(&config);
}

TEST(paths_of_guests_have_their_numbers)
{
	static const struct {
		const char *line, *uds, *log;
	} rows[] = {
	    {"-s /s -b uds --uds-path=/u", "/u1", NULL},
	    {"-s /s -b uds --uds-path=/u --log-file=/l", "/u1", "/l1"},
	    {"-s /s -b uds --uds-path=/u --log-file=/a%i/b.log", "/u1", "/a1/b.log"},
	    {"-s /s -b uds --uds-path=/u --log-file=/a%i%i", "/u1", "/a1%i"},
	    {"-s /s -b uds --uds-path=/u --log-file=/100%", "/u1", "/100%1"},
	    {"-s /s -b uds --uds-path=/u --log-file=/dev/tty%i", "/u1", "/dev/tty1"},
	    {"-s /s -b uds --uds-path=/u --log-file=/dev/shm/l", "/u1", "/dev/shm/l1"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		char line[128];

		snprintf(line, sizeof(line), "%s -c 2", rows[i].line);
		assert_int_equal(parse(line), OPTIONS_RUN);
		assert_string_equal(config.guests[1].ports[0].place.uds_path, rows[i].uds);
		if (rows[i].log)
			assert_string_equal(config.guests[1].ports[0].log_path, rows[i].log);
		else
			assert_null(config.guests[1].ports[0].log_path);
		options_free(&config);
	}
}

TEST(clients_are_spoken_to_as_told)
{
	static const struct {
		const char *line;
		bool telnet, sysrq;
	} rows[] = {
	    {"-s /s -b network", false, false},
	    {"-s /s -b network --tcp-protocol=raw", false, false},
	    {"-s /s -b network --tcp-protocol=telnet", true, false},
	    {"-s /s -b network --tcp-protocol=telnet --telnet-break=sysrq", true, true},
	    {"-s /s -b network --tcp-protocol=telnet --telnet-break=ignore", true, false},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(parse(rows[i].line), OPTIONS_RUN);
		assert_int_equal(config.guests[0].ports[0].place.protocol.telnet, rows[i].telnet);
		assert_int_equal(config.guests[0].ports[0].place.protocol.break_is_sysrq,
		                 rows[i].sysrq);
		options_free(&config);
	}
}

TEST(a_descriptor_takes_the_place_of_a_path)
{
	assert_int_equal(parse("--fd=7"), OPTIONS_RUN);
	assert_int_equal(config.guests[0].fd, 7);
	assert_null(config.guests[0].socket_path);
	options_free(&config);
}

#define COUNT   "takes a number of guests from 1 to 65535\n"
#define PORT    "takes a port from 1 to 65535\n"
#define QUEUE   "takes a power of two up to 32768\n"
#define HISTORY "takes 4096 to 1G bytes; K, M and G are understood\n"
#define MODE    "takes an octal file mode up to 0777\n"
#define ADDRESS "takes a numeric IPv4 or IPv6 address\n"
#define NUMBER  "takes the number of an open descriptor from 3 on\n"
#define PORTS   "takes a number of ports from 1 to 31\n"
#define NONE    "no such option; --help shows what there is\n"

static const struct {
	const char *line, *error;
} wrong_values[] = {
    {"", P "--socket-path: is required; it takes a path\n"},
    {"-b network", P "--socket-path: is required; it takes a path\n"},
    {"-s", P "--socket-path: takes a path\n"},
    {"--socket-path", P "--socket-path: takes a path\n"},
    {"--socket-path=", P "--socket-path=: takes a path\n"},
    {"-s /s -c 0", P "--socket-count=0: " COUNT},
    {"-s /s -c 65536", P "--socket-count=65536: " COUNT},
    {"-s /s -c -1", P "--socket-count=-1: " COUNT},
    {"-s /s -c 1x", P "--socket-count=1x: " COUNT},
    {"-s /s -c \"\"", P "--socket-count=: " COUNT},
    {"-s /s --socket-count", P "--socket-count: " COUNT},
    {"-s /s -c 18446744073709551617", P "--socket-count=18446744073709551617: " COUNT},
    {"-s /s -p 0", P "--tcp-port=0: " PORT},
    {"-s /s -p 65536", P "--tcp-port=65536: " PORT},
    {"-s /s -p +5", P "--tcp-port=+5: " PORT},
    {"-s /s -p 0x10", P "--tcp-port=0x10: " PORT},
    {"-s /s -q 0", P "--max-queue-size=0: " QUEUE},
    {"-s /s -q 3", P "--max-queue-size=3: " QUEUE},
    {"-s /s -q 65536", P "--max-queue-size=65536: " QUEUE},
    {"-s /s -q 128K", P "--max-queue-size=128K: " QUEUE},
    {"-s /s --history=4095", P "--history=4095: " HISTORY},
    {"-s /s --history=2G", P "--history=2G: " HISTORY},
    {"-s /s --history=1T", P "--history=1T: " HISTORY},
    {"-s /s --history=8KB", P "--history=8KB: " HISTORY},
    {"-s /s --history=K", P "--history=K: " HISTORY},
    {"-s /s --history=17179869185G", P "--history=17179869185G: " HISTORY},
    {"-s /s --socket-mode=1000", P "--socket-mode=1000: " MODE},
    {"-s /s --socket-mode=0888", P "--socket-mode=0888: " MODE},
    {"-s /s --socket-mode=u+x", P "--socket-mode=u+x: " MODE},
    {"-s /s --client-mode=rw", P "--client-mode=rw: " MODE},
    {"-s /s --client-group=no-such-group",
     P "--client-group=no-such-group: takes the name or number of a group\n"},
    {"-s /s --socket-group=no-such-group",
     P "--socket-group=no-such-group: takes the name or number of a group\n"},
    {"-s /s --listen-address=localhost", P "--listen-address=localhost: " ADDRESS},
    {"-s /s --listen-address=1.2.3", P "--listen-address=1.2.3: " ADDRESS},
    {"-s /s --log-level=loud", P "--log-level=loud: takes error, warning, info or debug\n"},
    {"-s /s -b tty", P "--backend=tty: takes a kind of backend, see --help\n"},
    {"-s /s -b uds", P "--uds-path: is required with --backend=uds; it takes a path\n"},
    {"-s /s -b pty", P "--pty: is required with --backend=pty; it takes a path\n"},
    {"-s /s --pty=", P "--pty=: takes a path\n"},
    {"-s /s --uds-path=", P "--uds-path=: takes a path\n"},
    {"-s /s --log-file=/dev/fd/7",
     P "--log-file=/dev/fd/7: takes a path; of this process's descriptors only 1 and 2\n"},
    {"-s /s --log-file=",
     P "--log-file=: takes a path; of this process's descriptors only 1 and 2\n"},
    {"-s /s --tcp-protocol=ssh", P "--tcp-protocol=ssh: takes raw or telnet\n"},
    {"-s /s --telnet-break=x", P "--telnet-break=x: takes ignore or sysrq\n"},
    {"-s /s --escape-key=^[", P "--escape-key=^[: takes ^ and a character of @A-Z\\]^_, or none\n"},
    {"-s /s --resize-order=rows", P "--resize-order=rows: takes cols-rows or rows-cols\n"},
    {"-s /s --control-socket=", P "--control-socket=: takes a path\n"},
    {"-s /s --max-ports=0", P "--max-ports=0: " PORTS},
    {"-s /s --max-ports=32", P "--max-ports=32: " PORTS},
    {"-s /s --max-ports=x", P "--max-ports=x: " PORTS},
    {"-s /s --port", P "--port: takes KEY=VALUE,..., and is given at most 31 times\n"},
    {"-s /s --access=all", P "--access=all: takes shared, exclusive, watch or single\n"},
    {"--fd=0", P "--fd=0: " NUMBER},
    {"--fd=2", P "--fd=2: " NUMBER},
    {"--fd=x", P "--fd=x: " NUMBER},
    {"--fd=-1", P "--fd=-1: " NUMBER},
    {"--fd=2147483648", P "--fd=2147483648: " NUMBER},
    {"--fd", P "--fd: " NUMBER},
};

TEST(wrong_values_are_told_in_one_line)
{
	for (size_t i = 0; i < ROWS(wrong_values); i++) {
		if (parse(wrong_values[i].line) != OPTIONS_USAGE ||
		    strcmp(err, wrong_values[i].error) != 0)
			fail_msg("'%s' gives '%s', not '%s'", wrong_values[i].line, err,
			         wrong_values[i].error);
		assert_string_equal(out, "");
	}
	assert_int_equal(OPTIONS_USAGE_EXIT, 2);
}

TEST(what_does_not_go_together_is_told_in_one_line)
{
	static const struct {
		const char *line, *named, *also;
	} rows[] = {
	    {"-s /s --fd=3", "--fd", "--socket-path"},
	    {"--fd=3 -c 2", "--fd", "--socket-count=2"},
	    {"-s /s -c 2", "--backend=nested", "--socket-count=2"},
	    {"-s /s -c 2 -b nested", "--backend=nested", "--socket-count=2"},
	    {"-s /s -b network -p 65535 -c 2", "--tcp-port=65535", "--socket-count=2"},
	    {"-s /s -b network -p 2 -c 65535", "--tcp-port=2", "--socket-count=65535"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(parse(rows[i].line), OPTIONS_USAGE);
		if (!strstr(err, rows[i].named) || !strstr(err, rows[i].also) ||
		    strchr(err, '\n') != err + strlen(err) - 1)
			fail_msg("'%s' gives '%s'", rows[i].line, err);
	}
}

TEST(what_is_no_option_is_told_in_one_line)
{
	static const struct {
		const char *line, *error;
	} rows[] = {
	    {"-s /s --what", P "--what: " NONE},
	    {"-s /s --what=x", P "--what=x: " NONE},
	    /* Abbreviations would break the day another option makes them ambiguous. */
	    {"--socket-p=/s", P "--socket-p=/s: " NONE},
	    {"--socket-pat /s", P "--socket-pat: " NONE},
	    {"-s /s --back=network", P "--back=network: " NONE},
	    {"-s /s -x", P "-x: " NONE},
	    {"-s /s extra", P "extra: not an option\n"},
	    {"-s /s -- --help", P "--help: not an option\n"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		if (parse(rows[i].line) != OPTIONS_USAGE || strcmp(err, rows[i].error) != 0)
			fail_msg("'%s' gives '%s', not '%s'", rows[i].line, err, rows[i].error);
	}
}

TEST(abbreviations_are_refused_behind_other_arguments_too)
{
	assert_int_equal(parse("extra --socket-p=/s"), OPTIONS_USAGE);
	assert_int_equal(parse("- --vers"), OPTIONS_USAGE);
	assert_string_equal(out, "");
}

/* A value that an option doesn't take: the line has to say so of an option that there is. */
TEST(a_value_where_none_belongs_is_not_called_an_unknown_option)
{
	static const char *const lines[] = {"--help=x", "--version=1"};

	for (size_t i = 0; i < ROWS(lines); i++) {
		assert_int_equal(parse(lines[i]), OPTIONS_USAGE);
		if (strstr(err, "no such option"))
			fail_msg("'%s' gives '%s'", lines[i], err);
	}
}

TEST(help_names_every_option_and_backend)
{
	static const char *const parts[] = {
	    "-s, --socket-path=",
	    "-c, --socket-count=",
	    "-p, --tcp-port=",
	    "-b, --backend=",
	    "-q, --max-queue-size=",
	    "--fd=",
	    "--socket-mode=",
	    "--socket-group=",
	    "--client-mode=",
	    "--client-group=",
	    "--listen-address=",
	    "--history=",
	    "--log-level=",
	    "--print-capabilities",
	    "-h, --help",
	    "-V, --version",
	    "nested",
	    "network",
	    "--tcp-protocol=",
	    "--telnet-break=",
	    "--escape-key=",
	    "--access=",
	    "--uds-path=",
	    "--log-file=",
	    "--pty=",
	    "uds",
	    "--port=",
	    "--max-ports=",
	    "--resize-order=",
	    "--control-socket=",
	    "name=NAME",
	    "type=console|data",
	    "backend=KIND",
	    "tcp-port=PORT",
	    "tcp-protocol=NAME",
	    "uds-path=PATH",
	    "log-file=PATTERN",
	    "history=BYTES",
	    "pty",
	};
	static const char *const lines[] = {"--help", "-h", "-s /s -h"};

	for (size_t i = 0; i < ROWS(lines); i++) {
		assert_int_equal(parse(lines[i]), OPTIONS_DONE);
		assert_string_equal(err, "");
		for (size_t k = 0; k < ROWS(parts); k++) {
			if (!strstr(out, parts[k]))
				fail_msg("help doesn't tell of %s", parts[k]);
		}
	}
}

TEST(the_escape_key_is_a_control_character_or_none)
{
	static const struct {
		const char *line;
		int key;
	} rows[] = {
	    {"-s /s", 0x1d},
	    {"-s /s --escape-key=^A", 0x01},
	    {"-s /s -e^t", 0x14},
	    {"-s /s -e none", -1},
	    {"-s /s --port backend=nested --escape-key=^A", 0x01},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(parse(rows[i].line), OPTIONS_RUN);
		assert_int_equal(config.guests[0].ports[0].place.escape_key, rows[i].key);
		options_free(&config);
	}
}

TEST(help_fits_a_hundred_columns)
{
	char *line, *rest = out;

	assert_int_equal(parse("--help"), OPTIONS_DONE);
	while ((line = strsep(&rest, "\n"))) {
		if (strlen(line) > 100)
			fail_msg("too long: %s", line);
	}
}

TEST(the_control_socket_is_one_for_all_guests)
{
	assert_int_equal(parse("-s /s -b null -c 2 --control-socket=/c"), OPTIONS_RUN);
	assert_string_equal(config.control_path, "/c");
	options_free(&config);
	assert_int_equal(parse("-s /s"), OPTIONS_RUN);
	assert_null(config.control_path);
	options_free(&config);
}

TEST(the_version_is_one_line)
{
	static const char *const lines[] = {"--version", "-V"};

	for (size_t i = 0; i < ROWS(lines); i++) {
		assert_int_equal(parse(lines[i]), OPTIONS_DONE);
		assert_string_equal(out, "vhost-user-console " PROGRAM_VERSION "\n");
	}
}

/* vhost-user, "Backend program conventions": all else is ignored beside it. */
TEST(capabilities_are_json_whatever_else_is_asked)
{
	static const char *const lines[] = {"--print-capabilities",
	                                    "--print-capabilities --what -x extra",
	                                    "-c 0 --print-capabilities", "-h --print-capabilities"};

	for (size_t i = 0; i < ROWS(lines); i++) {
		assert_int_equal(parse(lines[i]), OPTIONS_DONE);
		assert_string_equal(err, "");
		assert_non_null(strstr(out, "\"type\": \"console\""));
		assert_int_equal(out[0], '{');
		assert_string_equal(out + strlen(out) - 2, "}\n");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(the_defaults_are_those_of_the_program_it_stands_in_for),
	    UNIT(each_guest_has_its_number_in_path_and_port),
	    UNIT(guests_share_what_may_be_mapped),
	    UNIT(every_way_of_writing_an_option_means_the_same),
	    UNIT(values_are_taken),
	    UNIT(addresses_are_taken),
	    UNIT(links_to_terminals_have_the_guests_numbers),
	    UNIT(paths_of_guests_have_their_numbers),
	    UNIT(clients_are_spoken_to_as_told),
	    UNIT(a_descriptor_takes_the_place_of_a_path),
	    UNIT(wrong_values_are_told_in_one_line),
	    UNIT(what_does_not_go_together_is_told_in_one_line),
	    UNIT(what_is_no_option_is_told_in_one_line),
	    UNIT(abbreviations_are_refused_behind_other_arguments_too),
	    UNIT(a_value_where_none_belongs_is_not_called_an_unknown_option),
	    UNIT(help_names_every_option_and_backend),
	    UNIT(the_escape_key_is_a_control_character_or_none),
	    UNIT(help_fits_a_hundred_columns),
	    UNIT(the_control_socket_is_one_for_all_guests),
	    UNIT(the_version_is_one_line),
	    UNIT(capabilities_are_json_whatever_else_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
