/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A conversation in the binary form, played to the session, its virtqueues and the console without
 * a socket: messages go through the parser, files are real, what the owner of a session does with
 * kicks and calls is done here (as in src/guest_device.c). The device has three ports, one of them
 * for data. A `pause` is when something happens on the people's side: its number says what.
 * What is expected back isn't looked at: nothing may crash, and a refusal may change nothing.
 */
#include "target.h"

#include "conversation.h"
#include "files.h"
#include "people.h"

#include "base/macros.h"
#include "console/console.h"
#include "protocol/session.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PORTS     3u
#define DATA_PORT 1u
#define VRINGS    CONSOLE_VRINGS(PORTS)
#define STEPS_MAX 400u       /* of an input, so that none takes long */
#define FILE_MAX  (1u << 22) /* what a memfd is cut down to */
#define PUMPS_MAX 16u

struct bench {
	struct session session;
	struct session_record *record, *before;
	struct virtq vrings[VRINGS];
	struct console console;
	struct console_record console_record;
	struct gmem_region regions[GMEM_REGIONS_MAX];
	struct console_port console_ports[PORTS];
	struct people people[PORTS];
	int kick[VRINGS], call[VRINGS], err[VRINGS], backend_req;
	struct files files;
};

static struct bench *bench_of(struct session *session)
{
	return container_of(session, struct bench, session);
}

/* ---- the people ---- */

static void plug(struct bench *bench, unsigned int id)
{
	struct people *people = &bench->people[id];

	people_init(people, id == DATA_PORT, PEOPLE_SPILL_BYTES);
	console_plug(&bench->console, id, &people->port, id == DATA_PORT ? &people->spill : NULL,
	             id == 0 ? NULL : "a port of the bench");
}

/* Reads a part of what was printed, and types something. */
static void use_port(struct people *people)
{
	static const uint8_t typed[48] = "typed";
	struct byte_ring *output = &people->port.output;

	byte_ring_drop(output, (byte_ring_used(output) + 1) / 2);
	if (byte_ring_free(&people->port.input) >= sizeof(typed))
		byte_ring_put(&people->port.input, typed, sizeof(typed));
}

/* ---- the owner of the session ---- */

static void pump(struct bench *bench, unsigned int vring);

static void follow_up(struct bench *bench, struct port_outcome outcome)
{
	if (!outcome.control)
		return;
	pump(bench, CONSOLE_CONTROL_RECEIVEQ);
	for (unsigned int i = 0; i < PORTS; i++)
		pump(bench, console_receiveq_of(&bench->console, i));
}

static void pump(struct bench *bench, unsigned int vring)
{
	struct port_outcome outcome = {.again = true};

	for (unsigned int i = 0; i < PUMPS_MAX && outcome.again; i++) {
		if (!session_vring_runs(&bench->session, vring))
			return;
		outcome = console_pump(&bench->console, vring);
		follow_up(bench, outcome);
	}
	/* Nothing came meanwhile: there is one thread here. */
	if (!outcome.again && session_vring_runs(&bench->session, vring))
		console_rest(&bench->console, vring);
}

static void on_vring_runs(struct session *session, unsigned int vring)
{
	must(virtq_started(&session->vrings[vring]));
	console_run(&bench_of(session)->console, vring, session->record->features);
	pump(bench_of(session), vring);
}

static void on_vring_settle(struct session *session, unsigned int vring)
{
	must(virtq_started(&session->vrings[vring]));
	follow_up(bench_of(session), console_settle(&bench_of(session)->console, vring));
}

static void on_vring_stops(struct session *session, unsigned int vring)
{
	must(virtq_started(&session->vrings[vring]));
	console_note_stop(&bench_of(session)->console, vring);
}

static void on_vring_lost(struct session *session, unsigned int vring, const char *why)
{
	(void)why;
	must(!virtq_started(&session->vrings[vring]));
}

static void on_set_kick(struct session *session, unsigned int vring, int fd)
{
	fd_replace(&bench_of(session)->kick[vring], fd);
}

static void on_set_call(struct session *session, unsigned int vring, int fd)
{
	if (session->record->features == 0)
		console_name_vring(&bench_of(session)->console, vring);
	fd_replace(&bench_of(session)->call[vring], fd);
}

