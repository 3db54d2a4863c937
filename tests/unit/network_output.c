/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what TCP clients see: kept output first, in order, then live; all of it at full speed, the
 * rest with a line that says how much is missing; and no client ever holds the guest or another
 * client beyond the policy of output.h.
 */
#include "unit.h"

#include "backends/network.h"
#include "backends/output.h"
#include "base/macros.h"
#include "network_fixture.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct backend_fixture f;

static void tear_down(void)
{
	backend_fixture_deinit(&f);
}

TEST(what_was_kept_comes_first_then_what_is_live)
{
	int client;

	network_fixture_init(&f, 4096, 1024);
	assert_int_equal(network_guest_writes(&f, 0, 1000), 1000);
	client = network_connect(0);
	network_expect(&f, client, 0, 1000);
	for (uint64_t pos = 1000; pos < 20000; pos += 500) {
		assert_int_equal(network_guest_writes(&f, pos, 500), 500);
		network_expect(&f, client, pos, 500);
	}
	close(client);
	tear_down();
}

TEST(who_comes_late_gets_what_is_kept_and_is_told_of_the_rest)
{
	int client;

	network_fixture_init(&f, 4096, 1024);
	network_guest_writes(&f, 0, 10000);
	client = network_connect(0);
	network_expect_text(&f, client, "\r\n[vhost-user-console: 5907 bytes skipped]\r\n");
	network_expect(&f, client, 5907, 4093);
	network_guest_writes(&f, 10000, 10);
	network_expect(&f, client, 10000, 10);
	close(client);
	tear_down();
}

static void guest_writes_text(const char *text)
{
	backend_guest_writes(&f, text, strlen(text));
}

/* The terminal's answer would be typed at the guest. */
TEST(who_comes_late_is_not_asked_again_and_who_is_there_is)
{
	int early, late;

	network_fixture_init(&f, 4096, 1024);
	early = network_connect(0);
	turn_until(f.loop, network_daemon_end(early) >= 0);
	guest_writes_text("boot\r\n\x1b[6n\x1b[c\x1b]11;?\x1b\\\x1b[18t\x05login: ");
	network_expect_text(&f, early, "boot\r\n\x1b[6n\x1b[c\x1b]11;?\x1b\\\x1b[18t\x05login: ");
	late = network_connect(0);
	network_expect_text(&f, late, "boot\r\nlogin: ");
	guest_writes_text("\x1b[6n# ");
	network_expect_text(&f, late, "\x1b[6n# ");
	network_expect_text(&f, early, "\x1b[6n# ");
	close(early);
	close(late);
	tear_down();
}

/* The half of it that came later is live. */
TEST(a_question_that_is_not_complete_when_a_client_comes_is_live)
{
	int client;

	network_fixture_init(&f, 4096, 1024);
	guest_writes_text("# \x1b[5n\x1b[6");
	client = network_connect(0);
	network_expect_text(&f, client, "# \x1b[6");
	guest_writes_text("n");
	network_expect_text(&f, client, "n");
	close(client);
	tear_down();
}

/* However many: they are passed in turns, and the rest comes. */
TEST(who_comes_late_to_questions_only_gets_what_is_behind_them)
{
	int client;

	network_fixture_init(&f, 1 << 20, 1024);
	for (unsigned int i = 0; i < (1 << 20) / 4 - 1; i++)
		guest_writes_text("\x1b[6n");
	guest_writes_text("# ");
	client = network_connect(0);
	network_expect_text(&f, client, "# ");
	guest_writes_text("live");
	network_expect_text(&f, client, "live");
	close(client);
	tear_down();
}

TEST(who_comes_late_begins_with_a_line)
{
	static char text[4096];
	int client;

	network_fixture_init(&f, 4096, 1024);
	guest_writes_text("the first line, of which the end is left\r\n");
	memset(text, 'x', 4095);
	memcpy(text + 4095 - 7, "\r\n$ ls\r", 8);
	guest_writes_text("second\r\n");
	backend_guest_writes(&f, text, 4096 - 20);
	client = network_connect(0);
	network_expect_text(&f, client, "\r\n[vhost-user-console: 42 bytes skipped]\r\nsecond\r\n");
	close(client);
	tear_down();
}

