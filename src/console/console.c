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
	*console = (struct console){
	    .config = {.max_nr_ports = le32_of(1)},
	    .seen = {.max_nr_ports = le32_of(1)},
	};
	port_init(&console->port, &vrings[0], &vrings[1], backend);
}

/* How many of `len` bytes at `offset` lie in the space. */
static uint32_t within(uint32_t offset, uint32_t len)
{
	uint32_t size = sizeof(struct console_config);

	return offset < size ? MIN(len, size - offset) : 0;
}

void console_read_config(struct console *console, uint32_t offset, void *ret_bytes, uint32_t len)
{
	const uint8_t *bytes = (const uint8_t *)&console->config;
	uint32_t n = within(offset, len);

	memset(ret_bytes, 0, len);
	if (n == 0)
		return;
	memcpy(ret_bytes, bytes + offset, n);
	memcpy((uint8_t *)&console->seen + offset, bytes + offset, n);
}

/* Notes what the frontend believes to be there. Whether it is the same as before up to `end`. */
static bool note_write(struct console *console, uint32_t offset, const uint8_t *bytes, uint32_t len,
                       uint32_t end)
{
	uint8_t *seen = (uint8_t *)&console->seen + offset;
	bool same = offset >= end || memcmp(seen, bytes, MIN(len, end - offset)) == 0;

	memcpy(seen, bytes, within(offset, len));
	return same;
}

bool console_write_config(struct console *console, uint32_t offset, const uint8_t *bytes,
                          uint32_t len)
{
	const uint32_t at = offsetof(struct console_config, emerg_wr);

	if (within(offset, len) == 0 || !note_write(console, offset, bytes, len, at))
		return false;
	if (offset > at || at - offset >= len || bytes[at - offset] == 0)
		return false;
	byte_ring_overwrite(&console->port.backend->port->output, &bytes[at - offset], 1);
	return true;
}

void console_set_size(struct console *console, uint16_t cols, uint16_t rows)
{
	console->config.cols = le16_of(cols);
	console->config.rows = le16_of(rows);
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
