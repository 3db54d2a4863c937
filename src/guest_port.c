/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest_port.h"

#include "base/log.h"
#include "base/macros.h"

#include <inttypes.h>
#include <string.h>

static struct guest_port *port_of(struct output *output)
{
	return container_of(output, struct guest_port, output);
}

static struct guest_port *port_at(struct backend_device *device)
{
	return container_of(device, struct guest_port, device);
}

/* The end, step by step: the backend, what is left for the log, the log, the rest. */

static void on_drained(struct loop_scope *scope)
{
	struct guest_port *port = container_of(scope, struct guest_port, scope);

	port->config = NULL;
	port->ops->stopped(port);
}

static void on_log_stopped(void *port)
{
	loop_scope_close(&((struct guest_port *)port)->scope);
}

static void stop_log(struct output *output)
{
	struct logfile *log = port_of(output)->log;

	port_of(output)->log = NULL;
	if (log)
		logfile_stop(log, on_log_stopped, port_of(output));
	else
		on_log_stopped(port_of(output));
}

static void on_backend_stopped(struct backend_device *device)
{
	struct guest_port *port = port_at(device);

	port->backend = NULL;
	port->finishing = false;
	output_finish(&port->output, stop_log);
}

static void stop_backend(struct output *output)
{
	struct backend *backend = port_of(output)->backend;

	backend->ops->stop(backend);
}

static void stop_finishing(struct guest_port *port)
{
	port->finishing = false;
	if (output_cancel_finish(&port->output))
		stop_backend(&port->output);
}

void guest_port_stop(struct guest_port *port, bool finish)
{
	if (port->stopping) {
		if (port->finishing && !finish)
			stop_finishing(port);
		return;
	}
	port->stopping = true;
	port->finishing = finish;
	if (!finish) {
		stop_backend(&port->output);
		return;
	}
	if (port->backend->ops->close)
		port->backend->ops->close(port->backend);
	output_finish(&port->output, stop_backend);
}

/* What the backend asks for. */

static void on_pump(struct backend_device *device)
{
	port_at(device)->ops->pump(port_at(device));
}

static void on_resized(struct backend_device *device)
{
	port_at(device)->ops->resized(port_at(device));
}

static void on_attended(struct backend_device *device)
{
	port_at(device)->ops->attended(port_at(device));
}

static void on_left(struct backend_device *device)
{
	port_at(device)->ops->left(port_at(device));
}

static void on_dropped(struct backend_device *device, size_t len)
{
	guest_port_tell_dropped(port_at(device), len);
}

static void on_quit(struct backend_device *device, bool failed)
{
	port_at(device)->ops->quit(port_at(device), failed);
}

/* The start. */

size_t guest_port_arena_size(uint64_t history)
{
	return arena_round(history) + arena_round(GUEST_PORT_INPUT_BYTES) +
	       arena_round(GUEST_PORT_SPILL_BYTES);
}

void guest_port_lay_out(struct guest_port *port, struct arena *arena, uint64_t history,
                        struct byte_ring_state states[3])
{
	port->memory.states = states;
	port->memory.output = arena_take(arena, history);
	port->memory.output_size = history;
	port->memory.input = arena_take(arena, GUEST_PORT_INPUT_BYTES);
	port->memory.spill = arena_take(arena, GUEST_PORT_SPILL_BYTES);
}

static void init_rings(struct guest_port *port, size_t history, bool anew)
{
	struct byte_ring_state *states = port->memory.states;

	if (anew)
		memset(states, 0, 3 * sizeof(*states));
	byte_ring_init(&port->output.port.output, &states[0], port->memory.output, history);
	byte_ring_init(&port->output.port.input, &states[1], port->memory.input,
	               GUEST_PORT_INPUT_BYTES);
	byte_ring_init(&port->spill, &states[2], port->memory.spill, GUEST_PORT_SPILL_BYTES);
}

/* The log that is there already, or a new one. */
static int find_log(struct loop *loop, const struct port_config *config, struct logfile **ret_log)
{
	struct logfile *log = config->log;
	int r = 0;

	if (!log && config->log_path) {
		r = logfile_new(&log, loop, config->log_path);
		if (r == 0)
			r = logfile_await_now(log);
		if (r < 0 && log)
			logfile_free(log);
	}
	*ret_log = r < 0 ? NULL : log;
	return r;
}

static int start_backend(struct guest_port *port, struct loop *loop,
                         const struct port_config *config)
{
	struct logfile *log;
	int r = find_log(loop, config, &log);

	if (r < 0)
		return r;
	r = config->backend->make(&port->backend, loop, &port->output.port, &config->place);
	if (r < 0 && log != config->log)
		logfile_free(log);
	if (r < 0)
		return r;
	if (log)
		logfile_attach(log, &port->output.port);
	port->log = log;
	return 0;
}

int guest_port_start(struct guest_port *port, const struct guest_port_ops *ops, struct loop *loop,
                     const struct port_config *config, bool anew)
{
	int r;

	assert(config->history <= port->memory.output_size);
	port->ops = ops;
	port->device = (struct backend_device){
	    .pump = on_pump,
	    .resized = on_resized,
	    .attended = on_attended,
	    .left = on_left,
	    .dropped = on_dropped,
	    .stopped = on_backend_stopped,
	    .quit = on_quit,
	};
	port->output = (struct output){
	    .port =
		{
		    .device = &port->device,
		    .name = port->name,
		    .data = config->data,
		    .tail = config->tail,
		},
	};
	port->backend = NULL;
	port->log = NULL;
	port->stopping = port->finishing = false;
	loop_scope_init(&port->scope, loop, on_drained);
	init_rings(port, config->history, anew);
	output_init(&port->output, &port->scope);
	r = start_backend(port, loop, config);
	if (r == 0)
		port->config = config;
	return r;
}

const char *guest_port_label(const struct guest_port *port)
{
	const char *label = strstr(port->name, " port ");

	return label ? label + 1 : port->name;
}

size_t guest_port_drop_input(struct guest_port *port)
{
	if (!port->backend || !port->backend->ops->drop_input)
		return 0;
	return port->backend->ops->drop_input(port->backend);
}

void guest_port_tell_dropped(struct guest_port *port, uint64_t dropped)
{
	if (dropped == 0)
		return;
	/* The people of a console are told there. */
	log_limited(&port->limit, port->config->data ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
	            "%s: %" PRIu64 " bytes of input were not read by the guest and are dropped",
	            port->name, dropped);
	output_tell_unread(&port->output, dropped);
}

void guest_port_wake(struct guest_port *port)
{
	output_wake(&port->output);
	if (port->backend)
		port->backend->ops->wake(port->backend);
}

void guest_port_reopen_log(struct guest_port *port)
{
	if (port->log)
		logfile_reopen(port->log);
}

void guest_port_resize(struct guest_port *port)
{
	if (port->backend && port->backend->ops->resize)
		port->backend->ops->resize(port->backend);
}

void guest_port_suspend(struct guest_port *port)
{
	if (port->backend && port->backend->ops->suspend)
		port->backend->ops->suspend(port->backend);
}

void guest_port_resume(struct guest_port *port)
{
	if (port->backend && port->backend->ops->resume)
		port->backend->ops->resume(port->backend);
}
