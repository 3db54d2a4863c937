/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The handshake and its answers. See multiport_use.h.
 */
#include "multiport_use.h"

#include "guest.h"
#include "guest_port.h"

#include <stdlib.h>
#include <string.h>

const struct bed_port_options usual_ports[] = {
    {.name = NULL},
    {.name = CONSOLE_NAME},
    {.name = DATA_NAME, .data = true, .network = true, .history = 4096},
};

struct bed_guest *new_ports_guest(const struct bed_port_options *ports, unsigned int count,
                                  const struct multiport_driver_options *options)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){
	    .listens = true, .multiport = true, .ports = ports, .ports_count = count});

	bed_multiport(guest, options);
	return guest;
}

struct bed_guest *new_usual_guest(void)
{
	struct multiport_driver_options options = {.ports = USUAL_PORTS};
	struct bed_guest *guest = new_ports_guest(usual_ports, USUAL_PORTS, &options);

	assert_true(multiport_driver_bring_up(&guest->multiport));
	return guest;
}

struct bed_guest *new_data_guest(uint64_t history, const struct port_driver_options *port)
{
	return new_tail_guest(history, port, TAIL_DROP);
}

struct bed_guest *new_tail_guest(uint64_t history, const struct port_driver_options *port,
                                 enum tail tail)
{
	struct bed_port_options ports[] = {
	    {.data = false},
	    {.name = DATA_NAME, .data = true, .network = true, .history = history, .tail = tail},
	};
	struct multiport_driver_options options = {.ports = 2};
	struct bed_guest *guest;

	if (port)
		options.port = *port;
	guest = new_ports_guest(ports, 2, &options);
	assert_true(multiport_driver_bring_up(&guest->multiport));
	shake_hands(guest);
	return guest;
}

struct attendance {
	struct bed_guest *guest;
	unsigned int port, clients;
};

static bool attend(void *arg)
{
	const struct attendance *wanted = arg;
	const struct guest_port *port = guest_port_of(wanted->guest->guest, wanted->port);

	return port->output.port.attended == wanted->clients;
}

void await_clients(struct bed_guest *guest, unsigned int port, unsigned int clients)
{
	struct attendance wanted = {guest, port, clients};

	frontend_await(&guest->frontend, attend, &wanted, "clients of a data port");
}

void connect_data(struct tcp_client *client, struct bed_guest *guest, int receive_buffer)
{
	tcp_client_connect_port(client, guest, 1, receive_buffer);
	multiport_driver_await_open(&guest->multiport, 1, true);
	multiport_driver_skip(&guest->multiport);
}

/* ---- messages ---- */

const struct multiport_message *expect_event(struct bed_guest *guest, uint32_t id, uint16_t event)
{
	const struct multiport_message *message = multiport_driver_next(&guest->multiport);

	if (message->header.id != id || message->header.event != event)
		fail_msg("%s for port %u came, expected event %u for port %u",
		         multiport_event_name(message->header.event), message->header.id, event,
		         id);
	return message;
}

void expect_size(struct bed_guest *guest, uint32_t id, uint16_t first, uint16_t second)
{
	const struct multiport_message *message = expect_event(guest, id, CONSOLE_RESIZE);
	uint8_t expected[] = {(uint8_t)first, (uint8_t)(first >> 8), (uint8_t)second,
	                      (uint8_t)(second >> 8)};

	assert_int_equal(message->more_size, sizeof(expected));
	assert_memory_equal(message->more, expected, sizeof(expected));
}

void expect_no_message(struct bed_guest *guest)
{
	struct multiport_driver *multiport = &guest->multiport;

	bed_settle(guest->bed);
	if (multiport_driver_collect(multiport) > 0)
		fail_msg("%s for port %u came, expected nothing",
		         multiport_event_name(multiport->messages[multiport->taken].header.event),
		         multiport->messages[multiport->taken].header.id);
}

/* ---- the handshake ---- */

void expect_ports(struct bed_guest *guest)
{
	struct multiport_driver *multiport = &guest->multiport;
	uint32_t ports = multiport->options.ports;
	uint64_t seen = 0;

	multiport_driver_send(multiport, MULTIPORT_NO_ID, CONSOLE_DEVICE_READY, 1);
	multiport_driver_await(multiport, ports);
	for (uint32_t i = 0; i < ports; i++) {
		const struct multiport_message *message = multiport_driver_next(multiport);

		assert_int_equal(message->header.event, CONSOLE_DEVICE_ADD);
		assert_true(message->header.id < ports);
		assert_int_equal(message->more_size, 0);
		seen |= 1ull << message->header.id;
	}
	assert_int_equal(seen, (1ull << ports) - 1);
	expect_no_message(guest);
}

/* A data port without a client is closed from the start: it may be said once more, or not. */
static void skip_closed(struct bed_guest *guest, uint32_t id)
{
	struct multiport_driver *multiport = &guest->multiport;
	const struct multiport_header *next;

	bed_settle(guest->bed);
	if (multiport_driver_collect(multiport) == 0)
		return;
	next = &multiport->messages[multiport->taken].header;
	if (next->id == id && next->event == CONSOLE_PORT_OPEN && next->value == 0)
		multiport->taken++;
}

