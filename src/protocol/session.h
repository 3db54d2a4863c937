/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A frontend's session: what it has negotiated, its guest's memory, the state of its vrings.
 *
 * Takes requests in which everything is in range and says what to answer. What they ask for is
 * done at once or refused; a refusal changes nothing. It must not see the loop or a socket: what
 * has to happen there goes up through session_ops.
 *
 * All that it takes to build the session again lies in its record, without pointers.
 */
#ifndef PROTOCOL_SESSION_H
#define PROTOCOL_SESSION_H

#include "base/fd.h"
#include "protocol/request.h"
#include "virtqueue/gmem.h"
#include "virtqueue/virtq.h"

struct session;

/* How the last transfer of the device's state went. */
enum session_transfer {
	SESSION_TRANSFER_DONE,
	SESSION_TRANSFER_FAILED, /* or there was none */
	SESSION_TRANSFER_UNDER_WAY
};

/* Why something was refused that a person can mend at the VMM or here. */
enum session_hint {
	SESSION_HINT_VRING_SIZE, /* vrings have more entries, so many, than are taken */
	SESSION_HINT_POLLED,     /* this vring has no kick */
	SESSION_HINT_NOT_SHARED, /* this vring isn't in the memory that is shared */
	SESSION_HINTS
};

/* What a session asks of its owner. */
struct session_ops {
	/* The vring is started and enabled: work it, there may be chains already. */
	void (*vring_runs)(struct session *session, unsigned int vring);
	/* The vring stops, or its memory goes: nothing may stay taken from it in part. */
	void (*vring_settle)(struct session *session, unsigned int vring);
	/* The vring, which has settled, stops: it isn't only its memory that moves. */
	void (*vring_stops)(struct session *session, unsigned int vring);
	/* The vring has stopped because it can't be where it is in the guest's memory now: `why`.
	 */
	void (*vring_lost)(struct session *session, unsigned int vring, const char *why);
	/* Take fd, or -1 for none, in place of the one before; call and err are non-blocking. */
	void (*set_kick)(struct session *session, unsigned int vring, int fd);
	void (*set_call)(struct session *session, unsigned int vring, int fd);
	void (*set_err)(struct session *session, unsigned int vring, int fd);
	/* The eventfd that says that the log has more, taken likewise. */
	void (*set_log_call)(struct session *session, int fd);
	/* The socket for messages to the frontend, taken likewise. */
	void (*set_backend_req)(struct session *session, int fd);
	/* The device's configuration space, `len` bytes at `offset`. */
	void (*read_config)(struct session *session, uint32_t offset, uint8_t *ret_bytes,
	                    uint32_t len);
	void (*write_config)(struct session *session, uint32_t offset, const uint8_t *bytes,
	                     uint32_t len);
	/* The device begins anew; no vring is started. */
	void (*reset_device)(struct session *session);
	/*
	 * A new session has begun on the connection: nothing is known of a driver or of what the
	 * frontend read or named. No vring is started.
	 */
	void (*session_began)(struct session *session);
	/*
	 * Save the device's state to fd, or load it from there; no vring runs. Says why not, or
	 * NULL, and then has taken fd.
	 */
	const char *(*transfer_state)(struct session *session, bool load, int fd);
	/* Something was refused; the number is what the hint says. */
	void (*hint)(struct session *session, enum session_hint hint, uint64_t number);
	/* While it is under way, the question is answered at its end. */
	enum session_transfer (*check_state)(struct session *session);
};

/* What outlives the process. Zero is the state before a frontend's first message. */
struct session_vring_record {
	uint16_t size; /* 0: not told yet */
	bool addressed;
	bool started; /* from SET_VRING_KICK on, until GET_VRING_BASE */
	bool enabled;
	struct virtq_state state;
	struct virtq_addresses addresses;
	bool log_used;     /* writes to the used ring are logged, */
	uint64_t log_addr; /* as if it were here in guest memory */
};

struct session_record {
	uint64_t features;
	uint64_t protocol_features;
	bool protocol_features_set;
	bool used;                 /* a vring was started since SET_OWNER */
	bool memory_was_before;    /* SET_OWNER came after all that was told of the memory */
	uint32_t regions_count;    /* of those of its session_place */
	struct dirty_log_area log; /* of size 0: none */
	struct session_vring_record vrings[];
};

/* The bytes of a record for `vrings` vrings. */
size_t session_record_size(unsigned int vrings);

/*
 * What a session is given. Where that lies: the record, and its regions, GMEM_REGIONS_MAX of them.
 * Region i is at regions[i * stride], so that several sessions' first regions can lie side by side,
 * then their second ones, and so on: most have two, and the rows behind those are never touched.
 */
struct session_place {
	struct session_record *record;
	struct gmem_region *regions;
	size_t stride;
	struct fd_discarder *discarder; /* for files of memory; NULL: they are closed at once */
};

struct session {
	const struct session_ops *ops;
	struct session_record *record;
	struct gmem_region *regions; /* see session_place */
	size_t regions_stride;
	struct request_limits limits;
	uint64_t device_features;
	uint64_t config_features; /* those of them that a driver uses through configuration space */
	struct gmem memory;
	struct dirty_log log;
	struct virtq *vrings; /* limits.vrings of them */
};

/* The answer to a request. */
struct session_reply {
	const char *refused; /* why, or NULL if it was done; an answer may say so, too */
	bool later;          /* the owner answers, with one number */
	uint32_t size;
	uint8_t payload[sizeof(struct wire_config) + WIRE_CONFIG_MAX];
};

/*
 * Begins with a zeroed record at `place`. `vrings` are limits->vrings virtqueues of the owner's.
 * `device_features` are those offered besides the protocol's own; those that are `config_features`
 * as well need CONFIG, and are withdrawn when the frontend doesn't take it.
 */
void session_init(struct session *session, const struct session_ops *ops,
                  const struct session_place *place, struct virtq *vrings,
                  const struct request_limits *limits, uint64_t device_features,
                  uint64_t config_features);

/* Stops all vrings, unmaps the memory, forgets what was negotiated. May be called again. */
void session_reset(struct session *session);

/* Does what the request asks for, or not. Takes from `fds` what it keeps. */
void session_handle(struct session *session, const struct request *request, struct fd_bag *fds,
                    struct session_reply *ret_reply);

/* Whether the vring is started and enabled and hasn't broken. */
bool session_vring_runs(const struct session *session, unsigned int vring);

/* Whether a vring is started and enabled, so that the frontend may be sent messages. */
bool session_runs(const struct session *session);

/* Whether the driver has taken a feature, by its bit number. */
bool session_has_feature(const struct session *session, unsigned int feature);

/* Whether the frontend has taken a protocol feature, by its bit number. */
bool session_has(const struct session *session, unsigned int protocol_feature);

#endif
