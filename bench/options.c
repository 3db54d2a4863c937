/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "options.h"

#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

/* What runs without options is this program's neighbour. */
#define DEFAULT_COMMAND                                                                            \
	"'%s/vhost-user-console' -s {socket} -c {count} -b network -p {port} --log-level=warning " \
	"{extra}"

enum option_code {
	OPTION_SPAWN = 256,
	OPTION_AGAINST,
	OPTION_SOCKET,
	OPTION_PORT,
	OPTION_COUNT,
	OPTION_PID,
	OPTION_RUNS,
	OPTION_SECONDS,
	OPTION_OPERATIONS,
	OPTION_SIZES,
	OPTION_GUESTS,
	OPTION_RING,
	OPTION_DEPTH,
	OPTION_IDLE,
	OPTION_JSON,
	OPTION_LABEL,
	OPTION_CHECK,
	OPTION_HELP,
};

static const struct option long_options[] = {
    {"spawn", required_argument, NULL, OPTION_SPAWN},
    {"against", required_argument, NULL, OPTION_AGAINST},
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"port", required_argument, NULL, OPTION_PORT},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"pid", required_argument, NULL, OPTION_PID},
    {"runs", required_argument, NULL, OPTION_RUNS},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"operations", required_argument, NULL, OPTION_OPERATIONS},
    {"sizes", required_argument, NULL, OPTION_SIZES},
    {"guests", required_argument, NULL, OPTION_GUESTS},
    {"ring", required_argument, NULL, OPTION_RING},
    {"depth", required_argument, NULL, OPTION_DEPTH},
    {"idle", required_argument, NULL, OPTION_IDLE},
    {"json", required_argument, NULL, OPTION_JSON},
    {"label", required_argument, NULL, OPTION_LABEL},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "usage: vhost-user-console-bench [options] [scenario...]\n"
    "\n"
    "Measures a vhost-user console backend, next to what the machine can do.\n"
    "\n"
    "Which backend (default: the vhost-user-console beside this program):\n"
    "  --spawn COMMAND    start it so for each run; {socket} {count} {port} {extra} are replaced\n"
    "  --against COMMAND  a second one, measured in turn with the first\n"
    "  --socket PREFIX --port PORT --count N   one that runs already;\n"
    "  --pid N            its process, for what it uses\n"
    "How:\n"
    "  --runs N           runs of each measurement, medians are shown (3; 11 with --against)\n"
    "  --seconds S        of a throughput run (1)\n"
    "  --operations N     of an hvc run; a tenth of it where both sides sleep (300000)\n"
    "  --sizes LIST       bytes of buffers (16,64,1K,4K,32K)\n"
    "  --ring N           entries of the guest's rings, a power of two up to 1024 (256)\n"
    "  --depth N          buffers queued, a power of two (the whole ring)\n"
    "  --guests LIST      numbers of guests (1,10,100,1000)\n"
    "  --idle S           how long to watch idle guests (5)\n"
    "  --json FILE        write JSON lines with every value\n"
    "  --label TEXT       goes into the results, e.g. the commit\n"
    "  --check            all scenarios briefly: is the data right? Never how long it takes\n"
    "  --help\n"
    "\n"
    "Scenarios (default: all):\n";

static void refuse(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void refuse(const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "vhost-user-console-bench: ");
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "; --help says more\n");
	exit(2);
}

static void show_help(void)
{
	const struct scenario *scenario;

	fputs(help, stdout);
	for (scenario = scenarios; scenario->name; scenario++)
		printf("  %-10s %s\n", scenario->name, scenario->what);
	exit(0);
}

/* A number with an optional K, all of the text up to `end` (a comma or the end). */
static unsigned long parse_number(const char *option, const char *text, unsigned long least,
                                  unsigned long most, const char **ret_end)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end != text && *end == 'K') {
		value = value > ULONG_MAX / 1024 ? ULONG_MAX : value * 1024;
		end++;
	}
	if (end == text || *text == '-' || (*end && (*end != ',' || !ret_end)))
		refuse("%s: \"%s\" isn't a number", option, text);
	if (value < least || value > most)
		refuse("%s: %lu isn't between %lu and %lu", option, value, least, most);
	if (ret_end)
		*ret_end = *end ? end + 1 : end;
	return value;
}

static unsigned int parse_list(const char *option, const char *text, unsigned long most,
                               uint32_t *ret_values, unsigned int room)
{
	unsigned int count = 0;

	do {
		if (count == room)
			refuse("%s: more than %u numbers", option, room);
		ret_values[count++] = (uint32_t)parse_number(option, text, 1, most, &text);
	} while (*text);
	return count;
}

static double parse_seconds(const char *option, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value > 0) || value > 3600)
		refuse("%s: \"%s\" isn't a number of seconds", option, text);
	return value;
}

static unsigned int parse_power(const char *option, const char *text)
{
	unsigned long power = parse_number(option, text, 1, GUEST_RING_MAX, NULL);

	if (power & (power - 1))
		refuse("%s: %lu isn't a power of two", option, power);
	return (unsigned int)power;
}

