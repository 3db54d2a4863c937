/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the session's state machine (vhost-user, "Ring states" and each message's clause): what is
 * negotiated, when a vring starts, runs and stops, in which order its owner is asked for what, and
 * that a refusal changes nothing. The memory is in session_memory.c.
 */
#include "unit.h"

#include "session_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static struct session_fixture f;

static void set_up(void)
{
	session_fixture_init(&f);
}

static void tear_down(void)
{
	session_fixture_deinit(&f);
}

static void send_state(uint32_t id, uint32_t num)
{
	assert_null(session_send_state(&f, id, 1, num));
}

static uint16_t get_base(void)
{
	struct wire_vring_state wire;

	send_state(VHOST_USER_GET_VRING_BASE, 0);
	assert_int_equal(f.reply.size, sizeof(wire));
	memcpy(&wire, f.reply.payload, sizeof(wire));
	assert_int_equal(le32_get(wire.index), 1);
	return (uint16_t)le32_get(wire.num);
}

#define PROTOCOL_FEATURES                                                                          \
	(1ull << 0 | 1ull << 1 | 1ull << 3 | 1ull << 5 | 1ull << 9 | 1ull << 13 | 1ull << 15 |     \
	 1ull << 19)
#define FEATURES (SESSION_DEVICE_FEATURES | 1ull << 30 | 1ull << 26)

TEST(what_is_offered_can_be_taken_and_nothing_else)
{
	set_up();
	assert_same(session_ask(&f, VHOST_USER_GET_FEATURES), FEATURES);
	assert_same(session_ask(&f, VHOST_USER_GET_PROTOCOL_FEATURES), PROTOCOL_FEATURES);
	assert_same(session_ask(&f, VHOST_USER_GET_QUEUE_NUM), SESSION_VRINGS);
	for (unsigned int bit = 0; bit < 64; bit++) {
		bool offered = FEATURES >> bit & 1;

		assert_int_equal(!session_send_u64(&f, VHOST_USER_SET_FEATURES, 1ull << bit),
		                 offered);
		offered = PROTOCOL_FEATURES >> bit & 1;
		assert_int_equal(
		    !session_send_u64(&f, VHOST_USER_SET_PROTOCOL_FEATURES, 1ull << bit), offered);
		if (offered)
			assert_true(session_has(&f.session, bit));
	}
	/* The last that was taken stands. */
	assert_same(f.record->features, 1ull << 35);
	assert_same(f.record->protocol_features, 1ull << 19);
	tear_down();
}

/* QEMU asks again once it knows which it takes: without CONFIG there is no space to read, without
 * LOG_SHMFD no log. */
TEST(features_that_need_a_protocol_feature_go_with_it)
{
	static const struct {
		uint64_t protocol_features, withdrawn;
	} rows[] = {
	    {0, SESSION_CONFIG_FEATURES | 1ull << 26},
	    {1ull << 3, SESSION_CONFIG_FEATURES | 1ull << 26},
	    {1ull << 9, 1ull << 26},
	    {1ull << 1, SESSION_CONFIG_FEATURES},
	    {PROTOCOL_FEATURES, 0},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		set_up();
		assert_same(session_ask(&f, VHOST_USER_GET_FEATURES) & SESSION_CONFIG_FEATURES,
		            SESSION_CONFIG_FEATURES);
		assert_null(session_send_u64(&f, VHOST_USER_SET_PROTOCOL_FEATURES,
		                             rows[i].protocol_features));
		assert_same(session_ask(&f, VHOST_USER_GET_FEATURES),
		            FEATURES & ~rows[i].withdrawn);
		tear_down();
	}
}

TEST(messages_of_a_feature_need_it)
{
	int pair[2];

	set_up();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_non_null(session_send(&f, VHOST_USER_GET_MAX_MEM_SLOTS, NULL, 0, NULL, 0));
	assert_non_null(session_send_region(&f, VHOST_USER_ADD_MEM_REG, &f.memory.region[0],
	                                    f.memory.region[0].fd));
	assert_non_null(session_send_region(&f, VHOST_USER_REM_MEM_REG, &f.memory.region[0], -1));
	assert_non_null(session_send(&f, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, pair, 1));
	assert_int_equal(f.session.memory.count, 0);
	assert_null(session_send_u64(&f, VHOST_USER_SET_PROTOCOL_FEATURES, PROTOCOL_FEATURES));
	assert_true(session_ask(&f, VHOST_USER_GET_MAX_MEM_SLOTS) >= 8);
	assert_null(session_send(&f, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, pair, 1));
	assert_true(fcntl(f.backend_req, F_GETFL) & O_NONBLOCK);
	assert_string_equal(session_events(&f), "");
	tear_down();
	close(pair[0]);
	close(pair[1]);
}