void expect_port_answers(struct bed_guest *guest, uint32_t id)
{
	struct multiport_driver *multiport = &guest->multiport;
	const struct port_config *config = &guest->ports[id];
	const struct multiport_message *message;

	multiport_driver_send(multiport, id, CONSOLE_PORT_READY, 1);
	if (!config->data) {
		message = expect_event(guest, id, CONSOLE_CONSOLE_PORT);
		assert_int_equal(message->more_size, 0);
		/* Unused says the specification; Linux takes 0 for "it isn't one". */
		assert_int_not_equal(message->header.value, 0);
	}
	if (config->name) {
		message = expect_event(guest, id, CONSOLE_PORT_NAME);
		assert_int_equal(message->more_size, strlen(config->name));
		assert_memory_equal(message->more, config->name, strlen(config->name));
	}
	if (config->data)
		skip_closed(guest, id);
	else
		multiport_driver_expect(multiport, id, CONSOLE_PORT_OPEN, 1, NULL, 0);
	expect_no_message(guest);
}

void shake_hands(struct bed_guest *guest)
{
	struct multiport_driver *multiport = &guest->multiport;

	multiport_driver_skip(multiport);
	expect_ports(guest);
	for (uint32_t id = 0; id < multiport->options.ports; id++) {
		multiport_driver_send(multiport, id, CONSOLE_PORT_READY, 1);
		bed_settle(guest->bed);
		multiport_driver_send(multiport, id, CONSOLE_PORT_OPEN, 1);
		bed_settle(guest->bed);
	}
	multiport_driver_skip(multiport);
	for (uint32_t id = 0; id < multiport->options.ports; id++) {
		assert_int_equal(multiport->state[id].console, !guest->ports[id].data);
		if (!guest->ports[id].data)
			assert_true(multiport->state[id].open);
	}
}

/* ---- bytes ---- */

void check_port_output(struct bed_guest *guest, uint32_t id, size_t size)
{
	struct test_backend *backend = &guest->backends[id];
	uint8_t *bytes = malloc(size);

	assert_non_null(bytes);
	support_fill_pattern(bytes, size, 7 * id);
	test_backend_forget(backend);
	port_driver_transmit(multiport_driver_port(&guest->multiport, id), bytes, size);
	assert_int_equal(backend->output_size, size);
	assert_memory_equal(backend->output, bytes, size);
	free(bytes);
}

void check_port_input(struct bed_guest *guest, uint32_t id, size_t size)
{
	struct port_driver *port = multiport_driver_port(&guest->multiport, id);
	uint8_t *bytes = malloc(size);

	assert_non_null(bytes);
	support_fill_pattern(bytes, size, 5 * id);
	test_backend_type(&guest->backends[id], bytes, size);
	port_driver_expect_input(port, bytes, size);
	bed_settle(guest->bed);
	assert_int_equal(port_driver_collect(port), 0);
	free(bytes);
}

size_t offer_to_port(struct bed_guest *guest, uint32_t id, uint64_t pos, uint64_t size)
{
	static uint8_t bytes[1 << 20];
	struct port_driver *port = multiport_driver_port(&guest->multiport, id);
	uint64_t room = (uint64_t)port->options.transmit_size *
	                (port->options.transmit_count - driver_outstanding(port->transmitq));
	size_t n = sizeof(bytes);

	/* Not more than will go: the pattern takes its time. */
	if (n > size)
		n = (size_t)size;
	if (n > room)
		n = (size_t)room;
	if (n == 0)
		return 0;
	support_fill_pattern(bytes, n, pos);
	return port_driver_offer(port, bytes, n);
}

uint64_t offer_until_held(struct bed_guest *guest, uint32_t id)
{
	struct port_driver *port = multiport_driver_port(&guest->multiport, id);
	uint64_t offered = 0;

	for (unsigned int held = 0; held < 8; bed_settle(guest->bed)) {
		size_t n = offer_to_port(guest, id, offered, UINT64_MAX);

		offered += n;
		held = n == 0 ? held + 1 : 0;
		port_driver_reap(port);
	}
	assert_int_equal(driver_outstanding(port->transmitq), port->options.transmit_count);
	return offered;
}

struct passing {
	struct bed_guest *guest;
	uint32_t id;
	struct tcp_client *client;
	struct stream_check check;
	uint64_t offered, to;
};

static bool has_passed(void *arg)
{
	struct passing *passing = arg;

	port_driver_reap(multiport_driver_port(&passing->guest->multiport, passing->id));
	if (passing->offered < passing->to)
		passing->offered += offer_to_port(passing->guest, passing->id, passing->offered,
		                                  passing->to - passing->offered);
	check_stream(passing->client, &passing->check);
	return passing->check.pos >= passing->to;
}

void pass_output(struct bed_guest *guest, uint32_t id, struct tcp_client *client, uint64_t from,
                 uint64_t offered, uint64_t to)
{
	struct passing passing = {
	    .guest = guest,
	    .id = id,
	    .client = client,
	    .check = {.pos = from},
	    .offered = offered,
	    .to = to,
	};

	frontend_await(&guest->frontend, has_passed, &passing, "a port's output to pass");
	bed_settle(guest->bed);
	port_driver_reap(multiport_driver_port(&guest->multiport, id));
	check_stream(client, &passing.check);
	assert_int_equal(passing.check.pos, to);
	assert_int_equal(passing.check.gaps, 0);
	assert_int_equal(
	    driver_outstanding(multiport_driver_port(&guest->multiport, id)->transmitq), 0);
}

uint32_t read_max_ports(struct bed_guest *guest)
{
	uint32_t ports = 0;

	assert_true(console_driver_read_config(&guest->console, 4, sizeof(ports), &ports));
	return ports;
}
