/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Notifications both ways (virtio 1.3, 2.7.7 and 2.7.10): calls only when they are wanted and at
 * most one a batch, kicks only while they are of use; with the flags and with EVENT_IDX.
 */
#include "testbed.h"

#include "base/fd.h"

#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const uint16_t sizes[] = {1, 2, 4, 256, 1024, 32768};
/* Around the wraps of the 16-bit indices and of their sign. */
static const uint16_t bases[] = {0, 0x7ffe, 0xfffe, 0xffff};

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define BASES (sizeof(bases) / sizeof(bases[0]))

#define EVENT_IDX (1ull << DRIVER_F_EVENT_IDX)

static struct bed_guest *prepare(uint64_t features, uint16_t size, uint16_t base)
{
	struct bed_guest *guest = bed_new(NULL);

	bed_negotiate(guest, features);
	bed_ring(guest, BED_RECEIVE, size, base);
	bed_ring(guest, BED_TRANSMIT, size, base);
	return guest;
}

static struct driver_queue *transmitq(struct bed_guest *guest)
{
	return &guest->ring[BED_TRANSMIT];
}

/* Makes `count` buffers available at once, and waits until they are used. */
static void transmit_batch(struct bed_guest *guest, unsigned int count)
{
	struct driver_buffer buffer = {guest_memory_first_bytes(&guest->memory, 0), 1, false};
	struct driver_queue *ring = transmitq(guest);

	for (unsigned int i = 0; i < count; i++)
		assert_true(driver_add(ring, &buffer, 1, i));
	driver_kick(ring);
	driver_await_used(ring, (uint16_t)count);
	for (unsigned int i = 0; i < count; i++)
		driver_await(ring);
	bed_settle(guest->bed);
}

/* The calls of a batch, which is awaited. */
static uint64_t calls_of_batch(struct bed_guest *guest, unsigned int count)
{
	driver_take_calls(transmitq(guest));
	transmit_batch(guest, count);
	return driver_take_calls(transmitq(guest));
}

/* 2.7.7.2: with EVENT_IDX a call when the entry at used_event is used, and for no other. */
static void a_call_comes_at_used_event(void **state)
{
	(void)state;
	for (size_t s = 0; s < SIZES; s++) {
		for (size_t b = 0; b < BASES; b++) {
			struct bed_guest *guest = prepare(EVENT_IDX, sizes[s], bases[b]);
			struct driver_queue *ring = transmitq(guest);

			/* The device doesn't know yet what was looked at: it may call. */
			transmit_batch(guest, 1);
			driver_set_used_event(ring, (uint16_t)(ring->used_idx + 2));
			assert_int_equal(calls_of_batch(guest, 1), 0);
			assert_int_equal(calls_of_batch(guest, 1), 0);
			assert_int_equal(calls_of_batch(guest, 1), 1);
			assert_int_equal(calls_of_batch(guest, 1), 0);
			bed_free(guest->bed);
		}
	}
}

/* 2.7.7.2: a batch that passes used_event calls once, wherever in it that is. */
static void a_batch_calls_once(void **state)
{
	(void)state;
	for (size_t s = 1; s < SIZES; s++) {
		for (size_t b = 0; b < BASES; b++) {
			struct bed_guest *guest = prepare(EVENT_IDX, sizes[s], bases[b]);
			struct driver_queue *ring = transmitq(guest);
			unsigned int batch = sizes[s] < 256 ? sizes[s] : 256;

			transmit_batch(guest, 1);
			driver_set_used_event(ring, ring->used_idx);
			assert_int_equal(calls_of_batch(guest, batch), 1);
			driver_set_used_event(ring, (uint16_t)(ring->used_idx + batch - 1));
			assert_int_equal(calls_of_batch(guest, batch), 1);
			driver_set_used_event(ring, (uint16_t)(ring->used_idx + batch));
			assert_int_equal(calls_of_batch(guest, batch), 0);
			assert_int_equal(calls_of_batch(guest, batch), 1);
			driver_ask_calls(ring, false);
			assert_int_equal(calls_of_batch(guest, batch), 0);
			bed_free(guest->bed);
		}
	}
}

/* 2.7.7.1, 2.7.7.2: without EVENT_IDX the flag NO_INTERRUPT alone decides. */
static void no_interrupt_means_no_call(void **state)
{
	struct bed_guest *guest = prepare(0, 16, 0xfff8);
	struct driver_queue *ring = transmitq(guest);

	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		driver_ask_calls(ring, true);
		assert_int_equal(calls_of_batch(guest, 1), 1);
		assert_int_equal(calls_of_batch(guest, 16), 1);
		driver_ask_calls(ring, false);
		assert_int_equal(calls_of_batch(guest, 1), 0);
		assert_int_equal(calls_of_batch(guest, 16), 0);
	}
}

