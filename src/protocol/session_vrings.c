/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "protocol/session_impl.h"

#include <string.h>

static void run_vring(struct session *session, unsigned int vring)
{
	if (session_vring_runs(session, vring))
		session->ops->vring_runs(session, vring);
}

/* What was taken in part of a ring that is disabled was finished when it was. */
static void settle_vring(struct session *session, unsigned int vring)
{
	const struct session_vring_record *record = &session->record->vrings[vring];

	if (record->started && record->enabled)
		session->ops->vring_settle(session, vring);
}

static void settle_and_stop(struct session *session, unsigned int vring)
{
	const struct session_vring_record *record = &session->record->vrings[vring];

	settle_vring(session, vring);
	if (record->started && record->enabled)
		session->ops->vring_stops(session, vring);
}

void session_stop_vring(struct session *session, unsigned int vring)
{
	struct session_vring_record *record = &session->record->vrings[vring];

	if (!record->started)
		return;
	settle_and_stop(session, vring);
	virtq_stop(&session->vrings[vring]);
	record->started = false;
	session->ops->set_kick(session, vring, -1);
}

/* Overlapping rings. */

static bool places_overlap(const struct gmem_place *a, const struct gmem_place *b)
{
	for (unsigned int i = 0; i < VIRTQ_PARTS * VIRTQ_PARTS; i++) {
		if (gmem_places_overlap(&a[i / VIRTQ_PARTS], &b[i % VIRTQ_PARTS]))
			return true;
	}
	return false;
}

static void find_places(const struct session *session, unsigned int vring,
                        struct gmem_place ret_places[VIRTQ_PARTS])
{
	const struct session_vring_record *record = &session->record->vrings[vring];

	virtq_places(&session->vrings[vring], &record->addresses, record->size, ret_places);
}

static bool overlaps_itself(const struct gmem_place places[VIRTQ_PARTS])
{
	return gmem_places_overlap(&places[0], &places[1]) ||
	       gmem_places_overlap(&places[0], &places[2]) ||
	       gmem_places_overlap(&places[1], &places[2]);
}

/*
 * Why the vring, which is started, may not run where it lies, or NULL. A ring that is disabled
 * isn't written to: it may lie where a driver, without stopping it, has begun something new.
 */
static const char *judge_place(const struct session *session, unsigned int vring, bool enabled)
{
	struct gmem_place places[VIRTQ_PARTS], other[VIRTQ_PARTS];

	find_places(session, vring, places);
	if (overlaps_itself(places))
		return "a vring whose parts overlap";
	for (unsigned int i = 0; enabled && i < session->limits.vrings; i++) {
		if (i == vring || !session_vring_runs(session, i))
			continue;
		find_places(session, i, other);
		if (places_overlap(places, other))
			return "vrings that overlap";
	}
	return NULL;
}

void session_settle_vrings(struct session *session)
{
	for (unsigned int i = 0; i < session->limits.vrings; i++)
		settle_vring(session, i);
}

/* Starts a vring, or finds it again; judges it alike. Says why it can't be, and is stopped then. */
static const char *place_vring(struct session *session, unsigned int vring, bool enabled,
                               bool resume)
{
	const struct session_vring_record *record = &session->record->vrings[vring];
	const char *refused = NULL;

	if (!virtq_start(&session->vrings[vring], &record->addresses, record->size, resume)) {
		session->ops->hint(session, SESSION_HINT_NOT_SHARED, vring);
		return "a vring that isn't in guest memory";
	}
	refused = judge_place(session, vring, enabled);
	if (refused)
		virtq_stop(&session->vrings[vring]);
	return refused;
}

void session_find_vrings(struct session *session)
{
	for (unsigned int i = 0; i < session->limits.vrings; i++) {
		struct session_vring_record *record = &session->record->vrings[i];
		const char *why;

		if (!record->started)
			continue;
		why = place_vring(session, i, record->enabled, true);
		if (!why) {
			run_vring(session, i);
			continue;
		}
		record->started = false;
		session->ops->set_kick(session, i, -1);
		session->ops->vring_lost(session, i, why);
	}
}

/*
 * Vrings. A frontend may set up a ring anew that it has only disabled (libkrun does at a reset):
 * that stops the ring, and a kick descriptor starts it again.
 */

