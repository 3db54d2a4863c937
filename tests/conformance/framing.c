/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Messages as a stream of bytes (vhost-user, "Message specification", "Ancillary data"): cut
 * anywhere, glued together, with their descriptors at the right or at the wrong place; and what
 * the fields of a message may say (values, not sizes).
 */
#include "lingering.h"
#include "testbed.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static void kick_message(struct frontend_message *message, uint32_t index, int fd)
{
	frontend_message_init(message, FE_SET_VRING_KICK);
	frontend_message_u64(message, index);
	frontend_message_fd(message, fd);
}

/* Rings 0 and 1 have size and addresses, so that a kick starts them. */
static struct bed_guest *prepare(void)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});

	bed_negotiate(guest, 0);
	for (uint32_t i = 0; i < 2; i++) {
		struct frontend_vring_addr addr =
		    driver_queue_addr(bed_ring_unstarted(guest, i, 16, 0));

		assert_int_equal(frontend_set_vring_num(&guest->frontend, i, 16), 0);
		assert_int_equal(frontend_set_vring_addr(&guest->frontend, &addr), 0);
	}
	return guest;
}

static uint64_t receive_ack(struct bed_guest *guest, uint32_t request)
{
	struct frontend_reply reply;
	uint64_t value;

	assert_int_equal(frontend_receive(&guest->frontend, &reply), 0);
	assert_int_equal(reply.request, request);
	assert_int_equal(reply.flags, FE_FLAG_VERSION | FE_FLAG_REPLY);
	assert_int_equal(reply.size, sizeof(value));
	memcpy(&value, reply.payload, sizeof(value));
	return value;
}

/* A message may come in any pieces; its descriptors come with its first byte. */
static void a_message_may_be_split_anywhere(void **state)
{
	struct bed_guest *guest = prepare();
	struct frontend_message message;
	struct bed_mark mark;

	(void)state;
	kick_message(&message, 0, guest->ring[0].kick);
	message.flags |= FE_FLAG_NEED_REPLY;
	frontend_send(&guest->frontend, &message);
	assert_int_equal(receive_ack(guest, FE_SET_VRING_KICK), 0);
	bed_mark(&mark);
	for (uint32_t first = 1; first < FE_HEADER_SIZE + message.length; first++) {
		assert_int_equal(frontend_send_split(&guest->frontend, &message, first), 0);
		assert_int_equal(receive_ack(guest, FE_SET_VRING_KICK), 0);
	}
	bed_same(&mark);
}

static void a_message_may_come_byte_by_byte(void **state)
{
	struct bed_guest *guest = prepare();
	struct frontend_message message;
	uint8_t config[268] = {0};
	struct frontend_reply reply;

	(void)state;
	config[5] = 1; /* 256 bytes at 0 */
	frontend_message_init(&message, FE_GET_CONFIG);
	frontend_message_bytes(&message, config, sizeof(config));
	for (uint32_t at = 0; at < FE_HEADER_SIZE + message.length; at++) {
		assert_int_equal(frontend_send_part(&guest->frontend, &message, at, at + 1), 0);
		bed_turn(guest->bed);
	}
	assert_int_equal(frontend_receive(&guest->frontend, &reply), 0);
	assert_int_equal(reply.size, sizeof(config));
}

/* Descriptors with any byte of the header belong to the message. */
static void descriptors_may_come_with_any_byte_of_the_header(void **state)
{
	struct bed_guest *guest = prepare();
	struct frontend_message message;
	struct bed_mark mark;

	(void)state;
	kick_message(&message, 0, guest->ring[0].kick);
	message.flags |= FE_FLAG_NEED_REPLY;
	frontend_send(&guest->frontend, &message);
	assert_int_equal(receive_ack(guest, FE_SET_VRING_KICK), 0);
	bed_mark(&mark);
	for (message.fds_at = 1; message.fds_at < FE_HEADER_SIZE; message.fds_at++) {
		assert_int_equal(frontend_send(&guest->frontend, &message), 0);
		assert_int_equal(receive_ack(guest, FE_SET_VRING_KICK), 0);
	}
	bed_same(&mark);
}

