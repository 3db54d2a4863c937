/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device's state saved and loaded ("Migrating back-end state"): what a guest prints, is sent
 * and has said of its ports goes on in another guest; whatever a frontend does with the channel,
 * nobody waits for it, and what isn't a whole state changes nothing.
 */
#include "multiport_use.h"
#include "tcp_client.h"

#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define STATE_MAX (20u << 20)

struct saved {
	uint8_t bytes[STATE_MAX];
	size_t size;
};

static struct saved saved;

static void make_pipe(int ret_pipe[2])
{
	if (pipe2(ret_pipe, O_CLOEXEC) < 0 || fcntl(ret_pipe[0], F_SETFL, O_NONBLOCK) < 0)
		support_die("no pipe");
}

/* Reads what is there; false at the end. */
static bool read_some(int fd)
{
	ssize_t n = read(fd, saved.bytes + saved.size, STATE_MAX - saved.size);

	if (n > 0)
		saved.size += (size_t)n;
	return n > 0 || (n < 0 && errno == EAGAIN);
}

static void save(struct bed_guest *guest)
{
	int pipe[2];

	make_pipe(pipe);
	saved.size = 0;
	assert_true(frontend_set_device_state_fd(&guest->frontend, false, pipe[1]));
	close(pipe[1]);
	while (read_some(pipe[0]))
		bed_turn(guest->bed);
	close(pipe[0]);
	assert_int_equal(frontend_check_device_state(&guest->frontend), 0);
}

/* Loads these bytes; what CHECK_DEVICE_STATE says. */
static uint64_t load_bytes(struct bed_guest *guest, const uint8_t *bytes, size_t size)
{
	size_t done = 0;
	int pipe[2];

	make_pipe(pipe);
	if (fcntl(pipe[1], F_SETFL, O_NONBLOCK) < 0)
		support_die("a pipe that blocks");
	assert_true(frontend_set_device_state_fd(&guest->frontend, true, pipe[0]));
	close(pipe[0]);
	while (done < size) {
		ssize_t n = write(pipe[1], bytes + done, size - done);

		if (n > 0)
			done += (size_t)n;
		else if (errno != EAGAIN)
			break; /* it has read enough */
		bed_turn(guest->bed);
	}
	close(pipe[1]);
	return frontend_check_device_state(&guest->frontend);
}

static uint64_t load(struct bed_guest *guest)
{
	return load_bytes(guest, saved.bytes, saved.size);
}

static void start_rings(struct bed_guest *guest)
{
	bed_ring(guest, BED_RECEIVE, 16, 0);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
}

static void stop_rings(struct bed_guest *guest)
{
	driver_queue_stop(&guest->ring[BED_RECEIVE]);
	driver_queue_stop(&guest->ring[BED_TRANSMIT]);
}

/* A guest that has printed, and was sent something that it hasn't got; its rings are stopped. */
static struct bed_guest *prepare(const struct bed_options *options)
{
	struct bed_guest *guest = bed_new(options);

	/* As with history: what was printed stays in its ring. */
	guest->backend.overwrites = true;
	bed_negotiate(guest, 0);
	start_rings(guest);
	bed_add_print(guest, "printed", 7);
	driver_kick(&guest->ring[BED_TRANSMIT]);
	driver_await(&guest->ring[BED_TRANSMIT]);
	bed_settle(guest->bed);
	test_backend_type(&guest->backend, "typed", 5);
	bed_settle(guest->bed);
	stop_rings(guest);
	return guest;
}

static struct bed_guest *prepare_other(struct bed_guest *guest, const struct bed_options *options)
{
	struct bed_guest *other = bed_add(guest->bed, options);

	bed_negotiate(other, 0);
	return other;
}

