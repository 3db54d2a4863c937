/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A vring's life (vhost-user, "Ring states"): started by a kick descriptor, enabled and disabled,
 * stopped by GET_VRING_BASE, its descriptors replaced; what is available is neither lost nor done
 * twice on the way.
 */
#include "testbed.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct bed_guest *prepare(uint64_t features, uint32_t max_queue_size)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.max_queue_size = max_queue_size});

	bed_negotiate(guest, features);
	return guest;
}

static struct bed_guest *prepare_rings_with(uint64_t features, uint64_t history)
{
	struct bed_guest *guest =
	    bed_new(&(struct bed_options){.max_queue_size = 1024, .history = history});

	bed_negotiate(guest, features);
	bed_ring(guest, BED_RECEIVE, 16, 0xfff8);
	bed_ring(guest, BED_TRANSMIT, 16, 0xfff8);
	return guest;
}

static struct bed_guest *prepare_rings(uint64_t features)
{
	return prepare_rings_with(features, 0);
}

static struct driver_queue *transmitq(struct bed_guest *guest)
{
	return &guest->ring[BED_TRANSMIT];
}

/* VHOST_USER_SET_VRING_NUM: beyond the limit is refused, and nothing else happens. */
static void a_ring_larger_than_the_limit_is_refused(void **state)
{
	static const uint32_t sizes[] = {2048, 4096, 32768, 65536};
	struct bed_guest *guest = prepare_rings(0);

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_not_equal(frontend_set_vring_num(&guest->frontend, 1, sizes[i]), 0);
		assert_int_not_equal(frontend_set_vring_num(&guest->frontend, 3, sizes[i]), 0);
		/* Even the ring it was said of works on. */
		bed_print(guest, "works");
		bed_type(guest, "works too");
	}
	driver_queue_stop(transmitq(guest));
	bed_ring(guest, BED_TRANSMIT, 1024, 0);
	bed_print(guest, "the largest");
}

/* A ring that was never told its size, because that was too large, doesn't start. */
static void a_ring_without_size_or_addresses_is_not_started(void **state)
{
	struct bed_guest *guest = prepare(0, 1024);
	struct driver_queue *ring = bed_ring_unstarted(guest, BED_TRANSMIT, 2048, 0);
	struct frontend_vring_addr addr = driver_queue_addr(ring);
	struct frontend *frontend = &guest->frontend;

	(void)state;
	assert_int_not_equal(frontend_set_vring_kick(frontend, 1, ring->kick), 0);
	assert_int_not_equal(frontend_set_vring_num(frontend, 1, 2048), 0);
	assert_int_equal(frontend_set_vring_addr(frontend, &addr), 0);
	assert_int_not_equal(frontend_set_vring_kick(frontend, 1, ring->kick), 0);
	assert_int_equal(frontend_set_vring_num(frontend, 2, 16), 0);
	assert_int_not_equal(frontend_set_vring_kick(frontend, 2, ring->kick), 0);
	assert_int_equal(frontend_set_vring_enable(frontend, 1, 1), 0);
	assert_int_equal(frontend_set_vring_enable(frontend, 2, 1), 0);
	bed_ring(guest, BED_TRANSMIT, 64, 0);
	bed_print(guest, "now it does");
}

/* "Ring states": with protocol features a ring starts disabled. */
static void a_ring_starts_disabled(void **state)
{
	struct bed_guest *guest = prepare(0, 1024);
	struct driver_queue *ring = bed_ring_unstarted(guest, BED_TRANSMIT, 16, 0);
	struct frontend_vring_addr addr = driver_queue_addr(ring);
	struct frontend *frontend = &guest->frontend;

	(void)state;
	bed_add_print(guest, "waits", 5);
	driver_publish(ring);
	assert_int_equal(frontend_set_vring_num(frontend, 1, 16), 0);
	assert_int_equal(frontend_set_vring_addr(frontend, &addr), 0);
	assert_int_equal(frontend_set_vring_base(frontend, 1, 0), 0);
	assert_int_equal(frontend_set_vring_kick(frontend, 1, ring->kick), 0);
	driver_kick_always(ring);
	bed_settle(guest->bed);
	assert_int_equal(driver_used_count(ring), 0);
	assert_int_equal(frontend_set_vring_enable(frontend, 1, 1), 0);
	driver_await(ring);
	bed_expect_output(guest, "waits", 5);
}

