/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Vrings. */

static struct guest *guest_of(struct session *session)
{
	return container_of(session, struct guest, session);
}

static unsigned int index_of(const struct guest_vring *vring)
{
	return (unsigned int)(vring - vring->guest->vrings);
}

static void signal_sink(struct guest *guest, struct eventfd_sink *sink)
{
	if (!guest->connection.closing)
		eventfd_sink_signal(sink);
}

static void tell_if_broken(struct guest *guest, unsigned int i)
{
	struct guest_vring *vring = &guest->vrings[i];
	const char *broken = guest->virtqs[i].broken;

	if (broken && vring->told_broken != broken) {
		log_limited(&guest->limit, LOG_LEVEL_WARNING, "%s: vring %u is broken: %s",
		            guest->name, i, broken);
		signal_sink(guest, &vring->err);
	}
	vring->told_broken = broken;
}

/* There is output, or room for input. */
static void wake_backend(struct guest *guest)
{
	output_wake(&guest->output);
	guest->backend->ops->wake(guest->backend);
}

static void end_connection(struct guest *guest, const char *why)
{
	if (guest->connection.closing)
		return;
	if (why)
		log_limited(&guest->limit, LOG_LEVEL_WARNING, "%s: frontend closed: %s",
		            guest->name, why);
	else
		log_limited(&guest->limit, LOG_LEVEL_INFO, "%s: frontend gone", guest->name);
	loop_scope_close(&guest->connection);
}

static void end_if_lost(struct guest *guest)
{
	if (guest->session.memory.lost)
		end_connection(guest, "a file of its memory has become shorter");
}

/* Does what has to follow a pump. */
static void follow_up(struct guest *guest, unsigned int i, struct port_outcome outcome)
{
	if (outcome.call)
		signal_sink(guest, &guest->vrings[i].call);
	if (outcome.moved)
		wake_backend(guest);
	tell_if_broken(guest, i);
	end_if_lost(guest);
}

static void queue_pump(struct guest *guest, unsigned int i)
{
	loop_work(guest->loop, &guest->vrings[i].pump);
}

static void on_pump(struct loop_task *task)
{
	struct guest_vring *vring = container_of(task, struct guest_vring, pump);
	struct guest *guest = vring->guest;
	struct port_outcome outcome;

	if (!guest->connected || !session_vring_runs(&guest->session, index_of(vring)))
		return;
	outcome = console_pump(&guest->console, index_of(vring));
	if (outcome.again)
		queue_pump(guest, index_of(vring));
	follow_up(guest, index_of(vring), outcome);
}

/*
 * Has the driver read its configuration anew, for the window's size. Not while nothing runs:
 * QEMU's generic device would crash, so it waits until something does. Once after each start it is
 * needed in any case: Linux 6.1 does not look by itself, 7.3 does (both tried).
 */
static void tell_config(struct guest *guest)
{
	bool known = guest->output.port.cols > 0 || guest->output.port.rows > 0;

	if (guest->config_told || !known || guest->config_change.slot.fd < 0 ||
	    !session_runs(&guest->session) ||
	    !session_has_feature(&guest->session, VIRTIO_CONSOLE_F_SIZE))
		return;
	guest->config_told = true;
	signal_sink(guest, &guest->config_change);
}

static void on_kicked(struct eventfd_source *kick)
{
	struct guest_vring *vring = container_of(kick, struct guest_vring, kick);

	queue_pump(vring->guest, index_of(vring));
}

static void init_vrings(struct guest *guest)
{
	guest->config_change_message = (struct wire_header){
	    .request = le32_of(VHOST_USER_BACKEND_CONFIG_CHANGE_MSG),
	    .flags = le32_of(WIRE_VERSION),
	};
	eventfd_sink_init_message(&guest->config_change, &guest->connection,
	                          &guest->config_change_message,
	                          sizeof(guest->config_change_message));
	for (unsigned int i = 0; i < GUEST_VRINGS; i++) {
		struct guest_vring *vring = &guest->vrings[i];

		vring->guest = guest;
		vring->told_broken = NULL;
		loop_task_init(&vring->pump, on_pump);
		eventfd_source_init(&vring->kick, &guest->connection, on_kicked);
		eventfd_sink_init(&vring->call, &guest->connection);
		eventfd_sink_init(&vring->err, &guest->connection);
	}
}

