/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The protocol's requests, each with exactly the payload and files that the specification gives it,
 * and each answer checked. See frontend.h.
 */
#include "frontend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support.h"

#define VRING_NO_FD 0x100u /* bit 8 of SET_VRING_KICK, CALL and ERR */

static const char *const request_names[] = {
    [FE_GET_FEATURES] = "GET_FEATURES",
    [FE_SET_FEATURES] = "SET_FEATURES",
    [FE_SET_OWNER] = "SET_OWNER",
    [FE_RESET_OWNER] = "RESET_OWNER",
    [FE_SET_MEM_TABLE] = "SET_MEM_TABLE",
    [FE_SET_LOG_BASE] = "SET_LOG_BASE",
    [FE_SET_LOG_FD] = "SET_LOG_FD",
    [FE_SET_VRING_NUM] = "SET_VRING_NUM",
    [FE_SET_VRING_ADDR] = "SET_VRING_ADDR",
    [FE_SET_VRING_BASE] = "SET_VRING_BASE",
    [FE_GET_VRING_BASE] = "GET_VRING_BASE",
    [FE_SET_VRING_KICK] = "SET_VRING_KICK",
    [FE_SET_VRING_CALL] = "SET_VRING_CALL",
    [FE_SET_VRING_ERR] = "SET_VRING_ERR",
    [FE_GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
    [FE_SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
    [FE_GET_QUEUE_NUM] = "GET_QUEUE_NUM",
    [FE_SET_VRING_ENABLE] = "SET_VRING_ENABLE",
    [FE_SET_BACKEND_REQ_FD] = "SET_BACKEND_REQ_FD",
    [FE_GET_CONFIG] = "GET_CONFIG",
    [FE_SET_CONFIG] = "SET_CONFIG",
    [FE_GET_INFLIGHT_FD] = "GET_INFLIGHT_FD",
    [FE_SET_INFLIGHT_FD] = "SET_INFLIGHT_FD",
    [FE_RESET_DEVICE] = "RESET_DEVICE",
    [FE_GET_MAX_MEM_SLOTS] = "GET_MAX_MEM_SLOTS",
    [FE_ADD_MEM_REG] = "ADD_MEM_REG",
    [FE_REM_MEM_REG] = "REM_MEM_REG",
    [FE_SET_STATUS] = "SET_STATUS",
    [FE_GET_STATUS] = "GET_STATUS",
    [FE_SET_DEVICE_STATE_FD] = "SET_DEVICE_STATE_FD",
    [FE_CHECK_DEVICE_STATE] = "CHECK_DEVICE_STATE",
};

const char *frontend_request_name(uint32_t request)
{
	static char other[32];

	if (request < sizeof(request_names) / sizeof(request_names[0]) && request_names[request])
		return request_names[request];
	snprintf(other, sizeof(other), "request %u", request);
	return other;
}

/* ---- one request and its answer ---- */

/* False if there is no connection any more. */
static bool observed(struct frontend *frontend, enum frontend_moment moment, uint32_t request)
{
	if (frontend->observe)
		frontend->observe(frontend, moment, request);
	return frontend->sock >= 0;
}

static void check_reply(const struct frontend_reply *reply, uint32_t request, int size)
{
	const char *name = frontend_request_name(request);

	if (reply->request != request)
		support_die("%s was answered with request number %u", name, reply->request);
	if (reply->flags != (FE_FLAG_VERSION | FE_FLAG_REPLY))
		support_die("the answer to %s has the flags %#x", name, reply->flags);
	if (size != FE_REPLY_SIZE_ANY && reply->size != (uint32_t)size)
		support_die("the answer to %s has %u bytes, not %d", name, reply->size, size);
	if (reply->fd_count)
		support_die("the answer to %s came with %u files", name, reply->fd_count);
}

int frontend_request(struct frontend *frontend, const struct frontend_message *message,
                     struct frontend_reply *ret_reply, int size)
{
	int error;

	if (frontend->sock < 0 || !observed(frontend, FE_BEFORE, message->request))
		return -ENOTCONN;
	error = frontend_send(frontend, message);
	if (error)
		return error;
	frontend->sent++;
	if (!observed(frontend, FE_SENT, message->request))
		return -ENOTCONN;
	if (ret_reply) {
		error = frontend_receive(frontend, ret_reply);
		if (error)
			return error;
		check_reply(ret_reply, message->request, size);
	}
	return observed(frontend, FE_ANSWERED, message->request) ? 0 : -ENOTCONN;
}

uint64_t frontend_set(struct frontend *frontend, struct frontend_message *message)
{
	struct frontend_reply reply;

	if (frontend->need_reply == FE_NEED_REPLY_NEVER)
		return frontend_request(frontend, message, NULL, 0) ? FE_CLOSED : 0;
	message->flags |= FE_FLAG_NEED_REPLY;
	if (frontend_request(frontend, message, &reply, sizeof(uint64_t)))
		return FE_CLOSED;
	memcpy(&frontend->ack, reply.payload, sizeof(frontend->ack));
	return frontend->ack;
}

/* A request with an answer of its own: 0, or -ENOTCONN if we hung up ourselves. */
static int get(struct frontend *frontend, struct frontend_message *message,
               struct frontend_reply *ret_reply, int size)
{
	int error;

	if (frontend->need_reply == FE_NEED_REPLY_ALL)
		message->flags |= FE_FLAG_NEED_REPLY;
	error = frontend_request(frontend, message, ret_reply, size);
	if (error && error != -ENOTCONN)
		support_die("the backend closed the connection at %s",
		            frontend_request_name(message->request));
	return error;
}

uint64_t frontend_get(struct frontend *frontend, struct frontend_message *message)
{
	struct frontend_reply reply;
	uint64_t value;

	if (get(frontend, message, &reply, sizeof(value)))
		return 0;
	memcpy(&value, reply.payload, sizeof(value));
	return value;
}

/* ---- requests without payload, or with one u64 ---- */

static uint64_t get_u64(struct frontend *frontend, uint32_t request)
{
	struct frontend_message message;

	frontend_message_init(&message, request);
	return frontend_get(frontend, &message);
}

static uint64_t set_u64(struct frontend *frontend, uint32_t request, uint64_t value)
{
	struct frontend_message message;

	frontend_message_init(&message, request);
	frontend_message_u64(&message, value);
	return frontend_set(frontend, &message);
}

static uint64_t set_nothing(struct frontend *frontend, uint32_t request)
{
	struct frontend_message message;

	frontend_message_init(&message, request);
	return frontend_set(frontend, &message);
}

uint64_t frontend_get_features(struct frontend *frontend)
{
	return get_u64(frontend, FE_GET_FEATURES);
}

uint64_t frontend_set_features(struct frontend *frontend, uint64_t features)
{
	return set_u64(frontend, FE_SET_FEATURES, features);
}

uint64_t frontend_set_owner(struct frontend *frontend)
{
	return set_nothing(frontend, FE_SET_OWNER);
}

uint64_t frontend_reset_owner(struct frontend *frontend)
{
	return set_nothing(frontend, FE_RESET_OWNER);
}

uint64_t frontend_get_protocol_features(struct frontend *frontend)
{
	return get_u64(frontend, FE_GET_PROTOCOL_FEATURES);
}

uint64_t frontend_set_protocol_features(struct frontend *frontend, uint64_t features)
{
	return set_u64(frontend, FE_SET_PROTOCOL_FEATURES, features);
}

uint64_t frontend_get_queue_num(struct frontend *frontend)
{
	return get_u64(frontend, FE_GET_QUEUE_NUM);
}

uint64_t frontend_get_max_mem_slots(struct frontend *frontend)
{
	return get_u64(frontend, FE_GET_MAX_MEM_SLOTS);
}

void frontend_barrier(struct frontend *frontend)
{
	frontend_get_features(frontend);
}

uint64_t frontend_reset_device(struct frontend *frontend)
{
	return set_nothing(frontend, FE_RESET_DEVICE);
}

uint64_t frontend_set_log_base(struct frontend *frontend, uint64_t size, uint64_t offset, int fd)
{
	struct frontend_message message;

	frontend_message_init(&message, FE_SET_LOG_BASE);
	frontend_message_u64(&message, size);
	frontend_message_u64(&message, offset);
	frontend_message_fd(&message, fd);
	return frontend_get(frontend, &message);
}

uint64_t frontend_set_log_fd(struct frontend *frontend, int fd)
{
	struct frontend_message message;

	frontend_message_init(&message, FE_SET_LOG_FD);
	frontend_message_fd(&message, fd);
	return frontend_set(frontend, &message);
}

bool frontend_set_device_state_fd(struct frontend *frontend, bool load, int fd)
{
	struct frontend_message message;
	struct frontend_reply reply;
	uint64_t value;

	frontend_message_init(&message, FE_SET_DEVICE_STATE_FD);
	frontend_message_u32(&message, load);
	frontend_message_u32(&message, 0);
	frontend_message_fd(&message, fd);
	if (get(frontend, &message, &reply, sizeof(value)))
		return false;
	memcpy(&value, reply.payload, sizeof(value));
	/* No descriptor comes back; the low bits tell of an error. */
	if (value != 0x100 && value != 0x101)
		support_die("SET_DEVICE_STATE_FD was answered with %#llx",
		            (unsigned long long)value);
	return value == 0x100;
}

uint64_t frontend_check_device_state(struct frontend *frontend)
{
	return get_u64(frontend, FE_CHECK_DEVICE_STATE);
}

/* ---- memory ---- */

uint64_t frontend_set_mem_table(struct frontend *frontend, const struct guest_region *regions,
                                unsigned int count)
{
	struct frontend_message message;
	unsigned int i;

	frontend_message_init(&message, FE_SET_MEM_TABLE);
	frontend_message_u32(&message, count);
	frontend_message_u32(&message, 0);
	for (i = 0; i < count; i++) {
		frontend_message_region(&message, &regions[i]);
		frontend_message_fd(&message, regions[i].fd);
	}
	return frontend_set(frontend, &message);
}

uint64_t frontend_add_mem_reg(struct frontend *frontend, const struct guest_region *region)
{
	struct frontend_message message;

	frontend_message_init(&message, FE_ADD_MEM_REG);
	frontend_message_u64(&message, 0);
	frontend_message_region(&message, region);
	frontend_message_fd(&message, region->fd);
	return frontend_set(frontend, &message);
}

uint64_t frontend_rem_mem_reg(struct frontend *frontend, const struct guest_region *region)
{
	struct guest_region without_offset = *region;
	struct frontend_message message;

	without_offset.offset = 0;
	frontend_message_init(&message, FE_REM_MEM_REG);
	frontend_message_u64(&message, 0);
	frontend_message_region(&message, &without_offset);
	return frontend_set(frontend, &message);
}

/* ---- vrings ---- */

static void vring_state(struct frontend_message *message, uint32_t request, uint32_t index,
                        uint32_t num)
{
	frontend_message_init(message, request);
	frontend_message_u32(message, index);
	frontend_message_u32(message, num);
}

static uint64_t set_vring_state(struct frontend *frontend, uint32_t request, uint32_t index,
                                uint32_t num)
{
	struct frontend_message message;

	vring_state(&message, request, index, num);
	return frontend_set(frontend, &message);
}

uint64_t frontend_set_vring_num(struct frontend *frontend, uint32_t index, uint32_t num)
{
	return set_vring_state(frontend, FE_SET_VRING_NUM, index, num);
}

uint64_t frontend_set_vring_base(struct frontend *frontend, uint32_t index, uint32_t base)
{
	return set_vring_state(frontend, FE_SET_VRING_BASE, index, base);
}

uint64_t frontend_set_vring_enable(struct frontend *frontend, uint32_t index, uint32_t enable)
{
	return set_vring_state(frontend, FE_SET_VRING_ENABLE, index, enable);
}

uint64_t frontend_set_vring_addr(struct frontend *frontend, const struct frontend_vring_addr *addr)
{
	struct frontend_message message;

	frontend_message_init(&message, FE_SET_VRING_ADDR);
	frontend_message_u32(&message, addr->index);
	frontend_message_u32(&message, addr->flags);
	frontend_message_u64(&message, addr->desc);
	frontend_message_u64(&message, addr->used);
	frontend_message_u64(&message, addr->avail);
	frontend_message_u64(&message, addr->log);
	return frontend_set(frontend, &message);
}

static uint64_t set_vring_fd(struct frontend *frontend, uint32_t request, uint32_t index, int fd)
{
	struct frontend_message message;

	frontend_message_init(&message, request);
	frontend_message_u64(&message, fd < 0 ? index | VRING_NO_FD : index);
	if (fd >= 0)
		frontend_message_fd(&message, fd);
	return frontend_set(frontend, &message);
}

uint64_t frontend_set_vring_kick(struct frontend *frontend, uint32_t index, int fd)
{
	return set_vring_fd(frontend, FE_SET_VRING_KICK, index, fd);
}

uint64_t frontend_set_vring_call(struct frontend *frontend, uint32_t index, int fd)
{
	return set_vring_fd(frontend, FE_SET_VRING_CALL, index, fd);
}

uint64_t frontend_set_vring_err(struct frontend *frontend, uint32_t index, int fd)
{
	return set_vring_fd(frontend, FE_SET_VRING_ERR, index, fd);
}

uint32_t frontend_get_vring_base(struct frontend *frontend, uint32_t index)
{
	struct frontend_message message;
	struct frontend_reply reply;
	uint32_t state[2];

	vring_state(&message, FE_GET_VRING_BASE, index, 0);
	if (get(frontend, &message, &reply, sizeof(state)))
		return 0;
	memcpy(state, reply.payload, sizeof(state));
	if (state[0] != index)
		support_die("GET_VRING_BASE of %u was answered for %u", index, state[0]);
	if (state[1] > UINT16_MAX)
		support_die("GET_VRING_BASE of %u answered %#x", index, state[1]);
	return state[1];
}

/* ---- configuration space ---- */

static void config_message(struct frontend_message *message, uint32_t request, uint32_t offset,
                           uint32_t size, uint32_t flags)
{
	frontend_message_init(message, request);
	frontend_message_u32(message, offset);
	frontend_message_u32(message, size);
	frontend_message_u32(message, flags);
}

uint32_t frontend_get_config(struct frontend *frontend, uint32_t offset, uint32_t size,
                             uint32_t flags, void *ret_bytes)
{
	static const uint8_t zeros[FE_PAYLOAD_MAX];
	struct frontend_message message;
	struct frontend_reply reply;
	uint32_t header[3];

	config_message(&message, FE_GET_CONFIG, offset, size, flags);
	frontend_message_bytes(&message, zeros, size);
	if (get(frontend, &message, &reply, FE_REPLY_SIZE_ANY))
		return 0;
	if (!reply.size)
		return 0;
	memcpy(header, reply.payload, sizeof(header));
	if (reply.size == sizeof(header) && !header[1])
		return 0;
	if (reply.size != sizeof(header) + size || header[0] != offset || header[1] != size)
		support_die("GET_CONFIG of %u at %u: %u at %u in %u bytes", size, offset, header[1],
		            header[0], reply.size);
	memcpy(ret_bytes, reply.payload + sizeof(header), size);
	return size;
}

uint64_t frontend_set_config(struct frontend *frontend, uint32_t offset, uint32_t size,
                             uint32_t flags, const void *bytes)
{
	struct frontend_message message;

	config_message(&message, FE_SET_CONFIG, offset, size, flags);
	frontend_message_bytes(&message, bytes, size);
	return frontend_set(frontend, &message);
}

/* ---- the backend's own requests ---- */

uint64_t frontend_set_backend_req_fd(struct frontend *frontend)
{
	struct frontend_message message;
	uint64_t ack;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		support_die("socketpair: %s", strerror(errno));
	if (frontend->backend_channel >= 0)
		close(frontend->backend_channel);
	frontend->backend_channel = pair[0];
	frontend->channel_sent = pair[1];
	frontend_message_init(&message, FE_SET_BACKEND_REQ_FD);
	frontend_message_fd(&message, pair[1]);
	ack = frontend_set(frontend, &message);
	close(pair[1]);
	frontend->channel_sent = -1;
	return ack;
}

void frontend_answer_backend_request(struct frontend *frontend,
                                     const struct frontend_reply *request, uint64_t value)
{
	uint32_t answer[5] = {request->request, FE_FLAG_VERSION | FE_FLAG_REPLY, sizeof(value)};

	if (!(request->flags & FE_FLAG_NEED_REPLY))
		return;
	memcpy(&answer[3], &value, sizeof(value));
	if (send(frontend->backend_channel, answer, sizeof(answer), MSG_NOSIGNAL) !=
	    (ssize_t)sizeof(answer))
		support_die("answering on the backend channel: %s", strerror(errno));
}
