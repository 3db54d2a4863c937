/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the session's memory: tables and regions that come and go under running vrings, and that
 * no message leaks a descriptor or a mapping, however often it comes (R8).
 */
#include "unit.h"

#include "session_fixture.h"

#include <fcntl.h>
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

/* The ring is worked where the guest has it: a chain goes through. */
static void assert_ring_works(void)
{
	uint64_t data = guest_memory_first_bytes(&f.memory, 0);
	struct virtq_chain chain;
	struct driver_used used;

	assert_true(session_vring_runs(&f.session, 1));
	assert_true(driver_add(&f.driver, &(struct driver_buffer){data, 4, false}, 1, 9));
	driver_publish(&f.driver);
	assert_int_equal(virtq_peek(&f.vrings[1], &chain), VIRTQ_OK);
	virtq_push(&f.vrings[1], &chain);
	virtq_publish(&f.vrings[1]);
	assert_true(driver_harvest(&f.driver, &used));
	assert_int_equal(used.cookie, 9);
}

TEST(a_table_that_still_has_the_ring_keeps_it_running)
{
	set_up();
	assert_ring_works();
	assert_null(session_send_table(&f, 0, 3));
	assert_string_equal(session_events(&f), "settle1 runs1 ");
	assert_ring_works();
	/* Only the ring's region. */
	assert_null(session_send_table(&f, 0, 1));
	assert_string_equal(session_events(&f), "settle1 runs1 ");
	assert_int_equal(f.session.memory.count, 1);
	assert_int_equal(f.record->regions_count, 1);
	assert_ring_works();
	tear_down();
}

TEST(a_table_without_the_ring_loses_it_and_it_can_be_started_again)
{
	set_up();
	assert_ring_works();
	assert_null(session_send_table(&f, 1, 2));
	assert_string_equal(session_events(&f), "settle1 kick1- lost1 ");
	assert_false(session_vring_runs(&f.session, 1));
	assert_non_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_null(session_send_table(&f, 0, 3));
	assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_string_equal(session_events(&f), "kick1+ runs1 ");
	assert_ring_works();
	tear_down();
}

/* Sets vring `i` up with its parts at these frontend addresses; why that is refused, or NULL. */
static const char *set_up_parts(uint32_t i, uint64_t desc, uint64_t avail, uint64_t used)
{
	struct frontend_vring_addr addr = {.index = i, .desc = desc, .avail = avail, .used = used};

	assert_null(session_send_state(&f, VHOST_USER_SET_VRING_NUM, i, SESSION_RING_SIZE));
	assert_null(session_send_state(&f, VHOST_USER_SET_VRING_BASE, i, 0));
	assert_null(session_send_addr(&f, i, &addr));
	return session_send_fd(&f, VHOST_USER_SET_VRING_KICK, i, f.driver.kick);
}

/* Parts of one ring that have a byte in common, whichever two. */
TEST(a_ring_whose_parts_overlap_is_refused)
{
	uint64_t at, desc, avail, used;

	set_up();
	at = f.memory.region[1].uva;
	desc = at;
	avail = desc + 16 * SESSION_RING_SIZE;
	used = avail + 64;
	assert_null(set_up_parts(0, desc, avail, used));
	assert_non_null(set_up_parts(0, desc, desc + 16 * SESSION_RING_SIZE - 2, used));
	assert_non_null(set_up_parts(0, desc, avail, desc + 16 * SESSION_RING_SIZE - 4));
	assert_non_null(set_up_parts(0, desc, used + 8, used));
	assert_non_null(set_up_parts(0, desc, avail, avail));
	/* Without event fields one part may begin where they would be. */
	assert_null(session_send_u64(&f, VHOST_USER_SET_FEATURES,
	                             1ull << 32 | 1ull << VHOST_USER_F_PROTOCOL_FEATURES));
	assert_null(set_up_parts(0, desc, avail, avail + 4 + 2 * SESSION_RING_SIZE));
	assert_non_null(set_up_parts(0, desc, avail, avail + 2 * SESSION_RING_SIZE));
	tear_down();
}

