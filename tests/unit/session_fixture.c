/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "session_fixture.h"

#include "base/macros.h"
#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct session_fixture *fixture_of(struct session *session)
{
	return container_of(session, struct session_fixture, session);
}

static void note(struct session *session, const char *what, unsigned int vring, const char *more)
{
	struct session_fixture *f = fixture_of(session);
	size_t len = strlen(f->events);

	snprintf(f->events + len, sizeof(f->events) - len, "%s%u%s ", what, vring, more);
}

static void on_vring_runs(struct session *session, unsigned int vring)
{
	if (!virtq_started(&session->vrings[vring]))
		support_die("vring %u runs without its ring", vring);
	note(session, "runs", vring, "");
}

/* The ring must still be in memory: what is taken in part is given back now. */
static void on_vring_settle(struct session *session, unsigned int vring)
{
	struct virtq *vq = &session->vrings[vring];

	if (!virtq_started(vq))
		support_die("vring %u settles without its ring", vring);
	((volatile struct virtq_used *)vq->used)->flags = vq->used->flags;
	note(session, "settle", vring, "");
}

/* It comes with `settle`, behind which the tests look for it. */
static void on_vring_stops(struct session *session, unsigned int vring)
{
	if (!virtq_started(&session->vrings[vring]))
		support_die("vring %u stops without its ring", vring);
}

static void on_vring_lost(struct session *session, unsigned int vring, const char *why)
{
	(void)why;
	if (virtq_started(&session->vrings[vring]))
		support_die("vring %u is lost with its ring", vring);
	note(session, "lost", vring, "");
}

static void on_set_kick(struct session *session, unsigned int vring, int fd)
{
	fd_replace(&fixture_of(session)->kick[vring], fd);
	note(session, "kick", vring, fd < 0 ? "-" : "+");
}

static void on_set_call(struct session *session, unsigned int vring, int fd)
{
	fd_replace(&fixture_of(session)->call[vring], fd);
	note(session, "call", vring, fd < 0 ? "-" : "+");
}

static void on_set_err(struct session *session, unsigned int vring, int fd)
{
	fd_replace(&fixture_of(session)->err[vring], fd);
	note(session, "err", vring, fd < 0 ? "-" : "+");
}

static void on_set_log_call(struct session *session, int fd)
{
	fd_replace(&fixture_of(session)->log_call, fd);
}

static void on_set_backend_req(struct session *session, int fd)
{
	fd_replace(&fixture_of(session)->backend_req, fd);
}

static void on_read_config(struct session *session, uint32_t offset, uint8_t *ret_bytes,
                           uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		ret_bytes[i] = (uint8_t)(offset + i);
	note(session, "read", offset, "");
}

static void on_write_config(struct session *session, uint32_t offset, const uint8_t *bytes,
                            uint32_t len)
{
	if (offset + len <= sizeof(fixture_of(session)->config))
		memcpy(fixture_of(session)->config + offset, bytes, len);
	note(session, "write", offset, "");
}

static void on_reset_device(struct session *session)
{
	for (unsigned int i = 0; i < SESSION_VRINGS; i++) {
		if (virtq_started(&session->vrings[i]))
			support_die("vring %u is started in a device that begins anew", i);
	}
	note(session, "reset", 0, "");
}

static void on_session_began(struct session *session)
{
	for (unsigned int i = 0; i < SESSION_VRINGS; i++) {
		if (virtq_started(&session->vrings[i]))
			support_die("vring %u is started in a session that begins", i);
	}
	note(session, "began", 0, "");
}

static const char *on_transfer_state(struct session *session, bool load, int fd)
{
	if (fixture_of(session)->state_refused)
		return "as the test has it";
	note(session, load ? "load" : "save", 0, "");
	fd_close(&fd);
	return NULL;
}

static void on_hint(struct session *session, enum session_hint hint, uint64_t number)
{
	fixture_of(session)->hints |= 1u << hint;
	fixture_of(session)->hint_number = number;
}

