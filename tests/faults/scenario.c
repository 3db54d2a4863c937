/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A daemon's whole life, once: scenario PROGRAM FOLDER TCP_PORT. The program's calls fail as the
 * environment has it (plan.h); or, with LIMITS set, it is kept from opening anything for a while.
 *
 * A guest with four ports, a client of each kind at them, the control socket and the log. Whatever
 * fails may end a connection, or be an error in an answer; then it is all done anew, and has to
 * work in the end: a shortage is over after some calls. At the end the process must hold as many
 * files and mappings as before and end in order. Where it couldn't start, it must have said why.
 * Exit status 0: as it should be; else what wasn't is said.
 */
#include "process.h"

#include "support.h"
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define ATTEMPTS 24
#define PORTS    4

/* What is waited for in the first attempt, where it may well not come; so much longer in each. */
#define FIRST_DEADLINE_MS 500u
/* What must come. */
#define DEADLINE_MS 120000u

enum { RAW, TELNET, DATA, TERMINAL };

/* One scenario a process: what it has open outlives an attempt that was left by longjmp(). */
static struct {
	const char *folder;
	uint16_t tcp_port;
	struct process daemon;
	struct process_holds before;
	struct vm vm;
	int client[PORTS];
	int control;
	char path[128];
	char message[512];
	jmp_buf failed;
	bool limited, worked;
} s = {.client = {-1, -1, -1, -1}, .control = -1};

static void die(const char *message)
{
	snprintf(s.message, sizeof(s.message), "%s", message);
	longjmp(s.failed, 1);
}

static const char *path_of(const char *name)
{
	snprintf(s.path, sizeof(s.path), "%s/%s", s.folder, name);
	return s.path;
}

/* ---- the daemon ---- */

static bool file_has(const char *name, const char *text)
{
	char *bytes = malloc(1 << 20);
	FILE *file = fopen(path_of(name), "re");
	size_t len = file && bytes ? fread(bytes, 1, (1 << 20) - 1, file) : 0;
	bool found;

	if (file)
		fclose(file);
	found = len > 0 && memmem(bytes, len, text, strlen(text));
	free(bytes);
	return found;
}

static void start(const char *program)
{
	char command[1024], frontends[128];

	snprintf(command, sizeof(command),
	         "'%s' -s {socket} -b network --log-level=debug --control-socket=%s/control "
	         "--history=16384 --max-ports=6 --port name=raw,tcp-port=%u,log-file=%s/log%%i "
	         "--port name=tel,tcp-port=%u,tcp-protocol=telnet,access=watch "
	         "--port name=dat,type=data,uds-path=%s/dat --port name=tty,pty=%s/tty",
	         program, s.folder, s.tcp_port, s.folder, s.tcp_port + 1, s.folder, s.folder);
	snprintf(frontends, sizeof(frontends), "%s", path_of("fe"));
	if (process_spawn(&s.daemon, command, frontends, path_of("stderr")) < 0)
		support_die("can't start %s", program);
}

static bool is_ready(void)
{
	uint64_t end = support_now_ms() + DEADLINE_MS;

	while (process_lives(&s.daemon)) {
		if (file_has("stderr", ": ready for "))
			return true;
		if (support_now_ms() > end)
			support_die("the daemon doesn't get ready");
		poll(NULL, 0, 2);
	}
	return false;
}

/* ---- clients ---- */

static void close_client(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int connect_to(const struct sockaddr *address, socklen_t len)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, address, len) < 0)
		support_die("a client can't connect: %s", strerror(errno));
	return fd;
}

/* It ends by a reset: one that only closes, at a silent guest, could be half closed. */
static int connect_tcp(uint16_t port)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	struct sockaddr_in address = {
	    .sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	int fd;

	fd = connect_to((struct sockaddr *)&address, sizeof(address));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return fd;
}

static int connect_unix(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path_of(name)) >= sizeof(address.sun_path))
		support_die("too long a path: %s", s.path);
	memcpy(address.sun_path, s.path, strlen(s.path) + 1);
	return connect_to((struct sockaddr *)&address, sizeof(address));
}

static int open_terminal(const char *name)
{
	struct termios termios;
	int fd = open(path_of(name), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &termios) < 0)
		support_die("the terminal can't be opened: %s", strerror(errno));
	cfmakeraw(&termios);
	tcsetattr(fd, TCSANOW, &termios);
	return fd;
}