/* 2.7.7.1: with EVENT_IDX the flag means nothing. */
static void event_idx_ignores_no_interrupt(void **state)
{
	struct bed_guest *guest = prepare(EVENT_IDX, 16, 0);
	struct driver_queue *ring = transmitq(guest);

	(void)state;
	transmit_batch(guest, 1);
	driver_store16(driver_avail_flags(ring), 1);
	driver_set_used_event(ring, ring->used_idx);
	assert_int_equal(calls_of_batch(guest, 4), 1);
}

/* Without EVENT_IDX what lies behind the available ring means nothing. */
static void without_event_idx_used_event_is_ignored(void **state)
{
	struct bed_guest *guest = prepare(0, 16, 0);

	(void)state;
	transmit_batch(guest, 1);
	driver_set_used_event(transmitq(guest), 0x8000);
	assert_int_equal(calls_of_batch(guest, 4), 1);
}

/* Input calls as output does: once for all buffers that one burst fills. */
static void a_burst_of_input_calls_once(void **state)
{
	static const uint64_t features[] = {0, EVENT_IDX};

	(void)state;
	for (unsigned int f = 0; f < 2; f++) {
		struct bed_guest *guest = prepare(features[f], 16, 0xfffc);
		struct driver_queue *ring = &guest->ring[BED_RECEIVE];

		bed_type(guest, "first");
		for (unsigned int i = 0; i < 8; i++)
			bed_add_post(guest, 10);
		driver_kick(ring);
		bed_settle(guest->bed);
		driver_take_calls(ring);
		driver_ask_calls(ring, true);
		test_backend_type(&guest->backend, bed_pattern(80), 80);
		driver_await_used(ring, 8);
		bed_settle(guest->bed);
		assert_int_equal(driver_take_calls(ring), 1);
		bed_free(guest->bed);
	}
}

/* 2.7.10.1: a queue that is worked off asks for a kick at the next buffer, with each size. */
static void the_next_buffer_is_kicked_for(void **state)
{
	static const uint64_t features[] = {0, EVENT_IDX};

	(void)state;
	for (size_t s = 0; s < SIZES; s++) {
		for (size_t b = 0; b < BASES; b++) {
			struct bed_guest *guest =
			    prepare(features[(s + b) % 2], sizes[s], bases[b]);
			struct driver_buffer buffer = {guest_memory_first_bytes(&guest->memory, 0),
			                               1, false};

			bed_settle(guest->bed);
			for (unsigned int i = 0; i < 5; i++) {
				assert_true(driver_add(transmitq(guest), &buffer, 1, 0));
				assert_true(driver_kick(transmitq(guest)));
				driver_await(transmitq(guest));
				bed_settle(guest->bed);
			}
			bed_free(guest->bed);
		}
	}
}

/* 2.7.10.1, 2.7.10.2: while output is held kicks are of no use, and aren't asked for. */
static void no_kicks_while_output_is_held(void **state)
{
	static const uint64_t features[] = {0, EVENT_IDX};

	(void)state;
	for (unsigned int f = 0; f < 2; f++) {
		for (size_t b = 0; b < BASES; b++) {
			struct bed_guest *guest = prepare(features[f], 16, bases[b]);
			struct driver_queue *ring = transmitq(guest);

			test_backend_allow(&guest->backend, 0);
			bed_settle(guest->bed);
			bed_add_print(guest, "held", 4);
			assert_true(driver_kick(ring));
			bed_settle(guest->bed);
			for (unsigned int i = 0; i < 8; i++) {
				bed_add_print(guest, "+", 1);
				assert_false(driver_kick(ring));
			}
			bed_settle(guest->bed);
			assert_int_equal(driver_used_count(ring), 0);
			/* Room comes: all of it goes, without a kick. */
			test_backend_allow(&guest->backend, 1000);
			driver_await_used(ring, 9);
			bed_expect_output(guest, "held++++++++", 12);
			bed_settle(guest->bed);
			bed_add_print(guest, "!", 1);
			assert_true(driver_kick(ring));
			driver_await_used(ring, 10);
			bed_free(guest->bed);
		}
	}
}

/* Receive buffers are of interest only while input waits for them. */
static void receive_buffers_are_kicked_for_while_input_waits(void **state)
{
	static const uint64_t features[] = {0, EVENT_IDX};

	(void)state;
	for (unsigned int f = 0; f < 2; f++) {
		struct bed_guest *guest = prepare(features[f], 16, 0xfffe);
		struct driver_queue *ring = &guest->ring[BED_RECEIVE];

		bed_settle(guest->bed);
		for (unsigned int round = 0; round < 5; round++) {
			test_backend_type(&guest->backend, "more than fits", 14);
			bed_settle(guest->bed);
			bed_add_post(guest, 14);
			assert_true(driver_kick(ring));
			assert_int_equal(driver_await(ring).len, 14);
			bed_settle(guest->bed);
			/* Nothing waits any more. */
			bed_add_post(guest, 14);
			assert_false(driver_kick(ring));
			test_backend_type(&guest->backend, "one", 3);
			assert_int_equal(driver_await(ring).len, 3);
			bed_settle(guest->bed);
		}
		bed_free(guest->bed);
	}
}