static enum session_transfer on_check_state(struct session *session)
{
	return fixture_of(session)->transfer;
}

static const struct session_ops ops = {
    .vring_runs = on_vring_runs,
    .vring_settle = on_vring_settle,
    .vring_stops = on_vring_stops,
    .vring_lost = on_vring_lost,
    .set_kick = on_set_kick,
    .set_call = on_set_call,
    .set_err = on_set_err,
    .set_log_call = on_set_log_call,
    .set_backend_req = on_set_backend_req,
    .read_config = on_read_config,
    .write_config = on_write_config,
    .reset_device = on_reset_device,
    .session_began = on_session_began,
    .transfer_state = on_transfer_state,
    .hint = on_hint,
    .check_state = on_check_state,
};

void session_fixture_init(struct session_fixture *f)
{
	static const struct request_limits limits = {
	    .vrings = SESSION_VRINGS,
	    .vring_size = 1024,
	    .memory = {.regions = GMEM_REGIONS_MAX, .mapped = SESSION_MAPPED},
	};
	struct session_place place;

	memset(f, 0, sizeof(*f));
	f->record = calloc(1, session_record_size(SESSION_VRINGS));
	place = (struct session_place){f->record, f->regions, SESSION_REGIONS_STRIDE};
	for (unsigned int i = 0; i < SESSION_VRINGS; i++)
		f->kick[i] = f->call[i] = f->err[i] = -1;
	f->backend_req = f->log_call = -1;
	guest_memory_init(&f->memory);
	driver_queue_init(&f->driver, NULL, &f->memory, 1, SESSION_RING_SIZE, 0);
	session_init(&f->session, &ops, &place, f->vrings, &limits, SESSION_DEVICE_FEATURES,
	             SESSION_CONFIG_FEATURES);
}

void session_fixture_deinit(struct session_fixture *f)
{
	session_reset(&f->session);
	session_reset(&f->session);
	for (unsigned int i = 0; i < SESSION_VRINGS; i++) {
		fd_close(&f->kick[i]);
		fd_close(&f->call[i]);
		fd_close(&f->err[i]);
	}
	driver_queue_deinit(&f->driver);
	guest_memory_deinit(&f->memory);
	free(f->record);
}

const char *session_send(struct session_fixture *f, uint32_t id, const void *payload, uint32_t size,
                         const int *fds, unsigned int count)
{
	struct request_header header = {.request = id, .size = size};
	enum request_verdict verdict;
	struct request request;
	struct fd_bag bag;

	fd_bag_init(&bag, NULL);
	for (unsigned int i = 0; i < count; i++)
		bag.fd[bag.count++] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
	memset(&f->reply, 0, sizeof(f->reply));
	verdict = request_parse(&header, payload, count, &f->session.limits, &request);
	if (verdict == REQUEST_OK)
		session_handle(&f->session, &request, &bag, &f->reply);
	else
		f->reply.refused = request_verdict_text(verdict);
	fd_bag_close(&bag);
	return f->reply.refused;
}

const char *session_send_u64(struct session_fixture *f, uint32_t id, uint64_t value)
{
	le64 wire = le64_of(value);

	return session_send(f, id, &wire, sizeof(wire), NULL, 0);
}

const char *session_send_state(struct session_fixture *f, uint32_t id, uint32_t index, uint32_t num)
{
	struct wire_vring_state wire = {le32_of(index), le32_of(num)};

	return session_send(f, id, &wire, sizeof(wire), NULL, 0);
}

const char *session_send_fd(struct session_fixture *f, uint32_t id, uint32_t index, int fd)
{
	le64 wire = le64_of(index | (fd < 0 ? WIRE_VRING_NOFD : 0));

	return session_send(f, id, &wire, sizeof(wire), &fd, fd < 0 ? 0 : 1);
}