/* With the payload they belong to nobody: the message has none, and none stays open. */
static void descriptors_with_the_payload_are_not_taken(void **state)
{
	struct bed_guest *guest = prepare();
	struct frontend_message message;
	struct bed_mark mark;

	(void)state;
	bed_mark(&mark);
	kick_message(&message, 0, guest->ring[0].kick);
	message.flags |= FE_FLAG_NEED_REPLY;
	for (message.fds_at = FE_HEADER_SIZE; message.fds_at < FE_HEADER_SIZE + message.length;
	     message.fds_at++) {
		assert_int_equal(frontend_send(&guest->frontend, &message), 0);
		assert_int_not_equal(receive_ack(guest, FE_SET_VRING_KICK), 0);
	}
	bed_same(&mark);
}

/*
 * Messages that wait in the socket one behind the other, each with a descriptor: each gets its
 * own. Shown by the calls: each eventfd has exactly the calls of its ring.
 */
static void descriptors_stay_with_their_message(void **state)
{
	struct bed_guest *guest = bed_new(NULL);
	struct frontend_message message;
	struct driver_queue *transmit;
	struct driver_buffer buffer;

	(void)state;
	bed_negotiate(guest, 0);
	transmit = bed_ring(guest, 1, 16, 0);
	bed_ring(guest, 0, 16, 0);
	for (uint32_t i = 0; i < 4; i++) {
		frontend_message_init(&message, i < 2 ? FE_SET_VRING_CALL : FE_SET_VRING_ERR);
		frontend_message_u64(&message, i % 2);
		frontend_message_fd(&message, i < 2 ? guest->ring[i].call : guest->ring[i - 2].err);
		assert_int_equal(frontend_send(&guest->frontend, &message), 0);
	}
	frontend_barrier(&guest->frontend);
	driver_take_calls(&guest->ring[0]);
	driver_take_calls(&guest->ring[1]);
	buffer = (struct driver_buffer){guest_memory_alloc(&guest->memory, 0, 16, 1), 16, false};
	assert_true(driver_add(transmit, &buffer, 1, 0));
	driver_kick(transmit);
	driver_await(transmit);
	driver_await_call(transmit);
	bed_settle(guest->bed);
	assert_int_equal(driver_take_calls(&guest->ring[0]), 0);
	assert_false(driver_take_error(&guest->ring[0]));
	assert_false(driver_take_error(&guest->ring[1]));
}

/* Two messages in one write: its descriptors come with the first byte, so they are the first's. */
static void a_write_of_two_messages_gives_its_descriptors_to_the_first(void **state)
{
	struct bed_guest *guest = prepare();
	struct frontend_message message;
	uint32_t second[5] = {FE_SET_VRING_KICK, FE_FLAG_VERSION | FE_FLAG_NEED_REPLY, 8, 1, 0};
	struct bed_mark mark;

	(void)state;
	kick_message(&message, 0, guest->ring[0].kick);
	message.flags |= FE_FLAG_NEED_REPLY;
	frontend_message_bytes(&message, second, sizeof(second));
	message.size = 8;
	assert_int_equal(frontend_send(&guest->frontend, &message), 0);
	assert_int_equal(receive_ack(guest, FE_SET_VRING_KICK), 0);
	assert_int_not_equal(receive_ack(guest, FE_SET_VRING_KICK), 0);
	bed_mark(&mark);
	/* Two for one message each, in front of the first: too many for it, none for the second. */
	frontend_message_fd(&message, guest->ring[1].kick);
	assert_int_equal(frontend_send(&guest->frontend, &message), 0);
	assert_int_not_equal(receive_ack(guest, FE_SET_VRING_KICK), 0);
	assert_int_not_equal(receive_ack(guest, FE_SET_VRING_KICK), 0);
	bed_same(&mark);
}