/* Its guest gets what was typed. */
static void expect_typed(struct bed_guest *guest)
{
	uint64_t gpa;

	start_rings(guest);
	gpa = bed_add_post(guest, 20);
	driver_kick(&guest->ring[BED_RECEIVE]);
	assert_int_equal(driver_await(&guest->ring[BED_RECEIVE]).len, 5);
	assert_memory_equal(guest_memory_at(&guest->memory, gpa, 5), "typed", 5);
	bed_print(guest, "and on");
}

/* It has what was printed, too. */
static void expect_goes_on(struct bed_guest *guest)
{
	bed_settle(guest->bed);
	bed_expect_output(guest, "printed", 7);
	expect_typed(guest);
}

static void a_guest_goes_on_elsewhere(void **state)
{
	struct bed_guest *guest = prepare(NULL), *other = prepare_other(guest, NULL);

	(void)state;
	save(guest);
	assert_int_equal(load(other), 0);
	expect_goes_on(other);
}

/* If the other one fails, the first goes on as if nothing had been. */
static void a_guest_that_was_saved_goes_on_here(void **state)
{
	struct bed_guest *guest = prepare(NULL);

	(void)state;
	save(guest);
	save(guest);
	driver_queue_deinit(&guest->ring[BED_RECEIVE]);
	driver_queue_deinit(&guest->ring[BED_TRANSMIT]);
	guest->backend.overwrites = false;
	test_backend_forget(&guest->backend);
	expect_typed(guest);
}

static void what_a_driver_has_said_of_its_ports_is_known_elsewhere(void **state)
{
	/* A VMM that takes DEVICE_STATE. */
	struct multiport_driver_options driver = {.ports = USUAL_PORTS, .console.vmm = &vmm_crosvm};
	struct bed_guest *guest = new_ports_guest(usual_ports, USUAL_PORTS, &driver);
	struct bed_options options = {
	    .ports = usual_ports, .ports_count = USUAL_PORTS, .multiport = true};
	struct bed_guest *other = prepare_other(guest, &options);

	(void)state;
	assert_true(multiport_driver_bring_up(&guest->multiport));
	shake_hands(guest);
	multiport_driver_send(&guest->multiport, USUAL_CONSOLE, 6, 0); /* PORT_OPEN */
	assert_true(console_driver_play(&guest->console, VMM_STOP));
	save(guest);
	assert_false(guest_port_is_open(other->guest, 0));
	assert_int_equal(load(other), 0);
	assert_true(guest_port_is_open(other->guest, 0));
	assert_false(guest_port_is_open(other->guest, USUAL_CONSOLE));
	assert_true(guest_port_is_open(other->guest, USUAL_DATA));
}

/* It would be told the name of a port that has none. */
static void a_state_with_a_name_to_tell_that_isnt_there_is_refused(void **state)
{
	struct multiport_driver_options driver = {.ports = USUAL_PORTS, .console.vmm = &vmm_crosvm};
	struct bed_guest *guest = new_ports_guest(usual_ports, USUAL_PORTS, &driver);
	uint8_t *pending = &saved.bytes[32 + 6]; /* of port 0: docs/device-state.md */

	(void)state;
	bed_negotiate(guest, 0);
	save(guest);
	*pending ^= 1u << CONSOLE_PORT_NAME;
	assert_int_not_equal(load(guest), 0);
	*pending ^= 1u << CONSOLE_PORT_NAME;
	assert_int_equal(load(guest), 0);
}

static void a_state_of_other_ports_is_refused(void **state)
{
	static const struct bed_port_options wrong[][2] = {
	    {{.name = NULL}, {.name = "other"}},
	    {{.name = NULL}, {.name = "name", .data = true}},
	    {{.name = NULL}, {.name = NULL}},
	    {{.name = "named"}, {.name = "name"}},
	};
	static const struct bed_port_options right[] = {{.name = NULL}, {.name = "name"}};
	struct bed_options options = {.ports = right, .ports_count = 2, .multiport = true};
	struct bed_guest *guest = bed_new(&options);

	(void)state;
	bed_negotiate(guest, 0);
	save(guest);
	for (unsigned int i = 0; i < 3; i++) {
		struct bed_guest *other;

		options.ports = wrong[i];
		other = prepare_other(guest, &options);
		assert_int_not_equal(load(other), 0);
		bed_stop(other, false);
	}
	assert_int_equal(load(guest), 0);
}

