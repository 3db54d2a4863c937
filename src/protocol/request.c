/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "protocol/request.h"

#include "base/macros.h"

#include <string.h>

/* A message under judgement. */
struct message {
	const uint8_t *payload;
	uint32_t size;
	unsigned int fds;
	const struct request_limits *limits;
};

typedef enum request_verdict parse_fn(const struct message *message, struct request *ret);

static enum request_verdict set_vring(const struct message *message, uint64_t index,
                                      struct request *ret)
{
	if (index >= message->limits->vrings)
		return REQUEST_BAD_VRING;
	ret->vring = (unsigned int)index;
	return REQUEST_OK;
}

static enum request_verdict parse_nothing(const struct message *message, struct request *ret)
{
	(void)message, (void)ret;
	return REQUEST_OK;
}

static enum request_verdict parse_u64(const struct message *message, struct request *ret)
{
	le64 wire;

	memcpy(&wire, message->payload, sizeof(wire));
	ret->u64 = le64_get(wire);
	return REQUEST_OK;
}

static struct wire_vring_state vring_state(const struct message *message)
{
	struct wire_vring_state wire;

	memcpy(&wire, message->payload, sizeof(wire));
	return wire;
}

static enum request_verdict parse_vring_num(const struct message *message, struct request *ret)
{
	struct wire_vring_state wire = vring_state(message);
	uint32_t num = le32_get(wire.num);

	if (num == 0 || num > VIRTQ_SIZE_MAX || (num & (num - 1)) != 0)
		return REQUEST_BAD_VALUE;
	ret->num = (uint16_t)num;
	return set_vring(message, le32_get(wire.index), ret);
}

static enum request_verdict parse_vring_base(const struct message *message, struct request *ret)
{
	struct wire_vring_state wire = vring_state(message);
	uint32_t num = le32_get(wire.num);

	if (num > UINT16_MAX)
		return REQUEST_BAD_VALUE;
	ret->num = (uint16_t)num;
	return set_vring(message, le32_get(wire.index), ret);
}

/* The number in GET_VRING_BASE's payload means nothing. */
static enum request_verdict parse_vring(const struct message *message, struct request *ret)
{
	return set_vring(message, le32_get(vring_state(message).index), ret);
}

static enum request_verdict parse_vring_enable(const struct message *message, struct request *ret)
{
	struct wire_vring_state wire = vring_state(message);
	uint32_t num = le32_get(wire.num);

	if (num > 1)
		return REQUEST_BAD_VALUE;
	ret->enable = num == 1;
	return set_vring(message, le32_get(wire.index), ret);
}

static enum request_verdict parse_vring_addr(const struct message *message, struct request *ret)
{
	struct wire_vring_addr wire;

	memcpy(&wire, message->payload, sizeof(wire));
	ret->vring_addr = (struct request_vring_addr){
	    .addresses.desc = le64_get(wire.desc),
	    .addresses.avail = le64_get(wire.avail),
	    .addresses.used = le64_get(wire.used),
	    .log_used = le32_get(wire.flags) & WIRE_VRING_F_LOG,
	    .log_addr = le64_get(wire.log),
	};
	if (!virtq_aligned(&ret->vring_addr.addresses))
		return REQUEST_BAD_VALUE;
	return set_vring(message, le32_get(wire.index), ret);
}

static enum request_verdict parse_vring_fd(const struct message *message, struct request *ret)
{
	le64 wire;
	uint64_t value;

	memcpy(&wire, message->payload, sizeof(wire));
	value = le64_get(wire);
	if (value & ~(WIRE_VRING_INDEX_MASK | WIRE_VRING_NOFD))
		return REQUEST_BAD_VALUE;
	ret->has_fd = !(value & WIRE_VRING_NOFD);
	if (message->fds != (ret->has_fd ? 1 : 0))
		return REQUEST_BAD_FDS;
	return set_vring(message, value & WIRE_VRING_INDEX_MASK, ret);
}

static struct gmem_region region_of(const struct wire_mem_region *wire)
{
	return (struct gmem_region){
	    .guest_addr = le64_get(wire->guest_addr),
	    .size = le64_get(wire->size),
	    .user_addr = le64_get(wire->user_addr),
	    .mmap_offset = le64_get(wire->mmap_offset),
	};
}

static enum request_verdict parse_mem_table(const struct message *message, struct request *ret)
{
	struct wire_mem_table table;
	uint32_t count;

