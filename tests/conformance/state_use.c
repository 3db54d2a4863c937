/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "state_use.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct state_saved saved;

void state_pipe(int ret_pipe[2])
{
	if (pipe2(ret_pipe, O_CLOEXEC) < 0 || fcntl(ret_pipe[0], F_SETFL, O_NONBLOCK) < 0)
		support_die("no pipe");
}

/* Reads what is there; false at the end. */
bool state_read_some(int fd)
{
	ssize_t n = read(fd, saved.bytes + saved.size, STATE_MAX - saved.size);

	if (n > 0)
		saved.size += (size_t)n;
	return n > 0 || (n < 0 && errno == EAGAIN);
}

void state_save(struct bed_guest *guest)
{
	int pipe[2];

	state_pipe(pipe);
	saved.size = 0;
	assert_true(frontend_set_device_state_fd(&guest->frontend, false, pipe[1]));
	close(pipe[1]);
	while (state_read_some(pipe[0]))
		bed_turn(guest->bed);
	close(pipe[0]);
	assert_int_equal(frontend_check_device_state(&guest->frontend), 0);
}

/* Loads these bytes; what CHECK_DEVICE_STATE says. */
uint64_t state_load_bytes(struct bed_guest *guest, const uint8_t *bytes, size_t size)
{
	size_t done = 0;
	int pipe[2];

	state_pipe(pipe);
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

uint64_t state_load(struct bed_guest *guest)
{
	return state_load_bytes(guest, saved.bytes, saved.size);
}

void state_start_rings(struct bed_guest *guest)
{
	bed_ring(guest, BED_RECEIVE, 16, 0);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
}

void state_stop_rings(struct bed_guest *guest)
{
	driver_queue_stop(&guest->ring[BED_RECEIVE]);
	driver_queue_stop(&guest->ring[BED_TRANSMIT]);
}

/* A guest that has printed, and was sent something that it hasn't got; its rings are stopped. */
struct bed_guest *state_prepare(const struct bed_options *options)
{
	struct bed_guest *guest = bed_new(options);

	/* As with history: what was printed stays in its ring. */
	guest->backend.overwrites = true;
	bed_negotiate(guest, 0);
	state_start_rings(guest);
	bed_add_print(guest, "printed", 7);
	driver_kick(&guest->ring[BED_TRANSMIT]);
	driver_await(&guest->ring[BED_TRANSMIT]);
	bed_settle(guest->bed);
	test_backend_type(&guest->backend, "typed", 5);
	bed_settle(guest->bed);
	state_stop_rings(guest);
	return guest;
}

struct bed_guest *state_prepare_other(struct bed_guest *guest, const struct bed_options *options)
{
	struct bed_guest *other = bed_add(guest->bed, options);

	bed_negotiate(other, 0);
	return other;
}

void state_send_check(struct bed_guest *guest)
{
	struct frontend_message message;

	frontend_message_init(&message, FE_CHECK_DEVICE_STATE);
	assert_int_equal(frontend_send(&guest->frontend, &message), 0);
}

uint64_t state_receive_check(struct bed_guest *guest)
{
	struct frontend_reply reply;
	uint64_t value;

	assert_int_equal(frontend_receive(&guest->frontend, &reply), 0);
	assert_int_equal(reply.request, FE_CHECK_DEVICE_STATE);
	assert_int_equal(reply.size, sizeof(value));
	memcpy(&value, reply.payload, sizeof(value));
	return value;
}