static void on_set_err(struct session *session, unsigned int vring, int fd)
{
	fd_replace(&bench_of(session)->err[vring], fd);
}

static void on_set_backend_req(struct session *session, int fd)
{
	fd_replace(&bench_of(session)->backend_req, fd);
}

static void on_read_config(struct session *session, uint32_t offset, uint8_t *ret_bytes,
                           uint32_t len)
{
	console_read_config(&bench_of(session)->console, offset, ret_bytes, len);
}

static void on_write_config(struct session *session, uint32_t offset, const uint8_t *bytes,
                            uint32_t len)
{
	console_write_config(&bench_of(session)->console, offset, bytes, len);
}

static void on_set_log_call(struct session *session, int fd)
{
	(void)session;
	fd_close(&fd);
}

static void on_reset_device(struct session *session)
{
	console_reset(&bench_of(session)->console);
}

static void on_session_began(struct session *session)
{
	console_forget_frontend(&bench_of(session)->console);
}

/* The way of the bytes is the owner's; what a state may be is the target state's. */
static const char *on_transfer_state(struct session *session, bool load, int fd)
{
	(void)session, (void)load;
	fd_close(&fd);
	return NULL;
}

static void on_hint(struct session *session, enum session_hint hint, uint64_t number)
{
	(void)session, (void)number;
	must(hint < SESSION_HINTS);
}

