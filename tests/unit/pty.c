/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what people at a pseudo terminal see and what the guest gets: whoever opens it is sent what
 * is kept and then what comes, nothing is left of who was there before, and neither somebody who
 * doesn't read nor nobody holds the guest or wakes the loop.
 */
#include "unit.h"

#include "base/macros.h"
#include "pty_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

static struct pty_fixture f;

static void tear_down(void)
{
	pty_fixture_tear_down(&f);
}

/* How many bytes the person could read now. */
static int readable(int slave)
{
	int n = 0;

	ioctl(slave, FIONREAD, &n);
	return n;
}

TEST(what_was_kept_comes_first_then_what_is_live)
{
	int slave;

	pty_fixture_set_up(&f, 16384, 1024);
	assert_int_equal(pty_guest_writes(&f, 0, 10000), 10000);
	slave = pty_open(&f);
	pty_expect(&f, slave, 0, 10000);
	for (uint64_t pos = 10000; pos < 30000; pos += 500) {
		assert_int_equal(pty_guest_writes(&f, pos, 500), 500);
		pty_expect(&f, slave, pos, 500);
	}
	close(slave);
	tear_down();
}

/* The kernel's buffers hold some of it when the one before goes: the next must not find that. */
TEST(who_comes_back_sees_what_is_kept_and_nothing_stale)
{
	pty_fixture_set_up(&f, 32768, 1024);
	for (uint64_t pos = 0; pos < 30000; pos += 3000) {
		int slave = pty_open(&f);

		pty_expect(&f, slave, 0, (size_t)pos);
		assert_int_equal(pty_guest_writes(&f, pos, 3000), 3000);
		turn_until(f.base.loop, readable(slave) > 0);
		close(slave);
		/* As fast as it can be: before it has been noticed, and after. */
		if (pos % 2000)
			turn_some(f.base.loop);
		else
			pty_let_pass(&f, PTY_SETTLING_MS);
	}
	tear_down();
}

TEST(who_comes_late_is_told_what_is_missing)
{
	int slave;

	pty_fixture_set_up(&f, 4096, 1024);
	assert_int_equal(pty_guest_writes(&f, 0, 10000), 10000);
	slave = pty_open(&f);
	pty_expect_text(&f, slave, "\r\n[vhost-user-console: 5907 bytes skipped]\r\n");
	pty_expect(&f, slave, 5907, 4093);
	close(slave);
	tear_down();
}

TEST(nobody_there_never_holds_the_guest)
{
	pty_fixture_set_up(&f, 4096, 1024);
	assert_int_equal(pty_guest_writes(&f, 0, 1 << 20), 1 << 20);
	close(pty_open(&f));
	turn_some(f.base.loop);
	assert_int_equal(pty_guest_writes(&f, 0, 1 << 20), 1 << 20);
	pty_let_pass(&f, PTY_SETTLING_MS);
	assert_int_equal(pty_guest_writes(&f, 0, 1 << 20), 1 << 20);
	tear_down();
}

TEST(who_does_not_read_holds_the_guest_a_moment_only)
{
	int slave;

	pty_fixture_set_up(&f, 4096, 1024);
	slave = pty_join(&f);
	/* First the kernel's buffers, then the ring; once it lags, all of it at once. */
	turn_until(f.base.loop, pty_guest_writes(&f, 0, 1 << 20) == 1 << 20);
	assert_int_equal(pty_guest_writes(&f, 0, 1 << 20), 1 << 20);
	close(slave);
	tear_down();
}

TEST(who_reads_at_full_speed_loses_nothing)
{
	enum { TOTAL = 4 << 20 };
	uint64_t written = 0, got = 0;
	int slave;

	pty_fixture_set_up(&f, 65536, 1024);
	slave = pty_join(&f);
	while (got < TOTAL) {
		uint8_t bytes[8192], expected[8192];
		ssize_t n;

		written += pty_guest_writes(&f, written, (size_t)(TOTAL - written));
		turning_step(f.base.loop, UINT64_MAX, "");
		n = read(slave, bytes, sizeof(bytes));
		support_fill_pattern(expected, (uint64_t)MAX(n, 0), got);
		if (n > 0 && memcmp(bytes, expected, (size_t)n) != 0)
			fail_msg("something is lost near %llu", (unsigned long long)got);
		got += (uint64_t)MAX(n, 0);
	}
	close(slave);
	tear_down();
}