/* Each byte changed: refused, and nothing has happened, or taken. */
static void a_state_that_was_changed_harms_nobody(void **state)
{
	struct bed_guest *guest = prepare(NULL), *other = prepare_other(guest, NULL);

	(void)state;
	save(guest);
	for (size_t i = 0; i < saved.size; i++) {
		saved.bytes[i] ^= (uint8_t)(1u << i % 8);
		/* What was loaded of it is in the rings: the next may find no room. */
		load(other);
		saved.bytes[i] ^= (uint8_t)(1u << i % 8);
	}
	for (size_t i = 0; i < saved.size; i++)
		assert_int_not_equal(load_bytes(other, saved.bytes, i), 0);
	test_backend_forget(&other->backend);
	start_rings(other);
	bed_print(other, "works");
}

static void what_is_no_state_changes_nothing(void **state)
{
	struct bed_guest *guest = prepare(NULL), *other = prepare_other(guest, NULL);
	uint8_t *much = calloc(1, 8u << 20);

	(void)state;
	assert_int_not_equal(load_bytes(other, (const uint8_t *)"", 0), 0);
	assert_int_not_equal(load_bytes(other, bed_pattern(1000), 1000), 0);
	/* More than any state of this guest: it isn't read to its end. */
	assert_int_not_equal(load_bytes(other, much, 8u << 20), 0);
	free(much);
	save(guest);
	assert_int_equal(load(other), 0);
	expect_goes_on(other);
}

static void send_check(struct bed_guest *guest)
{
	struct frontend_message message;

	frontend_message_init(&message, FE_CHECK_DEVICE_STATE);
	assert_int_equal(frontend_send(&guest->frontend, &message), 0);
}

static uint64_t receive_check(struct bed_guest *guest)
{
	struct frontend_reply reply;
	uint64_t value;

	assert_int_equal(frontend_receive(&guest->frontend, &reply), 0);
	assert_int_equal(reply.request, FE_CHECK_DEVICE_STATE);
	assert_int_equal(reply.size, sizeof(value));
	memcpy(&value, reply.payload, sizeof(value));
	return value;
}

/* "The back-end responds once it knows." Meanwhile it serves the others. */
static void the_answer_waits_for_the_end_of_the_transfer(void **state)
{
	struct bed_guest *guest = prepare(NULL), *other = prepare_other(guest, NULL);
	int pipe[2];

	(void)state;
	save(guest);
	make_pipe(pipe);
	assert_true(frontend_set_device_state_fd(&other->frontend, true, pipe[0]));
	close(pipe[0]);
	/* One at a time. */
	assert_false(frontend_set_device_state_fd(&other->frontend, true, pipe[1]));
	send_check(other);
	for (size_t i = 0; i < saved.size; i++) {
		assert_int_equal(write(pipe[1], saved.bytes + i, 1), 1);
		bed_turn(guest->bed);
	}
	assert_true(frontend_silent(&other->frontend, 5));
	frontend_barrier(&guest->frontend);
	close(pipe[1]);
	assert_int_equal(receive_check(other), 0);
	expect_goes_on(other);
}

