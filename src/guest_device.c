/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest_device.h"

#include "base/log.h"
#include "base/macros.h"
#include "guest_hints.h"
#include "guest_input.h"
#include "guest_slots.h"
#include "guest_state.h"

#include <inttypes.h>
#include <stdio.h>

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
	const struct virtq *vq = &guest->virtqs[i];
	const char *broken = vq->broken;

	if (broken && vring->told_broken != broken) {
		if (vq->broken_outside)
			log_limited(
			    &guest->limit, LOG_LEVEL_WARNING,
			    "%s: vring %u is broken: %s, at guest address %#" PRIx64
			    ": does its VMM share all of its memory (QEMU: share=on of each "
			    "memory backend, also of what is plugged in later)?",
			    guest->name, i, broken, vq->broken_addr);
		else
			log_limited(&guest->limit, LOG_LEVEL_WARNING, "%s: vring %u is broken: %s",
			            guest->name, i, broken);
		signal_sink(guest, &vring->err);
	}
	vring->told_broken = broken;
}

static void end_if_lost(struct guest *guest)
{
	if (guest->session.memory.lost)
		guest_end_connection(guest, "a file of its memory has become shorter");
	else if (guest->session.log.lost)
		guest_end_connection(guest, "its log has become shorter");
}

static void tell_log(struct guest *guest)
{
	if (!guest->session.log.marked)
		return;
	guest->session.log.marked = false;
	signal_sink(guest, &guest->log_call);
}

void guest_device_queue(struct guest *guest, unsigned int i)
{
	if (guest->connected)
		loop_work(guest->loop, &guest->vrings[i].pump);
}

void guest_device_queue_answers(struct guest *guest)
{
	guest_device_queue(guest, CONSOLE_CONTROL_RECEIVEQ);
	for (unsigned int i = 0; i < guest->config->max_ports; i++)
		guest_device_queue(guest, console_receiveq_of(&guest->console, i));
}

void guest_device_follow_up(struct guest *guest, unsigned int i, struct port_outcome outcome)
{
	if (outcome.call)
		signal_sink(guest, &guest->vrings[i].call);
	if (outcome.moved)
		guest_slots_wake(guest, console_port_of(&guest->console, i));
	if (outcome.control)
		guest_device_queue_answers(guest);
	if (outcome.tail)
		guest_slots_drop_tails(guest);
	tell_if_broken(guest, i);
	tell_log(guest);
	end_if_lost(guest);
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
		guest_device_queue(guest, index_of(vring));
	/* Where it is held, there is no use in looking. */
	if (outcome.empty)
		loop_watch(guest->loop, &vring->watch);
	else
		loop_watch_cancel(&vring->watch);
	guest_device_follow_up(guest, index_of(vring), outcome);
}

static struct guest_vring *vring_at(struct loop_watch *watch)
{
	return container_of(watch, struct guest_vring, watch);
}

/* A driver that has just sent something often sends more: it needn't kick for that. */
static bool on_look(struct loop_watch *watch)
{
	struct guest_vring *vring = vring_at(watch);
	struct guest *guest = vring->guest;
	unsigned int i = index_of(vring);

	if (!session_vring_runs(&guest->session, i) || !virtq_waiting(&guest->virtqs[i]))
		return false;
	guest_device_queue(guest, i);
	return true;
}

static void on_rest(struct loop_watch *watch)
{
	struct guest_vring *vring = vring_at(watch);
	struct guest *guest = vring->guest;
	unsigned int i = index_of(vring);

	if (!session_vring_runs(&guest->session, i))
		return;
	if (console_rest(&guest->console, i))
		guest_device_queue(guest, i);
	tell_log(guest);
}

void guest_device_tell_config(struct guest *guest)
{
	unsigned int id = console_main_port(&guest->console);
	const struct backend_port *port = &guest->slots[id].port.output.port;
	bool known = port->cols > 0 || port->rows > 0;

	if (guest->config_told || !known || guest->config_change.slot.fd < 0 ||
	    !session_runs(&guest->session) ||
	    !session_has_feature(&guest->session, VIRTIO_CONSOLE_F_SIZE) ||
	    session_has_feature(&guest->session, VIRTIO_CONSOLE_F_MULTIPORT))
		return;
	guest->config_told = true;
	signal_sink(guest, &guest->config_change);
}

static void on_kicked(struct eventfd_source *kick)
{
	struct guest_vring *vring = container_of(kick, struct guest_vring, kick);

	guest_device_queue(vring->guest, index_of(vring));
}

void guest_device_init(struct guest *guest)
{
	guest->config_change_message = (struct wire_header){
	    .request = le32_of(VHOST_USER_BACKEND_CONFIG_CHANGE_MSG),
	    .flags = le32_of(WIRE_VERSION),
	};
	eventfd_sink_init_message(&guest->config_change, &guest->connection,
	                          &guest->discards.discarder, &guest->config_change_message,
	                          sizeof(guest->config_change_message));
	eventfd_sink_init(&guest->log_call, &guest->connection);
	guest_state_init(guest);
	guest_hints_init(guest);
	for (unsigned int i = 0; i < guest->vrings_count; i++) {
		struct guest_vring *vring = &guest->vrings[i];

		vring->guest = guest;
		vring->told_broken = NULL;
		loop_task_init(&vring->pump, on_pump);
		loop_watch_init(&vring->watch, on_look, on_rest);
		eventfd_source_init(&vring->kick, &guest->connection, on_kicked);
		eventfd_sink_init(&vring->call, &guest->connection);
		eventfd_sink_init(&vring->err, &guest->connection);
	}
}

