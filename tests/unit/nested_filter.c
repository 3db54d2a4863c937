/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the nested backend where standard input and output are no terminals: a filter, byte for
 * byte, whose input may end and whose output may be slow or close; others' open files stay as they
 * are.
 */
#include "unit.h"

#include "base/macros.h"
#include "nested_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static struct backend_fixture f;
/* Our ends of the pipes, and the backend's. */
static int to_us, from_us, their_in, their_out;

static void set_up_sized(size_t output_bytes, size_t input_bytes)
{
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	their_in = in[0];
	from_us = in[1];
	to_us = out[0];
	their_out = out[1];
	fcntl(to_us, F_SETFL, O_NONBLOCK);
	fcntl(from_us, F_SETFL, O_NONBLOCK);
	nested_fixture_init(&f, their_in, their_out, output_bytes, input_bytes);
	/* The backend has its own; a hangup must show. */
	close(their_in);
	close(their_out);
}

static void set_up(void)
{
	set_up_sized(4096, 1024);
}

static void close_ours(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void tear_down(void)
{
	nested_fixture_deinit(&f);
	close_ours(&to_us);
	close_ours(&from_us);
}

static void type(const char *bytes, size_t len)
{
	assert_int_equal(write(from_us, bytes, len), len);
}

static size_t read_some(char *bytes, size_t len)
{
	ssize_t n = read(to_us, bytes, len);

	return n > 0 ? (size_t)n : 0;
}

TEST(bytes_go_both_ways_as_they_are)
{
	static const char all[] = "line\n\x1d.\x1d?\x1d\x1d \x03\x1a\x1c\x00\xff\r\n";

	set_up();
	type(all, sizeof(all));
	nested_expect_input(&f, all, sizeof(all));
	assert_true(f.pumps > 0);
	backend_guest_writes(&f, all, sizeof(all));
	nested_expect_output(&f, to_us, all, sizeof(all));
	assert_int_equal(f.quits, 0);
	tear_down();
}

TEST(what_was_kept_comes_first)
{
	static const char kept[] = "boot", live[] = "login: ";

	set_up();
	byte_ring_put(&f.output.port.output, kept, 4);
	backend_guest_writes(&f, live, 7);
	nested_expect_output(&f, to_us, "bootlogin: ", 11);
	tear_down();
}

TEST(the_end_of_input_ends_input_only)
{
	uint64_t before;

	set_up();
	type("last", 4);
	close_ours(&from_us);
	nested_expect_input(&f, "last", 4);
	turn_some(f.loop);
	before = loop_completions(f.loop);
	turn_some(f.loop);
	assert_int_equal(loop_completions(f.loop), before);
	backend_guest_writes(&f, "more", 4);
	nested_expect_output(&f, to_us, "more", 4);
	assert_int_equal(f.quits, 0);
	tear_down();
}

TEST(a_closed_output_ends_the_program_with_or_without_traffic)
{
	for (unsigned int traffic = 0; traffic < 2; traffic++) {
		set_up();
		turn_some(f.loop);
		close_ours(&to_us);
		if (traffic)
			backend_guest_writes(&f, "x", 1);
		turn_until(f.loop, f.quits > 0);
		tear_down();
	}
}

TEST(the_open_files_of_others_are_not_made_non_blocking)
{
	set_up();
	backend_guest_writes(&f, "x", 1);
	nested_expect_output(&f, to_us, "x", 1);
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK, 0);
	tear_down();
}

TEST(a_large_input_arrives_byte_for_byte)
{
	enum { TOTAL = 1 << 20 };
	char *all = malloc(TOTAL), bytes[700];
	size_t sent = 0, got = 0;

	set_up();
	support_fill_pattern(all, TOTAL, 0);
	while (got < TOTAL) {
		ssize_t n = write(from_us, all + sent, MIN(TOTAL - sent, 3000));
		size_t len;

		sent += n > 0 ? (size_t)n : 0;
		turning_step(f.loop, UINT64_MAX, "");
		len = nested_guest_takes(&f, bytes, sizeof(bytes));
		assert_memory_equal(bytes, all + got, len);
		got += len;
	}
	free(all);
	tear_down();
}

TEST(input_that_waits_for_the_guest_costs_no_wake_ups)
{
	static const char bytes[4000];
	uint64_t before;

	set_up();
	type(bytes, sizeof(bytes));
	turn_until(f.loop, byte_ring_free(&f.output.port.input) == 0);
	turn_some(f.loop);
	before = loop_completions(f.loop);
	turn_some(f.loop);
	assert_int_equal(loop_completions(f.loop), before);
	nested_expect_input(&f, bytes, sizeof(bytes));
	tear_down();
}

TEST(a_slow_reader_gets_everything_the_ring_holds)
{
	enum { TOTAL = 1 << 20 };
	char *all = malloc(TOTAL);

	set_up_sized(TOTAL, 1024);
	support_fill_pattern(all, TOTAL, 0);
	assert_int_equal(backend_guest_writes(&f, all, TOTAL), TOTAL);
	turn_some(f.loop);
	nested_expect_output(&f, to_us, all, TOTAL);
	free(all);
	tear_down();
}

