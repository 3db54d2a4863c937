/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device's configuration space (virtio 1.3, 5.3.4) as frontends read and write it; see
 * console.h. It answers any range, and must not write beyond what it was asked for.
 */
#include "console/console.h"

#include "base/macros.h"

#include <string.h>

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
	console->was_read = true;
	memcpy(ret_bytes, bytes + offset, n);
	memcpy((uint8_t *)&console->seen + offset, bytes + offset, n);
}

/*
 * Notes what the frontend believes to be there. Whether it is the same as before up to `end`, which
 * it is for who hasn't seen anything yet.
 */
static bool note_write(struct console *console, uint32_t offset, const uint8_t *bytes, uint32_t len,
                       uint32_t end)
{
	uint8_t *seen = (uint8_t *)&console->seen + offset;
	bool same =
	    !console->was_read || offset >= end || memcmp(seen, bytes, MIN(len, end - offset)) == 0;

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
	return port_emergency_write(&console->ports[console_main_port(console)].port,
	                            bytes[at - offset]);
}
