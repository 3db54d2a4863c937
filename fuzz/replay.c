/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhost-user-replay: plays a corpus of conversations to a backend and says for each how it went.
 */
#include "folder.h"
#include "player.h"
#include "process.h"
#include "report.h"

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
    "  --fresh            starts a backend for each conversation, for one that serves only one\n"
    "                     connection or makes its socket anew for the next: whether it leaks\n"
    "                     isn't seen, and conversations of several connections aren't for it\n"
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
	bool ignore_memory;
	bool fresh;     /* a backend of its own for each conversation */
	char path[108]; /* where the backend listens */
	char folder[40];
	struct process process;
	struct player_offer offer;
	struct player player;
	struct report report;
};

/* ---- the backend ---- */

/* Whether it has made its socket; one that isn't fresh can be asked with a connection. */
static bool backend_listens(const struct replay *replay)
{
	int sock;

	if (replay->fresh)
		return access(replay->path, F_OK) == 0;
	sock = frame_connect(replay->path, 100);
	if (sock >= 0)
		close(sock);
	return sock >= 0;
}

/* Starts one, if that is ours to do, and waits until it listens, fails to, or ends. */
static bool start_backend(struct replay *replay)
{
	uint64_t end = frame_now_ms() + START_MS;
	int r;

	if (!replay->spawn)
		return true;
	unlink(replay->path);
	r = process_spawn(&replay->process, replay->spawn, replay->socket, replay->log);
	if (r < 0) {
		fprintf(stderr, "vhost-user-replay: can't start the backend: %s\n", strerror(-r));
		return false;
	}
	while (!backend_listens(replay) && frame_now_ms() < end && process_lives(&replay->process))
		poll(NULL, 0, 2);
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

static bool has_several_connections(const struct conversation *conversation)
{
	bool several = false;

	for (unsigned int i = 0; i < conversation->count; i++)
		several |= conversation->steps[i].kind == CONVERSATION_CONNECT;
	return several;
}

/* A fresh backend has either ended, but not by a signal, or answers a new connection. */
static void judge_fresh(struct replay *replay)
{
	uint64_t end = frame_now_ms() + replay->deadline_ms;
	struct player *player = &replay->player;
	int sock = -1;

	while (process_lives(&replay->process) && sock < 0 && frame_now_ms() < end)
		sock = player_knock(replay->path, 100);
	if (sock >= 0) {
		close(sock);
	} else if (process_lives(&replay->process)) {
		player->outcome = PLAYER_HUNG;
		snprintf(player->why, sizeof(player->why), "it neither ends nor answers");
	} else if (process_was_killed(&replay->process)) {
		player->outcome = PLAYER_DIED;
		snprintf(player->why, sizeof(player->why), "%s",
		         process_status_text(&replay->process));
	}
}

/* As play(), to a backend of its own. */
static bool play_fresh(struct replay *replay, const struct conversation *conversation)
{
	struct player *player = &replay->player;

	if (has_several_connections(conversation)) {
		player->outcome = PLAYER_NOT_FOR_IT;
		player->at = NULL;
		snprintf(player->why, sizeof(player->why), "several connections");
		return true;
	}
	if (!start_backend(replay))
		return false;
	player_play(player, conversation);
	judge_fresh(replay);
	process_end(&replay->process, replay->deadline_ms);
	return true;
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
		fine =
		    replay->fresh ? play_fresh(replay, &conversation) : play(replay, &conversation);
		report_conversation(&replay->report, &replay->player, name + strspn(name, "/"));
		conversation_deinit(&conversation);
	}
	folder_deinit(&folder);
	return fine;
}

static int replay_all(struct replay *replay, char **paths)
{
	bool fine = true, ended;
	unsigned int rest;

	report_begin(&replay->report);
	for (; *paths && fine; paths++)
		fine = replay_path(replay, *paths);
	ended = process_end(&replay->process, replay->deadline_ms);
	report_end(&replay->report);
	if (!ended)
		fprintf(stderr, "vhost-user-replay: the backend %s\n",
		        process_status_text(&replay->process));
	rest = report_rest(&replay->report);
	if (!fine || replay->report.played == 0)
		return rest > 0 ? 1 : 2;
	return rest > 0 || !ended ? 1 : 0;
}

/* ---- options ---- */

enum {
	SOCKET = 256,
	SPAWN,
	APPEND,
	PID,
	DEVICE,
	DEADLINE,
	IGNORE_MEMORY,
	LOG,
	FRESH,
	QUIET,
	JSON,
	HELP
};

static const struct option options[] = {
    {"socket", required_argument, NULL, SOCKET},
    {"spawn", required_argument, NULL, SPAWN},
    {"append", required_argument, NULL, APPEND},
    {"pid", required_argument, NULL, PID},
    {"device", required_argument, NULL, DEVICE},
    {"deadline", required_argument, NULL, DEADLINE},
    {"ignore-memory", no_argument, NULL, IGNORE_MEMORY},
    {"log", required_argument, NULL, LOG},
    {"fresh", no_argument, NULL, FRESH},
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
	case FRESH:
		replay->fresh = true;
		return NULL;
	case QUIET:
		replay->report.quiet = true;
		return NULL;
	case JSON:
		replay->report.json = true;
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
	if (replay->fresh)
		process_end(&replay->process, replay->deadline_ms);
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
	if (replay.fresh && !replay.spawn)
		return wrong_usage("--fresh needs --spawn");
	wrong = choose_path(&replay);
	if (wrong)
		return wrong_usage(wrong);
	signal(SIGPIPE, SIG_IGN);
	return run(&replay, argv + optind);
}