/* A reader that stopped reading: the guest goes on, the rest comes with the line of a gap. */
TEST(a_reader_that_stops_does_not_hold_the_guest)
{
	enum { TOTAL = 1 << 20 };
	static char got[TOTAL];
	char *all = malloc(TOTAL);
	size_t done = 0, len = 0;

	set_up();
	support_fill_pattern(all, TOTAL, 0);
	turn_until(f.loop, (done += backend_guest_writes(&f, all + done, TOTAL - done)) == TOTAL);
	turn_until(f.loop, (len += read_some(got + len, TOTAL - len)) >= 4096 &&
	                       memcmp(got + len - 4096, all + TOTAL - 4096, 4096) == 0);
	assert_non_null(memmem(got, len, " bytes skipped]\r\n", 17));
	free(all);
	tear_down();
}

TEST(finishing_writes_out_what_is_left)
{
	enum { TOTAL = 300000 };
	char *all = malloc(TOTAL), *got = malloc(TOTAL);
	size_t done = 0;

	set_up_sized(1 << 20, 1024);
	support_fill_pattern(all, TOTAL, 0);
	assert_int_equal(backend_guest_writes(&f, all, TOTAL), TOTAL);
	turn_some(f.loop);
	backend_finish(&f);
	assert_int_equal(f.stops, 0);
	while (done < TOTAL) {
		ssize_t n = read(to_us, got + done, MIN(TOTAL - done, 4096));

		if (n < 0 && f.stops > 0)
			fail_msg("stopped with %zu bytes left", TOTAL - done);
		done += n > 0 ? (size_t)n : 0;
		turning_step(f.loop, UINT64_MAX, "");
	}
	assert_memory_equal(all, got, TOTAL);
	turn_until(f.loop, f.stops);
	tear_down();
	free(all);
	free(got);
}

TEST(it_may_be_stopped_while_a_write_waits)
{
	static const char bytes[200000];

	set_up_sized(1 << 18, 1024);
	backend_guest_writes(&f, bytes, sizeof(bytes));
	turn_some(f.loop);
	tear_down();
}

TEST(files_and_dev_null_will_do)
{
	int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char got[16] = "";

	assert_int_equal(write(in, "skipped,file", 12), 12);
	lseek(in, 8, SEEK_SET);
	assert_int_equal(write(out, "before,", 7), 7);
	nested_fixture_init(&f, in, out, 4096, 1024);
	nested_expect_input(&f, "file", 4);
	backend_guest_writes(&f, "after", 5);
	turn_until(f.loop, lseek(out, 0, SEEK_CUR) == 12);
	assert_int_equal(pread(out, got, 16, 0), 12);
	assert_memory_equal(got, "before,after", 12);
	assert_int_equal(f.quits, 0);
	nested_fixture_deinit(&f);

	nested_fixture_init(&f, null, null, 4096, 1024);
	backend_guest_writes(&f, "gone", 4);
	turn_some(f.loop);
	assert_int_equal(f.quits, 0);
	assert_int_equal(byte_ring_used(&f.output.port.input), 0);
	nested_fixture_deinit(&f);
	close(in);
	close(out);
	close(null);
}

/* As under inetd: one socket for both. Its peer may send no more and still read. */
TEST(a_socket_whose_peer_sends_no_more_is_still_an_output)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	nested_fixture_init(&f, pair[0], pair[0], 4096, 1024);
	assert_int_equal(fcntl(pair[0], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(send(pair[1], "in", 2, 0), 2);
	assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
	nested_expect_input(&f, "in", 2);
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	backend_guest_writes(&f, "out", 3);
	nested_expect_output(&f, pair[1], "out", 3);
	nested_fixture_deinit(&f);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(f.quits, 0);
}

/* A state that is loaded must not take the room that a read was armed for. */
TEST(it_says_while_it_receives)
{
	set_up();
	assert_int_equal(write(from_us, "in", 2), 2);
	turn_until(f.loop, f.output.port.receiving);
	nested_expect_input(&f, "in", 2);
	assert_false(f.output.port.receiving);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(bytes_go_both_ways_as_they_are),
	    UNIT(what_was_kept_comes_first),
	    UNIT(the_end_of_input_ends_input_only),
	    UNIT(a_closed_output_ends_the_program_with_or_without_traffic),
	    UNIT(the_open_files_of_others_are_not_made_non_blocking),
	    UNIT(a_large_input_arrives_byte_for_byte),
	    UNIT(input_that_waits_for_the_guest_costs_no_wake_ups),
	    UNIT(a_slow_reader_gets_everything_the_ring_holds),
	    UNIT(a_reader_that_stops_does_not_hold_the_guest),
	    UNIT(finishing_writes_out_what_is_left),
	    UNIT(it_may_be_stopped_while_a_write_waits),
	    UNIT(files_and_dev_null_will_do),
	    UNIT(it_says_while_it_receives),
	    UNIT(a_socket_whose_peer_sends_no_more_is_still_an_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
