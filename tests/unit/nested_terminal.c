/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the nested backend in a terminal: raw while it works and as it was before on every way out,
 * all keys for the guest but those after Ctrl-].
 *
 * The program makes itself the leader of a session, so that a pseudo-terminal can be its own.
 */
#include "unit.h"

#include "backends/escape_key.h"
#include "backends/terminal.h"
#include "nested_fixture.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static struct backend_fixture f;
static int master, slave, saved_err, null_err;
static struct termios before;

static void open_terminal(void)
{
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(slave, F_SETFD, FD_CLOEXEC);
	assert_int_equal(ioctl(slave, TIOCSCTTY, 1), 0);
	assert_int_equal(tcgetattr(slave, &before), 0);
	fcntl(master, F_SETFL, O_NONBLOCK);
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
static int teardown(void **state)
{
	give_stderr_back();
	return resources_teardown(state);
}

static void close_terminal(void)
{
	give_stderr_back();
	if (master >= 0)
		close(master);
	close(slave);
}

#define HINT "\r\n[vhost-user-console: Ctrl-] . ends, Ctrl-] ? shows help]\r\n"
#define HELP                                                                                       \
	"\r\n[vhost-user-console: Ctrl-] . ends, Ctrl-] Ctrl-] sends Ctrl-], Ctrl-] ? shows this; " \
	"Ctrl-5 is the same key in most terminals]\r\n"

static void expect_text(const char *text)
{
	nested_expect_output(&f, master, text, strlen(text));
}

static void set_up(void)
{
	open_terminal();
	nested_fixture_init(&f, slave, slave, 4096, 1024);
	expect_text(HINT);
}

static bool is_as_before(void)
{
	struct termios now;

	assert_int_equal(tcgetattr(slave, &now), 0);
	return now.c_iflag == before.c_iflag && now.c_oflag == before.c_oflag &&
	       now.c_cflag == before.c_cflag && now.c_lflag == before.c_lflag &&
	       memcmp(now.c_cc, before.c_cc, sizeof(now.c_cc)) == 0;
}

static bool is_raw(void)
{
	struct termios now;

	assert_int_equal(tcgetattr(slave, &now), 0);
	return !(now.c_lflag & (ICANON | ECHO | ISIG | IEXTEN)) && !(now.c_oflag & OPOST) &&
	       !(now.c_iflag & (ICRNL | IXON | ISTRIP));
}

static void tear_down(void)
{
	nested_fixture_deinit(&f);
	if (master >= 0)
		assert_true(is_as_before());
	close_terminal();
}

static void type(const char *keys, size_t len)
{
	assert_int_equal(write(master, keys, len), len);
}

TEST(the_terminal_is_raw_meanwhile_and_as_before_afterwards)
{
	set_up();
	assert_true(is_raw());
	tear_down();
}

TEST(all_keys_go_to_the_guest)
{
	static const char keys[] = "ls\r\x03\x1a\x1c\x04\x11\x13\x7f\x1b[A\xff\t";

	set_up();
	type(keys, sizeof(keys) - 1);
	nested_expect_input(&f, keys, sizeof(keys) - 1);
	assert_int_equal(f.quits, 0);
	tear_down();
}

TEST(output_comes_out_as_it_is)
{
	static const char text[] = "a\nb\r\nc\x07\x1b[2J\xe2\x82\xac";

	set_up();
	backend_guest_writes(&f, text, sizeof(text) - 1);
	expect_text(text);
	tear_down();
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

		set_up();
		for (const char *at = keys; by_key && *at; at++) {
			type(at, 1);
			turn_some(f.loop);
		}
		if (!by_key)
			type(keys, strlen(keys));
		nested_expect_input(&f, commands[i / 2].input, strlen(commands[i / 2].input));
		expect_text(commands[i / 2].shown);
		turn_until(f.loop, f.quits >= commands[i / 2].quits);
		assert_int_equal(f.quits, commands[i / 2].quits);
		tear_down();
	}
}

/* Otherwise nobody could end it: the keys are read, and those that don't fit are dropped. */
TEST(a_guest_that_takes_no_input_does_not_keep_the_person_from_ending)
{
	static char keys[2000];

	set_up();
	memset(keys, 'x', sizeof(keys));
	type(keys, sizeof(keys));
	turn_until(f.loop, byte_ring_free(&f.output.port.input) == 0);
	type("\x1d.", 2);
	turn_until(f.loop, f.quits > 0);
	tear_down();
}

