/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a guest writes into a data port: who reads is waited for, nothing else is held, and not a
 * byte is lost, whoever comes and goes and whatever stops (design, 5).
 */
#include "multiport_use.h"

#include <string.h>

#define KIB 1024u
#define MIB (1024u * KIB)

static struct driver_queue *transmitq_of(struct bed_guest *guest, uint32_t id)
{
	return multiport_driver_port(&guest->multiport, id)->transmitq;
}

/* ---- readers ---- */

/* A slow reader holds the guest back; when it reads, it has all of it. */
static void a_slow_reader_holds_a_data_port(void **state)
{
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct tcp_client client;
	uint64_t offered;

	(void)state;
	connect_data(&client, guest, 4096);
	offered = offer_until_held(guest, 1);
	pass_output(guest, 1, &client, 0, offered, offered + 2 * MIB);
	tcp_client_close(&client, true);
}

/* It holds nothing else: not the console, not the control queue, in both directions. */
static void a_held_port_holds_no_other(void **state)
{
	struct bed_guest *guest = new_usual_guest();
	struct tcp_client client;
	uint64_t offered;

	(void)state;
	tcp_client_connect_port(&client, guest, USUAL_DATA, 4096);
	shake_hands(guest);
	offered = offer_until_held(guest, USUAL_DATA);
	for (uint32_t id = 0; id < 2; id++) {
		check_port_output(guest, id, 300000);
		check_port_input(guest, id, 100000);
		expect_port_answers(guest, id);
	}
	tcp_client_send_all(&client, "the other way", 13);
	port_driver_expect_input(multiport_driver_port(&guest->multiport, USUAL_DATA),
	                         "the other way", 13);
	pass_output(guest, USUAL_DATA, &client, 0, offered, offered);
	tcp_client_close(&client, true);
}

/* Chains of many times the port's ring, in one descriptor and in many. */
static void chains_longer_than_the_ring_pass(void **state)
{
	static const struct port_driver_options ports[] = {
	    {.transmit_size = 32 * KIB, .transmit_count = 32},
	    {.transmit_size = 32 * KIB, .transmit_count = 4, .transmit_pieces = 13},
	    {.transmit_size = 32 * KIB,
	     .transmit_count = 8,
	     .transmit_pieces = 31,
	     .indirect = true},
	    {.transmit_size = 1 * MIB, .transmit_count = 2},
	    {.transmit_size = 4097, .transmit_count = 8, .transmit_pieces = 2},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		struct bed_guest *guest = new_data_guest(4096, &ports[i]);
		struct tcp_client client;

		connect_data(&client, guest, 0);
		pass_output(guest, 1, &client, 0, 0, 3 * MIB + 77);
		tcp_client_close(&client, true);
		bed_free(guest->bed);
	}
}

/* And with a reader that stops in the middle of them. */
static void a_long_chain_waits_in_the_middle(void **state)
{
	static const struct port_driver_options port = {.transmit_size = 32 * KIB,
	                                                .transmit_count = 4};
	struct bed_guest *guest = new_data_guest(4096, &port);
	struct tcp_client client;
	uint64_t offered;

	(void)state;
	connect_data(&client, guest, 4096);
	offered = offer_until_held(guest, 1);
	pass_output(guest, 1, &client, 0, offered, offered + 300 * KIB);
	tcp_client_close(&client, true);
}

/* What nobody was there for waits for whoever comes, from its first byte on. */
static void output_waits_for_the_next_client(void **state)
{
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct tcp_client client;
	uint64_t offered;

	(void)state;
	offered = offer_until_held(guest, 1);
	/* The ring, and all of the guest's buffers but those that fitted into it. */
	assert_true(offered > 4096);
	connect_data(&client, guest, 0);
	pass_output(guest, 1, &client, 0, offered, offered + 100 * KIB);
	tcp_client_close(&client, true);
}

struct draining {
	struct bed_guest *guest;
	struct tcp_client *client;
};

/* The client reads until the guest has all its buffers back. */
static bool is_drained(void *arg)
{
	struct draining *draining = arg;
	struct port_driver *port = multiport_driver_port(&draining->guest->multiport, 1);

	port_driver_reap(port);
	tcp_client_read(draining->client, SIZE_MAX);
	return driver_outstanding(port->transmitq) == 0;
}

