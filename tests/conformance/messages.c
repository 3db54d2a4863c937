/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Each message by itself (vhost-user, "Front-end message types"): right, and with everything about
 * it wrong that can be. A refused message is answered and the connection lives on; one that shows
 * that the stream has lost its place closes it, and only it.
 */
#include "testbed.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* What may come with a message. */
enum attachment { NOTHING, EVENTFD, MEMFD, SOCKET };

struct message_case {
	uint32_t request;
	uint32_t size; /* of the payload */
	unsigned int min_fds, max_fds;
	enum attachment attachment;
	int answer; /* bytes of its answer; -1: none but the acknowledgement */
	void (*fill)(struct bed_guest *guest, struct frontend_message *message);
};

/* Payloads that are accepted in the state that prepare() leaves. */

static void fill_zero(struct bed_guest *guest, struct frontend_message *message)
{
	(void)guest;
	frontend_message_u64(message, 0);
}

static void fill_features(struct bed_guest *guest, struct frontend_message *message)
{
	frontend_message_u64(message, guest->features | 1ull << FE_F_PROTOCOL_FEATURES);
}

static void fill_protocol(struct bed_guest *guest, struct frontend_message *message)
{
	(void)guest;
	frontend_message_u64(message, 1ull << FE_PROTOCOL_REPLY_ACK | 1ull << FE_PROTOCOL_CONFIG |
	                                  1ull << FE_PROTOCOL_BACKEND_REQ |
	                                  1ull << FE_PROTOCOL_CONFIGURE_MEM_SLOTS);
}

static void fill_table(struct bed_guest *guest, struct frontend_message *message)
{
	frontend_message_u32(message, 1);
	frontend_message_u32(message, 0);
	frontend_message_region(message, &guest->memory.region[1]);
}

static void fill_region(struct bed_guest *guest, struct frontend_message *message)
{
	struct guest_region region = guest->memory.region[1];

	/* Elsewhere than the regions that are there. */
	region.gpa += 1ull << 40;
	region.uva += 1ull << 40;
	frontend_message_u64(message, 0);
	frontend_message_region(message, &region);
}

static void fill_known_region(struct bed_guest *guest, struct frontend_message *message)
{
	frontend_message_u64(message, 0);
	frontend_message_region(message, &guest->memory.region[1]);
}

static void fill_num(struct bed_guest *guest, struct frontend_message *message)
{
	(void)guest;
	frontend_message_u32(message, 3);
	frontend_message_u32(message, 16);
}

static void fill_addr(struct bed_guest *guest, struct frontend_message *message)
{
	frontend_message_u32(message, 3);
	frontend_message_u32(message, 0);
	for (unsigned int i = 0; i < 4; i++)
		frontend_message_u64(message, guest->memory.region[0].uva + 4096 * i);
}

static void fill_config(struct bed_guest *guest, struct frontend_message *message)
{
	static const uint8_t zeros[12];

	(void)guest;
	frontend_message_u32(message, 0);
	frontend_message_u32(message, sizeof(zeros));
	frontend_message_u32(message, 0);
	frontend_message_bytes(message, zeros, sizeof(zeros));
}

