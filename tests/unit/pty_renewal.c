/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds that a pseudo terminal is renewed when its last user has gone: whatever they have done to
 * it, the next one is served; while somebody is there it stays; what fails is tried again.
 */
#include "unit.h"

#include "pty_fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct pty_fixture f;

static void tear_down(void)
{
	pty_fixture_tear_down(&f);
}

static void stop_output(int slave)
{
	assert_int_equal(tcflow(slave, TCOOFF), 0);
}

static void set_discipline(int slave)
{
	int null = 27; /* N_NULL */

	assert_int_equal(ioctl(slave, TIOCSETD, &null), 0);
}

static void set_exclusive(int slave)
{
	assert_int_equal(ioctl(slave, TIOCEXCL), 0);
}

/* What cfmakeraw() doesn't take back. */
static void set_odd_modes(int slave)
{
	struct termios odd;

	assert_int_equal(tcgetattr(slave, &odd), 0);
	odd.c_iflag |= IXOFF | IUCLC;
	cfsetspeed(&odd, B0);
	assert_int_equal(tcsetattr(slave, TCSANOW, &odd), 0);
}

static void (*const spoilers[])(int slave) = {stop_output, set_discipline, set_exclusive,
                                              set_odd_modes};

static void read_target(char ret_target[64])
{
	ssize_t n = readlink(f.link, ret_target, 63);

	assert_true(n > 0);
	ret_target[n] = '\0';
}

static bool is_renewed(const char *before)
{
	char now[64];

	read_target(now);
	return strcmp(now, before) != 0;
}

/* Opens it, does that to it, and goes. */
static void spoil(void (*how)(int slave))
{
	int slave = pty_open(&f);

	how(slave);
	close(slave);
}

static void assert_serves(void)
{
	struct termios there;
	int slave = pty_open(&f);

	pty_expect(&f, slave, 0, 100);
	assert_int_equal(tcgetattr(slave, &there), 0);
	assert_int_equal(there.c_iflag & (IXOFF | IUCLC), 0);
	assert_int_not_equal(cfgetospeed(&there), B0);
	assert_int_equal(write(slave, "typed", 5), 5);
	pty_expect_input(&f, "typed");
	close(slave);
}

/* Seen while it was done, or over before the loop has seen any of it. */
TEST(whatever_the_one_before_has_done_the_next_is_served)
{
	char before[64];

	for (size_t i = 0; i < 2 * ROWS(spoilers); i++) {
		pty_fixture_set_up(&f, 4096, 1024);
		pty_guest_writes(&f, 0, 100);
		read_target(before);
		if (i % 2)
			close(pty_join(&f));
		spoil(spoilers[i / 2]);
		turn_until(f.base.loop, is_renewed(before));
		assert_serves();
		tear_down();
	}
}

/* Somebody still has it open: it is theirs as it is, until they go, too. */
TEST(it_is_not_renewed_while_somebody_is_there)
{
	char before[64];
	int slave;

	pty_fixture_set_up(&f, 4096, 1024);
	read_target(before);
	slave = pty_join(&f);
	spoil(set_exclusive);
	pty_let_pass(&f, 3 * PTY_RENEWAL_MS);
	assert_false(is_renewed(before));
	pty_guest_writes(&f, 0, 100);
	pty_expect(&f, slave, 0, 100);
	close(slave);
	turn_until(f.base.loop, is_renewed(before));
	assert_serves();
	tear_down();
}

static void assert_file_in_place_is_waited_for(void)
{
	char warning[512] = {0}, target[64];
	int ends[2], saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);

	pty_guest_writes(&f, 0, 100);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	dup2(ends[1], STDERR_FILENO);
	read_target(target);
	spoil(set_exclusive);
	assert_int_equal(unlink(f.link), 0);
	close(open(f.link, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	turn_until(f.base.loop, read(ends[0], warning, sizeof(warning) - 1) > 0);
	assert_int_equal(unlink(f.link), 0);
	turn_until(f.base.loop, access(f.link, F_OK) == 0);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[0]);
	close(ends[1]);
	assert_non_null(strstr(warning, "there is another file in its place"));
}

TEST(a_renewal_that_fails_is_tried_again)
{
	pty_fixture_set_up(&f, 4096, 1024);
	assert_file_in_place_is_waited_for();
	assert_serves();
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(whatever_the_one_before_has_done_the_next_is_served),
	    UNIT(it_is_not_renewed_while_somebody_is_there),
	    UNIT(a_renewal_that_fails_is_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
