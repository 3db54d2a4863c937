/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds a port's log: all that the guest prints is in its file, whatever that file is, and neither
 * the guest nor another log waits for it, whatever its file system does.
 */
#include "unit.h"

#include "backend_fixture.h"
#include "hung_files.h"

#include "backends/logfile.h"
#include "loop/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#define HISTORY  (64 * 1024)
#define LOGS_MAX 12

static struct backend_fixture f;
static struct logfile *logs[LOGS_MAX];
static unsigned int count, stopped, tellings;
static int told;
static char folder[] = "/tmp/logfile.XXXXXX";
static char path[64];

static void set_up(void)
{
	snprintf(folder, sizeof(folder), "/tmp/logfile.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/log", folder);
	backend_fixture_init(&f, HISTORY, 4096);
	count = stopped = tellings = 0;
}

static int begin(const char *at)
{
	int r = logfile_new(&logs[count], f.loop, at);

	assert_int_equal(r, 0);
	r = logfile_await_now(logs[count]);
	if (r < 0)
		logfile_free(logs[count]);
	else
		logfile_attach(logs[count++], &f.output.port);
	return r;
}

static void on_stopped(void *owner)
{
	(void)owner;
	stopped++;
}

static void stop_all(void)
{
	for (unsigned int i = 0; i < count; i++)
		logfile_stop(logs[i], on_stopped, NULL);
	turn_until(f.loop, stopped == count);
}

static void tear_down(void)
{
	stop_all();
	turn_until(f.loop, loop_aside_calls(f.loop) == 0);
	backend_fixture_free(&f);
	unlink(path);
	assert_int_equal(rmdir(folder), 0);
}

/* Never waits: a guest that couldn't write at once would be held up. */
static void print(const char *text)
{
	size_t len = strlen(text);

	for (uint64_t until = support_now_ms() + support_deadline_ms(); len > 0;) {
		size_t n = backend_guest_writes(&f, text, len);

		text += n;
		len -= n;
		turning_step(f.loop, until, "the guest can print");
	}
}

static bool file_has(const char *at, const char *text)
{
	static char bytes[16 * HISTORY];
	int fd = open(at, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = read(fd, bytes, sizeof(bytes) - 1);

	close(fd);
	bytes[n > 0 ? n : 0] = '\0';
	return strstr(bytes, text);
}

static bool fifo_has(int fd, const char *text)
{
	static char bytes[4 * HISTORY];
	static size_t len;
	ssize_t n = read(fd, bytes + len, sizeof(bytes) - 1 - len);
	bool found;

	len += n > 0 ? (size_t)n : 0;
	bytes[len] = '\0';
	found = strstr(bytes, text);
	if (found)
		len = 0;
	return found;
}

static int open_reader(void)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	assert_return_code(fd, 0);
	return fd;
}

TEST(all_output_is_in_the_file)
{
	char text[1024], *all = malloc(200 * sizeof(text)), *file = malloc(200 * sizeof(text));
	size_t len = 0;
	int fd;

	set_up();
	assert_int_equal(begin(path), 0);
	for (unsigned int i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "line %u %0*u\n", i, (int)(i * 5), i);
		print(text);
		len += (size_t)sprintf(all + len, "%s", text);
		/* Else it may be too fast for a busy machine, and the file says so. */
		turn_until(f.loop, file_has(path, text));
	}
	turn_until(f.loop, file_has(path, "line 199"));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, file, len + 1), len);
	assert_memory_equal(file, all, len);
	close(fd);
	free(all);
	free(file);
	tear_down();
}

TEST(a_file_that_was_moved_is_opened_anew)
{
	char moved[80];

	set_up();
	assert_int_equal(begin(path), 0);
	print("before");
	turn_until(f.loop, file_has(path, "before"));
	snprintf(moved, sizeof(moved), "%s.1", path);
	assert_int_equal(rename(path, moved), 0);
	logfile_reopen(logs[0]);
	print("after");
	turn_until(f.loop, file_has(path, "after"));
	assert_false(file_has(moved, "after"));
	unlink(moved);
	tear_down();
}

