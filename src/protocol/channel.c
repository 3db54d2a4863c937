/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "protocol/channel.h"

#include "base/macros.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static void receive_more(struct channel *channel);

/* Answers. */

static void send_more(struct channel *channel)
{
	channel->iov = (struct iovec){
	    .iov_base = (uint8_t *)&channel->answer + channel->done,
	    .iov_len = channel->answer_len - channel->done,
	};
	channel->msg = (struct msghdr){.msg_iov = &channel->iov, .msg_iovlen = 1};
	loop_arm_sendmsg(&channel->send, channel->fd, &channel->msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_sent(struct loop_op *op, int32_t res)
{
	struct channel *channel = container_of(op, struct channel, send);

	if (channel->scope->closing)
		return;
	if (loop_is_shortage(res)) {
		loop_arm_again(op);
		return;
	}
	if (res == -EAGAIN) {
		loop_room_await(&channel->room, channel->fd);
		return;
	}
	if (res < 0 && res != -EINTR) {
		channel->ended(channel, res == -EPIPE ? NULL : strerror(-res));
		return;
	}
	loop_room_progress(&channel->room);
	channel->done += (size_t)MAX(res, 0);
	if (channel->done < channel->answer_len) {
		send_more(channel);
		return;
	}
	channel->done = 0;
	receive_more(channel);
}

static void on_room(struct loop_room *room)
{
	send_more(container_of(room, struct channel, room));
}

static void answer(struct channel *channel, const void *payload, uint32_t size)
{
	channel->answer.header = (struct wire_header){
	    .request = channel->header.request,
	    .flags = le32_of(WIRE_VERSION | WIRE_REPLY),
	    .size = le32_of(size),
	};
	memcpy(channel->answer.payload, payload, size);
	channel->answer_len = sizeof(channel->answer.header) + size;
	channel->done = 0;
	send_more(channel);
}

/* "REPLY_ACK": zero for done, anything else for refused. */
static void acknowledge(struct channel *channel, bool refused)
{
	le64 wire = le64_of(refused ? 1 : 0);

	answer(channel, &wire, sizeof(wire));
}

void channel_answer_later(struct channel *channel, uint64_t value)
{
	le64 wire = le64_of(value);

	if (!channel->owes || channel->scope->closing)
		return;
	channel->owes = false;
	loop_cancel(&channel->hangup);
	answer(channel, &wire, sizeof(wire));
}

/* While nothing is read that would tell of the end. */
static void await_hangup(struct channel *channel)
{
	if (!channel->hangup.armed)
		loop_arm_poll(&channel->hangup, channel->fd, POLLRDHUP);
}

static void owe(struct channel *channel)
{
	channel->owes = true;
	await_hangup(channel);
}

static void on_hung_up(struct loop_op *op, int32_t res)
{
	struct channel *channel = container_of(op, struct channel, hangup);

	if (channel->scope->closing || !(channel->owes || channel->held))
		return;
	if (loop_is_shortage(res))
		loop_arm_again(op);
	else if (res < 0)
		await_hangup(channel); /* cancelled for what was waited for before */
	else
		channel->ended(channel, NULL);
}

/* Messages. */

static const char *handle_request(struct channel *channel, struct session_reply *reply)
{
	struct request request;
	enum request_verdict verdict;

	verdict = request_parse(&channel->parsed, channel->payload, channel->fds.count,
	                        &channel->session->limits, &request);
	if (verdict != REQUEST_OK)
		return request_verdict_text(verdict);
	session_handle(channel->session, &request, &channel->fds, reply);
	return reply->refused;
}

/* SET_LOG_BASE is answered by the specification's "Communication"; frontends take a number. */
static bool is_acknowledged(const struct channel *channel)
{
	const struct request_header *parsed = &channel->parsed;
	const struct session *session = channel->session;

	if (parsed->request == VHOST_USER_SET_LOG_BASE && !parsed->is_reply &&
	    session_has(session, VHOST_USER_PROTOCOL_F_LOG_SHMFD))
		return true;
	return parsed->need_reply && session_has(session, VHOST_USER_PROTOCOL_F_REPLY_ACK);
}

static void on_handle(struct loop_task *task)
{
	struct channel *channel = container_of(task, struct channel, handle);
	const struct request_header *parsed = &channel->parsed;
	struct session_reply reply = {0};
	const char *refused;

	if (channel->scope->closing)
		return;
	refused = handle_request(channel, &reply);
	fd_bag_close(&channel->fds);
	if (channel->scope->closing)
		return; /* what was asked for has ended the connection */
	if (refused)
		log_limited(&channel->limit, LOG_LEVEL_WARNING, "%s: %s (%u) refused: %s",
		            channel->name, request_name(parsed->request), parsed->request, refused);
	channel->done = 0;
	loop_watch(channel->scope->loop, &channel->awake);
	if (reply.later) {
		owe(channel);
		return;
	}
	/* A question that is refused is answered too, if with nothing: its asker waits. */
	if (request_is_answered(parsed->request) && !parsed->is_reply)
		answer(channel, reply.payload, reply.size);
	else if (is_acknowledged(channel))
		acknowledge(channel, refused != NULL);
	else
		receive_more(channel);
}

/*
 * The kernel announces the next message, so there is nothing to look at: this only keeps the loop
 * awake for a moment. Bringing a guest up is some thirty questions and answers, and waking two
 * sleeping threads for each is most of what it takes.
 */
static bool on_look(struct loop_watch *watch)
{
	(void)watch;
	return false;
}

static void on_rest(struct loop_watch *watch)
{
	(void)watch;
}

static void end_with(struct channel *channel, enum request_verdict verdict)
{
	channel->ended(channel, request_verdict_text(verdict));
}

static void on_header(struct channel *channel)
{
	enum request_verdict verdict = request_parse_header(&channel->header, &channel->parsed);

	if (verdict != REQUEST_OK)
		end_with(channel, verdict);
	else
		receive_more(channel);
}

/* Bytes. */

static bool header_is_whole(const struct channel *channel)
{
	return channel->done >= sizeof(channel->header);
}

static void receive(struct channel *channel, void *bytes, size_t len)
{
	channel->held = !loop_discards_empty(channel->discards);
	if (channel->held) {
		await_hangup(channel);
		return;
	}
	channel->iov = (struct iovec){.iov_base = bytes, .iov_len = len};
	channel->msg = (struct msghdr){
	    .msg_iov = &channel->iov,
	    .msg_iovlen = 1,
	    .msg_control = channel->control,
	    .msg_controllen = sizeof(channel->control),
	};
	loop_arm_recvmsg(&channel->receive, channel->fd, &channel->msg, MSG_CMSG_CLOEXEC);
}

/* Goes on with the message at hand: its header, its payload, its handling. */
static void receive_more(struct channel *channel)
{
	size_t at = channel->done - MIN(channel->done, sizeof(channel->header));

	if (!header_is_whole(channel))
		receive(channel, (uint8_t *)&channel->header + channel->done,
		        sizeof(channel->header) - channel->done);
	else if (at < channel->parsed.size)
		receive(channel, channel->payload + at, channel->parsed.size - at);
	else
		/* Not here: by the time that work is done, all sends of this turn have ended. */
		loop_work(channel->scope->loop, &channel->handle);
}

/* Takes a descriptor that came with the header, or with the payload, where none belongs. */
static bool take_fd(struct channel *channel, int fd, bool in_header)
{
	bool room = channel->fds.count < FD_BAG_MAX;

	if (in_header && room)
		channel->fds.fd[channel->fds.count++] = fd;
	else
		fd_discard(&channel->discards->discarder, &fd);
	return room || !in_header;
}

/*
 * Puts the descriptors that came into the bag. False if some were lost: there were more than a
 * message can have, or than this process may open.
 */
static bool take_fds(struct channel *channel, bool in_header)
{
	bool whole = !(channel->msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC));

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&channel->msg); c;
	     c = CMSG_NXTHDR(&channel->msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			whole &= take_fd(channel, fd, in_header);
		}
	}
	return whole;
}

