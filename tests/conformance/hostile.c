/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Frontends and guests that do their worst for long: each installing message ten thousand times
 * (R2, R8), rings scribbled over at random (R9), floods of messages and of output; and a second
 * guest on the same loop that must not notice (design, 4: a bounded budget a turn).
 */
#include "testbed.h"

#include "console/port.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPEATS 10000

static struct bed_guest *prepare(const struct bed_options *options, uint64_t features)
{
	struct bed_guest *guest = bed_new(options);

	bed_negotiate(guest, features);
	bed_ring(guest, BED_RECEIVE, 16, 0);
	bed_ring(guest, BED_TRANSMIT, 16, 0);
	return guest;
}

/* ---- the same message again and again ---- */

static void again_mem_table(struct bed_guest *guest)
{
	assert_int_equal(
	    frontend_set_mem_table(&guest->frontend, guest->memory.region, guest->memory.count), 0);
}

static void again_kick(struct bed_guest *guest)
{
	assert_int_equal(frontend_set_vring_kick(&guest->frontend, 1, guest->ring[1].kick), 0);
}

static void again_call(struct bed_guest *guest)
{
	assert_int_equal(frontend_set_vring_call(&guest->frontend, 1, guest->ring[1].call), 0);
}

static void again_err(struct bed_guest *guest)
{
	assert_int_equal(frontend_set_vring_err(&guest->frontend, 1, guest->ring[1].err), 0);
}

static void again_backend_req(struct bed_guest *guest)
{
	assert_int_equal(frontend_set_backend_req_fd(&guest->frontend), 0);
}

static void again_add_and_remove(struct bed_guest *guest)
{
	struct guest_region region = guest->memory.region[1];

	region.gpa = 1ull << 45;
	region.uva = 1ull << 44;
	assert_int_equal(frontend_add_mem_reg(&guest->frontend, &region), 0);
	assert_int_equal(frontend_rem_mem_reg(&guest->frontend, &region), 0);
}

static void again_refused_table(struct bed_guest *guest)
{
	struct guest_region table[3];

	memcpy(table, guest->memory.region, sizeof(table));
	table[2].fd = guest->ring[1].kick;
	assert_int_not_equal(frontend_set_mem_table(&guest->frontend, table, 3), 0);
}

static void again_stop_and_start(struct bed_guest *guest)
{
	driver_queue_stop(&guest->ring[1]);
	assert_int_equal(driver_queue_start(&guest->ring[1]), 0);
}

static void again_features(struct bed_guest *guest)
{
	assert_int_equal(frontend_set_features(&guest->frontend,
	                                       guest->features | 1ull << FE_F_PROTOCOL_FEATURES),
	                 0);
	assert_int_equal(frontend_set_owner(&guest->frontend), 0);
}

struct again {
	const char *name;
	void (*once)(struct bed_guest *guest);
};

static struct again again[] = {
    {"SET_MEM_TABLE ten thousand times leaves one", again_mem_table},
    {"SET_VRING_KICK ten thousand times leaves one", again_kick},
    {"SET_VRING_CALL ten thousand times leaves one", again_call},
    {"SET_VRING_ERR ten thousand times leaves one", again_err},
    {"SET_BACKEND_REQ_FD ten thousand times leaves one", again_backend_req},
    {"ADD_MEM_REG, REM_MEM_REG ten thousand times leave none", again_add_and_remove},
    {"SET_MEM_TABLE refused ten thousand times leaves none", again_refused_table},
    {"stop and start ten thousand times leave one", again_stop_and_start},
    {"SET_FEATURES, SET_OWNER ten thousand times", again_features},
};

#define AGAIN (sizeof(again) / sizeof(again[0]))

/* CVE-2019-14818, CVE-2020-10726 (R2, R8): what is installed takes the place of what was. */
static void ten_thousand_times(void **state)
{
	const struct again *which = *state;
	struct bed_guest *guest = prepare(NULL, 0);
	struct bed_mark mark;

	which->once(guest);
	bed_mark(&mark);
	for (unsigned int k = 0; k < REPEATS; k++)
		which->once(guest);
	bed_same(&mark);
	bed_print(guest, "works");
	bed_type(guest, "works");
}

/* The same without waiting for answers: many wait in the socket at once. */
static void descriptors_replaced_faster_than_used(void **state)
{
	struct bed_guest *guest = prepare(NULL, 0);
	struct bed_mark mark;

	(void)state;
	bed_print(guest, "first");
	bed_mark(&mark);
	guest->frontend.need_reply = FE_NEED_REPLY_NEVER;
	for (unsigned int k = 0; k < REPEATS; k++) {
		driver_kick_always(&guest->ring[1]);
		frontend_set_vring_kick(&guest->frontend, 1, guest->ring[1].kick);
		frontend_set_vring_call(&guest->frontend, 1, guest->ring[1].call);
		frontend_set_vring_err(&guest->frontend, 0, guest->ring[0].err);
	}
	frontend_barrier(&guest->frontend);
	bed_settle(guest->bed);
	bed_same(&mark);
	bed_print(guest, "works");
}