static void deinit_vrings(struct guest *guest)
{
	for (unsigned int i = 0; i < GUEST_VRINGS; i++) {
		struct guest_vring *vring = &guest->vrings[i];

		loop_task_cancel(&vring->pump);
		eventfd_source_deinit(&vring->kick);
		eventfd_sink_deinit(&vring->call);
		eventfd_sink_deinit(&vring->err);
	}
	eventfd_sink_deinit(&guest->config_change);
}

/* What the session asks for. */

static void on_vring_runs(struct session *session, unsigned int i)
{
	queue_pump(guest_of(session), i);
	tell_config(guest_of(session));
	end_if_lost(guest_of(session));
}

static void on_vring_settle(struct session *session, unsigned int i)
{
	struct guest *guest = guest_of(session);

	follow_up(guest, i, console_settle(&guest->console, i));
	guest->config_told = false;
}

static void on_vring_lost(struct session *session, unsigned int i)
{
	struct guest *guest = guest_of(session);

	log_limited(&guest->limit, LOG_LEVEL_WARNING,
	            "%s: vring %u has stopped: it isn't in guest memory any more", guest->name, i);
	signal_sink(guest, &guest->vrings[i].err);
}

static void on_set_kick(struct session *session, unsigned int i, int fd)
{
	eventfd_source_set(&guest_of(session)->vrings[i].kick, fd);
}

static void on_set_call(struct session *session, unsigned int i, int fd)
{
	eventfd_sink_set(&guest_of(session)->vrings[i].call, fd);
}

static void on_set_err(struct session *session, unsigned int i, int fd)
{
	eventfd_sink_set(&guest_of(session)->vrings[i].err, fd);
}

static void on_read_config(struct session *session, uint32_t offset, uint8_t *ret_bytes,
                           uint32_t len)
{
	console_read_config(&guest_of(session)->console, offset, ret_bytes, len);
}

static void on_write_config(struct session *session, uint32_t offset, const uint8_t *bytes,
                            uint32_t len)
{
	struct guest *guest = guest_of(session);

	if (console_write_config(&guest->console, offset, bytes, len))
		wake_backend(guest);
}

static void on_set_backend_req(struct session *session, int fd)
{
	struct guest *guest = guest_of(session);

	eventfd_sink_set(&guest->config_change, fd);
	tell_config(guest);
}

static const struct session_ops session_ops = {
    .vring_runs = on_vring_runs,
    .vring_settle = on_vring_settle,
    .vring_lost = on_vring_lost,
    .set_kick = on_set_kick,
    .set_call = on_set_call,
    .set_err = on_set_err,
    .set_backend_req = on_set_backend_req,
    .read_config = on_read_config,
    .write_config = on_write_config,
};

/* The frontend's connection. */

/*
 * The end, step by step: the frontend; with time to finish, what is left for the clients; the
 * backend with them; what is left for the log; the log; the port.
 */

static void on_log_stopped(struct backend_port *port)
{
	loop_scope_close(&container_of(port, struct guest, output.port)->port_scope);
}

static void stop_log(struct output *output)
{
	struct guest *guest = container_of(output, struct guest, output);

	if (guest->log)
		logfile_stop(guest->log, on_log_stopped);
	else
		on_log_stopped(&output->port);
	guest->log = NULL;
}

static void stop_backend(struct output *output)
{
	struct guest *guest = container_of(output, struct guest, output);

	guest->backend->ops->stop(guest->backend);
}

