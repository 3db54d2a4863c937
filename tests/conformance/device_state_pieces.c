/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device's state goes in pieces: however long a history is, it holds nobody up, and whatever
 * moves between two pieces makes saving or loading fail as a whole.
 */
#include "state_use.h"

#include "base/endian.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Its history is full: `size` bytes, in buffers of 16 KiB. */
static void fill_history(struct bed_guest *guest, size_t size)
{
	driver_queue_deinit(&guest->ring[BED_RECEIVE]);
	driver_queue_deinit(&guest->ring[BED_TRANSMIT]);
	state_start_rings(guest);
	for (size_t done = 0; done < size; done += 16384) {
		bed_add_print(guest, bed_pattern(16384), 16384);
		driver_kick(&guest->ring[BED_TRANSMIT]);
		driver_await(&guest->ring[BED_TRANSMIT]);
	}
	state_stop_rings(guest);
}

/* Begins to save to a pipe, which is full by the time this returns. */
static int begin_to_save(struct bed_guest *guest)
{
	int pipe[2];

	state_pipe(pipe);
	saved.size = 0;
	assert_true(frontend_set_device_state_fd(&guest->frontend, false, pipe[1]));
	close(pipe[1]);
	bed_settle(guest->bed);
	return pipe[0];
}

/* Reads to the end. Returns what CHECK_DEVICE_STATE says. */
static uint64_t end_to_save(struct bed_guest *guest, int pipe)
{
	while (state_read_some(pipe))
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
	struct bed_guest *guest = state_prepare(&options),
			 *other = state_prepare_other(guest, &options);
	size_t done = 0;
	uint64_t before;
	int pipe[2];

	(void)state;
	other->backend.overwrites = true;
	fill_history(guest, size);
	state_save(guest);
	assert_true(saved.size > size);
	state_pipe(pipe);
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
	state_save(other);
	assert_int_equal(saved.size, done);
	for (size_t at = 32 + 40; at < size; at += 16384)
		assert_memory_equal(saved.bytes + at, bed_pattern(16384), 16384);
}

/* Whatever moves while a state is on its way out, a state that says something else isn't saved. */
static void what_changes_while_it_is_saved_makes_that_fail(void **state)
{
	struct bed_options options = {.history = 256 * 1024};
	struct bed_guest *guest = state_prepare(&options);
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
	state_save(guest);
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
	state_pipe(pipe);
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

	state_save(guest);
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
	state_start_rings(other);
	frontend_set_vring_enable(&other->frontend, BED_RECEIVE, 0);
	for (unsigned int turns = 0; turns < 6; turns += 2) {
		size_t done = 0;
		int pipe[2];

		frontend_set_vring_enable(&other->frontend, BED_TRANSMIT, 0);
		test_backend_forget(&other->backend);
		state_pipe(pipe);
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
	state_stop_rings(other);
	assert_int_equal(state_load(other), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(a_long_history_goes_in_pieces),
	    BED_TEST(what_changes_while_it_is_saved_makes_that_fail),
	    BED_TEST(a_port_that_goes_while_it_is_saved_makes_that_fail),
	    BED_TEST(what_happens_while_it_is_loaded_makes_that_fail),
	};

	return BED_RUN(tests);
}