TEST(a_vring_starts_at_its_kick_and_runs_once_enabled)
{
	struct frontend_vring_addr addr;

	set_up();
	assert_null(session_send_u64(&f, VHOST_USER_SET_FEATURES, 1ull << 30));
	assert_null(session_send_table(&f, 0, 3));
	addr = driver_queue_addr(&f.driver);
	send_state(VHOST_USER_SET_VRING_NUM, SESSION_RING_SIZE);
	send_state(VHOST_USER_SET_VRING_BASE, 0);
	assert_null(session_send_addr(&f, 1, &addr));
	assert_string_equal(session_events(&f), "");
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_string_equal(session_events(&f), "kick1+ ");
	assert_true(virtq_started(&f.vrings[1]));
	assert_false(session_vring_runs(&f.session, 1));
	send_state(VHOST_USER_SET_VRING_ENABLE, 1);
	assert_string_equal(session_events(&f), "runs1 ");
	assert_true(session_vring_runs(&f.session, 1));
	assert_false(session_vring_runs(&f.session, 0));
	tear_down();
}

TEST(a_vring_that_is_enabled_before_runs_at_its_kick)
{
	struct frontend_vring_addr addr;

	set_up();
	assert_null(session_send_u64(&f, VHOST_USER_SET_FEATURES, 1ull << 30));
	assert_null(session_send_table(&f, 0, 3));
	addr = driver_queue_addr(&f.driver);
	send_state(VHOST_USER_SET_VRING_ENABLE, 1);
	send_state(VHOST_USER_SET_VRING_NUM, SESSION_RING_SIZE);
	assert_null(session_send_addr(&f, 1, &addr));
	assert_string_equal(session_events(&f), "");
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_string_equal(session_events(&f), "kick1+ runs1 ");
	tear_down();
}

TEST(without_protocol_features_a_vring_is_enabled_when_it_starts)
{
	struct frontend_vring_addr addr;

	set_up();
	assert_null(session_send_u64(&f, VHOST_USER_SET_FEATURES, 1ull << 32));
	assert_null(session_send_table(&f, 0, 3));
	addr = driver_queue_addr(&f.driver);
	send_state(VHOST_USER_SET_VRING_NUM, SESSION_RING_SIZE);
	assert_null(session_send_addr(&f, 1, &addr));
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_string_equal(session_events(&f), "kick1+ runs1 ");
	tear_down();
}

/* QEMU enables all rings of the device, also those its guest's driver has no use for. */
TEST(a_vring_may_be_enabled_and_asked_for_its_base_without_ever_starting)
{
	set_up();
	assert_null(session_send_u64(&f, VHOST_USER_SET_FEATURES, 1ull << 30));
	for (uint32_t i = 0; i < SESSION_VRINGS; i++) {
		assert_null(session_send_state(&f, VHOST_USER_SET_VRING_ENABLE, i, 1));
		assert_null(session_send_state(&f, VHOST_USER_SET_VRING_ENABLE, i, 0));
	}
	assert_int_equal(get_base(), 0);
	send_state(VHOST_USER_SET_VRING_BASE, 0xabcd);
	assert_int_equal(get_base(), 0xabcd);
	assert_string_equal(session_events(&f), "");
	tear_down();
}

TEST(a_kick_before_its_ring_is_told_is_refused_and_comes_again)
{
	struct frontend_vring_addr addr;

	set_up();
	addr = driver_queue_addr(&f.driver);
	assert_non_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	send_state(VHOST_USER_SET_VRING_NUM, SESSION_RING_SIZE);
	assert_non_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_null(session_send_addr(&f, 1, &addr));
	assert_non_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_null(session_send_table(&f, 0, 3));
	assert_string_equal(session_events(&f), "");
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_true(virtq_started(&f.vrings[1]));
	tear_down();
}

