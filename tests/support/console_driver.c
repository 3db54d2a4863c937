/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The console's life and its one port's bytes. See console_driver.h; the VMM's part is in
 * console_vmm.c, the bytes' in port_driver.c.
 */
#include "console_driver.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "support.h"

#define HVC_SIZE 16

/* ---- life ---- */

static void default_options(struct console_driver *console)
{
	struct console_driver_options *options = &console->options;

	if (!options->vmm)
		options->vmm = &vmm_qemu;
	if (!options->features)
		options->features = 1ull << DRIVER_F_VERSION_1 | 1ull << DRIVER_F_EVENT_IDX |
		                    1ull << DRIVER_F_INDIRECT_DESC | 1ull << DRIVER_F_IN_ORDER |
		                    1ull << CONSOLE_F_SIZE;
	if (!options->queue_size)
		options->queue_size = options->vmm->queue_size;
	if (!options->configured)
		options->configured = 2;
	if (!options->vrings)
		options->vrings = 4;
	if (options->vrings > CONSOLE_DRIVER_VRINGS || options->configured > options->vrings)
		support_die("%u of %u vrings", options->configured, options->vrings);
}

static void make_port(struct console_driver *console)
{
	const struct port_driver_options options = {
	    .receive_count = console->options.receive_count,
	    .receive_size = console->options.receive_size,
	    .transmit_size = console->options.transmit_size,
	    .indirect = console->options.indirect,
	};

	port_driver_init(&console->port, console->frontend, console->memory,
	                 &console->queue[CONSOLE_RECEIVE], &console->queue[CONSOLE_TRANSMIT],
	                 &options);
}

void console_driver_init(struct console_driver *console, struct frontend *frontend,
                         struct guest_memory *memory, const struct console_driver_options *options)
{
	uint32_t i;

	*console = (struct console_driver){.frontend = frontend, .memory = memory};
	if (options)
		console->options = *options;
	default_options(console);
	console->vmm = console->options.vmm;
	for (i = 0; i < console->options.vrings; i++) {
		driver_queue_init(&console->queue[i], frontend, memory, i,
		                  console->options.queue_size, console->options.base);
		console->saved_base[i] = console->options.base;
		console->masked_call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (console->masked_call[i] < 0)
			support_die("eventfd: %s", strerror(errno));
	}
	make_port(console);
}

void console_driver_deinit(struct console_driver *console)
{
	uint32_t i;

	if (!console->frontend)
		return;
	for (i = 0; i < console->options.vrings; i++) {
		driver_queue_deinit(&console->queue[i]);
		close(console->masked_call[i]);
	}
	port_driver_deinit(&console->port);
	*console = (struct console_driver){0};
}

/* ---- the console ---- */

void console_driver_post(struct console_driver *console)
{
	port_driver_post(&console->port);
}

size_t console_driver_offer(struct console_driver *console, const void *bytes, size_t size)
{
	return port_driver_offer(&console->port, bytes, size);
}

unsigned int console_driver_reap(struct console_driver *console)
{
	return port_driver_reap(&console->port);
}

void console_driver_transmit(struct console_driver *console, const void *bytes, size_t size)
{
	port_driver_transmit(&console->port, bytes, size);
}

void console_driver_transmit_hvc(struct console_driver *console, const void *bytes, size_t size)
{
	const uint8_t *from = bytes;
	size_t part;

	for (; size; from += part, size -= part) {
		part = size < HVC_SIZE ? size : HVC_SIZE;
		if (part > console->port.options.transmit_size)
			part = console->port.options.transmit_size;
		console_driver_transmit(console, from, part);
	}
}

size_t console_driver_collect(struct console_driver *console)
{
	return port_driver_collect(&console->port);
}

void console_driver_await_input(struct console_driver *console, size_t size)
{
	port_driver_await_input(&console->port, size);
}

size_t console_driver_take_input(struct console_driver *console, void *ret_bytes, size_t room)
{
	return port_driver_take_input(&console->port, ret_bytes, room);
}

void console_driver_expect_input(struct console_driver *console, const void *bytes, size_t size)
{
	port_driver_expect_input(&console->port, bytes, size);
}
