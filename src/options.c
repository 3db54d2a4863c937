/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "options.h"

#include "base/macros.h"
#include "port_spec.h"
#include "settings.h"
#include "values.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "vhost-user-console"

#define COUNT_MAX 65535u
/* As virtio has it. */
#define QUEUE_SIZE_MAX   32768u
#define QUEUE_SIZE_MAX_S "32768"
#define PORTS_MAX_S      "31"

/* Values. Each function returns whether the text is one. */

static bool set_socket_path(struct settings *settings, const char *value)
{
	return values_path(value, &settings->socket_path);
}

static bool set_socket_count(struct settings *settings, const char *value)
{
	return values_whole(value, 1, COUNT_MAX, &settings->socket_count);
}

static bool set_tcp_port(struct settings *settings, const char *value)
{
	return values_tcp_port(value, &settings->tcp_port);
}

static bool set_backend(struct settings *settings, const char *value)
{
	return values_backend(value, &settings->backend);
}

static bool set_max_queue_size(struct settings *settings, const char *value)
{
	uint64_t size;

	if (!values_whole(value, 1, QUEUE_SIZE_MAX, &size) || (size & (size - 1)) != 0)
		return false;
	settings->max_queue_size = (uint32_t)size;
	return true;
}

static bool set_fd(struct settings *settings, const char *value)
{
	uint64_t fd;

	if (!values_whole(value, 3, INT_MAX, &fd))
		return false;
	settings->fd = (int)fd;
	return true;
}

static bool take_mode(const char *value, mode_t *ret_mode)
{
	const char *end;
	uint64_t mode;

	if (!values_number(value, 0777, 8, &end, &mode) || *end != '\0')
		return false;
	*ret_mode = (mode_t)mode;
	return true;
}

static bool take_group(const char *value, gid_t *ret_group)
{
	const struct group *group = getgrnam(value);
	uint64_t gid;

	if (group) {
		*ret_group = group->gr_gid;
		return true;
	}
	if (!values_whole(value, 0, UINT32_MAX - 1, &gid))
		return false;
	*ret_group = (gid_t)gid;
	return true;
}

static bool set_socket_mode(struct settings *settings, const char *value)
{
	return take_mode(value, &settings->socket_mode);
}

static bool set_socket_group(struct settings *settings, const char *value)
{
	return take_group(value, &settings->socket_group);
}

static bool set_client_mode(struct settings *settings, const char *value)
{
	return take_mode(value, &settings->client_mode);
}

static bool set_client_group(struct settings *settings, const char *value)
{
	return take_group(value, &settings->client_group);
}

static bool set_listen_address(struct settings *settings, const char *value)
{
	struct in6_addr addr;

	settings->listen_address = value;
	return inet_pton(AF_INET, value, &addr) == 1 || inet_pton(AF_INET6, value, &addr) == 1;
}

static bool set_tcp_protocol(struct settings *settings, const char *value)
{
	return values_tcp_protocol(value, &settings->protocol.telnet);
}

static bool set_telnet_break(struct settings *settings, const char *value)
{
	settings->protocol.break_is_sysrq = strcmp(value, "sysrq") == 0;
	return settings->protocol.break_is_sysrq || strcmp(value, "ignore") == 0;
}

static bool set_access(struct settings *settings, const char *value)
{
	return values_access(value, &settings->access);
}

static bool set_escape_key(struct settings *settings, const char *value)
{
	return escape_key_parse(value, &settings->escape_key);
}

static bool set_uds_path(struct settings *settings, const char *value)
{
	return values_path(value, &settings->uds_path);
}

static bool set_pty(struct settings *settings, const char *value)
{
	return values_path(value, &settings->pty_path);
}

static bool set_log_file(struct settings *settings, const char *value)
{
	return values_log_file(value, &settings->log_file);
}

static bool set_history(struct settings *settings, const char *value)
{
	return values_history(value, &settings->history);
}

static bool add_port(struct settings *settings, const char *value)
{
	if (settings->ports_count == CONFIG_PORTS_MAX)
		return false;
	settings->ports[settings->ports_count++] = value;
	return true;
}

