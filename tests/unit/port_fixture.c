/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "port_fixture.h"

#include "base/macros.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BASE 0xfffe

static struct port_fixture *fixture_of(struct backend_port *port)
{
	return container_of(port, struct port_fixture, port);
}

static size_t room(struct backend_port *port, size_t wanted)
{
	struct port_fixture *f = fixture_of(port);
	uint64_t head = byte_ring_head(&port->output);
	uint64_t left = f->room_until > head ? f->room_until - head : 0;
	size_t answer = (size_t)MIN(MIN(left, f->piece), port->output.size);

	if (wanted == 0 || wanted > port->output.size)
		support_die("room for %zu bytes is asked for", wanted);
	f->asked++;
	f->wanted = answer < wanted ? wanted : 0;
	return answer;
}

static size_t reclaim(struct backend_port *port)
{
	return MIN(fixture_of(port)->reclaimable, port->output.size);
}

static void start_queue(struct port_fixture *f, unsigned int i, struct driver_queue *driver,
                        uint16_t size, uint64_t features)
{
	struct frontend_vring_addr addr;
	struct virtq_addresses addresses;

	driver_queue_init(driver, NULL, &f->memory, i, size, BASE);
	driver->event_idx = features >> 29 & 1;
	f->states[i].next_avail = BASE;
	virtq_set_features(&f->vqs[i], features);
	addr = driver_queue_addr(driver);
	addresses = (struct virtq_addresses){addr.desc, addr.avail, addr.used};
	if (!virtq_start(&f->vqs[i], &addresses, size, false))
		support_die("a queue can't be started");
	driver_wants_kick(driver);
}

void port_fixture_init(struct port_fixture *f, uint16_t size, size_t output_bytes,
                       uint64_t features)
{
	memset(f, 0, sizeof(*f));
	guest_memory_init(&f->memory);
	gmem_fixture_map_all(&f->gmem, &f->memory);
	for (unsigned int i = 0; i < CONSOLE_VRINGS(1); i++)
		virtq_init(&f->vqs[i], &f->gmem, &f->states[i]);
	start_queue(f, 0, &f->receive, size, features);
	start_queue(f, 1, &f->transmit, size, features);
	start_queue(f, CONSOLE_CONTROL_RECEIVEQ, &f->control_receive, size, features);
	start_queue(f, CONSOLE_CONTROL_TRANSMITQ, &f->control_transmit, size, features);
	f->data = guest_memory_alloc(&f->memory, 0, 1 << 20, 16);
	f->output = malloc(output_bytes);
	f->input = malloc(PORT_INPUT_BYTES);
	byte_ring_init(&f->port.output, &f->ring_states[0], f->output, output_bytes);
	byte_ring_init(&f->port.input, &f->ring_states[1], f->input, PORT_INPUT_BYTES);
	f->port.device = &f->device;
	f->port.room = room;
	f->port.reclaim = reclaim;
	f->reclaimable = SIZE_MAX;
	f->room_until = UINT64_MAX;
	f->piece = SIZE_MAX;
	console_init(&f->console, &f->record, f->vqs, &f->console_port, 1);
	console_plug(&f->console, 0, &f->port, NULL, NULL);
}

void port_fixture_deinit(struct port_fixture *f)
{
	driver_queue_deinit(&f->receive);
	driver_queue_deinit(&f->transmit);
	driver_queue_deinit(&f->control_receive);
	driver_queue_deinit(&f->control_transmit);
	gmem_deinit(&f->gmem);
	guest_memory_deinit(&f->memory);
	free(f->output);
	free(f->input);
}

uint64_t port_crumble(struct port_fixture *f, uint32_t *ret_count)
{
	const uint64_t gpa = 1ull << 45, uva = 1ull << 46;
	uint32_t count = GMEM_REGIONS_MAX - f->gmem.count;
	uint8_t bytes[GMEM_REGIONS_MAX];
	int fd = memfd_create("crumbs", MFD_CLOEXEC);

	support_fill_pattern(bytes, count, 0);
	if (fd < 0 || write(fd, bytes, count) != (ssize_t)count)
		support_die("a file can't be written");
	for (uint32_t i = count; i-- > 0;) {
		const struct gmem_region region = {gpa + i, 1, uva + 2 * i, i};

		if (gmem_map(&f->gmem, &region, fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
			support_die("region %u can't be mapped", i);
	}
	close(fd);
	*ret_count = count;
	return gpa;
}

void port_transmit(struct port_fixture *f, uint32_t at, uint32_t len, uint64_t pos)
{
	struct driver_buffer buffer = {.gpa = f->data + at, .len = len};

	if (len > 0)
		support_fill_pattern(guest_memory_at(&f->memory, buffer.gpa, len), len, pos);
	if (!driver_add(&f->transmit, &buffer, 1, pos))
		support_die("no free descriptor");
	driver_publish(&f->transmit);
}

size_t port_take_output(struct port_fixture *f, uint64_t pos)
{
	size_t len = byte_ring_used(&f->port.output);
	uint8_t *got = malloc(len + 1), *expected = malloc(len + 1);

	byte_ring_get(&f->port.output, got, len);
	support_fill_pattern(expected, len, pos);
	if (memcmp(got, expected, len) != 0)
		support_die("output isn't what was transmitted, at %llu", (unsigned long long)pos);
	free(got);
	free(expected);
	return len;
}

void port_put_input(struct port_fixture *f, size_t len, uint64_t pos)
{
	uint8_t *bytes = malloc(len + 1);

	support_fill_pattern(bytes, len, pos);
	byte_ring_put(&f->port.input, bytes, len);
	free(bytes);
}
