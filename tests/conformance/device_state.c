/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device's state saved and loaded ("Migrating back-end state"): what a guest prints, is sent
 * and has said of its ports goes on in another guest; whatever a frontend does with the channel,
 * nobody waits for it, and what isn't a whole state changes nothing.
 */
#include "multiport_use.h"
#include "state_use.h"
#include "tcp_client.h"

#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Its guest, whose rings run, gets what was typed. */
static void expect_typed_in_rings(struct bed_guest *guest)
{
	uint64_t gpa = bed_add_post(guest, 20);

	driver_kick(&guest->ring[BED_RECEIVE]);
	assert_int_equal(driver_await(&guest->ring[BED_RECEIVE]).len, 5);
	assert_memory_equal(guest_memory_at(&guest->memory, gpa, 5), "typed", 5);
	bed_print(guest, "and on");
}

static void expect_typed(struct bed_guest *guest)
{
	state_start_rings(guest);
	expect_typed_in_rings(guest);
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
	struct bed_guest *guest = state_prepare(NULL), *other = state_prepare_other(guest, NULL);

	(void)state;
	state_save(guest);
	assert_int_equal(state_load(other), 0);
	expect_goes_on(other);
}

/* If the other one fails, the first goes on as if nothing had been. */
static void a_guest_that_was_saved_goes_on_here(void **state)
{
	struct bed_guest *guest = state_prepare(NULL);

	(void)state;
	state_save(guest);
	state_save(guest);
	guest->backend.overwrites = false;
	test_backend_forget(&guest->backend);
	assert_int_equal(driver_queue_start(&guest->ring[BED_RECEIVE]), 0);
	assert_int_equal(driver_queue_start(&guest->ring[BED_TRANSMIT]), 0);
	expect_typed_in_rings(guest);
}

static void what_a_driver_has_said_of_its_ports_is_known_elsewhere(void **state)
{
	/* A VMM that takes DEVICE_STATE. */
	struct multiport_driver_options driver = {.ports = USUAL_PORTS, .console.vmm = &vmm_crosvm};
	struct bed_guest *guest = new_ports_guest(usual_ports, USUAL_PORTS, &driver);
	struct bed_options options = {
	    .ports = usual_ports, .ports_count = USUAL_PORTS, .multiport = true};
	struct bed_guest *other = state_prepare_other(guest, &options);

	(void)state;
	assert_true(multiport_driver_bring_up(&guest->multiport));
	shake_hands(guest);
	multiport_driver_send(&guest->multiport, USUAL_CONSOLE, 6, 0); /* PORT_OPEN */
	assert_true(console_driver_play(&guest->console, VMM_STOP));
	state_save(guest);
	assert_false(guest_port_is_open(other->guest, 0));
	assert_int_equal(state_load(other), 0);
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
	state_save(guest);
	*pending ^= 1u << CONSOLE_PORT_NAME;
	assert_int_not_equal(state_load(guest), 0);
	*pending ^= 1u << CONSOLE_PORT_NAME;
	assert_int_equal(state_load(guest), 0);
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
	state_save(guest);
	for (unsigned int i = 0; i < 3; i++) {
		struct bed_guest *other;

		options.ports = wrong[i];
		other = state_prepare_other(guest, &options);
		assert_int_not_equal(state_load(other), 0);
		bed_stop(other, false);
	}
	assert_int_equal(state_load(guest), 0);
}

/* Each byte changed: refused, and nothing has happened, or taken. */
static void a_state_that_was_changed_harms_nobody(void **state)
{
	struct bed_guest *guest = state_prepare(NULL), *other = state_prepare_other(guest, NULL);

	(void)state;
	state_save(guest);
	for (size_t i = 0; i < saved.size; i++) {
		saved.bytes[i] ^= (uint8_t)(1u << i % 8);
		/* What was loaded of it is in the rings: the next may find no room. */
		state_load(other);
		saved.bytes[i] ^= (uint8_t)(1u << i % 8);
	}
	for (size_t i = 0; i < saved.size; i++)
		assert_int_not_equal(state_load_bytes(other, saved.bytes, i), 0);
	test_backend_forget(&other->backend);
	state_start_rings(other);
	bed_print(other, "works");
}

static void what_is_no_state_changes_nothing(void **state)
{
	struct bed_guest *guest = state_prepare(NULL), *other = state_prepare_other(guest, NULL);
	uint8_t *much = calloc(1, 8u << 20);

	(void)state;
	assert_int_not_equal(state_load_bytes(other, (const uint8_t *)"", 0), 0);
	assert_int_not_equal(state_load_bytes(other, bed_pattern(1000), 1000), 0);
	/* More than any state of this guest: it isn't read to its end. */
	assert_int_not_equal(state_load_bytes(other, much, 8u << 20), 0);
	free(much);
	state_save(guest);
	assert_int_equal(state_load(other), 0);
	expect_goes_on(other);
}

