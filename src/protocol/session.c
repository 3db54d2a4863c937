/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "protocol/session.h"

#include "base/macros.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BIT(n) (1ull << (n))

/*
 * What is left out, and why: INFLIGHT_SHMFD, because a console's buffers are used in order and
 * IN_ORDER says so, which lets a frontend resume a ring without it; STATUS, because QEMU's generic
 * device never sets DRIVER_OK; INBAND_NOTIFICATIONS, which QEMU takes and doesn't implement.
 */
#define PROTOCOL_FEATURES                                                                          \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |                    \
	 BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) | BIT(VHOST_USER_PROTOCOL_F_CONFIG) |              \
	 BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))

size_t session_record_size(unsigned int vrings)
{
	return sizeof(struct session_record) + vrings * sizeof(struct session_vring_record);
}

void session_init(struct session *session, const struct session_ops *ops,
                  struct session_record *record, struct virtq *vrings,
                  const struct request_limits *limits, uint64_t device_features,
                  uint64_t config_features)
{
	session->ops = ops;
	session->record = record;
	session->vrings = vrings;
	session->limits = *limits;
	session->device_features = device_features;
	session->config_features = config_features;
	gmem_init(&session->memory);
	for (unsigned int i = 0; i < limits->vrings; i++)
		virtq_init(&vrings[i], &session->memory, &record->vrings[i].state);
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

/* Vrings. */

static void run_vring(struct session *session, unsigned int vring)
{
	if (session_vring_runs(session, vring))
		session->ops->vring_runs(session, vring);
}

static void stop_vring(struct session *session, unsigned int vring)
{
	struct session_vring_record *record = &session->record->vrings[vring];

	if (!record->started)
		return;
	session->ops->vring_settle(session, vring);
	virtq_stop(&session->vrings[vring]);
	record->started = false;
	session->ops->set_kick(session, vring, -1);
}

/* Before memory goes: whatever was taken in part is finished while it is there. */
static void settle_vrings(struct session *session)
{
	for (unsigned int i = 0; i < session->limits.vrings; i++) {
		if (session->record->vrings[i].started)
			session->ops->vring_settle(session, i);
	}
}

/* After memory has changed: finds the started vrings again. */
static void find_vrings(struct session *session)
{
	for (unsigned int i = 0; i < session->limits.vrings; i++) {
		struct session_vring_record *record = &session->record->vrings[i];

		if (!record->started)
			continue;
		if (virtq_start(&session->vrings[i], &record->addresses, record->size, true)) {
			run_vring(session, i);
			continue;
		}
		record->started = false;
		session->ops->set_kick(session, i, -1);
		session->ops->vring_lost(session, i);
	}
}

void session_reset(struct session *session)
{
	for (unsigned int i = 0; i < session->limits.vrings; i++) {
		stop_vring(session, i);
		virtq_set_features(&session->vrings[i], 0);
	}
	gmem_deinit(&session->memory);
	session->ops->set_backend_req(session, -1);
	memset(session->record, 0, session_record_size(session->limits.vrings));
}

/* The requests, each a function that says why it refuses, or NULL. */

typedef const char *handle_fn(struct session *session, const struct request *request,
                              struct fd_bag *fds, struct session_reply *reply);

#define HANDLER(name)                                                                              \
	static const char *handle_##name(struct session *session,                                  \
	                                 __attribute__((unused)) const struct request *request,    \
	                                 __attribute__((unused)) struct fd_bag *fds,               \
	                                 __attribute__((unused)) struct session_reply *reply)

static void answer_u64(struct session_reply *reply, uint64_t value)
{
	le64 wire = le64_of(value);

	memcpy(reply->payload, &wire, sizeof(wire));
	reply->size = sizeof(wire);
}

static uint64_t offered_features(const struct session *session)
{
	return session->device_features | BIT(VHOST_USER_F_PROTOCOL_FEATURES);
}

/*
 * QEMU asks twice, the second time knowing whether it takes CONFIG. Without it a driver would read
 * a configuration space that isn't there.
 */
HANDLER(get_features)
{
	bool without_config = session->record->protocol_features_set &&
	                      !session_has(session, VHOST_USER_PROTOCOL_F_CONFIG);

	answer_u64(reply,
	           offered_features(session) & ~(without_config ? session->config_features : 0));
	return NULL;
}

HANDLER(set_features)
{
	if (request->u64 & ~offered_features(session))
		return "features that weren't offered";
	session->record->features = request->u64;
	for (unsigned int i = 0; i < session->limits.vrings; i++)
		virtq_set_features(&session->vrings[i], request->u64);
	return NULL;
}

HANDLER(get_protocol_features)
{
	(void)session;
	answer_u64(reply, PROTOCOL_FEATURES);
	return NULL;
}

