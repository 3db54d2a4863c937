/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhost-user-replay: plays a corpus of conversations to a backend and says for each how it went.
 */
#include "folder.h"
#include "player.h"
#include "process.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: vhost-user-replay [OPTION...] CONVERSATION-OR-FOLDER...\n"
    "\n"
    "Plays conversations (fuzz/FORMAT.md) to a vhost-user backend. After each the backend has to\n"
    "answer a new connection and to hold no more than before.\n"
    "\n"
    "  --socket=PATH      where the backend listens\n"
    "  --spawn=COMMAND    starts the backend, and again after it has died; {socket} stands for\n"
    "                     the path, which is a temporary one unless --socket says another\n"
    "  --append=TEXT      the backend appends this to the path it is given\n"
    "  --pid=N            the backend's process, to see whether it leaks; known with --spawn\n"
    "  --device=KIND      console (the default), or any: no conversation that needs a console\n"
    "  --deadline=MS      how long an answer is waited for [5000]\n"
    "  --ignore-memory    don't look for leaked memory, only for descriptors and mappings\n"
    "  --log=FILE         what a spawned backend prints, appended [/dev/null]\n"
    "  --quiet            only those that didn't go as expected, and the sum\n"
    "  --json             one JSON array instead, on standard output\n"
    "  --help\n"
    "\n"
    "Outcomes: as expected; not for it (the backend doesn't offer what is needed); otherwise\n"
    "(something else came); refused; closed; hung; died; leaked.\n"
    "Exit status: 0 if all went as expected or weren't for it, 1 if not, 2 if nothing could be\n"
    "played.\n";

/* A conversation that leaves more than this is played again, to see whether it always does. */
#define MEMORY_KIB     1024
#define MEMORY_REPEATS 3

/* How long a backend may take to give back what a connection had. */
#define LATE_MS 1000u

/* What a backend that was started has until it listens. */
#define START_MS 30000u

struct replay {
	const char *socket;
	const char *spawn;
	const char *append;
	const char *log;
	unsigned int deadline_ms;
	bool ignore_memory, quiet, json;
	char path[108]; /* where the backend listens */
	char folder[40];
	struct process process;
	struct player_offer offer;
	struct player player;
	unsigned int played, outcomes[PLAYER_OUTCOMES];
};

/* ---- the backend ---- */

/* Starts one, if that is ours to do, and waits until it listens, fails to, or ends. */
static bool start_backend(struct replay *replay)
{
	uint64_t end = frame_now_ms() + START_MS;
	int r, sock;

	if (!replay->spawn)
		return true;
	unlink(replay->path);
	r = process_spawn(&replay->process, replay->spawn, replay->socket, replay->log);
	if (r < 0) {
		fprintf(stderr, "vhost-user-replay: can't start the backend: %s\n", strerror(-r));
		return false;
	}
	do {
		sock = frame_connect(replay->path, 100);
	} while (sock < 0 && frame_now_ms() < end && process_lives(&replay->process));
	if (sock >= 0)
		close(sock);
	return true;
}

/* Whether it takes connections; one that just started, or has to end an old connection, in time. */
static bool backend_answers(struct replay *replay, struct process_holds *ret_holds, bool *counted)
{
	int sock = player_knock(replay->path, replay->deadline_ms);

	*counted = sock >= 0 && process_count(&replay->process, ret_holds);
	if (sock >= 0)
		close(sock);
	return sock >= 0;
}

/* ---- leaks ---- */

static bool holds_more(const struct process_holds *now, const struct process_holds *before)
{
	return now->fds > before->fds || now->mappings > before->mappings;
}

/* What a backend gives back a moment later isn't leaked. */
static void judge_handles(struct replay *replay, const struct process_holds *before,
                          struct process_holds *now)
{
	uint64_t end = frame_now_ms() + LATE_MS;
	struct player *player = &replay->player;
	bool counted = true;

	while (counted && holds_more(now, before) && frame_now_ms() < end) {
		poll(NULL, 0, 20);
		backend_answers(replay, now, &counted);
	}
	if (!counted || !holds_more(now, before))
		return;
	player->outcome = PLAYER_LEAKED;
	player->at = NULL;
	snprintf(player->why, sizeof(player->why), "%d descriptors, %d mappings",
	         (int)(now->fds - before->fds), (int)(now->mappings - before->mappings));
}

/* Memory that grows each time the conversation is played. */
static void judge_memory(struct replay *replay, const struct conversation *conversation,
                         const struct process_holds *before, const struct process_holds *now)
{
	unsigned long last = now->memory, first = before->memory;
	struct process_holds holds;
	bool counted;

	if (replay->ignore_memory || last <= first + MEMORY_KIB)
		return;
	for (unsigned int i = 0; i < MEMORY_REPEATS; i++) {
		player_play(&replay->player, conversation);
		if (!backend_answers(replay, &holds, &counted) || !counted ||
		    holds.memory <= last + MEMORY_KIB / 2)
			return;
		last = holds.memory;
	}
	replay->player.outcome = PLAYER_LEAKED;
	replay->player.at = NULL;
	snprintf(replay->player.why, sizeof(replay->player.why), "%lu KiB in %d times",
	         last - first, MEMORY_REPEATS + 1);
}