/* A client that goes takes with it only what was on its way to it; the next has all the rest. */
static void the_next_client_goes_on(void **state)
{
	struct bed_guest *guest = new_tail_guest(4096, NULL, TAIL_KEEP);
	struct tcp_client client;
	struct draining draining = {guest, &client};
	uint8_t expected[8192];
	uint64_t offered;

	(void)state;
	connect_data(&client, guest, 4096);
	offered = offer_until_held(guest, 1);
	tcp_client_close(&client, true);
	multiport_driver_await_open(&guest->multiport, 1, false);
	connect_data(&client, guest, 0);
	frontend_await(&guest->frontend, is_drained, &draining, "the guest's buffers");
	bed_settle(guest->bed);
	tcp_client_read(&client, SIZE_MAX);
	/* The guest's buffers hadn't been taken: all of these have come, as the end. */
	assert_true(client.size >= 64 * 4096);
	for (uint64_t at = 0; at < client.size; at += sizeof(expected)) {
		size_t n = client.size - at < sizeof(expected) ? (size_t)(client.size - at)
		                                               : sizeof(expected);

		support_fill_pattern(expected, n, offered - client.size + at);
		assert_memory_equal(client.data + at, expected, n);
	}
	tcp_client_close(&client, true);
}

/* ---- stopping while the port is held ---- */

/* GET_VRING_BASE in the middle of a chain: each byte still comes once. */
static void a_pause_in_the_middle_loses_nothing(void **state)
{
	static const struct port_driver_options ports[] = {
	    {.transmit_size = 32 * KIB, .transmit_count = 4},
	    {.transmit_size = 32 * KIB, .transmit_count = 4, .transmit_pieces = 7},
	    {.transmit_size = 512},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		struct bed_guest *guest = new_data_guest(4096, &ports[i]);
		struct tcp_client client;
		uint64_t offered;

		connect_data(&client, guest, 4096);
		offered = offer_until_held(guest, 1);
		for (unsigned int k = 0; k < 3; k++) {
			assert_true(console_driver_play(&guest->console, VMM_STOP));
			/* What the device says it has taken is what it has used. */
			assert_int_equal(guest->console.saved_base[5],
			                 driver_load16(driver_used_idx(transmitq_of(guest, 1))));
			assert_true(console_driver_play(&guest->console, VMM_RESUME));
			bed_settle(guest->bed);
		}
		pass_output(guest, 1, &client, 0, offered, offered + 100 * KIB);
		tcp_client_close(&client, true);
		bed_free(guest->bed);
	}
}

/* What the device had to take at the stop is for those who still read, once who didn't has gone. */
static void a_reader_that_goes_lets_the_others_go_on(void **state)
{
	static const struct port_driver_options chains = {.transmit_size = 4100,
	                                                  .transmit_count = 4};
	struct bed_guest *guest = new_data_guest(4096, &chains);
	struct tcp_client slow, fast;
	uint64_t offered, taken;

	(void)state;
	connect_data(&slow, guest, 4096);
	tcp_client_connect_port(&fast, guest, 1, 0);
	await_clients(guest, 1, 2);
	offered = offer_until_held(guest, 1);
	assert_true(console_driver_play(&guest->console, VMM_STOP));
	taken = 4100 * (uint64_t)driver_load16(driver_used_idx(transmitq_of(guest, 1)));
	tcp_client_close(&slow, true);
	tcp_client_await(&fast, taken);
	assert_true(console_driver_play(&guest->console, VMM_RESUME));
	pass_output(guest, 1, &fast, 0, offered, offered);
	tcp_client_close(&fast, true);
}

/*
 * One user's answers are no other's. All that was available to the device when the driver could
 * learn of it is dropped; what is written after it is the next client's, from its first byte.
 */
static void what_a_client_leaves_is_nobody_elses(void **state)
{
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct draining draining = {guest, NULL};
	struct tcp_client client;

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		connect_data(&client, guest, 4096);
		offer_until_held(guest, 1);
		tcp_client_close(&client, i > 0);
		multiport_driver_await_open(&guest->multiport, 1, false);
		/* While nobody is there: it waits for the next. */
		client.fd = -1;
		draining.client = &client;
		frontend_await(&guest->frontend, is_drained, &draining, "the guest's buffers");
		port_driver_transmit(multiport_driver_port(&guest->multiport, 1), "first", 5);
		connect_data(&client, guest, 0);
		tcp_client_expect(&client, "first", 5);
		tcp_client_expect_nothing(&client);
		tcp_client_close(&client, false);
		multiport_driver_await_open(&guest->multiport, 1, false);
	}
}

