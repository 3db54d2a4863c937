/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "console/console.h"

#include "base/macros.h"

#include <string.h>

/* Virtqueues come in pairs, the even ones receive (virtio 1.3, 5.3.2). */
static bool is_transmitq(unsigned int vring)
{
	return vring % 2 == 1;
}

static bool is_control(unsigned int vring)
{
	return vring / 2 == CONSOLE_CONTROL_RECEIVEQ / 2;
}

/* A driver's only port has changed places with port 0. */
static unsigned int swap(const struct console *console, unsigned int id)
{
	const struct console_record *record = console->record;

	if (!record->lone || (id != 0 && id != record->lone_port))
		return id;
	return id == 0 ? record->lone_port : 0;
}

unsigned int console_port_of(const struct console *console, unsigned int vring)
{
	if (is_control(vring))
		return CONSOLE_PORTS_MAX;
	return swap(console, vring < CONSOLE_CONTROL_RECEIVEQ ? 0 : vring / 2 - 1);
}

unsigned int console_receiveq_of(const struct console *console, unsigned int id)
{
	unsigned int place = swap(console, id);

	return place == 0 ? 0 : 2 * place + 2;
}

unsigned int console_transmitq_of(const struct console *console, unsigned int id)
{
	return console_receiveq_of(console, id) + 1;
}

/* Ports. */

unsigned int console_main_port(const struct console *console)
{
	if (console->record->lone)
		return console->record->lone_port;
	for (unsigned int i = 0; i < console->max_ports; i++) {
		if (port_attached(&console->ports[i].port) && console->ports[i].handshake.console)
			return i;
	}
	return 0;
}

static void show_size(struct console *console)
{
	const struct handshake *handshake = &console->ports[console_main_port(console)].handshake;

	console->config.cols = le16_of(handshake->cols);
	console->config.rows = le16_of(handshake->rows);
}

/* Every port has the virtqueues that its driver uses for it. */
static void place_ports(struct console *console)
{
	for (unsigned int i = 0; i < console->max_ports; i++)
		port_set_queues(&console->ports[i].port,
		                &console->vrings[console_receiveq_of(console, i)],
		                &console->vrings[console_transmitq_of(console, i)]);
}

/* Whether the driver has one port alone. Which it is stays so for as long. */
static void set_lone(struct console *console, bool lone)
{
	struct console_record *record = console->record;

	if (record->lone == lone)
		return;
	record->lone_port = (uint8_t)console_main_port(console);
	record->lone = lone;
	place_ports(console);
	show_size(console);
}

static void count_ports(struct console *console)
{
	console->config.max_nr_ports = le32_of(console_ports_reach(console));
}

void console_init(struct console *console, struct console_record *record, struct virtq *vrings,
                  struct console_port *ports, unsigned int max_ports)
{
	*console = (struct console){
	    .record = record,
	    .vrings = vrings,
	    .ports = ports,
	    .max_ports = max_ports,
	};
	for (unsigned int i = 0; i < max_ports; i++) {
		port_init(&ports[i].port, &vrings[console_receiveq_of(console, i)],
		          &vrings[console_transmitq_of(console, i)]);
		ports[i].handshake.state = &record->ports[i];
	}
	count_ports(console);
	console->seen = console->config;
}

void console_plug(struct console *console, unsigned int id, struct backend_port *people,
                  struct byte_ring *spill, const char *name)
{
	struct console_port *port = &console->ports[id];

	port_attach(&port->port, people, spill);
	console->record->typed[id] = port->saved = 0;
	port->handshake.name = name;
	port->handshake.console = !spill;
	port->handshake.attended = people->attended > 0;
	port->handshake.cols = people->cols;
	port->handshake.rows = people->rows;
	show_size(console);
	if ((console->record->driver_ready || console->record->driver_rests) &&
	    id < console_ports_reach(console))
		handshake_plug(&port->handshake);
}

struct port_outcome console_unplug(struct console *console, unsigned int id)
{
	struct console_port *port = &console->ports[id];
	struct port_outcome outcome = {0};

	if (virtq_started(port->port.transmitq))
		outcome = port_settle_output(&port->port);
	port_detach(&port->port);
	handshake_unplug(&port->handshake);
	/* It was lent with the port. */
	port->handshake.name = NULL;
	show_size(console);
	return outcome;
}

unsigned int console_ports_reach(const struct console *console)
{
	uint32_t named = console->record->vrings_named;

	if (named == 0)
		return console->max_ports;
	return MAX(MIN(named / 2, console->max_ports + 1), 2) - 1;
}

