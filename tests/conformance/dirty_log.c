/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest that is migrated while its console is used ("Migration"): every page that the backend
 * writes is marked in the frontend's log. And RESET_DEVICE.
 */
#include "testbed.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOG_SIZE 0x100000u /* for guest addresses below 0x8_0000_0000 */
#define LOG_ALL  (1ull << FE_F_LOG_ALL)
#define REGIONS  3 /* of guest_memory_init() */

struct log {
	int fd;
	uint8_t *bits;
};

static struct log log_new(void)
{
	struct log log = {.fd = memfd_create("log", MFD_CLOEXEC)};

	assert_int_equal(ftruncate(log.fd, LOG_SIZE), 0);
	log.bits = mmap(NULL, LOG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, log.fd, 0);
	assert_true(log.bits != MAP_FAILED);
	return log;
}

static void log_free(struct log *log)
{
	munmap(log->bits, LOG_SIZE);
	close(log->fd);
}

static bool is_marked(const struct log *log, uint64_t gpa)
{
	return log->bits[gpa / 0x8000] >> gpa / 0x1000 % 8 & 1;
}

static bool is_clean(const struct log *log)
{
	static const uint8_t zeros[LOG_SIZE];

	return memcmp(log->bits, zeros, LOG_SIZE) == 0;
}

static struct bed_guest *prepare(uint64_t features)
{
	struct bed_guest *guest = bed_new(NULL);

	bed_negotiate(guest, features);
	bed_ring(guest, BED_RECEIVE, 16, 0);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
	return guest;
}

/* As at the start of a migration: log, features, addresses of rings at work. */
static void start_logging(struct bed_guest *guest, const struct log *log)
{
	struct frontend *frontend = &guest->frontend;

	assert_int_equal(frontend_set_log_base(frontend, LOG_SIZE, 0, log->fd), 0);
	assert_int_equal(frontend_set_features(frontend, guest->features | LOG_ALL), 0);
	for (unsigned int i = 0; i < 2; i++) {
		struct frontend_vring_addr addr = driver_queue_addr(&guest->ring[i]);

		addr.flags = 1;
		addr.log = guest_memory_to_gpa(&guest->memory, addr.used);
		assert_int_equal(frontend_set_vring_addr(frontend, &addr), 0);
	}
}

static uint64_t used_of(struct bed_guest *guest, unsigned int ring)
{
	return guest_memory_to_gpa(&guest->memory, driver_queue_addr(&guest->ring[ring]).used);
}

static uint64_t post(struct bed_guest *guest, uint32_t size)
{
	uint64_t gpa = bed_add_post(guest, size);

	driver_kick(&guest->ring[BED_RECEIVE]);
	return gpa;
}

static void a_receive_buffer_and_its_used_ring_are_marked(void **state)
{
	struct bed_guest *guest = prepare(0);
	struct log log = log_new();
	uint64_t gpa;

	(void)state;
	bed_type(guest, "before");
	start_logging(guest, &log);
	gpa = post(guest, 0x2800);
	bed_settle(guest->bed);
	memset(log.bits, 0, LOG_SIZE);
	for (unsigned int i = 0; i < 0x2800; i += 0x400)
		test_backend_type(&guest->backend, (const char *)bed_pattern(0x400), 0x400);
	driver_await(&guest->ring[BED_RECEIVE]);
	/* All at once or in parts: the first page at least. */
	assert_true(is_marked(&log, gpa));
	assert_true(is_marked(&log, used_of(guest, BED_RECEIVE)));
	log_free(&log);
}

static void a_transmitted_buffer_marks_the_used_ring_only(void **state)
{
	struct bed_guest *guest = prepare(0);
	struct log log = log_new();
	uint64_t gpa;

	(void)state;
	start_logging(guest, &log);
	gpa = bed_bytes(guest, "printed", 7);
	memset(log.bits, 0, LOG_SIZE);
	driver_add(&guest->ring[BED_TRANSMIT], &(struct driver_buffer){gpa, 7, false}, 1, 0);
	driver_kick(&guest->ring[BED_TRANSMIT]);
	driver_await(&guest->ring[BED_TRANSMIT]);
	assert_true(is_marked(&log, used_of(guest, BED_TRANSMIT)));
	assert_int_equal(is_marked(&log, gpa),
	                 gpa / 0x1000 == used_of(guest, BED_TRANSMIT) / 0x1000);
	log_free(&log);
}

