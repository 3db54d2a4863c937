/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Tests the test support library itself: guest memory, resources, and the frontend here; the driver
 * and the console in self_test_driver.c, self_test_console.c and self_test_multiport.c.
 */
#include "self_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_backend.h"
#include "frontend.h"
#include "guest_memory.h"
#include "support.h"

static jmp_buf death;
static char last_words[512];

static void on_death(const char *message)
{
	snprintf(last_words, sizeof(last_words), "%s", message);
	longjmp(death, 1);
}

void expect_death(void (*f)(void *arg), void *arg, const char *text)
{
	support_on_die = on_death;
	last_words[0] = 0;
	if (!setjmp(death))
		f(arg);
	support_on_die = NULL;
	if (!last_words[0])
		fail_msg("survived; expected: %s", text);
	if (!strstr(last_words, text))
		fail_msg("died of \"%s\", not of \"%s\"", last_words, text);
}

/* ---- guest memory ---- */

static bool overlap(uint64_t a, uint64_t b, uint64_t size)
{
	return a < b + size && b < a + size;
}

static void addresses_never_coincide(void **state)
{
	uint64_t starts[4 * GUEST_MEMORY_REGIONS];
	struct guest_memory memory;
	unsigned int i, j, count = 0;

	(void)state;
	guest_memory_init(&memory);
	for (i = 0; i < memory.count; i++) {
		starts[count++] = memory.region[i].gpa;
		starts[count++] = memory.region[i].uva;
		starts[count++] = memory.region[i].offset;
		starts[count++] = (uint64_t)(uintptr_t)memory.region[i].map;
	}
	for (i = 0; i < count; i++)
		for (j = 0; j < i; j++)
			if (i % 4 != j % 4)
				assert_false(overlap(starts[i], starts[j], 1 << 24));
	assert_int_equal(memory.region[0].gpa + memory.region[0].size, memory.region[1].gpa);
	guest_memory_deinit(&memory);
	guest_memory_deinit(&memory);
}

static void addresses_convert(void **state)
{
	struct guest_memory memory;
	uint64_t gpa;
	uint8_t in_file;
	unsigned int i;

	(void)state;
	guest_memory_init(&memory);
	for (i = 0; i < memory.count; i++) {
		gpa = guest_memory_alloc(&memory, i, 64, 16);
		assert_int_equal(gpa % 32, 16);
		*(uint8_t *)guest_memory_at(&memory, gpa, 64) = (uint8_t)(0x40 + i);
		assert_int_equal(guest_memory_to_gpa(&memory, guest_memory_to_uva(&memory, gpa)),
		                 gpa);
		assert_int_equal(
		    pread(memory.region[i].fd, &in_file, 1,
		          (off_t)(gpa - memory.region[i].gpa + memory.region[i].offset)),
		    1);
		assert_int_equal(in_file, 0x40 + i);
	}
	guest_memory_deinit(&memory);
}

static void bounds_are_exact(void **state)
{
	struct guest_memory memory;
	uint8_t written[64], read_back[64];
	uint64_t gpa;

	(void)state;
	guest_memory_init(&memory);
	gpa = guest_memory_last_bytes(&memory, 1, 64);
	assert_non_null(guest_memory_find(&memory, gpa, 64));
	assert_null(guest_memory_find(&memory, gpa, 65));
	assert_null(guest_memory_find(&memory, guest_memory_outside(&memory, 64), 1));
	gpa = guest_memory_crossing(&memory, sizeof(written));
	assert_null(guest_memory_find(&memory, gpa, sizeof(written)));
	support_fill_pattern(written, sizeof(written), 7);
	guest_memory_write(&memory, gpa, written, sizeof(written));
	guest_memory_read(&memory, gpa, read_back, sizeof(read_back));
	assert_memory_equal(written, read_back, sizeof(written));
	assert_memory_equal(guest_memory_at(&memory, memory.region[1].gpa, 32), written + 32, 32);
	guest_memory_deinit(&memory);
}

static void regions_come_and_go(void **state)
{
	struct guest_memory memory;
	unsigned int added;

	(void)state;
	guest_memory_init(&memory);
	added = guest_memory_add(&memory, 0x900000000, 0x400000000000, 0x1234, 0x21000, -1);
	assert_int_equal(added, 3);
	memset(guest_memory_at(&memory, 0x900000000, 0x21000), 1, 0x21000);
	guest_memory_remove(&memory, 1);
	assert_int_equal(memory.count, 3);
	assert_int_equal(memory.region[2].gpa, 0x900000000);
	assert_null(guest_memory_find(&memory, 0x481000000, 1));
	guest_memory_deinit(&memory);
}

static void take_number(void *text)
{
	support_number(text, 65535);
}