/* "Ring states": without the feature bit of the protocol features a started ring is enabled. */
static void without_protocol_features_a_ring_starts_enabled(void **state)
{
	struct bed_guest *guest = bed_new(NULL);
	struct frontend *frontend = &guest->frontend;
	struct frontend_vring_addr addr;
	struct driver_queue *ring;

	(void)state;
	frontend_set_owner(frontend);
	frontend_set_features(frontend, 1ull << DRIVER_F_VERSION_1);
	frontend_set_mem_table(frontend, guest->memory.region, guest->memory.count);
	ring = bed_ring_unstarted(guest, BED_TRANSMIT, 16, 0);
	addr = driver_queue_addr(ring);
	frontend_set_vring_num(frontend, 1, 16);
	frontend_set_vring_addr(frontend, &addr);
	frontend_set_vring_base(frontend, 1, 0);
	frontend_set_vring_call(frontend, 1, ring->call);
	frontend_set_vring_kick(frontend, 1, ring->kick);
	bed_print(guest, "at once");
}

/* "Ring states": started means worked, kick or no kick: an earlier one may have been eaten. */
static void a_start_looks_at_the_ring_without_a_kick(void **state)
{
	struct bed_guest *guest = prepare_rings(0);

	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		driver_queue_stop(transmitq(guest));
		bed_add_print(guest, "before", 6);
		driver_publish(transmitq(guest));
		bed_settle(guest->bed);
		assert_int_equal(driver_used_count(transmitq(guest)), 0);
		assert_int_equal(driver_queue_start(transmitq(guest)), 0);
		driver_await(transmitq(guest));
		bed_expect_output(guest, "before", 6);
	}
}

/*
 * "Ring states", started and disabled: the specification has it process without side effects;
 * frontends use it to pause, so what is there is held and goes on at ENABLE (notes, 2.5).
 */
static void a_disabled_ring_holds_its_data(void **state)
{
	struct bed_guest *guest = prepare_rings(0);
	struct frontend *frontend = &guest->frontend;
	uint64_t at;

	(void)state;
	for (unsigned int round = 0; round < 3; round++) {
		assert_int_equal(frontend_set_vring_enable(frontend, BED_TRANSMIT, 0), 0);
		assert_int_equal(frontend_set_vring_enable(frontend, BED_RECEIVE, 0), 0);
		bed_add_print(guest, "paused", 6);
		at = bed_add_post(guest, 20);
		driver_publish(transmitq(guest));
		driver_publish(&guest->ring[BED_RECEIVE]);
		driver_kick_always(transmitq(guest));
		driver_kick_always(&guest->ring[BED_RECEIVE]);
		test_backend_type(&guest->backend, "typed", 5);
		bed_settle(guest->bed);
		assert_int_equal(driver_used_count(transmitq(guest)), 0);
		assert_int_equal(driver_used_count(&guest->ring[BED_RECEIVE]), 0);
		bed_expect_output(guest, NULL, 0);
		assert_int_equal(frontend_set_vring_enable(frontend, BED_TRANSMIT, 1), 0);
		assert_int_equal(frontend_set_vring_enable(frontend, BED_RECEIVE, 1), 0);
		driver_await(transmitq(guest));
		bed_expect_output(guest, "paused", 6);
		assert_int_equal(driver_await(&guest->ring[BED_RECEIVE]).len, 5);
		assert_memory_equal(guest_memory_at(&guest->memory, at, 5), "typed", 5);
	}
}

/* One ring disabled, the other works. */
static void rings_are_enabled_each_for_itself(void **state)
{
	struct bed_guest *guest = prepare_rings(0);

	(void)state;
	frontend_set_vring_enable(&guest->frontend, BED_RECEIVE, 0);
	bed_print(guest, "output");
	frontend_set_vring_enable(&guest->frontend, BED_RECEIVE, 1);
	frontend_set_vring_enable(&guest->frontend, BED_TRANSMIT, 0);
	bed_type(guest, "input");
}

/* VHOST_USER_GET_VRING_BASE: the index of the next available entry; the ring is stopped. */
static void get_vring_base_gives_the_next_index(void **state)
{
	struct bed_guest *guest = prepare_rings(0);
	uint16_t expected = 0xfff8;

	(void)state;
	for (unsigned int i = 0; i < 12; i++) {
		bed_print(guest, "x");
		expected++;
		assert_int_equal(driver_queue_stop(transmitq(guest)), expected);
		/* Again: it is the same of a stopped ring. */
		assert_int_equal(frontend_get_vring_base(&guest->frontend, BED_TRANSMIT), expected);
		assert_int_equal(driver_queue_start(transmitq(guest)), 0);
	}
	/* Receive buffers that wait aren't counted. */
	bed_add_post(guest, 10);
	driver_kick(&guest->ring[BED_RECEIVE]);
	bed_settle(guest->bed);
	assert_int_equal(driver_queue_stop(&guest->ring[BED_RECEIVE]), 0xfff8);
}

