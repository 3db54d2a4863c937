/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the nested backend in a terminal: raw while it works and as it was before on every way out,
 * all keys for the guest but those after Ctrl-].
 */
#include "unit.h"

#include "backends/escape_key.h"
#include "backends/terminal.h"
#include "process/signals.h"
#include "terminal_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define HELP                                                                                       \
	"\r\n[vhost-user-console: Ctrl-] . ends, Ctrl-] Ctrl-] sends Ctrl-], Ctrl-] ? shows "      \
	"this; "                                                                                   \
	"Ctrl-5 is the same key in most terminals]\r\n"

TEST(the_terminal_is_raw_meanwhile_and_as_before_afterwards)
{
	terminal_fixture_set_up();
	assert_true(terminal_is_set_raw());
	terminal_fixture_tear_down();
}

TEST(all_keys_go_to_the_guest)
{
	static const char keys[] = "ls\r\x03\x1a\x1c\x04\x11\x13\x7f\x1b[A\xff\t";

	terminal_fixture_set_up();
	terminal_type(keys, sizeof(keys) - 1);
	nested_expect_input(&terminal_backend, keys, sizeof(keys) - 1);
	assert_int_equal(terminal_backend.quits, 0);
	terminal_fixture_tear_down();
}

TEST(output_comes_out_as_it_is)
{
	static const char text[] = "a\nb\r\nc\x07\x1b[2J\xe2\x82\xac";

	terminal_fixture_set_up();
	backend_guest_writes(&terminal_backend, text, sizeof(text) - 1);
	terminal_expect_text(text);
	terminal_fixture_tear_down();
}

/* What is typed, what the guest gets of it, what is shown, and how often the end is asked for. */
static const struct {
	const char *keys, *input, *shown;
	unsigned int quits;
} commands[] = {
    {"\x1d.", "", "", 1},
    {"\x1d\x1d", "\x1d", "", 0},
    {"\x1d?", "", HELP, 0},
    {"ab\x1d\x1d"
     "cd",
     "ab\x1d"
     "cd",
     "", 0},
    {"a\x1d.b", "ab", "", 1},
    {"\x1d\x1d.", "\x1d.", "", 0},
    {"\x1d\x1d\x1d.", "\x1d", "", 1},
    {"?.", "?.", "", 0},
    {"\x1b[93;5u.", "", "", 1},
    {"\x1d\x1b[5;8R.", "\x1b[5;8R", "", 1},
    {"\x1b[93;5u?", "", HELP, 0},
};

TEST(escape_commands_in_one_piece_and_key_by_key)
{
	for (size_t i = 0; i < 2 * ROWS(commands); i++) {
		const char *keys = commands[i / 2].keys;
		/* What begins with an ESC comes in one piece. */
		bool by_key = i % 2 && !strchr(keys, '\x1b');

		terminal_fixture_set_up();
		for (const char *at = keys; by_key && *at; at++) {
			terminal_type(at, 1);
			turn_some(terminal_backend.loop);
		}
		if (!by_key)
			terminal_type(keys, strlen(keys));
		nested_expect_input(&terminal_backend, commands[i / 2].input,
		                    strlen(commands[i / 2].input));
		terminal_expect_text(commands[i / 2].shown);
		turn_until(terminal_backend.loop, terminal_backend.quits >= commands[i / 2].quits);
		assert_int_equal(terminal_backend.quits, commands[i / 2].quits);
		terminal_fixture_tear_down();
	}
}

/* Otherwise nobody could end it: the keys are read, and those that don't fit are dropped. */
TEST(a_guest_that_takes_no_input_does_not_keep_the_person_from_ending)
{
	static char keys[2000];

	terminal_fixture_set_up();
	memset(keys, 'x', sizeof(keys));
	terminal_type(keys, sizeof(keys));
	turn_until(terminal_backend.loop, byte_ring_free(&terminal_backend.output.port.input) == 0);
	terminal_type("\x1d.", 2);
	turn_until(terminal_backend.loop, terminal_backend.quits > 0);
	terminal_fixture_tear_down();
}