static void numbers_are_whole_and_in_range(void **state)
{
	static char *const bad[] = {
	    "", "x", "-1", "+1", " 1", "1 ", "0x1", "65536", "18446744073709551617"};

	(void)state;
	assert_int_equal(support_number("0", 0), 0);
	assert_int_equal(support_number("65535", 65535), 65535);
	assert_int_equal(support_number("18446744073709551615", UINT64_MAX), UINT64_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_death(take_number, bad[i], "isn't a number up to 65535");
}

static void lines_of_gaps_are_known(void **state)
{
	static const char *const bad[] = {"",
	                                  "\r\n[vhost-user-console: 12 bytes skipped]",
	                                  "[vhost-user-console: 12 bytes skipped]\r\n",
	                                  "\r\n[vhost-user-console: -1 bytes skipped]\r\n",
	                                  "\r\n[vhost-user-console:  bytes skipped]\r\n",
	                                  "\r\n[vhost-user-console: 12 bytes kept]\r\n"};
	uint64_t skipped = 0;

	(void)state;
	assert_true(
	    support_is_gap_line("\r\n[vhost-user-console: 12 bytes skipped]\r\n", &skipped));
	assert_int_equal(skipped, 12);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(support_is_gap_line(bad[i], &skipped));
}

static void patterns_avoid_sysrq(void **state)
{
	uint8_t bytes[1000];
	size_t i;

	(void)state;
	support_fill_pattern(bytes, sizeof(bytes), 12345);
	for (i = 0; i < sizeof(bytes); i++)
		assert_int_not_equal(bytes[i], 0x0f);
}

/* ---- resources ---- */

static void leaks_are_seen(void **state)
{
	struct resources before, with_file, with_mapping;
	long page = sysconf(_SC_PAGESIZE);
	void *mapped;
	int fd;

	(void)state;
	resources_count(&before);
	fd = memfd_create("leak", MFD_CLOEXEC);
	resources_count(&with_file);
	mapped = mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, fd, 0);
	resources_count(&with_mapping);
	assert_true(resources_same(&before, &before));
	assert_int_equal(with_file.fds, before.fds + 1);
	assert_false(resources_same(&before, &with_file));
	assert_int_equal(with_mapping.mappings, before.mappings + 1);
	assert_false(resources_same(&with_file, &with_mapping));
	munmap(mapped, (size_t)page);
	close(fd);
	resources_free(&before);
	resources_free(&with_file);
	resources_free(&with_mapping);
}

int self_test_memory(void)
{
	const struct CMUnitTest tests[] = {
	    SELF_TEST(addresses_never_coincide),
	    SELF_TEST(addresses_convert),
	    SELF_TEST(bounds_are_exact),
	    SELF_TEST(regions_come_and_go),
	    SELF_TEST(numbers_are_whole_and_in_range),
	    SELF_TEST(lines_of_gaps_are_known),
	    SELF_TEST(patterns_avoid_sysrq),
	    SELF_TEST(leaks_are_seen),
	};

	return cmocka_run_group_tests_name("memory", tests, resources_group_setup,
	                                   resources_group_teardown);
}

/* ---- frontend ---- */

struct pair {
	struct frontend frontend;
	struct fake_backend fake;
};

static void connect_pair(struct pair *pair)
{
	fake_backend_init(&pair->fake, frontend_init_pair(&pair->frontend));
	pair->frontend.turn = fake_backend_turn;
	pair->frontend.turn_arg = &pair->fake;
}

static void disconnect_pair(struct pair *pair)
{
	frontend_deinit(&pair->frontend);
	fake_backend_deinit(&pair->fake);
}

static void messages_are_exact(void **state)
{
	static const uint8_t expected[] = {12, 0, 0, 0, 1, 0, 0, 0, 8, 0,
	                                   0,  0, 3, 1, 0, 0, 0, 0, 0, 0};
	struct frontend frontend;
	uint8_t bytes[64];
	int peer = frontend_init_pair(&frontend);

	(void)state;
	assert_int_equal(frontend_set_vring_kick(&frontend, 3, -1), 0);
	assert_int_equal(read(peer, bytes, sizeof(bytes)), sizeof(expected));
	assert_memory_equal(bytes, expected, sizeof(expected));
	close(peer);
	assert_true(frontend_peer_closed(&frontend));
	assert_int_equal(frontend_set_owner(&frontend), FE_CLOSED);
	frontend_deinit(&frontend);
}

