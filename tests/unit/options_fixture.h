/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A command line as one text, what it makes, and what it prints.
 */
#ifndef OPTIONS_FIXTURE_H
#define OPTIONS_FIXTURE_H

#include "unit.h"

#include "options.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct config config;
static char out[8192], err[8192]; /* what was printed */

static int catch_output(int number, int *ret_saved)
{
	int ends[2];

	fflush(stdout);
	fflush(stderr);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	*ret_saved = fcntl(number, F_DUPFD_CLOEXEC, 10);
	dup2(ends[1], number);
	close(ends[1]);
	return ends[0];
}

static void release(int number, int saved, int reader, char *text, size_t size)
{
	ssize_t n;

	fflush(stdout);
	fflush(stderr);
	dup2(saved, number);
	close(saved);
	n = read(reader, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	close(reader);
}

/* Parses a line of arguments, separated by single spaces; "" stands for an empty one. */
static enum options_result parse(const char *line)
{
	/* The configuration may point into the arguments, which live as long as the program. */
	static char copy[16384];
	char *argv[160] = {(char[]){"vhost-user-console"}}, *rest = copy;
	int argc = 1, saved_out, saved_err, out_reader, err_reader;
	enum options_result r;

	assert_true((size_t)snprintf(copy, sizeof(copy), "%s", line) < sizeof(copy));
	for (char *arg; (arg = strsep(&rest, " "));) {
		assert_true(argc < (int)ROWS(argv));
		if (*arg)
			argv[argc++] = strcmp(arg, "\"\"") == 0 ? arg + 2 : arg;
	}
	memset(&config, 0, sizeof(config));
	out_reader = catch_output(STDOUT_FILENO, &saved_out);
	err_reader = catch_output(STDERR_FILENO, &saved_err);
	r = options_parse(argc, argv, &config);
	release(STDOUT_FILENO, saved_out, out_reader, out, sizeof(out));
	release(STDERR_FILENO, saved_err, err_reader, err, sizeof(err));
	return r;
}

static inline void assert_silent(void)
{
	assert_string_equal(out, "");
	assert_string_equal(err, "");
}

/* What each line of an error begins with. */
#define P "vhost-user-console: "

#endif