HANDLER(set_vring_num)
{
	if (request->num > session->limits.vring_size) {
		session->ops->hint(session, SESSION_HINT_VRING_SIZE, request->num);
		return "more entries than are allowed (--max-queue-size)";
	}
	session_stop_vring(session, request->vring);
	session->record->vrings[request->vring].size = request->num;
	return NULL;
}

HANDLER(set_vring_addr)
{
	const struct request_vring_addr *addr = &request->vring_addr;
	struct session_vring_record *record = &session->record->vrings[request->vring];

	if (addr->log_used && session->record->log.size > 0 &&
	    !dirty_log_covers(&session->record->log, addr->log_addr, virtq_used_size(record->size)))
		return "a used ring that the log doesn't cover";
	/* The same addresses once more, with other flags, don't disturb a ring at work. */
	if (memcmp(&record->addresses, &addr->addresses, sizeof(record->addresses)) != 0)
		session_stop_vring(session, request->vring);
	record->addresses = addr->addresses;
	record->addressed = true;
	record->log_used = addr->log_used;
	record->log_addr = addr->log_addr;
	session_set_logs(session);
	return NULL;
}

HANDLER(set_vring_base)
{
	session_stop_vring(session, request->vring);
	session->record->vrings[request->vring].state.next_avail = request->num;
	return NULL;
}

HANDLER(get_vring_base)
{
	struct session_vring_record *record = &session->record->vrings[request->vring];
	struct wire_vring_state wire;

	session_stop_vring(session, request->vring);
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
	/* "Ring states": without protocol features there is no SET_VRING_ENABLE. */
	bool enabled =
	    record->enabled || !(session->record->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	const char *refused;

	if (record->size == 0 || !record->addressed)
		return "a vring without size or addresses";
	refused = place_vring(session, vring, enabled, false);
	if (refused)
		return refused;
	record->started = true;
	record->enabled = enabled;
	session->record->used = true;
	return NULL;
}

/* A semaphore could hold more kicks than this process has time for, at once and for nothing. */
static const char *judge_kick(int fd)
{
	int counts_down;

	if (!fd_is_eventfd(fd))
		return "not an eventfd";
	counts_down = fd_counts_down(fd);
	if (counts_down < 0)
		return "an eventfd that can't be looked at: is this process out of descriptors?";
	return counts_down ? "an eventfd that is a semaphore" : NULL;
}

HANDLER(set_vring_kick)
{
	const char *refused;

	if (!request->has_fd) {
		session->ops->hint(session, SESSION_HINT_POLLED, request->vring);
		return "a vring without a kick would have to be polled";
	}
	refused = judge_kick(fds->fd[0]);
	if (refused)
		return refused;
	if (!session->record->vrings[request->vring].started)
		refused = start_vring(session, request->vring);
	if (refused)
		return refused;
	session->ops->set_kick(session, request->vring, fd_bag_take(fds, 0));
	run_vring(session, request->vring);
	return NULL;
}

const char *session_take_signal(struct fd_bag *fds, int *ret)
{
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
	int fd = -1;
	const char *refused = request->has_fd ? session_take_signal(fds, &fd) : NULL;

	if (!refused)
		session->ops->set_call(session, request->vring, fd);
	return refused;
}

HANDLER(set_vring_err)
{
	int fd = -1;
	const char *refused = request->has_fd ? session_take_signal(fds, &fd) : NULL;

	if (!refused)
		session->ops->set_err(session, request->vring, fd);
	return refused;
}

/*
 * A ring that is started but disabled keeps what it has: frontends disable it to pause. What was
 * taken in part is finished now: to libkrun's guest this is a reset, after which the ring's memory
 * may be used for something else, though no message says so before the next start.
 */
HANDLER(set_vring_enable)
{
	struct session_vring_record *record = &session->record->vrings[request->vring];
	const char *refused = NULL;

	if (!request->enable)
		settle_and_stop(session, request->vring);
	else if (record->started && !record->enabled)
		refused = judge_place(session, request->vring, true);
	if (refused)
		return refused;
	record->enabled = request->enable;
	run_vring(session, request->vring);
	return NULL;
}
