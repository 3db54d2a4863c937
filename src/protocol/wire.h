/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The vhost-user messages as they go over the socket (vhost-user specification, "Message
 * specification"): numbers and layouts, nothing else.
 */
#ifndef PROTOCOL_WIRE_H
#define PROTOCOL_WIRE_H

#include "base/endian.h"

/* "Front-end message types". The names and the numbers are the specification's. */
enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_LOG_FD = 7,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
	VHOST_USER_SET_DEVICE_STATE_FD = 42,
	VHOST_USER_CHECK_DEVICE_STATE = 43,
	VHOST_USER_REQUEST_MAX
};

/* "Back-end message types". */
#define VHOST_USER_BACKEND_CONFIG_CHANGE_MSG 2u

/* The feature bit that says that what is written to buffers can be logged. */
#define VHOST_F_LOG_ALL 26

/* The feature bit that says there are protocol features. */
#define VHOST_USER_F_PROTOCOL_FEATURES 30

/* "Protocol features". */
#define VHOST_USER_PROTOCOL_F_MQ                  0
#define VHOST_USER_PROTOCOL_F_LOG_SHMFD           1
#define VHOST_USER_PROTOCOL_F_REPLY_ACK           3
#define VHOST_USER_PROTOCOL_F_BACKEND_REQ         5
#define VHOST_USER_PROTOCOL_F_CONFIG              9
#define VHOST_USER_PROTOCOL_F_RESET_DEVICE        13
#define VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS 15
#define VHOST_USER_PROTOCOL_F_DEVICE_STATE        19

/* "Header". */
struct wire_header {
	le32 request;
	le32 flags;
	le32 size; /* of the payload */
};
_Static_assert(sizeof(struct wire_header) == 12, "vhost-user, Header");

#define WIRE_VERSION      1u
#define WIRE_VERSION_MASK 3u
#define WIRE_REPLY        (1u << 2)
#define WIRE_NEED_REPLY   (1u << 3)

/* "A vring state description". */
struct wire_vring_state {
	le32 index;
	le32 num;
};
_Static_assert(sizeof(struct wire_vring_state) == 8, "vhost-user, vring state");

/* "A vring address description". */
struct wire_vring_addr {
	le32 index;
	le32 flags;
	le64 desc;
	le64 used;
	le64 avail;
	le64 log;
};
_Static_assert(sizeof(struct wire_vring_addr) == 40, "vhost-user, vring address");

/* Of its flags, the one that says that what is written to the used ring is to be logged. */
#define WIRE_VRING_F_LOG (1u << 0)

/* What SET_VRING_KICK, CALL and ERR carry in their u64. */
#define WIRE_VRING_INDEX_MASK 0xffull
#define WIRE_VRING_NOFD       (1ull << 8)

/* "Memory region description". */
struct wire_mem_region {
	le64 guest_addr;
	le64 size;
	le64 user_addr;
	le64 mmap_offset;
};
_Static_assert(sizeof(struct wire_mem_region) == 32, "vhost-user, memory region");

/* "Multiple memory regions description", whose regions follow. */
struct wire_mem_table {
	le32 count;
	le32 padding;
};
#define WIRE_MEM_TABLE_MAX 8u

/* "Single memory region description". */
struct wire_single_mem_region {
	le64 padding;
	struct wire_mem_region region;
};
_Static_assert(sizeof(struct wire_single_mem_region) == 40, "vhost-user, single memory region");

/* "Log description". */
struct wire_log {
	le64 size;
	le64 offset;
};
_Static_assert(sizeof(struct wire_log) == 16, "vhost-user, log");

/* "Device state transfer parameters". */
struct wire_state_transfer {
	le32 direction; /* 0 saves, 1 loads */
	le32 phase;     /* 0: the vrings are stopped */
};
_Static_assert(sizeof(struct wire_state_transfer) == 8, "vhost-user, device state transfer");

/* In the answer to SET_DEVICE_STATE_FD: no descriptor comes back; and it was refused. */
#define WIRE_STATE_NOFD   (1ull << 8)
#define WIRE_STATE_FAILED UINT64_C(1)

/* "Virtio device config space", whose bytes follow. */
struct wire_config {
	le32 offset;
	le32 size;
	le32 flags;
};
_Static_assert(sizeof(struct wire_config) == 12, "vhost-user, config space");
#define WIRE_CONFIG_MAX 256u

/*
 * The largest payload that is taken. Every known message is smaller; a larger one can only come
 * from a peer that has lost its place in the stream.
 */
#define WIRE_PAYLOAD_MAX 512u

#endif
