/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What was typed for a guest that then went, and that it never read, isn't typed to the next one;
 * what a guest that only paused hasn't read, and what was typed while no guest was there, is.
 */
#include "multiport_use.h"
#include "tcp_client.h"

#include "guest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECRET "secret\r"
#define FRESH  "fresh\r"

static struct bed_guest *prepare(const struct bed_options *options)
{
	struct bed_guest *guest = bed_new(options);

	bed_negotiate(guest, 0);
	bed_ring(guest, BED_RECEIVE, 16, 0);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
	return guest;
}

static struct bed_guest *prepare_listening(void)
{
	return prepare(&(struct bed_options){.listens = true});
}

static void type(struct bed_guest *guest, const char *text)
{
	test_backend_type(&guest->backend, text, strlen(text));
	bed_settle(guest->bed);
}

static void stop(struct bed_guest *guest)
{
	driver_queue_stop(&guest->ring[BED_RECEIVE]);
	driver_queue_stop(&guest->ring[BED_TRANSMIT]);
}

/* The driver forgets all and sets its rings up from the beginning, receiveq or transmitq first. */
static void start_anew(struct bed_guest *guest, unsigned int first)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct driver_queue *queue = &guest->ring[(first + i) % 2];

		driver_queue_reset(queue, 0);
		assert_int_equal(driver_queue_start(queue), 0);
		bed_settle(guest->bed);
	}
}

static void start_again(struct bed_guest *guest, unsigned int first)
{
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(driver_queue_start(&guest->ring[(first + i) % 2]), 0);
}

/* Exactly this is what the guest reads, and nothing comes before or after it. */
static void expect_read(struct bed_guest *guest, const char *text)
{
	struct driver_queue *receiveq = &guest->ring[BED_RECEIVE];
	uint64_t gpa = bed_add_post(guest, 4096);
	size_t len = strlen(text);

	driver_kick(receiveq);
	bed_settle(guest->bed);
	assert_int_equal(driver_used_count(receiveq), len > 0);
	if (len == 0)
		return;
	assert_int_equal(driver_await(receiveq).len, len);
	assert_memory_equal(guest_memory_at(&guest->memory, gpa, len), text, len);
}

/* ---- a guest that goes ---- */

static void a_driver_that_starts_anew_gets_only_what_came_since(void **state)
{
	(void)state;
	for (unsigned int first = 0; first < 2; first++) {
		struct bed_guest *guest = prepare(NULL);

		bed_print(guest, "login: ");
		type(guest, SECRET);
		stop(guest);
		type(guest, FRESH);
		start_anew(guest, first);
		expect_read(guest, FRESH);
		bed_free(guest->bed);
	}
}

/* One that had read something: each of its rings tells. */
static void a_driver_that_had_read_is_told_from_the_next(void **state)
{
	struct bed_guest *guest = prepare(NULL);

	(void)state;
	bed_type(guest, "read");
	type(guest, SECRET);
	stop(guest);
	start_anew(guest, BED_RECEIVE);
	type(guest, FRESH);
	expect_read(guest, FRESH);
}

/* Until it is known whose the rings are, the receiveq has no input to give. */
static void input_waits_until_it_is_known_for_whom(void **state)
{
	struct bed_guest *guest = prepare(NULL);
	struct driver_queue *receiveq = &guest->ring[BED_RECEIVE];

	(void)state;
	bed_print(guest, "login: ");
	type(guest, "typed");
	stop(guest);
	assert_int_equal(driver_queue_start(receiveq), 0);
	bed_add_post(guest, 100);
	driver_kick(receiveq);
	bed_settle(guest->bed);
	assert_int_equal(driver_used_count(receiveq), 0);
	assert_int_equal(driver_queue_start(&guest->ring[BED_TRANSMIT]), 0);
	assert_int_equal(driver_await(receiveq).len, 5);
}

static void a_reset_device_has_nothing(void **state)
{
	struct bed_guest *guest = prepare(NULL);

	(void)state;
	type(guest, SECRET);
	stop(guest);
	type(guest, "more of it");
	assert_int_equal(frontend_reset_device(&guest->frontend), 0);
	type(guest, FRESH);
	start_anew(guest, BED_RECEIVE);
	expect_read(guest, FRESH);
}