static void frontend_part_drained(struct guest *guest)
{
	guest->frontend_parts--;
	if (!guest->stopping || guest->frontend_parts > 0)
		return;
	if (!guest->finishing) {
		stop_backend(&guest->output);
		return;
	}
	if (guest->backend->ops->close)
		guest->backend->ops->close(guest->backend);
	output_finish(&guest->output, stop_backend);
}

static void on_channel_ended(struct channel *channel, const char *why)
{
	struct guest *guest = container_of(channel, struct guest, channel);

	end_connection(guest, why);
}

static void on_connection_drained(struct loop_scope *scope);

static void connect_frontend(struct guest *guest, int fd)
{
	log_limited(&guest->limit, LOG_LEVEL_INFO, "%s: frontend connected", guest->name);
	loop_scope_init(&guest->connection, guest->loop, on_connection_drained);
	guest->connected = true;
	guest->frontend_parts++;
	init_vrings(guest);
	channel_start(&guest->channel, &guest->session, &guest->connection, fd, guest->name,
	              on_channel_ended);
}

static void on_connection_drained(struct loop_scope *scope)
{
	struct guest *guest = container_of(scope, struct guest, connection);

	session_reset(&guest->session);
	deinit_vrings(guest);
	channel_deinit(&guest->channel);
	guest->connected = false;
	if (!guest->stopping && guest->next_fd >= 0)
		connect_frontend(guest, fd_take(&guest->next_fd));
	else if (!guest->stopping && !guest->listens)
		guest->ops->quit(guest, true, false);
	frontend_part_drained(guest);
}

/* There is one frontend at a time, and a dead one is soon found out. */
static void on_accepted(struct acceptor *acceptor, int fd)
{
	struct guest *guest = container_of(acceptor, struct guest, acceptor);

	if (!guest->connected) {
		connect_frontend(guest, fd);
		return;
	}
	if (!guest->connection.closing && !channel_is_hung_up(&guest->channel)) {
		log_limited(&guest->limit, LOG_LEVEL_WARNING,
		            "%s: a second frontend was turned away", guest->name);
		fd_close(&fd);
		return;
	}
	fd_replace(&guest->next_fd, fd);
}

/* What the backend asks for. */

static void on_device_pump(struct backend_device *device)
{
	struct guest *guest = container_of(device, struct guest, device);

	if (!guest->connected)
		return;
	for (unsigned int i = 0; i < CONSOLE_VRINGS; i++)
		queue_pump(guest, i);
}

static void on_port_drained(struct loop_scope *scope)
{
	struct guest *guest = container_of(scope, struct guest, port_scope);

	guest->ops->stopped(guest);
}

static void on_resized(struct backend_device *device)
{
	struct guest *guest = container_of(device, struct guest, device);

	console_set_size(&guest->console, guest->output.port.cols, guest->output.port.rows);
	guest->config_told = false;
	tell_config(guest);
}

static void on_backend_stopped(struct backend_device *device)
{
	struct guest *guest = container_of(device, struct guest, device);

	guest->backend = NULL;
	guest->finishing = false;
	output_finish(&guest->output, stop_log);
}

static void on_backend_quit(struct backend_device *device, bool failed)
{
	struct guest *guest = container_of(device, struct guest, device);

	guest->ops->quit(guest, false, failed);
}

/* Start and stop. */

static void on_life_drained(struct loop_scope *scope)
{
	struct guest *guest = container_of(scope, struct guest, life);

	if (guest->listens)
		acceptor_deinit(&guest->acceptor);
	fd_close(&guest->next_fd);
	frontend_part_drained(guest);
}

size_t guest_arena_size(const struct guest_config *config)
{
	return arena_round(2 * sizeof(struct byte_ring_state) + session_record_size(GUEST_VRINGS)) +
	       arena_round(GUEST_INPUT_BYTES) + arena_round(config->ports[0].history);
}

/* Everything that must outlive the process, in the arena. */
static struct session_record *lay_out(struct guest *guest, struct arena *arena)
{
	size_t history = guest->config->ports[0].history;
	struct byte_ring_state *states = arena_take(arena, 2 * sizeof(struct byte_ring_state) +
	                                                       session_record_size(GUEST_VRINGS));