TEST(what_is_pasted_waits_for_a_guest_that_takes_it_slowly)
{
	static char keys[4000], got[4000];
	size_t typed = 0, done = 0;

	terminal_fixture_set_up();
	support_fill_pattern(keys, sizeof(keys), 0);
	while (done < sizeof(keys)) {
		ssize_t n = write(terminal_master, keys + typed, sizeof(keys) - typed);

		typed += n > 0 ? (size_t)n : 0;
		turning_step(terminal_backend.loop, UINT64_MAX, "");
		done += nested_guest_takes(&terminal_backend, got + done, 3);
	}
	assert_memory_equal(got, keys, sizeof(keys));
	terminal_fixture_tear_down();
}

TEST(the_size_of_the_window_is_told_when_it_changes)
{
	struct winsize size = {.ws_col = 132, .ws_row = 43};

	terminal_fixture_set_up();
	assert_int_equal(ioctl(terminal_master, TIOCSWINSZ, &size), 0);
	terminal_backend.backend->ops->resize(terminal_backend.backend);
	terminal_backend.backend->ops->resize(terminal_backend.backend);
	assert_int_equal(terminal_backend.resizes, 1);
	assert_int_equal(terminal_backend.output.port.cols, 132);
	assert_int_equal(terminal_backend.output.port.rows, 43);
	/* Half a size is none. */
	size.ws_row = 0;
	assert_int_equal(ioctl(terminal_master, TIOCSWINSZ, &size), 0);
	terminal_backend.backend->ops->resize(terminal_backend.backend);
	assert_int_equal(terminal_backend.resizes, 2);
	assert_int_equal(terminal_backend.output.port.cols, 0);
	terminal_fixture_tear_down();
}

TEST(another_key_after_the_escape_is_no_input_and_no_end)
{
	terminal_fixture_set_up();
	terminal_type("\x1dx", 2);
	turn_some(terminal_backend.loop);
	nested_expect_input(&terminal_backend, "", 0);
	assert_int_equal(terminal_backend.quits, 0);
	terminal_type("y", 1);
	nested_expect_input(&terminal_backend, "y", 1);
	terminal_fixture_tear_down();
}