/* More than a pipe holds, and nobody reads it: nobody waits for that but who asks. */
static void a_reader_may_be_slow_or_leave(void **state)
{
	struct bed_options options = {.history = 256 * 1024};
	struct bed_guest *guest = prepare(&options), *other = prepare_other(guest, NULL);

	(void)state;
	start_rings(other);
	driver_queue_deinit(&guest->ring[BED_RECEIVE]);
	driver_queue_deinit(&guest->ring[BED_TRANSMIT]);
	start_rings(guest);
	for (unsigned int i = 0; i < 16; i++) {
		bed_add_print(guest, bed_pattern(16384), 16384);
		driver_kick(&guest->ring[BED_TRANSMIT]);
		driver_await(&guest->ring[BED_TRANSMIT]);
	}
	stop_rings(guest);
	for (unsigned int leaves = 0; leaves < 2; leaves++) {
		int pipe[2];

		make_pipe(pipe);
		saved.size = 0;
		assert_true(frontend_set_device_state_fd(&guest->frontend, false, pipe[1]));
		close(pipe[1]);
		send_check(guest);
		bed_settle(guest->bed);
		assert_true(frontend_silent(&guest->frontend, 5));
		bed_print(other, "works");
		while (!leaves && read_some(pipe[0]))
			bed_turn(guest->bed);
		close(pipe[0]);
		assert_int_equal(receive_check(guest), leaves);
		assert_true(leaves || saved.size > 256 * 1024);
	}
}

/* Its history is full: `size` bytes, in buffers of 16 KiB. */
static void fill_history(struct bed_guest *guest, size_t size)
{
	driver_queue_deinit(&guest->ring[BED_RECEIVE]);
	driver_queue_deinit(&guest->ring[BED_TRANSMIT]);
	start_rings(guest);
	for (size_t done = 0; done < size; done += 16384) {
		bed_add_print(guest, bed_pattern(16384), 16384);
		driver_kick(&guest->ring[BED_TRANSMIT]);
		driver_await(&guest->ring[BED_TRANSMIT]);
	}
	stop_rings(guest);
}

/* Begins to save to a pipe, which is full by the time this returns. */
static int begin_to_save(struct bed_guest *guest)
{
	int pipe[2];

	make_pipe(pipe);
	saved.size = 0;
	assert_true(frontend_set_device_state_fd(&guest->frontend, false, pipe[1]));
	close(pipe[1]);
	bed_settle(guest->bed);
	return pipe[0];
}

/* Reads to the end. Returns what CHECK_DEVICE_STATE says. */
static uint64_t end_to_save(struct bed_guest *guest, int pipe)
{
	while (read_some(pipe))
		bed_turn(guest->bed);
	close(pipe);
	return frontend_check_device_state(&guest->frontend);
}

static void run(struct bed_guest *guest)
{
	driver_queue_deinit(&guest->ring[BED_TRANSMIT]);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
}

static void run_and_print(struct bed_guest *guest)
{
	run(guest);
	bed_add_print(guest, "printed meanwhile", 17);
	driver_kick(&guest->ring[BED_TRANSMIT]);
	driver_await(&guest->ring[BED_TRANSMIT]);
	driver_queue_stop(&guest->ring[BED_TRANSMIT]);
}

/* A long history holds nobody up: it is written where it lies, and loaded by and by. */
static void a_long_history_goes_in_pieces(void **state)
{
	const size_t size = 4u << 20;
	struct bed_options options = {.history = size};
	struct bed_guest *guest = prepare(&options), *other = prepare_other(guest, &options);
	size_t done = 0;
	uint64_t before;
	int pipe[2];

	(void)state;
	other->backend.overwrites = true;
	fill_history(guest, size);
	save(guest);
	assert_true(saved.size > size);
	make_pipe(pipe);
	assert_true(frontend_set_device_state_fd(&other->frontend, true, pipe[0]));
	close(pipe[0]);
	assert_int_equal(fcntl(pipe[1], F_SETFL, O_NONBLOCK), 0);
	while (done < saved.size) {
		ssize_t n = write(pipe[1], saved.bytes + done, saved.size - done);

		done += n > 0 ? (size_t)n : 0;
		bed_turn(guest->bed);
	}
	close(pipe[1]);
	before = guest->bed->turns;
	assert_int_equal(frontend_check_device_state(&other->frontend), 0);
	/* 256 KiB a turn at most. */
	assert_true(guest->bed->turns - before >= size / (256 * 1024));
	done = saved.size;
	save(other);
	assert_int_equal(saved.size, done);
	for (size_t at = 32 + 40; at < size; at += 16384)
		assert_memory_equal(saved.bytes + at, bed_pattern(16384), 16384);
}