HANDLER(set_protocol_features)
{
	if (request->u64 & ~PROTOCOL_FEATURES)
		return "protocol features that weren't offered";
	session->record->protocol_features = request->u64;
	session->record->protocol_features_set = true;
	return NULL;
}

/* There is one owner: whoever connected. Frontends send this at various times, some twice. */
HANDLER(set_owner)
{
	(void)session;
	return NULL;
}

/* Deprecated; the specification leaves disabling all rings as one of two ways to take it. */
HANDLER(reset_owner)
{
	for (unsigned int i = 0; i < session->limits.vrings; i++) {
		stop_vring(session, i);
		session->record->vrings[i].enabled = false;
	}
	return NULL;
}

HANDLER(get_queue_num)
{
	answer_u64(reply, session->limits.vrings);
	return NULL;
}

/* Memory. */

static const char *map_region(struct gmem *memory, const struct gmem_region *region,
                              struct fd_bag *fds, unsigned int i)
{
	enum gmem_verdict verdict = gmem_judge(memory, region, fds->fd[i]);

	if (verdict != GMEM_OK)
		return gmem_verdict_text(verdict);
	if (gmem_map(memory, region, fds->fd[i]) < 0)
		return "a memory region that the system can't map";
	fd_bag_take(fds, i);
	return NULL;
}

static void record_memory(struct session *session)
{
	struct session_record *record = session->record;

	record->regions_count = session->memory.count;
	for (unsigned int i = 0; i < session->memory.count; i++)
		record->regions[i] = session->memory.mappings[i].region;
}

HANDLER(set_mem_table)
{
	const struct request_mem_table *table = &request->mem_table;
	const char *refused = NULL;
	struct gmem memory;

	gmem_init(&memory);
	for (unsigned int i = 0; i < table->count && !refused; i++)
		refused = map_region(&memory, &table->regions[i], fds, i);
	if (refused) {
		gmem_deinit(&memory);
		return refused;
	}
	settle_vrings(session);
	gmem_replace(&session->memory, &memory);
	record_memory(session);
	find_vrings(session);
	return NULL;
}