/* ---- one conversation ---- */

static void judge_death(struct replay *replay)
{
	struct player *player = &replay->player;
	bool spawned = replay->process.spawned;

	/* One that is about to end takes a moment to do so. */
	if (process_lives(&replay->process))
		poll(NULL, 0, 200);
	if (process_lives(&replay->process)) {
		player->outcome = PLAYER_HUNG;
		snprintf(player->why, sizeof(player->why), "it takes no new connection");
		process_end(&replay->process, replay->deadline_ms);
	} else {
		player->outcome = PLAYER_DIED;
		snprintf(player->why, sizeof(player->why), "%s",
		         spawned ? process_status_text(&replay->process) : "the process is gone");
	}
}

/* Plays it and judges the backend too. False if there is no backend left to play to. */
static bool play(struct replay *replay, const struct conversation *conversation)
{
	struct player *player = &replay->player;
	struct process_holds before, now;
	bool counted, counted_after;

	if (!backend_answers(replay, &before, &counted)) {
		judge_death(replay);
		return start_backend(replay) && replay->spawn;
	}
	player_play(player, conversation);
	if (!backend_answers(replay, &now, &counted_after)) {
		judge_death(replay);
		return start_backend(replay) && replay->spawn;
	}
	if (player->outcome != PLAYER_AS_EXPECTED || !counted || !counted_after)
		return true;
	judge_handles(replay, &before, &now);
	if (player->outcome == PLAYER_AS_EXPECTED)
		judge_memory(replay, conversation, &before, &now);
	return true;
}

/* ---- report ---- */

static void print_json_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\' || (unsigned char)*text < 0x20)
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void report_json(const struct replay *replay, const char *name)
{
	const struct player *player = &replay->player;

	printf("%s\n  {\"conversation\": ", replay->played > 1 ? "," : "");
	print_json_text(name);
	printf(", \"outcome\": \"%s\"", player_outcome_name(player->outcome));
	if (player->at)
		printf(", \"line\": %u, \"step\": \"%s\"", player->at->line,
		       conversation_kind_name(player->at->kind));
	if (player->why[0]) {
		printf(", \"why\": ");
		print_json_text(player->why);
	}
	putchar('}');
}

static void report(struct replay *replay, const char *name)
{
	const struct player *player = &replay->player;

	replay->played++;
	replay->outcomes[player->outcome]++;
	if (replay->json) {
		report_json(replay, name);
		return;
	}
	if (replay->quiet &&
	    (player->outcome == PLAYER_AS_EXPECTED || player->outcome == PLAYER_NOT_FOR_IT))
		return;
	printf("%-11s  %s", player_outcome_name(player->outcome), name);
	if (player->at)
		printf(", line %u, %s", player->at->line, conversation_kind_name(player->at->kind));
	printf(player->why[0] ? ": %s\n" : "%s\n", player->why);
	fflush(stdout);
}

static void print_sum(const struct replay *replay)
{
	printf("\n");
	for (unsigned int i = 0; i < PLAYER_OUTCOMES; i++) {
		if (replay->outcomes[i] > 0 || i == PLAYER_AS_EXPECTED)
			printf("%-11s  %5u\n", player_outcome_name(i), replay->outcomes[i]);
	}
	printf("%-11s  %5u\n", "all", replay->played);
}

/* ---- all of them ---- */

static bool load(struct conversation *conversation, const char *path)
{
	struct conversation_error error;
	size_t len;
	uint8_t *bytes = folder_read(path, &len);
	bool fine;

	conversation_init(conversation);
	if (!bytes) {
		fprintf(stderr, "vhost-user-replay: %s: %s\n", path, strerror(errno));
		return false;
	}
	fine = conversation_read(conversation, bytes, len, &error);
	if (!fine)
		fprintf(stderr, "vhost-user-replay: %s: %s\n", path, error.text);
	free(bytes);
	if (!fine)
		conversation_deinit(conversation);
	return fine;
}

static bool replay_path(struct replay *replay, const char *path)
{
	struct folder folder;
	int r = folder_list(&folder, path, "");
	bool fine = true;

	if (r < 0) {
		fprintf(stderr, "vhost-user-replay: %s: %s\n", path, strerror(-r));
		return false;
	}
	for (size_t i = 0; i < folder.count && fine; i++) {
		const char *name = folder.paths[i] + (folder.count > 1 ? folder.root : 0);
		struct conversation conversation;

		fine = load(&conversation, folder.paths[i]);
		if (!fine)
			break;
		fine = play(replay, &conversation);
		report(replay, name + strspn(name, "/"));
		conversation_deinit(&conversation);
	}
	folder_deinit(&folder);
	return fine;
}