/* A FIFO that nobody reads yet is in its place: the old file has it all until somebody does. */
TEST(what_cannot_be_opened_anew_is_tried_again)
{
	char moved[80];
	int reader;

	set_up();
	assert_int_equal(begin(path), 0);
	snprintf(moved, sizeof(moved), "%s.1", path);
	assert_int_equal(rename(path, moved), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	logfile_reopen(logs[0]);
	print("to the old one");
	turn_until(f.loop, file_has(moved, "to the old one"));
	reader = open_reader();
	/* When it is tried again isn't known. */
	for (unsigned int i = 0; !fifo_has(reader, "to the new one"); i++) {
		if (i % 1000 == 0)
			print("to the new one");
		turning_step(f.loop, UINT64_MAX, "");
	}
	close(reader);
	unlink(moved);
	tear_down();
}

TEST(a_fifo_may_be_without_a_reader_at_any_time)
{
	int reader;

	set_up();
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(begin(path), 0);
	print("nobody reads yet");
	reader = open_reader();
	turn_until(f.loop, fifo_has(reader, "nobody reads yet"));
	close(reader);
	print("lost");
	turn_some(f.loop);
	/* And a rotation meanwhile. */
	logfile_reopen(logs[0]);
	print("lost, too");
	turn_some(f.loop);
	reader = open_reader();
	print("read again");
	turn_until(f.loop, fifo_has(reader, "read again"));
	close(reader);
	tear_down();
}

TEST(a_fifo_that_is_not_read_holds_nobody)
{
	char *much = malloc(8 * HISTORY);
	int reader;

	set_up();
	memset(much, 'x', 8 * HISTORY - 1);
	much[8 * HISTORY - 1] = '\0';
	assert_int_equal(mkfifo(path, 0600), 0);
	reader = open_reader();
	assert_int_equal(begin(path), 0);
	print(much);
	/* A rotation reaches it all the same. */
	unlink(path);
	logfile_reopen(logs[0]);
	print("after the rotation");
	turn_until(f.loop, file_has(path, "after the rotation"));
	close(reader);
	free(much);
	tear_down();
}

TEST(a_terminal_that_is_not_read_holds_nobody)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	char *much = malloc(2 * HISTORY), slave[64];

	set_up();
	for (unsigned int i = 0; i < 2 * HISTORY - 1; i++)
		much[i] = i % 40 == 39 ? '\n' : 'x';
	much[2 * HISTORY - 1] = '\0';
	assert_return_code(master, 0);
	assert_int_equal(unlockpt(master), 0);
	assert_int_equal(ptsname_r(master, slave, sizeof(slave)), 0);
	assert_int_equal(begin(slave), 0);
	print(much);
	turn_some(f.loop);
	print("read again");
	turn_until(f.loop, fifo_has(master, "read again"));
	free(much);
	stop_all();
	count = stopped = 0;
	close(master);
	tear_down();
}

/* A loop device, which root may make and open. */
static bool make_block_device(const char *at)
{
	int fd = mknod(at, S_IFBLK | 0600, makedev(7, 0)) < 0 ? -1 : open(at, O_WRONLY | O_CLOEXEC);

	close(fd);
	return fd >= 0;
}

TEST(what_can_not_be_a_log_is_refused)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char nowhere[80];
	int sock;

	set_up();
	assert_errno(begin(folder), EISDIR);
	snprintf(nowhere, sizeof(nowhere), "%s/none/log", folder);
	assert_errno(begin(nowhere), ENOENT);
	snprintf(nowhere, sizeof(nowhere), "%s/block", folder);
	if (make_block_device(nowhere))
		assert_errno(begin(nowhere), ENOTBLK);
	unlink(nowhere);
	/* It may be a FIFO one day. */
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(sock, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(begin(path), 0);
	print("nothing comes of this");
	close(sock);
	unlink(path);
	print("a file");
	turn_until(f.loop, file_has(path, "a file"));
	tear_down();
}

