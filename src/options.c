/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "options.h"

#include "base/macros.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "vhost-user-console"

#define COUNT_MAX   65535u
#define HISTORY_MIN 4096u
#define HISTORY_MAX (1ull << 30)
/* As virtio has it. */
#define QUEUE_SIZE_MAX   32768u
#define QUEUE_SIZE_MAX_S "32768"

/* What the options say, before it becomes one configuration a guest. */
struct options {
	const char *socket_path;
	uint64_t socket_count;
	uint64_t tcp_port;
	const struct backend_kind *backend;
	uint64_t max_queue_size;
	int fd;
	mode_t socket_mode;
	gid_t socket_group;
	const char *listen_address;
	struct client_protocol protocol;
	const char *uds_path;
	const char *pty_path;
	const char *log_file;
	uint64_t history;
	enum log_level log_level;
	bool log_level_given;
};

/* Values. Each returns whether the text is one. */

static bool parse_number(const char *text, uint64_t max, int base, const char **ret_end,
                         uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, base);
	*ret_end = end;
	/* strtoull() would take a sign or a space. */
	return text[0] >= '0' && text[0] <= '9' && errno == 0 && *ret <= max;
}

static bool parse_whole(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	const char *end;

	return parse_number(text, max, 10, &end, ret) && *end == '\0' && *ret >= min;
}

static bool set_socket_path(struct options *options, const char *value)
{
	options->socket_path = value;
	return value[0] != '\0';
}

static bool set_socket_count(struct options *options, const char *value)
{
	return parse_whole(value, 1, COUNT_MAX, &options->socket_count);
}

static bool set_tcp_port(struct options *options, const char *value)
{
	return parse_whole(value, 1, UINT16_MAX, &options->tcp_port);
}

static bool set_backend(struct options *options, const char *value)
{
	for (const struct backend_kind *kind = backend_kinds; kind->name; kind++) {
		if (strcmp(kind->name, value) == 0) {
			options->backend = kind;
			return true;
		}
	}
	return false;
}

static bool set_max_queue_size(struct options *options, const char *value)
{
	uint64_t *size = &options->max_queue_size;

	return parse_whole(value, 1, QUEUE_SIZE_MAX, size) && (*size & (*size - 1)) == 0;
}

static bool set_fd(struct options *options, const char *value)
{
	uint64_t fd;

	if (!parse_whole(value, 3, INT_MAX, &fd))
		return false;
	options->fd = (int)fd;
	return true;
}

static bool set_socket_mode(struct options *options, const char *value)
{
	const char *end;
	uint64_t mode;

	if (!parse_number(value, 0777, 8, &end, &mode) || *end != '\0')
		return false;
	options->socket_mode = (mode_t)mode;
	return true;
}

static bool set_socket_group(struct options *options, const char *value)
{
	const struct group *group = getgrnam(value);
	uint64_t gid;

	if (group) {
		options->socket_group = group->gr_gid;
		return true;
	}
	if (!parse_whole(value, 0, UINT32_MAX - 1, &gid))
		return false;
	options->socket_group = (gid_t)gid;
	return true;
}

static bool set_listen_address(struct options *options, const char *value)
{
	struct in6_addr addr;

	options->listen_address = value;
	return inet_pton(AF_INET, value, &addr) == 1 || inet_pton(AF_INET6, value, &addr) == 1;
}

static bool set_tcp_protocol(struct options *options, const char *value)
{
	options->protocol.telnet = strcmp(value, "telnet") == 0;
	return options->protocol.telnet || strcmp(value, "raw") == 0;
}

static bool set_telnet_break(struct options *options, const char *value)
{
	options->protocol.break_is_sysrq = strcmp(value, "sysrq") == 0;
	return options->protocol.break_is_sysrq || strcmp(value, "ignore") == 0;
}

static bool set_uds_path(struct options *options, const char *value)
{
	options->uds_path = value;
	return value[0] != '\0';
}

static bool set_pty(struct options *options, const char *value)
{
	options->pty_path = value;
	return value[0] != '\0';
}

static bool set_log_file(struct options *options, const char *value)
{
	options->log_file = value;
	return value[0] != '\0';
}

static bool set_history(struct options *options, const char *value)
{
	static const char units[] = "KMG";
	uint64_t number, bytes = HISTORY_MIN;
	const char *end, *unit;

	if (!parse_number(value, HISTORY_MAX, 10, &end, &number))
		return false;
	unit = *end ? strchr(units, *end) : NULL;
	if (*end && (!unit || end[1]))
		return false;
	number <<= unit ? 10 * (unit - units + 1) : 0;
	if (number < HISTORY_MIN || number > HISTORY_MAX)
		return false;
	while (bytes < number)
		bytes *= 2;
	options->history = bytes;
	return true;
}

