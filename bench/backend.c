/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "machine.h"
#include "support.h"

enum {
	RUNNING_MAX = 4,
	COMMAND_MAX = 4096,
	/* Below the ports that the kernel gives out itself. */
	PORT_FIRST = 10000,
	PORT_LAST = 32000,
};

static struct backend *running[RUNNING_MAX];

bool target_takes_extra(const struct target *target)
{
	return target->command && strstr(target->command, "{extra}");
}

bool target_has(const struct target *target, unsigned int count)
{
	return target->command || count <= target->count;
}

/* ---- ports ---- */

static bool port_is_free(unsigned int port)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int yes = 1;
	bool is_free;

	/* As servers do: connections that ended a moment ago don't count. */
	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	is_free = !bind(sock, (struct sockaddr *)&address, sizeof(address));
	close(sock);
	return is_free;
}

/* The first of `count` free ports in a row. Two benches begin to look at different places. */
static unsigned int find_ports(unsigned int count)
{
	static unsigned int next;
	unsigned int tries, i;

	if (!next)
		next = PORT_FIRST + (unsigned int)getpid() * 61 % (PORT_LAST - PORT_FIRST);
	for (tries = 0; tries < PORT_LAST; tries++, next++) {
		if (next + count > PORT_LAST)
			next = PORT_FIRST;
		for (i = 0; i < count && port_is_free(next + i); i++)
			;
		if (i == count) {
			next += count;
			return next - count;
		}
		next += i;
	}
	support_die("no %u free TCP ports in a row", count);
}

/* ---- the command ---- */

/* Replaces each `word` in the text, which has room for COMMAND_MAX bytes. */
static void replace(char *text, const char *word, const char *with)
{
	char rest[COMMAND_MAX];
	char *at = text;

	while ((at = strstr(at, word))) {
		snprintf(rest, sizeof(rest), "%s", at + strlen(word));
		if ((size_t)(at - text) + strlen(with) + strlen(rest) >= COMMAND_MAX)
			support_die("a command of more than %d bytes", COMMAND_MAX);
		at = stpcpy(at, with);
		memcpy(at, rest, strlen(rest) + 1);
	}
}

static void expand(char *command, const struct backend *backend, const char *extra)
{
	char number[16];

	if (snprintf(command, COMMAND_MAX, "exec %s", backend->target->command) >= COMMAND_MAX)
		support_die("a command of more than %d bytes", COMMAND_MAX);
	replace(command, "{extra}", extra ? extra : "");
	replace(command, "{socket}", backend->socket_prefix);
	snprintf(number, sizeof(number), "%u", backend->count);
	replace(command, "{count}", number);
	snprintf(number, sizeof(number), "%u", backend->port);
	replace(command, "{port}", number);
}

static void run_command(const char *command)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	machine_pin(0, MACHINE_BACKEND);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

/* Waits until the last socket is there. Doesn't try it: some backends end with their frontend. */
static void wait_for_socket(struct backend *backend)
{
	uint64_t deadline = support_now_ms() + support_deadline_ms();
	int status;

	while (access(backend_socket(backend, backend->count - 1), F_OK) < 0) {
		if (waitpid(backend->pid, &status, WNOHANG) == backend->pid) {
			backend->pid = 0;
			bench_fail("the backend has ended while it should start: %s",
			           backend->target->command);
		}
		if (support_now_ms() > deadline)
			bench_fail("the backend made no %s",
			           backend_socket(backend, backend->count - 1));
		usleep(1000);
	}
}

static void spawn(struct backend *backend, const char *extra)
{
	char command[COMMAND_MAX];
	unsigned int i;

	snprintf(backend->folder, sizeof(backend->folder), "%s/vhost-user-bench-XXXXXX",
	         machine_folder());
	if (!mkdtemp(backend->folder))
		support_die("a folder for sockets: %s", strerror(errno));
	snprintf(backend->socket_prefix, sizeof(backend->socket_prefix), "%s/con", backend->folder);
	backend->port = find_ports(backend->count);
	expand(command, backend, extra);
	backend->pid = fork();
	if (backend->pid < 0)
		support_die("fork: %s", strerror(errno));
	if (backend->pid == 0)
		run_command(command);
	for (i = 0; i < RUNNING_MAX && running[i]; i++)
		;
	if (i < RUNNING_MAX)
		running[i] = backend;
	wait_for_socket(backend);
}

void backend_start(struct backend *backend, const struct target *target, unsigned int count,
                   const char *extra)
{
	*backend = (struct backend){.target = target, .count = count};
	if (target->command) {
		spawn(backend, extra);
		return;
	}
	backend->port = target->port;
	snprintf(backend->socket_prefix, sizeof(backend->socket_prefix), "%s",
	         target->socket_prefix);
	backend->pid = target->pid;
	if (backend->pid)
		machine_pin(backend->pid, MACHINE_BACKEND);
}

static void remove_folder(const char *folder)
{
	DIR *open_folder = opendir(folder);
	struct dirent *entry;

	while (open_folder && (entry = readdir(open_folder)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(open_folder), entry->d_name, 0);
	if (open_folder)
		closedir(open_folder);
	rmdir(folder);
}

void backend_stop(struct backend *backend)
{
	unsigned int i, tries;
	int status = 0;

	for (i = 0; i < RUNNING_MAX; i++)
		if (running[i] == backend)
			running[i] = NULL;
	if (!backend->target->command || backend->pid <= 0)
		return;
	kill(backend->pid, SIGTERM);
	for (tries = 0; waitpid(backend->pid, &status, WNOHANG) == 0; tries++) {
		if (tries == 2000)
			kill(backend->pid, SIGKILL);
		usleep(1000);
	}
	backend->pid = 0;
	remove_folder(backend->folder);
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		support_die("the backend ended with code %d", WEXITSTATUS(status));
}

const char *backend_socket(const struct backend *backend, unsigned int guest)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s%u", backend->socket_prefix, guest);
	return path;
}

void backend_stop_all(void)
{
	unsigned int i;

	for (i = 0; i < RUNNING_MAX; i++) {
		if (!running[i])
			continue;
		if (running[i]->pid > 0) {
			kill(running[i]->pid, SIGKILL);
			waitpid(running[i]->pid, NULL, 0);
		}
		remove_folder(running[i]->folder);
		running[i] = NULL;
	}
}