/* tio does so: it opens the line, flushes it, and sets it up. */
TEST(who_flushes_when_it_comes_still_sees_all)
{
	int slave;

	pty_fixture_set_up(&f, 65536, 1024);
	assert_int_equal(pty_guest_writes(&f, 0, 50000), 50000);
	/* At once, and on a busy machine when some is there already, or when all buffers are full.
	 */
	for (int wanted = 0; wanted < 4096; wanted += 4095) {
		slave = pty_open(&f);
		turn_until(f.base.loop, readable(slave) >= wanted);
		turn_some(f.base.loop);
		assert_int_equal(tcflush(slave, TCIOFLUSH), 0);
		pty_expect(&f, slave, 0, 50000);
		turn_some(f.base.loop);
		assert_int_equal(readable(slave), 0);
		close(slave);
		turn_some(f.base.loop);
	}
	tear_down();
}

TEST(who_flushes_later_means_it)
{
	int slave;

	pty_fixture_set_up(&f, 4096, 1024);
	assert_int_equal(pty_guest_writes(&f, 0, 1000), 1000);
	slave = pty_open(&f);
	pty_expect(&f, slave, 0, 1000);
	pty_let_pass(&f, PTY_BEGINNING_MS);
	assert_int_equal(pty_guest_writes(&f, 1000, 1000), 1000);
	turn_until(f.base.loop, readable(slave) == 1000);
	assert_int_equal(tcflush(slave, TCIFLUSH), 0);
	turn_some(f.base.loop);
	assert_int_equal(pty_guest_writes(&f, 2000, 10), 10);
	pty_expect(&f, slave, 2000, 10);
	close(slave);
	tear_down();
}

TEST(input_reaches_the_guest)
{
	int slave;

	pty_fixture_set_up(&f, 4096, 1024);
	slave = pty_open(&f);
	assert_int_equal(write(slave, "ls\r\003\032", 5), 5);
	pty_expect_input(&f, "ls\r\003\032");
	assert_true(f.base.pumps > 0);
	close(slave);
	tear_down();
}

/* A state that is loaded must not take the room that a read was armed for. */
TEST(it_says_while_it_receives)
{
	int slave;

	pty_fixture_set_up(&f, 4096, 1024);
	slave = pty_join(&f);
	assert_int_equal(write(slave, "typed", 5), 5);
	turn_until(f.base.loop, f.base.output.port.receiving);
	pty_expect_input(&f, "typed");
	assert_false(f.base.output.port.receiving);
	close(slave);
	tear_down();
}

TEST(input_of_who_has_gone_at_once_reaches_the_guest)
{
	pty_fixture_set_up(&f, 4096, 1024);
	for (unsigned int i = 0; i < 10; i++) {
		int slave = pty_open(&f);

		assert_int_equal(write(slave, "reboot\r", 7), 7);
		close(slave);
		pty_expect_input(&f, "reboot\r");
	}
	tear_down();
}

/* Nothing is dropped when the guest is slow, whether or not the one who typed is still there. */
TEST(input_that_there_is_no_room_for_waits)
{
	char expected[65];
	int slave;

	pty_fixture_set_up(&f, 4096, 64);
	slave = pty_open(&f);
	for (unsigned int i = 0; i < 2000; i++)
		assert_int_equal(write(slave, &"0123456789"[i % 10], 1), 1);
	close(slave);
	for (unsigned int done = 0; done < 2000; done += 50) {
		struct byte_ring *input = &f.base.output.port.input;

		turn_until(f.base.loop, byte_ring_used(input) >= 50);
		assert_int_equal(byte_ring_get(input, expected, 50), 50);
		assert_memory_equal(expected, "01234567890123456789012345678901234567890123456789",
		                    50);
		f.base.backend->ops->wake(f.base.backend);
	}
	turn_some(f.base.loop);
	assert_int_equal(byte_ring_used(&f.base.output.port.input), 0);
	/* And then it is as it was before. */
	pty_guest_writes(&f, 0, 10);
	slave = pty_open(&f);
	pty_expect(&f, slave, 0, 10);
	close(slave);
	tear_down();
}

static void set_window(int slave, unsigned short cols, unsigned short rows)
{
	struct winsize size = {.ws_col = cols, .ws_row = rows};

	assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
}

static void assert_raw(int slave)
{
	struct termios there;

	assert_int_equal(tcgetattr(slave, &there), 0);
	assert_int_equal(there.c_lflag & (ECHO | ICANON | ISIG | IEXTEN), 0);
	assert_int_equal(there.c_iflag & (ICRNL | IXON | ISTRIP | INLCR | IGNCR), 0);
	assert_int_equal(there.c_oflag & OPOST, 0);
}