static bool set_log_level(struct options *options, const char *value)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], value) == 0) {
			options->log_level = (enum log_level)i;
			options->log_level_given = true;
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
	bool (*set)(struct options *options, const char *value);
	void (*print)(void); /* instead of `set`: prints something, and that is all */
};

static void print_help(void);
static void print_version(void);
static void print_capabilities(void);

static const struct option_type option_types[] = {
    {"socket-path", 's', "PATH", "a path",
     "socket for frontends; the guest's number is appended, 0 for the first",
     .set = set_socket_path},
    {"socket-count", 'c', "N", "a number of guests from 1 to 65535", "number of guests [1]",
     .set = set_socket_count},
    {"tcp-port", 'p', "PORT", "a port from 1 to 65535",
     "TCP port of the first guest; the others' follow [12345]", .set = set_tcp_port},
    {"backend", 'b', "KIND", "a kind of backend, see --help",
     "how people reach the console, one of those below [nested]", .set = set_backend},
    {"max-queue-size", 'q', "N", "a power of two up to " QUEUE_SIZE_MAX_S,
     "largest vring that is accepted, a power of two [1024]", .set = set_max_queue_size},
    {"fd", 0, "N", "the number of an open descriptor from 3 on",
     "a socket instead of --socket-path, listening or connected", .set = set_fd},
    {"socket-mode", 0, "MODE", "an octal file mode up to 0777",
     "permissions of the Unix sockets [0600]", .set = set_socket_mode},
    {"socket-group", 0, "GROUP", "the name or number of a group",
     "group of the Unix sockets [the process's]", .set = set_socket_group},
    {"listen-address", 0, "ADDRESS", "a numeric IPv4 or IPv6 address",
     "where TCP clients connect; they aren't asked who they are [127.0.0.1]",
     .set = set_listen_address},
    {"tcp-protocol", 0, "NAME", "raw or telnet", "how TCP clients are spoken to [raw]",
     .set = set_tcp_protocol},
    {"telnet-break", 0, "WHAT", "ignore or sysrq",
     "what telnet's BREAK is to the guest, sysrq being the byte 0x0f [ignore]",
     .set = set_telnet_break},
    {"uds-path", 0, "PATH", "a path", "Unix socket for clients; the guest's number is appended",
     .set = set_uds_path},
    {"pty", 0, "PATH", "a path", "link to the pseudo terminal; the guest's number is appended",
     .set = set_pty},
    {"log-file", 0, "PATTERN", "a path",
     "keep all output in files; %i is the guest's number, else it is appended",
     .set = set_log_file},
    {"history", 0, "BYTES", "4096 to 1G bytes; K, M and G are understood",
     "output kept for each guest, up to a power of two [256K]", .set = set_history},
    {"log-level", 0, "LEVEL", "error, warning, info or debug",
     "what to log [info; warning with the nested backend]", .set = set_log_level},
    {"print-capabilities", 0, NULL, NULL, "print what this backend is, as JSON",
     .print = print_capabilities},
    {"help", 'h', NULL, NULL, "print this", .print = print_help},
    {"version", 'V', NULL, NULL, "print the version", .print = print_version},
};

#define OPTIONS_COUNT ARRAY_SIZE(option_types)

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

#define usage_error(...)                                                                           \
	(fprintf(stderr, PROGRAM ": " __VA_ARGS__), fputc('\n', stderr), OPTIONS_USAGE)

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

static enum options_result read_option(int c, const char *arg, struct options *options)
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
	if (!type->set(options, optarg))
		return usage_error("--%s=%s: takes %s", type->name, optarg, type->takes);
	return OPTIONS_RUN;
}

static enum options_result read_options(int argc, char **argv, struct options *options)
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
		r = read_option(c, arg, options);
		if (r != OPTIONS_RUN)
			return r;
	}
	if (optind < argc)
		return usage_error("%s: not an option", argv[optind]);
	return OPTIONS_RUN;
}

