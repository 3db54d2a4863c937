/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "console/console.h"

#include "base/macros.h"

#include <string.h>

/* Virtqueues come in pairs, the even ones receive (virtio 1.3, 5.3.2). */
static bool is_transmitq(unsigned int vring)
{
	return vring % 2 == 1;
}

void console_init(struct console *console, struct virtq *vrings, struct backend *backend)
{
	*console = (struct console){.config = {.max_nr_ports = le32_of(1)}};
	port_init(&console->port, &vrings[0], &vrings[1], backend);
}

void console_read_config(const struct console *console, uint32_t offset, void *ret_bytes,
                         uint32_t len)
{
	const uint8_t *bytes = (const uint8_t *)&console->config;
	uint32_t size = sizeof(console->config);
	uint32_t n = offset < size ? MIN(len, size - offset) : 0;

	memset(ret_bytes, 0, len);
	if (n > 0)
		memcpy(ret_bytes, bytes + offset, n);
}

struct port_outcome console_pump(struct console *console, unsigned int vring)
{
	if (vring >= CONSOLE_VRINGS)
		return (struct port_outcome){0};
	return is_transmitq(vring) ? port_pump_output(&console->port)
	                           : port_pump_input(&console->port);
}

struct port_outcome console_settle(struct console *console, unsigned int vring)
{
	if (vring >= CONSOLE_VRINGS || !is_transmitq(vring))
		return (struct port_outcome){0};
	return port_settle_output(&console->port);
}
