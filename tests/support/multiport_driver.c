/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The control queues and the ports beyond the first. See multiport_driver.h.
 */
#include "multiport_driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#define UNTOUCHED  0xa5 /* what receive buffers are filled with before they are posted */
#define PLACE      96   /* from one piece of a message that is sent to the next */
#define PIECE_MOST 64

struct multiport_buffer {
	uint64_t gpa[MULTIPORT_PIECES];
	uint32_t size[MULTIPORT_PIECES];
	uint32_t count;
	bool usual; /* posted again */
	bool busy;  /* the device has it */
};

/* ---- life ---- */

static struct multiport_driver_options fill_in(const struct multiport_driver_options *options)
{
	struct multiport_driver_options filled = {0};

	if (options)
		filled = *options;
	if (!filled.ports)
		filled.ports = 3;
	if (filled.ports > MULTIPORT_PORTS)
		support_die("%u ports", filled.ports);
	if (!filled.console.features)
		filled.console.features = 1ull << DRIVER_F_VERSION_1 | 1ull << DRIVER_F_EVENT_IDX |
		                          1ull << DRIVER_F_INDIRECT_DESC |
		                          1ull << DRIVER_F_IN_ORDER | 1ull << CONSOLE_F_SIZE;
	filled.console.features |= 1ull << CONSOLE_F_MULTIPORT;
	filled.console.configured = 2 * (filled.ports + 1);
	if (!filled.console.vrings)
		filled.console.vrings = filled.console.configured;
	if (!filled.console.queue_size)
		filled.console.queue_size = 64;
	if (!filled.control_count)
		filled.control_count = 16;
	if (filled.control_count > filled.console.queue_size)
		filled.control_count = filled.console.queue_size;
	if (!filled.control_size)
		filled.control_size = MULTIPORT_HEADER + MULTIPORT_MORE;
	return filled;
}

struct console_driver_options multiport_driver_console_options(
    const struct multiport_driver_options *options)
{
	return fill_in(options).console;
}

static uint32_t add_buffer(struct multiport_driver *driver, const uint32_t *sizes, uint32_t count)
{
	struct multiport_buffer *buffer;

	if (count > MULTIPORT_PIECES)
		support_die("a control buffer of %u pieces", count);
	driver->buffers =
	    realloc(driver->buffers, (driver->buffers_count + 1) * sizeof(*driver->buffers));
	if (!driver->buffers)
		support_die("out of memory for control buffers");
	buffer = &driver->buffers[driver->buffers_count];
	*buffer = (struct multiport_buffer){.count = count};
	/* One byte of nobody's between any two pieces. */
	for (uint32_t i = 0; i < count; i++) {
		buffer->size[i] = sizes[i];
		buffer->gpa[i] = guest_memory_alloc(driver->console->memory, 1, sizes[i] + 1ull, 1);
	}
	return driver->buffers_count++;
}

void multiport_driver_init(struct multiport_driver *driver, struct console_driver *console,
                           const struct multiport_driver_options *options)
{
	*driver = (struct multiport_driver){.console = console, .options = fill_in(options)};
	driver->control_receive = &console->queue[MULTIPORT_CONTROL_RECEIVE];
	driver->control_transmit = &console->queue[MULTIPORT_CONTROL_TRANSMIT];
	for (uint32_t id = 1; id < driver->options.ports; id++)
		port_driver_init(&driver->port[id], console->frontend, console->memory,
		                 &console->queue[2 * id + 2], &console->queue[2 * id + 3],
		                 &driver->options.port);
	for (uint32_t i = 0; i < driver->options.control_count; i++) {
		add_buffer(driver, &driver->options.control_size, 1);
		driver->buffers[i].usual = true;
	}
	/* The table of an indirect message stands behind its pieces. */
	driver->send_gpa =
	    guest_memory_alloc(console->memory, 0, (uint64_t)MULTIPORT_PIECES * (PLACE + 16), 16);
}