/* What only shows with all options at hand. */
static enum options_result judge(const struct options *options)
{
	if (!options->socket_path && options->fd < 0)
		return usage_error("--socket-path: is required; it takes a path");
	if (options->socket_path && options->fd >= 0)
		return usage_error("--fd: takes the place of --socket-path, give one of them");
	if (options->fd >= 0 && options->socket_count != 1)
		return usage_error("--fd: takes one guest, not --socket-count=%llu",
		                   (unsigned long long)options->socket_count);
	if (options->backend->single && options->socket_count != 1)
		return usage_error("--backend=%s: takes one guest, not --socket-count=%llu",
		                   options->backend->name,
		                   (unsigned long long)options->socket_count);
	if (options->backend->tcp && options->tcp_port + options->socket_count - 1 > UINT16_MAX)
		return usage_error("--tcp-port=%llu: takes a port that leaves room up to 65535 "
		                   "for all of --socket-count=%llu",
		                   (unsigned long long)options->tcp_port,
		                   (unsigned long long)options->socket_count);
	if (options->backend->uds && !options->uds_path)
		return usage_error("--uds-path: is required with --backend=%s; it takes a path",
		                   options->backend->name);
	if (options->backend->pty && !options->pty_path)
		return usage_error("--pty: is required with --backend=%s; it takes a path",
		                   options->backend->name);
	return OPTIONS_RUN;
}

/* The configuration. */

/* Every path of the command line is a guest's with its number appended. */
static bool append_number(const char *path, unsigned int i, char **ret)
{
	return !path || asprintf(ret, "%s%u", path, i) >= 0;
}

/* The same, but that "%i" stands for the number where it is. */
static bool insert_number(const char *pattern, unsigned int i, char **ret)
{
	const char *place = pattern ? strstr(pattern, "%i") : NULL;

	if (!place)
		return append_number(pattern, i, ret);
	return asprintf(ret, "%.*s%u%s", (int)(place - pattern), pattern, i, place + 2) >= 0;
}

static bool fill_port(const struct options *options, unsigned int i, struct port_config *port)
{
	*port = (struct port_config){
	    .backend = options->backend,
	    .place =
		{
		    .address = options->listen_address,
		    .tcp_port = (uint16_t)(options->tcp_port + i),
		    .protocol = options->protocol,
		    .mode = options->socket_mode,
		    .group = options->socket_group,
		},
	    .history = options->history,
	};
	return append_number(options->uds_path, i, &port->place.uds_path) &&
	       append_number(options->pty_path, i, &port->place.pty_path) &&
	       insert_number(options->log_file, i, &port->log_path);
}

static bool fill_guest(const struct options *options, unsigned int i, struct guest_config *guest)
{
	*guest = (struct guest_config){
	    .fd = options->fd,
	    .socket_mode = options->socket_mode,
	    .socket_group = options->socket_group,
	    .max_queue_size = (uint32_t)options->max_queue_size,
	    .max_ports = 1,
	    .ports = calloc(1, sizeof(*guest->ports)),
	};
	if (!guest->ports)
		return false;
	guest->ports_count = 1;
	return append_number(options->socket_path, i, &guest->socket_path) &&
	       fill_port(options, i, &guest->ports[0]);
}

static enum options_result make_config(const struct options *options, struct config *ret_config)
{
	struct config config = {
	    .log_level =
		options->log_level_given ? options->log_level : options->backend->log_level,
	};

	unsigned int filled = 0;

	config.guests = calloc(options->socket_count, sizeof(*config.guests));
	for (unsigned int i = 0; config.guests && i < options->socket_count; i++) {
		config.guests_count++;
		if (!fill_guest(options, i, &config.guests[i]))
			break;
		filled++;
	}
	if (filled < options->socket_count) {
		options_free(&config);
		return usage_error("--socket-count=%llu: no memory for so many guests",
		                   (unsigned long long)options->socket_count);
	}
	*ret_config = config;
	return OPTIONS_RUN;
}

enum options_result options_parse(int argc, char **argv, struct config *ret_config)
{
	struct options options = {
	    .socket_count = 1,
	    .tcp_port = 12345,
	    .backend = &backend_kinds[0],
	    .max_queue_size = 1024,
	    .fd = -1,
	    .socket_mode = 0600,
	    .socket_group = (gid_t)-1,
	    .listen_address = "127.0.0.1",
	    .history = 256 * 1024,
	};
	enum options_result r;

	if (wants_capabilities(argc, argv)) {
		print_capabilities();
		return OPTIONS_DONE;
	}
	r = read_options(argc, argv, &options);
	if (r == OPTIONS_RUN)
		r = judge(&options);
	if (r != OPTIONS_RUN)
		return r;
	return make_config(&options, ret_config);
}

static void free_guest(struct guest_config *guest)
{
	for (unsigned int i = 0; i < guest->ports_count; i++) {
		free(guest->ports[i].place.uds_path);
		free(guest->ports[i].place.pty_path);
		free(guest->ports[i].log_path);
	}
	free(guest->ports);
	free(guest->socket_path);
}

void options_free(struct config *config)
{
	for (unsigned int i = 0; i < config->guests_count; i++) {
		free_guest(&config->guests[i]);
	}
	free(config->guests);
	*config = (struct config){0};
}
