/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Requests in no order that any frontend would send them in, with values that are nearly right,
 * while a ring is at work; and bytes that aren't requests at all. What may come of it is a refusal
 * or the end of that connection (R2, R5, R6); another guest doesn't notice.
 */
#include "testbed.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t dice(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Both ends of a connection to nobody. */
static int sockets[2] = {-1, -1};

static void open_sockets(void)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
		support_die("no socket pair");
}

static void close_sockets(void)
{
	close(sockets[0]);
	close(sockets[1]);
}

/* Any of the descriptors at hand; most kinds are wrong for most messages. */
static int some_fd(struct bed_guest *guest, uint64_t *seed)
{
	const int fds[] = {
	    guest->ring[0].kick,        guest->ring[0].call,        guest->ring[1].kick,
	    guest->ring[1].call,        guest->ring[1].err,         guest->memory.region[0].fd,
	    guest->memory.region[1].fd, guest->memory.region[2].fd, sockets[0],
	};

	return fds[dice(seed) % (sizeof(fds) / sizeof(fds[0]))];
}

/* A region: right, moved a little, or its file's only in name. */
static void add_region(struct bed_guest *guest, struct frontend_message *message, uint64_t *seed)
{
	struct guest_region region = guest->memory.region[dice(seed) % 3];

	switch (dice(seed) % 6) {
	case 0:
		region.gpa += 4096 * (dice(seed) % 3);
		break;
	case 1:
		region.size = dice(seed) % (2 * region.size);
		break;
	case 2:
		region.offset = dice(seed) % (1 << 20);
		break;
	default:
		break;
	}
	frontend_message_region(message, &region);
	frontend_message_fd(message, dice(seed) % 4 ? region.fd : some_fd(guest, seed));
}

static void fill_ring_address(struct bed_guest *guest, struct frontend_message *message,
                              uint64_t *seed)
{
	struct frontend_vring_addr addr = driver_queue_addr(&guest->ring[dice(seed) % 2]);

	addr.index = (uint32_t)(dice(seed) % 5);
	if (dice(seed) % 4 == 0)
		addr.desc += 16 * (dice(seed) % 100000);
	if (dice(seed) % 4 == 0)
		addr.avail += dice(seed) % 3;
	if (dice(seed) % 4 == 0)
		addr.used = guest->memory.region[1].uva + guest->memory.region[1].size - 4;
	frontend_message_bytes(message, &addr, sizeof(addr));
}

static void fill_config(struct frontend_message *message, uint64_t *seed)
{
	static const uint8_t zeros[300];
	uint32_t size = (uint32_t)(dice(seed) % 300);

	frontend_message_u32(message, (uint32_t)(dice(seed) % 280));
	frontend_message_u32(message, size);
	frontend_message_u32(message, (uint32_t)(dice(seed) % 3));
	frontend_message_bytes(message, zeros, size);
}

static void fill_state(struct frontend_message *message, uint64_t *seed)
{
	frontend_message_u32(message, (uint32_t)(dice(seed) % 5));
	frontend_message_u32(
	    message, (uint32_t)(dice(seed) % 3 ? 1u << dice(seed) % 17 : dice(seed) % 70000));
}

static void fill(struct bed_guest *guest, struct frontend_message *message, uint64_t *seed)
{
	uint32_t regions = (uint32_t)(dice(seed) % 4);

	switch (message->request) {
	case FE_SET_FEATURES:
		frontend_message_u64(message, dice(seed) % 4 ? guest->features | 1ull << 30
		                                             : dice(seed) & 0x970000000);
		break;
	case FE_SET_PROTOCOL_FEATURES:
		frontend_message_u64(message, 1 << 3 | (dice(seed) & 0x8a22b));
		break;
	case FE_SET_MEM_TABLE:
		frontend_message_u32(message, regions);
		frontend_message_u32(message, 0);
		while (regions-- > 0)
			add_region(guest, message, seed);
		break;
	case FE_ADD_MEM_REG:
	case FE_REM_MEM_REG:
		frontend_message_u64(message, 0);
		add_region(guest, message, seed);
		break;
	case FE_SET_VRING_ADDR:
		fill_ring_address(guest, message, seed);
		break;
	case FE_SET_VRING_KICK:
	case FE_SET_VRING_CALL:
	case FE_SET_VRING_ERR:
		frontend_message_u64(message, dice(seed) % 5 | (dice(seed) % 8 ? 0 : 0x100));
		if (!(message->payload[1] & 1))
			frontend_message_fd(message, some_fd(guest, seed));
		break;
	case FE_GET_CONFIG:
	case FE_SET_CONFIG:
		fill_config(message, seed);
		break;
	case FE_SET_BACKEND_REQ_FD:
		frontend_message_fd(message, some_fd(guest, seed));
		break;
	case FE_SET_VRING_NUM:
	case FE_SET_VRING_BASE:
	case FE_GET_VRING_BASE:
	case FE_SET_VRING_ENABLE:
		fill_state(message, seed);
		break;
	default:
		break;
	}
}