/* More descriptors than a message can have (MSG_CTRUNC): the connection closes, none stays. */
static void too_many_descriptors_close_the_connection(void **state)
{
	static const unsigned int counts[] = {9, 16, FE_FDS_MAX};
	struct bed_guest *guest = prepare();
	struct frontend_message message;
	struct bed_mark mark;

	(void)state;
	bed_hang_up(guest);
	bed_mark(&mark);
	for (unsigned int i = 0; i < 3; i++) {
		for (unsigned int at = 0; at < 2; at++) {
			bed_reconnect(guest);
			frontend_message_init(&message, FE_SET_VRING_KICK);
			frontend_message_u64(&message, 0);
			message.fds_at = at * 5;
			while (message.fd_count < counts[i])
				frontend_message_fd(&message, guest->ring[0].kick);
			frontend_send(&guest->frontend, &message);
			assert_int_equal(frontend_await_closed(&guest->frontend), 0);
			bed_reconnect(guest);
			frontend_barrier(&guest->frontend);
			bed_hang_up(guest);
		}
	}
	bed_same(&mark);
}

/* Some here, some there: together more than a message can have. */
static void too_many_descriptors_in_pieces_close_the_connection(void **state)
{
	struct bed_guest *guest = prepare();
	struct frontend_message message;
	struct bed_mark mark;

	(void)state;
	bed_hang_up(guest);
	bed_mark(&mark);
	bed_reconnect(guest);
	frontend_message_init(&message, FE_SET_VRING_KICK);
	frontend_message_u64(&message, 0);
	while (message.fd_count < 5)
		frontend_message_fd(&message, guest->ring[0].kick);
	frontend_send_part(&guest->frontend, &message, 0, 5);
	message.fds_at = 5;
	frontend_send_part(&guest->frontend, &message, 5, FE_HEADER_SIZE + message.length);
	assert_int_equal(frontend_await_closed(&guest->frontend), 0);
	bed_hang_up(guest);
	bed_same(&mark);
}

/* A frontend that goes away in the middle of a message takes everything of it along. */
static void half_a_message_leaves_nothing(void **state)
{
	struct bed_guest *guest = prepare();
	struct frontend_message message;
	struct bed_mark mark;

	(void)state;
	bed_hang_up(guest);
	bed_mark(&mark);
	kick_message(&message, 0, guest->ring[0].kick);
	for (uint32_t length = 0; length < FE_HEADER_SIZE + message.length; length++) {
		bed_reconnect(guest);
		assert_int_equal(frontend_send_part(&guest->frontend, &message, 0, length), 0);
		bed_settle(guest->bed);
		bed_hang_up(guest);
	}
	bed_same(&mark);
	bed_reconnect(guest);
	frontend_barrier(&guest->frontend);
}

/* The kernel's threads that work for this process's ring. */
static unsigned int count_workers(void)
{
	struct dirent *entry;
	unsigned int count = 0;
	DIR *tasks = opendir("/proc/self/task");

	while ((entry = readdir(tasks))) {
		char path[512], name[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		count += fgets(name, sizeof(name), file) && strncmp(name, "iou-wrk", 7) == 0;
		fclose(file);
	}
	closedir(tasks);
	return count;
}

/* Until both directions are full. */
static void ask_without_reading(struct bed_guest *guest)
{
	uint32_t question[3] = {FE_GET_FEATURES, FE_FLAG_VERSION, 0};
	unsigned int refused = 0;

	while (refused < 100) {
		if (send(guest->frontend.sock, question, sizeof(question), MSG_DONTWAIT) < 0)
			refused++;
		bed_turn(guest->bed);
	}
}

/*
 * A frontend that asks and never reads, and perhaps says that it asks no more: its own business,
 * for which nobody waits, not even a worker of the kernel's.
 */
static void a_frontend_that_reads_no_answers_harms_nobody(void **state)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});
	struct bed_guest *other = bed_add(guest->bed, NULL);
	struct bed_mark mark;

	(void)state;
	bed_console(other, NULL);
	assert_true(console_driver_bring_up(&other->console));
	bed_hang_up(guest);
	bed_mark(&mark);
	for (unsigned int half_closed = 0; half_closed < 2; half_closed++) {
		bed_reconnect(guest);
		ask_without_reading(guest);
		if (half_closed)
			shutdown(guest->frontend.sock, SHUT_WR);
		bed_check_output(other, 10000);
		bed_check_input(other, 10000);
		/* The kernel tries 128 times before it makes a worker wait. */
		for (unsigned int i = 0; i < 500; i++)
			bed_turn(guest->bed);
		assert_int_equal(count_workers(), 0);
		bed_hang_up(guest);
	}
	bed_same(&mark);
	bed_reconnect(guest);
	frontend_barrier(&guest->frontend);
}

