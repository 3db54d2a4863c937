/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the driver remembers of a chain; only driver.c and driver_queue.c include this.
 */
#ifndef SUPPORT_DRIVER_BOOKS_H
#define SUPPORT_DRIVER_BOOKS_H

#include <stdbool.h>
#include <stdint.h>

struct driver_chain {
	bool outstanding;
	uint16_t count; /* descriptors of the table, linked by driver_queue.link */
	uint64_t writable;
	uint64_t cookie;
};

#endif