TEST(a_full_file_is_tried_again)
{
	struct rlimit before, little = {0};

	signal(SIGXFSZ, SIG_IGN);
	set_up();
	assert_int_equal(begin(path), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	little.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	print("too much");
	turn_some(f.loop);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	print("room again");
	turn_until(f.loop, file_has(path, "room again"));
	tear_down();
}

static void on_opened(struct logfile *log, void *owner, int r)
{
	(void)log, (void)owner;
	told = r;
	tellings++;
}

TEST(while_others_are_served_an_answer_comes_later)
{
	set_up();
	assert_int_equal(logfile_new(&logs[0], f.loop, folder), 0);
	logfile_await(logs[0], on_opened, NULL);
	assert_int_equal(tellings, 0);
	turn_until(f.loop, tellings > 0);
	assert_errno(told, EISDIR);
	assert_int_equal(logfile_new(&logs[1], f.loop, path), 0);
	logfile_await(logs[1], on_opened, NULL);
	turn_until(f.loop, tellings > 1);
	assert_int_equal(told, 0);
	logfile_attach(logs[1], &f.output.port);
	count = 2;
	print("written");
	turn_until(f.loop, file_has(path, "written"));
	tear_down();
}

/* More than the ring has workers, and more than there are processors. */
static void hang(enum hung_files_from from, bool later)
{
	struct hung_files hung;

	set_up();
	if (!hung_files_begin(&hung, from)) {
		tear_down();
		skip();
	}
	for (unsigned int i = 0; i < LOGS_MAX - 1; i++) {
		if (!later) {
			assert_int_equal(begin(hung.file), 0);
			continue;
		}
		assert_int_equal(logfile_new(&logs[count], f.loop, hung.file), 0);
		logfile_await(logs[count], on_opened, NULL);
		turn_until(f.loop, tellings == i + 1);
		assert_int_equal(told, 0);
		logfile_attach(logs[count++], &f.output.port);
	}
	print("on the way");
	turn_until(f.loop, poll(&(struct pollfd){.fd = hung.hangs, .events = POLLIN}, 1, 0) == 1);
	assert_int_equal(begin(path), 0);
	print("all of this");
	turn_until(f.loop, file_has(path, "all of this"));
	turn_until(f.loop, loop_aside_calls(f.loop) == LOGS_MAX - 1);
	print("and this");
	turn_until(f.loop, file_has(path, "and this"));
	/* The end waits no more than a second for any of them. */
	stop_all();
	count = stopped = 0;
	assert_int_equal(loop_aside_calls(f.loop), LOGS_MAX - 1);
	hung_files_end(&hung);
	tear_down();
}

static unsigned int count_threads(void)
{
	static const char begin[] = "Threads:";
	char line[128];
	unsigned long threads = 0;
	FILE *status = fopen("/proc/self/status", "re");

	assert_non_null(status);
	while (fgets(line, sizeof(line), status) && threads == 0) {
		if (strncmp(line, begin, sizeof(begin) - 1) == 0)
			threads = strtoul(line + sizeof(begin) - 1, NULL, 10);
	}
	fclose(status);
	return (unsigned int)threads;
}

static int gate[2];

static void run_waiting(struct aside_call *call)
{
	char byte;

	(void)call;
	while (read(gate[0], &byte, 1) < 0 && errno == EINTR)
		;
}

static void on_call_done(struct aside_call *call)
{
	(void)call;
}

/* Though the threads may not yet have begun when the next call is queued. */
TEST(no_call_has_more_than_one_thread)
{
	static struct aside_call calls[64];
	unsigned int before;

	set_up();
	before = count_threads();
	assert_return_code(pipe(gate), 0);
	for (unsigned int i = 0; i < 64; i++) {
		calls[i] = (struct aside_call){.run = run_waiting, .done = on_call_done};
		loop_aside(f.loop, &calls[i]);
	}
	assert_true(count_threads() <= before + 64);
	close(gate[1]);
	turn_until(f.loop, loop_aside_calls(f.loop) == 0);
	close(gate[0]);
	tear_down();
}

TEST(a_file_system_that_does_not_answer_costs_its_own_logs)
{
	hang(HUNG_FROM_THE_BEGINNING, false);
}

TEST(nor_do_those_wait_that_come_later)
{
	hang(HUNG_FROM_THE_BEGINNING, true);
}

TEST(a_write_that_is_not_answered_costs_its_own_log)
{
	hang(HUNG_FROM_THE_FIRST_WRITE, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(all_output_is_in_the_file),
	    UNIT(a_file_that_was_moved_is_opened_anew),
	    UNIT(what_cannot_be_opened_anew_is_tried_again),
	    UNIT(a_fifo_may_be_without_a_reader_at_any_time),
	    UNIT(a_fifo_that_is_not_read_holds_nobody),
	    UNIT(a_terminal_that_is_not_read_holds_nobody),
	    UNIT(what_can_not_be_a_log_is_refused),
	    UNIT(a_full_file_is_tried_again),
	    UNIT(while_others_are_served_an_answer_comes_later),
	    UNIT(no_call_has_more_than_one_thread),
	    UNIT(a_file_system_that_does_not_answer_costs_its_own_logs),
	    UNIT(nor_do_those_wait_that_come_later),
	    UNIT(a_write_that_is_not_answered_costs_its_own_log),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