static const uint32_t requests[] = {
    FE_GET_FEATURES,     FE_SET_FEATURES,          FE_SET_OWNER,
    FE_RESET_OWNER,      FE_SET_MEM_TABLE,         FE_SET_VRING_NUM,
    FE_SET_VRING_ADDR,   FE_SET_VRING_BASE,        FE_GET_VRING_BASE,
    FE_SET_VRING_KICK,   FE_SET_VRING_KICK,        FE_SET_VRING_CALL,
    FE_SET_VRING_ERR,    FE_GET_QUEUE_NUM,         FE_SET_VRING_ENABLE,
    FE_SET_VRING_ENABLE, FE_SET_BACKEND_REQ_FD,    FE_GET_CONFIG,
    FE_SET_CONFIG,       FE_GET_MAX_MEM_SLOTS,     FE_ADD_MEM_REG,
    FE_REM_MEM_REG,      FE_SET_PROTOCOL_FEATURES,
};

static bool is_answered(uint32_t request)
{
	return request == FE_GET_FEATURES || request == FE_GET_VRING_BASE ||
	       request == FE_GET_QUEUE_NUM || request == FE_GET_CONFIG ||
	       request == FE_GET_MAX_MEM_SLOTS;
}

/* One request; each has an answer, whatever it is. */
static void send_one(struct bed_guest *guest, uint64_t *seed)
{
	struct frontend_message message;
	struct frontend_reply reply;

	frontend_message_init(&message,
	                      requests[dice(seed) % (sizeof(requests) / sizeof(requests[0]))]);
	fill(guest, &message, seed);
	if (!is_answered(message.request))
		message.flags |= FE_FLAG_NEED_REPLY;
	assert_int_equal(frontend_request(&guest->frontend, &message, &reply, FE_REPLY_SIZE_ANY),
	                 0);
}

/* A driver that knows nothing of what its frontend does. */
static void work_rings(struct bed_guest *guest, uint64_t *seed)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct driver_queue *ring = &guest->ring[i];
		struct driver_buffer buffer = {guest->memory.region[dice(seed) % 3].gpa +
		                                   dice(seed) % 60000,
		                               (uint32_t)(dice(seed) % 3000), i == BED_RECEIVE};

		if (!driver_add(ring, &buffer, 1, 0))
			driver_queue_reset(ring, 0);
		driver_publish(ring);
		driver_kick_always(ring);
	}
	if (test_backend_typing(&guest->backend) == 0)
		test_backend_type(&guest->backend, "input", 5);
	if (dice(seed) % 8 == 0)
		test_backend_allow(&guest->backend, dice(seed) % 4000);
}

static struct bed_guest *prepare(struct bed_guest **ret_other)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true, .history = 8192});

	*ret_other = bed_add(guest->bed, NULL);
	bed_console(*ret_other, NULL);
	assert_true(console_driver_bring_up(&(*ret_other)->console));
	return guest;
}

static void check_both_ways(struct bed_guest *guest)
{
	bed_print(guest, "printed");
	bed_type(guest, "typed");
}

/* Stops what is left of the rings, and reads what is left of the input. */
static void bring_up_again(struct bed_guest *guest)
{
	guest->backend.limit = TEST_BACKEND_NO_LIMIT;
	bed_reconnect(guest);
	guest_memory_rewind(&guest->memory);
	bed_negotiate(guest, 0);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
	bed_ring(guest, BED_RECEIVE, 16, 0);
	bed_add_post(guest, 100000);
	driver_kick(&guest->ring[BED_RECEIVE]);
	test_backend_type(&guest->backend, "x", 1);
	driver_await(&guest->ring[BED_RECEIVE]);
	test_backend_forget(&guest->backend);
}

static void requests_in_any_order(void **state)
{
	struct bed_guest *other, *guest = prepare(&other);
	uint64_t seed = 20261122;
	struct bed_mark mark;

	(void)state;
	bring_up_again(guest);
	bed_hang_up(guest);
	open_sockets();
	bed_mark(&mark);
	for (unsigned int round = 0; round < 300; round++) {
		bring_up_again(guest);
		check_both_ways(guest);
		guest->features = 1ull << 32;
		for (unsigned int i = 0; i < 100; i++) {
			send_one(guest, &seed);
			if (dice(&seed) % 2)
				work_rings(guest, &seed);
		}
		bed_settle(guest->bed);
		if (round % 10 == 0)
			bed_check_output(other, 5000);
		bed_hang_up(guest);
	}
	bed_check_input(other, 5000);
	bed_same(&mark);
	close_sockets();
	bring_up_again(guest);
	check_both_ways(guest);
}

/* Bytes at random: the connection ends, or waits for more, and the next one works. */
static void bytes_at_random(void **state)
{
	struct bed_guest *other, *guest = prepare(&other);
	uint64_t seed = 4711;
	struct bed_mark mark;
	uint8_t bytes[1024];

	(void)state;
	bed_hang_up(guest);
	bed_mark(&mark);
	for (unsigned int round = 0; round < 500; round++) {
		size_t size = 1 + dice(&seed) % sizeof(bytes);

		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)dice(&seed);
		/* Some with the beginning of a message. */
		if (round % 2 && size > 12)
			memcpy(bytes,
			       (uint32_t[]){(uint32_t)dice(&seed) % 45, 1,
			                    (uint32_t)dice(&seed) % 600},
			       12);
		bed_reconnect(guest);
		assert_int_equal(send(guest->frontend.sock, bytes, size, MSG_NOSIGNAL), size);
		bed_settle(guest->bed);
		bed_hang_up(guest);
	}
	bed_same(&mark);
	bring_up_again(guest);
	check_both_ways(guest);
	bed_check_output(other, 5000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(requests_in_any_order),
	    BED_TEST(bytes_at_random),
	};

	return BED_RUN(tests);
}