	memcpy(&table, message->payload, sizeof(table));
	count = le32_get(table.count);
	if (count > WIRE_MEM_TABLE_MAX)
		return REQUEST_BAD_VALUE;
	if (message->size != sizeof(table) + count * sizeof(struct wire_mem_region))
		return REQUEST_BAD_SIZE;
	if (message->fds != count)
		return REQUEST_BAD_FDS;
	for (uint32_t i = 0; i < count; i++) {
		struct wire_mem_region wire;

		memcpy(&wire, message->payload + sizeof(table) + i * sizeof(wire), sizeof(wire));
		ret->mem_table.regions[i] = region_of(&wire);
	}
	ret->mem_table.count = count;
	return REQUEST_OK;
}

static enum request_verdict parse_mem_region(const struct message *message, struct request *ret)
{
	struct wire_single_mem_region wire;

	memcpy(&wire, message->payload, sizeof(wire));
	ret->region = region_of(&wire.region);
	return REQUEST_OK;
}

static enum request_verdict parse_log(const struct message *message, struct request *ret)
{
	struct wire_log wire;

	memcpy(&wire, message->payload, sizeof(wire));
	ret->log = (struct dirty_log_area){
	    .size = le64_get(wire.size),
	    .offset = le64_get(wire.offset),
	};
	return REQUEST_OK;
}

static enum request_verdict parse_state_transfer(const struct message *message, struct request *ret)
{
	struct wire_state_transfer wire;

	memcpy(&wire, message->payload, sizeof(wire));
	if (le32_get(wire.direction) > 1 || le32_get(wire.phase) != 0)
		return REQUEST_BAD_VALUE;
	ret->load = le32_get(wire.direction) == 1;
	return REQUEST_OK;
}

static enum request_verdict parse_config(const struct message *message, struct request *ret)
{
	struct wire_config wire;
	uint32_t offset, size;

	memcpy(&wire, message->payload, sizeof(wire));
	offset = le32_get(wire.offset);
	size = le32_get(wire.size);
	if (size == 0 || size > WIRE_CONFIG_MAX || offset > WIRE_CONFIG_MAX - size)
		return REQUEST_BAD_VALUE;
	if (message->size != sizeof(wire) + size)
		return REQUEST_BAD_SIZE;
	/* The flags are left alone: what frontends set in them differs. */
	ret->config = (struct request_config){
	    .offset = offset,
	    .size = size,
	    .flags = le32_get(wire.flags),
	    .bytes = message->payload + sizeof(wire),
	};
	return REQUEST_OK;
}

/* What is known of each message. `size` is exact, or with `more` the least. */
struct request_type {
	const char *name;
	parse_fn *parse;
	uint16_t size;
	uint8_t min_fds, max_fds;
	bool more;
	bool answered;
};

#define STATE_SIZE sizeof(struct wire_vring_state)