/* Whatever moves while a state is on its way out, a state that says something else isn't saved. */
static void what_changes_while_it_is_saved_makes_that_fail(void **state)
{
	struct bed_options options = {.history = 256 * 1024};
	struct bed_guest *guest = prepare(&options);
	int pipe;

	(void)state;
	fill_history(guest, 256 * 1024);
	pipe = begin_to_save(guest);
	assert_int_equal(end_to_save(guest, pipe), 0);
	/* It runs, */
	pipe = begin_to_save(guest);
	run(guest);
	assert_int_not_equal(end_to_save(guest, pipe), 0);
	driver_queue_stop(&guest->ring[BED_TRANSMIT]);
	/* or has run. */
	pipe = begin_to_save(guest);
	run_and_print(guest);
	assert_int_not_equal(end_to_save(guest, pipe), 0);
	save(guest);
}

static void a_port_that_goes_while_it_is_saved_makes_that_fail(void **state)
{
	static const struct bed_port_options ports[] = {{.name = NULL}, {.name = "name"}};
	struct bed_options options = {.ports = ports, .ports_count = 2, .multiport = true};
	struct bed_guest *guest = bed_new(&options);
	int pipe[2];
	char byte;

	(void)state;
	bed_negotiate(guest, 0);
	guest->backends[1].overwrites = true;
	test_backend_type(&guest->backends[1], bed_pattern(100000), 100000);
	bed_settle(guest->bed);
	make_pipe(pipe);
	/* So full that not even the head goes in. */
	assert_int_equal(fcntl(pipe[1], F_SETFL, O_NONBLOCK), 0);
	while (write(pipe[1], "x", 1) == 1)
		continue;
	assert_true(frontend_set_device_state_fd(&guest->frontend, false, pipe[1]));
	close(pipe[1]);
	bed_settle(guest->bed);
	assert_int_equal(bed_remove_port(guest, 1), 0);
	bed_await_removed(guest, 1);
	while (read(pipe[0], &byte, 1) != 0)
		bed_turn(guest->bed);
	assert_int_not_equal(frontend_check_device_state(&guest->frontend), 0);
	close(pipe[0]);
}

/* The state of a guest with one console, made to have printed `size` bytes more. */
static void save_as_if_printed(struct bed_guest *guest, uint64_t size)
{
	/* docs/device-state.md: the size of all of it, and the length of the port's output. */
	static const size_t lengths[] = {24, 32 + 16};

	save(guest);
	for (unsigned int i = 0; i < 2; i++) {
		le64 wire;

		memcpy(&wire, saved.bytes + lengths[i], sizeof(wire));
		wire = le64_of(le64_get(wire) + size);
		memcpy(saved.bytes + lengths[i], &wire, sizeof(wire));
	}
	memset(saved.bytes + saved.size, 'x', size);
	saved.size += size;
}

/* A guest that runs before its state is there has none of it, however much was copied. */
static void what_happens_while_it_is_loaded_makes_that_fail(void **state)
{
	const size_t size = 16u << 20; /* which takes 64 turns */
	struct bed_options options = {.history = size};
	struct bed_guest *other = bed_new(&options);

	(void)state;
	bed_negotiate(other, 0);
	save_as_if_printed(other, size);
	start_rings(other);
	frontend_set_vring_enable(&other->frontend, BED_RECEIVE, 0);
	for (unsigned int turns = 0; turns < 6; turns += 2) {
		size_t done = 0;
		int pipe[2];

		frontend_set_vring_enable(&other->frontend, BED_TRANSMIT, 0);
		test_backend_forget(&other->backend);
		make_pipe(pipe);
		assert_int_equal(fcntl(pipe[1], F_SETFL, O_NONBLOCK), 0);
		assert_true(frontend_set_device_state_fd(&other->frontend, true, pipe[0]));
		close(pipe[0]);
		while (done < saved.size) {
			ssize_t n = write(pipe[1], saved.bytes + done, saved.size - done);

			done += n > 0 ? (size_t)n : 0;
			bed_turn(other->bed);
		}
		close(pipe[1]);
		for (unsigned int i = 0; i < turns; i++)
			bed_turn(other->bed);
		frontend_set_vring_enable(&other->frontend, BED_TRANSMIT, 1);
		assert_int_not_equal(frontend_check_device_state(&other->frontend), 0);
		bed_print(other, "works");
	}
	stop_rings(other);
	assert_int_equal(load(other), 0);
}