/*
 * 2.7.10.1: a driver that publishes between the device's last look and its asking for kicks gives
 * no kick; the device has to look again. So here the driver has a thread of its own. Of each two
 * buffers the second comes about when the device is done with the first, and then the driver waits
 * for both: one that is overlooked stays for ever.
 */
struct racing {
	struct driver_queue *ring;
	uint64_t gpa;
	unsigned int used; /* atomic */
	bool over;         /* atomic */
};

#define RACED 60000

static void add_after(struct racing *racing, unsigned int delay)
{
	struct driver_buffer buffer = {racing->gpa, 1, false};

	for (unsigned int i = 0; i < delay; i++)
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (driver_add(racing->ring, &buffer, 1, 0))
		driver_kick(racing->ring);
}

static void *race(void *arg)
{
	struct racing *racing = arg;
	struct driver_used used;
	unsigned int added = 0, back = 0;

	while (back < RACED && !__atomic_load_n(&racing->over, __ATOMIC_RELAXED)) {
		if (added == back) {
			add_after(racing, 0);
			/* From at once to about the time of a turn. */
			add_after(racing, added * 7 % 6000);
			added += 2;
		}
		if (driver_harvest(racing->ring, &used))
			__atomic_store_n(&racing->used, ++back, __ATOMIC_RELEASE);
		else
			sched_yield(); /* there may be one processor for both */
	}
	return NULL;
}

/* Turns until all is used, or until nothing has been for as long as anything is waited for. */
static bool run_race(struct bed_guest *guest, struct racing *racing)
{
	unsigned int used = 0, now = 0;
	uint64_t since = support_now_ms();
	pthread_t thread;

	if (pthread_create(&thread, NULL, race, racing) != 0)
		support_die("no thread");
	while (now < RACED && support_now_ms() - since < support_deadline_ms()) {
		bed_turn(guest->bed);
		now = __atomic_load_n(&racing->used, __ATOMIC_ACQUIRE);
		if (now != used)
			since = support_now_ms();
		else
			sched_yield();
		used = now;
	}
	__atomic_store_n(&racing->over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return now == RACED;
}

static void no_buffer_is_overlooked(void **state)
{
	static const uint64_t features[] = {0, EVENT_IDX};

	(void)state;
	for (unsigned int f = 0; f < 2; f++) {
		struct bed_guest *guest = prepare(features[f], 8, 0xff00);
		struct racing racing = {.ring = transmitq(guest), .gpa = bed_bytes(guest, "x", 1)};

		assert_true(run_race(guest, &racing));
		assert_int_equal(guest->backend.output_size, RACED);
		bed_free(guest->bed);
	}
}

/* A kick nobody asked for, for nothing: does nothing. */
static void a_kick_for_nothing_does_nothing(void **state)
{
	struct bed_guest *guest = prepare(0, 16, 0);

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		driver_kick_always(&guest->ring[BED_RECEIVE]);
		driver_kick_always(transmitq(guest));
		bed_turn(guest->bed);
	}
	bed_settle(guest->bed);
	assert_int_equal(driver_take_calls(transmitq(guest)), 0);
	assert_int_equal(driver_take_calls(&guest->ring[BED_RECEIVE]), 0);
	assert_int_equal(driver_used_count(transmitq(guest)), 0);
	bed_print(guest, "something");
}

/* It could hold 2^64 kicks: each of them would be read, and the loop never sleep. */
static void a_semaphore_is_no_kick(void **state)
{
	struct bed_guest *guest = bed_new(NULL);
	int semaphore = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	const uint64_t many = UINT64_MAX - 1;
	uint64_t before, until;

	(void)state;
	bed_negotiate(guest, 0);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
	/* Linux before 6.5 doesn't tell: then it is a kick like any other. */
	if (fd_counts_down(semaphore) == 0) {
		close(semaphore);
		return;
	}
	assert_int_equal(write(semaphore, &many, sizeof(many)), sizeof(many));
	frontend_set_vring_kick(&guest->frontend, BED_TRANSMIT, semaphore);
	before = loop_completions(guest->bed->loop);
	until = support_now_ms() + 100;
	while (support_now_ms() < until)
		bed_turn(guest->bed);
	assert_in_range(loop_completions(guest->bed->loop) - before, 0, 50);
	bed_print(guest, "works");
	close(semaphore);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(a_call_comes_at_used_event),
	    BED_TEST(a_batch_calls_once),
	    BED_TEST(no_interrupt_means_no_call),
	    BED_TEST(event_idx_ignores_no_interrupt),
	    BED_TEST(without_event_idx_used_event_is_ignored),
	    BED_TEST(a_burst_of_input_calls_once),
	    BED_TEST(the_next_buffer_is_kicked_for),
	    BED_TEST(no_kicks_while_output_is_held),
	    BED_TEST(receive_buffers_are_kicked_for_while_input_waits),
	    BED_TEST(no_buffer_is_overlooked),
	    BED_TEST(a_kick_for_nothing_does_nothing),
	    BED_TEST(a_semaphore_is_no_kick),
	};

	return BED_RUN(tests);
}