static void on_received(struct loop_op *op, int32_t res)
{
	struct channel *channel = container_of(op, struct channel, receive);
	bool in_header = !header_is_whole(channel);
	bool whole = true;

	/* What a message brings is owned here even if nobody wants the message any more. */
	if (res > 0)
		whole = take_fds(channel, in_header);
	if (channel->scope->closing)
		return;
	if (loop_is_shortage(res)) {
		loop_arm_again(op);
		return;
	}
	if (res == -EINTR || res == -EAGAIN) {
		receive_more(channel);
		return;
	}
	if (res <= 0) {
		bool between = res == -ECONNRESET || (res == 0 && channel->done == 0);

		channel->ended(channel, between   ? NULL
		                        : res < 0 ? strerror(-res)
		                                  : "half a message");
		return;
	}
	if (!whole) {
		channel->ended(channel, "descriptors of a message were lost: too many of them, "
		                        "or this process may open no more (ulimit -n)");
		return;
	}
	channel->done += (size_t)res;
	if (in_header && header_is_whole(channel))
		on_header(channel);
	else
		receive_more(channel);
}

void channel_start(struct channel *channel, struct session *session, struct loop_scope *scope,
                   struct loop_discards *discards, int fd, const char *name,
                   void (*ended)(struct channel *channel, const char *why))
{
	channel->session = session;
	channel->scope = scope;
	channel->discards = discards;
	channel->name = name;
	channel->ended = ended;
	channel->fd = fd;
	channel->done = 0;
	channel->owes = false;
	fd_bag_init(&channel->fds, &discards->discarder);
	loop_op_init(&channel->receive, scope, on_received);
	loop_op_init(&channel->send, scope, on_sent);
	loop_room_init(&channel->room, scope, on_room);
	loop_op_init(&channel->hangup, scope, on_hung_up);
	loop_task_init(&channel->handle, on_handle);
	loop_watch_init(&channel->awake, on_look, on_rest);
	receive_more(channel);
}

void channel_go_on(struct channel *channel)
{
	if (!channel->held || channel->scope->closing)
		return;
	loop_cancel(&channel->hangup);
	receive_more(channel);
}

bool channel_is_hung_up(const struct channel *channel)
{
	struct pollfd pollfd = {.fd = channel->fd, .events = POLLRDHUP};

	return poll(&pollfd, 1, 0) == 1 && (pollfd.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

void channel_deinit(struct channel *channel)
{
	assert(!channel->receive.armed && !channel->send.armed && !channel->hangup.armed);
	loop_task_cancel(&channel->handle);
	loop_watch_cancel(&channel->awake);
	fd_bag_close(&channel->fds);
	fd_discard(&channel->discards->discarder, &channel->fd);
}