/* "The back-end responds once it knows." Meanwhile it serves the others. */
static void the_answer_waits_for_the_end_of_the_transfer(void **state)
{
	struct bed_guest *guest = state_prepare(NULL), *other = state_prepare_other(guest, NULL);
	int pipe[2];

	(void)state;
	state_save(guest);
	state_pipe(pipe);
	assert_true(frontend_set_device_state_fd(&other->frontend, true, pipe[0]));
	close(pipe[0]);
	/* One at a time. */
	assert_false(frontend_set_device_state_fd(&other->frontend, true, pipe[1]));
	state_send_check(other);
	for (size_t i = 0; i < saved.size; i++) {
		assert_int_equal(write(pipe[1], saved.bytes + i, 1), 1);
		bed_turn(guest->bed);
	}
	assert_true(frontend_silent(&other->frontend, 5));
	frontend_barrier(&guest->frontend);
	close(pipe[1]);
	assert_int_equal(state_receive_check(other), 0);
	expect_goes_on(other);
}

/* More than a pipe holds, and nobody reads it: nobody waits for that but who asks. */
static void a_reader_may_be_slow_or_leave(void **state)
{
	struct bed_options options = {.history = 256 * 1024};
	struct bed_guest *guest = state_prepare(&options),
			 *other = state_prepare_other(guest, NULL);

	(void)state;
	state_start_rings(other);
	driver_queue_deinit(&guest->ring[BED_RECEIVE]);
	driver_queue_deinit(&guest->ring[BED_TRANSMIT]);
	state_start_rings(guest);
	for (unsigned int i = 0; i < 16; i++) {
		bed_add_print(guest, bed_pattern(16384), 16384);
		driver_kick(&guest->ring[BED_TRANSMIT]);
		driver_await(&guest->ring[BED_TRANSMIT]);
	}
	state_stop_rings(guest);
	for (unsigned int leaves = 0; leaves < 2; leaves++) {
		int pipe[2];

		state_pipe(pipe);
		saved.size = 0;
		assert_true(frontend_set_device_state_fd(&guest->frontend, false, pipe[1]));
		close(pipe[1]);
		state_send_check(guest);
		bed_settle(guest->bed);
		assert_true(frontend_silent(&guest->frontend, 5));
		bed_print(other, "works");
		while (!leaves && state_read_some(pipe[0]))
			bed_turn(guest->bed);
		close(pipe[0]);
		assert_int_equal(state_receive_check(guest), leaves);
		assert_true(leaves || saved.size > 256 * 1024);
	}
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
	struct bed_guest *guest = state_prepare(&options);
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
	while (state_read_some(sockets[0]))
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

	state_start_rings(guest);
	while (done < size) {
		uint64_t gpa = bed_add_post(guest, 20);
		uint32_t len;

		driver_kick(&guest->ring[BED_RECEIVE]);
		len = driver_await(&guest->ring[BED_RECEIVE]).len;
		guest_memory_read(&guest->memory, gpa, got + done, len);
		done += len;
	}
	state_stop_rings(guest);
	driver_queue_deinit(&guest->ring[BED_RECEIVE]);
	driver_queue_deinit(&guest->ring[BED_TRANSMIT]);
	assert_int_equal(done, size);
	assert_true(memcmp(got, one, size) == 0 || memcmp(got, other, size) == 0);
}

/* Whenever it is: the bytes of both come, each whole. */
static void a_client_types_while_a_state_is_loaded(void **state)
{
	struct bed_guest *guest = state_prepare(NULL);
	struct bed_guest *other =
	    state_prepare_other(guest, &(struct bed_options){.network = true});
	struct tcp_client client;

	(void)state;
	state_save(guest);
	tcp_client_connect(&client, other, 0);
	bed_settle(guest->bed);
	for (unsigned int turns = 0; turns < 12; turns++) {
		int pipe[2];

		state_pipe(pipe);
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
		state_pipe(pipe);
		assert_true(frontend_set_device_state_fd(&guest->frontend, true, pipe[0]));
		if (i % 2)
			state_send_check(guest);
		for (unsigned int k = 0; k < i; k++)
			bed_turn(guest->bed);
		bed_hang_up(guest);
		close(pipe[0]);
		close(pipe[1]);
		bed_reconnect(guest);
	}
	bed_negotiate(guest, 0);
	state_save(guest);
}

static void what_cannot_carry_a_state_is_refused(void **state)
{
	struct bed_guest *guest = state_prepare(NULL);
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
	    BED_TEST(a_slow_reader_that_writes_no_more_costs_nothing),
	    BED_TEST(a_client_types_while_a_state_is_loaded),
	    BED_TEST(a_frontend_may_leave_in_a_transfer),
	    BED_TEST(what_cannot_carry_a_state_is_refused),
	};

	return BED_RUN(tests);
}
