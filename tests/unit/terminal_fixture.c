/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "terminal_fixture.h"

#include "unit.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct backend_fixture terminal_backend;
int terminal_master, terminal_slave;
static int saved_err, null_err;
struct termios terminal_before;

void terminal_fixture_open(void)
{
	assert_int_equal(openpty(&terminal_master, &terminal_slave, NULL, NULL, NULL), 0);
	fcntl(terminal_master, F_SETFD, FD_CLOEXEC);
	fcntl(terminal_slave, F_SETFD, FD_CLOEXEC);
	assert_int_equal(ioctl(terminal_slave, TIOCSCTTY, 1), 0);
	assert_int_equal(tcgetattr(terminal_slave, &terminal_before), 0);
	fcntl(terminal_master, F_SETFL, O_NONBLOCK);
	/* The line's end that it writes to standard error as it goes. */
	saved_err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	null_err = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup2(null_err, STDERR_FILENO);
}

static void give_stderr_back(void)
{
	if (saved_err <= 0)
		return;
	dup2(saved_err, STDERR_FILENO);
	close(saved_err);
	close(null_err);
	saved_err = 0;
}

/* Also after a failure, which would be told to nobody. */
int terminal_fixture_teardown(void **state)
{
	give_stderr_back();
	return resources_teardown(state);
}

void terminal_fixture_close(void)
{
	give_stderr_back();
	if (terminal_master >= 0)
		close(terminal_master);
	close(terminal_slave);
}

void terminal_expect_text(const char *text)
{
	nested_expect_output(&terminal_backend, terminal_master, text, strlen(text));
}

void terminal_fixture_set_up(void)
{
	terminal_fixture_open();
	nested_fixture_init(&terminal_backend, terminal_slave, terminal_slave, 4096, 1024);
	terminal_expect_text(TERMINAL_HINT);
}

bool terminal_is_as_before(void)
{
	struct termios now;

	assert_int_equal(tcgetattr(terminal_slave, &now), 0);
	return now.c_iflag == terminal_before.c_iflag && now.c_oflag == terminal_before.c_oflag &&
	       now.c_cflag == terminal_before.c_cflag && now.c_lflag == terminal_before.c_lflag &&
	       memcmp(now.c_cc, terminal_before.c_cc, sizeof(now.c_cc)) == 0;
}

bool terminal_is_set_raw(void)
{
	struct termios now;

	assert_int_equal(tcgetattr(terminal_slave, &now), 0);
	return !(now.c_lflag & (ICANON | ECHO | ISIG | IEXTEN)) && !(now.c_oflag & OPOST) &&
	       !(now.c_iflag & (ICRNL | IXON | ISTRIP));
}

void terminal_fixture_tear_down(void)
{
	nested_fixture_deinit(&terminal_backend);
	if (terminal_master >= 0)
		assert_true(terminal_is_as_before());
	terminal_fixture_close();
}

void terminal_type(const char *keys, size_t len)
{
	assert_int_equal(write(terminal_master, keys, len), len);
}

int terminal_fixture_main(int (*run)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		setsid();
		signal(SIGHUP, SIG_IGN);
		exit(run());
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