void multiport_driver_deinit(struct multiport_driver *driver)
{
	for (uint32_t id = 1; id <= MULTIPORT_PORTS; id++)
		port_driver_deinit(&driver->port[id]);
	free(driver->messages);
	free(driver->buffers);
	*driver = (struct multiport_driver){0};
}

/* ---- the VMM's occasions ---- */

struct port_driver *multiport_driver_port(struct multiport_driver *driver, uint32_t id)
{
	if (id >= driver->options.ports)
		support_die("the driver has no port %u", id);
	return id ? &driver->port[id] : &driver->console->port;
}

static void post_all(struct multiport_driver *driver)
{
	bool indirect = driver->console->features >> DRIVER_F_INDIRECT_DESC & 1;

	multiport_driver_post_control(driver);
	for (uint32_t id = 0; id < driver->options.ports; id++) {
		multiport_driver_port(driver, id)->may_indirect = indirect;
		port_driver_post(multiport_driver_port(driver, id));
	}
}

bool multiport_driver_bring_up(struct multiport_driver *driver)
{
	struct console_driver *console = driver->console;

	if (!console_driver_play(console, VMM_CONNECT) ||
	    !console_driver_play(console, VMM_START) || !console_driver_play(console, VMM_CONFIG))
		return false;
	post_all(driver);
	return true;
}

bool multiport_driver_reset(struct multiport_driver *driver)
{
	if (!console_driver_play(driver->console, VMM_RESET))
		return false;
	for (uint32_t id = 1; id < driver->options.ports; id++)
		port_driver_forget(&driver->port[id]);
	for (uint32_t i = 0; i < driver->buffers_count; i++)
		driver->buffers[i].busy = false;
	memset(driver->state, 0, sizeof(driver->state));
	driver->count = driver->taken = 0;
	driver->empty = 0;
	return true;
}

bool multiport_driver_restart(struct multiport_driver *driver)
{
	if (!console_driver_play(driver->console, VMM_RESTART) ||
	    !console_driver_play(driver->console, VMM_CONFIG))
		return false;
	post_all(driver);
	return true;
}

/* ---- from the device ---- */

static void post_buffer(struct multiport_driver *driver, uint32_t index)
{
	struct multiport_buffer *buffer = &driver->buffers[index];
	struct driver_buffer pieces[MULTIPORT_PIECES];
	uint32_t i;

	for (i = 0; i < buffer->count; i++) {
		pieces[i] = (struct driver_buffer){buffer->gpa[i], buffer->size[i], true};
		memset(guest_memory_at(driver->console->memory, buffer->gpa[i],
		                       buffer->size[i] + 1ull),
		       UNTOUCHED, buffer->size[i] + 1ull);
	}
	if (!driver_add(driver->control_receive, pieces, buffer->count, index))
		support_die("no descriptor left for a control buffer");
	buffer->busy = true;
}

void multiport_driver_post_control(struct multiport_driver *driver)
{
	for (uint32_t i = 0; i < driver->buffers_count; i++)
		if (driver->buffers[i].usual && !driver->buffers[i].busy)
			post_buffer(driver, i);
	driver_kick(driver->control_receive);
}

void multiport_driver_post_pieces(struct multiport_driver *driver, const uint32_t *sizes,
                                  uint32_t count)
{
	post_buffer(driver, add_buffer(driver, sizes, count));
	driver_kick(driver->control_receive);
}

static struct multiport_message *new_message(struct multiport_driver *driver)
{
	if (driver->count == driver->room) {
		driver->room = 2 * driver->room + 64;
		driver->messages =
		    realloc(driver->messages, driver->room * sizeof(*driver->messages));
		if (!driver->messages)
			support_die("out of memory for control messages");
	}
	driver->messages[driver->count] = (struct multiport_message){0};
	return &driver->messages[driver->count++];
}