static void saves_to_a_socket_that_is_half_closed(struct bed_guest *guest, int ret_sockets[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_sockets) < 0 ||
	    setsockopt(ret_sockets[1], SOL_SOCKET, SO_SNDBUF, &(int){4096}, sizeof(int)) < 0 ||
	    fcntl(ret_sockets[0], F_SETFL, O_NONBLOCK) < 0)
		support_die("no sockets");
	shutdown(ret_sockets[0], SHUT_WR);
	saved.size = 0;
	assert_true(frontend_set_device_state_fd(&guest->frontend, false, ret_sockets[1]));
	close(ret_sockets[1]);
}

/* One that only reads, and not yet: nothing happens, again and again, that would cost time. */
static void a_slow_reader_that_writes_no_more_costs_nothing(void **state)
{
	struct bed_options options = {.history = 256 * 1024};
	struct bed_guest *guest = prepare(&options);
	uint64_t before, until;
	int sockets[2];

	(void)state;
	driver_queue_deinit(&guest->ring[BED_TRANSMIT]);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
	for (unsigned int i = 0; i < 4; i++) {
		bed_add_print(guest, bed_pattern(16384), 16384);
		driver_kick(&guest->ring[BED_TRANSMIT]);
		driver_await(&guest->ring[BED_TRANSMIT]);
	}
	driver_queue_stop(&guest->ring[BED_TRANSMIT]);
	saves_to_a_socket_that_is_half_closed(guest, sockets);
	frontend_silent(&guest->frontend, 50);
	before = loop_completions(guest->bed->loop);
	until = support_now_ms() + 200;
	while (support_now_ms() < until)
		bed_turn(guest->bed);
	assert_in_range(loop_completions(guest->bed->loop) - before, 0, 50);
	while (read_some(sockets[0]))
		bed_turn(guest->bed);
	assert_true(saved.size > 4 * 16384);
	close(sockets[0]);
	assert_int_equal(frontend_check_device_state(&guest->frontend), 0);
}

/* All that the guest is given, `size` bytes in however many buffers. */
static void expect_either(struct bed_guest *guest, const char *one, const char *other)
{
	size_t size = strlen(one), done = 0;
	char got[64];

	start_rings(guest);
	while (done < size) {
		uint64_t gpa = bed_add_post(guest, 20);
		uint32_t len;

		driver_kick(&guest->ring[BED_RECEIVE]);
		len = driver_await(&guest->ring[BED_RECEIVE]).len;
		guest_memory_read(&guest->memory, gpa, got + done, len);
		done += len;
	}
	stop_rings(guest);
	driver_queue_deinit(&guest->ring[BED_RECEIVE]);
	driver_queue_deinit(&guest->ring[BED_TRANSMIT]);
	assert_int_equal(done, size);
	assert_true(memcmp(got, one, size) == 0 || memcmp(got, other, size) == 0);
}