const char *session_send_addr(struct session_fixture *f, uint32_t index,
                              const struct frontend_vring_addr *addr)
{
	struct wire_vring_addr wire = {
	    .index = le32_of(index),
	    .flags = le32_of(addr->flags),
	    .desc = le64_of(addr->desc),
	    .used = le64_of(addr->used),
	    .avail = le64_of(addr->avail),
	    .log = le64_of(addr->log),
	};

	return session_send(f, VHOST_USER_SET_VRING_ADDR, &wire, sizeof(wire), NULL, 0);
}

static struct wire_mem_region region_of(const struct guest_region *region)
{
	return (struct wire_mem_region){
	    .guest_addr = le64_of(region->gpa),
	    .size = le64_of(region->size),
	    .user_addr = le64_of(region->uva),
	    .mmap_offset = le64_of(region->offset),
	};
}

const char *session_send_table(struct session_fixture *f, unsigned int first, unsigned int count)
{
	struct {
		struct wire_mem_table table;
		struct wire_mem_region regions[WIRE_MEM_TABLE_MAX];
	} wire = {.table.count = le32_of(count)};
	int fds[WIRE_MEM_TABLE_MAX];

	for (unsigned int i = 0; i < count; i++) {
		wire.regions[i] = region_of(&f->memory.region[first + i]);
		fds[i] = f->memory.region[first + i].fd;
	}
	return session_send(f, VHOST_USER_SET_MEM_TABLE, &wire,
	                    (uint32_t)(sizeof(wire.table) + count * sizeof(wire.regions[0])), fds,
	                    count);
}

const char *session_send_region(struct session_fixture *f, uint32_t id,
                                const struct guest_region *region, int fd)
{
	struct wire_single_mem_region wire = {.region = region_of(region)};

	return session_send(f, id, &wire, sizeof(wire), &fd, fd < 0 ? 0 : 1);
}

const char *session_send_log(struct session_fixture *f, uint64_t size, uint64_t offset, int fd)
{
	struct wire_log wire = {le64_of(size), le64_of(offset)};

	return session_send(f, VHOST_USER_SET_LOG_BASE, &wire, sizeof(wire), &fd, 1);
}

uint64_t session_ask(struct session_fixture *f, uint32_t id)
{
	le64 wire;

	if (session_send(f, id, NULL, 0, NULL, 0))
		support_die("message %u is refused: %s", id, f->reply.refused);
	if (f->reply.size != sizeof(wire))
		support_die("message %u is answered with %u bytes", id, f->reply.size);
	memcpy(&wire, f->reply.payload, sizeof(wire));
	return le64_get(wire);
}

static void must(const char *refused)
{
	if (refused)
		support_die("a message is refused: %s", refused);
}

void session_set_up_ring(struct session_fixture *f, uint16_t base)
{
	struct frontend_vring_addr addr = driver_queue_addr(&f->driver);

	must(session_send_state(f, VHOST_USER_SET_VRING_NUM, 1, SESSION_RING_SIZE));
	must(session_send_state(f, VHOST_USER_SET_VRING_BASE, 1, base));
	must(session_send_addr(f, 1, &addr));
	must(session_send_fd(f, VHOST_USER_SET_VRING_KICK, 1, f->driver.kick));
	must(session_send_fd(f, VHOST_USER_SET_VRING_CALL, 1, f->driver.call));
	must(session_send_state(f, VHOST_USER_SET_VRING_ENABLE, 1, 1));
}

void session_bring_up(struct session_fixture *f)
{
	must(session_send_u64(f, VHOST_USER_SET_FEATURES, session_ask(f, VHOST_USER_GET_FEATURES)));
	must(session_send_u64(f, VHOST_USER_SET_PROTOCOL_FEATURES,
	                      session_ask(f, VHOST_USER_GET_PROTOCOL_FEATURES)));
	must(session_send_table(f, 0, f->memory.count));
	session_set_up_ring(f, 0);
	session_events(f);
}

const char *session_events(struct session_fixture *f)
{
	static char events[sizeof(f->events)];

	memcpy(events, f->events, sizeof(events));
	memset(f->events, 0, sizeof(f->events));
	return events;
}