/* clang-format off */
static const struct request_type types[VHOST_USER_REQUEST_MAX] = {
	[VHOST_USER_GET_FEATURES]          = {"GET_FEATURES", parse_nothing, .answered = true},
	[VHOST_USER_SET_FEATURES]          = {"SET_FEATURES", parse_u64, 8},
	[VHOST_USER_SET_OWNER]             = {"SET_OWNER", parse_nothing},
	[VHOST_USER_RESET_OWNER]           = {"RESET_OWNER", parse_nothing},
	[VHOST_USER_SET_MEM_TABLE]         = {"SET_MEM_TABLE", parse_mem_table,
	                                      sizeof(struct wire_mem_table), 0, WIRE_MEM_TABLE_MAX,
	                                      .more = true},
	[VHOST_USER_SET_LOG_BASE]          = {"SET_LOG_BASE", parse_log,
	                                      sizeof(struct wire_log), 1, 1},
	[VHOST_USER_SET_LOG_FD]            = {"SET_LOG_FD", parse_nothing, 0, 1, 1},
	[VHOST_USER_SET_VRING_NUM]         = {"SET_VRING_NUM", parse_vring_num, STATE_SIZE},
	[VHOST_USER_SET_VRING_ADDR]        = {"SET_VRING_ADDR", parse_vring_addr,
	                                      sizeof(struct wire_vring_addr)},
	[VHOST_USER_SET_VRING_BASE]        = {"SET_VRING_BASE", parse_vring_base, STATE_SIZE},
	[VHOST_USER_GET_VRING_BASE]        = {"GET_VRING_BASE", parse_vring, STATE_SIZE,
	                                      .answered = true},
	[VHOST_USER_SET_VRING_KICK]        = {"SET_VRING_KICK", parse_vring_fd, 8, 0, 1},
	[VHOST_USER_SET_VRING_CALL]        = {"SET_VRING_CALL", parse_vring_fd, 8, 0, 1},
	[VHOST_USER_SET_VRING_ERR]         = {"SET_VRING_ERR", parse_vring_fd, 8, 0, 1},
	[VHOST_USER_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", parse_nothing,
	                                      .answered = true},
	[VHOST_USER_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", parse_u64, 8},
	[VHOST_USER_GET_QUEUE_NUM]         = {"GET_QUEUE_NUM", parse_nothing, .answered = true},
	[VHOST_USER_SET_VRING_ENABLE]      = {"SET_VRING_ENABLE", parse_vring_enable, STATE_SIZE},
	[VHOST_USER_SET_BACKEND_REQ_FD]    = {"SET_BACKEND_REQ_FD", parse_nothing, 0, 1, 1},
	[VHOST_USER_GET_CONFIG]            = {"GET_CONFIG", parse_config,
	                                      sizeof(struct wire_config), .more = true,
	                                      .answered = true},
	[VHOST_USER_SET_CONFIG]            = {"SET_CONFIG", parse_config,
	                                      sizeof(struct wire_config), .more = true},
	[VHOST_USER_RESET_DEVICE]          = {"RESET_DEVICE", parse_nothing},
	[VHOST_USER_GET_MAX_MEM_SLOTS]     = {"GET_MAX_MEM_SLOTS", parse_nothing,
	                                      .answered = true},
	[VHOST_USER_ADD_MEM_REG]           = {"ADD_MEM_REG", parse_mem_region,
	                                      sizeof(struct wire_single_mem_region), 1, 1},
	/* The descriptor is of no use, but some frontends send it. */
	[VHOST_USER_REM_MEM_REG]           = {"REM_MEM_REG", parse_mem_region,
	                                      sizeof(struct wire_single_mem_region), 0, 1},
	[VHOST_USER_SET_DEVICE_STATE_FD]   = {"SET_DEVICE_STATE_FD", parse_state_transfer,
	                                      sizeof(struct wire_state_transfer), 1, 1,
	                                      .answered = true},
	[VHOST_USER_CHECK_DEVICE_STATE]    = {"CHECK_DEVICE_STATE", parse_nothing,
	                                      .answered = true},
};
/* clang-format on */

static const struct request_type *type_of(uint32_t request)
{
	bool known = request < VHOST_USER_REQUEST_MAX && types[request].parse;

	return known ? &types[request] : NULL;
}

enum request_verdict request_parse_header(const struct wire_header *wire,
                                          struct request_header *ret)
{
	uint32_t flags = le32_get(wire->flags);
	uint32_t size = le32_get(wire->size);

	if (size > WIRE_PAYLOAD_MAX)
		return REQUEST_TOO_LONG;
	*ret = (struct request_header){
	    .request = le32_get(wire->request),
	    .size = size,
	    .need_reply = flags & WIRE_NEED_REPLY,
	    .is_reply = flags & WIRE_REPLY,
	};
	return (flags & WIRE_VERSION_MASK) == WIRE_VERSION ? REQUEST_OK : REQUEST_BAD_VERSION;
}

enum request_verdict request_parse(const struct request_header *header, const void *payload,
                                   unsigned int fds, const struct request_limits *limits,
                                   struct request *ret)
{
	const struct request_type *type = type_of(header->request);
	struct message message = {payload, header->size, fds, limits};

	if (header->is_reply)
		return REQUEST_NOT_A_REQUEST;
	if (!type)
		return REQUEST_UNKNOWN;
	if (type->more ? header->size < type->size : header->size != type->size)
		return REQUEST_BAD_SIZE;
	if (fds < type->min_fds || fds > type->max_fds)
		return REQUEST_BAD_FDS;
	*ret = (struct request){.id = (enum vhost_user_request)header->request};
	return type->parse(&message, ret);
}

bool request_is_answered(uint32_t request)
{
	const struct request_type *type = type_of(request);

	return type && type->answered;
}

const char *request_name(uint32_t request)
{
	const struct request_type *type = type_of(request);

	return type ? type->name : "unknown message";
}

const char *request_verdict_text(enum request_verdict verdict)
{
	static const char *const texts[] = {
	    [REQUEST_OK] = "fine",
	    [REQUEST_BAD_VERSION] = "not version 1 of vhost-user",
	    [REQUEST_TOO_LONG] = "a message longer than any there is",
	    [REQUEST_NOT_A_REQUEST] = "a reply where a request belongs",
	    [REQUEST_UNKNOWN] = "not a message of this backend",
	    [REQUEST_BAD_SIZE] = "a wrong size",
	    [REQUEST_BAD_FDS] = "a wrong number of descriptors",
	    [REQUEST_BAD_VRING] = "no such vring",
	    [REQUEST_BAD_VALUE] = "a value out of range",
	};

	return texts[verdict];
}