/* Frontends reset a device before its first driver, too. */
static void a_reset_before_any_driver_drops_nothing(void **state)
{
	struct bed_guest *guest = bed_new(NULL);

	(void)state;
	type(guest, "early");
	bed_negotiate(guest, 0);
	assert_int_equal(frontend_reset_device(&guest->frontend), 0);
	bed_ring(guest, BED_RECEIVE, 16, 0);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
	expect_read(guest, "early");
}

static void start_next(struct bed_guest *guest)
{
	bed_reconnect(guest);
	guest_memory_rewind(&guest->memory);
	bed_negotiate(guest, 0);
	bed_ring(guest, BED_RECEIVE, 16, 0);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
}

static void another_machine_gets_nothing(void **state)
{
	struct bed_guest *guest = prepare_listening();

	(void)state;
	type(guest, SECRET);
	bed_hang_up(guest);
	type(guest, FRESH);
	start_next(guest);
	expect_read(guest, FRESH);
	expect_read(guest, "");
	/* One that has never had a driver, as in its firmware. */
	bed_hang_up(guest);
	bed_reconnect(guest);
	guest_memory_rewind(&guest->memory);
	bed_negotiate(guest, 0);
	type(guest, SECRET);
	bed_hang_up(guest);
	start_next(guest);
	expect_read(guest, "");
}

/* A port that is looked at by a monitoring program, say. */
static void who_says_nothing_was_no_guest(void **state)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});

	(void)state;
	type(guest, "early");
	bed_hang_up(guest);
	start_next(guest);
	expect_read(guest, "early");
}

static void a_disconnected_guest_is_gone(void **state)
{
	struct bed_guest *guest = prepare_listening();
	const char *why = NULL;

	(void)state;
	type(guest, SECRET);
	assert_int_equal(guest_disconnect(guest->guest, &why), 0);
	assert_int_equal(guest->disconnected, 0);
	assert_int_equal(guest_disconnect(guest->guest, &why), -ENOTCONN);
	assert_non_null(why);
	bed_settle(guest->bed);
	assert_int_equal(guest->disconnected, 1);
	assert_true(frontend_peer_closed(&guest->frontend));
	start_next(guest);
	expect_read(guest, "");
	bed_print(guest, "works");
}

/* It couldn't come back. */
static void a_frontend_that_was_handed_over_stays(void **state)
{
	struct bed_guest *guest = prepare(NULL);
	const char *why = NULL;

	(void)state;
	assert_int_equal(guest_disconnect(guest->guest, &why), -EPERM);
	assert_non_null(strstr(why, "--fd"));
	bed_print(guest, "works");
}

/* ---- a guest that stays ---- */

static void a_guest_that_was_paused_gets_it(void **state)
{
	(void)state;
	for (unsigned int printed = 0; printed < 2; printed++) {
		for (unsigned int first = 0; first < 2; first++) {
			struct bed_guest *guest = prepare(NULL);

			if (printed)
				bed_print(guest, "login: ");
			type(guest, "typed");
			stop(guest);
			start_again(guest, first);
			expect_read(guest, "typed");
			bed_free(guest->bed);
		}
	}
}

static void memory_that_changes_keeps_it(void **state)
{
	struct bed_guest *guest = prepare(NULL);

	(void)state;
	bed_print(guest, "login: ");
	type(guest, "typed");
	assert_int_equal(
	    frontend_set_mem_table(&guest->frontend, guest->memory.region, guest->memory.count), 0);
	bed_settle(guest->bed);
	expect_read(guest, "typed");
}

/* A ring that only rests, as Cloud Hypervisor's when it pauses. */
static void disabled_rings_keep_it(void **state)
{
	struct bed_guest *guest = prepare(NULL);

	(void)state;
	bed_print(guest, "login: ");
	type(guest, "typed");
	for (uint32_t enable = 0; enable < 2; enable++) {
		frontend_set_vring_enable(&guest->frontend, BED_RECEIVE, enable);
		frontend_set_vring_enable(&guest->frontend, BED_TRANSMIT, enable);
	}
	expect_read(guest, "typed");
}