/* A stopped ring isn't touched: a guest may have other things there by now. */
static void a_stopped_ring_is_not_touched(void **state)
{
	struct bed_guest *guest = prepare_rings(0);

	(void)state;
	driver_queue_stop(transmitq(guest));
	driver_queue_stop(&guest->ring[BED_RECEIVE]);
	bed_add_print(guest, "no", 2);
	bed_add_post(guest, 10);
	driver_publish(transmitq(guest));
	driver_publish(&guest->ring[BED_RECEIVE]);
	driver_kick_always(transmitq(guest));
	driver_kick_always(&guest->ring[BED_RECEIVE]);
	test_backend_type(&guest->backend, "typed", 5);
	frontend_set_vring_enable(&guest->frontend, BED_TRANSMIT, 1);
	frontend_set_vring_enable(&guest->frontend, BED_RECEIVE, 1);
	bed_settle(guest->bed);
	assert_int_equal(driver_used_count(transmitq(guest)), 0);
	assert_int_equal(driver_used_count(&guest->ring[BED_RECEIVE]), 0);
	bed_expect_output(guest, NULL, 0);
}

/*
 * VHOST_USER_GET_VRING_BASE: what was taken in part is finished before the answer; what wasn't
 * begun stays in the ring.
 */
static void get_vring_base_finishes_a_chain_taken_in_part(void **state)
{
	static const uint32_t allowed[] = {0, 8, 9, 10, 11, 20, 39};

	(void)state;
	for (unsigned int i = 0; i < 7; i++) {
		/* A history smaller than the chain, which is taken in pieces then. */
		struct bed_guest *guest = prepare_rings_with(0, 32);
		const uint8_t *pattern = bed_pattern(40);
		struct driver_buffer buffers[4];
		uint16_t base;

		for (unsigned int k = 0; k < 4; k++)
			buffers[k] = (struct driver_buffer){bed_bytes(guest, pattern + 10 * k, 10),
			                                    10, false};
		test_backend_allow(&guest->backend, allowed[i]);
		assert_true(driver_add(transmitq(guest), buffers, 4, 0));
		bed_add_print(guest, "next", 4);
		driver_kick(transmitq(guest));
		bed_settle(guest->bed);
		assert_int_equal(driver_used_count(transmitq(guest)), 0);
		assert_int_equal(guest->backend.output_size, allowed[i]);
		base = driver_queue_stop(transmitq(guest));
		/* Taken and used, or not taken: nothing in between, nothing twice. */
		assert_int_equal((uint16_t)(base - 0xfff8), driver_used_count(transmitq(guest)));
		assert_int_equal(driver_used_count(transmitq(guest)), allowed[i] > 0);
		test_backend_allow(&guest->backend, 1000);
		if (driver_used_count(transmitq(guest)) == 1)
			assert_int_equal(driver_await(transmitq(guest)).len, 0);
		assert_int_equal(driver_queue_start(transmitq(guest)), 0);
		while (driver_outstanding(transmitq(guest)))
			driver_await(transmitq(guest));
		bed_settle(guest->bed);
		assert_int_equal(guest->backend.output_size, 44);
		assert_memory_equal(guest->backend.output, pattern, 40);
		assert_memory_equal(guest->backend.output + 40, "next", 4);
		bed_free(guest->bed);
	}
}

/* A kick descriptor replaced while its ring works: the new one counts, the old one is closed. */
static void a_kick_descriptor_may_be_replaced(void **state)
{
	struct bed_guest *guest = prepare_rings(0);
	struct bed_mark mark;

	(void)state;
	bed_print(guest, "old");
	bed_mark(&mark);
	for (unsigned int i = 0; i < 20; i++) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		close(transmitq(guest)->kick);
		transmitq(guest)->kick = fd;
		assert_int_equal(frontend_set_vring_kick(&guest->frontend, 1, fd), 0);
		if (i % 2)
			bed_print(guest, "new");
	}
	bed_print(guest, "newest");
	bed_same(&mark);
}