/* So are two that run. One that rests may lie where the driver has begun something new. */
TEST(rings_that_overlap_do_not_run_together)
{
	struct frontend_vring_addr other;
	uint64_t at;

	set_up();
	other = driver_queue_addr(&f.driver);
	at = f.memory.region[1].uva;
	assert_null(session_send_state(&f, VHOST_USER_SET_VRING_ENABLE, 0, 0));
	assert_null(set_up_parts(0, at, at + 1024, other.used));
	assert_non_null(session_send_state(&f, VHOST_USER_SET_VRING_ENABLE, 0, 1));
	assert_false(session_vring_runs(&f.session, 0));
	assert_ring_works();
	assert_null(session_send_state(&f, VHOST_USER_SET_VRING_ENABLE, 1, 0));
	assert_null(session_send_state(&f, VHOST_USER_SET_VRING_ENABLE, 0, 1));
	assert_non_null(session_send_state(&f, VHOST_USER_SET_VRING_ENABLE, 1, 1));
	/* Enabled from the start: its kick is refused. */
	assert_null(set_up_parts(0, at, at + 1024, at + 2048));
	assert_null(session_send_state(&f, VHOST_USER_SET_VRING_ENABLE, 1, 1));
	assert_non_null(set_up_parts(0, other.desc, at + 1024, at + 2048));
	tear_down();
}

/*
 * Two regions that were different bytes become the same ones: what a start refuses, a new table
 * doesn't bring about. The used index would make chains available, for ever.
 */
TEST(a_table_that_makes_parts_overlap_stops_the_ring)
{
	struct guest_region *region;
	unsigned int count, shared;

	set_up();
	count = f.memory.count;
	shared = guest_memory_add(&f.memory, 1ull << 41, 1ull << 46, 0, 8192, -1);
	region = &f.memory.region[guest_memory_add(&f.memory, 1ull << 42, 1ull << 47, 4096, 4096,
	                                           (int)shared)];
	assert_null(session_send_table(&f, 0, count + 2));
	assert_null(session_send_state(&f, VHOST_USER_SET_VRING_ENABLE, 0, 1));
	assert_null(
	    set_up_parts(0, f.memory.region[1].uva, f.memory.region[shared].uva, region->uva));
	assert_true(session_vring_runs(&f.session, 0));
	session_events(&f);
	region->offset = 0;
	assert_null(session_send_table(&f, 0, count + 2));
	assert_non_null(strstr(session_events(&f), "kick0- lost0 "));
	assert_false(session_vring_runs(&f.session, 0));
	assert_ring_works();
	tear_down();
}

TEST(an_empty_table_loses_every_ring_and_keeps_the_base)
{
	struct wire_vring_state wire;

	set_up();
	assert_ring_works();
	assert_null(session_send_table(&f, 0, 0));
	assert_string_equal(session_events(&f), "settle1 kick1- lost1 ");
	assert_null(session_send_state(&f, VHOST_USER_GET_VRING_BASE, 1, 0));
	memcpy(&wire, f.reply.payload, sizeof(wire));
	assert_int_equal(le32_get(wire.num), 1);
	assert_string_equal(session_events(&f), "");
	tear_down();
}

/* The guest's RAM moved to another address of the frontend's: the ring's address is gone. */
TEST(a_table_with_other_user_addresses_loses_the_ring)
{
	set_up();
	f.memory.region[0].uva += 0x100000000;
	assert_null(session_send_table(&f, 0, 3));
	f.memory.region[0].uva -= 0x100000000;
	assert_string_equal(session_events(&f), "settle1 kick1- lost1 ");
	tear_down();
}

TEST(a_disabled_ring_follows_the_memory_without_running)
{
	set_up();
	assert_null(session_send_state(&f, VHOST_USER_SET_VRING_ENABLE, 1, 0));
	assert_string_equal(session_events(&f), "settle1 ");
	assert_null(session_send_table(&f, 0, 3));
	assert_string_equal(session_events(&f), "");
	assert_null(session_send_state(&f, VHOST_USER_SET_VRING_ENABLE, 1, 1));
	assert_string_equal(session_events(&f), "runs1 ");
	assert_ring_works();
	tear_down();
}

TEST(a_region_is_added_without_disturbing_anybody)
{
	unsigned int i;

	set_up();
	i = guest_memory_add(&f.memory, 0x900000000, 0x3c0000000000, 0x1000, 0x10000, -1);
	assert_null(session_send_region(&f, VHOST_USER_ADD_MEM_REG, &f.memory.region[i],
	                                f.memory.region[i].fd));
	assert_int_equal(f.record->regions_count, 4);
	assert_non_null(gmem_guest(&f.session.memory, 0x900000000, 0x10000));
	assert_string_equal(session_events(&f), "");
	assert_ring_works();
	tear_down();
}

