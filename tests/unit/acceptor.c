/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the acceptor: one connection after the other, through a shortage of descriptors too, none
 * left behind at the end, and urgent bytes where they were sent.
 */
#include "unit.h"

#include "base/macros.h"
#include "loop/acceptor.h"
#include "turning.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

struct fixture {
	struct loop *loop;
	struct watched_scope scope;
	struct acceptor acceptor;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	int listener;
	int accepted[16];
	unsigned int count;
};

static void on_accepted(struct acceptor *acceptor, int fd)
{
	struct fixture *f = container_of(acceptor, struct fixture, acceptor);

	f->accepted[f->count++] = fd;
}

/* Listens at an address of the kernel's choice. */
static void set_up_on(struct fixture *f, const void *addr, socklen_t len)
{
	*f = (struct fixture){.addr_len = sizeof(f->addr)};
	f->loop = turning_loop();
	watched_scope_init(&f->scope, f->loop);
	f->listener =
	    socket(((const struct sockaddr *)addr)->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listener, addr, len), 0);
	assert_int_equal(listen(f->listener, 16), 0);
	assert_int_equal(getsockname(f->listener, (void *)&f->addr, &f->addr_len), 0);
	acceptor_start(&f->acceptor, &f->scope.scope, NULL, f->listener, "test", on_accepted);
}

/* At an abstract name: no file. */
static void set_up(struct fixture *f)
{
	set_up_on(f, &(struct sockaddr_un){.sun_family = AF_UNIX}, sizeof(sa_family_t));
}

static void tear_down(struct fixture *f)
{
	watched_scope_end(&f->scope);
	acceptor_deinit(&f->acceptor);
	assert_int_equal(fcntl(f->listener, F_GETFD), -1);
	loop_free(f->loop);
	for (unsigned int i = 0; i < f->count; i++)
		close(f->accepted[i]);
}

static void connect_now(struct fixture *f, int fd)
{
	assert_int_equal(connect(fd, (void *)&f->addr, f->addr_len), 0);
}

static int new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

TEST(connections_are_taken_one_after_the_other)
{
	struct fixture f;
	int clients[10];

	set_up(&f);
	for (unsigned int i = 0; i < ROWS(clients); i++) {
		clients[i] = new_socket();
		connect_now(&f, clients[i]);
	}
	turn_until(f.loop, f.count == ROWS(clients));
	for (unsigned int i = 0; i < ROWS(clients); i++) {
		char byte;

		assert_int_equal(write(clients[i], &(char){(char)i}, 1), 1);
		assert_int_equal(read(f.accepted[i], &byte, 1), 1);
		assert_int_equal(byte, i);
		close(clients[i]);
	}
	tear_down(&f);
}

/* Limits the process to the descriptors it has. Returns what the limit was. */
static rlim_t use_up_descriptors(void)
{
	struct rlimit limit;
	rlim_t before;
	int next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	close(next);
	getrlimit(RLIMIT_NOFILE, &limit);
	before = limit.rlim_cur;
	limit.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return before;
}

static void set_limit(rlim_t value)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = value;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

TEST(who_comes_during_a_shortage_of_descriptors_is_taken_after_it)
{
	struct fixture f;
	rlim_t before;
	int client;

	set_up(&f);
	log_set_level(LOG_LEVEL_ERROR);
	client = new_socket();
	before = use_up_descriptors();
	connect_now(&f, client);
	turn_until(f.loop, loop_completions(f.loop) > 0);
	assert_int_equal(f.count, 0);
	set_limit(before);
	turn_until(f.loop, f.count == 1);
	log_set_level(LOG_LEVEL_INFO);
	close(client);
	tear_down(&f);
}

TEST(a_shortage_is_no_busy_loop_and_can_be_closed)
{
	struct fixture f;
	uint64_t began, passed, completions;
	rlim_t before;
	int client;

	set_up(&f);
	log_set_level(LOG_LEVEL_ERROR);
	client = new_socket();
	before = use_up_descriptors();
	connect_now(&f, client);
	turn_until(f.loop, loop_completions(f.loop) > 0);
	began = loop_now_ms(f.loop);
	turn_some(f.loop);
	completions = loop_completions(f.loop);
	passed = loop_now_ms(f.loop) - began;
	set_limit(before);
	log_set_level(LOG_LEVEL_INFO);
	close(client);
	tear_down(&f);
	assert_int_equal(f.count, 0);
	/* One for each try and one for the waiting before it, not one a turn. */
	assert_in_range(completions, 1, 3 + passed / 5);
}