/* Every page that has changed is marked: what a frontend would have to send again. */
static void no_page_that_changes_is_missed(void **state)
{
	struct bed_guest *guest = prepare(1ull << DRIVER_F_EVENT_IDX);
	struct log log = log_new();
	struct guest_region *region = guest->memory.region;
	uint8_t *before[REGIONS];

	(void)state;
	assert_int_equal(guest->memory.count, REGIONS);
	start_logging(guest, &log);
	for (unsigned int i = 0; i < 40; i++) {
		uint64_t gpa = post(guest, 1000);

		bed_settle(guest->bed);
		memset(log.bits, 0, LOG_SIZE);
		for (unsigned int k = 0; k < REGIONS; k++) {
			before[k] = malloc(region[k].size);
			memcpy(before[k], region[k].map, region[k].size);
		}
		test_backend_type(&guest->backend, (const char *)bed_pattern(1000), 1000);
		while (driver_used_count(&guest->ring[BED_RECEIVE]) == 0)
			bed_turn(guest->bed);
		bed_settle(guest->bed);
		for (unsigned int k = 0; k < REGIONS; k++) {
			for (uint64_t at = 0; at < region[k].size; at += 0x1000) {
				if (memcmp(before[k] + at, region[k].map + at, 0x1000) != 0)
					assert_true(is_marked(&log, region[k].gpa + at));
			}
			free(before[k]);
		}
		assert_true(is_marked(&log, gpa));
		driver_await(&guest->ring[BED_RECEIVE]);
	}
	log_free(&log);
}

static void logging_ends_with_its_feature_and_flags(void **state)
{
	struct bed_guest *guest = prepare(0);
	struct log log = log_new();

	(void)state;
	start_logging(guest, &log);
	bed_type(guest, "logged");
	assert_false(is_clean(&log));
	assert_int_equal(frontend_set_features(&guest->frontend, guest->features), 0);
	for (unsigned int i = 0; i < 2; i++) {
		struct frontend_vring_addr addr = driver_queue_addr(&guest->ring[i]);

		assert_int_equal(frontend_set_vring_addr(&guest->frontend, &addr), 0);
	}
	memset(log.bits, 0, LOG_SIZE);
	bed_type(guest, "not logged");
	bed_print(guest, "not logged");
	assert_true(is_clean(&log));
	log_free(&log);
}

/* "An optional message with an eventfd". */
static void the_frontend_is_told_that_the_log_has_more(void **state)
{
	struct bed_guest *guest = prepare(0);
	int event = eventfd(0, EFD_CLOEXEC);
	struct log log = log_new();
	uint64_t count;

	(void)state;
	assert_int_equal(frontend_set_log_fd(&guest->frontend, event), 0);
	bed_type(guest, "nothing to log");
	bed_settle(guest->bed);
	assert_int_equal(read(event, &count, sizeof(count)), -1);
	start_logging(guest, &log);
	bed_type(guest, "logged");
	bed_settle(guest->bed);
	assert_int_equal(read(event, &count, sizeof(count)), sizeof(count));
	log_free(&log);
	close(event);
}

/* A kick that is also told of the log: looking at a ring marks its flags, which isn't news. */
static void a_kick_that_hears_of_the_log_doesnt_go_in_circles(void **state)
{
	static const uint64_t features[] = {0, 1ull << 29 /* EVENT_IDX */};

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct bed_guest *guest = prepare(features[i]);
		struct log log = log_new();
		uint64_t before, until = support_now_ms() + 100;

		assert_int_equal(
		    frontend_set_log_fd(&guest->frontend, guest->ring[BED_TRANSMIT].kick), 0);
		start_logging(guest, &log);
		bed_print(guest, "printed");
		before = loop_completions(guest->bed->loop);
		while (support_now_ms() < until)
			bed_turn(guest->bed);
		assert_in_range(loop_completions(guest->bed->loop) - before, 0, 50);
		log_free(&log);
		bed_free(guest->bed);
	}
}