/* Connections that come and go, each with all that a connection can have. */
static void a_thousand_connections_leave_nothing(void **state)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.listens = true});
	struct bed_mark mark;

	(void)state;
	bed_hang_up(guest);
	bed_mark(&mark);
	for (unsigned int k = 0; k < 1000; k++) {
		bed_reconnect(guest);
		guest_memory_rewind(&guest->memory);
		bed_negotiate(guest, 0);
		bed_ring(guest, BED_TRANSMIT, 16, 0);
		if (k == 0)
			bed_print(guest, "once");
		again_backend_req(guest);
		bed_hang_up(guest);
		if (k == 0) /* the first ring's eventfds are the test's own */
			resources_free(&mark.resources), bed_mark(&mark);
	}
	bed_same(&mark);
}

/* ---- random rings ---- */

static uint64_t dice(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* A number that is likely to be near something. */
static uint64_t interesting(struct bed_guest *guest, uint64_t *seed)
{
	const struct guest_region *region = &guest->memory.region[dice(seed) % 3];

	switch (dice(seed) % 6) {
	case 0:
		return dice(seed);
	case 1:
		return region->gpa + dice(seed) % region->size;
	case 2:
		return region->gpa + region->size - dice(seed) % 64;
	case 3:
		return dice(seed) % 40;
	case 4:
		return -(dice(seed) % 40);
	default:
		return region->gpa + 65536 + dice(seed) % 1024;
	}
}

static void scribble(struct bed_guest *guest, struct driver_queue *ring, uint64_t *seed)
{
	uint32_t i = (uint32_t)(dice(seed) % ring->size);

	switch (dice(seed) % 8) {
	case 0:
		driver_store16(driver_avail_idx(ring), (uint16_t)interesting(guest, seed));
		break;
	case 1:
		driver_store16(driver_used_event(ring), (uint16_t)dice(seed));
		*driver_avail_flags(ring) = (uint16_t)dice(seed);
		break;
	case 2:
	case 3:
		*driver_avail_entry(ring, i) = (uint16_t)(dice(seed) % (ring->size + 1u));
		driver_store16(driver_avail_idx(ring),
		               (uint16_t)(driver_load16(driver_avail_idx(ring)) + 1));
		break;
	default:
		driver_write_desc(
		    driver_desc_at(ring, i), interesting(guest, seed),
		    (uint32_t)(dice(seed) % 2 ? dice(seed) % 5000 : interesting(guest, seed)),
		    (uint16_t)(dice(seed) % 9), (uint16_t)(dice(seed) % ring->size));
	}
}

/* Its rings, which may be broken, from the beginning. */
static void begin_again(struct bed_guest *guest, uint64_t features, uint16_t size)
{
	guest->features = features;
	for (uint32_t i = 0; i < 2; i++) {
		frontend_get_vring_base(&guest->frontend, i);
		bed_ring(guest, i, size, (uint16_t)(size * 4099u));
	}
}

/* R9, R11, R15: whatever a guest writes and whenever, it is its own ring that breaks. */
static void rings_scribbled_over_harm_nobody(void **state)
{
	uint64_t all = 1ull << DRIVER_F_INDIRECT_DESC | 1ull << DRIVER_F_EVENT_IDX;
	struct bed_guest *guest = prepare(&(struct bed_options){.history = 4096}, all);
	struct bed_guest *other = bed_add(guest->bed, NULL);
	uint64_t seed = 20261123;

	(void)state;
	bed_console(other, NULL);
	assert_true(console_driver_bring_up(&other->console));
	for (unsigned int round = 0; round < 300; round++) {
		guest_memory_rewind(&guest->memory);
		begin_again(guest, guest->features, (uint16_t)(1u << dice(&seed) % 7));
		test_backend_type(&guest->backend, "some input", 10);
		for (unsigned int i = 0; i < 100; i++) {
			struct driver_queue *ring = &guest->ring[dice(&seed) % 2];

			if (dice(&seed) % 16 == 0)
				test_backend_allow(&guest->backend, dice(&seed) % 5000);
			scribble(guest, ring, &seed);
			if (dice(&seed) % 4 == 0)
				driver_kick_always(ring);
			if (dice(&seed) % 3 == 0)
				bed_turn(guest->bed);
		}
		test_backend_allow(&guest->backend, 1000000);
		if (round % 25 == 0) {
			bed_check_output(other, 5000);
			bed_check_input(other, 5000);
		}
	}
	test_backend_forget(&guest->backend);
	guest->backend.limit = TEST_BACKEND_NO_LIMIT;
	guest_memory_rewind(&guest->memory);
	begin_again(guest, guest->features, 16);
	bed_settle(guest->bed);
	test_backend_forget(&guest->backend);
	bed_print(guest, "works again");
}

/* ---- floods ---- */

/* A ring full of chains, each of `count` descriptors of `len` bytes, all of the same memory. */
static void fill_ring(struct bed_guest *guest, uint16_t size, uint32_t count, uint32_t len)
{
	struct driver_queue *ring = &guest->ring[BED_TRANSMIT];
	uint64_t gpa = guest->memory.region[0].gpa;

	for (uint32_t i = 0; i < size; i++) {
		bool last = (i + 1) % count == 0;

		driver_write_desc(driver_desc_at(ring, i), gpa, len, last ? 0 : DRIVER_DESC_NEXT,
		                  (uint16_t)(i + 1));
		*driver_avail_entry(ring, i) = (uint16_t)(i / count * count);
	}
	driver_store16(driver_avail_idx(ring), (uint16_t)(ring->used_idx + size));
	driver_kick_always(ring);
}

struct flood {
	uint32_t count, len; /* as fill_ring() */
};

static const struct flood floods[] = {
    {1, 0}, {1, 1}, {1, 16}, {1, 1 << 20}, {32768, 0}, {32768, 1}, {32768, 1 << 20}, {16, 65536},
};

#define FLOODS (sizeof(floods) / sizeof(floods[0]))

static struct bed_guest *prepare_flood(const struct flood *flood)
{
	struct bed_guest *guest = bed_new(NULL);

	bed_negotiate(guest, 0);
	guest->backend.overwrites = true;
	bed_ring(guest, BED_TRANSMIT, 32768, 0);
	fill_ring(guest, 32768, flood->count, flood->len);
	return guest;
}

/* console/port.h: a turn takes a bounded amount of one guest, in bytes and in descriptors. */
static void a_turn_takes_a_bounded_amount(void **state)
{
	(void)state;
	for (size_t f = 0; f < FLOODS; f++) {
		struct bed_guest *guest = prepare_flood(&floods[f]);
		struct byte_ring *output = &guest->backend.backend.port->output;
		uint64_t head = byte_ring_head(output);
		uint16_t used = 0;

		for (unsigned int i = 0; i < 200; i++) {
			uint16_t now;

			bed_turn(guest->bed);
			now = driver_load16(driver_used_idx(&guest->ring[BED_TRANSMIT]));
			assert_true(byte_ring_head(output) - head <= PORT_BUDGET_BYTES);
			/* One chain is taken whole, however long. */
			assert_true((uint16_t)(now - used) <= PORT_BUDGET_DESCS / 2 + 1);
			head = byte_ring_head(output);
			used = now;
		}
		bed_free(guest->bed);
	}
}

/* The same of a receiveq: chains of many descriptors, and input for all of them. */
static void a_turn_fills_a_bounded_amount(void **state)
{
	enum { CHAIN = 16, CHAINS = 2048 };
	struct bed_guest *guest = bed_new(NULL);
	struct driver_buffer buffers[CHAIN];
	struct driver_queue *ring;
	uint16_t used = 0;

	(void)state;
	bed_negotiate(guest, 0);
	ring = bed_ring(guest, BED_RECEIVE, 32768, 0);
	for (unsigned int i = 0; i < CHAIN; i++)
		buffers[i] = (struct driver_buffer){bed_bytes(guest, NULL, 1), 1, true};
	for (unsigned int i = 0; i < CHAINS; i++)
		assert_true(driver_add(ring, buffers, CHAIN, 0));
	driver_kick(ring);
	bed_settle(guest->bed);
	test_backend_type(&guest->backend, bed_pattern(CHAIN * CHAINS), CHAIN * CHAINS);
	for (unsigned int turns = 0; used < CHAINS; turns++) {
		uint16_t now;

		assert_true(turns < 1000);
		bed_turn(guest->bed);
		now = driver_load16(driver_used_idx(ring));
		assert_true((uint16_t)(now - used) <= PORT_BUDGET_DESCS / CHAIN + 1);
		used = now;
	}
}

/* Another guest gets its turn in each turn, whatever the first one has to do. */
static void a_flood_of_output_delays_nobody(void **state)
{
	(void)state;
	for (size_t f = 0; f < FLOODS; f++) {
		struct bed_guest *guest = prepare_flood(&floods[f]);
		struct bed_guest *other = bed_add(guest->bed, NULL);

		bed_negotiate(other, 0);
		bed_ring(other, BED_RECEIVE, 16, 0);
		bed_ring(other, BED_TRANSMIT, 16, 0);
		for (unsigned int i = 0; i < 50; i++) {
			uint64_t before;

			if (driver_load16(driver_used_idx(&guest->ring[BED_TRANSMIT])) ==
			    driver_load16(driver_avail_idx(&guest->ring[BED_TRANSMIT]))) {
				guest->ring[BED_TRANSMIT].used_idx =
				    driver_load16(driver_used_idx(&guest->ring[BED_TRANSMIT]));
				fill_ring(guest, 32768, floods[f].count, floods[f].len);
			}
			before = guest->bed->turns;
			bed_print(other, "quick");
			bed_type(other, "quick");
			/* Two kicks, two buffers: each a turn or two. */
			assert_true(guest->bed->turns - before <= 6);
		}
		bed_free(guest->bed);
	}
}

/* A frontend that sends without end gets one message a turn; others get theirs. */
static void a_flood_of_messages_delays_nobody(void **state)
{
	struct bed_guest *guest = bed_new(NULL);
	struct bed_guest *other = bed_add(guest->bed, NULL);
	uint32_t owner[3] = {FE_SET_OWNER, FE_FLAG_VERSION, 0};
	uint64_t before;

	(void)state;
	bed_negotiate(other, 0);
	bed_ring(other, BED_RECEIVE, 16, 0);
	bed_ring(other, BED_TRANSMIT, 16, 0);
	for (unsigned int i = 0; i < 500; i++) {
		while (send(guest->frontend.sock, owner, sizeof(owner), MSG_DONTWAIT) > 0)
			;
		before = guest->bed->turns;
		bed_print(other, "quick");
		frontend_barrier(&other->frontend);
		assert_true(guest->bed->turns - before <= 12);
	}
}

/* Kicks without end, for nothing. */
static void a_flood_of_kicks_delays_nobody(void **state)
{
	struct bed_guest *guest = prepare(NULL, 0);
	struct bed_guest *other = bed_add(guest->bed, NULL);

	(void)state;
	bed_negotiate(other, 0);
	bed_ring(other, BED_TRANSMIT, 16, 0);
	for (unsigned int i = 0; i < 2000; i++) {
		uint64_t before = guest->bed->turns;

		driver_kick_always(&guest->ring[0]);
		driver_kick_always(&guest->ring[1]);
		bed_print(other, "quick");
		assert_true(guest->bed->turns - before <= 4);
	}
}

/* Addresses are one process's: a sparse file costs nobody anything, and there are 2^47 bytes. */
static void one_guests_memory_leaves_room_for_anothers(void **state)
{
	struct bed_guest *guest = prepare(NULL, 0);
	struct bed_guest *other = bed_add(guest->bed, NULL);
	struct guest_region region = {.gpa = 1ull << 50, .uva = 1ull << 51};
	unsigned int taken = 0;

	(void)state;
	region.fd = memfd_create("sparse", MFD_CLOEXEC);
	assert_int_equal(ftruncate(region.fd, 1ll << 46), 0);
	for (region.size = 1ull << 46; region.size >= 1 << 18; region.size /= 2) {
		while (frontend_add_mem_reg(&guest->frontend, &region) == 0) {
			region.gpa += region.size;
			region.uva += region.size;
			taken++;
		}
	}
	close(region.fd);
	assert_true(taken > 0);
	bed_negotiate(other, 0);
	bed_ring(other, BED_TRANSMIT, 16, 0);
	bed_print(other, "works");
	bed_print(guest, "works");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(descriptors_replaced_faster_than_used),
	    BED_TEST(a_thousand_connections_leave_nothing),
	    BED_TEST(rings_scribbled_over_harm_nobody),
	    BED_TEST(a_turn_takes_a_bounded_amount),
	    BED_TEST(a_turn_fills_a_bounded_amount),
	    BED_TEST(a_flood_of_output_delays_nobody),
	    BED_TEST(a_flood_of_messages_delays_nobody),
	    BED_TEST(a_flood_of_kicks_delays_nobody),
	    BED_TEST(one_guests_memory_leaves_room_for_anothers),
	};
	struct CMUnitTest repeated[AGAIN];

	/* A test each, and so each with a time limit of its own. */
	for (unsigned int i = 0; i < AGAIN; i++)
		repeated[i] = (struct CMUnitTest){again[i].name, ten_thousand_times, bed_setup,
		                                  bed_teardown, &again[i]};
	return BED_RUN(tests) + BED_RUN(repeated);
}
