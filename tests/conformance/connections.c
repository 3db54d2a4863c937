/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Connections of frontends: one at a time, a dead one makes room for the next; and what clients
 * see of the stream when a frontend goes while output is held.
 */
#include "console_use.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One more connection to the guest's socket, beside its frontend's. */
static void connect_another(struct bed_guest *guest, struct frontend *ret_frontend)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&guest->address, guest->address_len) < 0)
		support_die("connecting another frontend: %s", strerror(errno));
	frontend_init(ret_frontend, fd);
	ret_frontend->turn = guest->frontend.turn;
	ret_frontend->turn_arg = guest->frontend.turn_arg;
}

/* While one frontend lives a second one is turned away, and the first doesn't notice. */
static void a_second_frontend_is_turned_away(void **state)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});
	struct frontend second;
	struct bed_mark mark;

	(void)state;
	bed_negotiate(guest, 0);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
	bed_print(guest, "first");
	bed_mark(&mark);
	for (unsigned int i = 0; i < 20; i++) {
		connect_another(guest, &second);
		if (i % 2)
			frontend_send(&second, &(struct frontend_message){
						   .request = FE_GET_FEATURES, .flags = 1});
		frontend_await_closed(&second);
		frontend_deinit(&second);
		bed_print(guest, "still the first");
	}
	bed_same(&mark);
}

/* One that is dead, though the guest hasn't been told yet, makes room at once. */
static void a_dead_frontend_makes_room(void **state)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});
	struct bed_mark mark;

	(void)state;
	frontend_barrier(&guest->frontend);
	bed_mark(&mark);
	for (unsigned int i = 0; i < 200; i++) {
		/* No turn between the two, or a few. */
		frontend_deinit(&guest->frontend);
		for (unsigned int k = 0; k < i % 5; k++)
			bed_turn(guest->bed);
		bed_reconnect(guest);
		frontend_barrier(&guest->frontend);
	}
	bed_same(&mark);
}

/* Of several that want to take a dead one's place one gets it, the others are closed. */
static void of_many_frontends_one_is_served(void **state)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});
	struct frontend many[4];
	unsigned int closed = 0;
	struct bed_mark mark;

	(void)state;
	frontend_barrier(&guest->frontend);
	bed_hang_up(guest);
	bed_mark(&mark);
	for (unsigned int round = 0; round < 20; round++) {
		bed_reconnect(guest);
		frontend_barrier(&guest->frontend);
		for (unsigned int i = 0; i < 4; i++) {
			connect_another(guest, &many[i]);
			if (i == 1)
				frontend_deinit(&guest->frontend);
		}
		bed_settle(guest->bed);
		closed = 0;
		for (unsigned int i = 0; i < 4; i++) {
			if (frontend_peer_closed(&many[i]))
				closed++;
			else
				frontend_barrier(&many[i]);
			frontend_deinit(&many[i]);
		}
		assert_int_equal(closed, 3);
		bed_hang_up(guest);
	}
	bed_same(&mark);
}

/* Sends `carried` through one end of a pair, so that it waits in the other, which is returned. */
static int wrap(int carried, int flags)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
	                        .cmsg_level = SOL_SOCKET,
	                        .cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {"x", 1};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = &control,
	                     .msg_controllen = sizeof(control)};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		support_die("no pair");
	memcpy(CMSG_DATA(&control.header), &carried, sizeof(carried));
	if (sendmsg(pair[0], &msg, flags | MSG_NOSIGNAL) != 1 && flags == 0)
		support_die("no descriptor was sent: %s", strerror(errno));
	close(pair[0]);
	return pair[1];
}

/*
 * A frontend that passes its own end of the connection, itself or in a socket that hasn't been
 * read, is gone all the same when it goes.
 */
static void a_frontend_cant_hold_its_place_through_us(void **state)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});
	struct bed_mark mark;

	(void)state;
	bed_negotiate(guest, 0);
	bed_hang_up(guest);
	bed_mark(&mark);
	for (unsigned int way = 0; way < 9; way++) {
		struct frontend_message message;
		int fd;

		bed_reconnect(guest);
		bed_negotiate(guest, 0);
		fd = guest->frontend.sock;
		if (way % 3 > 0)
			fd = wrap(fd, way % 3 == 2 ? MSG_OOB : 0);
		if (way < 3) {
			frontend_message_init(&message, FE_SET_BACKEND_REQ_FD);
			frontend_message_fd(&message, fd);
			assert_int_not_equal(frontend_set(&guest->frontend, &message), 0);
		} else {
			frontend_set_device_state_fd(&guest->frontend, way >= 6, fd);
		}
		if (way % 3 > 0)
			close(fd);
		bed_hang_up(guest);
	}
	bed_await_discards();
	bed_same(&mark);
}