static bool set_max_ports(struct settings *settings, const char *value)
{
	return values_whole(value, 1, CONFIG_PORTS_MAX, &settings->max_ports);
}

static bool set_resize_order(struct settings *settings, const char *value)
{
	settings->resize_rows_first = strcmp(value, "rows-cols") == 0;
	return settings->resize_rows_first || strcmp(value, "cols-rows") == 0;
}

static bool set_control_socket(struct settings *settings, const char *value)
{
	return values_path(value, &settings->control_path);
}

static bool set_log_level(struct settings *settings, const char *value)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], value) == 0) {
			settings->log_level = (enum log_level)i;
			settings->log_level_given = true;
			return true;
		}
	}
	return false;
}

/* The options, in the order of --help. */

struct option_type {
	const char *name;
	char letter; /* 0: none */
	const char *value;
	const char *takes; /* completes "--name=value: takes ..." */
	const char *help;
	bool (*set)(struct settings *settings, const char *value);
	void (*print)(void); /* instead of `set`: prints something, and that is all */
};

static void print_help(void);
static void print_version(void);
static void print_capabilities(void);

static const struct option_type option_types[] = {
    {"socket-path", 's', "PATH", VALUES_PATH_TAKES,
     "socket for frontends; each guest's number is appended, from 0", .set = set_socket_path},
    {"socket-count", 'c', "N", "a number of guests from 1 to 65535", "number of guests [1]",
     .set = set_socket_count},
    {"tcp-port", 'p', "PORT", VALUES_TCP_PORT_TAKES,
     "TCP port of the first guest; the others' follow [12345]", .set = set_tcp_port},
    {"backend", 'b', "KIND", VALUES_BACKEND_TAKES,
     "how people reach the console, one of those below [nested]", .set = set_backend},
    {"max-queue-size", 'q', "N", "a power of two up to " QUEUE_SIZE_MAX_S,
     "largest vring that is accepted, a power of two [1024]", .set = set_max_queue_size},
    {"fd", 0, "N", "the number of an open descriptor from 3 on",
     "a socket instead of --socket-path, listening or connected", .set = set_fd},
    {"socket-mode", 0, "MODE", "an octal file mode up to 0777",
     "permissions of the frontends' sockets [0600]", .set = set_socket_mode},
    {"socket-group", 0, "GROUP", "the name or number of a group",
     "group of the frontends' sockets [the process's]", .set = set_socket_group},
    {"client-mode", 0, "MODE", "an octal file mode up to 0777",
     "permissions of clients' Unix sockets and terminals [0600]", .set = set_client_mode},
    {"client-group", 0, "GROUP", "the name or number of a group",
     "group of clients' Unix sockets and terminals [the process's]", .set = set_client_group},
    {"listen-address", 0, "ADDRESS", "a numeric IPv4 or IPv6 address",
     "where TCP clients connect, who need no password [127.0.0.1]", .set = set_listen_address},
    {"tcp-protocol", 0, "NAME", VALUES_TCP_PROTOCOL_TAKES, "how TCP clients are spoken to [raw]",
     .set = set_tcp_protocol},
    {"telnet-break", 0, "WHAT", "ignore or sysrq",
     "what telnet's BREAK is to the guest; sysrq: byte 0x0f [ignore]", .set = set_telnet_break},
    {"access", 0, "WHO", VALUES_ACCESS_TAKES,
     "who of several clients may write; data ports: single [shared]", .set = set_access},
    {"escape-key", 'e', "KEY", ESCAPE_KEY_TAKES,
     "key that begins a command in the nested backend; or none [^]]", .set = set_escape_key},
    {"uds-path", 0, "PATH", VALUES_PATH_TAKES,
     "Unix socket for clients; the guest's number is appended", .set = set_uds_path},
    {"pty", 0, "PATH", VALUES_PATH_TAKES,
     "link to the pseudo terminal; the guest's number is appended", .set = set_pty},
    {"log-file", 0, "PATTERN", VALUES_LOG_FILE_TAKES,
     "files for all output; %i is the guest's number, else it is appended", .set = set_log_file},
    {"port", 0, "SPEC", "KEY=VALUE,..., and is given at most " PORTS_MAX_S " times",
     "a port of each guest, see below; up to " PORTS_MAX_S " times [one console]", .set = add_port},
    {"max-ports", 0, "N", "a number of ports from 1 to " PORTS_MAX_S,
     "ports a guest can get, with those added later [the ports given]", .set = set_max_ports},
    {"resize-order", 0, "ORDER", "cols-rows or rows-cols",
     "how guests with --port are told a window's size [cols-rows]", .set = set_resize_order},
    {"control-socket", 0, "PATH", VALUES_PATH_TAKES, "Unix socket for controlling this process",
     .set = set_control_socket},
    {"history", 0, "BYTES", VALUES_HISTORY_TAKES,
     "output kept for each port, up to a power of two [256K]", .set = set_history},
    {"log-level", 0, "LEVEL", "error, warning, info or debug",
     "what to log [info; warning with the nested backend]", .set = set_log_level},
    {"print-capabilities", 0, NULL, NULL, "print what this backend is, as JSON",
     .print = print_capabilities},
    {"help", 'h', NULL, NULL, "print this", .print = print_help},
    {"version", 'V', NULL, NULL, "print the version", .print = print_version},
};