static bool has_mem_slots(const struct session *session)
{
	return session_has(session, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
}

HANDLER(get_max_mem_slots)
{
	if (!has_mem_slots(session))
		return "CONFIGURE_MEM_SLOTS wasn't negotiated";
	answer_u64(reply, GMEM_REGIONS_MAX);
	return NULL;
}

HANDLER(add_mem_reg)
{
	const char *refused;

	if (!has_mem_slots(session))
		return "CONFIGURE_MEM_SLOTS wasn't negotiated";
	refused = map_region(&session->memory, &request->region, fds, 0);
	record_memory(session);
	return refused;
}

HANDLER(rem_mem_reg)
{
	if (!has_mem_slots(session))
		return "CONFIGURE_MEM_SLOTS wasn't negotiated";
	if (!gmem_has(&session->memory, &request->region))
		return "no such memory region";
	settle_vrings(session);
	gmem_unmap(&session->memory, &request->region);
	record_memory(session);
	find_vrings(session);
	return NULL;
}

/*
 * Vrings. A frontend may set up a ring anew that it has only disabled (libkrun does at a reset):
 * that stops the ring, and a kick descriptor starts it again.
 */

HANDLER(set_vring_num)
{
	stop_vring(session, request->vring);
	session->record->vrings[request->vring].size = request->num;
	return NULL;
}

HANDLER(set_vring_addr)
{
	struct session_vring_record *record = &session->record->vrings[request->vring];

	/* The same addresses once more, with other flags, don't disturb a ring at work. */
	if (memcmp(&record->addresses, &request->addresses, sizeof(record->addresses)) != 0)
		stop_vring(session, request->vring);
	record->addresses = request->addresses;
	record->addressed = true;
	return NULL;
}

HANDLER(set_vring_base)
{
	stop_vring(session, request->vring);
	session->record->vrings[request->vring].state.next_avail = request->num;
	return NULL;
}

HANDLER(get_vring_base)
{
	struct session_vring_record *record = &session->record->vrings[request->vring];
	struct wire_vring_state wire;

	stop_vring(session, request->vring);
	wire = (struct wire_vring_state){
	    .index = le32_of(request->vring),
	    .num = le32_of(record->state.next_avail),
	};
	memcpy(reply->payload, &wire, sizeof(wire));
	reply->size = sizeof(wire);
	return NULL;
}

static const char *start_vring(struct session *session, unsigned int vring)
{
	struct session_vring_record *record = &session->record->vrings[vring];

	if (record->size == 0 || !record->addressed)
		return "a vring without size or addresses";
	if (!virtq_start(&session->vrings[vring], &record->addresses, record->size, false))
		return "a vring that isn't in guest memory";
	record->started = true;
	/* "Ring states": without protocol features there is no SET_VRING_ENABLE. */
	if (!(session->record->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
		record->enabled = true;
	return NULL;
}

HANDLER(set_vring_kick)
{
	const char *refused = NULL;

	if (!request->has_fd)
		return "a vring without a kick would have to be polled";
	if (!fd_is_eventfd(fds->fd[0]))
		return "not an eventfd";
	if (!session->record->vrings[request->vring].started)
		refused = start_vring(session, request->vring);
	if (refused)
		return refused;
	session->ops->set_kick(session, request->vring, fd_bag_take(fds, 0));
	run_vring(session, request->vring);
	return NULL;
}

/* The descriptor of a signal to the frontend, or -1 for none, into *ret. */
static const char *take_signal(const struct request *request, struct fd_bag *fds, int *ret)
{
	*ret = -1;
	if (!request->has_fd)
		return NULL;
	if (!fd_is_eventfd(fds->fd[0]))
		return "not an eventfd";
	/* A write to a blocking one could wait for a frontend that never reads. */
	if (fd_set_nonblock(fds->fd[0]) < 0)
		return "an eventfd that can't be made non-blocking";
	*ret = fd_bag_take(fds, 0);
	return NULL;
}

HANDLER(set_vring_call)
{
	int fd;
	const char *refused = take_signal(request, fds, &fd);

	if (!refused)
		session->ops->set_call(session, request->vring, fd);
	return refused;
}

HANDLER(set_vring_err)
{
	int fd;
	const char *refused = take_signal(request, fds, &fd);

	if (!refused)
		session->ops->set_err(session, request->vring, fd);
	return refused;
}

/* A ring that is started but disabled keeps what it has: frontends disable it to pause. */
HANDLER(set_vring_enable)
{
	session->record->vrings[request->vring].enabled = request->enable;
	run_vring(session, request->vring);
	return NULL;
}

/* The rest. */

HANDLER(set_backend_req_fd)
{
	if (!session_has(session, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		return "BACKEND_REQ wasn't negotiated";
	if (!fd_is_stream_socket(fds->fd[0]))
		return "not a stream socket";
	session->ops->set_backend_req(session, fd_bag_take(fds, 0));
	return NULL;
}

HANDLER(get_config)
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

HANDLER(set_config)
{
	const struct request_config *config = &request->config;

	session->ops->write_config(session, config->offset, config->bytes, config->size);
	return NULL;
}

static handle_fn *const handlers[VHOST_USER_REQUEST_MAX] = {
    [VHOST_USER_GET_FEATURES] = handle_get_features,
    [VHOST_USER_SET_FEATURES] = handle_set_features,
    [VHOST_USER_SET_OWNER] = handle_set_owner,
    [VHOST_USER_RESET_OWNER] = handle_reset_owner,
    [VHOST_USER_SET_MEM_TABLE] = handle_set_mem_table,
    [VHOST_USER_SET_VRING_NUM] = handle_set_vring_num,
    [VHOST_USER_SET_VRING_ADDR] = handle_set_vring_addr,
    [VHOST_USER_SET_VRING_BASE] = handle_set_vring_base,
    [VHOST_USER_GET_VRING_BASE] = handle_get_vring_base,
    [VHOST_USER_SET_VRING_KICK] = handle_set_vring_kick,
    [VHOST_USER_SET_VRING_CALL] = handle_set_vring_call,
    [VHOST_USER_SET_VRING_ERR] = handle_set_vring_err,
    [VHOST_USER_GET_PROTOCOL_FEATURES] = handle_get_protocol_features,
    [VHOST_USER_SET_PROTOCOL_FEATURES] = handle_set_protocol_features,
    [VHOST_USER_GET_QUEUE_NUM] = handle_get_queue_num,
    [VHOST_USER_SET_VRING_ENABLE] = handle_set_vring_enable,
    [VHOST_USER_SET_BACKEND_REQ_FD] = handle_set_backend_req_fd,
    [VHOST_USER_GET_CONFIG] = handle_get_config,
    [VHOST_USER_SET_CONFIG] = handle_set_config,
    [VHOST_USER_GET_MAX_MEM_SLOTS] = handle_get_max_mem_slots,
    [VHOST_USER_ADD_MEM_REG] = handle_add_mem_reg,
    [VHOST_USER_REM_MEM_REG] = handle_rem_mem_reg,
};

void session_handle(struct session *session, const struct request *request, struct fd_bag *fds,
                    struct session_reply *ret_reply)
{
	ret_reply->size = 0;
	ret_reply->refused = handlers[request->id](session, request, fds, ret_reply);
}