TEST(get_vring_base_settles_then_stops_then_answers)
{
	struct virtq_chain chain;

	set_up();
	session_bring_up(&f);
	driver_add(&f.driver, &(struct driver_buffer){f.driver.desc_gpa, 4, false}, 1, 0);
	driver_publish(&f.driver);
	assert_int_equal(virtq_peek(&f.vrings[1], &chain), VIRTQ_OK);
	virtq_push(&f.vrings[1], &chain);
	virtq_publish(&f.vrings[1]);
	assert_int_equal(get_base(), 1);
	assert_string_equal(session_events(&f), "settle1 kick1- ");
	assert_false(session_vring_runs(&f.session, 1));
	assert_false(virtq_started(&f.vrings[1]));
	assert_int_equal(get_base(), 1);
	assert_string_equal(session_events(&f), "");
	/* Still enabled: it runs with the next kick, from where it was. */
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_string_equal(session_events(&f), "kick1+ runs1 ");
	assert_int_equal(f.record->vrings[1].state.next_avail, 1);
	tear_down();
}

/* Cloud Hypervisor pauses a guest that way. */
TEST(a_disabled_vring_keeps_what_it_has)
{
	set_up();
	session_bring_up(&f);
	send_state(VHOST_USER_SET_VRING_ENABLE, 0);
	/* What was taken in part is finished; that is all. */
	assert_string_equal(session_events(&f), "settle1 ");
	assert_true(virtq_started(&f.vrings[1]));
	send_state(VHOST_USER_SET_VRING_ENABLE, 0);
	assert_string_equal(session_events(&f), "");
	assert_false(session_vring_runs(&f.session, 1));
	send_state(VHOST_USER_SET_VRING_ENABLE, 1);
	assert_string_equal(session_events(&f), "runs1 ");
	tear_down();
}

/* libkrun's reset only disables the rings; then it sets them up again. */
TEST(a_disabled_started_vring_can_be_set_up_anew)
{
	set_up();
	session_bring_up(&f);
	f.record->vrings[1].state.next_avail = 77;
	send_state(VHOST_USER_SET_VRING_ENABLE, 0);
	assert_string_equal(session_events(&f), "settle1 ");
	/* From here on its memory may be something else's. */
	assert_null(session_send_table(&f, 0, 3));
	assert_string_equal(session_events(&f), "");
	session_set_up_ring(&f, 0);
	assert_string_equal(session_events(&f), "kick1- kick1+ call1+ runs1 ");
	assert_int_equal(f.record->vrings[1].state.next_avail, 0);
	assert_true(session_vring_runs(&f.session, 1));
	tear_down();
}

TEST(each_message_of_a_set_up_stops_a_started_vring_once)
{
	static const uint32_t messages[] = {VHOST_USER_SET_VRING_NUM, VHOST_USER_SET_VRING_BASE};

	for (size_t i = 0; i < ROWS(messages); i++) {
		set_up();
		session_bring_up(&f);
		send_state(messages[i], 8);
		assert_string_equal(session_events(&f), "settle1 kick1- ");
		send_state(messages[i], 8);
		assert_string_equal(session_events(&f), "");
		assert_false(session_vring_runs(&f.session, 1));
		tear_down();
	}
}

TEST(the_same_addresses_again_disturb_nothing_and_others_stop_the_vring)
{
	struct frontend_vring_addr addr;

	set_up();
	session_bring_up(&f);
	addr = driver_queue_addr(&f.driver);
	assert_null(session_send_addr(&f, 1, &addr));
	assert_null(session_send_addr(&f, 1, &addr));
	assert_string_equal(session_events(&f), "");
	assert_true(session_vring_runs(&f.session, 1));
	addr.used += 4;
	assert_null(session_send_addr(&f, 1, &addr));
	assert_string_equal(session_events(&f), "settle1 kick1- ");
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_string_equal(session_events(&f), "kick1+ runs1 ");
	tear_down();
}

/* A kick may have been eaten by the read of the one before: so the ring is worked once. */
TEST(another_kick_of_a_running_vring_replaces_it_and_pumps_once)
{
	set_up();
	session_bring_up(&f);
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_string_equal(session_events(&f), "kick1+ runs1 ");
	tear_down();
}