/* Whenever it is: the bytes of both come, each whole. */
static void a_client_types_while_a_state_is_loaded(void **state)
{
	struct bed_guest *guest = prepare(NULL);
	struct bed_guest *other = prepare_other(guest, &(struct bed_options){.network = true});
	struct tcp_client client;

	(void)state;
	save(guest);
	tcp_client_connect(&client, other, 0);
	bed_settle(guest->bed);
	for (unsigned int turns = 0; turns < 12; turns++) {
		int pipe[2];

		make_pipe(pipe);
		assert_true(frontend_set_device_state_fd(&other->frontend, true, pipe[0]));
		close(pipe[0]);
		bed_settle(guest->bed);
		assert_int_equal(write(pipe[1], saved.bytes, saved.size), saved.size);
		close(pipe[1]);
		for (unsigned int i = 0; i < turns; i++)
			bed_turn(guest->bed);
		assert_int_equal(tcp_client_send(&client, "TYPED HERE", 10), 10);
		assert_int_equal(frontend_check_device_state(&other->frontend), 0);
		bed_settle(guest->bed);
		expect_either(other, "typedTYPED HERE", "TYPED HEREtyped");
	}
	tcp_client_close(&client, false);
}

static void a_frontend_may_leave_in_a_transfer(void **state)
{
	struct bed_options options = {.listens = true};
	struct bed_guest *guest = bed_new(&options);

	(void)state;
	for (unsigned int i = 0; i < 6; i++) {
		int pipe[2];

		bed_negotiate(guest, 0);
		make_pipe(pipe);
		assert_true(frontend_set_device_state_fd(&guest->frontend, true, pipe[0]));
		if (i % 2)
			send_check(guest);
		for (unsigned int k = 0; k < i; k++)
			bed_turn(guest->bed);
		bed_hang_up(guest);
		close(pipe[0]);
		close(pipe[1]);
		bed_reconnect(guest);
	}
	bed_negotiate(guest, 0);
	save(guest);
}

static void what_cannot_carry_a_state_is_refused(void **state)
{
	struct bed_guest *guest = prepare(NULL);
	int event = eventfd(0, EFD_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_not_equal(frontend_check_device_state(&guest->frontend), 0);
	assert_false(frontend_set_device_state_fd(&guest->frontend, false, event));
	assert_false(frontend_set_device_state_fd(&guest->frontend, true, null));
	assert_int_not_equal(frontend_check_device_state(&guest->frontend), 0);
	guest->backend.overwrites = false;
	test_backend_forget(&guest->backend);
	driver_queue_start(&guest->ring[BED_TRANSMIT]);
	/* A file in memory could, but the device works. */
	assert_false(
	    frontend_set_device_state_fd(&guest->frontend, false, guest->memory.region[0].fd));
	bed_print(guest, "works");
	close(event);
	close(null);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(a_guest_goes_on_elsewhere),
	    BED_TEST(a_guest_that_was_saved_goes_on_here),
	    BED_TEST(what_a_driver_has_said_of_its_ports_is_known_elsewhere),
	    BED_TEST(a_state_with_a_name_to_tell_that_isnt_there_is_refused),
	    BED_TEST(a_state_of_other_ports_is_refused),
	    BED_TEST(a_state_that_was_changed_harms_nobody),
	    BED_TEST(what_is_no_state_changes_nothing),
	    BED_TEST(the_answer_waits_for_the_end_of_the_transfer),
	    BED_TEST(a_reader_may_be_slow_or_leave),
	    BED_TEST(a_long_history_goes_in_pieces),
	    BED_TEST(what_changes_while_it_is_saved_makes_that_fail),
	    BED_TEST(a_port_that_goes_while_it_is_saved_makes_that_fail),
	    BED_TEST(what_happens_while_it_is_loaded_makes_that_fail),
	    BED_TEST(a_slow_reader_that_writes_no_more_costs_nothing),
	    BED_TEST(a_client_types_while_a_state_is_loaded),
	    BED_TEST(a_frontend_may_leave_in_a_transfer),
	    BED_TEST(what_cannot_carry_a_state_is_refused),
	};

	return BED_RUN(tests);
}
