/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A device's state that is loaded where something was typed: what the guest brings along comes
 * first, whatever anybody types; and it is there once, wherever it was saved.
 */
#include "state_use.h"
#include "tcp_client.h"

#include "guest.h"

#include <string.h>

/* Typed where the guest isn't yet: it comes after what the guest brings along. */
static void what_is_typed_where_it_goes_waits_behind(void **state)
{
	struct bed_guest *guest = state_prepare(NULL), *other = state_prepare_other(guest, NULL);
	uint64_t gpa;

	(void)state;
	state_save(guest);
	test_backend_type(&other->backend, "HERE", 4);
	bed_settle(guest->bed);
	assert_int_equal(state_load(other), 0);
	state_start_rings(other);
	gpa = bed_add_post(other, 20);
	driver_kick(&other->ring[BED_RECEIVE]);
	assert_int_equal(driver_await(&other->ring[BED_RECEIVE]).len, 9);
	assert_memory_equal(guest_memory_at(&other->memory, gpa, 9), "typedHERE", 9);
}

/* Where there is no room for both it is the guest's that stays, and who typed is told. */
static void what_is_typed_where_it_goes_never_keeps_it_out(void **state)
{
	static const char told[] = "\r\n[vhost-user-console: 4 bytes typed before were not read by "
				   "the guest and are dropped]\r\n";
	static uint8_t much[GUEST_PORT_INPUT_BYTES];
	struct bed_guest *guest = bed_new(NULL);
	struct bed_guest *other =
	    state_prepare_other(guest, &(struct bed_options){.network = true});
	struct tcp_client client;

	(void)state;
	bed_negotiate(guest, 0);
	test_backend_type(&guest->backend, much, sizeof(much));
	bed_settle(guest->bed);
	state_save(guest);
	tcp_client_connect(&client, other, 0);
	tcp_client_send_all(&client, "here", 4);
	bed_settle(guest->bed);
	assert_int_equal(state_load(other), 0);
	tcp_client_expect(&client, told, sizeof(told) - 1);
	tcp_client_close(&client, true);
}

/* Taken along: who comes back to where it was saved, from there, has it once. */
static void what_was_saved_is_not_typed_twice(void **state)
{
	struct bed_options options = {.listens = true};
	struct bed_guest *guest = state_prepare(&options);
	uint64_t gpa;

	(void)state;
	state_save(guest);
	bed_hang_up(guest);
	bed_reconnect(guest);
	guest_memory_rewind(&guest->memory);
	bed_negotiate(guest, 0);
	assert_int_equal(state_load(guest), 0);
	state_start_rings(guest);
	gpa = bed_add_post(guest, 20);
	driver_kick(&guest->ring[BED_RECEIVE]);
	assert_int_equal(driver_await(&guest->ring[BED_RECEIVE]).len, 5);
	assert_memory_equal(guest_memory_at(&guest->memory, gpa, 5), "typed", 5);
}

/* A machine set back to a snapshot: what was typed since wasn't for that one. */
static void a_state_that_is_loaded_again_has_only_its_own(void **state)
{
	struct bed_guest *guest = state_prepare(NULL);
	uint64_t gpa;

	(void)state;
	state_save(guest);
	test_backend_type(&guest->backend, " more", 5);
	driver_queue_start(&guest->ring[BED_RECEIVE]);
	driver_queue_start(&guest->ring[BED_TRANSMIT]);
	bed_settle(guest->bed);
	state_stop_rings(guest);
	assert_int_equal(state_load(guest), 0);
	driver_queue_start(&guest->ring[BED_RECEIVE]);
	driver_queue_start(&guest->ring[BED_TRANSMIT]);
	gpa = bed_add_post(guest, 20);
	driver_kick(&guest->ring[BED_RECEIVE]);
	assert_int_equal(driver_await(&guest->ring[BED_RECEIVE]).len, 5);
	assert_memory_equal(guest_memory_at(&guest->memory, gpa, 5), "typed", 5);
}

/* Its name went with it: a state that has it is refused without a look at that. */
static void a_state_with_a_removed_port_is_refused(void **state)
{
	static const struct bed_port_options ports[] = {{.name = NULL}, {.name = "removed"}};
	struct bed_options options = {.ports = ports, .ports_count = 2, .multiport = true};
	struct bed_guest *guest = bed_new(&options), *other = state_prepare_other(guest, &options);

	(void)state;
	bed_negotiate(guest, 0);
	state_save(guest);
	assert_int_equal(bed_remove_port(other, 1), 0);
	bed_await_removed(other, 1);
	assert_null(other->guest->console.ports[1].handshake.name);
	assert_int_not_equal(state_load(other), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(what_is_typed_where_it_goes_waits_behind),
	    BED_TEST(what_is_typed_where_it_goes_never_keeps_it_out),
	    BED_TEST(what_was_saved_is_not_typed_twice),
	    BED_TEST(a_state_that_is_loaded_again_has_only_its_own),
	    BED_TEST(a_state_with_a_removed_port_is_refused),
	};

	return BED_RUN(tests);
}