TEST(a_region_that_goes_takes_the_rings_that_lie_in_it)
{
	static const struct {
		unsigned int region;
		const char *events;
	} rows[] = {
	    {0, "settle1 kick1- lost1 "},
	    {1, "settle1 runs1 "},
	    {2, "settle1 runs1 "},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct guest_region *region;

		set_up();
		region = &f.memory.region[rows[i].region];
		assert_null(session_send_region(&f, VHOST_USER_REM_MEM_REG, region, -1));
		assert_string_equal(session_events(&f), rows[i].events);
		assert_int_equal(f.record->regions_count, 2);
		assert_null(gmem_guest(&f.session.memory, region->gpa, 1));
		if (rows[i].region != 0)
			assert_ring_works();
		assert_null(session_send_region(&f, VHOST_USER_ADD_MEM_REG, region, region->fd));
		assert_int_equal(f.record->regions_count, 3);
		assert_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
		assert_ring_works();
		tear_down();
	}
}

TEST(regions_may_be_added_up_to_the_slots_that_are_told)
{
	uint64_t slots;

	set_up();
	slots = session_ask(&f, VHOST_USER_GET_MAX_MEM_SLOTS);
	for (uint64_t i = 3; i <= slots; i++) {
		struct guest_region region = f.memory.region[0];

		region.gpa = 0x900000000 + i * 0x10000;
		region.uva = 0x3c0000000000 + i * 0x10000;
		region.size = 0x1000;
		assert_int_equal(
		    !session_send_region(&f, VHOST_USER_ADD_MEM_REG, &region, region.fd),
		    i < slots);
	}
	assert_ring_works();
	tear_down();
}

/* A guest's share of the addresses: with all of its three regions, it has room for `rest`. */
TEST(memory_and_log_have_a_bound_together)
{
	int fd = memfd_create("large", MFD_CLOEXEC);
	struct guest_region large = {.gpa = 1ull << 44, .uva = 1ull << 45}, saved;
	uint64_t rest;

	set_up();
	rest = SESSION_MAPPED - gmem_mapped(&f.session.memory);
	assert_int_equal(ftruncate(fd, 2 * SESSION_MAPPED), 0);
	large.size = rest + 0x1000;
	assert_non_null(session_send_region(&f, VHOST_USER_ADD_MEM_REG, &large, fd));
	assert_non_null(session_send_log(&f, rest + 0x1000, 0, fd));
	assert_null(session_send_log(&f, rest - 0x1000, 0, fd));
	large.size = 0x1001;
	assert_non_null(session_send_region(&f, VHOST_USER_ADD_MEM_REG, &large, fd));
	large.size = 0x1000;
	assert_null(session_send_region(&f, VHOST_USER_ADD_MEM_REG, &large, fd));
	/* What takes the place of what is there is judged as if that had gone. */
	assert_null(session_send_log(&f, rest - 0x1000, 0, fd));
	assert_null(session_send_table(&f, 0, 3));
	assert_null(session_send_region(&f, VHOST_USER_ADD_MEM_REG, &large, fd));
	saved = f.memory.region[0];
	f.memory.region[0].size = rest;
	f.memory.region[0].fd = fd;
	assert_non_null(session_send_table(&f, 0, 1));
	f.memory.region[0] = saved;
	assert_ring_works();
	tear_down();
	close(fd);
}

TEST(the_record_has_the_regions_as_they_were_told)
{
	static const struct gmem_region none;

	set_up();
	for (unsigned int i = 0; i < 3; i++) {
		/* By guest address. */
		static const unsigned int order[] = {2, 0, 1};
		const struct gmem_region *row = &f.regions[i * SESSION_REGIONS_STRIDE];
		const struct guest_region *region = &f.memory.region[order[i]];

		assert_same(row->guest_addr, region->gpa);
		assert_same(row->user_addr, region->uva);
		assert_same(row->size, region->size);
		assert_same(row->mmap_offset, region->offset);
		/* Other sessions' places in that row. */
		for (unsigned int k = 1; k < SESSION_REGIONS_STRIDE; k++)
			assert_memory_equal(&row[k], &none, sizeof(none));
	}
	tear_down();
}

/* R8. Each row is sent with its descriptor, 10,000 times. */

static void send_kick(int fd)
{
	session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, fd);
}

static void send_call(int fd)
{
	session_send_fd(&f, VHOST_USER_SET_VRING_CALL, 1, fd);
}

static void send_err(int fd)
{
	session_send_fd(&f, VHOST_USER_SET_VRING_ERR, 1, fd);
}

static void send_channel(int fd)
{
	session_send(&f, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &fd, 1);
}