/* "A vring state description", "A vring address description": fields out of range are refused. */
static void fields_out_of_range_are_refused(void **state)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.max_queue_size = 1024});
	static const uint32_t bad_index[] = {4, 5, 127, 128, 255, 256, 257, 65536, 0xffffffff};
	static const uint32_t bad_num[] = {0, 3, 5, 1023, 2048, 32768, 65535, 65536, 0xffffffff};
	struct frontend *frontend = &guest->frontend;
	struct frontend_vring_addr addr;

	(void)state;
	bed_negotiate(guest, 0);
	addr = driver_queue_addr(bed_ring_unstarted(guest, 0, 16, 0));
	for (unsigned int i = 0; i < 9; i++) {
		addr.index = bad_index[i];
		assert_int_not_equal(frontend_set_vring_num(frontend, bad_index[i], 16), 0);
		assert_int_not_equal(frontend_set_vring_base(frontend, bad_index[i], 0), 0);
		assert_int_not_equal(frontend_set_vring_enable(frontend, bad_index[i], 1), 0);
		assert_int_not_equal(frontend_set_vring_addr(frontend, &addr), 0);
		assert_int_not_equal(frontend_set_vring_num(frontend, 0, bad_num[i]), 0);
	}
	for (unsigned int i = 0; i < 9; i++) {
		assert_int_not_equal(
		    frontend_set_vring_kick(frontend, bad_index[i], guest->ring[0].kick), 0);
		assert_int_not_equal(
		    frontend_set_vring_call(frontend, bad_index[i], guest->ring[0].call), 0);
		assert_int_not_equal(
		    frontend_set_vring_err(frontend, bad_index[i], guest->ring[0].err), 0);
	}
	assert_int_not_equal(frontend_set_vring_base(frontend, 0, 65536), 0);
	assert_int_not_equal(frontend_set_vring_enable(frontend, 0, 2), 0);
}

/* Features that weren't offered aren't negotiated ("VHOST_USER_SET_FEATURES", "…PROTOCOL…"). */
static void features_not_offered_are_refused(void **state)
{
	struct bed_guest *guest = bed_new(NULL);
	struct frontend *frontend = &guest->frontend;
	uint64_t features, protocol;

	(void)state;
	bed_negotiate(guest, 0);
	features = frontend_get_features(frontend);
	protocol = frontend_get_protocol_features(frontend);
	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t one = 1ull << bit;

		assert_int_equal(frontend_set_features(frontend, one) == 0, !!(features & one));
		/* With REPLY_ACK, or there would be no answer. */
		assert_int_equal(frontend_set_protocol_features(
				     frontend, one | 1ull << FE_PROTOCOL_REPLY_ACK) == 0,
		                 !!(protocol & one));
	}
}

