/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds that the nested backend takes back what the guest has switched in the terminal: at the end
 * and while the process is suspended, behind what the terminal got, and without waiting for ever.
 */
#include "unit.h"

#include "terminal_fixture.h"

#include <string.h>
#include <unistd.h>

#define SWITCHED "\x1b[?1049h\x1b[?1000h\x1b[?2004h\x1b[?25l\x1b[>1uvim"
#define BACK     "\x1b[?25h\x1b[?1000l\x1b[?2004l\x1b[<u\x1b[?1049l\x1b[0m"
#define AGAIN    "\x1b[?1049h\x1b[>1u\x1b[?25l\x1b[?1000h\x1b[?2004h"

static void guest_writes_text(const char *text)
{
	backend_guest_writes(&terminal_backend, text, strlen(text));
}

TEST(what_the_guest_has_switched_is_taken_back_at_the_end)
{
	terminal_fixture_set_up();
	guest_writes_text(SWITCHED);
	terminal_expect_text(SWITCHED);
	terminal_backend.backend->ops->stop(terminal_backend.backend);
	turn_until(terminal_backend.loop, !terminal_backend.backend);
	terminal_expect_text(BACK);
	terminal_fixture_tear_down();
}

TEST(nothing_is_written_at_the_end_if_nothing_was_switched)
{
	terminal_fixture_set_up();
	guest_writes_text("text\r\n\x1b[1mbold\x1b[m\x1b[?2004h\x1b[?2004l");
	terminal_expect_text("text\r\n\x1b[1mbold\x1b[m\x1b[?2004h\x1b[?2004l");
	terminal_backend.backend->ops->stop(terminal_backend.backend);
	turn_until(terminal_backend.loop, !terminal_backend.backend);
	terminal_expect_text("");
	terminal_fixture_tear_down();
}

TEST(what_the_guest_has_switched_is_taken_back_while_suspended)
{
	terminal_fixture_set_up();
	guest_writes_text(SWITCHED);
	terminal_expect_text(SWITCHED);
	for (unsigned int i = 0; i < 3; i++) {
		terminal_backend.backend->ops->suspend(terminal_backend.backend);
		terminal_backend.backend->ops->suspend(terminal_backend.backend);
		terminal_expect_text(BACK);
		terminal_backend.backend->ops->resume(terminal_backend.backend);
		terminal_backend.backend->ops->resume(terminal_backend.backend);
		terminal_expect_text(AGAIN);
	}
	terminal_backend.backend->ops->stop(terminal_backend.backend);
	turn_until(terminal_backend.loop, !terminal_backend.backend);
	terminal_expect_text(BACK);
	terminal_fixture_tear_down();
}

/* Reads what there is until the terminal has got to `text`, which ends it. */
static void expect_in_the_end(const char *text)
{
	static char bytes[1 << 20];
	size_t len = strlen(text), done = 0;

	while (terminal_backend.backend || done < len ||
	       memcmp(bytes + done - len, text, len) != 0) {
		ssize_t n = read(terminal_master, bytes + done, sizeof(bytes) - done);

		done += n > 0 ? (size_t)n : 0;
		if (terminal_backend.backend)
			turning_step(terminal_backend.loop, UINT64_MAX, "");
		else if (n < 0)
			break;
	}
	assert_true(done >= len);
	assert_memory_equal(bytes + done - len, text, len);
}

TEST(it_is_taken_back_behind_what_the_terminal_was_slow_to_take)
{
	static char text[4096];

	terminal_fixture_set_up();
	guest_writes_text(SWITCHED);
	terminal_expect_text(SWITCHED);
	memset(text, 'x', sizeof(text));
	for (unsigned int i = 0; i < 20; i++) {
		backend_guest_writes(&terminal_backend, text, sizeof(text));
		turn_some(terminal_backend.loop);
	}
	terminal_backend.backend->ops->stop(terminal_backend.backend);
	expect_in_the_end(BACK);
	terminal_fixture_tear_down();
}

/* What was never sent has switched nothing. */
TEST(only_what_the_terminal_got_counts)
{
	static char text[4096];

	terminal_fixture_set_up();
	memset(text, 'x', sizeof(text));
	for (unsigned int i = 0; i < 20; i++) {
		backend_guest_writes(&terminal_backend, text, sizeof(text));
		turn_some(terminal_backend.loop);
	}
	guest_writes_text("\x1b[?1000h");
	turn_some(terminal_backend.loop);
	terminal_backend.backend->ops->stop(terminal_backend.backend);
	expect_in_the_end("x");
	terminal_fixture_tear_down();
}

TEST(a_terminal_that_takes_nothing_at_all_ends_it_still)
{
	static char bytes[4096];

	terminal_fixture_set_up();
	guest_writes_text("\x1b[?1000h");
	terminal_expect_text("\x1b[?1000h");
	for (unsigned int i = 0; i < 20; i++) {
		backend_guest_writes(&terminal_backend, bytes, sizeof(bytes));
		turn_some(terminal_backend.loop);
	}
	terminal_backend.backend->ops->suspend(terminal_backend.backend);
	terminal_backend.backend->ops->resume(terminal_backend.backend);
	terminal_backend.backend->ops->stop(terminal_backend.backend);
	turn_until(terminal_backend.loop, !terminal_backend.backend);
	terminal_fixture_tear_down();
}

TEST(a_second_stop_does_not_wait)
{
	static char bytes[4096];

	terminal_fixture_set_up();
	for (unsigned int i = 0; i < 20; i++) {
		backend_guest_writes(&terminal_backend, bytes, sizeof(bytes));
		turn_some(terminal_backend.loop);
	}
	terminal_backend.backend->ops->stop(terminal_backend.backend);
	terminal_backend.backend->ops->stop(terminal_backend.backend);
	turn_until(terminal_backend.loop, !terminal_backend.backend);
	terminal_fixture_tear_down();
}

#undef UNIT
#define UNIT(name) cmocka_unit_test_setup_teardown(name, resources_setup, terminal_fixture_teardown)

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(what_the_guest_has_switched_is_taken_back_at_the_end),
	    UNIT(nothing_is_written_at_the_end_if_nothing_was_switched),
	    UNIT(what_the_guest_has_switched_is_taken_back_while_suspended),
	    UNIT(it_is_taken_back_behind_what_the_terminal_was_slow_to_take),
	    UNIT(only_what_the_terminal_got_counts),
	    UNIT(a_terminal_that_takes_nothing_at_all_ends_it_still),
	    UNIT(a_second_stop_does_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return terminal_fixture_main(run);
}