/* A call descriptor replaced: calls go to the new one, and only there. */
static void a_call_descriptor_may_be_replaced(void **state)
{
	struct bed_guest *guest = prepare_rings(0);
	int old = transmitq(guest)->call;
	uint64_t count;

	(void)state;
	bed_print(guest, "old");
	driver_await_call(transmitq(guest));
	bed_settle(guest->bed);
	transmitq(guest)->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(frontend_set_vring_call(&guest->frontend, 1, transmitq(guest)->call), 0);
	driver_take_calls(transmitq(guest));
	bed_print(guest, "new");
	driver_await_call(transmitq(guest));
	assert_int_equal(read(old, &count, sizeof(count)), -1);
	close(old);
	/* None: bit 8 of the payload. The ring works all the same. */
	assert_int_equal(frontend_set_vring_call(&guest->frontend, 1, -1), 0);
	bed_print(guest, "none");
	bed_settle(guest->bed);
	assert_int_equal(driver_take_calls(transmitq(guest)), 0);
}

/* A call that is on its way when its descriptor is replaced goes to the one or to the other. */
static void no_call_is_lost_when_its_descriptor_is_replaced(void **state)
{
	struct bed_guest *guest = prepare_rings(0);
	struct frontend_message message;

	(void)state;
	for (unsigned int i = 0; i < 36; i++) {
		int old = transmitq(guest)->call;
		uint64_t count = 0;

		transmitq(guest)->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		frontend_message_init(&message, FE_SET_VRING_CALL);
		frontend_message_u64(&message, 1);
		frontend_message_fd(&message, transmitq(guest)->call);
		for (unsigned int k = 0; k < i % 6; k++)
			bed_turn(guest->bed);
		assert_int_equal(frontend_send(&guest->frontend, &message), 0);
		for (unsigned int k = 0; k < i / 6; k++)
			bed_turn(guest->bed);
		bed_add_print(guest, "x", 1);
		driver_kick(transmitq(guest));
		driver_await(transmitq(guest));
		bed_settle(guest->bed);
		if (read(old, &count, sizeof(count)) < 0)
			count = 0;
		assert_true(count + driver_take_calls(transmitq(guest)) > 0);
		close(old);
	}
}

/* VHOST_USER_SET_VRING_CALL after the work: the call that found no descriptor is made up for. */
static void a_call_without_descriptor_comes_with_the_descriptor(void **state)
{
	struct bed_guest *guest = prepare(0, 1024);
	struct driver_queue *ring = bed_ring_unstarted(guest, BED_TRANSMIT, 16, 0);
	struct frontend_vring_addr addr = driver_queue_addr(ring);
	struct frontend *frontend = &guest->frontend;

	(void)state;
	bed_add_print(guest, "early", 5);
	driver_publish(ring);
	assert_int_equal(frontend_set_vring_num(frontend, 1, 16), 0);
	assert_int_equal(frontend_set_vring_base(frontend, 1, 0), 0);
	assert_int_equal(frontend_set_vring_addr(frontend, &addr), 0);
	assert_int_equal(frontend_set_vring_enable(frontend, 1, 1), 0);
	assert_int_equal(frontend_set_vring_kick(frontend, 1, ring->kick), 0);
	driver_await(ring);
	bed_settle(guest->bed);
	assert_int_equal(frontend_set_vring_call(frontend, 1, ring->call), 0);
	driver_await_call(ring);
}

/*
 * Cloud Hypervisor, reconnecting without IN_ORDER, names the available ring's index as the base:
 * the receive buffers that were waiting aren't lost for that.
 */
static void no_buffer_is_lost_to_a_base_that_is_too_far_on(void **state)
{
	struct bed_guest *guest = prepare_rings(0);
	struct driver_queue *ring = &guest->ring[BED_RECEIVE];
	struct frontend *frontend = &guest->frontend;
	struct frontend_vring_addr addr = driver_queue_addr(ring);
	uint64_t at[5];

	(void)state;
	bed_type(guest, "before");
	for (unsigned int i = 0; i < 5; i++)
		at[i] = bed_add_post(guest, 8);
	driver_kick(ring);
	bed_settle(guest->bed);
	driver_queue_stop(ring);
	assert_int_equal(
	    frontend_set_vring_base(frontend, BED_RECEIVE, driver_load16(driver_avail_idx(ring))),
	    0);
	assert_int_equal(frontend_set_vring_addr(frontend, &addr), 0);
	assert_int_equal(frontend_set_vring_kick(frontend, BED_RECEIVE, ring->kick), 0);
	assert_int_equal(frontend_set_vring_enable(frontend, BED_RECEIVE, 1), 0);
	for (unsigned int i = 0; i < 5; i++) {
		test_backend_type(&guest->backend, "typed", 5);
		assert_int_equal(driver_await(ring).len, 5);
		assert_memory_equal(guest_memory_at(&guest->memory, at[i], 5), "typed", 5);
	}
}