/* Gathers `len` bytes out of a buffer; the rest of it must be as it was posted. */
static void gather(struct multiport_driver *driver, const struct multiport_buffer *buffer,
                   uint32_t len, uint8_t *ret_bytes)
{
	uint32_t at = 0;

	for (uint32_t piece = 0; piece < buffer->count; piece++) {
		const uint8_t *bytes = guest_memory_at(driver->console->memory, buffer->gpa[piece],
		                                       buffer->size[piece] + 1ull);

		for (uint32_t i = 0; i <= buffer->size[piece]; i++) {
			if (i < buffer->size[piece] && at < len)
				ret_bytes[at++] = bytes[i];
			else if (bytes[i] != UNTOUCHED)
				support_die("a control buffer used with %u bytes was written "
				            "beyond them: piece %u, byte %u",
				            len, piece, i);
		}
	}
}

static void note_more(struct multiport_port_state *state, const struct multiport_message *message)
{
	uint16_t size[2];

	if (message->header.event == CONSOLE_PORT_NAME) {
		memcpy(state->name, message->more, message->more_size);
		state->name[message->more_size] = '\0';
	}
	if (message->header.event == CONSOLE_RESIZE && message->more_size == sizeof(size)) {
		memcpy(size, message->more, sizeof(size));
		state->cols = size[0];
		state->rows = size[1];
	}
}

static void note(struct multiport_driver *driver, const struct multiport_message *message)
{
	struct multiport_port_state *state;

	if (message->header.id > MULTIPORT_PORTS)
		return;
	state = &driver->state[message->header.id];
	switch (message->header.event) {
	case CONSOLE_DEVICE_ADD:
		state->added = true;
		return;
	case CONSOLE_DEVICE_REMOVE:
		*state = (struct multiport_port_state){0};
		return;
	case CONSOLE_CONSOLE_PORT:
		state->console = true;
		return;
	case CONSOLE_PORT_OPEN:
		state->open = message->header.value != 0;
		return;
	default:
		note_more(state, message);
	}
}

static void take_buffer(struct multiport_driver *driver, const struct driver_used *used)
{
	struct multiport_buffer *buffer = &driver->buffers[used->cookie];
	uint8_t bytes[MULTIPORT_HEADER + MULTIPORT_MORE];
	struct multiport_message *message;

	buffer->busy = false;
	if (used->len > sizeof(bytes))
		support_die("a control message of %u bytes", used->len);
	gather(driver, buffer, used->len, bytes);
	if (!used->len) {
		driver->empty++;
		return;
	}
	if (used->len < MULTIPORT_HEADER)
		support_die("a control message of %u bytes", used->len);
	message = new_message(driver);
	memcpy(&message->header, bytes, MULTIPORT_HEADER);
	message->more_size = used->len - MULTIPORT_HEADER;
	memcpy(message->more, bytes + MULTIPORT_HEADER, message->more_size);
	note(driver, message);
}

size_t multiport_driver_collect(struct multiport_driver *driver)
{
	struct driver_queue *queue = driver->control_receive;
	struct driver_used used;
	bool posted = false;

	while (driver_harvest(queue, &used)) {
		take_buffer(driver, &used);
		/* One that came back empty would come back so for ever. */
		if (driver->hold_control || !driver->buffers[used.cookie].usual || !used.len)
			continue;
		post_buffer(driver, (uint32_t)used.cookie);
		posted = true;
	}
	driver_take_calls(queue);
	driver_ask_calls(queue, true);
	if (posted)
		driver_kick(queue);
	return driver->count - driver->taken;
}

struct message_wait {
	struct multiport_driver *driver;
	size_t count;
};

static bool enough_messages(void *arg)
{
	struct message_wait *wait = arg;

	return multiport_driver_collect(wait->driver) >= wait->count;
}

void multiport_driver_await(struct multiport_driver *driver, size_t count)
{
	struct message_wait wait = {driver, count};

	frontend_await(driver->console->frontend, enough_messages, &wait,
	               "a control message of the device");
}

const struct multiport_message *multiport_driver_next(struct multiport_driver *driver)
{
	multiport_driver_await(driver, 1);
	return &driver->messages[driver->taken++];
}