/* The connection is there, its completion comes after closing has begun: its fd is closed. */
TEST(a_connection_that_comes_while_closing_is_not_leaked)
{
	struct fixture f;
	int client;
	char byte;

	set_up(&f);
	client = new_socket();
	turn_some(f.loop);
	connect_now(&f, client);
	loop_scope_close(&f.scope.scope);
	tear_down(&f);
	assert_int_equal(f.count, 0);
	assert_true(read(client, &byte, 1) <= 0);
	close(client);
}

TEST(a_client_that_has_gone_again_does_no_harm)
{
	struct fixture f;
	int client;

	set_up(&f);
	client = new_socket();
	connect_now(&f, client);
	close(client);
	client = new_socket();
	connect_now(&f, client);
	turn_until(f.loop, f.count == 2);
	close(client);
	tear_down(&f);
}

TEST(closing_accepts_nobody_else_and_keeps_who_is_there)
{
	struct fixture f;
	int first, second;
	char byte;

	set_up(&f);
	first = new_socket();
	connect_now(&f, first);
	turn_until(f.loop, f.count == 1);
	acceptor_close(&f.acceptor);
	second = new_socket();
	connect_now(&f, second);
	turn_some(f.loop);
	assert_int_equal(f.count, 1);
	assert_int_equal(write(first, "x", 1), 1);
	assert_int_equal(read(f.accepted[0], &byte, 1), 1);
	close(first);
	close(second);
	tear_down(&f);
}

TEST(closing_during_a_shortage_ends_it)
{
	struct fixture f;
	rlim_t before;
	int client;

	set_up(&f);
	log_set_level(LOG_LEVEL_ERROR);
	client = new_socket();
	before = use_up_descriptors();
	connect_now(&f, client);
	turn_until(f.loop, loop_completions(f.loop) > 0);
	acceptor_close(&f.acceptor);
	set_limit(before);
	turn_some(f.loop);
	log_set_level(LOG_LEVEL_INFO);
	assert_int_equal(f.count, 0);
	close(client);
	tear_down(&f);
}

/* With one urgent byte before it is accepted, and one after. */
static void expect_urgent_bytes_in_place(struct fixture *f, int client)
{
	static const char all[] = "abcdef";
	char got[sizeof(all)] = "";
	size_t len = 0;

	connect_now(f, client);
	assert_int_equal(send(client, "a", 1, MSG_NOSIGNAL), 1);
	if (send(client, "bc", 2, MSG_OOB | MSG_NOSIGNAL) < 0 && errno == EOPNOTSUPP) {
		turn_until(f->loop, f->count == 1); /* this kernel's Unix sockets have none */
		return;
	}
	turn_until(f->loop, f->count == 1);
	assert_int_equal(send(client, "de", 2, MSG_OOB | MSG_NOSIGNAL), 2);
	assert_int_equal(send(client, "f", 1, MSG_NOSIGNAL), 1);
	while (len < sizeof(all) - 1) { /* a read ends at an urgent byte */
		ssize_t n = recv(f->accepted[0], got + len, sizeof(all) - len, 0);

		assert_true(n > 0);
		len += (size_t)n;
	}
	assert_string_equal(got, all);
}

TEST(urgent_bytes_of_a_unix_socket_keep_their_place)
{
	struct fixture f;
	int client;

	set_up(&f);
	client = new_socket();
	expect_urgent_bytes_in_place(&f, client);
	close(client);
	tear_down(&f);
}

TEST(urgent_bytes_on_tcp_keep_their_place)
{
	struct fixture f;
	int client;

	set_up_on(
	    &f,
	    &(struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
	    sizeof(struct sockaddr_in));
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect_urgent_bytes_in_place(&f, client);
	close(client);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(connections_are_taken_one_after_the_other),
	    UNIT(who_comes_during_a_shortage_of_descriptors_is_taken_after_it),
	    UNIT(a_shortage_is_no_busy_loop_and_can_be_closed),
	    UNIT(a_connection_that_comes_while_closing_is_not_leaked),
	    UNIT(closing_accepts_nobody_else_and_keeps_who_is_there),
	    UNIT(closing_during_a_shortage_ends_it),
	    UNIT(a_client_that_has_gone_again_does_no_harm),
	    UNIT(urgent_bytes_of_a_unix_socket_keep_their_place),
	    UNIT(urgent_bytes_on_tcp_keep_their_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
