/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A frontend that makes its memory's file shorter under the backend (R18; design, 6): what then
 * can't be read any more costs that guest its connection. The process and its other guests go on.
 *
 * Each case runs in a process of its own: what is looked for is that process's death.
 */
#include "testbed.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_closed(struct bed_guest *guest)
{
	return frontend_peer_closed(&guest->frontend);
}

static void check_both_ways(struct bed_guest *guest)
{
	bed_print(guest, "printed");
	bed_type(guest, "typed");
}

static struct bed_guest *prepare(void)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});

	bed_negotiate(guest, 0);
	bed_ring(guest, BED_RECEIVE, 16, 0);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
	check_both_ways(guest);
	return guest;
}

static struct bed_guest *prepare_other(struct bed_guest *guest)
{
	struct bed_guest *other = bed_add(guest->bed, NULL);

	bed_negotiate(other, 0);
	bed_ring(other, BED_RECEIVE, 16, 0);
	bed_ring(other, BED_TRANSMIT, 16, 0);
	check_both_ways(other);
	return other;
}

/* The victim is closed and can begin anew, the other one works. */
static void expect_only_this_one_closed(struct bed_guest *guest, struct bed_guest *other)
{
	bed_await(guest, is_closed, "the guest's connection to be closed");
	check_both_ways(other);
	guest_memory_deinit(&guest->memory);
	guest_memory_init(&guest->memory);
	bed_reconnect(guest);
	bed_negotiate(guest, 0);
	guest->ring[BED_RECEIVE] = (struct driver_queue){0};
	guest->ring[BED_TRANSMIT] = (struct driver_queue){0};
	bed_ring(guest, BED_RECEIVE, 16, 0);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
	/* What was read in the place of what is gone is that guest's own. */
	test_backend_forget(&guest->backend);
	check_both_ways(guest);
	check_both_ways(other);
}

static void shorten(struct bed_guest *guest, unsigned int region)
{
	if (ftruncate(guest->memory.region[region].fd, 0) < 0)
		support_die("a memfd can't be made shorter");
}

/* A buffer to be read. */
static void read_a_buffer_that_is_gone(struct bed_guest *guest)
{
	struct driver_buffer buffer = {guest_memory_alloc(&guest->memory, 1, 100, 1), 100, false};

	driver_add(&guest->ring[BED_TRANSMIT], &buffer, 1, 0);
	shorten(guest, 1);
	driver_kick(&guest->ring[BED_TRANSMIT]);
}

/* A buffer to be written. */
static void write_a_buffer_that_is_gone(struct bed_guest *guest)
{
	struct driver_buffer buffer = {guest_memory_alloc(&guest->memory, 1, 100, 1), 100, true};

	driver_add(&guest->ring[BED_RECEIVE], &buffer, 1, 0);
	driver_kick(&guest->ring[BED_RECEIVE]);
	bed_settle(guest->bed);
	shorten(guest, 1);
	test_backend_type(&guest->backend, "typed", 5);
}

/* The rings themselves. */
static void work_rings_that_are_gone(struct bed_guest *guest)
{
	bed_add_print(guest, "x", 1);
	driver_publish(&guest->ring[BED_TRANSMIT]);
	shorten(guest, 0);
	driver_kick_always(&guest->ring[BED_TRANSMIT]);
}

/* A ring that isn't started yet; that it is gone shows when it is to be worked. */
static void start_a_ring_that_is_gone(struct bed_guest *guest)
{
	driver_queue_stop(&guest->ring[BED_TRANSMIT]);
	shorten(guest, 0);
	guest->frontend.need_reply = FE_NEED_REPLY_NEVER;
	frontend_set_vring_kick(&guest->frontend, BED_TRANSMIT, guest->ring[BED_TRANSMIT].kick);
	frontend_set_vring_enable(&guest->frontend, BED_TRANSMIT, 1);
}

/* Without cmocka's ways of surviving a signal. */
static void stand_alone(void)
{
	static const int signals[] = {SIGBUS, SIGSEGV, SIGABRT, SIGFPE, SIGILL};

	for (unsigned int i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
	support_on_die = NULL; /* abort() */
	setenv("CMOCKA_TEST_ABORT", "1", 1);
}

static void in_a_process_of_its_own(void (*spoil)(struct bed_guest *guest))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct bed_guest *guest, *other;

		stand_alone();
		guest = prepare();
		other = prepare_other(guest);
		spoil(guest);
		expect_only_this_one_closed(guest, other);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status))
		fail_msg("the process died of signal %d", WTERMSIG(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_buffer_to_read_is_gone(void **state)
{
	(void)state;
	in_a_process_of_its_own(read_a_buffer_that_is_gone);
}

static void a_buffer_to_write_is_gone(void **state)
{
	(void)state;
	in_a_process_of_its_own(write_a_buffer_that_is_gone);
}

static void a_ring_at_work_is_gone(void **state)
{
	(void)state;
	in_a_process_of_its_own(work_rings_that_are_gone);
}

static void a_ring_to_start_is_gone(void **state)
{
	(void)state;
	in_a_process_of_its_own(start_a_ring_that_is_gone);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(a_buffer_to_read_is_gone),
	    BED_TEST(a_buffer_to_write_is_gone),
	    BED_TEST(a_ring_at_work_is_gone),
	    BED_TEST(a_ring_to_start_is_gone),
	};

	return BED_RUN(tests);
}
