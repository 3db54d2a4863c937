/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon_control.h"

#include "base/log.h"
#include "base/macros.h"
#include "control/listing.h"
#include "overlaps.h"
#include "port_spec.h"

#include <stdlib.h>
#include <string.h>

struct added {
	struct list link;
	struct port_config config;
	/* While its log is being opened, or closed because there won't be a port: */
	struct daemon_control *control; /* NULL: that is over */
	unsigned int guest;
	uint64_t ticket;
	bool leaving;
};

struct removal {
	struct list link;
	const struct port_config *config;
	uint64_t ticket;
};

struct disconnection {
	struct list link;
	const struct guest *guest;
	uint64_t ticket;
};

static struct daemon_control *of(struct control *control)
{
	return container_of(control, struct daemon_control, control);
}

static struct added *added_at(struct list *link)
{
	return container_of(link, struct added, link);
}

static void free_added(struct added *added)
{
	list_remove(&added->link);
	port_config_deinit(&added->config);
	free(added);
}

static void free_removal(struct removal *removal)
{
	list_remove(&removal->link);
	free(removal);
}

static void free_disconnection(struct disconnection *disconnection)
{
	list_remove(&disconnection->link);
	free(disconnection);
}

/* list */

static const char *path_of(const struct port_config *config)
{
	if (config->backend->uds)
		return config->place.uds_path;
	return config->backend->pty ? config->place.pty_path : NULL;
}

static void list_port(FILE *out, const struct guest *guest, unsigned int index, unsigned int id)
{
	const struct guest_port *port = guest_port_of(guest, id);
	const struct port_config *config = port->config;
	const struct backend_place *place = &config->place;

	control_listing_port(out, &(struct control_port_line){
				      .guest = index,
				      .port = id,
				      .name = config->name,
				      .data = config->data,
				      .backend = config->backend->name,
				      .open = guest_port_is_open(guest, id),
				      .clients = port->output.port.attended,
				      .tcp_address = config->backend->tcp ? place->address : NULL,
				      .tcp_port = place->tcp_port,
				      .path = path_of(config),
				  });
}

static enum control_verdict list(struct control *control, struct control_call *call)
{
	struct daemon_control *self = of(control);

	for (unsigned int i = 0; i < self->config->guests_count; i++) {
		const struct guest *guest = self->find(self->daemon, i);

		control_listing_guest(call->out, &(struct control_guest_line){
						     .guest = i,
						     .connected = guest->connected,
						     .socket_path = guest->config->socket_path,
						 });
		for (unsigned int id = 0; id < guest->config->max_ports; id++) {
			if (guest_port_of(guest, id))
				list_port(call->out, guest, i, id);
		}
	}
	return CONTROL_DONE;
}

/* port-add */

static bool overlaps_with_guest(struct daemon_control *self, const struct overlaps_port *port,
                                unsigned int index, struct overlap *ret_overlap)
{
	const struct guest *guest = self->find(self->daemon, index);

	for (unsigned int id = 0; id < guest->config->max_ports && !ret_overlap->key; id++) {
		const struct guest_port *other = guest_port_of(guest, id);

		if (other)
			overlaps_with_port(port, &(struct overlaps_port){other->config, index, id},
			                   ret_overlap);
	}
	return ret_overlap->key;
}

/* While a log is opened others are served, and may ask for the same. */
static void overlaps_with_opening(struct daemon_control *self, const struct overlaps_port *port,
                                  struct overlap *ret_overlap)
{
	list_for_each (link, &self->added) {
		const struct added *other = added_at(link);

		if (other->control && !ret_overlap->key)
			overlaps_with_port(
			    port,
			    &(struct overlaps_port){&other->config, other->guest, CONFIG_PORTS_MAX},
			    ret_overlap);
	}
}

static bool overlaps(struct daemon_control *self, const struct port_config *config,
                     unsigned int index, struct overlap *ret_overlap)
{
	struct overlaps_port port = {config, index, CONFIG_PORTS_MAX};

	overlaps_with_sockets(&port, self->config, ret_overlap);
	for (unsigned int i = 0; i < self->config->guests_count && !ret_overlap->key; i++)
		overlaps_with_guest(self, &port, i, ret_overlap);
	overlaps_with_opening(self, &port, ret_overlap);
	return ret_overlap->key;
}

static void stop_if_done(struct daemon_control *self)
{
	if (self->drained && self->opening == 0)
		self->stopped(self);
}

static void on_log_left(void *owner)
{
	struct added *added = owner;
	struct daemon_control *self = added->control;

	added->config.log = NULL;
	free_added(added);
	self->opening--;
	stop_if_done(self);
}

static void leave_log(struct added *added)
{
	if (added->leaving)
		return;
	added->leaving = true;
	logfile_stop(added->config.log, on_log_left, added);
}

static struct added *find_opening(struct logfile *log, struct list *list)
{
	list_for_each (link, list) {
		if (added_at(link)->config.log == log)
			return added_at(link);
	}
	abort(); /* it is there as long as its log is being opened */
}

static void on_log_opened(struct logfile *log, void *owner, int r)
{
	struct daemon_control *self = owner;
	struct added *added = find_opening(log, &self->added);
	char error[PORT_SPEC_ERROR_MAX], text[LIMIT_TEXT_MAX];
	const char *why = logfile_explain(r, text);
	uint64_t ticket = added->ticket;

	if (r == 0)
		r = guest_add_port(self->find(self->daemon, added->guest), &added->config, &why);
	if (r < 0) {
		snprintf(error, sizeof(error), "port-add: %s", why);
		control_answer(&self->control, ticket, error);
		leave_log(added);
		return;
	}
	added->config.log = NULL;
	added->control = NULL;
	self->opening--;
	control_answer(&self->control, ticket, NULL);
}

