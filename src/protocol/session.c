/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "protocol/session_impl.h"

#include "base/macros.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * What isn't offered, and why; whatever belongs to it is refused like a message that is unknown.
 * - INFLIGHT_SHMFD says after a crash which chains were taken and not used. Here they are used in
 *   the order they came in, so the used index says it, and virtq_start() goes on there. If it were
 *   offered, Cloud Hypervisor would rely on it and no longer on IN_ORDER; and it is one more area
 *   of shared memory, in which other backends had CVE-2020-10726 and CVE-2021-3839.
 * - STATUS: QEMU's generic device never sets DRIVER_OK through it, so who waited for that would
 *   wait for ever, and who doesn't has no use for it: rings say themselves when they start.
 * - PAGEFAULT, for postcopy: each access to guest memory could wait for a page from another
 *   machine, and all guests of the process with it.
 * - Packed rings (VIRTIO_F_RING_PACKED, bit 34): crosvm and Cloud Hypervisor mask them off, and a
 *   console gains nothing by them that would be worth a second walker of hostile memory.
 * - INBAND_NOTIFICATIONS, which QEMU takes and doesn't implement.
 */
#define PROTOCOL_FEATURES                                                                          \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |                    \
	 BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) | BIT(VHOST_USER_PROTOCOL_F_CONFIG) |              \
	 BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD) |   \
	 BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) | BIT(VHOST_USER_PROTOCOL_F_DEVICE_STATE))

size_t session_record_size(unsigned int vrings)
{
	return sizeof(struct session_record) + vrings * sizeof(struct session_vring_record);
}

void session_init(struct session *session, const struct session_ops *ops,
                  const struct session_place *place, struct virtq *vrings,
                  const struct request_limits *limits, uint64_t device_features,
                  uint64_t config_features)
{
	session->ops = ops;
	session->record = place->record;
	session->regions = place->regions;
	session->regions_stride = place->stride;
	session->vrings = vrings;
	session->limits = *limits;
	session->device_features = device_features;
	session->config_features = config_features;
	gmem_init(&session->memory, place->discarder);
	dirty_log_init(&session->log, place->discarder);
	for (unsigned int i = 0; i < limits->vrings; i++)
		virtq_init(&vrings[i], &session->memory, &place->record->vrings[i].state);
}

bool session_has(const struct session *session, unsigned int protocol_feature)
{
	return session->record->protocol_features & BIT(protocol_feature);
}

bool session_vring_runs(const struct session *session, unsigned int vring)
{
	const struct session_vring_record *record = &session->record->vrings[vring];

	return record->started && record->enabled && !session->vrings[vring].broken;
}

bool session_runs(const struct session *session)
{
	for (unsigned int i = 0; i < session->limits.vrings; i++) {
		if (session->record->vrings[i].started && session->record->vrings[i].enabled)
			return true;
	}
	return false;
}

bool session_has_feature(const struct session *session, unsigned int feature)
{
	return session->record->features & BIT(feature);
}

/* What a driver has set up. */
static void forget_driver(struct session *session)
{
	struct session_record *record = session->record;

	for (unsigned int i = 0; i < session->limits.vrings; i++) {
		session_stop_vring(session, i);
		virtq_set_features(&session->vrings[i], 0);
	}
	memset(record->vrings, 0, session->limits.vrings * sizeof(record->vrings[0]));
	record->features = 0;
	session_set_logs(session);
}

/* And the memory, with its log. */
static void forget_guest(struct session *session)
{
	forget_driver(session);
	gmem_deinit(&session->memory);
	session->record->regions_count = 0;
	dirty_log_deinit(&session->log);
	session->record->log = (struct dirty_log_area){0};
	session->ops->set_log_call(session, -1);
	session_set_logs(session);
}

void session_reset(struct session *session)
{
	forget_guest(session);
	session->ops->set_backend_req(session, -1);
	memset(session->record, 0, session_record_size(session->limits.vrings));
}

/* The requests. */

void session_answer_u64(struct session_reply *reply, uint64_t value)
{
	le64 wire = le64_of(value);

	memcpy(reply->payload, &wire, sizeof(wire));
	reply->size = sizeof(wire);
}

static uint64_t offered_features(const struct session *session)
{
	return session->device_features | BIT(VHOST_USER_F_PROTOCOL_FEATURES) |
	       BIT(VHOST_F_LOG_ALL);
}