static unsigned int receive_part(int sock, size_t size)
{
	char control[CMSG_SPACE(4 * sizeof(int))];
	uint8_t bytes[64];
	struct iovec iov = {bytes, size};
	struct msghdr header = {.msg_iov = &iov,
	                        .msg_iovlen = 1,
	                        .msg_control = control,
	                        .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg;
	int fd;

	assert_int_equal(recvmsg(sock, &header, 0), size);
	cmsg = CMSG_FIRSTHDR(&header);
	if (!cmsg)
		return 0;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	close(fd);
	return 1;
}

static void messages_can_be_spoilt(void **state)
{
	struct frontend_message message;
	struct frontend frontend;
	int peer = frontend_init_pair(&frontend);
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	frontend_message_init(&message, 99);
	frontend_message_u64(&message, 1);
	frontend_message_fd(&message, fd);
	message.size = 1000000;
	message.flags = 0xffff;
	message.fds_at = 14;
	assert_int_equal(frontend_send_part(&frontend, &message, 0, 5), 0);
	assert_int_equal(receive_part(peer, 5), 0);
	assert_int_equal(frontend_send_part(&frontend, &message, 5, 20), 0);
	assert_int_equal(receive_part(peer, 9), 0);
	assert_int_equal(receive_part(peer, 6), 1);
	assert_int_equal(frontend_send_split(&frontend, &message, 12), 0);
	assert_int_equal(receive_part(peer, 14), 0);
	assert_int_equal(receive_part(peer, 6), 1);
	close(fd);
	close(peer);
	frontend_deinit(&frontend);
}

static void acknowledgements_come_back(void **state)
{
	struct pair pair;

	(void)state;
	connect_pair(&pair);
	assert_int_equal(frontend_set_owner(&pair.frontend), 0);
	frontend_barrier(&pair.frontend);
	assert_int_equal(pair.fake.record[0].flags, FE_FLAG_VERSION);
	pair.frontend.need_reply = FE_NEED_REPLY_SETS;
	pair.fake.refuse = FE_SET_VRING_NUM;
	assert_int_equal(frontend_set_vring_num(&pair.frontend, 0, 8), 1);
	assert_int_equal(frontend_set_vring_base(&pair.frontend, 0, 8), 0);
	frontend_get_queue_num(&pair.frontend);
	pair.frontend.need_reply = FE_NEED_REPLY_ALL;
	assert_int_equal(frontend_get_vring_base(&pair.frontend, 0), 8);
	assert_int_equal(pair.fake.record[4].flags, FE_FLAG_VERSION);
	assert_int_equal(pair.fake.record[5].flags, FE_FLAG_VERSION | FE_FLAG_NEED_REPLY);
	assert_true(frontend_silent(&pair.frontend, 20));
	disconnect_pair(&pair);
}

static void get_features(void *arg)
{
	frontend_get_features(arg);
}

static void await_closed(void *arg)
{
	frontend_await_closed(arg);
}

static void bad_answers_end_the_test(void **state)
{
	struct pair pair;

	(void)state;
	connect_pair(&pair);
	pair.fake.wrong_flags = FE_FLAG_NEED_REPLY;
	expect_death(get_features, &pair.frontend, "flags 0xd");
	pair.fake.wrong_flags = 0;
	pair.fake.mute = true;
	expect_death(get_features, &pair.frontend, "a message of the backend");
	support_set_deadline_ms(50);
	expect_death(await_closed, &pair.frontend, "the backend to close");
	support_set_deadline_ms(0);
	close(pair.fake.sock);
	pair.fake.sock = -1;
	expect_death(get_features, &pair.frontend, "closed the connection at GET_FEATURES");
	assert_int_equal(frontend_await_closed(&pair.frontend), 0);
	disconnect_pair(&pair);
}

static void hang_up_when_sent(struct frontend *frontend, enum frontend_moment moment,
                              uint32_t request)
{
	(void)request;
	if (moment == FE_SENT)
		frontend_hangup(frontend);
}

static void hanging_up_is_quiet(void **state)
{
	struct pair pair;

	(void)state;
	connect_pair(&pair);
	pair.frontend.observe = hang_up_when_sent;
	assert_int_equal(frontend_get_features(&pair.frontend), 0);
	assert_int_equal(pair.frontend.sock, -1);
	assert_int_equal(frontend_set_owner(&pair.frontend), FE_CLOSED);
	assert_int_equal(pair.frontend.sent, 1);
	disconnect_pair(&pair);
}

static void backend_requests_arrive(void **state)
{
	uint32_t change[3] = {FE_BACKEND_CONFIG_CHANGE_MSG, FE_FLAG_VERSION | FE_FLAG_NEED_REPLY};
	struct frontend_reply request;
	uint32_t answer[5];
	struct pair pair;

	(void)state;
	connect_pair(&pair);
	pair.frontend.need_reply = FE_NEED_REPLY_SETS;
	assert_int_equal(frontend_set_backend_req_fd(&pair.frontend), 0);
	assert_int_equal(write(pair.fake.channel, change, sizeof(change)), sizeof(change));
	assert_int_equal(frontend_receive_backend_request(&pair.frontend, &request), 0);
	assert_int_equal(request.request, FE_BACKEND_CONFIG_CHANGE_MSG);
	frontend_answer_backend_request(&pair.frontend, &request, 7);
	assert_int_equal(read(pair.fake.channel, answer, sizeof(answer)), sizeof(answer));
	assert_int_equal(answer[1], FE_FLAG_VERSION | FE_FLAG_REPLY);
	assert_int_equal(answer[3], 7);
	disconnect_pair(&pair);
}

int self_test_frontend(void)
{
	const struct CMUnitTest tests[] = {
	    SELF_TEST(messages_are_exact),         SELF_TEST(messages_can_be_spoilt),
	    SELF_TEST(acknowledgements_come_back), SELF_TEST(bad_answers_end_the_test),
	    SELF_TEST(hanging_up_is_quiet),        SELF_TEST(backend_requests_arrive),
	};

	return cmocka_run_group_tests_name("frontend", tests, resources_group_setup,
	                                   resources_group_teardown);
}

int main(void)
{
	return self_test_memory() + self_test_frontend() + self_test_driver() +
	       self_test_console() + self_test_multiport();
}
