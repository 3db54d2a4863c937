/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest_slots.h"

#include "base/macros.h"
#include "guest_device.h"
#include "port_spec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What the options let through, the device takes. */
_Static_assert(CONFIG_PORTS_MAX == CONSOLE_PORTS_MAX, "ports of a guest");
_Static_assert(PORT_SPEC_NAME_MAX == HANDSHAKE_NAME_MAX, "bytes of a port's name");

static struct guest_port *port_at(struct guest *guest, unsigned int id)
{
	return &guest->slots[id].port;
}

void guest_slots_wake(struct guest *guest, unsigned int id)
{
	if (guest_port_in_use(port_at(guest, id)))
		guest_port_wake(port_at(guest, id));
}

/* What the ports ask for. */

static struct guest_slot *slot_of(struct guest_port *port)
{
	return container_of(port, struct guest_slot, port);
}

static unsigned int id_of(const struct guest_slot *slot)
{
	return (unsigned int)(slot - slot->guest->slots);
}

static void on_port_pump(struct guest_port *port)
{
	struct guest_slot *slot = slot_of(port);
	unsigned int id = id_of(slot);
	bool spilled = byte_ring_used(&port->spill) > 0;

	if (port_drain(&port->output.port, &port->spill))
		guest_device_queue(slot->guest, console_transmitq_of(&slot->guest->console, id));
	if (spilled)
		guest_slots_wake(slot->guest, id);
	guest_device_queue(slot->guest, console_receiveq_of(&slot->guest->console, id));
}

static void on_port_resized(struct guest_port *port)
{
	struct guest_slot *slot = slot_of(port);
	struct guest *guest = slot->guest;

	console_set_size(&guest->console, id_of(slot), port->output.port.cols,
	                 port->output.port.rows);
	guest_device_queue(guest, CONSOLE_CONTROL_RECEIVEQ);
	if (id_of(slot) != console_main_port(&guest->console))
		return;
	guest->config_told = false;
	guest_device_tell_config(guest);
}

static void on_port_attended(struct guest_port *port)
{
	struct guest_slot *slot = slot_of(port);

	console_attend(&slot->guest->console, id_of(slot));
	guest_device_queue(slot->guest, CONSOLE_CONTROL_RECEIVEQ);
}

void guest_slots_drop_tails(struct guest *guest)
{
	for (unsigned int i = 0; i < guest->config->max_ports; i++) {
		guest_device_queue(guest, console_transmitq_of(&guest->console, i));
		guest_slots_wake(guest, i);
	}
}

static void on_port_left(struct guest_port *port)
{
	struct guest_slot *slot = slot_of(port);
	unsigned int id = id_of(slot);

	if (port->output.port.dropping && !slot->removed)
		guest_device_follow_up(slot->guest, console_transmitq_of(&slot->guest->console, id),
		                       console_leave(&slot->guest->console, id));
	else
		port->output.port.dropped(&port->output.port);
}

static void on_port_quit(struct guest_port *port, bool failed)
{
	struct guest *guest = slot_of(port)->guest;

	guest->ops->quit(guest, false, failed);
}

static void on_port_stopped(struct guest_port *port)
{
	struct guest_slot *slot = slot_of(port);
	struct guest *guest = slot->guest;
	const struct port_config *removed = slot->removed;

	slot->removed = NULL;
	guest->ports_running--;
	if (removed)
		guest->ops->port_removed(guest, removed);
	if (guest->stopping && guest->frontend_parts == 0 && guest->ports_running == 0)
		guest->ops->stopped(guest);
}

static const struct guest_port_ops port_ops = {
    .pump = on_port_pump,
    .resized = on_port_resized,
    .attended = on_port_attended,
    .left = on_port_left,
    .quit = on_port_quit,
    .stopped = on_port_stopped,
};

/* Ports. */

static void name_port(struct guest *guest, struct guest_port *port, unsigned int id,
                      const char *name)
{
	if (!guest->config->multiport)
		snprintf(port->name, sizeof(port->name), "%s", guest->name);
	else if (name)
		snprintf(port->name, sizeof(port->name), "%s port %s", guest->name, name);
	else
		snprintf(port->name, sizeof(port->name), "%s port %u", guest->name, id);
}

int guest_slots_start(struct guest *guest, unsigned int id, const struct port_config *config,
                      bool anew)
{
	struct guest_port *port = port_at(guest, id);
	int r;

	name_port(guest, port, id, config->name);
	r = guest_port_start(port, &port_ops, guest->loop, config, anew);
	if (r < 0)
		return r;
	guest->ports_running++;
	console_plug(&guest->console, id, &port->output.port, config->data ? &port->spill : NULL,
	             config->name);
	guest_port_resize(port);
	return 0;
}

static bool has_name(const struct guest_slot *slot, const char *name)
{
	const struct port_config *config = slot->port.config;
	char number[8];

	if (!config || slot->removed)
		return false;
	snprintf(number, sizeof(number), "%u", id_of(slot));
	return strcmp(number, name) == 0 || (config->name && strcmp(config->name, name) == 0);
}

static struct guest_slot *find_slot(struct guest *guest, const char *name)
{
	for (unsigned int i = 0; i < guest->config->max_ports; i++) {
		if (has_name(&guest->slots[i], name))
			return &guest->slots[i];
	}
	return NULL;
}

int guest_add_port(struct guest *guest, const struct port_config *config, const char **ret_why)
{
	unsigned int id = 0;
	int r;

	if (config->name && find_slot(guest, config->name)) {
		*ret_why = "there is a port of that name";
		return -EEXIST;
	}
	while (id < guest->config->max_ports && guest_port_in_use(port_at(guest, id)))
		id++;
	if (config->history > guest->config->max_history) {
		*ret_why = "it keeps more output than --history leaves room for";
		return -EINVAL;
	}
	if (id == guest->config->max_ports || guest->stopping) {
		*ret_why = "there is no number left for one more, see --max-ports";
		return -ENOSPC;
	}
	r = guest_slots_start(guest, id, config, true);
	if (r < 0) {
		*ret_why = strerror(-r);
		return r;
	}
	guest_device_queue_answers(guest);
	return 0;
}

int guest_remove_port(struct guest *guest, const char *name, const struct port_config **ret_config,
                      const char **ret_why)
{
	struct guest_slot *slot = find_slot(guest, name);
	unsigned int id;

	if (!slot || guest->stopping) {
		*ret_why = "there is no such port";
		return -ENOENT;
	}
	id = id_of(slot);
	if (id == 0) {
		*ret_why = "the first port can't be removed";
		return -EBUSY;
	}
	if (guest->console.record->lone && id == console_main_port(&guest->console)) {
		*ret_why = "the guest's driver knows only this port (it has no MULTIPORT)";
		return -EBUSY;
	}
	guest_device_follow_up(guest, console_transmitq_of(&guest->console, id),
	                       console_unplug(&guest->console, id));
	*ret_config = slot->removed = slot->port.config;
	guest_port_stop(&slot->port, true);
	guest_device_queue_answers(guest);
	guest_device_queue(guest, console_transmitq_of(&guest->console, id));
	return 0;
}

const struct guest_port *guest_port_of(const struct guest *guest, unsigned int id)
{
	const struct guest_slot *slot = &guest->slots[id];

	return guest_port_in_use(&slot->port) && !slot->removed ? &slot->port : NULL;
}

bool guest_port_is_open(const struct guest *guest, unsigned int id)
{
	return guest->console.record->ports[id].open;
}