#define OPTIONS_COUNT ARRAY_SIZE(option_types)

/* In lines of at most 100 columns. */
static void print_port_keys(void)
{
	const char *name, *value;
	int column = 0;

	printf("\nA port's SPEC is KEY=VALUE,... of these; a comma in a value is written twice:\n");
	for (unsigned int i = 0; (name = port_spec_key(i, &value)); i++) {
		if (column + (int)strlen(name) + (int)strlen(value) + 2 > 100)
			column = 0 * printf("\n");
		column += printf("%s%s=%s", column ? " " : "  ", name, value);
	}
	printf("\nWhat it doesn't say is as the options say.\n");
}

static void print_help(void)
{
	printf("Usage: " PROGRAM " --socket-path=PATH [OPTION...]\n"
	       "Serves the virtio consoles of virtual machines by vhost-user.\n\n");
	for (unsigned int i = 0; i < OPTIONS_COUNT; i++) {
		const struct option_type *type = &option_types[i];
		char left[40], letter[] = {'-', type->letter, ',', ' ', '\0'};

		snprintf(left, sizeof(left), "%s--%s%s%s", type->letter ? letter : "    ",
		         type->name, type->value ? "=" : "", type->value ? type->value : "");
		printf("  %-30s %s\n", left, type->help);
	}
	printf("\nBackends:\n");
	for (const struct backend_kind *kind = backend_kinds; kind->name; kind++)
		printf("  %-30s %s\n", kind->name, kind->help);
	print_port_keys();
}

static void print_version(void)
{
	printf(PROGRAM " " PROGRAM_VERSION "\n");
}

/* vhost-user, "Backend program conventions". */
static void print_capabilities(void)
{
	printf("{\"type\": \"console\"}\n");
}

/* Reading them. */

static enum options_result usage_error(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static enum options_result usage_error(const char *format, ...)
{
	char *line;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&line, format, args);
	va_end(args);
	if (n < 0) {
		fputs(PROGRAM ": no memory\n", stderr);
		return OPTIONS_USAGE;
	}
	/* It stays one line, whatever was in the arguments. */
	for (char *c = line; *c; c++)
		*c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
	fprintf(stderr, PROGRAM ": %s\n", line);
	free(line);
	return OPTIONS_USAGE;
}

/* getopt_long() takes abbreviations, which would break the day a new option makes them ambiguous.
 */
static bool is_whole_name(const char *arg)
{
	size_t len = strcspn(arg, "=");

	for (unsigned int i = 0; i < OPTIONS_COUNT; i++) {
		if (strlen(option_types[i].name) == len &&
		    memcmp(option_types[i].name, arg, len) == 0)
			return true;
	}
	return false;
}

