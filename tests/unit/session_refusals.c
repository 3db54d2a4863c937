/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds that a refusal changes nothing: not the record, not the memory, not a vring, and that
 * nobody is asked for anything.
 */
#include "unit.h"

#include "session_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct session_fixture f;

/* Each of these is refused by a session that runs. Returns why. */

static const char *features_not_offered(int wrong)
{
	(void)wrong;
	return session_send_u64(&f, VHOST_USER_SET_FEATURES, 1ull << 38);
}

static const char *protocol_features_not_offered(int wrong)
{
	(void)wrong;
	return session_send_u64(&f, VHOST_USER_SET_PROTOCOL_FEATURES, 1ull << 14);
}

static const char *kick_of_another_kind(int wrong)
{
	return session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, wrong);
}

static const char *call_of_another_kind(int wrong)
{
	return session_send_fd(&f, VHOST_USER_SET_VRING_CALL, 1, wrong);
}

static const char *err_of_another_kind(int wrong)
{
	return session_send_fd(&f, VHOST_USER_SET_VRING_ERR, 1, wrong);
}

static const char *no_kick(int wrong)
{
	(void)wrong;
	return session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, -1);
}

static const char *backend_channel_of_another_kind(int wrong)
{
	return session_send(&f, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &wrong, 1);
}

static const char *region_of_another_kind(int wrong)
{
	struct guest_region region = {.gpa = 0x1000, .uva = 0x1000, .size = 0x1000};

	return session_send_region(&f, VHOST_USER_ADD_MEM_REG, &region, wrong);
}

static const char *region_that_overlaps(int wrong)
{
	(void)wrong;
	return session_send_region(&f, VHOST_USER_ADD_MEM_REG, &f.memory.region[0],
	                           f.memory.region[0].fd);
}

static const char *region_that_is_not_there(int wrong)
{
	struct guest_region region = f.memory.region[0];

	(void)wrong;
	region.size -= 4096;
	return session_send_region(&f, VHOST_USER_REM_MEM_REG, &region, -1);
}

static const char *table_with_a_short_file(int wrong)
{
	const char *refused;

	(void)wrong;
	f.memory.region[1].size += 4096;
	refused = session_send_table(&f, 0, 3);
	f.memory.region[1].size -= 4096;
	return refused;
}

static const char *log_behind_its_file(int wrong)
{
	(void)wrong;
	return session_send_log(&f, 1ull << 40, 0, f.memory.region[0].fd);
}

static const char *log_of_another_kind(int wrong)
{
	return session_send_log(&f, 0x200000, 0, wrong);
}

static const char *log_call_of_another_kind(int wrong)
{
	return session_send(&f, VHOST_USER_SET_LOG_FD, NULL, 0, &wrong, 1);
}

static const char *vring_too_large(int wrong)
{
	(void)wrong;
	return session_send_state(&f, VHOST_USER_SET_VRING_NUM, 1, 2048);
}

TEST(a_refusal_changes_nothing)
{
	static const struct {
		const char *what;
		const char *(*send)(int wrong);
	} rows[] = {
	    {"features that aren't offered", features_not_offered},
	    {"protocol features that aren't offered", protocol_features_not_offered},
	    {"a kick that is no eventfd", kick_of_another_kind},
	    {"a call that is no eventfd", call_of_another_kind},
	    {"an err that is no eventfd", err_of_another_kind},
	    {"no kick", no_kick},
	    {"a backend channel that is no socket", backend_channel_of_another_kind},
	    {"a region that is no memory", region_of_another_kind},
	    {"a region that overlaps", region_that_overlaps},
	    {"removing a region that isn't there", region_that_is_not_there},
	    {"a table with a short file", table_with_a_short_file},
	    {"a log behind the end of its file", log_behind_its_file},
	    {"a log that is no memory", log_of_another_kind},
	    {"the log's call that is no eventfd", log_call_of_another_kind},
	    {"a vring that is too large", vring_too_large},
	};
	size_t size = session_record_size(SESSION_VRINGS);
	void *before = malloc(size);
	int pipe[2];

	assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
	for (size_t i = 0; i < ROWS(rows); i++) {
		session_fixture_init(&f);
		session_bring_up(&f);
		memcpy(before, f.record, size);
		if (!rows[i].send(pipe[0]))
			fail_msg("%s: not refused", rows[i].what);
		if (memcmp(before, f.record, size) != 0)
			fail_msg("%s: the record has changed", rows[i].what);
		if (f.events[0])
			fail_msg("%s: %s", rows[i].what, f.events);
		assert_true(session_vring_runs(&f.session, 1));
		assert_int_equal(f.session.memory.count, 3);
		assert_int_equal(f.backend_req, -1);
		session_fixture_deinit(&f);
	}
	close(pipe[0]);
	close(pipe[1]);
	free(before);
}

/* What a person can mend is told with the number that it takes. */
TEST(a_refusal_that_can_be_mended_gives_a_hint)
{
	static const struct {
		uint32_t size;
		bool fine;
	} rows[] = {{512, true}, {1024, true}, {2048, false}, {VIRTQ_SIZE_MAX, false}};

	session_fixture_init(&f);
	session_bring_up(&f);
	for (size_t i = 0; i < ROWS(rows); i++) {
		f.hints = 0;
		assert_int_equal(!session_send_state(&f, VHOST_USER_SET_VRING_NUM, 3, rows[i].size),
		                 rows[i].fine);
		assert_int_equal(f.hints, rows[i].fine ? 0 : 1u << SESSION_HINT_VRING_SIZE);
		if (!rows[i].fine)
			assert_same(f.hint_number, rows[i].size);
	}
	f.hints = 0;
	assert_non_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, -1));
	assert_int_equal(f.hints, 1u << SESSION_HINT_POLLED);
	assert_same(f.hint_number, 1);
	assert_null(session_send_table(&f, 1, 1));
	f.hints = 0;
	assert_non_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_int_equal(f.hints, 1u << SESSION_HINT_NOT_SHARED);
	session_fixture_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_refusal_changes_nothing),
	    UNIT(a_refusal_that_can_be_mended_gives_a_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