/* The guest writes on while a late client is being accepted: it loses nothing that was kept. */
TEST(a_late_client_loses_nothing_of_what_is_kept_when_it_comes)
{
	uint64_t pos = 10000;
	int client;

	network_fixture_init(&f, 4096, 1024);
	network_guest_writes(&f, 0, pos);
	client = network_connect(0);
	/* Until it is there the oldest bytes go; from then on it holds the guest. */
	turn_until(f.loop, network_daemon_end(client) >= 0);
	pos += network_guest_writes(&f, pos, 3000);
	network_expect_text(&f, client, "\r\n[vhost-user-console: 5907 bytes skipped]\r\n");
	network_expect(&f, client, 5907, (size_t)(pos - 5907));
	close(client);
	tear_down();
}

TEST(every_client_sees_all_of_the_output)
{
	int clients[5];

	network_fixture_init(&f, 4096, 1024);
	for (unsigned int i = 0; i < ROWS(clients); i++) {
		network_guest_writes(&f, i * 100, 100);
		clients[i] = network_connect(0);
	}
	for (unsigned int i = 0; i < ROWS(clients); i++)
		network_expect(&f, clients[i], 0, 500);
	network_guest_writes(&f, 500, 2000);
	for (unsigned int i = 0; i < ROWS(clients); i++) {
		network_expect(&f, clients[i], 500, 2000);
		close(clients[i]);
	}
	tear_down();
}

/* More than the socket's buffers take: the send is refused and goes on when there is room. */
TEST(a_client_that_reads_later_gets_everything_the_ring_holds)
{
	enum { SIZE = 8 << 20 };
	int client;

	network_fixture_init(&f, SIZE, 1024);
	client = network_connect(65536);
	assert_int_equal(network_guest_writes(&f, 0, SIZE), SIZE);
	turn_some(f.loop);
	network_expect(&f, client, 0, SIZE);
	close(client);
	tear_down();
}

/* The guest writes `total` bytes as fast as the policy lets it; `reader` reads all the time. */
static void flood(int reader, uint64_t total)
{
	uint8_t *got = malloc(65536), *expected = malloc(65536);
	uint64_t written = 0, read = 0;

	while (read < total) {
		size_t n;

		written += network_guest_writes(&f, written, (size_t)(total - written));
		turning_step(f.loop, UINT64_MAX, "");
		n = network_read(reader, got, 65536);
		support_fill_pattern(expected, n, read);
		if (memcmp(got, expected, n) != 0)
			fail_msg("the reader has lost something near %llu",
			         (unsigned long long)read);
		read += n;
	}
	free(got);
	free(expected);
}

TEST(a_client_at_full_speed_loses_nothing_at_any_speed_of_the_guest)
{
	int client;

	network_fixture_init(&f, 65536, 1024);
	client = network_connect(0);
	turn_until(f.loop, network_daemon_end(client) >= 0);
	flood(client, 32 << 20);
	close(client);
	tear_down();
}

TEST(a_client_that_never_reads_holds_nobody)
{
	int stuck, client;

	network_fixture_init(&f, 65536, 1024);
	stuck = network_connect(4096);
	turn_until(f.loop, network_daemon_end(stuck) >= 0);
	client = network_connect(0);
	turn_until(f.loop, network_daemon_end(client) >= 0);
	flood(client, 32 << 20);
	close(client);
	/* Alone, once it lags, it doesn't hold the guest at all. */
	turn_until(f.loop, network_guest_writes(&f, 0, 1 << 20) == 1 << 20);
	assert_int_equal(network_guest_writes(&f, 0, 1 << 20), 1 << 20);
	close(stuck);
	tear_down();
}

/* Parses what a lagging client gets: the pattern with gap lines in it. */
struct stream {
	uint64_t pos; /* of the next byte of the pattern */
	char line[128];
	size_t line_len;
	unsigned int gaps;
};

static void take_line(struct stream *s)
{
	uint64_t gap = 0;

	s->line[s->line_len] = '\0';
	if (!support_is_gap_line(s->line, &gap))
		fail_msg("not the line of a gap: %s", s->line);
	s->pos += gap;
	s->line_len = 0;
	s->gaps++;
}

static void take_bytes(struct stream *s, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t expected;

		/* The pattern has no byte below 0x20. */
		if (s->line_len > 0 || bytes[i] == '\r') {
			assert_true(s->line_len < sizeof(s->line) - 1);
			s->line[s->line_len++] = (char)bytes[i];
			if (bytes[i] == '\n' && s->line_len > 3)
				take_line(s);
			continue;
		}
		support_fill_pattern(&expected, 1, s->pos++);
		if (bytes[i] != expected)
			fail_msg("a wrong byte at %llu after %u gaps",
			         (unsigned long long)s->pos - 1, s->gaps);
	}
}