/* QEMU's conventions: whatever else is asked for doesn't count beside --print-capabilities. */
static bool wants_capabilities(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--print-capabilities") == 0)
			return true;
	}
	return false;
}

static void fill_getopt(struct option long_options[OPTIONS_COUNT + 1],
                        char letters[2 * OPTIONS_COUNT + 3])
{
	/* No permuting, so that the argument at optind is the one that is read next. */
	*letters++ = '+';
	*letters++ = ':';
	for (unsigned int i = 0; i < OPTIONS_COUNT; i++) {
		const struct option_type *type = &option_types[i];

		long_options[i] = (struct option){
		    .name = type->name,
		    .has_arg = type->value ? required_argument : no_argument,
		    .val = UCHAR_MAX + 1 + (int)i,
		};
		if (type->letter)
			*letters++ = type->letter;
		if (type->letter && type->value)
			*letters++ = ':';
	}
	long_options[OPTIONS_COUNT] = (struct option){0};
	*letters = '\0';
}

/* The option that getopt_long() returned `c` for; NULL if there is none. */
static const struct option_type *find_type(int c)
{
	for (unsigned int i = 0; i < OPTIONS_COUNT; i++) {
		if (c == UCHAR_MAX + 1 + (int)i || (c != 0 && c == option_types[i].letter))
			return &option_types[i];
	}
	return NULL;
}

static enum options_result read_option(int c, const char *arg, struct settings *settings)
{
	const struct option_type *type = find_type(c == ':' || c == '?' ? optopt : c);

	if (!type)
		return usage_error("%s: no such option; --help shows what there is", arg);
	if (c == '?')
		return usage_error("--%s: takes no value", type->name);
	if (c == ':')
		return usage_error("--%s: takes %s", type->name, type->takes);
	if (type->print) {
		type->print();
		return OPTIONS_DONE;
	}
	if (!type->set(settings, optarg))
		return usage_error("--%s=%s: takes %s", type->name, optarg, type->takes);
	return OPTIONS_RUN;
}

static enum options_result read_options(int argc, char **argv, struct settings *settings)
{
	struct option long_options[OPTIONS_COUNT + 1];
	char letters[2 * OPTIONS_COUNT + 3];

	fill_getopt(long_options, letters);
	opterr = 0;
	optind = 0; /* begins anew, also in a process that has parsed before */
	for (;;) {
		int at = MAX(optind, 1);
		const char *arg = at < argc ? argv[at] : "";
		enum options_result r;
		int c;

		if (strncmp(arg, "--", 2) == 0 && arg[2] && !is_whole_name(arg + 2))
			return usage_error("%s: no such option; --help shows what there is", arg);
		c = getopt_long(argc, argv, letters, long_options, NULL);
		if (c == -1)
			break;
		r = read_option(c, arg, settings);
		if (r != OPTIONS_RUN)
			return r;
	}
	if (optind < argc)
		return usage_error("%s: not an option", argv[optind]);
	return OPTIONS_RUN;
}

enum options_result options_parse(int argc, char **argv, struct config *ret_config)
{
	struct settings settings = {
	    .socket_count = 1,
	    .tcp_port = 12345,
	    .backend = &backend_kinds[0],
	    .max_queue_size = 1024,
	    .fd = -1,
	    .socket_mode = 0600,
	    .socket_group = (gid_t)-1,
	    .client_mode = 0600,
	    .client_group = (gid_t)-1,
	    .listen_address = "127.0.0.1",
	    .escape_key = ESCAPE_KEY_DEFAULT,
	    .history = 256 * 1024,
	};
	char error[SETTINGS_ERROR_MAX];
	enum options_result r;

	if (wants_capabilities(argc, argv)) {
		print_capabilities();
		return OPTIONS_DONE;
	}
	r = read_options(argc, argv, &settings);
	if (r == OPTIONS_RUN && !settings_make_config(&settings, ret_config, error))
		return usage_error("%s", error);
	return r;
}

void options_free(struct config *config)
{
	config_deinit(config);
}
