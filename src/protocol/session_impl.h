/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the session's own files share: the handlers of requests, and what more than one of them
 * does to vrings.
 */
#ifndef PROTOCOL_SESSION_IMPL_H
#define PROTOCOL_SESSION_IMPL_H

#include "protocol/session.h"

#define BIT(n) (1ull << (n))

/* A request's handler says why it refuses, or NULL. */
typedef const char *session_handle_fn(struct session *session, const struct request *request,
                                      struct fd_bag *fds, struct session_reply *reply);

#define HANDLER(name)                                                                              \
	const char *session_##name(struct session *session,                                        \
	                           __attribute__((unused)) const struct request *request,          \
	                           __attribute__((unused)) struct fd_bag *fds,                     \
	                           __attribute__((unused)) struct session_reply *reply)

/* session_memory.c */
session_handle_fn session_set_mem_table, session_get_max_mem_slots, session_add_mem_reg,
    session_rem_mem_reg, session_set_log_base, session_set_log_fd;

/* session_vrings.c */
session_handle_fn session_set_vring_num, session_set_vring_addr, session_set_vring_base,
    session_get_vring_base, session_set_vring_kick, session_set_vring_call, session_set_vring_err,
    session_set_vring_enable;

/* The answer of a request that is answered with one number. */
void session_answer_u64(struct session_reply *reply, uint64_t value);

void session_stop_vring(struct session *session, unsigned int vring);

/* Before memory goes: whatever was taken in part is finished while it is there. */
void session_settle_vrings(struct session *session);

/* After memory has changed: finds the started vrings again. */
void session_find_vrings(struct session *session);

/* Tells the vrings where to log what they write, after anything of that has changed. */
void session_set_logs(struct session *session);

/* The eventfd of a signal to the frontend, made non-blocking. */
const char *session_take_signal(struct fd_bag *fds, int *ret);

#endif