static void connect_client(unsigned int port)
{
	switch (port) {
	case RAW:
		s.client[port] = connect_tcp(s.tcp_port);
		break;
	case TELNET:
		s.client[port] = connect_tcp((uint16_t)(s.tcp_port + 1));
		break;
	case DATA:
		s.client[port] = connect_unix("dat0");
		break;
	default:
		s.client[port] = open_terminal("tty0");
	}
}

/* Reads until the text has come. */
static void await_text(int fd, const char *text)
{
	uint64_t end = support_now_ms() + support_deadline_ms();
	char bytes[65536];
	size_t len = 0;

	while (!memmem(bytes, len, text, strlen(text))) {
		struct pollfd pollfd = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (support_now_ms() > end || len == sizeof(bytes))
			support_die("'%s' doesn't come", text);
		if (poll(&pollfd, 1, 10) == 0)
			continue;
		n = read(fd, bytes + len, sizeof(bytes) - len);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			support_die("a client was closed that waits for '%s'", text);
		len += (size_t)(n > 0 ? n : 0);
	}
}

static void say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		support_die("a client can't send: %s", strerror(errno));
}

/* ---- the session ---- */

static void await_input(struct port_driver *port, const char *text)
{
	uint64_t end = support_now_ms() + support_deadline_ms();

	do {
		port_driver_collect(port);
		if (support_now_ms() > end)
			support_die("'%s' isn't typed", text);
		frontend_turn(&s.vm.frontend);
	} while (port->input_size == 0 ||
	         !memmem(port->input, port->input_size, text, strlen(text)));
}

static void talk(unsigned int attempt, unsigned int round)
{
	for (unsigned int id = 0; id < PORTS; id++) {
		char text[64];

		snprintf(text, sizeof(text), "[%u %u says %u]", id, attempt, round);
		port_driver_transmit(vm_port(&s.vm, id), text, strlen(text));
		await_text(s.client[id], text);
		snprintf(text, sizeof(text), "[%u %u hears %u]", id, attempt, round);
		say(s.client[id], text);
		await_input(vm_port(&s.vm, id), text);
	}
}

/* More than fits anywhere, read only then: the client lags or the guest is held. */
static void flood(unsigned int attempt)
{
	static char bytes[65536];
	char text[64];

	memset(bytes, 'x', sizeof(bytes));
	port_driver_transmit(vm_port(&s.vm, TELNET), bytes, sizeof(bytes));
	snprintf(text, sizeof(text), "[%u after the flood]", attempt);
	port_driver_transmit(vm_port(&s.vm, RAW), text, strlen(text));
	await_text(s.client[RAW], text);
	close_client(&s.client[TELNET]);
	connect_client(TELNET);
}

static void use_control(void)
{
	char line[256];

	s.control = connect_unix("control");
	say(s.control, "port-remove 0 more\nlist\n");
	await_text(s.control, "\nok\n");
	snprintf(line, sizeof(line), "port-add 0 name=more,type=data,uds-path=%s/more\n", s.folder);
	say(s.control, line);
	await_text(s.control, "ok\n");
	say(s.control, "port-remove 0 more\n");
	await_text(s.control, "ok\n");
	close_client(&s.control);
}

static void await_log(unsigned int attempt)
{
	uint64_t end = support_now_ms() + support_deadline_ms();
	char text[64];

	snprintf(text, sizeof(text), "[0 %u says 1]", attempt);
	while (!file_has("log0", text)) {
		if (support_now_ms() > end)
			support_die("the log doesn't get '%s'", text);
		poll(NULL, 0, 2);
	}
}

static void session(unsigned int attempt)
{
	const struct vmm *vmm = attempt % 2 ? &vmm_crosvm : &vmm_qemu;

	if (!vm_start(&s.vm, path_of("fe0"), vmm, PORTS))
		support_die("the frontend was closed");
	for (unsigned int id = 0; id < PORTS; id++)
		connect_client(id);
	multiport_driver_await_open(&s.vm.multiport, DATA, true);
	talk(attempt, 0);
	use_control();
	kill(s.daemon.pid, SIGHUP);
	flood(attempt);
	if (!vm_reboot(&s.vm))
		support_die("the frontend was closed");
	multiport_driver_await_open(&s.vm.multiport, DATA, true);
	talk(attempt, 1);
	await_log(attempt);
}

