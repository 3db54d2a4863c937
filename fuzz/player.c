/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "player.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GET_FEATURES          1u
#define GET_PROTOCOL_FEATURES 15u
#define SET_PROTOCOL_FEATURES 16u
#define GET_QUEUE_NUM         17u
#define F_PROTOCOL_FEATURES   30
#define PROTOCOL_F_MQ         1u
#define CONFIG_CHANGE_MSG     2u
#define NEED_REPLY            8u
#define REPLY_FLAGS           5u

#define SPLIT_MS  100u
#define SILENT_MS 20u

const char *player_outcome_name(enum player_outcome outcome)
{
	static const char *const names[PLAYER_OUTCOMES] = {
	    [PLAYER_AS_EXPECTED] = "as expected",
	    [PLAYER_NOT_FOR_IT] = "not for it",
	    [PLAYER_OTHERWISE] = "otherwise",
	    [PLAYER_REFUSED] = "refused",
	    [PLAYER_CLOSED] = "closed",
	    [PLAYER_HUNG] = "hung",
	    [PLAYER_DIED] = "died",
	    [PLAYER_LEAKED] = "leaked",
	};

	return names[outcome];
}

/* ---- outcomes ---- */

static void end_with(struct player *player, enum player_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void end_with(struct player *player, enum player_outcome outcome, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(player->why, sizeof(player->why), format, args);
	va_end(args);
	player->outcome = outcome;
	player->given_up = true;
}

/* The backend has closed the connection where it may. */
static void end_of_connection(struct player *player)
{
	player->over = true;
}

static void hang_up(struct player *player)
{
	if (player->sock >= 0)
		close(player->sock);
	player->sock = -1;
}

static void connect_anew(struct player *player)
{
	hang_up(player);
	player->over = false;
	player->sock = frame_connect(player->socket, player->deadline_ms);
	if (player->sock < 0)
		end_with(player, PLAYER_HUNG, "no connection: %s", strerror(-player->sock));
}

/* ---- sending ---- */

/* Where the part of the message that begins at `at` ends. */
static uint32_t part_end(const struct conversation_step *step, uint32_t at, uint32_t len)
{
	for (uint32_t i = 0; i < step->splits_count; i++) {
		if (step->splits[i] > at) {
			len = step->splits[i];
			break;
		}
	}
	/* Descriptors go with a part's first byte. */
	return step->fds_count > 0 && at < step->fds_at && step->fds_at < len ? step->fds_at : len;
}

/*
 * Sends the parts of a message. That the other side has closed is left to the next expectation to
 * judge.
 */
static void send_parts(struct player *player, const struct conversation_step *step,
                       const uint8_t *bytes, uint32_t len)
{
	enum frame_result r = FRAME_OK;
	int fds[CONVERSATION_FDS_MAX];
	unsigned int count = 0;

	for (uint32_t i = 0; i < step->fds_count; i++) {
		if (player->files.entries[step->fds[i]].fd >= 0)
			fds[count++] = player->files.entries[step->fds[i]].fd;
	}
	for (uint32_t at = 0, end; at < len && r == FRAME_OK; at = end) {
		if (at > 0)
			frame_is_taken(player->sock, SPLIT_MS);
		end = part_end(step, at, len);
		r = frame_send(player->sock, bytes + at, end - at, fds,
		               at == step->fds_at ? count : 0, player->deadline_ms);
	}
	if (r == FRAME_LATE)
		end_with(player, PLAYER_HUNG, "it doesn't read");
}

static void send_message(struct player *player, const struct conversation_step *step)
{
	const uint32_t header[] = {step->request, step->flags, step->size};
	uint8_t *bytes = malloc(FRAME_HEADER + step->len);

	if (!bytes)
		abort();
	memcpy(bytes, header, FRAME_HEADER);
	if (step->len > 0)
		memcpy(bytes + FRAME_HEADER, step->bytes, step->len);
	player->request = step->request;
	send_parts(player, step, bytes, FRAME_HEADER + step->len);
	free(bytes);
}

/* ---- what comes back ---- */

/* The next message into player->frame. False, with the outcome set, if there is none. */
static bool receive(struct player *player, bool may_close)
{
	enum frame_result r = frame_receive(player->sock, &player->frame, player->deadline_ms);

	frame_close_fds(&player->frame);
	if (r == FRAME_CLOSED && may_close)
		end_of_connection(player);
	else if (r == FRAME_CLOSED)
		end_with(player, PLAYER_CLOSED, "the connection was closed");
	else if (r == FRAME_LATE)
		end_with(player, PLAYER_HUNG, "nothing came in %u ms", player->deadline_ms);
	else if (r == FRAME_TOO_LONG)
		end_with(player, PLAYER_OTHERWISE, "a message of %" PRIu32 " bytes came",
		         player->frame.size);
	return r == FRAME_OK;
}

static const char *name_of(uint32_t request)
{
	const char *name = conversation_request_name(request);

	return name ? name : "an unknown request";
}

static bool answers(struct player *player, uint32_t request, uint32_t flags)
{
	const struct frame *frame = &player->frame;
	/* Some backends give the request's NEED_REPLY back, and no frontend minds. */
	uint32_t ignored = flags == REPLY_FLAGS ? NEED_REPLY : 0;

	if (frame->request == request && (frame->flags & ~ignored) == flags)
		return true;
	end_with(player, PLAYER_OTHERWISE, "%s (%" PRIu32 ") with flags 0x%" PRIx32 " came",
	         name_of(frame->request), frame->request, frame->flags);
	return false;
}

static void expect_reply(struct player *player, const struct conversation_step *step)
{
	const struct frame *frame = &player->frame;

	if (!receive(player, false) || !answers(player, step->request, step->flags))
		return;
	if (frame->size == 0 && step->size > 0)
		end_with(player, PLAYER_REFUSED, "an answer without payload");
	else if (frame->size != step->size)
		end_with(player, PLAYER_OTHERWISE, "a payload of %" PRIu32 " bytes, not %" PRIu32,
		         frame->size, step->size);
	else if (!files_match(step, frame->payload, frame->size))
		end_with(player, PLAYER_OTHERWISE, "another payload, 0x%" PRIx64 " at first",
		         frame_u64(frame));
}

static void expect_ack(struct player *player, const struct conversation_step *step)
{
	const struct frame *frame = &player->frame;
	uint64_t ack;

	if (!receive(player, false) || !answers(player, player->request, REPLY_FLAGS))
		return;
	ack = frame_u64(frame);
	if (frame->size != sizeof(ack))
		end_with(player, PLAYER_OTHERWISE, "%" PRIu32 " bytes for an acknowledgement",
		         frame->size);
	else if (ack != step->number)
		end_with(player, step->number == 0 ? PLAYER_REFUSED : PLAYER_OTHERWISE,
		         "acknowledged with %" PRIu64, ack);
}

static void expect_refused(struct player *player)
{
	const struct frame *frame = &player->frame;

	if (!receive(player, true) || !answers(player, player->request, REPLY_FLAGS))
		return;
	if (frame->size != 0 && (frame->size != 8 || frame_u64(frame) == 0))
		end_with(player, PLAYER_OTHERWISE, "it was done");
	else if (frame->size == 8 && conversation_answer_is_u64(player->request))
		end_with(player, PLAYER_OTHERWISE, "it was answered");
}

static void expect_nothing(struct player *player)
{
	if (!frame_waits(player->sock, SILENT_MS))
		return;
	if (receive(player, false))
		end_with(player, PLAYER_OTHERWISE, "%s (%" PRIu32 ") came",
		         name_of(player->frame.request), player->frame.request);
}

static void expect_closed(struct player *player)
{
	if (receive(player, true))
		end_with(player, PLAYER_OTHERWISE, "%s (%" PRIu32 ") came",
		         name_of(player->frame.request), player->frame.request);
}

static void expect_survival(struct player *player)
{
	const uint32_t header[] = {GET_FEATURES, 1, 0};

	if (frame_send(player->sock, header, sizeof(header), NULL, 0, player->deadline_ms) ==
	    FRAME_LATE) {
		end_with(player, PLAYER_HUNG, "it doesn't read");
		return;
	}
	/* Answers to what was sent before may come first. */
	while (receive(player, true)) {
		if (player->frame.request == GET_FEATURES && player->frame.size == 8)
			return;
	}
}

/* ---- what is seen in the files ---- */

static bool peer_closed(struct player *player)
{
	struct pollfd pollfd = {.fd = player->sock, .events = POLLRDHUP};

	return poll(&pollfd, 1, 0) > 0;
}

static void await_signal(struct player *player, const struct conversation_step *step)
{
	uint64_t end = frame_now_ms() + player->deadline_ms;
	bool may_close = step->kind == CONVERSATION_EXPECT_ERROR;
	struct pollfd fds[] = {
	    {.fd = player->files.entries[step->file].fd, .events = POLLIN},
	    {.fd = player->sock, .events = POLLRDHUP},
	};

	while (!files_take_signal(&player->files, step->file)) {
		if (peer_closed(player) && may_close) {
			end_of_connection(player);
			return;
		}
		if (peer_closed(player)) {
			end_with(player, PLAYER_CLOSED, "the connection was closed");
			return;
		}
		if (frame_now_ms() >= end) {
			end_with(player, PLAYER_HUNG, "not signalled in %u ms",
			         player->deadline_ms);
			return;
		}
		poll(fds, 2, 100);
	}
}

static void expect_no_call(struct player *player, const struct conversation_step *step)
{
	struct pollfd pollfd = {.fd = player->files.entries[step->file].fd, .events = POLLIN};

	poll(&pollfd, 1, (int)SILENT_MS);
	if (files_take_signal(&player->files, step->file))
		end_with(player, PLAYER_OTHERWISE, "it was signalled");
}

/* Memory changes without an event. */
static void await_memory(struct player *player, const struct conversation_step *step)
{
	uint64_t end = frame_now_ms() + player->deadline_ms;

	while (!files_have(&player->files, step)) {
		if (frame_now_ms() >= end) {
			if (peer_closed(player))
				end_with(player, PLAYER_CLOSED, "the connection was closed");
			else
				end_with(player, PLAYER_HUNG, "other bytes after %u ms",
				         player->deadline_ms);
			return;
		}
		poll(NULL, 0, 1);
	}
}

static void expect_config_change(struct player *player, const struct conversation_step *step)
{
	uint32_t ack[] = {CONFIG_CHANGE_MSG, REPLY_FLAGS, 8, 0, 0};
	int sock = player->files.entries[step->file].other;
	enum frame_result r = frame_receive(sock, &player->frame, player->deadline_ms);

	frame_close_fds(&player->frame);
	if (r == FRAME_LATE)
		end_with(player, PLAYER_HUNG, "nothing came in %u ms", player->deadline_ms);
	else if (r != FRAME_OK)
		end_with(player, PLAYER_CLOSED, "the backend's channel was closed");
	else if (player->frame.request != CONFIG_CHANGE_MSG || player->frame.size != 0)
		end_with(player, PLAYER_OTHERWISE, "message %" PRIu32 " came",
		         player->frame.request);
	else if (player->frame.flags & NEED_REPLY)
		frame_send(sock, ack, sizeof(ack), NULL, 0, player->deadline_ms);
}

/* ---- steps ---- */

static void check_needs(struct player *player, const struct conversation_step *step)
{
	const struct player_offer *offer = player->offer;
	bool has = true;

	if (step->kind == CONVERSATION_NEEDS_FEATURES)
		has = (offer->features & step->number) == step->number;
	else if (step->kind == CONVERSATION_NEEDS_PROTOCOL_FEATURES)
		has = (offer->protocol_features & step->number) == step->number;
	else if (step->kind == CONVERSATION_NEEDS_VRINGS)
		has = offer->vrings >= step->number;
	else
		has = offer->console;
	if (!has)
		end_with(player, PLAYER_NOT_FOR_IT, "%s 0x%" PRIx64,
		         conversation_kind_name(step->kind), step->number);
}

static void open_file(struct player *player, const struct conversation_step *step)
{
	int r = files_open(&player->files, step);

	if (r < 0)
		end_with(player, PLAYER_OTHERWISE, "a file can't be made: %s", strerror(-r));
}

static void expect(struct player *player, const struct conversation_step *step)
{
	switch (step->kind) {
	case CONVERSATION_EXPECT_REPLY:
		expect_reply(player, step);
		break;
	case CONVERSATION_EXPECT_ACK:
		expect_ack(player, step);
		break;
	case CONVERSATION_EXPECT_REFUSED:
		expect_refused(player);
		break;
	case CONVERSATION_EXPECT_NOTHING:
		expect_nothing(player);
		break;
	case CONVERSATION_EXPECT_CLOSED:
		expect_closed(player);
		break;
	case CONVERSATION_EXPECT_SURVIVAL:
		expect_survival(player);
		break;
	case CONVERSATION_EXPECT_CONFIG_CHANGE:
		expect_config_change(player, step);
		break;
	case CONVERSATION_EXPECT_NO_CALL:
		expect_no_call(player, step);
		break;
	case CONVERSATION_EXPECT_MEMORY:
		await_memory(player, step);
		break;
	default:
		await_signal(player, step);
	}
}

/* The steps that need no connection. Whether it was one. */
static bool play_offline(struct player *player, const struct conversation_step *step)
{
	switch (step->kind) {
	case CONVERSATION_NEEDS_FEATURES:
	case CONVERSATION_NEEDS_PROTOCOL_FEATURES:
	case CONVERSATION_NEEDS_VRINGS:
	case CONVERSATION_NEEDS_CONSOLE:
		check_needs(player, step);
		return true;
	case CONVERSATION_FILE:
		open_file(player, step);
		return true;
	case CONVERSATION_CONNECT:
		connect_anew(player);
		return true;
	case CONVERSATION_HANGUP:
		hang_up(player);
		return true;
	default:
		return player->over || player->sock < 0;
	}
}

static void play_step(struct player *player, const struct conversation_step *step)
{
	if (play_offline(player, step))
		return;
	switch (step->kind) {
	case CONVERSATION_SEND:
		send_message(player, step);
		break;
	case CONVERSATION_BYTES:
		send_parts(player, step, step->bytes, step->len);
		break;
	case CONVERSATION_WRITE:
	case CONVERSATION_TRUNCATE:
	case CONVERSATION_KICK:
	case CONVERSATION_CLOSE:
		files_do(&player->files, step);
		break;
	case CONVERSATION_PAUSE:
		poll(NULL, 0, (int)step->number);
		break;
	default:
		expect(player, step);
	}
}

void player_play(struct player *player, const struct conversation *conversation)
{
	player->conversation = conversation;
	player->outcome = PLAYER_AS_EXPECTED;
	player->why[0] = '\0';
	player->at = NULL;
	player->given_up = false;
	player->sock = -1;
	files_init(&player->files);
	connect_anew(player);
	for (unsigned int i = 0; i < conversation->count && !player->given_up; i++) {
		player->at = &conversation->steps[i];
		play_step(player, player->at);
	}
	hang_up(player);
	files_deinit(&player->files);
	if (!player->given_up)
		player->at = NULL;
}

/* ---- alone ---- */

static bool ask(int sock, uint32_t request, unsigned int deadline_ms, uint64_t *ret)
{
	const uint32_t header[] = {request, 1, 0};
	static struct frame frame;

	if (frame_send(sock, header, sizeof(header), NULL, 0, deadline_ms) != FRAME_OK ||
	    frame_receive(sock, &frame, deadline_ms) != FRAME_OK)
		return false;
	frame_close_fds(&frame);
	*ret = frame_u64(&frame);
	return frame.request == request && frame.size == sizeof(*ret);
}

int player_knock(const char *socket, unsigned int deadline_ms)
{
	int sock = frame_connect(socket, deadline_ms);
	uint64_t features;

	if (sock >= 0 && !ask(sock, GET_FEATURES, deadline_ms, &features)) {
		close(sock);
		return -1;
	}
	return sock < 0 ? -1 : sock;
}

/* It may only be asked where MQ was accepted. */
static bool ask_vrings(int sock, unsigned int deadline_ms, uint64_t *ret)
{
	const uint32_t accept[] = {SET_PROTOCOL_FEATURES, 1, 8, PROTOCOL_F_MQ, 0};

	return frame_send(sock, accept, sizeof(accept), NULL, 0, deadline_ms) == FRAME_OK &&
	       ask(sock, GET_QUEUE_NUM, deadline_ms, ret);
}

bool player_ask_offer(const char *socket, unsigned int deadline_ms, struct player_offer *ret)
{
	int sock = frame_connect(socket, deadline_ms);
	bool fine;

	ret->protocol_features = 0;
	ret->vrings = 1;
	if (sock < 0)
		return false;
	fine = ask(sock, GET_FEATURES, deadline_ms, &ret->features);
	if (fine && (ret->features >> F_PROTOCOL_FEATURES & 1))
		fine = ask(sock, GET_PROTOCOL_FEATURES, deadline_ms, &ret->protocol_features);
	if (fine && (ret->protocol_features & PROTOCOL_F_MQ))
		fine = ask_vrings(sock, deadline_ms, &ret->vrings);
	close(sock);
	return fine;
}