TEST(it_is_raw_whatever_the_one_before_has_set)
{
	struct termios cooked;
	int slave;

	pty_fixture_set_up(&f, 4096, 1024);
	slave = pty_open(&f);
	assert_raw(slave);
	tcgetattr(slave, &cooked);
	cooked.c_lflag |= ECHO | ICANON | ISIG;
	cooked.c_iflag |= ICRNL | IXON;
	cooked.c_oflag |= OPOST | ONLCR;
	assert_int_equal(tcsetattr(slave, TCSANOW, &cooked), 0);
	turn_some(f.base.loop);
	close(slave);
	turn_some(f.base.loop);
	/* Nothing of what the guest writes comes back to it. */
	pty_guest_writes(&f, 0, 1000);
	slave = pty_open(&f);
	assert_raw(slave);
	pty_expect(&f, slave, 0, 1000);
	assert_int_equal(byte_ring_used(&f.base.output.port.input), 0);
	close(slave);
	tear_down();
}

/* Root may open what somebody keeps for itself; so this is tried as root and as somebody else. */
static void set_root(bool on)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	if (on)
		data[0].effective |= data[0].permitted & (1u << CAP_SYS_ADMIN);
	else
		data[0].effective &= ~(1u << CAP_SYS_ADMIN);
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

static bool try_open(int *ret_slave)
{
	*ret_slave = open(f.link, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	return *ret_slave >= 0;
}

/* screen does so, and leaves it like that. */
TEST(what_somebody_kept_for_itself_can_be_opened_after_it)
{
	for (unsigned int root = 0; root < 2; root++) {
		pty_fixture_set_up(&f, 4096, 1024);
		pty_guest_writes(&f, 0, 1000);
		for (unsigned int i = 0; i < 5; i++) {
			int slave;

			set_root(false);
			turn_until(f.base.loop, try_open(&slave));
			pty_expect(&f, slave, 0, 1000);
			assert_int_equal(ioctl(slave, TIOCEXCL), 0);
			set_window(slave, 90, 20);
			assert_false(try_open(&(int){0}));
			assert_int_equal(write(slave, "x", 1), 1);
			set_root(root);
			close(slave);
			pty_expect_input(&f, "x");
			/* The window stays as it was set. */
			assert_int_equal(f.base.resizes, 1);
			assert_int_equal(f.base.output.port.cols, 90);
		}
		set_root(true);
		tear_down();
	}
}

TEST(several_share_it)
{
	int a, b;

	pty_fixture_set_up(&f, 4096, 1024);
	a = pty_open(&f);
	pty_guest_writes(&f, 0, 10);
	pty_expect(&f, a, 0, 10);
	b = pty_open(&f);
	turn_some(f.base.loop);
	close(a);
	turn_some(f.base.loop);
	/* It was never given up, so nothing begins anew. */
	pty_guest_writes(&f, 10, 10);
	pty_expect(&f, b, 10, 10);
	close(b);
	tear_down();
}

TEST(the_window_is_noticed_when_something_is_typed_or_it_is_opened_or_closed)
{
	int slave;

	pty_fixture_set_up(&f, 4096, 1024);
	slave = pty_open(&f);
	turn_some(f.base.loop);
	set_window(slave, 100, 30);
	assert_int_equal(write(slave, "x", 1), 1);
	turn_until(f.base.loop, f.base.resizes == 1);
	assert_int_equal(f.base.output.port.cols, 100);
	assert_int_equal(f.base.output.port.rows, 30);
	set_window(slave, 101, 31);
	close(slave);
	turn_until(f.base.loop, f.base.resizes == 2);
	assert_int_equal(f.base.output.port.cols, 101);
	/* It is the terminal's, and stays. */
	close(pty_open(&f));
	turn_some(f.base.loop);
	assert_int_equal(f.base.resizes, 2);
	tear_down();
}

/* A timer may be under way at first, so that one quiet window of several will do. */
static void assert_idle(void)
{
	for (unsigned int i = 0; i < 10; i++) {
		uint64_t before = loop_completions(f.base.loop);

		pty_let_pass(&f, 2 * PTY_SETTLING_MS);
		if (loop_completions(f.base.loop) == before)
			return;
	}
	fail_msg("the loop never sleeps");
}

TEST(nothing_costs_anything_while_nothing_happens)
{
	int slave;

	pty_fixture_set_up(&f, 65536, 1024);
	assert_idle();
	slave = pty_open(&f);
	assert_idle();
	pty_guest_writes(&f, 0, 1000);
	pty_expect(&f, slave, 0, 1000);
	assert_idle();
	/* It doesn't read: the buffers are full. */
	pty_guest_writes(&f, 1000, 60000);
	assert_idle();
	close(slave);
	assert_idle();
	/* Gone with input that the guest doesn't take. */
	slave = pty_open(&f);
	for (unsigned int i = 0; i < 2000; i++)
		assert_int_equal(write(slave, "x", 1), 1);
	close(slave);
	assert_idle();
	tear_down();
}

TEST(it_stops_whoever_is_there)
{
	struct pollfd polled = {.events = POLLIN};

	pty_fixture_set_up(&f, 65536, 1024);
	pty_guest_writes(&f, 0, 60000);
	polled.fd = pty_open(&f);
	turn_until(f.base.loop, readable(polled.fd) > 0);
	pty_fixture_stop(&f);
	assert_int_equal(poll(&polled, 1, 0), 1);
	assert_true(polled.revents & POLLHUP);
	close(polled.fd);
	tear_down();
}

/* The port is there after it: whoever asks it then mustn't wait for a read that is over. */
TEST(it_receives_no_more_when_it_has_stopped)
{
	int slave;

	pty_fixture_set_up(&f, 4096, 1024);
	slave = pty_join(&f);
	assert_int_equal(write(slave, "typed", 5), 5);
	turn_until(f.base.loop, f.base.output.port.receiving);
	pty_fixture_stop(&f);
	assert_false(f.base.output.port.receiving);
	close(slave);
	tear_down();
}

/* What was typed for a guest that is gone, and the ring had no room for. */
TEST(what_waits_in_the_terminal_can_be_dropped)
{
	struct backend *backend;
	char typed[3000];
	int slave;

	memset(typed, 'x', sizeof(typed));
	pty_fixture_set_up(&f, 4096, 1024);
	slave = pty_join(&f);
	assert_int_equal(write(slave, typed, sizeof(typed)), sizeof(typed));
	turn_until(f.base.loop, byte_ring_free(&f.base.output.port.input) == 0);
	backend = f.base.backend;
	assert_int_equal(backend->ops->drop_input(backend), sizeof(typed) - 1024);
	byte_ring_drop(&f.base.output.port.input, 1024);
	backend->ops->wake(backend);
	assert_int_equal(write(slave, "fresh", 5), 5);
	pty_expect_input(&f, "fresh");
	close(slave);
	tear_down();
}

static struct {
	void (*attended)(struct backend_device *device);
	int slave;
} coming;

/* Whoever has gone is back before the loop has seen all of it. */
static void on_attended(struct backend_device *device)
{
	coming.attended(device);
	if (coming.slave < 0 && f.base.output.port.attended == 0)
		coming.slave = pty_open(&f);
}

TEST(who_comes_back_before_the_going_was_told_of_is_served)
{
	pty_fixture_set_up(&f, 4096, 1024);
	coming.attended = f.base.device.attended;
	f.base.device.attended = on_attended;
	for (unsigned int i = 0; i < 20; i++) {
		int slave = pty_join(&f);

		coming.slave = -1;
		assert_int_equal(write(slave, "x", i % 2), i % 2);
		close(slave);
		turn_until(f.base.loop, coming.slave >= 0 && f.base.output.port.attended == 1);
		close(coming.slave);
		turn_until(f.base.loop, f.base.output.port.attended == 0);
	}
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(what_was_kept_comes_first_then_what_is_live),
	    UNIT(who_comes_back_sees_what_is_kept_and_nothing_stale),
	    UNIT(who_comes_late_is_told_what_is_missing),
	    UNIT(nobody_there_never_holds_the_guest),
	    UNIT(who_does_not_read_holds_the_guest_a_moment_only),
	    UNIT(who_reads_at_full_speed_loses_nothing),
	    UNIT(who_flushes_when_it_comes_still_sees_all),
	    UNIT(who_flushes_later_means_it),
	    UNIT(input_reaches_the_guest),
	    UNIT(it_says_while_it_receives),
	    UNIT(input_of_who_has_gone_at_once_reaches_the_guest),
	    UNIT(input_that_there_is_no_room_for_waits),
	    UNIT(it_is_raw_whatever_the_one_before_has_set),
	    UNIT(what_somebody_kept_for_itself_can_be_opened_after_it),
	    UNIT(several_share_it),
	    UNIT(the_window_is_noticed_when_something_is_typed_or_it_is_opened_or_closed),
	    UNIT(nothing_costs_anything_while_nothing_happens),
	    UNIT(it_stops_whoever_is_there),
	    UNIT(it_receives_no_more_when_it_has_stopped),
	    UNIT(what_waits_in_the_terminal_can_be_dropped),
	    UNIT(who_comes_back_before_the_going_was_told_of_is_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