static enum session_transfer on_check_state(struct session *session)
{
	(void)session;
	return SESSION_TRANSFER_DONE;
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

/* ---- life ---- */

static void bench_init(struct bench *bench)
{
	static const struct request_limits limits = {
	    .vrings = VRINGS,
	    .vring_size = 1024,
	    .memory = {.regions = GMEM_REGIONS_MAX, .mapped = 1ull << 40},
	};
	struct session_place place;

	memset(bench, 0, sizeof(*bench));
	bench->record = calloc(1, session_record_size(VRINGS));
	bench->before = calloc(1, session_record_size(VRINGS));
	must(bench->record && bench->before);
	for (unsigned int i = 0; i < VRINGS; i++)
		bench->kick[i] = bench->call[i] = bench->err[i] = -1;
	bench->backend_req = -1;
	place = (struct session_place){bench->record, bench->regions, 1};
	session_init(&bench->session, &ops, &place, bench->vrings, &limits, CONSOLE_FEATURES,
	             CONSOLE_CONFIG_FEATURES);
	console_init(&bench->console, &bench->console_record, bench->vrings, bench->console_ports,
	             PORTS);
	for (unsigned int i = 0; i < PORTS; i++)
		plug(bench, i);
	console_set_size(&bench->console, 0, 80, 25);
	files_init(&bench->files);
}

/* The connection is over: all that the frontend gave goes. */
static void bench_reset(struct bench *bench)
{
	session_reset(&bench->session);
	console_forget_frontend(&bench->console);
	for (unsigned int i = 0; i < VRINGS; i++) {
		fd_close(&bench->kick[i]);
		fd_close(&bench->call[i]);
		fd_close(&bench->err[i]);
	}
	must(bench->backend_req < 0);
}

static void bench_deinit(struct bench *bench)
{
	bench_reset(bench);
	files_deinit(&bench->files);
	free(bench->record);
	free(bench->before);
}

/* ---- messages ---- */

static void handle(struct bench *bench, const struct request *request, struct fd_bag *bag)
{
	size_t size = session_record_size(VRINGS);
	struct session_reply reply;

	memcpy(bench->before, bench->record, size);
	session_handle(&bench->session, request, bag, &reply);
	must(reply.size <= sizeof(reply.payload));
	if (reply.refused)
		must(memcmp(bench->before, bench->record, size) == 0);
	must(session_has(&bench->session, VHOST_USER_PROTOCOL_F_REPLY_ACK) ==
	     (bench->record->protocol_features >> VHOST_USER_PROTOCOL_F_REPLY_ACK & 1));
	session_runs(&bench->session);
}

/* Copies of the step's files. False if there are more than a message may have. */
static bool fill_bag(struct bench *bench, const struct conversation_step *step, struct fd_bag *bag)
{
	fd_bag_init(bag, NULL);
	for (uint32_t i = 0; i < step->fds_count; i++) {
		int fd = bench->files.entries[step->fds[i]].fd;

		if (bag->count == FD_BAG_MAX)
			return false;
		if (fd >= 0)
			bag->fd[bag->count++] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
	return true;
}

static void send_message(struct bench *bench, const struct conversation_step *step)
{
	const struct wire_header wire = {le32_of(step->request), le32_of(step->flags),
	                                 le32_of(step->size)};
	struct request_header header;
	struct request request;
	struct fd_bag bag;
	/* A payload that ends too soon is a connection that has ended. */
	bool whole = step->len >= step->size;

	if (!fill_bag(bench, step, &bag) || request_parse_header(&wire, &header) != REQUEST_OK ||
	    !whole)
		bench_reset(bench);
	else if (request_parse(&header, step->bytes, bag.count, &bench->session.limits, &request) ==
	         REQUEST_OK)
		handle(bench, &request, &bag);
	fd_bag_close(&bag);
}

/* ---- steps ---- */

static void kick_all(struct bench *bench)
{
	for (unsigned int i = 0; i < PORTS; i++)
		use_port(&bench->people[i]);
	for (unsigned int i = 0; i < VRINGS; i++)
		pump(bench, i);
	port_drain(&bench->people[DATA_PORT].port, &bench->people[DATA_PORT].spill);
}

/* Something happens on the people's side of a port. */
static void happen(struct bench *bench, uint64_t what)
{
	unsigned int id = (unsigned int)(what / 4 % PORTS);
	struct console *console = &bench->console;
	bool there = port_attached(&bench->console_ports[id].port);

	if (what % 4 == 3 && there) {
		follow_up(bench, console_unplug(console, id));
		pump(bench, console_transmitq_of(&bench->console, id));
	} else if (what % 4 == 3) {
		plug(bench, id);
	} else if (what % 4 == 2) {
		console_set_size(console, id, (uint16_t)(what / 12), 25);
	} else if (there) {
		bench->people[id].port.attended = what % 4 == 0;
		console_attend(console, id);
	}
	pump(bench, CONSOLE_CONTROL_RECEIVEQ);
}

static void open_file(struct bench *bench, struct conversation_step step)
{
	step.number = MIN(step.number, FILE_MAX);
	must(files_open(&bench->files, &step) == 0);
}

static void play(struct bench *bench, const struct conversation_step *step)
{
	switch (step->kind) {
	case CONVERSATION_FILE:
		open_file(bench, *step);
		break;
	case CONVERSATION_SEND:
		send_message(bench, step);
		break;
	case CONVERSATION_HANGUP:
	case CONVERSATION_CONNECT:
		bench_reset(bench);
		break;
	case CONVERSATION_TRUNCATE:
		if (step->number <= FILE_MAX)
			files_do(&bench->files, step);
		break;
	case CONVERSATION_WRITE:
	case CONVERSATION_CLOSE:
		files_do(&bench->files, step);
		break;
	case CONVERSATION_KICK:
		kick_all(bench);
		break;
	case CONVERSATION_PAUSE:
		happen(bench, step->number);
		break;
	default:
		break;
	}
	if (bench->session.memory.lost)
		bench_reset(bench);
}

/* The number the next descriptor would have: the same before and after, or one was lost. */
static int next_fd(void)
{
	int fd = dup(STDERR_FILENO);

	must(fd >= 0);
	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct bench bench;
	struct conversation conversation;
	struct conversation_error error;
	int fd = next_fd();

	conversation_init(&conversation);
	/* What is malformed at its end is played up to there. */
	conversation_decode(&conversation, bytes, len, &error);
	bench_init(&bench);
	for (unsigned int i = 0; i < MIN(conversation.count, STEPS_MAX); i++) {
		const struct conversation_step *step = &conversation.steps[i];

		if (i + 1 == conversation.count && conversation_judge(&conversation, step))
			break;
		play(&bench, step);
	}
	bench_deinit(&bench);
	conversation_deinit(&conversation);
	must(next_fd() == fd);
	return 0;
}
