/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "control/conversation.h"

#include "base/fd.h"
#include "base/macros.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_drained(struct loop_scope *scope)
{
	struct conversation *conversation = container_of(scope, struct conversation, scope);

	fd_discard(strays_discarder(conversation->strays), &conversation->fd);
	free(conversation->strays_room);
	free(conversation->answer);
	conversation->answer = NULL;
	conversation->ops->ended(conversation);
}

void conversation_stop(struct conversation *conversation)
{
	loop_scope_close(&conversation->scope);
}

/* Answers. */

static void send_rest(struct conversation *conversation)
{
	conversation->iov = (struct iovec){
	    conversation->answer + conversation->answer_sent,
	    conversation->answer_len - conversation->answer_sent,
	};
	conversation->msg = (struct msghdr){.msg_iov = &conversation->iov, .msg_iovlen = 1};
	loop_arm_sendmsg(&conversation->send, conversation->fd, &conversation->msg,
	                 MSG_DONTWAIT | MSG_NOSIGNAL);
}

void conversation_answer(struct conversation *conversation, char *answer, size_t len)
{
	assert(!conversation->answer && len > 0);
	conversation->answer = answer;
	conversation->answer_len = len;
	conversation->answer_sent = 0;
	if (!conversation->scope.closing)
		send_rest(conversation);
}

/* Says why in a last answer. */
static void end_with(struct conversation *conversation, const char *why)
{
	char *answer;
	int len = asprintf(&answer, "error %s\n", why);

	conversation->last = true;
	if (len > 0)
		conversation_answer(conversation, answer, (size_t)len);
	else
		conversation_stop(conversation);
}

/* Input. */

static void receive_more(struct conversation *conversation)
{
	conversation->held = strays_pending(conversation->strays);
	if (conversation->held)
		return;
	strays_arm_recv(conversation->strays_room, &conversation->receive, conversation->fd,
	                conversation->bytes + conversation->received,
	                sizeof(conversation->bytes) - conversation->received, 0);
}

void conversation_go_on(struct conversation *conversation)
{
	if (conversation->held && !conversation->scope.closing)
		receive_more(conversation);
}

static void take_line(struct conversation *conversation, size_t len)
{
	char *line = conversation->bytes;

	conversation->line_len = len + 1;
	conversation->ops->line(conversation, line, len);
}

/* Whether `len` bytes without LF, perhaps with a CR, are more than a line may have. */
static bool is_too_long(const char *line, size_t len)
{
	return len > CONTROL_REQUEST_LINE_MAX + 1 ||
	       (len == CONTROL_REQUEST_LINE_MAX + 1 && line[len - 1] != '\r');
}

/* No line is at hand: the next one's turn. */
static void go_on(struct conversation *conversation)
{
	const char *bytes = conversation->bytes;
	const char *end = memchr(bytes, '\n', conversation->received);
	size_t len = end ? (size_t)(end - bytes) : conversation->received;

	if (is_too_long(bytes, len))
		end_with(conversation, CONTROL_REQUEST_TOO_LONG);
	else if (end)
		take_line(conversation, len);
	else if (!conversation->finished)
		receive_more(conversation);
	else if (len > 0)
		end_with(conversation, "the last line has no end: it wasn't carried out");
	else
		conversation_stop(conversation);
}

static void on_receive(struct loop_op *op, int32_t res)
{
	struct conversation *conversation = container_of(op, struct conversation, receive);

	if (res >= 0)
		strays_take(conversation->strays, conversation->strays_room);
	if (op->scope->closing)
		return;
	if (loop_is_shortage(res)) {
		loop_arm_again(op);
		return;
	}
	if (res < 0 && res != -EINTR) {
		conversation_stop(conversation);
		return;
	}
	conversation->finished = res == 0;
	conversation->received += (size_t)MAX(res, 0);
	go_on(conversation);
}

static void take_answered(struct conversation *conversation)
{
	free(conversation->answer);
	conversation->answer = NULL;
	if (conversation->last) {
		conversation_stop(conversation);
		return;
	}
	conversation->received -= conversation->line_len;
	memmove(conversation->bytes, conversation->bytes + conversation->line_len,
	        conversation->received);
	conversation->line_len = 0;
	go_on(conversation);
}

static void on_sent(struct loop_op *op, int32_t res)
{
	struct conversation *conversation = container_of(op, struct conversation, send);

	if (op->scope->closing)
		return;
	if (loop_is_shortage(res)) {
		loop_arm_again(op);
	} else if (res == -EAGAIN) {
		loop_room_await(&conversation->room, conversation->fd);
	} else if (res < 0 && res != -EINTR) {
		conversation_stop(conversation);
	} else {
		conversation->answer_sent += (size_t)MAX(res, 0);
		loop_room_progress(&conversation->room);
		if (conversation->answer_sent < conversation->answer_len)
			send_rest(conversation);
		else
			take_answered(conversation);
	}
}

static void on_room(struct loop_room *room)
{
	send_rest(container_of(room, struct conversation, room));
}

void conversation_start(struct conversation *conversation, const struct conversation_ops *ops,
                        struct loop *loop, int fd, struct strays *strays,
                        struct strays_room *strays_room)
{
	*conversation = (struct conversation){
	    .ops = ops, .fd = fd, .strays = strays, .strays_room = strays_room};
	loop_scope_init(&conversation->scope, loop, on_drained);
	loop_op_init(&conversation->receive, &conversation->scope, on_receive);
	loop_op_init(&conversation->send, &conversation->scope, on_sent);
	loop_room_init(&conversation->room, &conversation->scope, on_room);
	receive_more(conversation);
}
