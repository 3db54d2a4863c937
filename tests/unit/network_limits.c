/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the edges of the network backend: how many clients there may be, where it listens, what is
 * set on each connection so that dead clients are noticed, and a shortage of descriptors.
 */
#include "unit.h"

#include "base/log.h"
#include "network_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct backend_fixture f;

static void set_up(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	network_fixture_init(&f, 4096, 1024);
}

static void tear_down(void)
{
	backend_fixture_deinit(&f);
	log_set_level(LOG_LEVEL_INFO);
}

static void connect_all(int *clients, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		clients[i] = network_connect(0);
		turn_until(f.loop, network_daemon_end(clients[i]) >= 0);
	}
}

static void close_all(const int *clients, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		close(clients[i]);
}

static void assert_turned_away(int client)
{
	network_expect_text(&f, client, "\r\n[vhost-user-console: too many clients]\r\n");
	turn_until(f.loop, network_is_closed(client));
	close(client);
}

/* In order, by an end of the connection that isn't a reset. */
static void assert_ends(int client)
{
	int error = -1;
	char byte;
	ssize_t n = -1;

	turn_until(f.loop, (n = recv(client, &byte, 1, MSG_DONTWAIT)) >= 0 || errno != EAGAIN);
	assert_int_equal(n, 0);
	getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
	assert_int_equal(error, 0);
}

TEST(who_is_too_many_is_told_so_and_the_others_stay)
{
	int clients[SERVER_CLIENTS_MAX], more;

	set_up();
	connect_all(clients, SERVER_CLIENTS_MAX);
	assert_turned_away(network_connect(0));
	/* Also if it has sent something before it was looked at. */
	more = network_connect(0);
	assert_int_equal(send(more, "root\r", 5, MSG_NOSIGNAL), 5);
	network_expect_text(&f, more, "\r\n[vhost-user-console: too many clients]\r\n");
	assert_ends(more);
	close(more);
	network_guest_writes(&f, 0, 100);
	for (unsigned int i = 0; i < SERVER_CLIENTS_MAX; i++)
		network_expect(&f, clients[i], 0, 100);
	/* One goes, another may come. */
	close(clients[0]);
	turn_some(f.loop);
	more = network_connect(0);
	network_expect(&f, more, 0, 100);
	close(more);
	close_all(clients + 1, SERVER_CLIENTS_MAX - 1);
	tear_down();
}

/* One that sends no more may long be gone. */
TEST(the_place_of_a_half_closed_client_is_taken_over)
{
	int clients[SERVER_CLIENTS_MAX], more;

	set_up();
	connect_all(clients, SERVER_CLIENTS_MAX);
	shutdown(clients[5], SHUT_WR);
	turn_some(f.loop);
	more = network_connect(0);
	network_guest_writes(&f, 0, 100);
	network_expect(&f, more, 0, 100);
	network_expect_text(&f, clients[5], "\r\n[vhost-user-console: your place was needed]\r\n");
	turn_until(f.loop, network_is_closed(clients[5]));
	close(more);
	close_all(clients, SERVER_CLIENTS_MAX);
	tear_down();
}

static int option_of(int fd, int level, int option)
{
	int value = -1;

	getsockopt(fd, level, option, &value, &(socklen_t){sizeof(value)});
	return value;
}

