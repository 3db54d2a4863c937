/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Bytes into requests. Pure: no socket, no memory, no state.
 *
 * A request that comes out of here has every field in range: whoever handles it can't meet a bad
 * index, length or number of descriptors.
 */
#ifndef PROTOCOL_REQUEST_H
#define PROTOCOL_REQUEST_H

#include "protocol/wire.h"
#include "virtqueue/dirty_log.h"
#include "virtqueue/gmem.h"
#include "virtqueue/virtq.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum request_verdict {
	REQUEST_OK,
	/* The stream makes no sense from here on: the connection has to be closed. */
	REQUEST_BAD_VERSION,
	REQUEST_TOO_LONG,
	/* The message is refused; the next one may be fine. */
	REQUEST_NOT_A_REQUEST, /* it says that it is a reply */
	REQUEST_UNKNOWN,
	REQUEST_BAD_SIZE,
	REQUEST_BAD_FDS,
	REQUEST_BAD_VRING,
	REQUEST_BAD_VALUE,
};

struct request_header {
	uint32_t request;
	uint32_t size; /* of the payload: at most WIRE_PAYLOAD_MAX */
	bool need_reply;
	bool is_reply;
};

/* What a backend's configuration allows in a request. */
struct request_limits {
	unsigned int vrings; /* 1 to 256 */
	/* The session holds to these. */
	uint32_t vring_size;       /* the largest: at most VIRTQ_SIZE_MAX */
	struct gmem_limits memory; /* in which its log counts as mapped */
};

struct request_config {
	uint32_t offset;
	uint32_t size; /* at most WIRE_CONFIG_MAX */
	uint32_t flags;
	const uint8_t *bytes; /* `size` of them, in the message's payload */
};

struct request_mem_table {
	unsigned int count;
	struct gmem_region regions[WIRE_MEM_TABLE_MAX];
};

struct request_vring_addr {
	struct virtq_addresses addresses; /* aligned */
	bool log_used;                    /* writes to the used ring are to be logged, */
	uint64_t log_addr;                /* as if it were here in guest memory */
};

struct request {
	enum vhost_user_request id;
	unsigned int vring; /* for the messages that name one: below the limit */
	bool has_fd;        /* for those whose descriptor may be left out */
	union {
		uint64_t u64; /* SET_FEATURES, SET_PROTOCOL_FEATURES */
		uint16_t
		    num; /* SET_VRING_NUM: a power of two up to VIRTQ_SIZE_MAX; SET_VRING_BASE */
		bool enable; /* SET_VRING_ENABLE */
		struct request_vring_addr vring_addr;
		struct dirty_log_area log; /* SET_LOG_BASE */
		struct request_mem_table mem_table;
		struct gmem_region region; /* ADD_MEM_REG, REM_MEM_REG */
		struct request_config config;
		bool load; /* SET_DEVICE_STATE_FD: else it saves */
	};
};

/* Judges the 12 bytes of a header. Writes *ret for each verdict but REQUEST_TOO_LONG. */
enum request_verdict request_parse_header(const struct wire_header *wire,
                                          struct request_header *ret);

/*
 * Judges a message of header->size payload bytes, with which `fds` descriptors came. What the
 * result points to lies in `payload`.
 */
enum request_verdict request_parse(const struct request_header *header, const void *payload,
                                   unsigned int fds, const struct request_limits *limits,
                                   struct request *ret);

/* Whether the frontend waits for an answer to this message in any case. */
bool request_is_answered(uint32_t request);

/* The message's name without its VHOST_USER_, or "unknown message". Static. */
const char *request_name(uint32_t request);
const char *request_verdict_text(enum request_verdict verdict);

#endif