TEST(the_shared_open_file_is_not_made_non_blocking)
{
	terminal_fixture_set_up();
	assert_int_equal(fcntl(terminal_slave, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK, 0);
	terminal_fixture_tear_down();
}

TEST(a_suspended_process_gives_the_terminal_back_and_takes_it_again)
{
	terminal_fixture_set_up();
	for (unsigned int i = 0; i < 3; i++) {
		terminal_backend.backend->ops->suspend(terminal_backend.backend);
		assert_true(terminal_is_as_before());
		terminal_backend.backend->ops->resume(terminal_backend.backend);
		assert_true(terminal_is_set_raw());
	}
	terminal_type("x", 1);
	nested_expect_input(&terminal_backend, "x", 1);
	terminal_fixture_tear_down();
}

TEST(what_was_changed_while_suspended_is_what_is_restored)
{
	struct termios changed;

	terminal_fixture_set_up();
	terminal_backend.backend->ops->suspend(terminal_backend.backend);
	assert_int_equal(tcgetattr(terminal_slave, &changed), 0);
	changed.c_lflag &= ~(tcflag_t)ECHO;
	assert_int_equal(tcsetattr(terminal_slave, TCSANOW, &changed), 0);
	terminal_backend.backend->ops->resume(terminal_backend.backend);
	terminal_before = changed;
	terminal_fixture_tear_down();
}

TEST(the_hangup_of_the_terminal_ends_the_program)
{
	terminal_fixture_set_up();
	turn_some(terminal_backend.loop);
	close(terminal_master);
	terminal_master = -1;
	turn_until(terminal_backend.loop, terminal_backend.quits > 0);
	terminal_fixture_tear_down();
}

TEST(a_terminal_that_takes_nothing_does_not_hold_the_end)
{
	static char bytes[4096];

	terminal_fixture_set_up();
	memset(bytes, 'x', sizeof(bytes));
	for (unsigned int i = 0; i < 20; i++) {
		backend_guest_writes(&terminal_backend, bytes, sizeof(bytes));
		turn_some(terminal_backend.loop);
	}
	terminal_backend.backend->ops->stop(terminal_backend.backend);
	/* Restoring waits until what was written is out (TCSADRAIN), so somebody has to read. */
	turn_until(terminal_backend.loop,
	           read(terminal_master, bytes, sizeof(bytes)) < 0 && !terminal_backend.backend);
	terminal_fixture_tear_down();
}

/* A sequence that a read ends in is held back: it has its room when it turns out to be none. */
TEST(what_is_held_back_is_not_lost_when_there_is_no_room)
{
	static char keys[1024 + 8], got[1024 + 8];
	size_t done = 0;

	terminal_fixture_set_up();
	memset(keys, 'x', sizeof(keys));
	memcpy(keys + 1016, "\x1b[93;6A", 8);
	for (size_t i = 0; i < sizeof(keys); i += 8) {
		terminal_type(keys + i, 8);
		turn_some(terminal_backend.loop);
	}
	turn_until(terminal_backend.loop,
	           (done += nested_guest_takes(&terminal_backend, got + done, 1)) == sizeof(keys));
	assert_memory_equal(got, keys, sizeof(keys));
	terminal_fixture_tear_down();
}

TEST(another_escape_key_or_none_can_be_chosen)
{
	nested_fixture_key = 0x01;
	terminal_fixture_open();
	nested_fixture_init(&terminal_backend, terminal_slave, terminal_slave, 4096, 1024);
	terminal_expect_text("\r\n[vhost-user-console: Ctrl-A . ends, Ctrl-A ? shows help]\r\n");
	terminal_type("\x1d.\x01?", 4);
	nested_expect_input(&terminal_backend, "\x1d.", 2);
	terminal_expect_text(
	    "\r\n[vhost-user-console: Ctrl-A . ends, Ctrl-A Ctrl-A sends Ctrl-A, Ctrl-A ? "
	    "shows this]\r\n");
	terminal_type("\x01.", 2);
	turn_until(terminal_backend.loop, terminal_backend.quits > 0);
	terminal_fixture_tear_down();

	nested_fixture_key = ESCAPE_KEY_NONE;
	terminal_fixture_open();
	nested_fixture_init(&terminal_backend, terminal_slave, terminal_slave, 4096, 1024);
	terminal_expect_text("\r\n[vhost-user-console: no escape key; SIGTERM ends this]\r\n");
	terminal_type("\x1d.\x01.", 4);
	nested_expect_input(&terminal_backend, "\x1d.\x01.", 4);
	assert_int_equal(terminal_backend.quits, 0);
	nested_fixture_key = ESCAPE_KEY_DEFAULT;
	terminal_fixture_tear_down();
}

/* Ways out in a child: the terminal is looked at by its parent. */

static void leave_by_exit(void)
{
	exit(3);
}

static void leave_by_abort(void)
{
	abort();
}

static void leave_by_trap(void)
{
	raise(SIGTRAP);
}

/* What was written reaches the master a moment later. */
static void expect_read(const char *text)
{
	struct pollfd master = {.fd = terminal_master, .events = POLLIN};
	size_t len = strlen(text), done = 0;
	char bytes[256];

	assert_true(len < sizeof(bytes));
	while (done < len) {
		ssize_t n;

		assert_int_equal(poll(&master, 1, (int)support_deadline_ms()), 1);
		n = read(terminal_master, bytes + done, len - done);
		assert_true(n > 0);
		done += (size_t)n;
	}
	assert_memory_equal(bytes, text, len);
	assert_int_equal(read(terminal_master, bytes, 1), -1);
}

TEST(the_terminal_is_restored_at_exit_and_at_a_crash)
{
	static void (*const ways[])(void) = {leave_by_exit, leave_by_abort, leave_by_trap};
	static const char switched[] = "\x1b[?1000h";

	for (size_t i = 0; i < ROWS(ways); i++) {
		pid_t child;
		int status;

		terminal_fixture_open();
		fflush(NULL);
		child = fork();
		if (child == 0) {
			if (terminal_enter_raw(terminal_slave) < 0 || !terminal_is_set_raw())
				_exit(1);
			fcntl(terminal_slave, F_SETFL, O_NONBLOCK);
			terminal_show(terminal_slave);
			terminal_sent(switched, sizeof(switched) - 1);
			ways[i]();
			_exit(2);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		if (!terminal_is_as_before())
			fail_msg("way %zu: the terminal is left raw, status %#x", i, status);
		expect_read("\x1b[?1000l");
		/* It still ends as it would have. */
		if (i == 0)
			assert_int_equal(WEXITSTATUS(status), 3);
		else
			assert_int_equal(WTERMSIG(status), i == 1 ? SIGABRT : SIGTRAP);
		terminal_fixture_close();
	}
}

/*
 * As in the daemon, whose handlers are there first, with standard error in the same terminal: the
 * guest's modes go, then ours, and then comes the line, which so ends in CR LF.
 */
TEST(a_crash_of_the_daemon_restores_the_terminal_and_then_says_so)
{
	static const struct {
		int signal;
		const char *shown;
	} crashes[] = {
	    {SIGABRT, "\x1b[?1000lvhost-user-console: error: SIGABRT: a fault of this program\r\n"},
	    {SIGTRAP, "\x1b[?1000lvhost-user-console: error: SIGTRAP: a fault of this program\r\n"},
	    {SIGQUIT, "\x1b[?1000lvhost-user-console: error: SIGQUIT: ending at once\r\n"},
	};
	static const char switched[] = "\x1b[?1000h";

	for (size_t i = 0; i < ROWS(crashes); i++) {
		pid_t child;
		int status;

		terminal_fixture_open();
		fflush(NULL);
		child = fork();
		if (child == 0) {
			signals_guard();
			dup2(terminal_slave, STDERR_FILENO);
			fcntl(terminal_slave, F_SETFL, O_NONBLOCK);
			if (terminal_enter_raw(terminal_slave) < 0)
				_exit(1);
			terminal_show(terminal_slave);
			terminal_sent(switched, sizeof(switched) - 1);
			raise(crashes[i].signal);
			_exit(2);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(terminal_is_as_before());
		expect_read(crashes[i].shown);
		assert_int_equal(WTERMSIG(status), crashes[i].signal);
		terminal_fixture_close();
	}
}

TEST(in_the_background_the_terminal_is_left_alone)
{
	pid_t child;
	int status;

	terminal_fixture_open();
	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		if (terminal_enter_raw(terminal_slave) != 0)
			_exit(1);
		_exit(terminal_is_as_before() ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(terminal_is_as_before());
	terminal_fixture_close();
}

TEST(entering_and_leaving_twice_does_no_harm)
{
	terminal_fixture_open();
	terminal_leave_raw();
	assert_true(terminal_is_as_before());
	assert_int_equal(terminal_enter_raw(terminal_slave), 0);
	assert_int_equal(terminal_enter_raw(terminal_slave), 0);
	assert_true(terminal_is_set_raw());
	terminal_leave_raw();
	terminal_leave_raw();
	assert_true(terminal_is_as_before());
	terminal_fixture_close();
}

#undef UNIT
#define UNIT(name) cmocka_unit_test_setup_teardown(name, resources_setup, terminal_fixture_teardown)

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(the_terminal_is_raw_meanwhile_and_as_before_afterwards),
	    UNIT(all_keys_go_to_the_guest),
	    UNIT(output_comes_out_as_it_is),
	    UNIT(escape_commands_in_one_piece_and_key_by_key),
	    UNIT(a_guest_that_takes_no_input_does_not_keep_the_person_from_ending),
	    UNIT(what_is_pasted_waits_for_a_guest_that_takes_it_slowly),
	    UNIT(the_size_of_the_window_is_told_when_it_changes),
	    UNIT(another_key_after_the_escape_is_no_input_and_no_end),
	    UNIT(the_shared_open_file_is_not_made_non_blocking),
	    UNIT(a_suspended_process_gives_the_terminal_back_and_takes_it_again),
	    UNIT(what_was_changed_while_suspended_is_what_is_restored),
	    UNIT(the_hangup_of_the_terminal_ends_the_program),
	    UNIT(a_terminal_that_takes_nothing_does_not_hold_the_end),
	    UNIT(what_is_held_back_is_not_lost_when_there_is_no_room),
	    UNIT(another_escape_key_or_none_can_be_chosen),
	    UNIT(the_terminal_is_restored_at_exit_and_at_a_crash),
	    UNIT(a_crash_of_the_daemon_restores_the_terminal_and_then_says_so),
	    UNIT(in_the_background_the_terminal_is_left_alone),
	    UNIT(entering_and_leaving_twice_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return terminal_fixture_main(run);
}
