/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A vhost-user frontend for tests: what QEMU is to the daemon.
 *
 * It says whatever a test wants said, right or wrong: frontend_send() takes any header, any payload
 * and any files; the typed functions below it speak the protocol as its specification
 * (QEMU's docs/interop/vhost-user.rst) has it and check every answer exactly.
 *
 * While it waits for the backend it calls `turn`, so that backend and frontend can be one thread:
 * an in-process test steps the backend's loop there. What doesn't come before the deadline ends the
 * test (support_die(), with what was waited for).
 */
#ifndef SUPPORT_FRONTEND_H
#define SUPPORT_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest_memory.h"

/* Requests of the frontend. */
enum {
	FE_GET_FEATURES = 1,
	FE_SET_FEATURES = 2,
	FE_SET_OWNER = 3,
	FE_RESET_OWNER = 4,
	FE_SET_MEM_TABLE = 5,
	FE_SET_LOG_BASE = 6,
	FE_SET_LOG_FD = 7,
	FE_SET_VRING_NUM = 8,
	FE_SET_VRING_ADDR = 9,
	FE_SET_VRING_BASE = 10,
	FE_GET_VRING_BASE = 11,
	FE_SET_VRING_KICK = 12,
	FE_SET_VRING_CALL = 13,
	FE_SET_VRING_ERR = 14,
	FE_GET_PROTOCOL_FEATURES = 15,
	FE_SET_PROTOCOL_FEATURES = 16,
	FE_GET_QUEUE_NUM = 17,
	FE_SET_VRING_ENABLE = 18,
	FE_SET_BACKEND_REQ_FD = 21,
	FE_GET_CONFIG = 24,
	FE_SET_CONFIG = 25,
	FE_GET_INFLIGHT_FD = 31,
	FE_SET_INFLIGHT_FD = 32,
	FE_RESET_DEVICE = 34,
	FE_GET_MAX_MEM_SLOTS = 36,
	FE_ADD_MEM_REG = 37,
	FE_REM_MEM_REG = 38,
	FE_SET_STATUS = 39,
	FE_GET_STATUS = 40,
	FE_SET_DEVICE_STATE_FD = 42,
	FE_CHECK_DEVICE_STATE = 43,
};

/* Requests of the backend, on the channel that SET_BACKEND_REQ_FD gave it. */
enum {
	FE_BACKEND_CONFIG_CHANGE_MSG = 2,
};

/* Header flags. */
enum {
	FE_FLAG_VERSION = 0x1,
	FE_FLAG_REPLY = 0x4,
	FE_FLAG_NEED_REPLY = 0x8,
};

/* Protocol feature bits. */
enum {
	FE_PROTOCOL_MQ = 0,
	FE_PROTOCOL_LOG_SHMFD = 1,
	FE_PROTOCOL_REPLY_ACK = 3,
	FE_PROTOCOL_BACKEND_REQ = 5,
	FE_PROTOCOL_CONFIG = 9,
	FE_PROTOCOL_INFLIGHT_SHMFD = 12,
	FE_PROTOCOL_RESET_DEVICE = 13,
	FE_PROTOCOL_INBAND_NOTIFICATIONS = 14,
	FE_PROTOCOL_CONFIGURE_MEM_SLOTS = 15,
	FE_PROTOCOL_STATUS = 16,
	FE_PROTOCOL_DEVICE_STATE = 19,
	FE_PROTOCOL_SHMEM = 22,
};

/* Feature bits that aren't virtio's own. */
enum {
	FE_F_LOG_ALL = 26,
	FE_F_PROTOCOL_FEATURES = 30,
};

enum {
	FE_HEADER_SIZE = 12,
	FE_PAYLOAD_MAX = 16384, /* beyond what any backend takes */
	FE_FDS_MAX = 253,       /* the kernel's SCM_MAX_FD */
	FE_REPLY_SIZE_ANY = -1,
};

/* What a setting request returns when the connection is closed, by either side. */
#define FE_CLOSED UINT64_MAX

/* When requests ask for an acknowledgement (only if REPLY_ACK was negotiated). */
enum frontend_need_reply {
	FE_NEED_REPLY_NEVER,
	FE_NEED_REPLY_SETS, /* on requests that have no answer of their own */
	FE_NEED_REPLY_ALL,  /* on requests with an answer too, which remains the only answer */
};

/* The moments of a request that `observe` is called at. */
enum frontend_moment {
	FE_BEFORE,   /* nothing sent */
	FE_SENT,     /* all of it sent, no answer read */
	FE_ANSWERED, /* the answer, where there is one, read: the request is over */
};

struct frontend {
	int sock;            /* ours; -1 after frontend_hangup() */
	int backend_channel; /* our end of SET_BACKEND_REQ_FD's socket pair, or -1 */
	int channel_sent; /* the other end while it is being sent, which may be given up; or -1 */

	/* Lets the backend run; NULL waits with poll(). Called again and again, must not block
	 * long. */
	void (*turn)(struct frontend *frontend);
	void *turn_arg;

	/* Called around each request of the typed functions, if set. May call frontend_hangup(). */
	void (*observe)(struct frontend *frontend, enum frontend_moment moment, uint32_t request);
	void *observe_arg;

	enum frontend_need_reply need_reply;
	unsigned int sent; /* requests of the typed functions so far */
	uint64_t ack;      /* the last acknowledgement: 0 accepted, otherwise refused */
};

/* A message before it is sent. Build it, then spoil what the test wants spoilt. */
struct frontend_message {
	uint32_t request;
	uint32_t flags;
	uint32_t size;   /* what the header says; the builders keep it equal to length */
	uint32_t length; /* payload bytes really sent */
	uint8_t payload[FE_PAYLOAD_MAX];
	int fds[FE_FDS_MAX]; /* borrowed: sent as copies, never closed here */
	unsigned int fd_count;
	uint32_t fds_at; /* the byte (0: the header's first) that the files travel with */
};

struct frontend_reply {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
	uint8_t payload[FE_PAYLOAD_MAX];
	unsigned int fd_count; /* files that came along; already closed */
};

struct frontend_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc; /* frontend addresses */
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

/* ---- connecting ---- */

/* Takes a connected stream socket, which it owns from now on. */
void frontend_init(struct frontend *frontend, int sock);

/* A socket pair; returns the backend's end, non-blocking, which the caller owns. */
int frontend_init_pair(struct frontend *frontend);

/* Connects to a listening socket; tries again till the deadline if nothing listens there yet. */
void frontend_init_path(struct frontend *frontend, const char *path);

/* Closes what is open; may be called twice. */
void frontend_deinit(struct frontend *frontend);

/* Closes the connection at once, as a killed VMM; later requests do nothing. */
void frontend_hangup(struct frontend *frontend);

/* ---- waiting ---- */

/* One step of the other side. Without `turn`: gives the processor away for a moment. */
void frontend_turn(struct frontend *frontend);

/* Turns until poll() has one of `events` (or an error, or hangup) for fd. */
void frontend_await_fd(struct frontend *frontend, int fd, short events, const char *what);

/* Turns until done(arg). */
void frontend_await(struct frontend *frontend, bool (*done)(void *arg), void *arg,
                    const char *what);

/* Turns for `milliseconds`; true if neither bytes nor a hangup arrived on the connection. */
bool frontend_silent(struct frontend *frontend, unsigned int milliseconds);

/*
 * Waits until the backend has read all that was sent, and a little longer: for frontends that reset
 * a device without asking for any answer. (GET_FEATURES is surer, but is a message.)
 */
void frontend_await_read(struct frontend *frontend);

/* Waits until the backend closes; returns how many bytes it had sent before. */
size_t frontend_await_closed(struct frontend *frontend);

/* Whether the backend has closed (true even if unread bytes came before), without waiting. */
bool frontend_peer_closed(struct frontend *frontend);

/* ---- raw messages ---- */

void frontend_message_init(struct frontend_message *message, uint32_t request);
void frontend_message_u32(struct frontend_message *message, uint32_t value);
void frontend_message_u64(struct frontend_message *message, uint64_t value);
void frontend_message_bytes(struct frontend_message *message, const void *bytes, size_t size);
void frontend_message_fd(struct frontend_message *message, int fd);
void frontend_message_region(struct frontend_message *message, const struct guest_region *region);

/* The whole message. 0, or a negative errno when the backend has closed (-EPIPE, -ECONNRESET). */
int frontend_send(struct frontend *frontend, const struct frontend_message *message);

/* Bytes from up to but not including `to` of header and payload. The files go with byte fds_at. */
int frontend_send_part(struct frontend *frontend, const struct frontend_message *message,
                       uint32_t from, uint32_t to);

/* The first `first` bytes, a few turns with nothing, then the rest. */
int frontend_send_split(struct frontend *frontend, const struct frontend_message *message,
                        uint32_t first);

/* Exactly one message. 0, or -ECONNRESET when the backend closed instead. */
int frontend_receive(struct frontend *frontend, struct frontend_reply *ret_reply);

/*
 * Sends, and if ret_reply isn't NULL receives the answer and checks it: same request, version 1 and
 * the reply flag and nothing else, `size` bytes (FE_REPLY_SIZE_ANY: any number), no files. Calls
 * `observe`. 0, or a negative errno when the connection is closed by either side.
 */
int frontend_request(struct frontend *frontend, const struct frontend_message *message,
                     struct frontend_reply *ret_reply, int size);

/* frontend_request() for requests without an answer of their own: asks for the acknowledgement as
 * `need_reply` says. 0 accepted (or nothing asked), otherwise the refusal, or FE_CLOSED. */
uint64_t frontend_set(struct frontend *frontend, struct frontend_message *message);

/* frontend_request() for requests whose answer is one u64. 0 if we hung up; dies if the backend
 * did. */
uint64_t frontend_get(struct frontend *frontend, struct frontend_message *message);

/* ---- the protocol; setting requests return as frontend_set(), getting ones as frontend_get() ----
 */

uint64_t frontend_get_features(struct frontend *frontend);
uint64_t frontend_set_features(struct frontend *frontend, uint64_t features);
uint64_t frontend_set_owner(struct frontend *frontend);
uint64_t frontend_reset_owner(struct frontend *frontend);
uint64_t frontend_get_protocol_features(struct frontend *frontend);
uint64_t frontend_set_protocol_features(struct frontend *frontend, uint64_t features);
uint64_t frontend_get_queue_num(struct frontend *frontend);
uint64_t frontend_get_max_mem_slots(struct frontend *frontend);

uint64_t frontend_reset_device(struct frontend *frontend);
/* With LOG_SHMFD, which has it answered in any case. */
uint64_t frontend_set_log_base(struct frontend *frontend, uint64_t size, uint64_t offset, int fd);
uint64_t frontend_set_log_fd(struct frontend *frontend, int fd);
/* False if it is refused; the answer is the specification's. */
bool frontend_set_device_state_fd(struct frontend *frontend, bool load, int fd);
uint64_t frontend_check_device_state(struct frontend *frontend);

/* Regions as they stand; a test may pass changed copies. The files are sent as copies. */
uint64_t frontend_set_mem_table(struct frontend *frontend, const struct guest_region *regions,
                                unsigned int count);
uint64_t frontend_add_mem_reg(struct frontend *frontend, const struct guest_region *region);
/* Without a file, and with the mmap offset 0, as QEMU sends it. */
uint64_t frontend_rem_mem_reg(struct frontend *frontend, const struct guest_region *region);

uint64_t frontend_set_vring_num(struct frontend *frontend, uint32_t index, uint32_t num);
uint64_t frontend_set_vring_base(struct frontend *frontend, uint32_t index, uint32_t base);
uint64_t frontend_set_vring_enable(struct frontend *frontend, uint32_t index, uint32_t enable);
uint64_t frontend_set_vring_addr(struct frontend *frontend, const struct frontend_vring_addr *addr);
/* fd -1: none, bit 8 of the payload is set. */
uint64_t frontend_set_vring_kick(struct frontend *frontend, uint32_t index, int fd);
uint64_t frontend_set_vring_call(struct frontend *frontend, uint32_t index, int fd);
uint64_t frontend_set_vring_err(struct frontend *frontend, uint32_t index, int fd);
/* The base; checks that the answer names the same vring. */
uint32_t frontend_get_vring_base(struct frontend *frontend, uint32_t index);

/*
 * Returns how many bytes of configuration came: `size`, after checking that the answer repeats
 * offset and size, or 0 for the error answer (no payload, or the size 0 in it), or 0 if we hung up.
 */
uint32_t frontend_get_config(struct frontend *frontend, uint32_t offset, uint32_t size,
                             uint32_t flags, void *ret_bytes);
uint64_t frontend_set_config(struct frontend *frontend, uint32_t offset, uint32_t size,
                             uint32_t flags, const void *bytes);

/* Makes a socket pair, sends one end, keeps the other in backend_channel (closing an older one). */
uint64_t frontend_set_backend_req_fd(struct frontend *frontend);

/* The next request on the backend channel. 0, or -ECONNRESET if the backend closed the channel. */
int frontend_receive_backend_request(struct frontend *frontend, struct frontend_reply *ret_request);
/* Answers it (a u64; 0 accepts), if it asked for an answer. */
void frontend_answer_backend_request(struct frontend *frontend,
                                     const struct frontend_reply *request, uint64_t value);

/* GET_FEATURES: returns when everything sent before it has been dealt with. */
void frontend_barrier(struct frontend *frontend);

/* The request's name, "SET_VRING_KICK"; "request 99" for an unknown one. Valid till the next call.
 */
const char *frontend_request_name(uint32_t request);

#endif
