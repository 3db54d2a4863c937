/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "floors.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "client.h"
#include "machine.h"
#include "stream.h"
#include "waiting.h"

enum {
	TEE_MAX = 4,
};

/* The two sides of a floor. The padding is meant: what each side writes has lines of its own. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct floor {
	int here[TEE_MAX], there[TEE_MAX]; /* connected TCP sockets; or pipe ends */
	unsigned int connections;
	int pipe[2];
	int log;        /* a file, or -1 */
	int kick, call; /* eventfds: to the other side, back */
	uint32_t size;
	uint64_t count;
	atomic_bool stop, stopped;
	/* Each on a line of its own, as the indices of a ring are. */
	_Alignas(64) _Atomic uint64_t ping;
	_Alignas(64) _Atomic uint64_t pong;
};

/* ---- both sides ---- */

static void check(bool good, const char *what)
{
	if (!good)
		bench_fail("floor: %s: %s", what, strerror(errno));
}

static void connect_pair(int *ret_here, int *ret_there)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int yes = 1;

	check(!bind(listener, (struct sockaddr *)&address, size), "bind");
	check(!listen(listener, 1), "listen");
	check(!getsockname(listener, (struct sockaddr *)&address, &size), "getsockname");
	*ret_here = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(!connect(*ret_here, (struct sockaddr *)&address, size), "connect");
	*ret_there = accept(listener, NULL, NULL);
	check(*ret_there >= 0, "accept");
	setsockopt(*ret_here, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	setsockopt(*ret_there, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	close(listener);
}

static void floor_init(struct floor *floor, unsigned int connections)
{
	unsigned int i;

	memset(floor, 0, sizeof(*floor));
	floor->log = -1;
	floor->connections = connections;
	for (i = 0; i < connections; i++)
		connect_pair(&floor->here[i], &floor->there[i]);
	floor->kick = eventfd(0, EFD_CLOEXEC);
	floor->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	check(floor->kick >= 0 && floor->call >= 0, "eventfd");
	check(!pipe2(floor->pipe, O_CLOEXEC), "pipe");
}

static void floor_deinit(struct floor *floor)
{
	unsigned int i;

	for (i = 0; i < floor->connections; i++) {
		close(floor->here[i]);
		close(floor->there[i]);
	}
	close(floor->kick);
	close(floor->call);
	close(floor->pipe[0]);
	close(floor->pipe[1]);
	close(floor->log);
}

static pthread_t start_other(void *(*run)(void *floor), struct floor *floor)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, run, floor);
	check(!errno, "pthread_create");
	return thread;
}