/* All but SET_LOG_BASE, which is answered in a way of its own: see dirty_log.c. */
static const struct message_case cases[] = {
    {FE_GET_FEATURES, 0, 0, 0, NOTHING, 8, NULL},
    {FE_SET_FEATURES, 8, 0, 0, NOTHING, -1, fill_features},
    {FE_SET_OWNER, 0, 0, 0, NOTHING, -1, NULL},
    {FE_RESET_OWNER, 0, 0, 0, NOTHING, -1, NULL},
    {FE_SET_MEM_TABLE, 40, 1, 1, MEMFD, -1, fill_table},
    {FE_SET_LOG_FD, 0, 1, 1, EVENTFD, -1, NULL},
    {FE_SET_VRING_NUM, 8, 0, 0, NOTHING, -1, fill_num},
    {FE_SET_VRING_ADDR, 40, 0, 0, NOTHING, -1, fill_addr},
    {FE_SET_VRING_BASE, 8, 0, 0, NOTHING, -1, fill_num},
    {FE_GET_VRING_BASE, 8, 0, 0, NOTHING, 8, fill_num},
    /* Of vring 0, which has size and addresses. */
    {FE_SET_VRING_KICK, 8, 1, 1, EVENTFD, -1, fill_zero},
    {FE_SET_VRING_CALL, 8, 1, 1, EVENTFD, -1, fill_zero},
    {FE_SET_VRING_ERR, 8, 1, 1, EVENTFD, -1, fill_zero},
    {FE_GET_PROTOCOL_FEATURES, 0, 0, 0, NOTHING, 8, NULL},
    {FE_SET_PROTOCOL_FEATURES, 8, 0, 0, NOTHING, -1, fill_protocol},
    {FE_GET_QUEUE_NUM, 0, 0, 0, NOTHING, 8, NULL},
    {FE_SET_VRING_ENABLE, 8, 0, 0, NOTHING, -1, fill_zero},
    {FE_SET_BACKEND_REQ_FD, 0, 1, 1, SOCKET, -1, NULL},
    {FE_GET_CONFIG, 24, 0, 0, NOTHING, 24, fill_config},
    {FE_SET_CONFIG, 24, 0, 0, NOTHING, -1, fill_config},
    {FE_RESET_DEVICE, 0, 0, 0, NOTHING, -1, NULL},
    {FE_GET_MAX_MEM_SLOTS, 0, 0, 0, NOTHING, 8, NULL},
    {FE_ADD_MEM_REG, 40, 1, 1, MEMFD, -1, fill_region},
    {FE_REM_MEM_REG, 40, 0, 1, MEMFD, -1, fill_known_region},
    {FE_SET_DEVICE_STATE_FD, 8, 1, 1, SOCKET, 8, fill_zero},
    {FE_CHECK_DEVICE_STATE, 0, 0, 0, NOTHING, 8, NULL},
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

/* Files of the kind that the message takes. */
struct files {
	int eventfd, socket[2];
};

static struct files files;

static void open_files(void)
{
	files.eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (files.eventfd < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, files.socket) < 0)
		support_die("no files");
}

static void close_files(void)
{
	close(files.eventfd);
	close(files.socket[0]);
	close(files.socket[1]);
}

static int file_for(struct bed_guest *guest, enum attachment attachment)
{
	switch (attachment) {
	case MEMFD:
		return guest->memory.region[1].fd;
	case SOCKET:
		return files.socket[0];
	default:
		return files.eventfd;
	}
}

static void build_with(struct bed_guest *guest, const struct message_case *c,
                       struct frontend_message *message, unsigned int fds)
{
	frontend_message_init(message, c->request);
	if (c->fill)
		c->fill(guest, message);
	assert_int_equal(message->length, c->size);
	for (unsigned int i = 0; i < fds; i++)
		frontend_message_fd(message, file_for(guest, c->attachment));
}

static void build(struct bed_guest *guest, const struct message_case *c,
                  struct frontend_message *message)
{
	build_with(guest, c, message, c->min_fds);
}

/* A guest in which every message of the table is accepted. */
static struct bed_guest *prepare(void)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});
	struct driver_queue *ring;
	struct frontend_vring_addr addr;

	bed_negotiate(guest, 0);
	ring = bed_ring_unstarted(guest, 0, 16, 0);
	addr = driver_queue_addr(ring);
	assert_int_equal(frontend_set_vring_num(&guest->frontend, 0, 16), 0);
	assert_int_equal(frontend_set_vring_addr(&guest->frontend, &addr), 0);
	return guest;
}

static uint64_t acknowledgement(struct frontend *frontend, const struct frontend_message *message)
{
	struct frontend_reply reply;
	uint64_t value;

	assert_int_equal(frontend_request(frontend, message, &reply, sizeof(value)), 0);
	memcpy(&value, reply.payload, sizeof(value));
	return value;
}

/* Sends a message that must be refused, and asserts that it is, in the way of its kind. */
static void expect_refused(struct bed_guest *guest, const struct message_case *c,
                           struct frontend_message *message)
{
	struct frontend_reply reply;

	if (c->answer >= 0) {
		/* Whoever asks waits for an answer: one without content. */
		assert_int_equal(frontend_request(&guest->frontend, message, &reply, 0), 0);
	} else {
		message->flags |= FE_FLAG_NEED_REPLY;
		assert_int_not_equal(acknowledgement(&guest->frontend, message), 0);
		message->flags &= ~(uint32_t)FE_FLAG_NEED_REPLY;
		/* Without NEED_REPLY nobody is told: the next answer is the next message's. */
		assert_int_equal(frontend_send(&guest->frontend, message), 0);
	}
	frontend_barrier(&guest->frontend);
}