/*
 * QEMU asks twice, the second time knowing which protocol features it takes. Without CONFIG a
 * driver would read a configuration space that isn't there, without LOG_SHMFD no log can come.
 */
static HANDLER(get_features)
{
	uint64_t features = offered_features(session);

	if (session->record->protocol_features_set) {
		if (!session_has(session, VHOST_USER_PROTOCOL_F_CONFIG))
			features &= ~session->config_features;
		if (!session_has(session, VHOST_USER_PROTOCOL_F_LOG_SHMFD))
			features &= ~BIT(VHOST_F_LOG_ALL);
	}
	session_answer_u64(reply, features);
	return NULL;
}

static HANDLER(set_features)
{
	if (request->u64 & ~offered_features(session))
		return "features that weren't offered";
	session->record->features = request->u64;
	for (unsigned int i = 0; i < session->limits.vrings; i++)
		virtq_set_features(&session->vrings[i], request->u64);
	session_set_logs(session);
	return NULL;
}

static HANDLER(get_protocol_features)
{
	(void)session;
	session_answer_u64(reply, PROTOCOL_FEATURES);
	return NULL;
}

static HANDLER(set_protocol_features)
{
	if (request->u64 & ~PROTOCOL_FEATURES)
		return "protocol features that weren't offered";
	session->record->protocol_features = request->u64;
	session->record->protocol_features_set = true;
	if (!session_has(session, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		session->ops->set_backend_req(session, -1);
	return NULL;
}

static void begin_session(struct session *session)
{
	forget_guest(session);
	for (unsigned int i = 0; i < session->limits.vrings; i++) {
		session->ops->set_call(session, i, -1);
		session->ops->set_err(session, i, -1);
	}
	session->record->used = false;
	session->ops->session_began(session);
}

/*
 * "This can be used on the back-end as a 'session start' flag." Several sessions may follow each
 * other on one connection: when QEMU unplugs a device it stops the vrings and says no more, and a
 * device that is plugged with the same chardev later begins with GET_FEATURES, in memory that may
 * have changed in between. libkrun sends SET_OWNER whenever a driver starts.
 * So a session that has had its vrings at work, of which none runs any more, is over. What QEMU
 * sends before SET_OWNER stays, which is of the new session: the protocol's features and the
 * socket for messages. While a vring runs the message changes nothing. Before one was started it
 * takes nothing away either, since frontends send it at various times, some twice; but a region
 * that is added then is the first of the new session's memory.
 */
static HANDLER(set_owner)
{
	if (session_runs(session))
		return NULL;
	if (session->record->used)
		begin_session(session);
	session->record->memory_was_before = session->memory.count > 0;
	return NULL;
}

/* Deprecated; the specification leaves disabling all rings as one of two ways to take it. */
static HANDLER(reset_owner)
{
	for (unsigned int i = 0; i < session->limits.vrings; i++) {
		session_stop_vring(session, i);
		session->record->vrings[i].enabled = false;
	}
	return NULL;
}

/*
 * "Reset all internal device state to the initial state, ready to be reinitialized." The driver's
 * features go with it; memory, its log, eventfds for signals and the protocol's own features belong
 * to the connection, and some frontends (QEMU) tell them only once.
 */
static HANDLER(reset_device)
{
	if (!session_has(session, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		return "RESET_DEVICE wasn't negotiated";
	forget_driver(session);
	session->ops->reset_device(session);
	return NULL;
}

static HANDLER(get_queue_num)
{
	session_answer_u64(reply, session->limits.vrings);
	return NULL;
}

/* The rest. */

static HANDLER(set_backend_req_fd)
{
	if (!session_has(session, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		return "BACKEND_REQ wasn't negotiated";
	if (!fd_is_of_pair(fds->fd[0]))
		return "not a Unix stream socket of a pair";
	if (fd_set_nonblock(fds->fd[0]) < 0)
		return "a socket that can't be made non-blocking";
	/* Nothing is asked that a frontend would have to answer here. */
	if (!fd_end_input(fds->fd[0]))
		return "a socket with something unread in it";
	session->ops->set_backend_req(session, fd_bag_take(fds, 0));
	return NULL;
}

static HANDLER(get_config)
{
	const struct request_config *config = &request->config;
	struct wire_config wire = {
	    .offset = le32_of(config->offset),
	    .size = le32_of(config->size),
	    .flags = le32_of(config->flags),
	};

	memcpy(reply->payload, &wire, sizeof(wire));
	session->ops->read_config(session, config->offset, reply->payload + sizeof(wire),
	                          config->size);
	reply->size = sizeof(wire) + config->size;
	return NULL;
}

static HANDLER(set_config)
{
	const struct request_config *config = &request->config;

	session->ops->write_config(session, config->offset, config->bytes, config->size);
	return NULL;
}

static HANDLER(set_device_state_fd)
{
	const char *refused;

	session_answer_u64(reply, WIRE_STATE_NOFD | WIRE_STATE_FAILED);
	if (!session_has(session, VHOST_USER_PROTOCOL_F_DEVICE_STATE))
		return "DEVICE_STATE wasn't negotiated";
	if (session_runs(session))
		return "the device isn't stopped";
	refused = session->ops->transfer_state(session, request->load, fds->fd[0]);
	if (refused)
		return refused;
	fd_bag_take(fds, 0);
	session_answer_u64(reply, WIRE_STATE_NOFD);
	return NULL;
}

static HANDLER(check_device_state)
{
	enum session_transfer transfer;

	session_answer_u64(reply, WIRE_STATE_FAILED);
	if (!session_has(session, VHOST_USER_PROTOCOL_F_DEVICE_STATE))
		return "DEVICE_STATE wasn't negotiated";
	transfer = session->ops->check_state(session);
	reply->later = transfer == SESSION_TRANSFER_UNDER_WAY;
	session_answer_u64(reply, transfer == SESSION_TRANSFER_DONE ? 0 : WIRE_STATE_FAILED);
	return NULL;
}

static session_handle_fn *const handlers[VHOST_USER_REQUEST_MAX] = {
    [VHOST_USER_GET_FEATURES] = session_get_features,
    [VHOST_USER_SET_FEATURES] = session_set_features,
    [VHOST_USER_SET_OWNER] = session_set_owner,
    [VHOST_USER_RESET_OWNER] = session_reset_owner,
    [VHOST_USER_SET_MEM_TABLE] = session_set_mem_table,
    [VHOST_USER_SET_LOG_BASE] = session_set_log_base,
    [VHOST_USER_SET_LOG_FD] = session_set_log_fd,
    [VHOST_USER_SET_VRING_NUM] = session_set_vring_num,
    [VHOST_USER_SET_VRING_ADDR] = session_set_vring_addr,
    [VHOST_USER_SET_VRING_BASE] = session_set_vring_base,
    [VHOST_USER_GET_VRING_BASE] = session_get_vring_base,
    [VHOST_USER_SET_VRING_KICK] = session_set_vring_kick,
    [VHOST_USER_SET_VRING_CALL] = session_set_vring_call,
    [VHOST_USER_SET_VRING_ERR] = session_set_vring_err,
    [VHOST_USER_GET_PROTOCOL_FEATURES] = session_get_protocol_features,
    [VHOST_USER_SET_PROTOCOL_FEATURES] = session_set_protocol_features,
    [VHOST_USER_GET_QUEUE_NUM] = session_get_queue_num,
    [VHOST_USER_SET_VRING_ENABLE] = session_set_vring_enable,
    [VHOST_USER_SET_BACKEND_REQ_FD] = session_set_backend_req_fd,
    [VHOST_USER_GET_CONFIG] = session_get_config,
    [VHOST_USER_SET_CONFIG] = session_set_config,
    [VHOST_USER_RESET_DEVICE] = session_reset_device,
    [VHOST_USER_SET_DEVICE_STATE_FD] = session_set_device_state_fd,
    [VHOST_USER_CHECK_DEVICE_STATE] = session_check_device_state,
    [VHOST_USER_GET_MAX_MEM_SLOTS] = session_get_max_mem_slots,
    [VHOST_USER_ADD_MEM_REG] = session_add_mem_reg,
    [VHOST_USER_REM_MEM_REG] = session_rem_mem_reg,
};

void session_handle(struct session *session, const struct request *request, struct fd_bag *fds,
                    struct session_reply *ret_reply)
{
	ret_reply->size = 0;
	ret_reply->later = false;
	ret_reply->refused = handlers[request->id](session, request, fds, ret_reply);
}
