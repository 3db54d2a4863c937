/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The daemon's guests in this process, and what stands around each: a frontend with its guest's
 * memory and driver on one side, a backend on the other.
 *
 * All of it is one thread. Whoever waits turns the loop, without ever sleeping in it; what doesn't
 * come before the deadline of support.h fails the test. A test says what it needs, the fixture
 * bed_teardown() takes everything down again, sees each guest's `stopped` and compares the open
 * files and mappings with those before the test.
 */
#ifndef CONFORMANCE_TESTBED_H
#define CONFORMANCE_TESTBED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "console_driver.h"
#include "driver.h"
#include "frontend.h"
#include "guest_memory.h"
#include "multiport_driver.h"
#include "resources.h"
#include "support.h"

#include "base/arena.h"
#include "config.h"
#include "loop/loop.h"
#include "test_backend.h"

#include <stdbool.h>
#include <sys/un.h>

#define BED_GUESTS 4
#define BED_RINGS  4
#define BED_PORTS  CONFIG_PORTS_MAX

struct bed;
struct guest;

struct bed_port_options {
	const char *name; /* or NULL */
	uint64_t history; /* 0: 256 KiB */
	bool data;
	bool network;   /* the real backend, on TCP; else the test's own */
	enum tail tail; /* of a data port */
};

struct bed_options {
	bool network;            /* of the one port, unless there are `ports` */
	bool listens;            /* for frontends; else it is handed one end of a socket pair */
	uint32_t max_queue_size; /* 0: 32768 */
	uint64_t history;        /* of the one port */
	const struct bed_port_options *ports; /* NULL: one, without a name, a console */
	unsigned int ports_count;
	bool multiport;         /* offered */
	unsigned int max_ports; /* 0: as many as there are */
	bool resize_rows_first;
};

struct bed_guest {
	struct bed *bed;
	struct guest *guest;
	struct guest_config config;
	struct port_config ports[BED_PORTS];
	char names[BED_PORTS][64];
	struct arena arena;
	union {                              /* of a port without `network` */
		struct test_backend backend; /* port 0's */
		struct test_backend backends[BED_PORTS];
	};
	uint16_t tcp_port[BED_PORTS]; /* of a port with `network` */
	struct sockaddr_un address;   /* if it listens */
	socklen_t address_len;
	bool stopping;
	unsigned int stopped, quits, disconnected;
	unsigned int removed; /* ports, by number: a bit for each that has stopped since added */

	struct frontend frontend;
	struct guest_memory memory;
	struct console_driver console;       /* after bed_console() or bed_multiport() */
	struct multiport_driver multiport;   /* after bed_multiport() */
	struct driver_queue ring[BED_RINGS]; /* after bed_ring() */
	uint64_t features;                   /* after bed_negotiate(): acknowledged */
};

struct bed {
	struct loop *loop;
	struct bed_guest guest[BED_GUESTS];
	unsigned int count;
	uint64_t turns;
	/* Called before each turn, if set. */
	void (*before_turn)(struct bed *bed, void *arg);
	void *before_turn_arg;
	/* bed_try(). */
	jmp_buf escape;
	bool trying, escapes;
};

/* Around each test. */
int bed_setup(void **state);
int bed_teardown(void **state);
#define BED_TEST(test) cmocka_unit_test_setup_teardown(test, bed_setup, bed_teardown)
#define BED_RUN(tests)                                                                             \
	cmocka_run_group_tests(tests, resources_group_setup, resources_group_teardown)

/* A loop with one guest, its frontend connected and its memory made. NULL: all defaults. */
struct bed_guest *bed_new(const struct bed_options *options);

/*
 * Gives a guest at work one port more, which must get the number `id`, and takes it away by its
 * number; as guest_add_port() and guest_remove_port(), whose answer it returns.
 */
int bed_add_port(struct bed_guest *guest, unsigned int id, const struct bed_port_options *options);
int bed_remove_port(struct bed_guest *guest, unsigned int id);
/* Turns until the port has stopped. */
void bed_await_removed(struct bed_guest *guest, unsigned int id);