/* It is answered even by who doesn't acknowledge, once, and refused with a number. */
static void set_log_base_is_answered_in_any_case(void **state)
{
	static const enum frontend_need_reply ways[] = {FE_NEED_REPLY_NEVER, FE_NEED_REPLY_ALL};
	struct bed_guest *guest = prepare(0);
	struct log log = log_new();

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		guest->frontend.need_reply = ways[i];
		assert_int_equal(frontend_set_log_base(&guest->frontend, LOG_SIZE, 0, log.fd), 0);
		assert_int_not_equal(frontend_set_log_base(&guest->frontend, 1, 0, log.fd), 0);
		assert_int_not_equal(
		    frontend_set_log_base(&guest->frontend, LOG_SIZE, UINT64_MAX, log.fd), 0);
		assert_int_not_equal(
		    frontend_set_log_base(&guest->frontend, UINT64_MAX, 0x1000, log.fd), 0);
		assert_true(frontend_silent(&guest->frontend, 5));
	}
	bed_print(guest, "works on");
	log_free(&log);
}

static void a_log_of_a_wrong_size_or_without_its_file_is_refused(void **state)
{
	struct bed_guest *guest = prepare(0);
	struct frontend_message message;
	struct log log = log_new();

	(void)state;
	for (uint32_t size = 0; size <= 64; size++) {
		for (unsigned int fds = 0; fds <= 3; fds++) {
			frontend_message_init(&message, FE_SET_LOG_BASE);
			frontend_message_u64(&message, LOG_SIZE);
			message.size = message.length = size;
			for (unsigned int i = 0; i < fds; i++)
				frontend_message_fd(&message, log.fd);
			assert_int_equal(frontend_get(&guest->frontend, &message) == 0,
			                 size == 16 && fds == 1);
		}
	}
	bed_print(guest, "works on");
	log_free(&log);
}

static bool is_closed(struct bed_guest *guest)
{
	return frontend_peer_closed(&guest->frontend);
}

/* R18: that guest is closed, and nothing else happens. */
static void a_log_that_becomes_shorter_costs_its_guest_the_connection(void **state)
{
	struct bed_guest *guest = prepare(0), *other = bed_add(guest->bed, NULL);
	struct log log = log_new();

	(void)state;
	bed_negotiate(other, 0);
	bed_ring(other, BED_RECEIVE, 16, 0);
	bed_ring(other, BED_TRANSMIT, 16, 0);
	start_logging(guest, &log);
	assert_int_equal(ftruncate(log.fd, 0), 0);
	bed_add_print(guest, "x", 1);
	driver_kick_always(&guest->ring[BED_TRANSMIT]);
	bed_await(guest, is_closed, "the guest's connection to be closed");
	bed_print(other, "works on");
	log_free(&log);
}

static void reset_device_begins_anew_on_the_same_connection(void **state)
{
	struct bed_guest *guest = prepare(0);

	(void)state;
	for (unsigned int round = 0; round < 3; round++) {
		bed_print(guest, "before");
		bed_type(guest, "before");
		assert_int_equal(frontend_reset_device(&guest->frontend), 0);
		/* The rings are nobody's now. */
		bed_add_print(guest, "no", 2);
		driver_kick_always(&guest->ring[BED_TRANSMIT]);
		bed_settle(guest->bed);
		assert_int_equal(driver_used_count(&guest->ring[BED_TRANSMIT]), 0);
		bed_expect_output(guest, NULL, 0);
		assert_int_not_equal(frontend_set_vring_kick(&guest->frontend, BED_TRANSMIT,
		                                             guest->ring[BED_TRANSMIT].kick),
		                     0);
		assert_int_equal(frontend_set_features(&guest->frontend, guest->features), 0);
		driver_queue_deinit(&guest->ring[BED_RECEIVE]);
		driver_queue_deinit(&guest->ring[BED_TRANSMIT]);
		bed_ring(guest, BED_RECEIVE, 16, 0);
		bed_ring(guest, BED_TRANSMIT, 16, 0);
	}
	bed_print(guest, "after");
	bed_type(guest, "after");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(a_receive_buffer_and_its_used_ring_are_marked),
	    BED_TEST(a_transmitted_buffer_marks_the_used_ring_only),
	    BED_TEST(no_page_that_changes_is_missed),
	    BED_TEST(logging_ends_with_its_feature_and_flags),
	    BED_TEST(the_frontend_is_told_that_the_log_has_more),
	    BED_TEST(a_kick_that_hears_of_the_log_doesnt_go_in_circles),
	    BED_TEST(set_log_base_is_answered_in_any_case),
	    BED_TEST(a_log_of_a_wrong_size_or_without_its_file_is_refused),
	    BED_TEST(a_log_that_becomes_shorter_costs_its_guest_the_connection),
	    BED_TEST(reset_device_begins_anew_on_the_same_connection),
	};

	return BED_RUN(tests);
}
