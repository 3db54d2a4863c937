/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the log: one line an event, of bounded length, never waiting for its reader; what is lost
 * or suppressed is counted and told.
 *
 * Standard error is a pipe of ours during each test.
 */
#include "unit.h"

#include "base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct capture {
	int saved, reader;
	char text[1 << 17];
	size_t len;
};

static void capture_begin(struct capture *c)
{
	int ends[2];

	fflush(stderr);
	c->len = 0;
	c->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[1]);
	c->reader = ends[0];
	fcntl(c->reader, F_SETFL, O_NONBLOCK);
}

static void capture_read(struct capture *c)
{
	ssize_t n;

	while ((n = read(c->reader, c->text + c->len, sizeof(c->text) - 1 - c->len)) > 0)
		c->len += (size_t)n;
	c->text[c->len] = '\0';
}

static void capture_end(struct capture *c)
{
	capture_read(c);
	dup2(c->saved, STDERR_FILENO);
	close(c->saved);
	close(c->reader);
	log_set_level(LOG_LEVEL_INFO);
	log_set_raw_terminal(false);
}

static unsigned int count_lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

TEST(a_line_names_the_program_and_the_level)
{
	struct capture c;

	capture_begin(&c);
	log_set_level(LOG_LEVEL_DEBUG);
	log_error("%s %d", "a", 1);
	log_warning("b");
	log_info("c");
	log_debug("d");
	capture_end(&c);
	assert_string_equal(c.text, "vhost-user-console: error: a 1\n"
	                            "vhost-user-console: warning: b\n"
	                            "vhost-user-console: info: c\n"
	                            "vhost-user-console: debug: d\n");
}

TEST(lines_beyond_the_level_are_left_out)
{
	static const enum log_level levels[] = {LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO,
	                                        LOG_LEVEL_DEBUG};

	for (size_t i = 0; i < ROWS(levels); i++) {
		struct log_limit limit = {0};
		struct capture c;

		capture_begin(&c);
		log_set_level(levels[i]);
		for (size_t k = 0; k < ROWS(levels); k++) {
			log_line(levels[k], "plain");
			log_limited(&limit, levels[k], "limited");
		}
		capture_end(&c);
		assert_int_equal(count_lines(c.text), 2 * (i + 1));
	}
}

TEST(in_raw_mode_a_line_ends_in_cr_lf)
{
	struct capture c;

	capture_begin(&c);
	log_set_raw_terminal(true);
	log_error("x");
	log_set_raw_terminal(false);
	log_error("y");
	capture_end(&c);
	assert_string_equal(c.text, "vhost-user-console: error: x\r\n"
	                            "vhost-user-console: error: y\n");
}

TEST(a_long_line_is_cut_and_stays_one_line)
{
	static const bool raw[] = {false, true};
	char text[5000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 0; i < ROWS(raw); i++) {
		struct capture c;

		capture_begin(&c);
		log_set_raw_terminal(raw[i]);
		log_error("%s", text);
		capture_end(&c);
		/* POSIX: what is at most 512 bytes long goes into a pipe as a whole. */
		assert_in_range(c.len, 400, 512);
		assert_int_equal(count_lines(c.text), 1);
		assert_int_equal(c.text[c.len - 1], '\n');
	}
}

TEST(a_full_pipe_is_not_waited_for_and_lost_lines_are_counted)
{
	unsigned int before, lost = 0;
	struct capture c;
	char note[128];

	capture_begin(&c);
	/* Nobody reads: if the log waited, the alarm would end this. */
	for (unsigned int i = 0; i < 2000; i++)
		log_error("line %u", i);
	capture_read(&c);
	before = count_lines(c.text);
	lost = 2000 - before;
	assert_true(before > 0 && lost > 0);
	c.len = 0;
	log_error("there is room again");
	capture_end(&c);
	snprintf(note, sizeof(note),
	         "vhost-user-console: warning: %u lines were lost: no room on standard error\n"
	         "vhost-user-console: error: there is room again\n",
	         lost);
	assert_string_equal(c.text, note);
}

TEST(lost_lines_are_told_once)
{
	struct capture c;

	capture_begin(&c);
	for (unsigned int i = 0; i < 2000; i++)
		log_error("fill");
	capture_read(&c);
	log_error("first");
	capture_read(&c);
	c.len = 0;
	log_error("second");
	capture_end(&c);
	assert_string_equal(c.text, "vhost-user-console: error: second\n");
}