static void send_log_call(int fd)
{
	session_send(&f, VHOST_USER_SET_LOG_FD, NULL, 0, &fd, fd >= 0);
}

/* What came with it is the memory's file; that it is short is found out before or after. */
static void send_log(int fd)
{
	const struct guest_region *region = &f.memory.region[1];

	session_send_log(&f, 0x91000, region->offset, fd >= 0 ? fd : region->fd);
	session_send_log(&f, UINT64_MAX, region->offset, region->fd);
}

static void send_table(int fd)
{
	int saved = f.memory.region[2].fd;

	if (fd >= 0)
		f.memory.region[2].fd = fd; /* the last one of three is wrong */
	session_send_table(&f, 0, 3);
	f.memory.region[2].fd = saved;
}

static void send_added_and_removed(int fd)
{
	struct guest_region region = f.memory.region[1];

	region.gpa = 0x900000000;
	region.uva = 0x3c0000000000;
	session_send_region(&f, VHOST_USER_ADD_MEM_REG, &region, fd >= 0 ? fd : region.fd);
	/* With a descriptor that is of no use: some frontends send it. */
	session_send_region(&f, VHOST_USER_REM_MEM_REG, &region, region.fd);
}

static void send_twice_added(int fd)
{
	session_send_region(&f, VHOST_USER_ADD_MEM_REG, &f.memory.region[1],
	                    fd >= 0 ? fd : f.memory.region[1].fd);
}

static void send_where_none_belongs(int fd)
{
	session_send(&f, VHOST_USER_GET_FEATURES, NULL, 0, &fd, fd >= 0);
	session_send(&f, VHOST_USER_SET_OWNER, NULL, 0, &fd, fd >= 0);
	session_send(&f, 99, NULL, 0, &fd, fd >= 0);
}

static void assert_nothing_leaks(void (*send)(int fd), int fd, unsigned int times)
{
	struct resources before, after;
	bool same;

	/* The first time may put something in an empty place. */
	send(fd);
	resources_count(&before);
	for (unsigned int i = 0; i < times; i++)
		send(fd);
	resources_count(&after);
	same = resources_same(&before, &after);
	resources_free(&before);
	resources_free(&after);
	assert_true(same);
	session_events(&f);
}

TEST(no_message_leaks_however_often_it_comes)
{
	static void (*const messages[])(int fd) = {
	    send_kick,        send_call,
	    send_err,         send_channel,
	    send_table,       send_added_and_removed,
	    send_twice_added, send_where_none_belongs,
	    send_log_call,    send_log,
	};
	int pair[2], event = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (size_t i = 0; i < ROWS(messages); i++) {
		/* What each may bring: nothing of ours, an eventfd, a socket. Some are refused. */
		const int fds[] = {-1, event, pair[0]};

		for (size_t k = 0; k < ROWS(fds); k++) {
			set_up();
			if (fds[k] >= 0 || messages[i] != send_channel)
				assert_nothing_leaks(messages[i], fds[k], 10000);
			tear_down();
		}
	}
	close(pair[0]);
	close(pair[1]);
	close(event);
}

TEST(no_number_of_connections_leaks)
{
	struct resources before, after;

	set_up();
	resources_count(&before);
	for (unsigned int i = 0; i < 1000; i++) {
		session_reset(&f.session);
		session_bring_up(&f);
	}
	resources_count(&after);
	assert_true(resources_same(&before, &after));
	resources_free(&before);
	resources_free(&after);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_table_that_still_has_the_ring_keeps_it_running),
	    UNIT(a_table_without_the_ring_loses_it_and_it_can_be_started_again),
	    UNIT(a_ring_whose_parts_overlap_is_refused),
	    UNIT(rings_that_overlap_do_not_run_together),
	    UNIT(a_table_that_makes_parts_overlap_stops_the_ring),
	    UNIT(an_empty_table_loses_every_ring_and_keeps_the_base),
	    UNIT(a_table_with_other_user_addresses_loses_the_ring),
	    UNIT(a_disabled_ring_follows_the_memory_without_running),
	    UNIT(a_region_is_added_without_disturbing_anybody),
	    UNIT(a_region_that_goes_takes_the_rings_that_lie_in_it),
	    UNIT(regions_may_be_added_up_to_the_slots_that_are_told),
	    UNIT(memory_and_log_have_a_bound_together),
	    UNIT(the_record_has_the_regions_as_they_were_told),
	    UNIT(no_message_leaks_however_often_it_comes),
	    UNIT(no_number_of_connections_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