static void end_session(void)
{
	for (unsigned int id = 0; id < PORTS; id++)
		close_client(&s.client[id]);
	close_client(&s.control);
	vm_stop(&s.vm);
}

/* The daemon can't open anything more. */
static void set_limit(bool limited)
{
	struct rlimit limit;

	if (prlimit(s.daemon.pid, RLIMIT_NOFILE, NULL, &limit) < 0)
		support_die("prlimit: %s", strerror(errno));
	limit.rlim_cur = limited ? s.before.fds : limit.rlim_max;
	if (prlimit(s.daemon.pid, RLIMIT_NOFILE, &limit, NULL) < 0)
		support_die("prlimit: %s", strerror(errno));
}

/* False if it failed: that may be, while something is short. */
static bool attempt_session(unsigned int attempt)
{
	uint64_t deadline_ms = (uint64_t)FIRST_DEADLINE_MS * (attempt + 1);

	support_set_deadline_ms(deadline_ms < DEADLINE_MS ? deadline_ms : DEADLINE_MS);
	s.worked = false;
	if (setjmp(s.failed) == 0) {
		session(attempt);
		s.worked = true;
	}
	end_session();
	return s.worked;
}

/* ---- what is checked ---- */

static int wrong(const char *what)
{
	fprintf(stderr, "%s\n", what);
	return EXIT_FAILURE;
}

static bool is_as_before(struct process_holds *now)
{
	uint64_t end = support_now_ms() + DEADLINE_MS;

	do {
		if (!process_count(&s.daemon, now))
			return false;
		if (now->fds == s.before.fds && now->mappings == s.before.mappings)
			return true;
		poll(NULL, 0, 5);
	} while (support_now_ms() < end);
	return false;
}

/* With more, what tidies up fails, too: a file that may be another's stays. */
static bool one_fails(void)
{
	const char *plan = getenv("FAULTS");
	char count[24];

	return plan && sscanf(plan, "%*s %*s %23s", count) == 1 && strcmp(count, "1") == 0;
}

static int judge_start(void)
{
	static const char *const left[] = {"fe0", "control", "dat0", "tty0"};

	/* 2: options_parse(), which had no memory. */
	if (WIFSIGNALED(s.daemon.status) || WEXITSTATUS(s.daemon.status) == EXIT_SUCCESS)
		return wrong(process_status_text(&s.daemon));
	if (!file_has("stderr", ": error: ") && !file_has("stderr", "no memory"))
		return wrong("it ended without a word");
	for (unsigned int i = 0; one_fails() && i < sizeof(left) / sizeof(left[0]); i++) {
		if (access(path_of(left[i]), F_OK) == 0 || errno != ENOENT)
			return wrong("a socket or link is left");
	}
	return EXIT_SUCCESS;
}

static int judge_end(void)
{
	struct process_holds now;
	static char text[128];

	if (!process_lives(&s.daemon))
		return wrong(process_status_text(&s.daemon));
	if (!is_as_before(&now)) {
		snprintf(text, sizeof(text), "%u files and %u mappings, before %u and %u", now.fds,
		         now.mappings, s.before.fds, s.before.mappings);
		return wrong(text);
	}
	if (!process_end(&s.daemon, DEADLINE_MS))
		return wrong(process_status_text(&s.daemon));
	return EXIT_SUCCESS;
}

static int run(void)
{
	bool worked = false;

	if (!is_ready())
		return judge_start();
	if (!process_count(&s.daemon, &s.before))
		return wrong("it has gone");
	for (unsigned int i = 0; i < ATTEMPTS && !worked && process_lives(&s.daemon); i++) {
		bool limit = s.limited && i < 2;

		if (s.limited)
			set_limit(limit);
		worked = attempt_session(i) && !limit;
	}
	if (!worked && process_lives(&s.daemon)) {
		fprintf(stderr, "service doesn't go on: %s\n", s.message);
		process_end(&s.daemon, DEADLINE_MS);
		return EXIT_FAILURE;
	}
	return judge_end();
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return wrong("usage: scenario PROGRAM FOLDER TCP_PORT");
	s.folder = argv[2];
	s.tcp_port = (uint16_t)support_number(argv[3], UINT16_MAX);
	s.limited = getenv("LIMITS");
	signal(SIGPIPE, SIG_IGN);
	support_on_die = die;
	if (setjmp(s.failed) != 0)
		return wrong(s.message);
	start(argv[1]);
	return run();
}
