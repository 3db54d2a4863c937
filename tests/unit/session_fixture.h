/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A session whose owner writes down what it is asked for, in order: "settle1 kick1- runs0 ".
 * Messages go through the parser, as they do in the daemon.
 */
#ifndef SESSION_FIXTURE_H
#define SESSION_FIXTURE_H

#include "driver.h"
#include "guest_memory.h"
#include "protocol/session.h"

#define SESSION_VRINGS 4u
/* Regions of so many sessions would lie side by side. */
#define SESSION_REGIONS_STRIDE 3u
#define SESSION_DEVICE_FEATURES                                                                    \
	(1ull << 0 | 1ull << 2 | 1ull << 28 | 1ull << 29 | 1ull << 32 | 1ull << 35)
#define SESSION_CONFIG_FEATURES (1ull << 0 | 1ull << 2)
#define SESSION_RING_SIZE       16u
#define SESSION_MAPPED          (1ull << 36)

struct session_fixture {
	struct session session;
	struct session_record *record;
	struct gmem_region regions[GMEM_REGIONS_MAX * SESSION_REGIONS_STRIDE];
	struct virtq vrings[SESSION_VRINGS];
	struct guest_memory memory;
	struct driver_queue driver; /* vring 1's */
	int kick[SESSION_VRINGS], call[SESSION_VRINGS], err[SESSION_VRINGS];
	int backend_req, log_call;
	bool state_refused;             /* a transfer of the device's state */
	enum session_transfer transfer; /* how the last one went */
	char events[512];
	unsigned int hints; /* a bit each, and the last one's number */
	uint64_t hint_number;
	struct session_reply reply; /* of the last message */
	uint8_t config[12];
};

void session_fixture_init(struct session_fixture *f);
void session_fixture_deinit(struct session_fixture *f);

/*
 * Sends a message with copies of `count` descriptors. Returns why it is refused, by the parser or
 * by the session, or NULL.
 */
const char *session_send(struct session_fixture *f, uint32_t id, const void *payload, uint32_t size,
                         const int *fds, unsigned int count);

/* Messages without and with a vring's state, and with a vring's eventfd (-1: none). */
const char *session_send_u64(struct session_fixture *f, uint32_t id, uint64_t value);
const char *session_send_state(struct session_fixture *f, uint32_t id, uint32_t index,
                               uint32_t num);
const char *session_send_fd(struct session_fixture *f, uint32_t id, uint32_t index, int fd);
const char *session_send_addr(struct session_fixture *f, uint32_t index,
                              const struct frontend_vring_addr *addr);
/* The regions of the guest's memory, from `first` on. */
const char *session_send_table(struct session_fixture *f, unsigned int first, unsigned int count);
/* ADD_MEM_REG or REM_MEM_REG; fd -1: none. */
const char *session_send_region(struct session_fixture *f, uint32_t id,
                                const struct guest_region *region, int fd);
const char *session_send_log(struct session_fixture *f, uint64_t size, uint64_t offset, int fd);
/* The u64 of a message that is answered with one. */
uint64_t session_ask(struct session_fixture *f, uint32_t id);

/* All features, memory, and vring 1 running with the driver's eventfds. Forgets the events. */
void session_bring_up(struct session_fixture *f);
/* NUM, BASE, ADDR, KICK, CALL, ENABLE of vring 1, in libkrun's order. */
void session_set_up_ring(struct session_fixture *f, uint16_t base);
/* What happened since the last time; valid until the next. */
const char *session_events(struct session_fixture *f);

#endif