TEST(a_lagging_client_gets_the_rest_in_order_and_is_told_what_is_missing)
{
	static uint8_t bytes[10000];
	struct stream s = {0};
	uint64_t written = 0;
	int client;

	network_fixture_init(&f, 65536, 1024);
	client = network_connect(4096);
	turn_until(f.loop, network_daemon_end(client) >= 0);
	for (unsigned int round = 0; round < 200; round++) {
		/* So much that it lags, now and then a little of it read. */
		turn_until(f.loop, (written += network_guest_writes(&f, written, 300000)) >
		                       300000ull * round);
		take_bytes(&s, bytes, network_read(client, bytes, (round * 7919) % 10000));
	}
	turn_until(f.loop, (take_bytes(&s, bytes, network_read(client, bytes, sizeof(bytes))),
	                    s.pos == written));
	assert_true(s.gaps > 0);
	/* It has caught up: nothing is lost from here on. */
	s.gaps = 0;
	assert_int_equal(network_guest_writes(&f, written, 30000), 30000);
	turn_until(f.loop, (take_bytes(&s, bytes, network_read(client, bytes, sizeof(bytes))),
	                    s.pos == written + 30000));
	assert_int_equal(s.gaps, 0);
	close(client);
	tear_down();
}

/* As a guest does it: pumped by the work of a turn, between completions and flush. */
static struct loop_task guest;
static uint64_t guest_pos;

static void on_guest(struct loop_task *task)
{
	guest_pos += network_guest_writes(&f, guest_pos, 1000);
	loop_work(f.loop, task);
}

TEST(a_guest_that_writes_in_every_turn_is_held_by_a_late_client_from_its_first_turn)
{
	static uint8_t bytes[10000];

	for (unsigned int i = 0; i < 20; i++) {
		struct stream s = {0};
		int client;

		network_fixture_init(&f, 4096, 1024);
		guest_pos = 0;
		loop_task_init(&guest, on_guest);
		loop_work(f.loop, &guest);
		turn_until(f.loop, guest_pos > 5000 + 100 * i);
		client = network_connect(0);
		turn_until(f.loop, (take_bytes(&s, bytes, network_read(client, bytes, 10000)),
		                    s.pos > 100000));
		/* One gap at the beginning: what was gone before it came. */
		assert_int_equal(s.gaps, 1);
		loop_task_cancel(&guest);
		close(client);
		tear_down();
	}
}

TEST(a_client_that_sends_no_more_still_gets_output)
{
	int client;

	network_fixture_init(&f, 4096, 1024);
	client = network_connect(0);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	turn_some(f.loop);
	for (uint64_t pos = 0; pos < 10000; pos += 1000) {
		network_guest_writes(&f, pos, 1000);
		network_expect(&f, client, pos, 1000);
	}
	close(client);
	tear_down();
}

/* Without wake-ups while nothing happens. */
TEST(idle_clients_cost_nothing)
{
	int clients[10];
	uint64_t before;

	network_fixture_init(&f, 4096, 1024);
	for (unsigned int i = 0; i < ROWS(clients); i++)
		clients[i] = network_connect(0);
	network_guest_writes(&f, 0, 100);
	for (unsigned int i = 0; i < ROWS(clients); i++)
		network_expect(&f, clients[i], 0, 100);
	turn_some(f.loop);
	before = loop_completions(f.loop);
	turn_some(f.loop);
	assert_int_equal(loop_completions(f.loop), before);
	for (unsigned int i = 0; i < ROWS(clients); i++)
		close(clients[i]);
	tear_down();
}

/*
 * As port_settle_output() does when a connection has drained, which is at the end of a turn, behind
 * the flush: the send is prepared, and the kernel hasn't seen it yet.
 */
