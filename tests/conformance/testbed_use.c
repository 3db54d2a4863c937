/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What tests do with a guest again and again: negotiate, start a ring, move a pattern. See
 * testbed.h.
 */
#include "testbed.h"

#include <stdlib.h>
#include <string.h>

struct console_driver *bed_console(struct bed_guest *guest,
                                   const struct console_driver_options *options)
{
	multiport_driver_deinit(&guest->multiport);
	console_driver_deinit(&guest->console);
	guest_memory_rewind(&guest->memory);
	console_driver_init(&guest->console, &guest->frontend, &guest->memory, options);
	return &guest->console;
}

struct multiport_driver *bed_multiport(struct bed_guest *guest,
                                       const struct multiport_driver_options *options)
{
	struct console_driver_options console = multiport_driver_console_options(options);

	bed_console(guest, &console);
	multiport_driver_init(&guest->multiport, &guest->console, options);
	return &guest->multiport;
}

void bed_negotiate(struct bed_guest *guest, uint64_t features)
{
	struct frontend *frontend = &guest->frontend;
	uint64_t protocol = frontend_get_protocol_features(frontend);

	assert_true(protocol & 1ull << FE_PROTOCOL_REPLY_ACK);
	frontend_set_protocol_features(frontend, protocol);
	frontend->need_reply = FE_NEED_REPLY_SETS;
	guest->features = features | 1ull << DRIVER_F_VERSION_1;
	assert_int_equal(frontend_set_owner(frontend), 0);
	assert_int_equal(
	    frontend_set_features(frontend, guest->features | 1ull << FE_F_PROTOCOL_FEATURES), 0);
	assert_int_equal(
	    frontend_set_mem_table(frontend, guest->memory.region, guest->memory.count), 0);
}

struct driver_queue *bed_ring_unstarted(struct bed_guest *guest, uint32_t index, uint16_t size,
                                        uint16_t base)
{
	struct driver_queue *ring = &guest->ring[index];

	driver_queue_deinit(ring);
	driver_queue_init(ring, &guest->frontend, &guest->memory, index, size, base);
	ring->event_idx = guest->features >> DRIVER_F_EVENT_IDX & 1;
	ring->in_order = guest->features >> DRIVER_F_IN_ORDER & 1;
	return ring;
}

struct driver_queue *bed_ring(struct bed_guest *guest, uint32_t index, uint16_t size, uint16_t base)
{
	struct driver_queue *ring = bed_ring_unstarted(guest, index, size, base);

	assert_int_equal(driver_queue_start(ring), 0);
	return ring;
}

void bed_mark(struct bed_mark *mark)
{
	bed_await_discards();
	resources_count(&mark->resources);
}

void bed_same(struct bed_mark *mark)
{
	struct resources now;
	bool same;

	bed_await_discards();
	resources_count(&now);
	same = resources_same(&mark->resources, &now);
	resources_free(&now);
	resources_free(&mark->resources);
	assert_true(same);
}

const uint8_t *bed_pattern(size_t size)
{
	static uint8_t *pattern;

	free(pattern);
	pattern = NULL;
	if (size == 0)
		return NULL;
	pattern = malloc(size);
	if (!pattern)
		support_die("out of memory for a pattern of %zu bytes", size);
	support_fill_pattern(pattern, size, size);
	return pattern;
}

void bed_check_output(struct bed_guest *guest, size_t size)
{
	const uint8_t *pattern = bed_pattern(size);

	test_backend_forget(&guest->backend);
	console_driver_transmit(&guest->console, pattern, size);
	assert_int_equal(guest->backend.output_size, size);
	assert_memory_equal(guest->backend.output, pattern, size);
}

void bed_check_input(struct bed_guest *guest, size_t size)
{
	const uint8_t *pattern = bed_pattern(size);

	test_backend_type(&guest->backend, pattern, size);
	console_driver_expect_input(&guest->console, pattern, size);
	bed_settle(guest->bed);
	assert_int_equal(console_driver_collect(&guest->console), 0);
}

uint64_t bed_bytes(struct bed_guest *guest, const void *bytes, uint32_t size)
{
	uint64_t gpa = guest_memory_alloc(&guest->memory, 0, size, 1);

	if (bytes)
		guest_memory_write(&guest->memory, gpa, bytes, size);
	return gpa;
}

void bed_add_print(struct bed_guest *guest, const void *bytes, uint32_t size)
{
	struct driver_buffer buffer = {bed_bytes(guest, bytes, size), size, false};

	assert_true(driver_add(&guest->ring[BED_TRANSMIT], &buffer, 1, 0));
}

uint64_t bed_add_post(struct bed_guest *guest, uint32_t size)
{
	struct driver_buffer buffer = {bed_bytes(guest, NULL, size), size, true};

	assert_true(driver_add(&guest->ring[BED_RECEIVE], &buffer, 1, buffer.gpa));
	return buffer.gpa;
}

void bed_expect_output(struct bed_guest *guest, const void *bytes, size_t size)
{
	assert_int_equal(guest->backend.output_size, size);
	if (size > 0)
		assert_memory_equal(guest->backend.output, bytes, size);
	test_backend_forget(&guest->backend);
}

void bed_print(struct bed_guest *guest, const char *text)
{
	bed_add_print(guest, text, (uint32_t)strlen(text));
	driver_kick(&guest->ring[BED_TRANSMIT]);
	/* virtio 1.3, 2.7.8: nothing was written into it. */
	assert_int_equal(driver_await(&guest->ring[BED_TRANSMIT]).len, 0);
	bed_expect_output(guest, text, strlen(text));
}

void bed_type(struct bed_guest *guest, const char *text)
{
	uint32_t size = (uint32_t)strlen(text);
	struct driver_used used;

	bed_add_post(guest, size + 1);
	driver_kick(&guest->ring[BED_RECEIVE]);
	test_backend_type(&guest->backend, text, size);
	used = driver_await(&guest->ring[BED_RECEIVE]);
	assert_int_equal(used.len, size);
	assert_memory_equal(guest_memory_at(&guest->memory, used.cookie, size), text, size);
}