/* One more guest on the same loop. */
struct bed_guest *bed_add(struct bed *bed, const struct bed_options *options);

/* Stops the guests, waits for it, frees everything. The teardown does it too. */
void bed_free(struct bed *bed);

void bed_turn(struct bed *bed);

/* Turns until nothing completes any more: for what mustn't happen. */
void bed_settle(struct bed *bed);

/* Turns until `done`. */
void bed_await(struct bed_guest *guest, bool (*done)(struct bed_guest *guest), const char *what);

/* Ends the guest and turns until it has stopped. */
void bed_stop(struct bed_guest *guest, bool finish);
/* Begins to end it. */
void bed_begin_stop(struct bed_guest *guest);

/* Hangs the frontend up, if it hasn't yet, and connects anew; a guest that listens only. */
void bed_reconnect(struct bed_guest *guest);
/* Hangs up and turns until the guest has forgotten the connection. */
void bed_hang_up(struct bed_guest *guest);

/* The console driver with these options, on the guest's frontend and memory. */
struct console_driver *bed_console(struct bed_guest *guest,
                                   const struct console_driver_options *options);

/* The driver with MULTIPORT and these options, likewise; its port 0 is the console driver. */
struct multiport_driver *bed_multiport(struct bed_guest *guest,
                                       const struct multiport_driver_options *options);

/*
 * The plainest negotiation: all protocol features, an acknowledgement for every request, these
 * virtio features and VERSION_1, and all of the memory. Each acknowledgement is asserted.
 */
void bed_negotiate(struct bed_guest *guest, uint64_t features);

/* A vring of that size; `base` as in driver_queue_init(). bed_ring() starts and enables it too. */
struct driver_queue *bed_ring_unstarted(struct bed_guest *guest, uint32_t index, uint16_t size,
                                        uint16_t base);
struct driver_queue *bed_ring(struct bed_guest *guest, uint32_t index, uint16_t size,
                              uint16_t base);

/*
 * Runs `run`; false if it was left: by bed_escape(), or, after bed_may_fail(), because something
 * was waited for in vain or the connection was closed, which is no failure of the test then.
 */
bool bed_try(struct bed *bed, void (*run)(void *arg), void *arg);
void bed_may_fail(struct bed *bed);
void bed_escape(struct bed *bed);

/* Turns until all that was discarded is closed. */
void bed_await_discards(void);

/* Open files and shared mappings: bed_same() asserts that there are as many as there were. */
struct bed_mark {
	struct resources resources;
};
void bed_mark(struct bed_mark *mark);
void bed_same(struct bed_mark *mark);

/* Bytes of a pattern, until the next call. */
const uint8_t *bed_pattern(size_t size);

/* The guest prints and reads `size` bytes of a pattern, over the test's backend. */
void bed_check_output(struct bed_guest *guest, size_t size);
void bed_check_input(struct bed_guest *guest, size_t size);

/* ---- single buffers on the vrings of bed_ring() ---- */

#define BED_RECEIVE  0
#define BED_TRANSMIT 1

/* New guest memory with these bytes (NULL: zeros). */
uint64_t bed_bytes(struct bed_guest *guest, const void *bytes, uint32_t size);

/* Adds a chain of one buffer: these bytes to print, or `size` bytes to read into. No kick. */
void bed_add_print(struct bed_guest *guest, const void *bytes, uint32_t size);
uint64_t bed_add_post(struct bed_guest *guest, uint32_t size);

/* Prints the bytes in one buffer, and awaits it back and the bytes at the backend. */
void bed_print(struct bed_guest *guest, const char *text);
/* The text is typed and comes in one buffer, which is posted before. */
void bed_type(struct bed_guest *guest, const char *text);

/* Asserts that exactly these bytes were collected, and forgets them. */
void bed_expect_output(struct bed_guest *guest, const void *bytes, size_t size);

#endif
