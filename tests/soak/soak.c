/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The soak: soak PROGRAM FOLDER TCP_PORT SECONDS GUESTS SEED. See run.
 *
 * Starts the daemon, and for each guest two processes: one whose children are its sessions, of
 * which it kills some at any moment, and one with clients. At the end the daemon must hold what it
 * held in the beginning. Exit status 0: nobody has found anything wrong.
 */
#include "peers.h"
#include "process.h"

#include "support.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* KiB: an allocator's pages are never quite the same. */
#define GROWTH_MOST 2048ul

static struct {
	struct place place;
	struct process daemon;
	unsigned int guests;
	uint64_t seed, end_ms;
} s;

static uint64_t seed_of(unsigned int guest, unsigned int part)
{
	return (s.seed + guest * 1000003ull + part) * 0x9e3779b97f4a7c15ull | 1;
}

/*
 * A new process that dies with this one. The daemon comes before all of them: hundreds that look
 * for answers would keep it from the processor.
 */
static pid_t new_process(void)
{
	pid_t pid = fork();

	if (pid < 0)
		support_die("fork failed");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpriority(PRIO_PROCESS, 0, 19);
	}
	return pid;
}

/* Whether it ended well, or was killed as it was to be. */
static bool ended_well(pid_t pid, bool killed)
{
	int status;

	waitpid(pid, &status, 0);
	return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
	       (killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* One session; one in three is killed somewhere. */
static bool run_session(unsigned int guest, uint64_t *seed)
{
	bool kills = dice(seed) % 3 == 0;
	unsigned int after = dice(seed) % 500;
	uint64_t session_seed = wide_dice(seed) | 1;
	pid_t pid = new_process();

	if (pid == 0) {
		guest_session(&s.place, guest, session_seed);
		_exit(EXIT_SUCCESS);
	}
	if (kills) {
		poll(NULL, 0, (int)after);
		kill(pid, SIGKILL);
	}
	return ended_well(pid, kills);
}

static int guest_process(unsigned int guest)
{
	uint64_t seed = seed_of(guest, 0);

	while (support_now_ms() < s.end_ms) {
		if (!run_session(guest, &seed))
			return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

static int clients_process(unsigned int guest)
{
	clients_session(&s.place, guest, seed_of(guest, 1), s.end_ms);
	return EXIT_SUCCESS;
}

static int last_process(unsigned int guest)
{
	last_session(&s.place, guest);
	return EXIT_SUCCESS;
}

static void start_process(int (*run)(unsigned int guest), unsigned int guest)
{
	if (new_process() == 0)
		_exit(run(guest));
}

/* Until all have ended. False as soon as one ended badly, or the daemon did. */
static bool await_processes(unsigned int count)
{
	for (; count > 0; count--) {
		int status;
		pid_t pid;

		do {
			if (!process_lives(&s.daemon))
				return false;
			pid = waitpid(-1, &status, WNOHANG);
			if (pid == 0)
				poll(NULL, 0, 5);
		} while (pid == 0);
		if (pid == s.daemon.pid) {
			s.daemon.status = status;
			s.daemon.ended = true;
			return false;
		}
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			return false;
	}
	return true;
}

static void die(const char *message)
{
	fprintf(stderr, "wrong: %s%s\n", doing, message);
	_exit(EXIT_FAILURE);
}

/* What every guest's clients have left behind is found out. */
static bool calm_down(void)
{
	for (unsigned int i = 0; i < s.guests; i++)
		start_process(last_process, i);
	return await_processes(s.guests);
}

static bool storm(uint64_t ms)
{
	s.end_ms = support_now_ms() + ms;
	s.seed++;
	for (unsigned int i = 0; i < s.guests; i++) {
		start_process(guest_process, i);
		start_process(clients_process, i);
	}
	return await_processes(2 * s.guests);
}

static bool is_as_before(const struct process_holds *now, const struct process_holds *before,
                         bool ignore_memory)
{
	return now->fds == before->fds && now->mappings == before->mappings &&
	       (ignore_memory || now->memory <= before->memory + GROWTH_MOST);
}

static bool comes_back_to(const struct process_holds *before, bool ignore_memory)
{
	uint64_t end = support_now_ms() + support_deadline_ms();
	struct process_holds now = {0};
	bool same;

	do {
		poll(NULL, 0, 20);
		same = process_count(&s.daemon, &now) && is_as_before(&now, before, ignore_memory);
	} while (!same && process_lives(&s.daemon) && support_now_ms() < end);
	printf("files %u, before %u; mappings %u, before %u; memory %lu KiB, before %lu\n", now.fds,
	       before->fds, now.mappings, before->mappings, now.memory, before->memory);
	return same;
}

static void start_daemon(const char *program)
{
	char command[1024], sockets[128], log[128];
	uint64_t end = support_now_ms() + support_deadline_ms();
	char bytes[4096];
	FILE *file;

	snprintf(sockets, sizeof(sockets), "%s/fe", s.place.folder);
	snprintf(log, sizeof(log), "%s/stderr", s.place.folder);
	snprintf(command, sizeof(command),
	         "'%s' -s {socket} -c %u -b network --history=16384 --port name=raw,tcp-port=%u "
	         "--port name=tel,tcp-port=%u,tcp-protocol=telnet "
	         "--port name=dat,type=data,uds-path=%s/dat",
	         program, s.guests, s.place.raw_port, s.place.telnet_port, s.place.folder);
	if (process_spawn(&s.daemon, command, sockets, log) < 0)
		support_die("can't start %s", program);
	do {
		size_t len = 0;

		if (support_now_ms() > end || !process_lives(&s.daemon))
			support_die("the daemon doesn't get ready");
		file = fopen(log, "re");
		if (file) {
			len = fread(bytes, 1, sizeof(bytes) - 1, file);
			fclose(file);
		}
		bytes[len] = 0;
		poll(NULL, 0, 5);
	} while (!strstr(bytes, ": ready for "));
}

/*
 * What a peer has sent is closed a little later than the peer knows, and free memory given back
 * later still: counts until nothing goes for two seconds.
 */
static bool count_at_rest(struct process_holds *ret)
{
	uint64_t end = support_now_ms() + support_deadline_ms();
	struct process_holds last = {0};

	for (unsigned int same = 0; same < 100 && support_now_ms() < end; poll(NULL, 0, 20)) {
		if (!process_count(&s.daemon, ret))
			return false;
		same = ret->fds == last.fds && ret->mappings == last.mappings ? same + 1 : 0;
		last = *ret;
	}
	return true;
}

/* An allocator keeps what the most clients at a time have taken: the first fifth is for that. */
static bool soak(unsigned int seconds)
{
	struct process_holds before = {0};

	if (!storm(seconds * 200ull) || !calm_down() || !count_at_rest(&before))
		return false;
	return storm(seconds * 800ull) && calm_down() &&
	       comes_back_to(&before, getenv("IGNORE_MEMORY")) && process_lives(&s.daemon);
}

int main(int argc, char **argv)
{
	unsigned int port;
	bool good;

	if (argc != 7)
		support_die("usage: soak PROGRAM FOLDER TCP_PORT SECONDS GUESTS SEED");
	support_on_die = die;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	s.guests = (unsigned int)support_number(argv[5], UINT16_MAX);
	port = (unsigned int)support_number(argv[3], UINT16_MAX);
	s.place = (struct place){argv[2], (uint16_t)port, (uint16_t)(port + s.guests)};
	s.seed = support_number(argv[6], UINT64_MAX);
	start_daemon(argv[1]);
	good = soak((unsigned int)support_number(argv[4], UINT32_MAX));
	if (s.daemon.ended)
		printf("the daemon %s\n", process_status_text(&s.daemon));
	if (!process_end(&s.daemon, (unsigned int)support_deadline_ms()) && good) {
		printf("the daemon %s\n", process_status_text(&s.daemon));
		good = false;
	}
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
