/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "people.h"

#include "target.h"

#include "base/macros.h"

static size_t room(struct backend_port *port, size_t wanted)
{
	struct people *people = container_of(port, struct people, port);

	must(wanted > 0 && wanted <= port->output.size);
	if (port->data)
		return byte_ring_free(&port->output);
	return ++people->asked % 4 == 0 ? wanted / 2 : port->output.size;
}

static size_t reclaim(struct backend_port *port)
{
	struct people *people = container_of(port, struct people, port);

	if (port->data)
		return byte_ring_free(&port->output);
	return ++people->asked % 2 == 0 ? 16 : port->output.size;
}

void people_init(struct people *people, bool data, size_t spill_bytes)
{
	must(spill_bytes <= PEOPLE_SPILL_BYTES);
	*people = (struct people){0};
	byte_ring_init(&people->port.output, &people->states[0], people->output,
	               PEOPLE_OUTPUT_BYTES);
	byte_ring_init(&people->port.input, &people->states[1], people->input, PEOPLE_INPUT_BYTES);
	byte_ring_init(&people->spill, &people->states[2], people->spilled, spill_bytes);
	people->port.room = room;
	people->port.reclaim = reclaim;
	people->port.data = data;
}
