/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "protocol/session_impl.h"

/*
 * `memory` is the session's own, or is about to take its place. It is judged by itself then, like
 * a log, although the one before is mapped for a moment more: of one guest at a time.
 */
static const char *map_region(const struct session *session, struct gmem *memory,
                              const struct gmem_region *region, struct fd_bag *fds, unsigned int i)
{
	struct gmem_limits limits = session->limits.memory;
	enum gmem_verdict verdict;

	limits.mapped -= session->log.map_len;
	verdict = gmem_judge(memory, region, fds->fd[i], &limits);
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
		session->regions[i * session->regions_stride] = session->memory.mappings[i].region;
}

/* Puts `count` regions in the place of all memory. */
static const char *replace_memory(struct session *session, const struct gmem_region *regions,
                                  unsigned int count, struct fd_bag *fds)
{
	const char *refused = NULL;
	struct gmem memory;

	gmem_init(&memory, session->memory.discarder);
	for (unsigned int i = 0; i < count && !refused; i++)
		refused = map_region(session, &memory, &regions[i], fds, i);
	if (refused) {
		gmem_deinit(&memory);
		return refused;
	}
	session_settle_vrings(session);
	gmem_replace(&session->memory, &memory);
	session->record->memory_was_before = false;
	record_memory(session);
	session_find_vrings(session);
	return NULL;
}

HANDLER(set_mem_table)
{
	return replace_memory(session, request->mem_table.regions, request->mem_table.count, fds);
}

static bool has_mem_slots(const struct session *session)
{
	return session_has(session, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
}

HANDLER(get_max_mem_slots)
{
	if (!has_mem_slots(session))
		return "CONFIGURE_MEM_SLOTS wasn't negotiated";
	session_answer_u64(reply, session->limits.memory.regions);
	return NULL;
}

HANDLER(add_mem_reg)
{
	const char *refused;

	if (!has_mem_slots(session))
		return "CONFIGURE_MEM_SLOTS wasn't negotiated";
	/* The first one since SET_OWNER: the frontend tells its memory from the beginning. */
	if (session->record->memory_was_before)
		return replace_memory(session, &request->region, 1, fds);
	refused = map_region(session, &session->memory, &request->region, fds, 0);
	record_memory(session);
	return refused;
}

HANDLER(rem_mem_reg)
{
	if (!has_mem_slots(session))
		return "CONFIGURE_MEM_SLOTS wasn't negotiated";
	if (!gmem_has(&session->memory, &request->region))
		return "no such memory region";
	session_settle_vrings(session);
	gmem_unmap(&session->memory, &request->region);
	record_memory(session);
	session_find_vrings(session);
	return NULL;
}

/* The log. */

void session_set_logs(struct session *session)
{
	struct dirty_log *log = dirty_log_is_there(&session->log) ? &session->log : NULL;
	struct dirty_log *buffers = session_has_feature(session, VHOST_F_LOG_ALL) ? log : NULL;

	for (unsigned int i = 0; i < session->limits.vrings; i++) {
		const struct session_vring_record *record = &session->record->vrings[i];

		virtq_set_logs(&session->vrings[i], buffers, record->log_used ? log : NULL,
		               record->log_addr);
	}
}

/* "The log covers from address 0 to the maximum of guest regions", and the used rings. */
static const char *judge_log(const struct session *session, const struct dirty_log_area *area)
{
	for (unsigned int i = 0; i < session->memory.count; i++) {
		const struct gmem_region *region = &session->memory.mappings[i].region;

		if (!dirty_log_covers(area, region->guest_addr, region->size))
			return "a log that doesn't cover the guest's memory";
	}
	for (unsigned int i = 0; i < session->limits.vrings; i++) {
		const struct session_vring_record *record = &session->record->vrings[i];

		if (record->log_used &&
		    !dirty_log_covers(area, record->log_addr, virtq_used_size(record->size)))
			return "a log that doesn't cover a used ring";
	}
	return NULL;
}

HANDLER(set_log_base)
{
	uint64_t most = session->limits.memory.mapped - gmem_mapped(&session->memory);
	enum dirty_log_verdict verdict;
	const char *refused;

	if (!session_has(session, VHOST_USER_PROTOCOL_F_LOG_SHMFD))
		return "LOG_SHMFD wasn't negotiated";
	verdict = dirty_log_judge(&request->log, fds->fd[0], most);
	if (verdict != DIRTY_LOG_OK)
		return dirty_log_verdict_text(verdict);
	refused = judge_log(session, &request->log);
	if (refused)
		return refused;
	if (dirty_log_map(&session->log, &request->log, fds->fd[0]) < 0)
		return "a log that the system can't map";
	fd_bag_take(fds, 0);
	session->record->log = request->log;
	session_set_logs(session);
	return NULL;
}

HANDLER(set_log_fd)
{
	int fd;
	const char *refused = session_take_signal(fds, &fd);

	if (!refused)
		session->ops->set_log_call(session, fd);
	return refused;
}