void multiport_driver_expect(struct multiport_driver *driver, uint32_t id, uint16_t event,
                             uint16_t value, const void *more, size_t more_size)
{
	const struct multiport_message *message = multiport_driver_next(driver);
	const struct multiport_header *header = &message->header;

	if (header->id != id || header->event != event || header->value != value)
		support_die("%s(%u) for port %u came, not %s(%u) for port %u",
		            multiport_event_name(header->event), header->value, header->id,
		            event < CONSOLE_EVENTS ? multiport_event_name(event) : "another", value,
		            id);
	if (message->more_size != more_size)
		support_die("%s has %zu bytes after it, not %zu", multiport_event_name(event),
		            message->more_size, more_size);
	if (more_size && memcmp(message->more, more, more_size) != 0)
		support_die("%s has other bytes after it", multiport_event_name(event));
}

void multiport_driver_skip(struct multiport_driver *driver)
{
	multiport_driver_collect(driver);
	driver->taken = driver->count;
}

struct open_wait {
	struct multiport_driver *driver;
	uint32_t id;
	bool open;
};

static bool is_so(void *arg)
{
	struct open_wait *wait = arg;

	multiport_driver_collect(wait->driver);
	return wait->driver->state[wait->id].open == wait->open;
}

void multiport_driver_await_open(struct multiport_driver *driver, uint32_t id, bool open)
{
	struct open_wait wait = {driver, id, open};

	frontend_await(driver->console->frontend, is_so, &wait,
	               open ? "PORT_OPEN(1) of the device" : "PORT_OPEN(0) of the device");
}

/* ---- to the device ---- */

static void await_sent(struct multiport_driver *driver)
{
	struct driver_used used = driver_await(driver->control_transmit);

	if (used.len)
		support_die("a control message came back with the length %u", used.len);
	driver_take_calls(driver->control_transmit);
}

void multiport_driver_send_pieces(struct multiport_driver *driver, const void *bytes,
                                  const uint32_t *sizes, uint32_t count, bool indirect)
{
	struct driver_buffer pieces[MULTIPORT_PIECES];
	uint64_t table = driver->send_gpa + (uint64_t)MULTIPORT_PIECES * PLACE;
	const uint8_t *from = bytes;
	bool added;

	if (count > MULTIPORT_PIECES)
		support_die("a control message of %u pieces", count);
	for (uint32_t i = 0; i < count; from += sizes[i++]) {
		if (sizes[i] > PIECE_MOST)
			support_die("a piece of %u bytes", sizes[i]);
		pieces[i] = (struct driver_buffer){
		    .gpa = driver->send_gpa + (uint64_t)i * PLACE,
		    .len = sizes[i],
		};
		memcpy(guest_memory_at(driver->console->memory, pieces[i].gpa, PLACE), from,
		       sizes[i]);
	}
	added = indirect ? driver_add_indirect(driver->control_transmit, table, pieces, count, 0)
	                 : driver_add(driver->control_transmit, pieces, count, 0);
	if (!added)
		support_die("no descriptors left for a control message of %u pieces", count);
	driver_kick(driver->control_transmit);
	await_sent(driver);
}

void multiport_driver_send(struct multiport_driver *driver, uint32_t id, uint16_t event,
                           uint16_t value)
{
	const struct multiport_header header = {.id = id, .event = event, .value = value};
	const uint32_t size = sizeof(header);

	multiport_driver_send_pieces(driver, &header, &size, 1, false);
}

const char *multiport_event_name(uint16_t event)
{
	static const char *const names[CONSOLE_EVENTS] = {
	    "DEVICE_READY", "PORT_ADD", "PORT_REMOVE", "PORT_READY",
	    "CONSOLE_PORT", "RESIZE",   "PORT_OPEN",   "PORT_NAME",
	};
	static char unknown[16];

	if (event < CONSOLE_EVENTS)
		return names[event];
	snprintf(unknown, sizeof(unknown), "event %u", event);
	return unknown;
}
