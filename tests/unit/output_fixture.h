/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A port's output ring of SIZE bytes with two readers and a device, and a loop whose time stands
 * still between turns. For one program: all of it is static.
 */
#ifndef OUTPUT_FIXTURE_H
#define OUTPUT_FIXTURE_H

#include "backends/output.h"
#include "base/macros.h"
#include "turning.h"

#include <string.h>

#define SIZE 64u

struct test_reader {
	struct reader reader;
	unsigned int wakes;
};

static struct {
	struct loop *loop;
	struct watched_scope scope;
	struct backend_device device;
	struct byte_ring_state state;
	uint8_t memory[SIZE];
	struct output output;
	struct test_reader a, b;
	unsigned int pumps, finished;
	bool greedy; /* the device fills the ring at each pump */
} f;

/* A device that has more than the ring takes: it writes until it is held. */
static inline void fill(void)
{
	static const uint8_t bytes[SIZE];
	size_t room;

	while (f.greedy && (room = f.output.port.room(&f.output.port, 1)) > 0) {
		if (room > SIZE)
			support_die("room for %zu bytes in a ring of %u", room, SIZE);
		byte_ring_overwrite(&f.output.port.output, bytes, room);
		f.greedy = !f.a.reader.lagging;
	}
}

static inline void on_pump(struct backend_device *device)
{
	(void)device;
	f.pumps++;
	if (f.greedy)
		fill();
}

static inline void on_wake(struct reader *reader)
{
	container_of(reader, struct test_reader, reader)->wakes++;
}

static inline void set_up(void)
{
	memset(&f, 0, sizeof(f));
	f.loop = turning_loop();
	watched_scope_init(&f.scope, f.loop);
	f.device.pump = on_pump;
	f.output.port.device = &f.device;
	byte_ring_init(&f.output.port.output, &f.state, f.memory, SIZE);
	output_init(&f.output, &f.scope.scope);
}

static inline void tear_down(void)
{
	watched_scope_end(&f.scope);
	loop_free(f.loop);
}

static inline void join(struct test_reader *r)
{
	reader_init(&r->reader, &f.output, on_wake);
}

static inline void leave(struct test_reader *r)
{
	reader_deinit(&r->reader);
}

/* The device writes, whatever the policy says. */
static inline void write_bytes(size_t len)
{
	for (; len > 0; len--)
		byte_ring_overwrite(&f.output.port.output, "x", 1);
}

/* A reader that sends in one go. */
static inline void read_bytes(struct test_reader *r, size_t len)
{
	reader_sending(&r->reader);
	reader_sent(&r->reader, len);
}

static inline void assert_room(size_t room)
{
	assert_int_equal(f.output.port.room(&f.output.port, 1), room);
}

/* It can't be sent anything. */
static inline void block(struct test_reader *r)
{
	reader_set_blocked(&r->reader, true);
}

static inline void wait_until_lagging(struct test_reader *r)
{
	block(r);
	turn_until(f.loop, r->reader.lagging);
}

/* Turns until `ms` have passed on the loop's clock. */
static inline void let_pass(uint64_t ms)
{
	uint64_t until = loop_now_ms(f.loop) + ms;

	turn_until(f.loop, loop_now_ms(f.loop) >= until);
}

#endif
