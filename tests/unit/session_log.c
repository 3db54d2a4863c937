/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds what a migrating frontend asks for (vhost-user, "Migration"): SET_LOG_BASE, LOG_ALL and
 * VHOST_VRING_F_LOG, each page of a write marked, whatever of it is on; and RESET_DEVICE, which
 * keeps the connection's own.
 */
#include "unit.h"

#include "session_fixture.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

/* It covers what is below guest address 0x1000000000. */
#define LOG_SIZE   0x200000u
#define LOG_OFFSET 0x1000u
#define LOG_ALL    (1ull << 26)

static struct session_fixture f;
static int log_fd;
static uint8_t *bits;

static void set_up(void)
{
	session_fixture_init(&f);
	session_bring_up(&f);
	log_fd = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(ftruncate(log_fd, LOG_OFFSET + LOG_SIZE), 0);
	bits = mmap(NULL, LOG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, log_fd, LOG_OFFSET);
	assert_true(bits != MAP_FAILED);
}

static void tear_down(void)
{
	session_fixture_deinit(&f);
	munmap(bits, LOG_SIZE);
	close(log_fd);
}

static bool is_marked(uint64_t addr)
{
	return bits[addr / 0x8000] >> addr / 0x1000 % 8 & 1;
}

static unsigned int count_marked(void)
{
	unsigned int count = 0;

	for (size_t i = 0; i < LOG_SIZE; i++)
		count += (unsigned int)__builtin_popcount(bits[i]);
	return count;
}

static const char *send_addr(uint32_t flags, uint64_t log)
{
	struct frontend_vring_addr addr = driver_queue_addr(&f.driver);

	addr.flags = flags;
	addr.log = log;
	return session_send_addr(&f, 1, &addr);
}

static void set_features(uint64_t features)
{
	assert_null(session_send_u64(&f, VHOST_USER_SET_FEATURES, features));
}

/* One chain, of which `len` bytes are written, from `data` on. */
static void write_chain(uint64_t data, uint32_t len)
{
	struct virtq_chain chain;
	struct driver_used used;
	uint32_t left = len;

	assert_true(driver_add(&f.driver, &(struct driver_buffer){data, len + 1, true}, 1, 9));
	driver_publish(&f.driver);
	assert_int_equal(virtq_peek(&f.vrings[1], &chain), VIRTQ_OK);
	while (left > 0) {
		void *bytes;
		size_t n;

		assert_int_equal(virtq_chain_ready(&f.vrings[1], &chain, true), VIRTQ_OK);
		assert_int_equal(virtq_chain_next(&f.vrings[1], &chain, left, &bytes, &n),
		                 VIRTQ_OK);
		memset(bytes, 'x', n);
		left -= (uint32_t)n;
	}
	virtq_push(&f.vrings[1], &chain);
	virtq_publish(&f.vrings[1]);
	assert_true(driver_harvest(&f.driver, &used));
}

TEST(every_written_page_of_a_buffer_is_marked_and_no_other)
{
	uint64_t data;

	set_up();
	data = guest_memory_crossing(&f.memory, 0x4000);
	assert_null(session_send_log(&f, LOG_SIZE, LOG_OFFSET, log_fd));
	write_chain(data + 1, 0x2fff);
	assert_int_equal(count_marked(), 3);
	for (unsigned int i = 0; i < 3; i++)
		assert_true(is_marked(data + i * 0x1000));
	assert_true(f.session.log.marked);
	tear_down();
}

/* A page whose bit was set too early could be sent without its bytes. */
TEST(a_page_is_marked_when_it_is_written_and_not_before)
{
	uint64_t data;
	struct virtq_chain chain;
	void *bytes;
	size_t n;

	set_up();
	data = guest_memory_first_bytes(&f.memory, 0);
	assert_null(session_send_log(&f, LOG_SIZE, LOG_OFFSET, log_fd));
	driver_add(&f.driver, &(struct driver_buffer){data, 0x3000, true}, 1, 9);
	driver_publish(&f.driver);
	assert_int_equal(virtq_peek(&f.vrings[1], &chain), VIRTQ_OK);
	assert_int_equal(virtq_chain_ready(&f.vrings[1], &chain, true), VIRTQ_OK);
	assert_int_equal(virtq_chain_next(&f.vrings[1], &chain, 0x1000, &bytes, &n), VIRTQ_OK);
	assert_int_equal(count_marked(), 0);
	assert_int_equal(virtq_chain_next(&f.vrings[1], &chain, 0x1000, &bytes, &n), VIRTQ_OK);
	assert_true(is_marked(data));
	assert_int_equal(count_marked(), 1);
	assert_int_equal(virtq_chain_ready(&f.vrings[1], &chain, true), VIRTQ_OK);
	assert_true(is_marked(data + 0x1000));
	assert_int_equal(virtq_chain_next(&f.vrings[1], &chain, 0x1000, &bytes, &n), VIRTQ_OK);
	assert_int_equal(count_marked(), 2);
	virtq_push(&f.vrings[1], &chain);
	assert_true(is_marked(data + 0x2000));
	assert_int_equal(count_marked(), 3);
	tear_down();
}