/* issue 3: what has to be offered, and QEMU's num_vqs=4 needs as many vrings. */
static void what_is_offered(void **state)
{
	struct bed_guest *guest = bed_new(NULL);
	uint64_t wanted = 1ull << DRIVER_F_VERSION_1 | 1ull << DRIVER_F_EVENT_IDX |
	                  1ull << DRIVER_F_INDIRECT_DESC | 1ull << DRIVER_F_IN_ORDER |
	                  1ull << FE_F_PROTOCOL_FEATURES | 1ull << FE_F_LOG_ALL;

	(void)state;
	assert_int_equal(frontend_get_features(&guest->frontend) & wanted, wanted);
	assert_int_equal(frontend_get_protocol_features(&guest->frontend),
	                 1ull << FE_PROTOCOL_MQ | 1ull << FE_PROTOCOL_REPLY_ACK |
	                     1ull << FE_PROTOCOL_BACKEND_REQ | 1ull << FE_PROTOCOL_CONFIG |
	                     1ull << FE_PROTOCOL_CONFIGURE_MEM_SLOTS |
	                     1ull << FE_PROTOCOL_LOG_SHMFD | 1ull << FE_PROTOCOL_RESET_DEVICE |
	                     1ull << FE_PROTOCOL_DEVICE_STATE);
	assert_true(frontend_get_queue_num(&guest->frontend) >= 4);
}

/*
 * QEMU asks for the features again once it knows whether it takes CONFIG: a driver must not be
 * offered what it would use through a configuration space that isn't there (notes, 2.1, 2).
 */
static void features_of_the_configuration_space_need_config(void **state)
{
	const uint64_t config = 1ull << FE_PROTOCOL_CONFIG;
	struct bed_guest *guest = bed_new(NULL);
	struct frontend *frontend = &guest->frontend;
	uint64_t features = frontend_get_features(frontend);
	uint64_t protocol = frontend_get_protocol_features(frontend);

	(void)state;
	frontend_set_protocol_features(frontend, protocol);
	assert_int_equal(frontend_get_features(frontend), features);
	frontend_set_protocol_features(frontend, protocol & ~config);
	assert_int_equal(frontend_get_features(frontend), features & ~7ull);
	frontend_set_protocol_features(frontend, protocol);
	assert_int_equal(frontend_get_features(frontend), features);
}

/* GET_FEATURES, and so many of those; their sender has none left. With 4 bytes, in the payload. */
static void send_lingering(struct bed_guest *guest, unsigned int count, uint32_t fds_at)
{
	struct frontend_message message;
	int fd, peer;

	fd = lingering_connection(&peer);
	frontend_message_init(&message, FE_GET_FEATURES);
	if (fds_at > 0)
		frontend_message_u64(&message, 0);
	message.fds_at = fds_at;
	while (message.fd_count < count)
		frontend_message_fd(&message, fd);
	assert_int_equal(frontend_send(&guest->frontend, &message), 0);
	close(fd);
	for (unsigned int i = 0; i < 20; i++)
		bed_turn(guest->bed);
	close(peer);
}

/* Whatever way it takes, the process doesn't wait for the close of what somebody has sent. */
static void a_descriptor_that_is_slow_to_close_holds_nobody(void **state)
{
	static const struct {
		unsigned int count;
		uint32_t fds_at;
	} rows[] = {
	    {1, 0}, {8, 0}, {9, 0}, {FE_FDS_MAX, 0}, {1, FE_HEADER_SIZE}, {9, FE_HEADER_SIZE}};
	struct bed_guest *guest = prepare();
	uint64_t since = support_now_ms();
	struct bed_mark mark;

	(void)state;
	bed_hang_up(guest);
	bed_mark(&mark);
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bed_reconnect(guest);
		send_lingering(guest, rows[i].count, rows[i].fds_at);
		bed_hang_up(guest);
	}
	/* And one that is never read, as the connection ends before. */
	bed_reconnect(guest);
	assert_int_equal(send(guest->frontend.sock, "\0\0\0\0\0\0\0\0\0\0\0\0", 12, 0), 12);
	send_lingering(guest, 1, 0);
	bed_hang_up(guest);
	bed_same(&mark);
	assert_in_range(support_now_ms() - since, 0, LINGERING_S * 1000 - 1000);
}