TEST(a_log_without_standard_error_does_no_harm)
{
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	struct capture c;

	close(STDERR_FILENO);
	log_error("nobody reads this");
	dup2(saved, STDERR_FILENO);
	close(saved);
	capture_begin(&c);
	log_error("back");
	capture_end(&c);
	assert_non_null(strstr(c.text, "1 lines were lost"));
	assert_non_null(strstr(c.text, "back"));
}

TEST(a_source_may_say_a_burst_and_then_is_silent)
{
	struct log_limit limit = {0};
	struct capture c;

	capture_begin(&c);
	for (unsigned int i = 0; i < 5 * LOG_LIMIT_BURST; i++)
		log_limited(&limit, LOG_LEVEL_WARNING, "n %u", i);
	capture_end(&c);
	/* One more for each second that this took. */
	assert_in_range(count_lines(c.text), LOG_LIMIT_BURST, LOG_LIMIT_BURST + 5);
	assert_non_null(strstr(c.text, "n 0\n"));
	assert_non_null(strstr(c.text, "n 9\n"));
	assert_null(strstr(c.text, "n 49\n"));
}

TEST(what_was_suppressed_is_told_with_the_next_line)
{
	struct log_limit limit = {0};
	struct capture c;
	unsigned int said;
	char expected[80];

	capture_begin(&c);
	for (unsigned int i = 0; i < LOG_LIMIT_BURST + 7; i++)
		log_limited(&limit, LOG_LEVEL_WARNING, "n");
	capture_read(&c);
	said = count_lines(c.text);
	c.len = 0;
	limit.until_ms = 0; /* as if a long time had passed */
	log_limited(&limit, LOG_LEVEL_WARNING, "next");
	log_limited(&limit, LOG_LEVEL_WARNING, "after");
	capture_end(&c);
	snprintf(expected, sizeof(expected), "next (%u more lines not shown)\n",
	         LOG_LIMIT_BURST + 7 - said);
	assert_non_null(strstr(c.text, expected));
	assert_non_null(strstr(c.text, "warning: after\n"));
}

TEST(one_source_does_not_silence_another)
{
	struct log_limit loud = {0}, quiet = {0};
	struct capture c;

	capture_begin(&c);
	for (unsigned int i = 0; i < 100; i++)
		log_limited(&loud, LOG_LEVEL_WARNING, "loud");
	log_limited(&quiet, LOG_LEVEL_WARNING, "quiet");
	log_warning("unlimited");
	capture_end(&c);
	assert_non_null(strstr(c.text, "quiet"));
	assert_non_null(strstr(c.text, "unlimited"));
}

/* A process of its own: log_open() is for good. Its lines end with the exit status 0. */
static void log_much_to(int fd)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		alarm(20);
		dup2(fd, STDERR_FILENO);
		log_open();
		for (unsigned int i = 0; i < 5000; i++)
			log_error("line %u", i);
		log_close();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

TEST(what_nobody_reads_is_not_waited_for)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave, ends[2];
	char name[64];

	assert_int_equal(unlockpt(master), 0);
	assert_int_equal(ptsname_r(master, name, sizeof(name)), 0);
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	log_much_to(slave);
	/* Others who have it open can wait as before. */
	assert_false(fcntl(slave, F_GETFL) & O_NONBLOCK);
	close(slave);
	close(master);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	log_much_to(ends[1]);
	assert_false(fcntl(ends[1], F_GETFL) & O_NONBLOCK);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	log_much_to(ends[1]);
	close(ends[0]);
	close(ends[1]);
}

TEST(a_file_is_written_by_a_thread)
{
	char name[] = "/tmp/log.XXXXXX", text[64];
	int fd = mkstemp(name);
	FILE *file;

	log_much_to(fd);
	close(fd);
	file = fopen(name, "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	assert_string_equal(text, "vhost-user-console: error: line 0\n");
	fclose(file);
	unlink(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_line_names_the_program_and_the_level),
	    UNIT(lines_beyond_the_level_are_left_out),
	    UNIT(in_raw_mode_a_line_ends_in_cr_lf),
	    UNIT(a_long_line_is_cut_and_stays_one_line),
	    UNIT(a_full_pipe_is_not_waited_for_and_lost_lines_are_counted),
	    UNIT(lost_lines_are_told_once),
	    UNIT(a_log_without_standard_error_does_no_harm),
	    UNIT(a_source_may_say_a_burst_and_then_is_silent),
	    UNIT(what_was_suppressed_is_told_with_the_next_line),
	    UNIT(one_source_does_not_silence_another),
	    UNIT(what_nobody_reads_is_not_waited_for),
	    UNIT(a_file_is_written_by_a_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