void console_name_vring(struct console *console, unsigned int vring)
{
	uint32_t before = vring == 0 ? 0 : console->record->vrings_named;

	console->record->vrings_named = MAX(before, vring + 1);
	count_ports(console);
	console->seen.max_nr_ports = console->config.max_nr_ports;
}

static bool end_tails(const struct console *console);

void console_reset(struct console *console)
{
	uint32_t named = console->record->vrings_named;

	set_lone(console, false);
	memset(console->record, 0, sizeof(*console->record));
	console->record->vrings_named = named;
	console->multiport = console->sized = false;
	end_tails(console);
}

void console_forget_frontend(struct console *console)
{
	console_reset(console);
	console->record->vrings_named = 0;
	console->was_read = false;
	count_ports(console);
	console->seen = console->config;
}

void console_set_size(struct console *console, unsigned int id, uint16_t cols, uint16_t rows)
{
	handshake_set_size(&console->ports[id].handshake, cols, rows);
	show_size(console);
}

/*
 * A driver that has opened the port sees it closed only after it got what was sent before: a reader
 * in the guest finds the end of the stream there.
 */
static void attend(struct console_port *port)
{
	bool left = port->handshake.state->open && byte_ring_used(&port->port.people->input) > 0;

	handshake_set_attended(&port->handshake, port->port.people->attended > 0 || left);
}

void console_attend(struct console *console, unsigned int id)
{
	if (port_attached(&console->ports[id].port))
		attend(&console->ports[id]);
}

/* Whether the driver has still to be told that nobody is there. */
static bool owes_close(const struct console *console, const struct console_port *port)
{
	return console->multiport && console->record->driver_ready &&
	       handshake_owes_close(&port->handshake);
}

/* The tail of the clients that have gone ends where the driver learns of it. */
static bool end_tail(const struct console *console, struct console_port *port)
{
	if (!port_attached(&port->port) || !port->port.people->dropping || port->port.tail > 0 ||
	    owes_close(console, port))
		return false;
	port_end_tail(&port->port);
	return true;
}

/* Whether there were any. */
static bool end_tails(const struct console *console)
{
	bool any = false;

	for (unsigned int i = 0; i < console->max_ports; i++)
		any |= end_tail(console, &console->ports[i]);
	return any;
}

struct port_outcome console_leave(struct console *console, unsigned int id)
{
	struct console_port *port = &console->ports[id];
	struct port_outcome outcome = {0};

	if (!port_attached(&port->port))
		return outcome;
	outcome.tail = end_tail(console, port);
	return outcome;
}

/* Control messages of the driver. */

static void start_driver(struct console *console, bool ready)
{
	unsigned int reach = ready ? console_ports_reach(console) : 0;

	console->record->driver_ready = ready;
	console->record->driver_rests = false;
	for (unsigned int i = 0; i < console->max_ports; i++)
		handshake_start(&console->ports[i].handshake,
		                i < reach && port_attached(&console->ports[i].port));
}

/*
 * It has asked for nothing yet. Linux doesn't ask again after it was suspended to disk, but says at
 * once which ports it has: then it is told of those that have come or gone meanwhile.
 */
static void restart_driver(struct console *console)
{
	console->record->driver_rests |= console->record->driver_ready;
	console->record->driver_ready = false;
	for (unsigned int i = 0; i < console->max_ports; i++)
		handshake_restart(&console->ports[i].handshake);
}

/* Leaves less of a pump's budget for a message, which was in this chain. */
static void charge(unsigned int *budget, const struct virtq_chain *chain)
{
	uint32_t descs = UINT32_MAX - chain->budget + CONSOLE_MESSAGE_IS_DESCS;

	*budget -= MIN(*budget, descs);
}

/* Whether it changes or asks for anything. What means nothing is passed over. */
static bool take_message(struct console *console, const struct virtio_console_control *message)
{
	uint32_t id = le32_get(message->id);
	uint16_t event = le16_get(message->event), value = le16_get(message->value);

	if (event == VIRTIO_CONSOLE_DEVICE_READY) {
		start_driver(console, value == 1);
		return true;
	}
	console->record->driver_ready |= event == VIRTIO_CONSOLE_PORT_READY && value == 1;
	if (id >= console_ports_reach(console) || !port_attached(&console->ports[id].port))
		return false;
	if (!handshake_take(&console->ports[id].handshake, event, value))
		return false;
	attend(&console->ports[id]);
	return true;
}

