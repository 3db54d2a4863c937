/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "process.h"

#include "frame.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The command with the path for each `{socket}`, allocated. */
static char *filled_in(const char *command, const char *socket)
{
	static const char place[] = "{socket}";
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	if (!to)
		return NULL;
	/* The shell must not stay between us and the backend: its number would be the wrong one. */
	fputs("exec ", to);
	for (const char *at = command, *next; *at; at = next) {
		next = strstr(at, place);
		fwrite(at, 1, next ? (size_t)(next - at) : strlen(at), to);
		if (!next)
			break;
		fputs(socket, to);
		next += strlen(place);
	}
	fclose(to);
	return text;
}

static void run(const char *text, const char *log)
{
	int null = open("/dev/null", O_RDONLY);
	int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (null < 0 || out < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	close(null);
	close(out);
	execl("/bin/sh", "sh", "-c", text, (char *)NULL);
	_exit(127);
}

int process_spawn(struct process *process, const char *command, const char *socket, const char *log)
{
	char *text = filled_in(command, socket);
	pid_t pid;

	if (!text)
		return -ENOMEM;
	pid = fork();
	if (pid == 0)
		run(text, log);
	free(text);
	if (pid < 0)
		return -errno;
	*process = (struct process){.pid = pid, .spawned = true};
	return 0;
}

bool process_lives(struct process *process)
{
	if (process->ended)
		return false;
	if (process->pid == 0)
		return true;
	if (!process->spawned)
		return kill(process->pid, 0) == 0 || errno == EPERM;
	if (waitpid(process->pid, &process->status, WNOHANG) == 0)
		return true;
	process->pid = 0;
	process->spawned = false;
	process->ended = true;
	return false;
}

bool process_end(struct process *process, unsigned int deadline_ms)
{
	uint64_t end = frame_now_ms() + deadline_ms;
	bool asked = true;

	if (!process->spawned)
		return true;
	kill(process->pid, SIGTERM);
	while (process_lives(process)) {
		if (asked && frame_now_ms() >= end) {
			kill(process->pid, SIGKILL);
			asked = false;
		}
		poll(NULL, 0, 2);
	}
	/* Not every backend catches SIGTERM. */
	return asked && (process->status == 0 ||
	                 (WIFSIGNALED(process->status) && WTERMSIG(process->status) == SIGTERM));
}

static bool count_fds(pid_t pid, unsigned int *ret)
{
	char path[64];
	DIR *folder;
	unsigned int count = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	if (!folder)
		return false;
	for (const struct dirent *entry; (entry = readdir(folder));)
		count += entry->d_name[0] != '.';
	closedir(folder);
	*ret = count;
	return true;
}

/* Shared ones: private memory is an allocator's, which keeps what it has got. */
static bool count_mappings(pid_t pid, unsigned int *ret)
{
	char path[64], line[4096], flags[8];
	unsigned int count = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "r");
	if (!maps)
		return false;
	while (fgets(line, sizeof(line), maps))
		count += sscanf(line, "%*s %7s", flags) == 1 && flags[3] == 's';
	fclose(maps);
	*ret = count;
	return true;
}

static bool count_memory(pid_t pid, unsigned long *ret)
{
	char path[64], line[256];
	bool found = false;
	FILE *rollup;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	rollup = fopen(path, "r");
	if (!rollup)
		return false;
	while (!found && fgets(line, sizeof(line), rollup)) {
		found = strncmp(line, "Anonymous:", 10) == 0;
		if (found)
			*ret = strtoul(line + 10, NULL, 10);
	}
	fclose(rollup);
	return found;
}

bool process_count(const struct process *process, struct process_holds *ret)
{
	return process->pid != 0 && count_fds(process->pid, &ret->fds) &&
	       count_mappings(process->pid, &ret->mappings) &&
	       count_memory(process->pid, &ret->memory);
}

bool process_was_killed(const struct process *process)
{
	return process->ended && WIFSIGNALED(process->status);
}

const char *process_status_text(const struct process *process)
{
	static char text[64];

	if (WIFSIGNALED(process->status))
		snprintf(text, sizeof(text), "ended by signal %d, %s", WTERMSIG(process->status),
		         strsignal(WTERMSIG(process->status)));
	else
		snprintf(text, sizeof(text), "ended with status %d", WEXITSTATUS(process->status));
	return text;
}