/* The guest closes this connection, takes the next, and another guest's lives on. */
static void expect_closed(struct bed_guest *guest)
{
	assert_int_equal(frontend_await_closed(&guest->frontend), 0);
	bed_reconnect(guest);
	frontend_barrier(&guest->frontend);
	frontend_barrier(&guest->bed->guest[1].frontend);
}

/* ---- the tests ---- */

/* "Front-end message types", "REPLY_ACK": zero for success; those with an answer give only that. */
static void each_message_is_accepted(void **state)
{
	struct frontend_message message;
	struct frontend_reply reply;

	(void)state;
	open_files();
	for (size_t i = 0; i < CASES; i++) {
		struct bed_guest *guest = prepare();

		for (unsigned int fds = cases[i].min_fds; fds <= cases[i].max_fds; fds++) {
			build_with(guest, &cases[i], &message, fds);
			message.flags |= FE_FLAG_NEED_REPLY;
			if (cases[i].answer >= 0)
				assert_int_equal(frontend_request(&guest->frontend, &message,
				                                  &reply, cases[i].answer),
				                 0);
			else if (fds == cases[i].min_fds)
				assert_int_equal(acknowledgement(&guest->frontend, &message), 0);
			else /* the second time what it is about has gone */
				acknowledgement(&guest->frontend, &message);
			frontend_barrier(&guest->frontend);
		}
		bed_free(guest->bed);
	}
	close_files();
}

/* "Header": NEED_REPLY means something only once REPLY_ACK is negotiated. */
static void no_acknowledgement_without_reply_ack(void **state)
{
	struct frontend_message message;

	(void)state;
	open_files();
	for (size_t i = 0; i < CASES; i++) {
		struct bed_guest *guest;

		if (cases[i].answer >= 0 || cases[i].request == FE_SET_PROTOCOL_FEATURES)
			continue;
		guest = prepare();
		guest->frontend.need_reply = FE_NEED_REPLY_NEVER;
		frontend_set_protocol_features(&guest->frontend, 0);
		build(guest, &cases[i], &message);
		message.flags |= FE_FLAG_NEED_REPLY;
		assert_int_equal(frontend_send(&guest->frontend, &message), 0);
		/* The next thing that comes is the answer to the next question. */
		frontend_barrier(&guest->frontend);
		bed_free(guest->bed);
	}
	close_files();
}

/* "Header", size: each message has exactly the payload that it is said to have. */
static void a_wrong_size_is_refused(void **state)
{
	static const int changes[] = {-8, -1, 1, 8};
	struct frontend_message message;
	struct bed_guest *guest;

	(void)state;
	open_files();
	guest = prepare();
	for (size_t i = 0; i < CASES; i++) {
		for (unsigned int k = 0; k < sizeof(changes) / sizeof(changes[0]) + 2; k++) {
			uint32_t size = k < 4 ? (uint32_t)((int)cases[i].size + changes[k])
			                      : (k == 4 ? 0 : 512);

			if (size > 512 || size == cases[i].size)
				continue;
			build(guest, &cases[i], &message);
			message.size = message.length = size;
			if (size > cases[i].size)
				memset(message.payload + cases[i].size, 0, size - cases[i].size);
			expect_refused(guest, &cases[i], &message);
		}
	}
	close_files();
}

/* "Ancillary data": a message has the descriptors that it is said to have. */
static void a_wrong_number_of_descriptors_is_refused(void **state)
{
	struct frontend_message message;
	struct bed_guest *guest;
	struct bed_mark mark;

	(void)state;
	open_files();
	guest = prepare();
	bed_mark(&mark);
	for (size_t i = 0; i < CASES; i++) {
		for (unsigned int fds = 0; fds <= 8; fds++) {
			if (fds >= cases[i].min_fds && fds <= cases[i].max_fds)
				continue;
			build_with(guest, &cases[i], &message, fds);
			expect_refused(guest, &cases[i], &message);
		}
	}
	/* None is kept. */
	bed_same(&mark);
	close_files();
}