/* A guest that was handed its one connection asks for the end when that is gone. */
static void the_end_of_the_only_connection_is_told(void **state)
{
	struct bed_guest *guest = bed_new(NULL);

	(void)state;
	frontend_barrier(&guest->frontend);
	assert_int_equal(guest->quits, 0);
	bed_hang_up(guest);
	bed_settle(guest->bed);
	assert_int_equal(guest->quits, 1);
	assert_int_equal(guest->stopped, 0);
	bed_stop(guest, true);
	assert_int_equal(guest->backend.closes, 1);
}

/* What one frontend negotiated means nothing to the next. */
static void a_new_connection_begins_with_nothing(void **state)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});
	struct frontend_message message;
	struct frontend_reply reply;

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		bed_negotiate(guest, 0);
		bed_ring(guest, BED_TRANSMIT, 16, 0);
		bed_print(guest, "works");
		bed_reconnect(guest);
		/* No REPLY_ACK, no slots, no memory. */
		frontend_message_init(&message, FE_SET_OWNER);
		message.flags |= FE_FLAG_NEED_REPLY;
		assert_int_equal(frontend_send(&guest->frontend, &message), 0);
		frontend_message_init(&message, FE_GET_MAX_MEM_SLOTS);
		assert_int_equal(frontend_request(&guest->frontend, &message, &reply, 0), 0);
		frontend_set_protocol_features(&guest->frontend, 1ull << FE_PROTOCOL_REPLY_ACK);
		guest->frontend.need_reply = FE_NEED_REPLY_SETS;
		assert_int_not_equal(frontend_set_vring_kick(&guest->frontend, BED_TRANSMIT,
		                                             guest->ring[BED_TRANSMIT].kick),
		                     0);
		guest->frontend.need_reply = FE_NEED_REPLY_NEVER;
	}
}

/* ---- the stream, when a frontend goes while output is held ---- */

/*
 * The guest floods, the client reads a little in each turn, and at turn `n` the frontend is gone.
 * Whatever the client gets is what was printed, with gaps told: bytes that are on their way aren't
 * written over. False when all was printed before turn n.
 */
static bool flood_until(struct bed_guest *guest, unsigned int n, struct tcp_client *client,
                        struct stream_check *check)
{
	uint64_t pos = 0;

	for (unsigned int turn = 0; turn < n; turn++) {
		pos += offer_printed(guest, pos, 65536);
		bed_turn(guest->bed);
		console_driver_reap(&guest->console);
		/* Less than comes, so that the guest is held again and again. */
		if (turn > 20 && turn % 3 == 0) {
			tcp_client_read(client, 9000);
			check_piece(client, check);
		}
	}
	return pos < (64u << 20);
}

static void bytes_on_their_way_stay_as_they_are(void **state)
{
	(void)state;
	for (unsigned int n = 30; n < 150; n++) {
		struct bed_guest *guest = new_network_guest(4096);
		struct stream_check check = {0};
		struct tcp_client client;

		tcp_client_connect(&client, guest, 2048);
		bed_settle(guest->bed);
		assert_true(flood_until(guest, n, &client, &check));
		frontend_hangup(&guest->frontend);
		for (unsigned int turn = 0; turn < 40; turn++) {
			tcp_client_read(&client, 3000);
			bed_turn(guest->bed);
		}
		bed_settle(guest->bed);
		check_stream(&client, &check);
		bed_settle(guest->bed);
		check_stream(&client, &check);
		tcp_client_close(&client, false);
		bed_free(guest->bed);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(a_second_frontend_is_turned_away),
	    BED_TEST(a_dead_frontend_makes_room),
	    BED_TEST(of_many_frontends_one_is_served),
	    BED_TEST(a_frontend_cant_hold_its_place_through_us),
	    BED_TEST(the_end_of_the_only_connection_is_told),
	    BED_TEST(a_new_connection_begins_with_nothing),
	    BED_TEST(bytes_on_their_way_stay_as_they_are),
	};

	return BED_RUN(tests);
}