static bool is_answered(struct bed_guest *guest)
{
	struct pollfd pollfd = {.fd = guest->frontend.sock, .events = POLLIN};

	return poll(&pollfd, 1, 0) == 1;
}

static void ask(struct bed_guest *guest)
{
	struct frontend_message message;

	frontend_message_init(&message, FE_GET_FEATURES);
	assert_int_equal(frontend_send(&guest->frontend, &message), 0);
}

/*
 * What can't be closed is in the way of who has sent it, as long as it lasts: of this connection
 * and the next ones, of which no more than a few are taken. Other guests don't notice, nor what
 * they have to close.
 */
static void what_cannot_be_closed_is_in_its_senders_way_only(void **state)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});
	struct bed_guest *other = bed_add(guest->bed, &(struct bed_options){.listens = true});
	struct frontend_message message;
	struct frontend_reply reply;
	int fds[8], peers[8], waiting[8];

	(void)state;
	frontend_message_init(&message, FE_GET_FEATURES);
	for (unsigned int i = 0; i < 8; i++)
		frontend_message_fd(&message, fds[i] = lingering_socket(&peers[i]));
	assert_int_equal(frontend_send(&guest->frontend, &message), 0);
	for (unsigned int i = 0; i < 8; i++)
		close(fds[i]);
	bed_await(guest, is_answered, "the answer to what brought them");
	ask(guest);
	for (unsigned int i = 0; i < 20; i++) {
		frontend_message_init(&message, FE_GET_FEATURES);
		frontend_message_fd(&message, 0);
		assert_int_equal(frontend_send(&other->frontend, &message), 0);
		bed_await(other, is_answered, "the other guest's answer");
		assert_int_equal(frontend_receive(&other->frontend, &reply), 0);
	}
	assert_int_equal(frontend_receive(&guest->frontend, &reply), 0);
	assert_false(is_answered(guest));
	for (unsigned int i = 0; i < 8; i++) {
		waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(
		    connect(waiting[i], (struct sockaddr *)&guest->address, guest->address_len), 0);
		bed_turn(guest->bed);
	}
	for (unsigned int i = 0; i < 20; i++)
		bed_turn(guest->bed);
	/* With one that connected, and perhaps the other guest's last. */
	assert_in_range(loop_discards(guest->bed->loop), 8, 10);
	for (unsigned int i = 0; i < 8; i++)
		close(peers[i]);
	bed_await(guest, is_answered, "the second answer");
	receive_ack(guest, FE_GET_FEATURES);
	for (unsigned int i = 0; i < 8; i++)
		close(waiting[i]);
	bed_settle(guest->bed);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(a_message_may_be_split_anywhere),
	    BED_TEST(a_message_may_come_byte_by_byte),
	    BED_TEST(descriptors_may_come_with_any_byte_of_the_header),
	    BED_TEST(descriptors_with_the_payload_are_not_taken),
	    BED_TEST(descriptors_stay_with_their_message),
	    BED_TEST(a_write_of_two_messages_gives_its_descriptors_to_the_first),
	    BED_TEST(too_many_descriptors_close_the_connection),
	    BED_TEST(too_many_descriptors_in_pieces_close_the_connection),
	    BED_TEST(half_a_message_leaves_nothing),
	    BED_TEST(a_frontend_that_reads_no_answers_harms_nobody),
	    BED_TEST(fields_out_of_range_are_refused),
	    BED_TEST(features_not_offered_are_refused),
	    BED_TEST(what_is_offered),
	    BED_TEST(features_of_the_configuration_space_need_config),
	    BED_TEST(a_descriptor_that_is_slow_to_close_holds_nobody),
	    BED_TEST(what_cannot_be_closed_is_in_its_senders_way_only),
	};

	return BED_RUN(tests);
}