/* ---- who is told ---- */

static void expect_told(struct tcp_client *client, unsigned int bytes)
{
	char line[128];
	int len = snprintf(line, sizeof(line),
	                   "\r\n[vhost-user-console: %u bytes typed before were not read by the "
	                   "guest and are dropped]\r\n",
	                   bytes);

	tcp_client_expect(client, line, (size_t)len);
}

static void the_people_of_a_console_are_told(void **state)
{
	struct bed_guest *guest = prepare(&(struct bed_options){.network = true, .listens = true});
	struct tcp_client typing, watching;

	(void)state;
	tcp_client_connect(&typing, guest, 0);
	tcp_client_connect(&watching, guest, 0);
	tcp_client_send_all(&typing, SECRET, strlen(SECRET));
	bed_settle(guest->bed);
	bed_hang_up(guest);
	expect_told(&typing, sizeof(SECRET) - 1);
	expect_told(&watching, sizeof(SECRET) - 1);
	start_next(guest);
	expect_read(guest, "");
	bed_hang_up(guest);
	tcp_client_expect_nothing(&typing);
	tcp_client_close(&typing, true);
	tcp_client_close(&watching, true);
}

/*
 * More than there is room for: what has come to this machine is dropped, too. 64 KiB is what a TCP
 * receiver takes at least.
 */
static void what_waits_in_sockets_goes_too(void **state)
{
	static uint8_t pasted[GUEST_PORT_INPUT_BYTES + 50 * 1024];
	struct bed_guest *guest = prepare(&(struct bed_options){.network = true, .listens = true});
	struct tcp_client client;

	(void)state;
	memset(pasted, 'x', sizeof(pasted));
	tcp_client_connect(&client, guest, 0);
	tcp_client_send_all(&client, pasted, sizeof(pasted));
	bed_settle(guest->bed);
	bed_hang_up(guest);
	expect_told(&client, sizeof(pasted));
	tcp_client_send_all(&client, FRESH, strlen(FRESH));
	start_next(guest);
	bed_settle(guest->bed);
	expect_read(guest, FRESH);
	tcp_client_close(&client, true);
}

/* A data port's bytes are the guest's alone, but what was for one agent isn't for the next. */
static void a_data_port_loses_it_without_a_word(void **state)
{
	static const struct bed_port_options ports[] = {
	    {.data = true, .network = true, .history = 4096},
	};
	struct bed_guest *guest =
	    prepare(&(struct bed_options){.listens = true, .ports = ports, .ports_count = 1});
	struct tcp_client client;

	(void)state;
	tcp_client_connect(&client, guest, 0);
	tcp_client_send_all(&client, SECRET, strlen(SECRET));
	bed_settle(guest->bed);
	bed_hang_up(guest);
	tcp_client_expect_nothing(&client);
	tcp_client_send_all(&client, FRESH, strlen(FRESH));
	start_next(guest);
	bed_settle(guest->bed);
	expect_read(guest, FRESH);
	tcp_client_close(&client, true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(a_driver_that_starts_anew_gets_only_what_came_since),
	    BED_TEST(a_driver_that_had_read_is_told_from_the_next),
	    BED_TEST(input_waits_until_it_is_known_for_whom),
	    BED_TEST(a_reset_device_has_nothing),
	    BED_TEST(a_reset_before_any_driver_drops_nothing),
	    BED_TEST(another_machine_gets_nothing),
	    BED_TEST(who_says_nothing_was_no_guest),
	    BED_TEST(a_disconnected_guest_is_gone),
	    BED_TEST(a_frontend_that_was_handed_over_stays),
	    BED_TEST(a_guest_that_was_paused_gets_it),
	    BED_TEST(memory_that_changes_keeps_it),
	    BED_TEST(disabled_rings_keep_it),
	    BED_TEST(the_people_of_a_console_are_told),
	    BED_TEST(what_waits_in_sockets_goes_too),
	    BED_TEST(a_data_port_loses_it_without_a_word),
	};

	return BED_RUN(tests);
}