TEST(buffers_are_logged_with_log_all_and_a_log_only)
{
	uint64_t features, data;

	set_up();
	features = f.record->features;
	data = guest_memory_first_bytes(&f.memory, 0);
	assert_true(features & LOG_ALL);
	write_chain(data, 4);
	set_features(features & ~LOG_ALL);
	assert_null(session_send_log(&f, LOG_SIZE, LOG_OFFSET, log_fd));
	write_chain(data, 4);
	assert_int_equal(count_marked(), 0);
	assert_false(f.session.log.marked);
	set_features(features);
	assert_true(session_vring_runs(&f.session, 1));
	write_chain(data, 4);
	assert_int_equal(count_marked(), 1);
	set_features(features & ~LOG_ALL);
	write_chain(data + 0x1000, 4);
	assert_int_equal(count_marked(), 1);
	tear_down();
}

/* Each of them where the frontend says that the ring is, which needn't be memory of the guest. */
TEST(the_used_ring_is_logged_with_its_flag)
{
	const uint64_t place = 0x5ffe;
	uint64_t data;

	set_up();
	data = guest_memory_first_bytes(&f.memory, 0);
	set_features(f.record->features & ~LOG_ALL);
	assert_null(session_send_log(&f, LOG_SIZE, LOG_OFFSET, log_fd));
	write_chain(data, 4);
	assert_int_equal(count_marked(), 0);
	assert_null(send_addr(1, place));
	assert_true(session_vring_runs(&f.session, 1));
	session_events(&f);
	write_chain(data, 4);
	assert_true(is_marked(0x6000)); /* index and element */
	assert_int_equal(count_marked(), 1);
	virtq_kicks_off(&f.vrings[1]);
	virtq_kicks_on(&f.vrings[1]); /* the event, at its end */
	assert_int_equal(count_marked(), 1);
	bits[0] = 0;
	set_features(1ull << 30);
	virtq_kicks_off(&f.vrings[1]); /* without events: the flags, at its start */
	assert_true(is_marked(0x5000));
	assert_int_equal(count_marked(), 1);
	bits[0] = 0;
	virtq_kicks_on(&f.vrings[1]);
	assert_true(is_marked(0x5000));
	assert_null(send_addr(0, place));
	bits[0] = 0;
	write_chain(data, 4);
	assert_int_equal(count_marked(), 0);
	tear_down();
}

TEST(a_log_has_to_cover_the_memory_and_the_used_rings)
{
	set_up();
	assert_non_null(session_send_log(&f, 8, LOG_OFFSET, log_fd));
	assert_int_equal(f.record->log.size, 0);
	/* Before there is a log, any place is as good. */
	assert_null(send_addr(1, 1ull << 40));
	assert_non_null(session_send_log(&f, LOG_SIZE, LOG_OFFSET, log_fd));
	assert_null(send_addr(1, 0x5000));
	assert_null(session_send_log(&f, LOG_SIZE, LOG_OFFSET, log_fd));
	assert_non_null(send_addr(1, 1ull << 40));
	assert_non_null(send_addr(1, UINT64_MAX));
	assert_non_null(send_addr(1, LOG_SIZE * 0x8000ull - 8));
	assert_int_equal(f.record->vrings[1].log_addr, 0x5000);
	assert_null(send_addr(0, 1ull << 40));
	tear_down();
}

TEST(a_log_that_is_refused_leaves_the_one_before)
{
	int event = eventfd(0, EFD_CLOEXEC);
	uint64_t data;

	set_up();
	data = guest_memory_first_bytes(&f.memory, 0);
	assert_null(session_send_log(&f, LOG_SIZE, LOG_OFFSET, log_fd));
	assert_non_null(session_send_log(&f, LOG_SIZE, LOG_OFFSET, event));
	assert_non_null(session_send_log(&f, LOG_SIZE, LOG_OFFSET + 1, log_fd));
	assert_non_null(session_send_log(&f, LOG_SIZE, UINT64_MAX, log_fd));
	assert_non_null(session_send_log(&f, 0, 0, log_fd));
	write_chain(data, 4);
	assert_true(is_marked(data));
	tear_down();
	close(event);
}

