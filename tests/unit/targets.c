/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the echo: what the guest writes comes back, each byte once and in order, also where the
 * device has more at the moment when room is told.
 */
#include "unit.h"

#include "backends/output.h"
#include "backends/targets.h"
#include "base/macros.h"
#include "console/port.h"
#include "turning.h"

#include <string.h>

#define SIZE 64u

static struct {
	struct loop *loop;
	struct watched_scope scope;
	struct backend_device device;
	struct byte_ring_state states[3];
	uint8_t memory[3][SIZE];
	struct output output;
	struct byte_ring spill;
	struct backend *backend;
	uint8_t written, read; /* the next byte of each: they count up */
	bool stopped;
} f;

/* As the guest's: what was spilled goes first, and the backend hears of it. */
static void on_pump(struct backend_device *device)
{
	bool spilled = byte_ring_used(&f.spill) > 0;

	(void)device;
	port_drain(&f.output.port, &f.spill);
	if (spilled)
		f.backend->ops->wake(f.backend);
}

static void on_stopped(struct backend_device *device)
{
	(void)device;
	f.stopped = true;
}

static void set_up(void)
{
	struct byte_ring *rings[] = {&f.output.port.output, &f.output.port.input, &f.spill};

	memset(&f, 0, sizeof(f));
	f.loop = turning_loop();
	watched_scope_init(&f.scope, f.loop);
	f.device = (struct backend_device){.pump = on_pump, .stopped = on_stopped};
	f.output.port.device = &f.device;
	f.output.port.data = true;
	for (unsigned int i = 0; i < 3; i++)
		byte_ring_init(rings[i], &f.states[i], f.memory[i], SIZE);
	output_init(&f.output, &f.scope.scope);
	assert_int_equal(echo_new(&f.backend, f.loop, &f.output.port), 0);
}

static void tear_down(void)
{
	f.backend->ops->stop(f.backend);
	turn_until(f.loop, f.stopped);
	watched_scope_end(&f.scope);
	loop_free(f.loop);
}

static void print(size_t len)
{
	for (; len > 0; len--, f.written++)
		byte_ring_overwrite(&f.output.port.output, &f.written, 1);
}

static void spill(size_t len)
{
	for (; len > 0; len--, f.written++)
		byte_ring_put(&f.spill, &f.written, 1);
}

static void read_back(size_t len)
{
	uint8_t byte;

	for (; len > 0; len--, f.read++) {
		assert_int_equal(byte_ring_get(&f.output.port.input, &byte, 1), 1);
		assert_int_equal(byte, f.read);
	}
}

TEST(what_is_written_comes_back)
{
	set_up();
	for (unsigned int i = 0; i < 20; i++) {
		print(50);
		f.backend->ops->wake(f.backend);
		read_back(50);
	}
	tear_down();
}

/* The room that the first piece leaves is filled, and the echo woken, before the second is taken.
 */
TEST(what_was_spilled_comes_back_behind_what_was_before_it)
{
	set_up();
	print(40);
	f.backend->ops->wake(f.backend);
	read_back(40);
	print(SIZE); /* in two pieces */
	assert_int_equal(f.output.port.room(&f.output.port, 1), 0);
	spill(30);
	f.backend->ops->wake(f.backend);
	read_back(SIZE);
	f.backend->ops->wake(f.backend);
	read_back(30);
	assert_int_equal(f.read, f.written);
	assert_int_equal(byte_ring_used(&f.output.port.input), 0);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(what_is_written_comes_back),
	    UNIT(what_was_spilled_comes_back_behind_what_was_before_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