TEST(what_is_pasted_waits_for_a_guest_that_takes_it_slowly)
{
	static char keys[4000], got[4000];
	size_t typed = 0, done = 0;

	set_up();
	support_fill_pattern(keys, sizeof(keys), 0);
	while (done < sizeof(keys)) {
		ssize_t n = write(master, keys + typed, sizeof(keys) - typed);

		typed += n > 0 ? (size_t)n : 0;
		turning_step(f.loop, UINT64_MAX, "");
		done += nested_guest_takes(&f, got + done, 3);
	}
	assert_memory_equal(got, keys, sizeof(keys));
	tear_down();
}

TEST(the_size_of_the_window_is_told_when_it_changes)
{
	struct winsize size = {.ws_col = 132, .ws_row = 43};

	set_up();
	assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
	f.backend->ops->resize(f.backend);
	f.backend->ops->resize(f.backend);
	assert_int_equal(f.resizes, 1);
	assert_int_equal(f.output.port.cols, 132);
	assert_int_equal(f.output.port.rows, 43);
	/* Half a size is none. */
	size.ws_row = 0;
	assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
	f.backend->ops->resize(f.backend);
	assert_int_equal(f.resizes, 2);
	assert_int_equal(f.output.port.cols, 0);
	tear_down();
}

TEST(another_key_after_the_escape_is_no_input_and_no_end)
{
	set_up();
	type("\x1dx", 2);
	turn_some(f.loop);
	nested_expect_input(&f, "", 0);
	assert_int_equal(f.quits, 0);
	type("y", 1);
	nested_expect_input(&f, "y", 1);
	tear_down();
}