TEST(a_log_needs_log_shmfd)
{
	set_up();
	assert_null(session_send_u64(&f, VHOST_USER_SET_PROTOCOL_FEATURES, 1ull << 9));
	assert_non_null(session_send_log(&f, LOG_SIZE, LOG_OFFSET, log_fd));
	tear_down();
}

TEST(the_eventfd_of_a_log_is_one_and_never_blocks)
{
	int event = eventfd(0, EFD_CLOEXEC);

	set_up();
	assert_non_null(session_send(&f, VHOST_USER_SET_LOG_FD, NULL, 0, &log_fd, 1));
	assert_int_equal(f.log_call, -1);
	assert_null(session_send(&f, VHOST_USER_SET_LOG_FD, NULL, 0, &event, 1));
	assert_true(f.log_call >= 0);
	session_reset(&f.session);
	assert_int_equal(f.log_call, -1);
	tear_down();
	close(event);
}

TEST(a_frontend_that_goes_takes_its_log_along)
{
	set_up();
	assert_null(session_send_log(&f, LOG_SIZE, LOG_OFFSET, log_fd));
	assert_null(send_addr(1, 0x5000));
	session_reset(&f.session);
	session_bring_up(&f);
	write_chain(guest_memory_first_bytes(&f.memory, 0), 4);
	assert_int_equal(count_marked(), 0);
	tear_down();
}

/* RESET_DEVICE. */

TEST(reset_device_resets_the_vrings_and_the_features)
{
	set_up();
	assert_null(session_send(&f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0));
	assert_string_equal(session_events(&f), "settle1 kick1- reset0 ");
	assert_same(f.record->features, 0);
	for (unsigned int i = 0; i < SESSION_VRINGS; i++) {
		static const struct session_vring_record zero;

		assert_memory_equal(&f.record->vrings[i], &zero, sizeof(zero));
		assert_false(f.vrings[i].event_idx);
	}
	/* It is to be set up like a new one. */
	assert_non_null(session_send_fd(&f, VHOST_USER_SET_VRING_KICK, 1, f.driver.kick));
	assert_string_equal(session_events(&f), "");
	tear_down();
}

TEST(reset_device_keeps_the_connection_memory_and_log)
{
	uint64_t data, protocol_features;

	set_up();
	data = guest_memory_first_bytes(&f.memory, 0);
	protocol_features = f.record->protocol_features;
	assert_null(session_send_log(&f, LOG_SIZE, LOG_OFFSET, log_fd));
	assert_null(send_addr(1, 0x5000));
	assert_null(session_send(&f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0));
	assert_same(f.record->protocol_features, protocol_features);
	assert_int_equal(f.session.memory.count, 3);
	assert_true(f.call[1] >= 0);
	driver_queue_deinit(&f.driver);
	driver_queue_init(&f.driver, NULL, &f.memory, 1, SESSION_RING_SIZE, 0);
	set_features(session_ask(&f, VHOST_USER_GET_FEATURES));
	session_set_up_ring(&f, 0);
	write_chain(data, 4);
	/* The buffer, and no used ring: its address has been told anew, without a log. */
	assert_true(is_marked(data));
	assert_int_equal(count_marked(), 1);
	tear_down();
}

TEST(reset_device_needs_its_protocol_feature)
{
	set_up();
	assert_null(session_send_u64(&f, VHOST_USER_SET_PROTOCOL_FEATURES, 1ull << 9));
	assert_non_null(session_send(&f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0));
	assert_true(session_vring_runs(&f.session, 1));
	assert_string_equal(session_events(&f), "");
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(every_written_page_of_a_buffer_is_marked_and_no_other),
	    UNIT(a_page_is_marked_when_it_is_written_and_not_before),
	    UNIT(buffers_are_logged_with_log_all_and_a_log_only),
	    UNIT(the_used_ring_is_logged_with_its_flag),
	    UNIT(a_log_has_to_cover_the_memory_and_the_used_rings),
	    UNIT(a_log_that_is_refused_leaves_the_one_before),
	    UNIT(a_log_needs_log_shmfd),
	    UNIT(the_eventfd_of_a_log_is_one_and_never_blocks),
	    UNIT(a_frontend_that_goes_takes_its_log_along),
	    UNIT(reset_device_resets_the_vrings_and_the_features),
	    UNIT(reset_device_keeps_the_connection_memory_and_log),
	    UNIT(reset_device_needs_its_protocol_feature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