static int replay_all(struct replay *replay, char **paths)
{
	bool fine = true, ended;
	unsigned int rest;

	if (replay->json)
		printf("[");
	for (; *paths && fine; paths++)
		fine = replay_path(replay, *paths);
	ended = process_end(&replay->process, replay->deadline_ms);
	if (replay->json)
		printf("\n]\n");
	else
		print_sum(replay);
	if (!ended)
		fprintf(stderr, "vhost-user-replay: the backend %s\n",
		        process_status_text(&replay->process));
	rest = replay->played - replay->outcomes[PLAYER_AS_EXPECTED] -
	       replay->outcomes[PLAYER_NOT_FOR_IT];
	if (!fine || replay->played == 0)
		return rest > 0 ? 1 : 2;
	return rest > 0 || !ended ? 1 : 0;
}

/* ---- options ---- */

enum { SOCKET = 256, SPAWN, APPEND, PID, DEVICE, DEADLINE, IGNORE_MEMORY, LOG, QUIET, JSON, HELP };

static const struct option options[] = {
    {"socket", required_argument, NULL, SOCKET},
    {"spawn", required_argument, NULL, SPAWN},
    {"append", required_argument, NULL, APPEND},
    {"pid", required_argument, NULL, PID},
    {"device", required_argument, NULL, DEVICE},
    {"deadline", required_argument, NULL, DEADLINE},
    {"ignore-memory", no_argument, NULL, IGNORE_MEMORY},
    {"log", required_argument, NULL, LOG},
    {"quiet", no_argument, NULL, QUIET},
    {"json", no_argument, NULL, JSON},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static int wrong_usage(const char *what)
{
	fprintf(stderr, "vhost-user-replay: %s; --help says more\n", what);
	return 2;
}

/* A number from 1 on, or 0. */
static unsigned int number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	return *text >= '0' && *text <= '9' && *end == '\0' && n <= 1u << 30 ? (unsigned int)n : 0;
}

/* One option. NULL, or what is wrong with it. */
static const char *take_option(struct replay *replay, int option, const char *value)
{
	switch (option) {
	case SOCKET:
		replay->socket = value;
		return NULL;
	case SPAWN:
		replay->spawn = value;
		return NULL;
	case APPEND:
		replay->append = value;
		return NULL;
	case PID:
		replay->process.pid = (pid_t)number(value);
		return replay->process.pid ? NULL : "--pid: takes a process's number";
	case DEVICE:
		replay->offer.console = strcmp(value, "console") == 0;
		return replay->offer.console || strcmp(value, "any") == 0
		           ? NULL
		           : "--device: takes console or any";
	case DEADLINE:
		replay->deadline_ms = number(value);
		return replay->deadline_ms ? NULL : "--deadline: takes milliseconds from 1 on";
	case IGNORE_MEMORY:
		replay->ignore_memory = true;
		return NULL;
	case LOG:
		replay->log = value;
		return NULL;
	case QUIET:
		replay->quiet = true;
		return NULL;
	case JSON:
		replay->json = true;
		return NULL;
	default:
		return "no such option";
	}
}

/* Where the backend is told to listen, and where it does. */
static const char *choose_path(struct replay *replay)
{
	static char socket[sizeof(replay->folder) + 16];
	int n;

	if (!replay->socket) {
		strcpy(replay->folder, "/tmp/vhost-user-replay-XXXXXX");
		if (!mkdtemp(replay->folder))
			return "no temporary folder can be made";
		snprintf(socket, sizeof(socket), "%s/backend", replay->folder);
		replay->socket = socket;
	}
	n = snprintf(replay->path, sizeof(replay->path), "%s%s", replay->socket, replay->append);
	return n < (int)sizeof(replay->path) ? NULL : "--socket: the path is too long for a socket";
}

static int run(struct replay *replay, char **paths)
{
	bool asked;
	int status;

	replay->player.socket = replay->path;
	replay->player.offer = &replay->offer;
	replay->player.deadline_ms = replay->deadline_ms;
	if (!start_backend(replay))
		return 2;
	asked = player_ask_offer(replay->path, replay->deadline_ms, &replay->offer);
	if (asked) {
		status = replay_all(replay, paths);
	} else {
		process_end(&replay->process, replay->deadline_ms);
		fprintf(stderr, "vhost-user-replay: no vhost-user backend answers at %s\n",
		        replay->path);
		status = 2;
	}
	if (replay->folder[0]) {
		unlink(replay->path);
		rmdir(replay->folder);
	}
	return status;
}

int main(int argc, char **argv)
{
	static struct replay replay = {
	    .append = "", .log = "/dev/null", .deadline_ms = 5000, .offer.console = true};
	const char *wrong;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == HELP) {
			fputs(usage, stdout);
			return 0;
		}
		wrong = take_option(&replay, option, optarg);
		if (wrong)
			return wrong_usage(wrong);
	}
	if (optind == argc)
		return wrong_usage("no conversation is given");
	if (!replay.socket && !replay.spawn)
		return wrong_usage("--socket or --spawn is needed");
	wrong = choose_path(&replay);
	if (wrong)
		return wrong_usage(wrong);
	signal(SIGPIPE, SIG_IGN);
	return run(&replay, argv + optind);
}