/* All of it, blocking; false when the other side is gone. */
static bool send_all(int sock, const uint8_t *bytes, size_t size)
{
	while (size) {
		ssize_t n = send(sock, bytes, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		bytes += n;
		size -= (size_t)n;
	}
	return true;
}

/* ---- TCP streams ---- */

static void *send_pieces(void *arg)
{
	static uint8_t piece[PATTERN_PIECE];
	struct floor *floor = arg;
	struct pattern pattern = {0};

	machine_pin(0, MACHINE_BACKEND);
	while (!floor->stop) {
		pattern_fill(&pattern, piece, floor->size);
		if (!send_all(floor->there[0], piece, floor->size))
			break;
	}
	floor->count = pattern.total;
	floor->stopped = true;
	return NULL;
}

/* Receives till the window is over and everything that was sent is here. */
static double receive_stream(struct floor *floor, pthread_t other, double seconds)
{
	struct client client = {.sock = floor->here[0]};
	struct stream_window window;

	stream_window_init(&window, seconds);
	while (stream_window_look(&window, client.expected.total) != STREAM_OVER)
		client_drain(&client);
	floor->stop = true;
	while (!floor->stopped || client.expected.total < floor->count)
		client_drain(&client);
	pthread_join(other, NULL);
	return stream_window_rate(&window);
}

double floor_tcp_output(uint32_t size, double seconds)
{
	struct floor floor;
	double rate;

	floor_init(&floor, 1);
	floor.size = size;
	rate = receive_stream(&floor, start_other(send_pieces, &floor), seconds);
	floor_deinit(&floor);
	return rate;
}

static void *receive_pieces(void *arg)
{
	static uint8_t piece[PATTERN_PIECE];
	struct floor *floor = arg;
	struct pattern expected = {0};
	ssize_t n;

	machine_pin(0, MACHINE_BACKEND);
	while ((n = recv(floor->there[0], piece, floor->size, 0)) > 0) {
		if (!pattern_matches(&expected, piece, (uint32_t)n))
			bench_fail("floor: wrong bytes");
		atomic_store_explicit(&floor->ping, expected.total, memory_order_relaxed);
	}
	return NULL;
}

double floor_tcp_input(uint32_t size, double seconds)
{
	struct client client = {0};
	struct stream_window window;
	struct floor floor;
	pthread_t other;

	floor_init(&floor, 1);
	floor.size = size;
	client.sock = floor.here[0];
	other = start_other(receive_pieces, &floor);
	stream_window_init(&window, seconds);
	while (stream_window_look(&window, floor.ping) != STREAM_OVER)
		client_feed(&client);
	shutdown(floor.here[0], SHUT_WR);
	pthread_join(other, NULL);
	if (floor.ping != client.sent.total)
		bench_fail("floor: bytes are missing");
	floor_deinit(&floor);
	return stream_window_rate(&window);
}

static void *copy_to_all(void *arg)
{
	static uint8_t piece[CLIENT_PIECE];
	struct floor *floor = arg;
	unsigned int i;
	ssize_t n;

	machine_pin(0, MACHINE_BACKEND);
	while ((n = read(floor->pipe[0], piece, sizeof(piece))) > 0) {
		if (floor->log >= 0)
			check(write(floor->log, piece, (size_t)n) == n, "write to a log");
		for (i = 0; i < floor->connections; i++)
			send_all(floor->there[i], piece, (size_t)n);
	}
	return NULL;
}

static uint64_t drain_clients(struct client *client, unsigned int count)
{
	uint64_t least = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < count; i++) {
		client_drain(&client[i]);
		if (client[i].expected.total < least)
			least = client[i].expected.total;
	}
	return least;
}

static void feed_pipe(int pipe, struct pattern *pattern)
{
	ssize_t n = write(pipe, pattern_bytes + pattern->at, CLIENT_PIECE);

	check(n > 0 || errno == EAGAIN, "write");
	if (n > 0)
		pattern_advance(pattern, (uint32_t)n);
}