TEST(idle_clients_are_asked_and_paused_ones_have_no_deadline)
{
	int client, end, interval;

	set_up();
	connect_all(&client, 1);
	turn_some(f.loop);
	end = network_daemon_end(client);
	assert_true(option_of(end, SOL_SOCKET, SO_KEEPALIVE) > 0);
	assert_int_equal(option_of(end, IPPROTO_TCP, TCP_KEEPIDLE), 30);
	assert_int_equal(option_of(end, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	assert_int_equal(option_of(end, IPPROTO_TCP, TCP_KEEPCNT), 3);
	/* It would end a client that is only paused. */
	assert_int_equal(option_of(end, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	/* Since Linux 6.15 (44 is TCP_RTO_MAX_MS): a silent one is given up sooner. */
	interval = option_of(end, IPPROTO_TCP, 44);
	assert_true(interval == -1 || interval == 5000);
	assert_int_equal(fcntl(end, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(client);
	tear_down();
}

/* The congestion control that is the system's default may pace, which here only costs. */
TEST(clients_on_this_machine_are_not_paced)
{
	char name[16] = "";
	socklen_t len = sizeof(name);
	int client;

	set_up();
	connect_all(&client, 1);
	turn_some(f.loop);
	assert_int_equal(
	    getsockopt(network_daemon_end(client), IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
	assert_string_equal(name, "reno");
	close(client);
	tear_down();
}

TEST(it_listens_at_its_address_only)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	set_up();
	addr.sin_port = htons(network_port());
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	assert_int_equal(connect(fd, (void *)&addr, sizeof(addr)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
	tear_down();
}

static int silent_new(const char *address, uint16_t tcp_port)
{
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0), r;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct backend *backend;

	dup2(null, STDERR_FILENO);
	r = network_new(&backend, f.loop, &f.output.port, address, tcp_port,
	                &(struct client_protocol){0}, ACCESS_SHARED);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
	return r;
}

TEST(where_it_cannot_listen_is_an_error_and_leaves_nothing)
{
	static const char *const wrong[] = {"", "localhost", "127.0.0", "300.0.0.1", "192.0.2.1"};
	unsigned int files;

	set_up();
	files = network_open_files();
	assert_errno(silent_new("127.0.0.1", network_port()), EADDRINUSE);
	for (size_t i = 0; i < ROWS(wrong); i++) {
		/* "127.0.0" is a number to getaddrinfo(), of an address in loopback's net. */
		if (strcmp(wrong[i], "127.0.0") != 0 && wrong[i][0])
			assert_true(silent_new(wrong[i], network_port()) < 0);
	}
	assert_int_equal(network_open_files(), files);
	tear_down();
}

TEST(a_port_that_was_just_used_can_be_used_again)
{
	uint16_t tcp_port;
	int client;

	set_up();
	tcp_port = network_port();
	connect_all(&client, 1);
	/* The daemon closes first: its end of the connection lingers in TIME_WAIT. */
	f.backend->ops->stop(f.backend);
	turn_until(f.loop, !f.backend);
	close(client);
	f.stops = 0;
	assert_int_equal(network_new(&f.backend, f.loop, &f.output.port, "127.0.0.1", tcp_port,
	                             &(struct client_protocol){0}, ACCESS_SHARED),
	                 0);
	tear_down();
}

/*
 * The most that may be open: those that are now. Returns what the limit was. An accept that waits
 * already has that one: whom it is for gets in.
 */
static struct rlimit use_up_descriptors(void)
{
	struct rlimit before, none;
	int next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	close(next);
	getrlimit(RLIMIT_NOFILE, &before);
	none = (struct rlimit){(rlim_t)next, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	return before;
}

TEST(who_comes_during_a_shortage_of_descriptors_is_served_after_it)
{
	struct rlimit before;
	int clients[2];

	set_up();
	turn_some(f.loop);
	clients[0] = network_connect(0);
	clients[1] = network_connect(0);
	before = use_up_descriptors();
	network_guest_writes(&f, 0, 100);
	network_expect(&f, clients[0], 0, 100);
	turn_some(f.loop);
	assert_int_equal(f.output.port.attended, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	network_expect(&f, clients[1], 0, 100);
	close_all(clients, 2);
	tear_down();
}

/* One that has closed at a silent guest can't be told from a half-closed one. */
TEST(a_client_that_has_gone_gives_its_descriptor_to_one_that_comes)
{
	struct rlimit before;
	int gone, stays, comes;

	set_up();
	connect_all(&gone, 1);
	turn_some(f.loop);
	stays = network_connect(0);
	comes = network_connect(0);
	before = use_up_descriptors();
	/* Its own place stays taken, by another file. */
	assert_int_equal(dup2(STDERR_FILENO, gone), gone);
	turn_until(f.loop, f.output.port.attended == 2);
	turn_until(f.loop, f.output.port.attended == 1);
	turn_until(f.loop, f.output.port.attended == 2);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	network_guest_writes(&f, 0, 100);
	network_expect(&f, comes, 0, 100);
	network_expect(&f, stays, 0, 100);
	close(comes);
	close(gone);
	close(stays);
	tear_down();
}

/* So many clients besides the first of each port. */
static void leave_spare(unsigned int count)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	loop_reserve_fds(f.loop, limit.rlim_cur - count);
}

static void assert_too_expensive(int client)
{
	network_expect_text(&f, client,
	                    "\r\n[vhost-user-console: too few open files for more clients]\r\n");
	assert_ends(client);
	close(client);
}

TEST(clients_stop_short_of_what_is_reserved)
{
	int clients[3];

	set_up();
	leave_spare(2);
	connect_all(clients, 3);
	assert_too_expensive(network_connect(0));
	/* One that goes gives its descriptor back. */
	close(clients[1]);
	turn_until(f.loop, f.output.port.attended == 3);
	network_guest_writes(&f, 0, 100); /* it has closed plainly: that is seen by writing */
	turn_until(f.loop, f.output.port.attended == 2);
	connect_all(&clients[1], 1);
	turn_until(f.loop, f.output.port.attended == 3);
	assert_too_expensive(network_connect(0));
	close_all(clients, 3);
	tear_down();
}

TEST(the_first_client_of_a_port_has_a_reserved_descriptor)
{
	int client;

	set_up();
	leave_spare(0);
	for (unsigned int i = 0; i < 3; i++) {
		connect_all(&client, 1);
		turn_until(f.loop, f.output.port.attended == 1);
		assert_too_expensive(network_connect(0));
		/* It has closed, which looks like an end of its input: the next takes its place. */
		close(client);
		turn_some(f.loop);
	}
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(who_is_too_many_is_told_so_and_the_others_stay),
	    UNIT(the_place_of_a_half_closed_client_is_taken_over),
	    UNIT(idle_clients_are_asked_and_paused_ones_have_no_deadline),
	    UNIT(clients_on_this_machine_are_not_paced),
	    UNIT(it_listens_at_its_address_only),
	    UNIT(where_it_cannot_listen_is_an_error_and_leaves_nothing),
	    UNIT(a_port_that_was_just_used_can_be_used_again),
	    UNIT(who_comes_during_a_shortage_of_descriptors_is_served_after_it),
	    UNIT(a_client_that_has_gone_gives_its_descriptor_to_one_that_comes),
	    UNIT(clients_stop_short_of_what_is_reserved),
	    UNIT(the_first_client_of_a_port_has_a_reserved_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