/* Which backend. False if the option is about something else. */
static bool take_target_option(struct bench *bench, int code)
{
	struct target *target = &bench->target[0];

	switch (code) {
	case OPTION_SPAWN:
		target->command = optarg;
		return true;
	case OPTION_AGAINST:
		bench->target[1].command = optarg;
		bench->targets = 2;
		return true;
	case OPTION_SOCKET:
		target->socket_prefix = optarg;
		return true;
	case OPTION_PORT:
		target->port = (unsigned int)parse_number("--port", optarg, 1, 65535, NULL);
		return true;
	case OPTION_COUNT:
		target->count = (unsigned int)parse_number("--count", optarg, 1, 65535, NULL);
		return true;
	case OPTION_PID:
		target->pid = (pid_t)parse_number("--pid", optarg, 1, INT_MAX, NULL);
		return true;
	default:
		return false;
	}
}

/* How much is measured. False if the option is about something else. */
static bool take_amount_option(struct bench *bench, int code)
{
	switch (code) {
	case OPTION_RUNS:
		bench->runs = (unsigned int)parse_number("--runs", optarg, 1, SERIES_MAX, NULL);
		return true;
	case OPTION_SECONDS:
		bench->seconds = parse_seconds("--seconds", optarg);
		return true;
	case OPTION_OPERATIONS:
		bench->operations = parse_number("--operations", optarg, 100, 1000000000, NULL);
		return true;
	case OPTION_SIZES:
		bench->sizes =
		    parse_list("--sizes", optarg, PATTERN_PIECE, bench->size, BENCH_SIZES_MAX);
		return true;
	case OPTION_GUESTS:
		bench->guest_counts =
		    parse_list("--guests", optarg, 10000, bench->guests, BENCH_GUESTS_MAX);
		return true;
	case OPTION_RING:
		bench->ring = parse_power("--ring", optarg);
		return true;
	case OPTION_DEPTH:
		bench->depth = parse_power("--depth", optarg);
		return true;
	case OPTION_IDLE:
		bench->idle_seconds = parse_seconds("--idle", optarg);
		return true;
	default:
		return false;
	}
}

static void take_option(struct options *options, int code)
{
	struct bench *bench = &options->bench;

	if (take_target_option(bench, code) || take_amount_option(bench, code))
		return;
	switch (code) {
	case OPTION_JSON:
		options->json_path = optarg;
		break;
	case OPTION_LABEL:
		options->label = optarg;
		break;
	case OPTION_CHECK:
		bench->check = true;
		break;
	case OPTION_HELP:
		show_help();
		break;
	default:
		exit(2);
	}
}

static void take_scenario(struct options *options, const char *name)
{
	unsigned int i;

	for (i = 0; scenarios[i].name && strcmp(scenarios[i].name, name) != 0; i++)
		;
	if (!scenarios[i].name)
		refuse("there is no scenario \"%s\"", name);
	options->wanted[i] = true;
}

static const char *neighbour(void)
{
	static char command[PATH_MAX + 200];
	char path[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (size <= 0)
		refuse("where this program is can't be found out: use --spawn");
	path[size] = '\0';
	*strrchr(path, '/') = '\0';
	snprintf(command, sizeof(command), DEFAULT_COMMAND, path);
	return command;
}

static void complete_target(struct bench *bench)
{
	struct target *target = &bench->target[0];

	if (target->command && target->socket_prefix)
		refuse("either --spawn or --socket");
	if (target->socket_prefix && !target->port)
		refuse("--socket needs --port");
	if (!target->socket_prefix && (target->port || target->count || target->pid))
		refuse("--port, --count and --pid are for --socket");
	if (!target->command && !target->socket_prefix)
		target->command = neighbour();
	if (!target->count)
		target->count = 1;
}

/* All scenarios, so briefly that numbers mean nothing. */
static void make_brief(struct bench *bench)
{
	bench->runs = 1;
	bench->seconds = 0.05;
	bench->operations = 1000;
	bench->idle_seconds = 0.05;
	bench->guest_counts = parse_list("--guests", "1,3", 10000, bench->guests, 2);
}

static void complete(struct options *options)
{
	struct bench *bench = &options->bench;
	unsigned int i;
	bool any = false;

	complete_target(bench);
	if (!bench->runs)
		bench->runs = bench->targets == 2 ? 11 : 3;
	if (!bench->depth)
		bench->depth = bench->ring;
	if (bench->depth > bench->ring || bench->ring < 16)
		refuse("--depth %u with --ring %u: at least 16, and no deeper than the ring",
		       bench->depth, bench->ring);
	guest_set_ring_size((uint16_t)bench->ring);
	if (bench->check)
		make_brief(bench);
	for (i = 0; scenarios[i].name; i++)
		any |= options->wanted[i];
	for (i = 0; !any && scenarios[i].name; i++)
		options->wanted[i] = true;
}

void options_parse(struct options *ret_options, int argc, char *argv[])
{
	struct bench *bench = &ret_options->bench;
	int code;

	*ret_options = (struct options){
	    .bench =
		{
		    .target = {{.name = "backend"}, {.name = "against"}},
		    .targets = 1,
		    .seconds = 1,
		    .operations = 300000,
		    .ring = GUEST_RING_SIZE,
		    .idle_seconds = 5,
		},
	};
	bench->sizes = parse_list("--sizes", "16,64,1K,4K,32K", PATTERN_PIECE, bench->size, 5);
	bench->guest_counts = parse_list("--guests", "1,10,100,1000", 10000, bench->guests, 4);
	while ((code = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		take_option(ret_options, code);
	while (optind < argc)
		take_scenario(ret_options, argv[optind++]);
	complete(ret_options);
}