double floor_tee(unsigned int clients, bool log, double seconds)
{
	struct client client[TEE_MAX] = {0};
	struct stream_window window;
	struct pattern sent = {0};
	struct floor floor;
	uint64_t arrived = 0;
	pthread_t other;
	unsigned int i;

	floor_init(&floor, clients);
	for (i = 0; i < clients; i++)
		client[i].sock = floor.here[i];
	if (log) {
		floor.log =
		    open(machine_folder(), O_TMPFILE | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
		check(floor.log >= 0, machine_folder());
	}
	fcntl(floor.pipe[1], F_SETFL, O_NONBLOCK);
	other = start_other(copy_to_all, &floor);
	stream_window_init(&window, seconds);
	while (stream_window_look(&window, arrived) != STREAM_OVER) {
		feed_pipe(floor.pipe[1], &sent);
		arrived = drain_clients(client, clients);
	}
	while (arrived < sent.total)
		arrived = drain_clients(client, clients);
	close(floor.pipe[1]);
	pthread_join(other, NULL);
	floor.pipe[1] = -1;
	floor_deinit(&floor);
	return stream_window_rate(&window);
}

/* ---- memory ---- */

double floor_memcpy(uint32_t size, double seconds)
{
	static uint8_t copy[PATTERN_PIECE];
	struct pattern made = {0}, expected = {0};
	struct stream_window window;
	unsigned int i;

	stream_window_init(&window, seconds);
	while (stream_window_look(&window, expected.total) != STREAM_OVER) {
		for (i = 0; i < 64; i++) {
			pattern_fill(&made, copy, size);
			if (!pattern_matches(&expected, copy, size))
				bench_fail("floor: a copy is wrong");
		}
	}
	return stream_window_rate(&window);
}

/* ---- round trips ---- */

static void *answer_eventfds(void *arg)
{
	struct floor *floor = arg;
	eventfd_t value;
	uint64_t i;

	machine_pin(0, MACHINE_BACKEND);
	for (i = 0; i < floor->count; i++) {
		eventfd_read(floor->kick, &value);
		eventfd_write(floor->call, 1);
	}
	return NULL;
}

static void ask_eventfd(struct floor *floor)
{
	eventfd_write(floor->kick, 1);
	waiting_for_eventfd(floor->call);
}

static void *answer_tcp(void *arg)
{
	struct floor *floor = arg;
	uint64_t i;
	char byte;

	machine_pin(0, MACHINE_BACKEND);
	for (i = 0; i < floor->count; i++) {
		check(recv(floor->there[0], &byte, 1, 0) == 1, "recv");
		check(send(floor->there[0], &byte, 1, MSG_NOSIGNAL) == 1, "send");
	}
	return NULL;
}

static void ask_tcp(struct floor *floor)
{
	char byte = 'x';

	check(send(floor->here[0], &byte, 1, MSG_NOSIGNAL) == 1, "send");
	check(recv(floor->here[0], &byte, 1, 0) == 1, "recv");
}

static void *answer_keystrokes(void *arg)
{
	struct floor *floor = arg;
	eventfd_t value;
	uint64_t i;
	char byte;

	machine_pin(0, MACHINE_BACKEND);
	for (i = 0; i < floor->count; i++) {
		check(recv(floor->there[0], &byte, 1, 0) == 1, "recv");
		eventfd_write(floor->call, 1);
		eventfd_read(floor->kick, &value);
		check(send(floor->there[0], &byte, 1, MSG_NOSIGNAL) == 1, "send");
	}
	return NULL;
}

static void ask_keystroke(struct floor *floor)
{
	char byte = 'x';

	check(send(floor->here[0], &byte, 1, MSG_NOSIGNAL) == 1, "send");
	waiting_for_eventfd(floor->call);
	eventfd_write(floor->kick, 1);
	check(recv(floor->here[0], &byte, 1, 0) == 1, "recv");
}

static void *answer_memory(void *arg)
{
	struct floor *floor = arg;
	uint64_t i;

	machine_pin(0, MACHINE_BACKEND);
	for (i = 1; i <= floor->count; i++) {
		while (atomic_load_explicit(&floor->ping, memory_order_acquire) != i)
			machine_relax();
		atomic_store_explicit(&floor->pong, i, memory_order_release);
	}
	return NULL;
}

static void ask_memory(struct floor *floor)
{
	uint64_t i = atomic_load_explicit(&floor->ping, memory_order_relaxed) + 1;

	atomic_store_explicit(&floor->ping, i, memory_order_release);
	while (atomic_load_explicit(&floor->pong, memory_order_acquire) != i)
		machine_relax();
}

static void measure_trips(struct histogram *times, uint64_t count, void *(*answer)(void *floor),
                          void (*ask)(struct floor *floor))
{
	struct floor floor;
	uint64_t warm = count / 10, i, begin, end;
	pthread_t other;

	floor_init(&floor, 1);
	floor.count = count + warm;
	other = start_other(answer, &floor);
	for (i = 0; i < warm; i++)
		ask(&floor);
	begin = machine_now_ns();
	for (i = 0; i < count; i++, begin = end) {
		ask(&floor);
		end = machine_now_ns();
		histogram_add(times, end - begin);
	}
	pthread_join(other, NULL);
	floor_deinit(&floor);
}

void floor_eventfd(struct histogram *times, uint64_t count)
{
	measure_trips(times, count, answer_eventfds, ask_eventfd);
}

void floor_tcp(struct histogram *times, uint64_t count)
{
	measure_trips(times, count, answer_tcp, ask_tcp);
}

void floor_keystroke(struct histogram *times, uint64_t count)
{
	measure_trips(times, count, answer_keystrokes, ask_keystroke);
}

void floor_memory(struct histogram *times, uint64_t count)
{
	measure_trips(times, count, answer_memory, ask_memory);
}