/*
 * libkrun's reset only disables the rings. What was taken in part is given back then; what comes
 * later mustn't touch memory that the guest uses for something else by now.
 */
static void a_ring_that_was_disabled_is_written_no_more(void **state)
{
	struct bed_guest *guest = prepare_rings_with(0, 32);
	struct driver_queue *ring = transmitq(guest);
	struct frontend *frontend = &guest->frontend;
	uint64_t gpa = bed_bytes(guest, bed_pattern(40), 40);
	uint8_t *used = guest_memory_at(
	    &guest->memory, guest_memory_to_gpa(&guest->memory, driver_queue_addr(ring).used), 132);
	uint8_t other[132];

	(void)state;
	test_backend_allow(&guest->backend, 8);
	assert_true(driver_add(ring, &(struct driver_buffer){gpa, 40, false}, 1, 0));
	driver_kick(ring);
	bed_settle(guest->bed);
	assert_int_equal(driver_used_count(ring), 0);
	assert_int_equal(frontend_set_vring_enable(frontend, BED_TRANSMIT, 0), 0);
	assert_int_equal(driver_used_count(ring), 1);
	memset(used, 0x5a, sizeof(other));
	memset(other, 0x5a, sizeof(other));
	test_backend_allow(&guest->backend, 1000);
	bed_settle(guest->bed);
	assert_int_equal(frontend_set_owner(frontend), 0);
	assert_int_equal(
	    frontend_set_mem_table(frontend, guest->memory.region, guest->memory.count), 0);
	assert_int_equal(frontend_set_vring_num(frontend, BED_TRANSMIT, 16), 0);
	assert_int_equal(frontend_set_vring_base(frontend, BED_TRANSMIT, 0), 0);
	assert_memory_equal(used, other, sizeof(other));
	/* Bytes of the chain came, whole or cut, as where a ring stops. */
	assert_true(guest->backend.output_size > 8);
}

/* VHOST_USER_RESET_OWNER: deprecated; taken as disabling all rings. */
static void reset_owner_stops_all_rings(void **state)
{
	struct bed_guest *guest = prepare_rings(0);

	(void)state;
	bed_print(guest, "before");
	assert_int_equal(frontend_reset_owner(&guest->frontend), 0);
	bed_add_print(guest, "not yet", 7);
	driver_publish(transmitq(guest));
	driver_kick_always(transmitq(guest));
	bed_settle(guest->bed);
	assert_int_equal(driver_used_count(transmitq(guest)), 0);
	assert_int_equal(driver_queue_start(transmitq(guest)), 0);
	driver_await(transmitq(guest));
	bed_expect_output(guest, "not yet", 7);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(a_ring_larger_than_the_limit_is_refused),
	    BED_TEST(a_ring_without_size_or_addresses_is_not_started),
	    BED_TEST(a_ring_starts_disabled),
	    BED_TEST(without_protocol_features_a_ring_starts_enabled),
	    BED_TEST(a_start_looks_at_the_ring_without_a_kick),
	    BED_TEST(a_disabled_ring_holds_its_data),
	    BED_TEST(rings_are_enabled_each_for_itself),
	    BED_TEST(get_vring_base_gives_the_next_index),
	    BED_TEST(a_stopped_ring_is_not_touched),
	    BED_TEST(get_vring_base_finishes_a_chain_taken_in_part),
	    BED_TEST(a_kick_descriptor_may_be_replaced),
	    BED_TEST(a_call_descriptor_may_be_replaced),
	    BED_TEST(no_call_is_lost_when_its_descriptor_is_replaced),
	    BED_TEST(a_call_without_descriptor_comes_with_the_descriptor),
	    BED_TEST(no_buffer_is_lost_to_a_base_that_is_too_far_on),
	    BED_TEST(a_ring_that_was_disabled_is_written_no_more),
	    BED_TEST(reset_owner_stops_all_rings),
	};

	return BED_RUN(tests);
}