TEST(the_shared_open_file_is_not_made_non_blocking)
{
	set_up();
	assert_int_equal(fcntl(slave, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK, 0);
	tear_down();
}

TEST(a_suspended_process_gives_the_terminal_back_and_takes_it_again)
{
	set_up();
	for (unsigned int i = 0; i < 3; i++) {
		f.backend->ops->suspend(f.backend);
		assert_true(is_as_before());
		f.backend->ops->resume(f.backend);
		assert_true(is_raw());
	}
	type("x", 1);
	nested_expect_input(&f, "x", 1);
	tear_down();
}

TEST(what_was_changed_while_suspended_is_what_is_restored)
{
	struct termios changed;

	set_up();
	f.backend->ops->suspend(f.backend);
	assert_int_equal(tcgetattr(slave, &changed), 0);
	changed.c_lflag &= ~(tcflag_t)ECHO;
	assert_int_equal(tcsetattr(slave, TCSANOW, &changed), 0);
	f.backend->ops->resume(f.backend);
	before = changed;
	tear_down();
}

TEST(the_hangup_of_the_terminal_ends_the_program)
{
	set_up();
	turn_some(f.loop);
	close(master);
	master = -1;
	turn_until(f.loop, f.quits > 0);
	tear_down();
}

TEST(a_terminal_that_takes_nothing_does_not_hold_the_end)
{
	static char bytes[4096];

	set_up();
	memset(bytes, 'x', sizeof(bytes));
	for (unsigned int i = 0; i < 20; i++) {
		backend_guest_writes(&f, bytes, sizeof(bytes));
		turn_some(f.loop);
	}
	f.backend->ops->stop(f.backend);
	/* Restoring waits until what was written is out (TCSADRAIN), so somebody has to read. */
	turn_until(f.loop, read(master, bytes, sizeof(bytes)) < 0 && !f.backend);
	tear_down();
}

/* A sequence that a read ends in is held back: it has its room when it turns out to be none. */
TEST(what_is_held_back_is_not_lost_when_there_is_no_room)
{
	static char keys[1024 + 8], got[1024 + 8];
	size_t done = 0;

	set_up();
	memset(keys, 'x', sizeof(keys));
	memcpy(keys + 1016, "\x1b[93;6A", 8);
	for (size_t i = 0; i < sizeof(keys); i += 8) {
		type(keys + i, 8);
		turn_some(f.loop);
	}
	turn_until(f.loop, (done += nested_guest_takes(&f, got + done, 1)) == sizeof(keys));
	assert_memory_equal(got, keys, sizeof(keys));
	tear_down();
}

TEST(another_escape_key_or_none_can_be_chosen)
{
	nested_fixture_key = 0x01;
	open_terminal();
	nested_fixture_init(&f, slave, slave, 4096, 1024);
	expect_text("\r\n[vhost-user-console: Ctrl-A . ends, Ctrl-A ? shows help]\r\n");
	type("\x1d.\x01?", 4);
	nested_expect_input(&f, "\x1d.", 2);
	expect_text("\r\n[vhost-user-console: Ctrl-A . ends, Ctrl-A Ctrl-A sends Ctrl-A, Ctrl-A ? "
	            "shows this]\r\n");
	type("\x01.", 2);
	turn_until(f.loop, f.quits > 0);
	tear_down();

	nested_fixture_key = ESCAPE_KEY_NONE;
	open_terminal();
	nested_fixture_init(&f, slave, slave, 4096, 1024);
	expect_text("\r\n[vhost-user-console: no escape key; SIGTERM ends this]\r\n");
	type("\x1d.\x01.", 4);
	nested_expect_input(&f, "\x1d.\x01.", 4);
	assert_int_equal(f.quits, 0);
	nested_fixture_key = ESCAPE_KEY_DEFAULT;
	tear_down();
}

#define SWITCHED "\x1b[?1049h\x1b[?1000h\x1b[?2004h\x1b[?25l\x1b[>1uvim"
#define BACK     "\x1b[?25h\x1b[?1000l\x1b[?2004l\x1b[<u\x1b[?1049l\x1b[0m"
#define AGAIN    "\x1b[?1049h\x1b[>1u\x1b[?25l\x1b[?1000h\x1b[?2004h"

static void guest_writes_text(const char *text)
{
	backend_guest_writes(&f, text, strlen(text));
}

TEST(what_the_guest_has_switched_is_taken_back_at_the_end)
{
	set_up();
	guest_writes_text(SWITCHED);
	expect_text(SWITCHED);
	f.backend->ops->stop(f.backend);
	turn_until(f.loop, !f.backend);
	expect_text(BACK);
	tear_down();
}

TEST(nothing_is_written_at_the_end_if_nothing_was_switched)
{
	set_up();
	guest_writes_text("text\r\n\x1b[1mbold\x1b[m\x1b[?2004h\x1b[?2004l");
	expect_text("text\r\n\x1b[1mbold\x1b[m\x1b[?2004h\x1b[?2004l");
	f.backend->ops->stop(f.backend);
	turn_until(f.loop, !f.backend);
	expect_text("");
	tear_down();
}

TEST(what_the_guest_has_switched_is_taken_back_while_suspended)
{
	set_up();
	guest_writes_text(SWITCHED);
	expect_text(SWITCHED);
	for (unsigned int i = 0; i < 3; i++) {
		f.backend->ops->suspend(f.backend);
		f.backend->ops->suspend(f.backend);
		expect_text(BACK);
		f.backend->ops->resume(f.backend);
		f.backend->ops->resume(f.backend);
		expect_text(AGAIN);
	}
	f.backend->ops->stop(f.backend);
	turn_until(f.loop, !f.backend);
	expect_text(BACK);
	tear_down();
}

/* Reads what there is until the terminal has got to `text`, which ends it. */
static void expect_in_the_end(const char *text)
{
	static char bytes[1 << 20];
	size_t len = strlen(text), done = 0;

	while (f.backend || done < len || memcmp(bytes + done - len, text, len) != 0) {
		ssize_t n = read(master, bytes + done, sizeof(bytes) - done);

		done += n > 0 ? (size_t)n : 0;
		if (f.backend)
			turning_step(f.loop, UINT64_MAX, "");
		else if (n < 0)
			break;
	}
	assert_true(done >= len);
	assert_memory_equal(bytes + done - len, text, len);
}

TEST(it_is_taken_back_behind_what_the_terminal_was_slow_to_take)
{
	static char text[4096];

	set_up();
	guest_writes_text(SWITCHED);
	expect_text(SWITCHED);
	memset(text, 'x', sizeof(text));
	for (unsigned int i = 0; i < 20; i++) {
		backend_guest_writes(&f, text, sizeof(text));
		turn_some(f.loop);
	}
	f.backend->ops->stop(f.backend);
	expect_in_the_end(BACK);
	tear_down();
}

/* What was never sent has switched nothing. */
TEST(only_what_the_terminal_got_counts)
{
	static char text[4096];

	set_up();
	memset(text, 'x', sizeof(text));
	for (unsigned int i = 0; i < 20; i++) {
		backend_guest_writes(&f, text, sizeof(text));
		turn_some(f.loop);
	}
	guest_writes_text("\x1b[?1000h");
	turn_some(f.loop);
	f.backend->ops->stop(f.backend);
	expect_in_the_end("x");
	tear_down();
}

TEST(a_terminal_that_takes_nothing_at_all_ends_it_still)
{
	static char bytes[4096];

	set_up();
	guest_writes_text("\x1b[?1000h");
	expect_text("\x1b[?1000h");
	for (unsigned int i = 0; i < 20; i++) {
		backend_guest_writes(&f, bytes, sizeof(bytes));
		turn_some(f.loop);
	}
	f.backend->ops->suspend(f.backend);
	f.backend->ops->resume(f.backend);
	f.backend->ops->stop(f.backend);
	turn_until(f.loop, !f.backend);
	tear_down();
}

TEST(a_second_stop_does_not_wait)
{
	static char bytes[4096];

	set_up();
	for (unsigned int i = 0; i < 20; i++) {
		backend_guest_writes(&f, bytes, sizeof(bytes));
		turn_some(f.loop);
	}
	f.backend->ops->stop(f.backend);
	f.backend->ops->stop(f.backend);
	turn_until(f.loop, !f.backend);
	tear_down();
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

static void expect_read(const char *text)
{
	char bytes[256] = {0};

	assert_true(read(master, bytes, sizeof(bytes) - 1) >= 0);
	assert_string_equal(bytes, text);
}

TEST(the_terminal_is_restored_at_exit_and_at_a_crash)
{
	static void (*const ways[])(void) = {leave_by_exit, leave_by_abort, leave_by_trap};

	for (size_t i = 0; i < ROWS(ways); i++) {
		pid_t child;
		int status;

		open_terminal();
		fflush(NULL);
		child = fork();
		if (child == 0) {
			if (terminal_enter_raw(slave) < 0 || !is_raw())
				_exit(1);
			fcntl(slave, F_SETFL, O_NONBLOCK);
			terminal_show(slave);
			terminal_sent(SWITCHED, sizeof(SWITCHED) - 1);
			ways[i]();
			_exit(2);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		if (!is_as_before())
			fail_msg("way %zu: the terminal is left raw, status %#x", i, status);
		expect_read(BACK);
		/* It still ends as it would have. */
		if (i == 0)
			assert_int_equal(WEXITSTATUS(status), 3);
		else
			assert_int_equal(WTERMSIG(status), i == 1 ? SIGABRT : SIGTRAP);
		close_terminal();
	}
}

TEST(in_the_background_the_terminal_is_left_alone)
{
	pid_t child;
	int status;

	open_terminal();
	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		if (terminal_enter_raw(slave) != 0)
			_exit(1);
		_exit(is_as_before() ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(is_as_before());
	close_terminal();
}

TEST(entering_and_leaving_twice_does_no_harm)
{
	open_terminal();
	terminal_leave_raw();
	assert_true(is_as_before());
	assert_int_equal(terminal_enter_raw(slave), 0);
	assert_int_equal(terminal_enter_raw(slave), 0);
	assert_true(is_raw());
	terminal_leave_raw();
	terminal_leave_raw();
	assert_true(is_as_before());
	close_terminal();
}

#undef UNIT
#define UNIT(name) cmocka_unit_test_setup_teardown(name, resources_setup, teardown)

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
	    UNIT(what_the_guest_has_switched_is_taken_back_at_the_end),
	    UNIT(nothing_is_written_at_the_end_if_nothing_was_switched),
	    UNIT(what_the_guest_has_switched_is_taken_back_while_suspended),
	    UNIT(it_is_taken_back_behind_what_the_terminal_was_slow_to_take),
	    UNIT(only_what_the_terminal_got_counts),
	    UNIT(a_terminal_that_takes_nothing_at_all_ends_it_still),
	    UNIT(a_second_stop_does_not_wait),
	    UNIT(the_terminal_is_restored_at_exit_and_at_a_crash),
	    UNIT(in_the_background_the_terminal_is_left_alone),
	    UNIT(entering_and_leaving_twice_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
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