	byte_ring_init(&guest->output.port.output, &states[0], arena_take(arena, history), history);
	byte_ring_init(&guest->output.port.input, &states[1], arena_take(arena, GUEST_INPUT_BYTES),
	               GUEST_INPUT_BYTES);
	return (struct session_record *)(void *)&states[2];
}

static void init_guest(struct guest *guest, struct arena *arena)
{
	struct request_limits limits = {
	    .vrings = GUEST_VRINGS,
	    .vring_size = guest->config->max_queue_size,
	};
	struct session_record *record;

	guest->device = (struct backend_device){
	    .pump = on_device_pump,
	    .resized = on_resized,
	    .stopped = on_backend_stopped,
	    .quit = on_backend_quit,
	};
	guest->output.port.device = &guest->device;
	guest->output.port.name = guest->name;
	loop_scope_init(&guest->life, guest->loop, on_life_drained);
	loop_scope_init(&guest->port_scope, guest->loop, on_port_drained);
	record = lay_out(guest, arena);
	output_init(&guest->output, &guest->port_scope);
	session_init(&guest->session, &session_ops, record, guest->virtqs, &limits,
	             CONSOLE_FEATURES, CONSOLE_CONFIG_FEATURES);
}

static int start_port(struct guest *guest)
{
	const struct port_config *config = &guest->config->ports[0];
	struct backend_port *port = &guest->output.port;
	int r = 0;

	if (config->log_path)
		r = logfile_new(&guest->log, guest->loop, port, config->log_path);
	if (r == 0)
		r = config->backend->make(&guest->backend, guest->loop, port, &config->place);
	if (r < 0 && guest->log)
		logfile_free(guest->log);
	return r;
}

int guest_start(struct guest *guest, const struct guest_ops *ops, struct loop *loop,
                struct arena *arena, const struct guest_config *config, unsigned int index,
                int listen_fd, int connected_fd)
{
	int r;

	*guest = (struct guest){
	    .ops = ops,
	    .config = config,
	    .loop = loop,
	    .listens = listen_fd >= 0,
	    .next_fd = -1,
	};
	snprintf(guest->name, sizeof(guest->name), "guest %u", index);
	init_guest(guest, arena);
	r = start_port(guest);
	if (r < 0) {
		fd_close(&listen_fd);
		fd_close(&connected_fd);
		return r;
	}
	console_init(&guest->console, guest->virtqs, guest->backend);
	guest_resize(guest);
	guest->frontend_parts = 1;
	if (guest->listens)
		acceptor_start(&guest->acceptor, &guest->life, listen_fd, guest->name, on_accepted);
	else
		connect_frontend(guest, connected_fd);
	return 0;
}

static void stop_finishing(struct guest *guest)
{
	guest->finishing = false;
	if (guest->frontend_parts == 0 && output_cancel_finish(&guest->output))
		stop_backend(&guest->output);
}

void guest_stop(struct guest *guest, bool finish)
{
	if (guest->stopping && guest->finishing && !finish)
		stop_finishing(guest);
	if (guest->stopping)
		return;
	guest->stopping = true;
	guest->finishing = finish;
	loop_scope_close(&guest->life);
	if (guest->connected)
		loop_scope_close(&guest->connection);
}

void guest_reopen_log(struct guest *guest)
{
	if (guest->log)
		logfile_reopen(guest->log);
}

void guest_resize(struct guest *guest)
{
	if (guest->backend && guest->backend->ops->resize)
		guest->backend->ops->resize(guest->backend);
}

void guest_suspend(struct guest *guest)
{
	if (guest->backend && guest->backend->ops->suspend)
		guest->backend->ops->suspend(guest->backend);
}

void guest_resume(struct guest *guest)
{
	if (guest->backend && guest->backend->ops->resume)
		guest->backend->ops->resume(guest->backend);
}