void guest_device_deinit(struct guest *guest)
{
	for (unsigned int i = 0; i < guest->vrings_count; i++) {
		struct guest_vring *vring = &guest->vrings[i];

		loop_task_cancel(&vring->pump);
		loop_watch_cancel(&vring->watch);
		eventfd_source_deinit(&vring->kick);
		eventfd_sink_deinit(&vring->call);
		eventfd_sink_deinit(&vring->err);
	}
	eventfd_sink_deinit(&guest->config_change);
	eventfd_sink_deinit(&guest->log_call);
	guest_state_deinit(guest);
}

/* What the session asks for. */

/* The ports of a driver that has only one: which that is, and which it doesn't see. */
static void tell_lone(struct guest *guest)
{
	const struct console_record *record = guest->console.record;
	char others[256] = "";
	size_t len = 0;

	for (unsigned int i = 0; i < guest->config->max_ports; i++) {
		const struct guest_port *port = guest_port_of(guest, i);

		if (port && i != record->lone_port && len < sizeof(others))
			len += (size_t)snprintf(others + len, sizeof(others) - len, "%s%s",
			                        len > 0 ? ", " : "", guest_port_label(port));
	}
	if (guest->lone_told || !record->lone || len == 0)
		return;
	guest->lone_told = true;
	log_limited(&guest->limit, LOG_LEVEL_WARNING,
	            "%s: the driver has no MULTIPORT (or its VMM doesn't show the configuration "
	            "space: config_size=12): it has %s alone, and doesn't see %s%s",
	            guest->name, guest_port_label(guest_port_of(guest, record->lone_port)), others,
	            len < sizeof(others) ? "" : "...");
}

static void on_vring_runs(struct session *session, unsigned int i)
{
	struct guest *guest = guest_of(session);
	bool waited = guest->console.record->unsure;
	enum console_whose driver = console_run(&guest->console, i, session->record->features);

	guest->state_saved = false;
	if (driver == CONSOLE_DRIVER_OTHER)
		guest_input_forget(guest, GUEST_INPUT_DRIVER_GONE);
	if (waited && driver != CONSOLE_DRIVER_UNSURE)
		guest_device_queue_answers(guest);
	guest_hints_on_run(guest);
	tell_lone(guest);
	guest_device_queue(guest, i);
	guest_device_tell_config(guest);
	end_if_lost(guest);
}

static void on_vring_settle(struct session *session, unsigned int i)
{
	struct guest *guest = guest_of(session);

	guest_device_follow_up(guest, i, console_settle(&guest->console, i));
	guest->config_told = false;
}

static void on_vring_stops(struct session *session, unsigned int i)
{
	console_note_stop(&guest_of(session)->console, i);
}

static void on_vring_lost(struct session *session, unsigned int i, const char *why)
{
	struct guest *guest = guest_of(session);

	log_limited(&guest->limit, LOG_LEVEL_WARNING,
	            "%s: vring %u has stopped, as the guest's memory has changed: %s", guest->name,
	            i, why);
	signal_sink(guest, &guest->vrings[i].err);
}

static void on_set_kick(struct session *session, unsigned int i, int fd)
{
	eventfd_source_set(&guest_of(session)->vrings[i].kick, fd);
}

static void on_set_call(struct session *session, unsigned int i, int fd)
{
	struct guest *guest = guest_of(session);

	/* A frontend that names its vrings before there is a driver: QEMU. */
	if (session->record->features == 0 && fd >= 0) {
		console_name_vring(&guest->console, i);
		guest_hints_on_named(guest);
	}
	eventfd_sink_set(&guest->vrings[i].call, fd);
}

static void on_set_err(struct session *session, unsigned int i, int fd)
{
	eventfd_sink_set(&guest_of(session)->vrings[i].err, fd);
}

static void on_set_log_call(struct session *session, int fd)
{
	eventfd_sink_set(&guest_of(session)->log_call, fd);
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
		guest_slots_wake(guest, console_main_port(&guest->console));
}

static void on_reset_device(struct session *session)
{
	struct guest *guest = guest_of(session);

	if (guest->console.record->driven)
		guest_input_forget(guest, GUEST_INPUT_DEVICE_RESET);
	console_reset(&guest->console);
}

static void on_session_began(struct session *session)
{
	struct guest *guest = guest_of(session);

	if (guest->console.record->driven)
		guest_input_forget(guest, GUEST_INPUT_DRIVER_GONE);
	console_forget_frontend(&guest->console);
	guest_hints_forget(guest);
	guest->lone_told = false;
}

static const char *on_transfer_state(struct session *session, bool load, int fd)
{
	return guest_state_transfer(guest_of(session), load, fd);
}

static void on_hint(struct session *session, enum session_hint hint, uint64_t number)
{
	guest_hints_on_refusal(guest_of(session), hint, number);
}

static enum session_transfer on_check_state(struct session *session)
{
	return guest_state_check(guest_of(session));
}

static void on_set_backend_req(struct session *session, int fd)
{
	struct guest *guest = guest_of(session);

	eventfd_sink_set(&guest->config_change, fd);
	guest_device_tell_config(guest);
}

const struct session_ops guest_device_ops = {
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