TEST(output_that_is_forced_in_does_not_change_what_is_being_sent)
{
	static uint8_t bytes[10000];
	struct stream s = {0};
	uint8_t rest[1000];
	int client;

	network_fixture_init(&f, 4096, 1024);
	client = network_connect(0);
	turn_until(f.loop, network_daemon_end(client) >= 0);
	assert_int_equal(network_guest_writes(&f, 0, 4096), 4096);
	assert_int_equal(loop_turn(f.loop, false), 0);
	/* It asks what may be reclaimed; what there is no room for is skipped. */
	support_fill_pattern(rest, sizeof(rest), 4096);
	if (f.output.port.reclaim(&f.output.port) >= sizeof(rest))
		byte_ring_overwrite(&f.output.port.output, rest, sizeof(rest));
	else
		byte_ring_skip(&f.output.port.output, sizeof(rest));
	output_wake(&f.output);
	turn_some(f.loop);
	/* Whatever is missing is told before what comes next. */
	assert_int_equal(network_guest_writes(&f, 4096 + sizeof(rest), 10), 10);
	turn_until(f.loop, (take_bytes(&s, bytes, network_read(client, bytes, sizeof(bytes))),
	                    s.pos == 4096 + sizeof(rest) + 10));
	close(client);
	tear_down();
}

TEST(a_client_that_sends_no_more_costs_nothing_while_idle)
{
	uint64_t before;
	int client;

	network_fixture_init(&f, 4096, 1024);
	client = network_connect(0);
	shutdown(client, SHUT_WR);
	network_guest_writes(&f, 0, 100);
	network_expect(&f, client, 0, 100);
	turn_some(f.loop);
	before = loop_completions(f.loop);
	turn_some(f.loop);
	before = loop_completions(f.loop) - before;
	close(client);
	tear_down();
	/* One or two may be on their way; one a turn is a busy loop. */
	assert_in_range(before, 0, 2);
}

/* However much of it there is: what is kept for all clients is in the ring, once. */
TEST(a_client_that_never_reads_has_little_in_its_socket)
{
	enum { SIZE = 8 << 20 };
	int client, end, queued = 0, size = 0;

	network_fixture_init(&f, SIZE, 1024);
	client = network_connect(4096);
	turn_until(f.loop, (end = network_daemon_end(client)) >= 0);
	network_guest_writes(&f, 0, SIZE);
	turn_some(f.loop);
	assert_int_equal(ioctl(end, SIOCOUTQ, &queued), 0);
	assert_in_range(queued, 1, 2 * NETWORK_SEND_BUFFER);
	/* The kernel doesn't let it grow, as it does where nobody has said how large it is. */
	assert_int_equal(getsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, &(socklen_t){sizeof(size)}),
	                 0);
	assert_in_range(size, 1, 2 * NETWORK_SEND_BUFFER);
	close(client);
	tear_down();
}

TEST(finishing_sends_what_is_left)
{
	enum { SIZE = 1 << 20 };
	int client;

	network_fixture_init(&f, SIZE, 1024);
	client = network_connect(4096);
	turn_until(f.loop, network_daemon_end(client) >= 0);
	network_guest_writes(&f, 0, SIZE);
	backend_finish(&f);
	assert_int_equal(f.stops, 0);
	network_expect(&f, client, 0, SIZE);
	turn_until(f.loop, f.stops);
	assert_true(network_is_closed(client));
	close(client);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(what_was_kept_comes_first_then_what_is_live),
	    UNIT(who_comes_late_gets_what_is_kept_and_is_told_of_the_rest),
	    UNIT(who_comes_late_is_not_asked_again_and_who_is_there_is),
	    UNIT(a_question_that_is_not_complete_when_a_client_comes_is_live),
	    UNIT(who_comes_late_to_questions_only_gets_what_is_behind_them),
	    UNIT(who_comes_late_begins_with_a_line),
	    UNIT(a_late_client_loses_nothing_of_what_is_kept_when_it_comes),
	    UNIT(every_client_sees_all_of_the_output),
	    UNIT(a_client_that_reads_later_gets_everything_the_ring_holds),
	    UNIT(a_client_at_full_speed_loses_nothing_at_any_speed_of_the_guest),
	    UNIT(a_client_that_never_reads_holds_nobody),
	    UNIT(a_lagging_client_gets_the_rest_in_order_and_is_told_what_is_missing),
	    UNIT(a_guest_that_writes_in_every_turn_is_held_by_a_late_client_from_its_first_turn),
	    UNIT(a_client_that_sends_no_more_still_gets_output),
	    UNIT(idle_clients_cost_nothing),
	    UNIT(output_that_is_forced_in_does_not_change_what_is_being_sent),
	    UNIT(a_client_that_sends_no_more_costs_nothing_while_idle),
	    UNIT(a_client_that_never_reads_has_little_in_its_socket),
	    UNIT(finishing_sends_what_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