TEST(calls_and_errors_may_come_and_go_at_any_time_and_never_block)
{
	int blocking = eventfd(0, EFD_CLOEXEC);

	set_up();
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_CALL, 0, blocking));
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_ERR, 3, blocking));
	assert_string_equal(session_events(&f), "call0+ err3+ ");
	assert_true(fcntl(f.call[0], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(f.err[3], F_GETFL) & O_NONBLOCK);
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_CALL, 0, -1));
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_ERR, 3, -1));
	assert_string_equal(session_events(&f), "call0- err3- ");
	tear_down();
	close(blocking);
}

TEST(a_broken_vring_does_not_run_until_it_is_started_again)
{
	struct virtq_chain chain;

	set_up();
	session_bring_up(&f);
	driver_store16(driver_avail_idx(&f.driver), 1000);
	assert_int_equal(virtq_peek(&f.vrings[1], &chain), VIRTQ_BROKEN);
	assert_false(session_vring_runs(&f.session, 1));
	send_state(VHOST_USER_SET_VRING_ENABLE, 1);
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_null(session_send_table(&f, 0, 3));
	assert_null(strstr(session_events(&f), "runs"));
	driver_store16(driver_avail_idx(&f.driver), 0);
	get_base();
	session_events(&f);
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_string_equal(session_events(&f), "kick1+ runs1 ");
	tear_down();
}

TEST(reset_owner_stops_and_disables_all)
{
	set_up();
	session_bring_up(&f);
	assert_null(session_send(&f, VHOST_USER_RESET_OWNER, NULL, 0, NULL, 0));
	assert_string_equal(session_events(&f), "settle1 kick1- ");
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_false(session_vring_runs(&f.session, 1));
	assert_string_equal(session_events(&f), "kick1+ ");
	tear_down();
}

static bool is_zero(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len > 0 && *at == 0)
		at++, len--;
	return len == 0;
}

TEST(a_reset_forgets_everything)
{
	int pair[2];

	set_up();
	session_bring_up(&f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_null(session_send(&f, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, pair, 1));
	session_reset(&f.session);
	assert_string_equal(session_events(&f), "settle1 kick1- ");
	assert_true(is_zero(f.record, session_record_size(SESSION_VRINGS)));
	assert_int_equal(f.session.memory.count, 0);
	assert_int_equal(f.backend_req, -1);
	assert_false(session_has(&f.session, VHOST_USER_PROTOCOL_F_REPLY_ACK));
	session_reset(&f.session);
	assert_string_equal(session_events(&f), "");
	session_bring_up(&f);
	assert_true(session_vring_runs(&f.session, 1));
	tear_down();
	close(pair[0]);
	close(pair[1]);
}

/* A frontend that comes next and negotiates nothing must not get the one before's rings. */
TEST(a_reset_forgets_the_features_of_the_rings_too)
{
	set_up();
	session_bring_up(&f);
	assert_true(f.vrings[1].event_idx && f.vrings[1].indirect);
	session_reset(&f.session);
	for (unsigned int i = 0; i < SESSION_VRINGS; i++) {
		assert_false(f.vrings[i].event_idx);
		assert_false(f.vrings[i].indirect);
	}
	tear_down();
}

static const char *send_config(uint32_t id, uint32_t offset, uint32_t size, uint32_t flags)
{
	struct {
		struct wire_config config;
		uint8_t bytes[WIRE_CONFIG_MAX];
	} wire = {{le32_of(offset), le32_of(size), le32_of(flags)}, "abcdefghijkl"};

	return session_send(&f, id, &wire, 12 + size, NULL, 0);
}

TEST(a_configuration_answer_repeats_the_question_and_has_all_bytes)
{
	static const struct {
		uint32_t offset, size, flags;
	} rows[] = {{0, 12, 0}, {8, 4, 1}, {0, 256, 0}, {3, 1, 0}, {255, 1, 7}};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct wire_config wire;

		set_up();
		assert_null(send_config(VHOST_USER_GET_CONFIG, rows[i].offset, rows[i].size,
		                        rows[i].flags));
		assert_int_equal(f.reply.size, 12 + rows[i].size);
		memcpy(&wire, f.reply.payload, sizeof(wire));
		assert_int_equal(le32_get(wire.offset), rows[i].offset);
		assert_int_equal(le32_get(wire.size), rows[i].size);
		assert_int_equal(le32_get(wire.flags), rows[i].flags);
		for (uint32_t k = 0; k < rows[i].size; k++)
			assert_int_equal(f.reply.payload[12 + k], (uint8_t)(rows[i].offset + k));
		tear_down();
	}
}