/* The port follows when its log is open, so that an error can be told. */
static enum control_verdict open_log(struct daemon_control *self, struct control_call *call,
                                     struct added *added)
{
	if (logfile_new(&added->config.log, self->loop, added->config.log_path) < 0)
		return control_refuse(call, "port-add: no memory");
	added->control = self;
	added->guest = call->guest;
	added->ticket = call->ticket;
	self->opening++;
	logfile_await(added->config.log, on_log_opened, self);
	return CONTROL_LATER;
}

static enum control_verdict add(struct daemon_control *self, struct control_call *call,
                                struct added *added)
{
	char error[PORT_SPEC_ERROR_MAX];
	struct overlap overlap;
	const char *why;

	if (!port_spec_parse(call->rest, &self->config->port_defaults, call->guest, &added->config,
	                     error))
		return control_refuse(call, "port-add: %s", error);
	if (overlaps(self, &added->config, call->guest, &overlap))
		return control_refuse(call, "port-add: %s", overlap.text);
	if (added->config.log_path)
		return open_log(self, call, added);
	if (guest_add_port(self->find(self->daemon, call->guest), &added->config, &why) < 0)
		return control_refuse(call, "port-add: %s", why);
	return CONTROL_DONE;
}

static enum control_verdict refuse_guest(struct daemon_control *self, struct control_call *call)
{
	return control_refuse(call, "there is no guest %u: the last one is %u", call->guest,
	                      self->config->guests_count - 1);
}

static enum control_verdict port_add(struct control *control, struct control_call *call)
{
	struct daemon_control *self = of(control);
	enum control_verdict verdict;
	struct added *added;

	if (call->guest >= self->config->guests_count)
		return refuse_guest(self, call);
	added = calloc(1, sizeof(*added));
	if (!added)
		return control_refuse(call, "port-add: no memory");
	list_append(&self->added, &added->link);
	verdict = add(self, call, added);
	if (verdict == CONTROL_REFUSED)
		free_added(added);
	return verdict;
}

/* port-remove */

static enum control_verdict port_remove(struct control *control, struct control_call *call)
{
	struct daemon_control *self = of(control);
	const struct port_config *config;
	struct removal *removal;
	const char *why;

	if (call->guest >= self->config->guests_count)
		return refuse_guest(self, call);
	removal = calloc(1, sizeof(*removal));
	if (!removal)
		return control_refuse(call, "port-remove: no memory");
	if (guest_remove_port(self->find(self->daemon, call->guest), call->rest, &config, &why) <
	    0) {
		free(removal);
		return control_refuse(call, "port-remove: %s", why);
	}
	removal->config = config;
	removal->ticket = call->ticket;
	list_append(&self->owed, &removal->link);
	return CONTROL_LATER;
}

void daemon_control_port_removed(struct daemon_control *control, const struct port_config *config)
{
	list_for_each_safe (link, &control->owed) {
		struct removal *removal = container_of(link, struct removal, link);

		if (removal->config != config)
			continue;
		control_answer(&control->control, removal->ticket, NULL);
		free_removal(removal);
	}
	list_for_each_safe (link, &control->added) {
		if (&added_at(link)->config == config)
			free_added(added_at(link));
	}
}

/* disconnect */

static enum control_verdict disconnect(struct control *control, struct control_call *call)
{
	struct daemon_control *self = of(control);
	struct disconnection *disconnection;
	const char *why;

	if (call->guest >= self->config->guests_count)
		return refuse_guest(self, call);
	disconnection = calloc(1, sizeof(*disconnection));
	if (!disconnection)
		return control_refuse(call, "disconnect: no memory");
	disconnection->guest = self->find(self->daemon, call->guest);
	disconnection->ticket = call->ticket;
	list_append(&self->ending, &disconnection->link);
	if (guest_disconnect(self->find(self->daemon, call->guest), &why) == 0)
		return CONTROL_LATER;
	free_disconnection(disconnection);
	return control_refuse(call, "disconnect: guest %u: %s", call->guest, why);
}

void daemon_control_disconnected(struct daemon_control *control, const struct guest *guest)
{
	list_for_each_safe (link, &control->ending) {
		struct disconnection *disconnection =
		    container_of(link, struct disconnection, link);

		if (disconnection->guest != guest)
			continue;
		control_answer(&control->control, disconnection->ticket, NULL);
		free_disconnection(disconnection);
	}
}

/* Start and stop. */

static void on_stopped(struct control *control)
{
	of(control)->drained = true;
	stop_if_done(of(control));
}

int daemon_control_start(struct daemon_control *control, const struct config *config,
                         struct loop *loop, daemon_control_find_fn *find, void *daemon,
                         void (*stopped)(struct daemon_control *control))
{
	static const struct control_ops ops = {
	    .list = list,
	    .port_add = port_add,
	    .port_remove = port_remove,
	    .disconnect = disconnect,
	    .stopped = on_stopped,
	};

	control->config = config;
	control->loop = loop;
	control->find = find;
	control->daemon = daemon;
	control->stopped = stopped;
	list_init(&control->added);
	list_init(&control->owed);
	list_init(&control->ending);
	return control_start(&control->control, &ops, loop, config->control_path);
}

void daemon_control_stop(struct daemon_control *control)
{
	list_for_each_safe (link, &control->added) {
		if (added_at(link)->control)
			leave_log(added_at(link));
	}
	control_stop(&control->control);
}

void daemon_control_deinit(struct daemon_control *control)
{
	if (!control->config)
		return;
	list_for_each_safe (link, &control->added)
		free_added(added_at(link));
	list_for_each_safe (link, &control->owed)
		free_removal(container_of(link, struct removal, link));
	list_for_each_safe (link, &control->ending)
		free_disconnection(container_of(link, struct disconnection, link));
}
