/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what SET_OWNER does to a session: one that has had a vring at work, of which none runs any
 * more, is over, and nothing of it is left for the next one on the connection; at any other time
 * the message changes nothing.
 */
#include "unit.h"

#include "session_fixture.h"
#include "support.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static struct session_fixture f;

static void set_up(void)
{
	session_fixture_init(&f);
	session_bring_up(&f);
}

static void tear_down(void)
{
	session_fixture_deinit(&f);
}

static void set_owner(void)
{
	assert_null(session_send(&f, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0));
}

/* As QEMU does when the device is unplugged: no word of the memory. */
static void stop_ring(void)
{
	assert_null(session_send_state(&f, VHOST_USER_SET_VRING_ENABLE, 1, 0));
	assert_null(session_send_state(&f, VHOST_USER_GET_VRING_BASE, 1, 0));
	session_events(&f);
}

static const char *add(const struct guest_region *region)
{
	return session_send_region(&f, VHOST_USER_ADD_MEM_REG, region, region->fd);
}

#define ALL_GIVEN_UP "call0- err0- call1- err1- call2- err2- call3- err3- began0 "

TEST(owner_after_the_rings_have_stopped_begins_a_session)
{
	static const struct session_vring_record zero;
	uint64_t protocol_features;

	set_up();
	protocol_features = f.record->protocol_features;
	stop_ring();
	set_owner();
	assert_string_equal(session_events(&f), ALL_GIVEN_UP);
	assert_int_equal(f.session.memory.count, 0);
	assert_int_equal(f.record->regions_count, 0);
	assert_same(f.record->features, 0);
	assert_false(f.vrings[1].event_idx);
	for (unsigned int i = 0; i < SESSION_VRINGS; i++)
		assert_memory_equal(&f.record->vrings[i], &zero, sizeof(zero));
	/* These may have been told for the new session already. */
	assert_same(f.record->protocol_features, protocol_features);
	tear_down();
}

TEST(each_session_may_share_the_same_memory_region_by_region)
{
	struct resources before, after;

	set_up();
	resources_count(&before);
	for (unsigned int round = 0; round < 5; round++) {
		stop_ring();
		set_owner();
		assert_null(session_send_u64(&f, VHOST_USER_SET_FEATURES,
		                             session_ask(&f, VHOST_USER_GET_FEATURES)));
		for (unsigned int i = 0; i < f.memory.count; i++)
			assert_null(add(&f.memory.region[i]));
		assert_int_equal(f.record->regions_count, f.memory.count);
		session_set_up_ring(&f, 0);
		assert_true(session_vring_runs(&f.session, 1));
	}
	resources_count(&after);
	assert_true(resources_same(&before, &after));
	resources_free(&before);
	resources_free(&after);
	tear_down();
}

TEST(a_ring_that_is_only_disabled_is_stopped)
{
	set_up();
	assert_null(session_send_state(&f, VHOST_USER_SET_VRING_ENABLE, 1, 0));
	session_events(&f);
	set_owner();
	assert_string_equal(session_events(&f), "kick1- " ALL_GIVEN_UP);
	assert_false(virtq_started(&f.vrings[1]));
	tear_down();
}

TEST(owner_disturbs_no_ring_at_work)
{
	set_up();
	set_owner();
	set_owner();
	assert_string_equal(session_events(&f), "");
	assert_true(session_vring_runs(&f.session, 1));
	assert_int_equal(f.session.memory.count, 3);
	/* And doesn't let regions overlap. */
	assert_non_null(add(&f.memory.region[1]));
	tear_down();
}

/* Some frontends send it late, or twice. */
TEST(owner_before_any_ring_has_started_takes_nothing_away)
{
	session_fixture_init(&f);
	assert_null(session_send_u64(&f, VHOST_USER_SET_FEATURES,
	                             session_ask(&f, VHOST_USER_GET_FEATURES)));
	assert_null(session_send_u64(&f, VHOST_USER_SET_PROTOCOL_FEATURES,
	                             session_ask(&f, VHOST_USER_GET_PROTOCOL_FEATURES)));
	assert_null(session_send_table(&f, 0, 3));
	set_owner();
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_CALL, 1, f.driver.call));
	set_owner();
	assert_string_equal(session_events(&f), "call1+ ");
	assert_int_equal(f.session.memory.count, 3);
	session_set_up_ring(&f, 0);
	assert_true(session_vring_runs(&f.session, 1));
	tear_down();
}

/* A device whose start had failed was plugged again: the new one's memory may overlap. */
TEST(memory_from_before_owner_gives_way_to_the_first_region)
{
	session_fixture_init(&f);
	assert_null(session_send_u64(&f, VHOST_USER_SET_PROTOCOL_FEATURES,
	                             session_ask(&f, VHOST_USER_GET_PROTOCOL_FEATURES)));
	assert_null(add(&f.memory.region[0]));
	assert_null(add(&f.memory.region[1]));
	set_owner();
	/* What can't be taken changes nothing. */
	assert_non_null(
	    session_send_region(&f, VHOST_USER_ADD_MEM_REG, &f.memory.region[1], f.driver.kick));
	assert_int_equal(f.session.memory.count, 2);
	assert_null(add(&f.memory.region[1]));
	assert_int_equal(f.session.memory.count, 1);
	assert_int_equal(f.record->regions_count, 1);
	/* Only the first region after the message begins anew. */
	assert_non_null(add(&f.memory.region[1]));
	assert_null(add(&f.memory.region[0]));
	assert_int_equal(f.session.memory.count, 2);
	tear_down();
}

TEST(a_session_begins_without_the_log_of_the_one_before)
{
	int fd = memfd_create("log", MFD_CLOEXEC), call = eventfd(0, EFD_CLOEXEC);

	set_up();
	assert_int_equal(ftruncate(fd, 1 << 24), 0);
	assert_null(session_send_log(&f, 1 << 24, 0, fd));
	assert_null(session_send(&f, VHOST_USER_SET_LOG_FD, NULL, 0, &call, 1));
	stop_ring();
	set_owner();
	assert_false(dirty_log_is_there(&f.session.log));
	assert_same(f.record->log.size, 0);
	assert_int_equal(f.log_call, -1);
	tear_down();
	close(fd);
	close(call);
}

/* QEMU sends the socket before SET_OWNER: the new one's, or none if it has no such feature. */
TEST(the_socket_for_messages_is_the_new_sessions)
{
	int pair[2];

	set_up();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_null(session_send(&f, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, pair, 1));
	stop_ring();
	set_owner();
	assert_true(f.backend_req >= 0);
	assert_null(session_send_u64(&f, VHOST_USER_SET_PROTOCOL_FEATURES, 1ull << 3));
	assert_int_equal(f.backend_req, -1);
	tear_down();
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(owner_after_the_rings_have_stopped_begins_a_session),
	    UNIT(each_session_may_share_the_same_memory_region_by_region),
	    UNIT(a_ring_that_is_only_disabled_is_stopped),
	    UNIT(owner_disturbs_no_ring_at_work),
	    UNIT(owner_before_any_ring_has_started_takes_nothing_away),
	    UNIT(memory_from_before_owner_gives_way_to_the_first_region),
	    UNIT(a_session_begins_without_the_log_of_the_one_before),
	    UNIT(the_socket_for_messages_is_the_new_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
