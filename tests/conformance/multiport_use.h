/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the tests of several ports do again and again: a guest with the usual ports, the handshake,
 * the device's answers to it.
 */
#ifndef CONFORMANCE_MULTIPORT_USE_H
#define CONFORMANCE_MULTIPORT_USE_H

#include "console_use.h"
#include "testbed.h"

/* The usual ports: 0 a console without a name, 1 a console, 2 for data over TCP. */
extern const struct bed_port_options usual_ports[];
#define USUAL_PORTS   3
#define USUAL_CONSOLE 1
#define USUAL_DATA    2
#define CONSOLE_NAME  "com.example.console"
#define DATA_NAME     "org.example.data.0"

/* A guest with these ports, its frontend connected, its driver made and not started. */
struct bed_guest *new_ports_guest(const struct bed_port_options *ports, unsigned int count,
                                  const struct multiport_driver_options *options);

/* A guest with the usual ports, its driver running; no message has gone either way. */
struct bed_guest *new_usual_guest(void);

/* A guest with a data port over TCP, port 1, beside the console; it has shaken hands. NULL: the
 * driver's usual buffers. */
struct bed_guest *new_data_guest(uint64_t history, const struct port_driver_options *port);
/* The same, with what the data port does with what a client has left; else it drops it. */
struct bed_guest *new_tail_guest(uint64_t history, const struct port_driver_options *port,
                                 enum tail tail);

/* Waits until so many clients of a port are known to stay. */
void await_clients(struct bed_guest *guest, unsigned int port, unsigned int clients);

/* A client of that port; the driver has been told. */
void connect_data(struct tcp_client *client, struct bed_guest *guest, int receive_buffer);

/* The driver says that it is ready and awaits exactly a PORT_ADD of each port that it has. */
void expect_ports(struct bed_guest *guest);

/* PORT_READY of the port, and the device's answers, which must be right, whole and in order. */
void expect_port_answers(struct bed_guest *guest, uint32_t id);

/* All of the handshake as Linux does it, then PORT_OPEN(1) of each port; no message is left. */
void shake_hands(struct bed_guest *guest);

/* Awaits the next message, which must be this one; its value doesn't matter. Until the next. */
const struct multiport_message *expect_event(struct bed_guest *guest, uint32_t id, uint16_t event);

/* The next message has this size, in the specification's order. */
void expect_size(struct bed_guest *guest, uint32_t id, uint16_t first, uint16_t second);

/* Nothing comes. */
void expect_no_message(struct bed_guest *guest);

/* A pattern through a port of the test's backend, each way. */
void check_port_output(struct bed_guest *guest, uint32_t id, size_t size);
void check_port_input(struct bed_guest *guest, uint32_t id, size_t size);

/* As many buffers of a port as there are, with the endless pattern from `pos`; how many bytes. */
size_t offer_to_port(struct bed_guest *guest, uint32_t id, uint64_t pos, uint64_t size);

/* The guest offers the pattern until the port is held, all its buffers with the device; how many
 * bytes. */
uint64_t offer_until_held(struct bed_guest *guest, uint32_t id);

/* The client reads until all of the pattern from `from` up to `to` has come, and nothing else. The
 * driver takes back what is used and offers what is missing up to `to` from `offered` on. */
void pass_output(struct bed_guest *guest, uint32_t id, struct tcp_client *client, uint64_t from,
                 uint64_t offered, uint64_t to);

/* max_nr_ports as the driver reads it. */
uint32_t read_max_ports(struct bed_guest *guest);

#endif