/* VHOST_USER_SET_MEM_TABLE: as many descriptors as regions, at most 8. */
static void memory_tables_have_a_descriptor_a_region(void **state)
{
	const struct message_case *c = &cases[4];
	struct frontend_message message;
	struct bed_guest *guest;
	struct bed_mark mark;

	(void)state;
	open_files();
	guest = prepare();
	bed_mark(&mark);
	assert_int_equal(c->request, FE_SET_MEM_TABLE);
	for (uint32_t regions = 1; regions <= 9; regions++) {
		for (unsigned int fds = 0; fds <= 8; fds++) {
			/* Right numbers with one region are for other tests; more overlap. */
			frontend_message_init(&message, FE_SET_MEM_TABLE);
			frontend_message_u32(&message, regions);
			frontend_message_u32(&message, 0);
			for (uint32_t k = 0; k < regions; k++)
				frontend_message_region(&message, &guest->memory.region[1]);
			for (unsigned int k = 0; k < fds; k++)
				frontend_message_fd(&message, guest->memory.region[1].fd);
			if (fds != 1 || regions != 1)
				expect_refused(guest, c, &message);
		}
	}
	bed_same(&mark);
	close_files();
}

/* "Header", flags: bits 0-1 are the version, which is 1. Another one closes the connection. */
static void another_version_closes_the_connection(void **state)
{
	static const uint32_t versions[] = {0, 2, 3};
	struct frontend_message message;
	struct bed_guest *guest;

	(void)state;
	open_files();
	guest = prepare();
	bed_add(guest->bed, NULL);
	for (size_t i = 0; i < CASES; i++) {
		for (unsigned int k = 0; k < 3; k++) {
			build(guest, &cases[i], &message);
			message.flags = versions[k] | FE_FLAG_NEED_REPLY;
			frontend_send(&guest->frontend, &message);
			expect_closed(guest);
		}
	}
	close_files();
}

/* "Header", size: what is larger than any message there is closes the connection. */
static void an_oversized_message_closes_the_connection(void **state)
{
	static const uint32_t sizes[] = {513, 4096, 0x7fffffff, 0x80000000, 0xfffffff4, 0xffffffff};
	struct frontend_message message;
	struct bed_guest *guest;

	(void)state;
	open_files();
	guest = prepare();
	bed_add(guest->bed, NULL);
	for (size_t i = 0; i < CASES; i++) {
		for (unsigned int k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
			build(guest, &cases[i], &message);
			message.size = sizes[k];
			frontend_send(&guest->frontend, &message);
			expect_closed(guest);
		}
	}
	close_files();
}

/* "Header", flags: bit 2 marks a reply, which a frontend's message is not. */
static void a_reply_is_no_request(void **state)
{
	struct frontend_message message;
	struct bed_guest *guest;
	struct bed_mark mark;

	(void)state;
	open_files();
	guest = prepare();
	bed_mark(&mark);
	for (size_t i = 0; i < CASES; i++) {
		build(guest, &cases[i], &message);
		message.flags |= FE_FLAG_REPLY;
		/* An answer to an answer would never end. */
		assert_int_equal(frontend_send(&guest->frontend, &message), 0);
		frontend_barrier(&guest->frontend);
	}
	bed_same(&mark);
	close_files();
}

/* Messages that aren't among those this backend has, spoken as the specification has them or not.
 */
static void unknown_messages_are_refused(void **state)
{
	static const uint32_t unknown[] = {0,  19, 20, 22, 23,  26,  27,    28,         29,
	                                   30, 31, 32, 33, 35,  39,  40,    41,         44,
	                                   45, 63, 64, 99, 255, 256, 65536, 0x80000000, 0xffffffff};
	static const uint32_t sizes[] = {0, 8, 512};
	struct frontend_message message;
	struct bed_guest *guest;
	struct bed_mark mark;

	(void)state;
	open_files();
	guest = prepare();
	bed_mark(&mark);
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		for (unsigned int k = 0; k < 6; k++) {
			frontend_message_init(&message, unknown[i]);
			message.size = message.length = sizes[k / 2];
			memset(message.payload, 0, message.length);
			if (k % 2)
				frontend_message_fd(&message, files.eventfd);
			message.flags |= FE_FLAG_NEED_REPLY;
			assert_int_not_equal(acknowledgement(&guest->frontend, &message), 0);
			frontend_barrier(&guest->frontend);
		}
	}
	bed_same(&mark);
	close_files();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(each_message_is_accepted),
	    BED_TEST(no_acknowledgement_without_reply_ack),
	    BED_TEST(a_wrong_size_is_refused),
	    BED_TEST(a_wrong_number_of_descriptors_is_refused),
	    BED_TEST(memory_tables_have_a_descriptor_a_region),
	    BED_TEST(another_version_closes_the_connection),
	    BED_TEST(an_oversized_message_closes_the_connection),
	    BED_TEST(a_reply_is_no_request),
	    BED_TEST(unknown_messages_are_refused),
	};

	return BED_RUN(tests);
}