/* Gathers `len` bytes of the chain, whatever they are spread over. Whether there were so many. */
static bool gather(struct virtq *vq, struct virtq_chain *chain, void *ret_bytes, size_t len)
{
	uint8_t *at = ret_bytes;
	size_t left = len, n;
	void *bytes;

	while (left > 0 && virtq_chain_ready(vq, chain, false) == VIRTQ_OK &&
	       virtq_chain_next(vq, chain, left, &bytes, &n) == VIRTQ_OK) {
		memcpy(at, bytes, n);
		at += n;
		left -= n;
	}
	return left == 0;
}

/*
 * At once, and whether or not there is room for answers: Linux waits for each with a lock held.
 * One chain is looked at whole, so that nothing of it has to be kept, and counts for what it is.
 */
static struct port_outcome pump_messages(struct console *console)
{
	struct virtq *vq = &console->vrings[CONSOLE_CONTROL_TRANSMITQ];
	unsigned int budget = CONSOLE_BUDGET_DESCS;
	struct port_outcome outcome = {0};
	struct virtio_console_control message;
	struct virtq_chain chain;

	virtq_kicks_off(vq);
	while (budget > 0) {
		enum virtq_result r = virtq_peek(vq, &chain);

		if (r == VIRTQ_END && virtq_kicks_on(vq)) {
			virtq_kicks_off(vq);
			continue;
		}
		if (r != VIRTQ_OK)
			break;
		if (gather(vq, &chain, &message, sizeof(message)))
			outcome.control |= take_message(console, &message);
		if (vq->broken)
			break;
		virtq_push(vq, &chain);
		charge(&budget, &chain);
	}
	outcome.call = virtq_publish(vq);
	outcome.again = budget == 0;
	outcome.tail = end_tails(console);
	return outcome;
}

/* Control messages to the driver. */

static struct handshake *find_message(struct console *console,
                                      struct handshake_message *ret_message)
{
	enum handshake_size size = HANDSHAKE_NO_SIZE;

	if (console->sized)
		size = console->rows_first ? HANDSHAKE_ROWS_COLS : HANDSHAKE_COLS_ROWS;
	for (unsigned int i = 0; console->record->driver_ready && i < console->max_ports; i++) {
		if (handshake_next(&console->ports[i].handshake, i, size, ret_message))
			return &console->ports[i].handshake;
	}
	return NULL;
}

/* Whether all of the message is in the chain now; one that is too small for it stays empty. */
static bool scatter(struct virtq *vq, struct virtq_chain *chain, const uint8_t *bytes, size_t len)
{
	size_t done = 0, n;
	void *at;

	if (virtq_chain_rest(vq, chain, true, len) < len)
		return false;
	while (done < len && virtq_chain_ready(vq, chain, true) == VIRTQ_OK &&
	       virtq_chain_next(vq, chain, len - done, &at, &n) == VIRTQ_OK) {
		memcpy(at, bytes + done, n);
		done += n;
	}
	return done == len;
}

/* A message that finds no buffer waits for the next. */
static struct port_outcome pump_answers(struct console *console)
{
	struct virtq *vq = &console->vrings[CONSOLE_CONTROL_RECEIVEQ];
	unsigned int budget = CONSOLE_BUDGET_DESCS;
	struct port_outcome outcome = {0};
	struct handshake_message message;
	struct handshake *port;
	struct virtq_chain chain;

	virtq_kicks_off(vq);
	while (budget > 0 && (port = find_message(console, &message))) {
		enum virtq_result r = virtq_peek(vq, &chain);

		if (r == VIRTQ_END && virtq_kicks_on(vq)) {
			virtq_kicks_off(vq);
			continue;
		}
		if (r != VIRTQ_OK)
			break;
		if (scatter(vq, &chain, message.bytes, message.len))
			handshake_sent(port, &message);
		/* Before the driver sees that nobody is there. */
		outcome.tail |= end_tails(console);
		if (vq->broken)
			break;
		virtq_push(vq, &chain);
		charge(&budget, &chain);
	}
	outcome.call = virtq_publish(vq);
	outcome.again = budget == 0;
	return outcome;
}

/* Whose the virtqueues are. */

/* Whether another virtqueue that hasn't started again will tell. */
static bool will_be_told(const struct console_record *record)
{
	for (unsigned int i = 0; i < CONSOLE_FIRST_VRINGS; i++) {
		if ((record->stopped >> i & 1) && record->stopped_at[i] != 0)
			return true;
	}
	return false;
}

/* The one before has taken what this one hasn't, or the other way round. */
static bool is_of_another_sort(const struct console_record *record, bool multiport)
{
	return record->stopped && record->driven && record->lone == multiport;
}