/* A port check: nothing is told to the guest, and nothing of what waits is given to it. */
static void a_port_check_takes_nothing(void **state)
{
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct tcp_client client;

	(void)state;
	port_driver_transmit(multiport_driver_port(&guest->multiport, 1), "answer", 6);
	for (unsigned int i = 0; i < 6; i++) {
		tcp_client_connect_port(&client, guest, 1, 0);
		bed_settle(guest->bed);
		if (i % 3 == 2)
			tcp_client_shut(&client);
		tcp_client_close(&client, i % 3 == 1);
		bed_settle(guest->bed);
		multiport_driver_collect(&guest->multiport);
		assert_false(guest->multiport.state[1].open);
	}
	connect_data(&client, guest, 0);
	tcp_client_expect(&client, "answer", 6);
	tcp_client_close(&client, true);
}

/* It has nothing to say and reads: it gets what waits, once it is known that it is there. */
static void who_only_reads_gets_what_waits(void **state)
{
	struct bed_guest *guest = new_data_guest(4096, NULL);
	struct tcp_client client;

	(void)state;
	port_driver_transmit(multiport_driver_port(&guest->multiport, 1), "answer", 6);
	tcp_client_connect_port(&client, guest, 1, 0);
	tcp_client_shut(&client);
	tcp_client_expect(&client, "answer", 6);
	port_driver_transmit(multiport_driver_port(&guest->multiport, 1), "more", 4);
	tcp_client_expect(&client, "more", 4);
	tcp_client_close(&client, true);
}

struct ending {
	struct tcp_client *client;
	uint64_t pos; /* in the pattern */
};

/* The client reads the pattern up to a line's end, which isn't part of it. */
static bool has_ended(void *arg)
{
	struct ending *ending = arg;
	struct tcp_client *client = ending->client;
	uint8_t expected[4096];
	size_t same = 0;

	tcp_client_read(client, sizeof(expected) - client->size);
	support_fill_pattern(expected, sizeof(expected), ending->pos);
	while (same < client->size && client->data[same] == expected[same])
		same++;
	ending->pos += same;
	client->size -= same;
	memmove(client->data, client->data + same, client->size);
	assert_true(client->size == 0 || client->data[0] == '\n');
	return client->size > 0;
}

/* A reset while it is held: what the device had is delivered, and the next driver's after it. */
static void a_reset_in_the_middle_is_clean(void **state)
{
	static const struct port_driver_options port = {.transmit_size = 32 * KIB,
	                                                .transmit_count = 4};
	struct bed_guest *guest = new_data_guest(4096, &port);
	struct tcp_client client;
	struct ending ending = {.client = &client};

	(void)state;
	connect_data(&client, guest, 4096);
	offer_until_held(guest, 1);
	assert_true(multiport_driver_reset(&guest->multiport));
	assert_true(multiport_driver_restart(&guest->multiport));
	shake_hands(guest);
	assert_true(guest->multiport.state[1].open);
	assert_int_equal(port_driver_offer(multiport_driver_port(&guest->multiport, 1), "\n", 1),
	                 1);
	frontend_await(&guest->frontend, has_ended, &ending, "the next driver's byte");
	assert_int_equal(client.size, 1);
	assert_true(ending.pos > 4096);
	tcp_client_close(&client, true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(a_slow_reader_holds_a_data_port),
	    BED_TEST(a_held_port_holds_no_other),
	    BED_TEST(chains_longer_than_the_ring_pass),
	    BED_TEST(a_long_chain_waits_in_the_middle),
	    BED_TEST(output_waits_for_the_next_client),
	    BED_TEST(the_next_client_goes_on),
	    BED_TEST(a_pause_in_the_middle_loses_nothing),
	    BED_TEST(a_reader_that_goes_lets_the_others_go_on),
	    BED_TEST(what_a_client_leaves_is_nobody_elses),
	    BED_TEST(a_port_check_takes_nothing),
	    BED_TEST(who_only_reads_gets_what_waits),
	    BED_TEST(a_reset_in_the_middle_is_clean),
	};

	return BED_RUN(tests);
}