/* DEVICE_STATE. */

static const char *transfer(uint32_t direction)
{
	int event = eventfd(0, EFD_CLOEXEC);
	const char *refused = session_send(&f, VHOST_USER_SET_DEVICE_STATE_FD,
	                                   (const uint32_t[]){direction, 0}, 8, &event, 1);

	close(event);
	return refused;
}

TEST(a_state_is_transferred_while_no_vring_runs)
{
	set_up();
	session_bring_up(&f);
	assert_non_null(transfer(0));
	assert_non_null(transfer(1));
	assert_string_equal(session_events(&f), "");
	get_base();
	session_events(&f);
	assert_null(transfer(0));
	assert_null(transfer(1));
	assert_string_equal(session_events(&f), "save0 load0 ");
	/* No descriptor comes back. */
	assert_int_equal(f.reply.size, 8);
	assert_memory_equal(f.reply.payload, "\0\1\0\0\0\0\0\0", 8);
	f.state_refused = true;
	assert_non_null(transfer(0));
	assert_null(session_send_u64(&f, VHOST_USER_SET_PROTOCOL_FEATURES, 1));
	f.state_refused = false;
	assert_non_null(transfer(0));
	assert_string_equal(session_events(&f), "");
	tear_down();
}

TEST(how_a_transfer_went_is_said_at_its_end)
{
	set_up();
	assert_non_null(session_send(&f, VHOST_USER_CHECK_DEVICE_STATE, NULL, 0, NULL, 0));
	assert_null(session_send_u64(&f, VHOST_USER_SET_PROTOCOL_FEATURES, 1ull << 19));
	f.transfer = SESSION_TRANSFER_FAILED;
	assert_same(session_ask(&f, VHOST_USER_CHECK_DEVICE_STATE), 1);
	assert_false(f.reply.later);
	f.transfer = SESSION_TRANSFER_UNDER_WAY;
	session_ask(&f, VHOST_USER_CHECK_DEVICE_STATE);
	assert_true(f.reply.later);
	f.transfer = SESSION_TRANSFER_DONE;
	assert_same(session_ask(&f, VHOST_USER_CHECK_DEVICE_STATE), 0);
	assert_false(f.reply.later);
	tear_down();
}

/* Also before anything is negotiated. */
TEST(configuration_can_be_written_at_any_time)
{
	set_up();
	assert_null(send_config(VHOST_USER_SET_CONFIG, 8, 4, 0));
	assert_memory_equal(f.config, "\0\0\0\0\0\0\0\0abcd", 12);
	assert_string_equal(session_events(&f), "write8 ");
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(what_is_offered_can_be_taken_and_nothing_else),
	    UNIT(features_that_need_a_protocol_feature_go_with_it),
	    UNIT(messages_of_a_feature_need_it),
	    UNIT(a_vring_starts_at_its_kick_and_runs_once_enabled),
	    UNIT(a_vring_that_is_enabled_before_runs_at_its_kick),
	    UNIT(without_protocol_features_a_vring_is_enabled_when_it_starts),
	    UNIT(a_vring_may_be_enabled_and_asked_for_its_base_without_ever_starting),
	    UNIT(a_kick_before_its_ring_is_told_is_refused_and_comes_again),
	    UNIT(get_vring_base_settles_then_stops_then_answers),
	    UNIT(a_disabled_vring_keeps_what_it_has),
	    UNIT(a_disabled_started_vring_can_be_set_up_anew),
	    UNIT(each_message_of_a_set_up_stops_a_started_vring_once),
	    UNIT(the_same_addresses_again_disturb_nothing_and_others_stop_the_vring),
	    UNIT(another_kick_of_a_running_vring_replaces_it_and_pumps_once),
	    UNIT(calls_and_errors_may_come_and_go_at_any_time_and_never_block),
	    UNIT(a_broken_vring_does_not_run_until_it_is_started_again),
	    UNIT(reset_owner_stops_and_disables_all),
	    UNIT(a_reset_forgets_everything),
	    UNIT(a_reset_forgets_the_features_of_the_rings_too),
	    UNIT(a_configuration_answer_repeats_the_question_and_has_all_bytes),
	    UNIT(configuration_can_be_written_at_any_time),
	    UNIT(a_state_is_transferred_while_no_vring_runs),
	    UNIT(how_a_transfer_went_is_said_at_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