static enum console_whose judge_driver(struct console_record *record, unsigned int vring,
                                       uint16_t next_avail, bool multiport)
{
	if (is_of_another_sort(record, multiport))
		return CONSOLE_DRIVER_OTHER;
	if (vring < CONSOLE_FIRST_VRINGS && (record->stopped >> vring & 1)) {
		record->stopped &= (uint8_t) ~(1u << vring);
		if (next_avail != record->stopped_at[vring])
			return CONSOLE_DRIVER_OTHER;
		if (next_avail != 0)
			return CONSOLE_DRIVER_SAME;
	}
	return will_be_told(record) ? CONSOLE_DRIVER_UNSURE : CONSOLE_DRIVER_SAME;
}

/* Where the virtqueues have stopped is all that is known of the driver until one starts again. */
void console_note_stop(struct console *console, unsigned int vring)
{
	struct console_record *record = console->record;

	if (vring < CONSOLE_FIRST_VRINGS) {
		record->stopped |= (uint8_t)(1u << vring);
		record->stopped_at[vring] = console->vrings[vring].state->next_avail;
	}
	for (unsigned int i = 0; i < console->max_ports; i++) {
		if (port_attached(&console->ports[i].port))
			record->typed[i] = byte_ring_head(&console->ports[i].port.people->input);
	}
}

enum console_whose console_run(struct console *console, unsigned int vring, uint64_t features)
{
	struct console_record *record = console->record;
	bool multiport = features >> VIRTIO_CONSOLE_F_MULTIPORT & 1;
	enum console_whose driver;

	driver = judge_driver(record, vring, console->vrings[vring].state->next_avail, multiport);
	if (driver == CONSOLE_DRIVER_OTHER) {
		restart_driver(console);
		set_lone(console, false);
	}
	if (driver != CONSOLE_DRIVER_UNSURE)
		record->stopped = 0;
	record->unsure = driver == CONSOLE_DRIVER_UNSURE;
	record->driven = true;
	console->multiport = multiport;
	console->sized = features >> VIRTIO_CONSOLE_F_SIZE & 1;
	set_lone(console, !multiport);
	end_tails(console);
	return driver;
}

static uint64_t end_of_input(const struct console *console, unsigned int id,
                             enum console_input which)
{
	switch (which) {
	case CONSOLE_INPUT_STOPPED:
		return console->record->typed[id];
	case CONSOLE_INPUT_SAVED:
		return console->ports[id].saved;
	case CONSOLE_INPUT_ALL:
		break;
	}
	return byte_ring_head(&console->ports[id].port.people->input);
}

size_t console_drop_input(struct console *console, unsigned int id, enum console_input which)
{
	struct console_port *port = &console->ports[id];
	struct byte_ring *input;
	uint64_t tail, end;

	if (!port_attached(&port->port))
		return 0;
	input = &port->port.people->input;
	tail = byte_ring_tail(input);
	end = MIN(end_of_input(console, id, which), byte_ring_head(input));
	if (end <= tail)
		return 0;
	byte_ring_drop(input, (size_t)(end - tail));
	attend(port);
	return (size_t)(end - tail);
}

/* Virtqueues. */

static bool takes_input(const struct console *console, const struct console_port *port)
{
	if (console->record->unsure)
		return false;
	/* Linux throws away what comes for a port that nobody has opened. */
	return !console->multiport || port->handshake.console || port->handshake.state->open;
}

static struct port_outcome pump_input(struct console_port *port)
{
	bool attended = port->handshake.attended;
	struct port_outcome outcome = port_pump_input(&port->port);

	attend(port);
	outcome.control = port->handshake.attended != attended;
	return outcome;
}

struct port_outcome console_pump(struct console *console, unsigned int vring)
{
	unsigned int id = console_port_of(console, vring);
	struct console_port *port;

	if (is_control(vring) && console->multiport)
		return is_transmitq(vring) ? pump_messages(console) : pump_answers(console);
	if (id >= console->max_ports || (!console->multiport && vring > 1))
		return (struct port_outcome){0};
	port = &console->ports[id];
	if (is_transmitq(vring))
		return port_pump_output(&port->port);
	if (port_attached(&port->port) && takes_input(console, port))
		return pump_input(port);
	return (struct port_outcome){0};
}

bool console_rest(struct console *console, unsigned int vring)
{
	return virtq_kicks_on(&console->vrings[vring]);
}

struct port_outcome console_settle(struct console *console, unsigned int vring)
{
	unsigned int id = console_port_of(console, vring);
	struct port_outcome outcome = {0};

	if (id < console->max_ports && is_transmitq(vring))
		outcome = port_settle_output(&console->ports[id].port);
	return outcome;
}
