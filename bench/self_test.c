/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The instrument itself: does it count rightly, and does it notice wrong bytes?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"
#include "series.h"

/* ---- numbers ---- */

static void test_medians(void **state)
{
	struct series series = {0};

	(void)state;
	assert_true(series_median(&series) == 0);
	series_add(&series, 5);
	series_add(&series, 1);
	assert_true(series_median(&series) == 3);
	series_add(&series, 100);
	assert_true(series_median(&series) == 5);
	assert_true(series_least(&series) == 1);
	assert_true(series_most(&series) == 100);
}

/* Each time is in a bin whose upper edge is no less, and at most 1/64 more. */
static void test_histogram_edges(void **state)
{
	static const uint64_t times[] = {0,   1,   127,    128,     129,       255,
	                                 256, 257, 100000, 1234567, 987654321, 60000000000};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct histogram histogram = {0};
		unsigned int bin = 0;

		histogram_add(&histogram, times[i]);
		while (!histogram.bin[bin])
			bin++;
		assert_true(histogram_edge(bin) >= (double)times[i]);
		assert_true(histogram_edge(bin) <= (double)times[i] * (1 + 1.0 / 64));
	}
}

static void test_percentiles(void **state)
{
	struct histogram one = {0}, both = {0};
	uint64_t ns;

	(void)state;
	for (ns = 1; ns <= 100; ns++)
		histogram_add(&one, ns);
	assert_true(histogram_percentile(&one, 0.5) == 51);
	assert_true(histogram_percentile(&one, 0.99) == 100);
	assert_true(histogram_percentile(&one, 1) == 100);
	histogram_add(&both, 1000000);
	histogram_merge(&both, &one);
	assert_int_equal(both.count, 101);
	assert_int_equal(both.most, 1000000);
	assert_true(histogram_percentile(&both, 0.5) == 51);
	assert_true(histogram_percentile(&both, 0.999) == 1000000);
}

/* ---- bytes ---- */

struct wire {
	struct client client;
	int other; /* the backend's end */
	struct pattern pattern;
};

static int wire_up(void **state)
{
	static struct wire wire;
	int pair[2];

	pattern_make();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	wire = (struct wire){.client = {.sock = pair[0]}, .other = pair[1]};
	*state = &wire;
	return 0;
}

static int wire_down(void **state)
{
	struct wire *wire = *state;

	client_close(&wire->client);
	close(wire->other);
	return 0;
}

static void put(struct wire *wire, const void *bytes, size_t size)
{
	assert_int_equal(write(wire->other, bytes, size), size);
}

static void put_pattern(struct wire *wire, uint32_t size)
{
	static uint8_t bytes[PATTERN_PIECE];

	pattern_fill(&wire->pattern, bytes, size);
	put(wire, bytes, size);
}

static void drain(struct wire *wire)
{
	while (client_drain(&wire->client))
		;
}

/* Drains in another process; whether that ended as a failed bench does. */
static bool draining_fails(struct wire *wire)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		drain(wire);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static void test_right_bytes(void **state)
{
	struct wire *wire = *state;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		put_pattern(wire, 50000);
		drain(wire);
	}
	assert_int_equal(wire->client.expected.total, 250000);
	assert_int_equal(wire->client.missed, 0);
}

static void test_changed_byte(void **state)
{
	struct wire *wire = *state;

	put_pattern(wire, 1000);
	put(wire, "\x01", 1);
	assert_true(draining_fails(wire));
}

static void test_lost_byte(void **state)
{
	struct wire *wire = *state;

	put_pattern(wire, 1000);
	pattern_skip(&wire->pattern, 1);
	put_pattern(wire, 1000);
	assert_true(draining_fails(wire));
}

/* A whole ring's worth that comes twice. */
static void test_stale_bytes(void **state)
{
	struct wire *wire = *state;
	struct pattern before = wire->pattern;

	put_pattern(wire, 4096);
	wire->pattern = before;
	put_pattern(wire, 4096);
	assert_true(draining_fails(wire));
}

static void put_gap(struct wire *wire, unsigned int gap, unsigned int first)
{
	char line[64];
	int size =
	    snprintf(line, sizeof(line), "\r\n[vhost-user-console: %u bytes skipped]\r\n", gap);

	put(wire, line, first);
	drain(wire);
	put(wire, line + first, (size_t)size - first);
}

/* Wherever the line that tells of it is torn apart. */
static void test_gap_that_is_told(void **state)
{
	struct wire *wire = *state;
	unsigned int first;

	for (first = 1; first < 40; first++) {
		put_pattern(wire, 100);
		put_gap(wire, 70000, first);
		pattern_skip(&wire->pattern, 70000);
		put_pattern(wire, 100);
		drain(wire);
		assert_int_equal(wire->client.missed, first * 70000);
		assert_int_equal(wire->client.expected.total, wire->pattern.total);
	}
}

static void test_gap_that_is_told_wrongly(void **state)
{
	struct wire *wire = *state;

	put_pattern(wire, 100);
	put_gap(wire, 500, 10);
	pattern_skip(&wire->pattern, 501);
	put_pattern(wire, 100);
	assert_true(draining_fails(wire));
}

#define WIRE_TEST(test) cmocka_unit_test_setup_teardown(test, wire_up, wire_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_medians),
	    cmocka_unit_test(test_histogram_edges),
	    cmocka_unit_test(test_percentiles),
	    WIRE_TEST(test_right_bytes),
	    WIRE_TEST(test_changed_byte),
	    WIRE_TEST(test_lost_byte),
	    WIRE_TEST(test_stale_bytes),
	    WIRE_TEST(test_gap_that_is_told),
	    WIRE_TEST(test_gap_that_is_told_wrongly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
