/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Rings as no driver may fill them (rules R1, R5, R7, R9, R11, R15, R17 of the notes): each breaks
 * its own ring, which says so by its err descriptor and can be started again; nothing else is
 * harmed.
 */
#include "testbed.h"

#include <poll.h>
#include <string.h>

#define SIZE 16

#define NEXT     DRIVER_DESC_NEXT
#define WRITE    DRIVER_DESC_WRITE
#define INDIRECT DRIVER_DESC_INDIRECT

/* What a case spoils. `flag` is WRITE for a receiveq, 0 for a transmitq. */
struct victim {
	struct bed_guest *guest;
	struct driver_queue *ring;
	uint16_t flag;
	uint64_t buffer; /* of 64 good bytes */
	uint64_t table;  /* room for an indirect table */
};

struct hostile_case {
	const char *name;
	uint64_t features;
	void (*spoil)(struct victim *victim);
};

static void describe(struct victim *victim, uint32_t i, uint64_t addr, uint32_t len,
                     unsigned int flags, uint16_t next)
{
	driver_write_desc(driver_desc_at(victim->ring, i), addr, len,
	                  (uint16_t)(flags | victim->flag), next);
}

static void describe_indirect(struct victim *victim, uint32_t i, uint64_t addr, uint32_t len,
                              unsigned int flags, uint16_t next)
{
	struct driver_desc *table =
	    guest_memory_at(&victim->guest->memory, victim->table, 16 * (i + 1));

	driver_write_desc(&table[i], addr, len, (uint16_t)(flags | victim->flag), next);
}

/* Makes `head` available, behind the driver's back. */
static void offer(struct victim *victim, uint16_t head)
{
	uint16_t idx = driver_load16(driver_avail_idx(victim->ring));

	*driver_avail_entry(victim->ring, idx & (SIZE - 1)) = head;
	driver_store16(driver_avail_idx(victim->ring), (uint16_t)(idx + 1));
}

static void jump(struct victim *victim, int by)
{
	uint16_t idx = driver_load16(driver_avail_idx(victim->ring));

	driver_store16(driver_avail_idx(victim->ring), (uint16_t)(idx + by));
}

/* ---- the available ring ---- */

static void head_at_the_size(struct victim *v)
{
	offer(v, SIZE);
}

static void head_at_the_end(struct victim *v)
{
	offer(v, 0xffff);
}

static void index_one_too_far(struct victim *v)
{
	jump(v, SIZE + 1);
}

static void index_back_by_one(struct victim *v)
{
	jump(v, -1);
}

static void index_far_away(struct victim *v)
{
	jump(v, 0x8000);
}

/* ---- chains ---- */

static void chain_of_itself(struct victim *v)
{
	describe(v, 0, v->buffer, 64, NEXT, 0);
	offer(v, 0);
}

static void chain_of_two_in_a_circle(struct victim *v)
{
	describe(v, 3, v->buffer, 64, NEXT, 7);
	describe(v, 7, v->buffer, 64, NEXT, 3);
	offer(v, 3);
}

static void circle_without_length(struct victim *v)
{
	describe(v, 0, v->buffer, 0, NEXT, 1);
	describe(v, 1, v->buffer, 0, NEXT, 0);
	offer(v, 0);
}

static void circle_of_the_other_direction(struct victim *v)
{
	v->flag ^= WRITE;
	describe(v, 0, v->buffer, 64, NEXT, 1);
	describe(v, 1, v->buffer, 64, NEXT, 0);
	v->flag ^= WRITE;
	offer(v, 0);
}

static void next_at_the_size(struct victim *v)
{
	describe(v, 0, v->buffer, 64, NEXT, SIZE);
	offer(v, 0);
}

static void next_at_the_end(struct victim *v)
{
	describe(v, 0, v->buffer, 64, NEXT, 0xffff);
	offer(v, 0);
}

/* ---- buffers ---- */

static void buffer_outside(struct victim *v)
{
	describe(v, 0, guest_memory_outside(&v->guest->memory, 4096), 64, 0, 0);
	offer(v, 0);
}

static void buffer_at_zero(struct victim *v)
{
	describe(v, 0, 0, 64, 0, 0);
	offer(v, 0);
}

static void buffer_past_the_end(struct victim *v)
{
	describe(v, 0, guest_memory_last_bytes(&v->guest->memory, 1, 32), 33, 0, 0);
	offer(v, 0);
}

static void buffer_before_the_start(struct victim *v)
{
	describe(v, 0, v->guest->memory.region[2].gpa - 1, 64, 0, 0);
	offer(v, 0);
}

static void buffer_of_4_gib(struct victim *v)
{
	describe(v, 0, v->buffer, 0xffffffff, 0, 0);
	offer(v, 0);
}

static void buffer_around_the_end_of_addresses(struct victim *v)
{
	describe(v, 0, UINT64_MAX - 31, 64, 0, 0);
	offer(v, 0);
}

static void buffer_at_a_user_address(struct victim *v)
{
	describe(v, 0, v->guest->memory.region[0].uva + 65536, 64, 0, 0);
	offer(v, 0);
}

static void second_buffer_outside(struct victim *v)
{
	describe(v, 0, v->buffer, 64, NEXT, 1);
	describe(v, 1, guest_memory_outside(&v->guest->memory, 4096), 64, 0, 0);
	offer(v, 0);
}

/* ---- indirect tables, virtio 1.3, 2.7.5.3 ---- */

static void indirect(struct victim *v, uint64_t addr, uint32_t len, unsigned int flags)
{
	describe(v, 0, addr, len, INDIRECT | flags, 1);
	describe(v, 1, v->buffer, 64, 0, 0);
	offer(v, 0);
}

static void indirect_good(struct victim *v)
{
	describe_indirect(v, 0, v->buffer, 64, 0, 0);
	indirect(v, v->table, 16, 0);
}

static void indirect_with_a_next(struct victim *v)
{
	describe_indirect(v, 0, v->buffer, 64, 0, 0);
	indirect(v, v->table, 16, NEXT);
}

static void indirect_in_indirect(struct victim *v)
{
	describe_indirect(v, 0, v->table, 16, INDIRECT, 0);
	indirect(v, v->table, 16, 0);
}

static void indirect_of_no_length(struct victim *v)
{
	indirect(v, v->table, 0, 0);
}

static void indirect_of_17_bytes(struct victim *v)
{
	describe_indirect(v, 0, v->buffer, 64, 0, 0);
	indirect(v, v->table, 17, 0);
}

static void indirect_outside(struct victim *v)
{
	indirect(v, guest_memory_outside(&v->guest->memory, 4096), 16, 0);
}

static void indirect_past_the_end(struct victim *v)
{
	describe_indirect(v, 0, v->buffer, 64, 0, 0);
	indirect(v, guest_memory_last_bytes(&v->guest->memory, 1, 16), 32, 0);
}

static void indirect_of_4_gib(struct victim *v)
{
	indirect(v, v->table, 0xfffffff0, 0);
}

static void indirect_next_at_its_size(struct victim *v)
{
	describe_indirect(v, 0, v->buffer, 64, NEXT, 2);
	describe_indirect(v, 1, v->buffer, 64, 0, 0);
	describe_indirect(v, 2, v->buffer, 64, 0, 0);
	indirect(v, v->table, 32, 0);
}

static void indirect_circle(struct victim *v)
{
	describe_indirect(v, 0, v->buffer, 64, NEXT, 1);
	describe_indirect(v, 1, v->buffer, 64, NEXT, 0);
	indirect(v, v->table, 32, 0);
}

static void indirect_behind_a_direct_one_in_indirect(struct victim *v)
{
	describe_indirect(v, 0, v->buffer, 64, NEXT, 1);
	describe_indirect(v, 1, v->table, 16, INDIRECT, 0);
	indirect(v, v->table, 32, 0);
}

static void indirect_buffer_outside(struct victim *v)
{
	describe_indirect(v, 0, guest_memory_outside(&v->guest->memory, 4096), 64, 0, 0);
	indirect(v, v->table, 16, 0);
}

#define I (1ull << DRIVER_F_INDIRECT_DESC)
#define E (1ull << DRIVER_F_EVENT_IDX)

static const struct hostile_case cases[] = {
    {"2.7.6: head at the size", 0, head_at_the_size},
    {"2.7.6: head 0xffff", E, head_at_the_end},
    {"2.7.6: index one too far (R17)", 0, index_one_too_far},
    {"2.7.6: index back by one (R15)", E, index_back_by_one},
    {"2.7.6: index far away", 0, index_far_away},
    {"2.7.5.2: chain of itself (R11)", 0, chain_of_itself},
    {"2.7.5.2: two in a circle", E, chain_of_two_in_a_circle},
    {"2.7.5.2: circle without length", 0, circle_without_length},
    {"2.7.5.2: circle of the other direction", 0, circle_of_the_other_direction},
    {"2.7.5: next at the size (R5)", 0, next_at_the_size},
    {"2.7.5: next 0xffff", I, next_at_the_end},
    {"2.7.5: buffer outside (R1)", 0, buffer_outside},
    {"2.7.5: buffer at 0", 0, buffer_at_zero},
    {"2.7.5: buffer past the end", 0, buffer_past_the_end},
    {"2.7.5: buffer before the start", 0, buffer_before_the_start},
    {"2.7.5: buffer of 4 GiB", 0, buffer_of_4_gib},
    {"2.7.5: buffer around the end", 0, buffer_around_the_end_of_addresses},
    {"2.7.5: buffer at a user address", 0, buffer_at_a_user_address},
    {"2.7.5: second buffer outside", 0, second_buffer_outside},
    {"2.7.5.3.1: indirect not negotiated", 0, indirect_good},
    {"2.7.5.3.1: indirect with a next", I, indirect_with_a_next},
    {"2.7.5.3.1: indirect in indirect", I, indirect_in_indirect},
    {"2.7.5.3: indirect of no length", I, indirect_of_no_length},
    {"2.7.5.3: indirect of 17 bytes", I, indirect_of_17_bytes},
    {"2.7.5.3: indirect outside (R1)", I, indirect_outside},
    {"2.7.5.3: indirect past the end", I, indirect_past_the_end},
    {"2.7.5.3: indirect of 4 GiB", I, indirect_of_4_gib},
    {"2.7.5.3: next at the table's size", I, indirect_next_at_its_size},
    {"2.7.5.3: indirect circle (R11)", I, indirect_circle},
    {"2.7.5.3.1: indirect behind a direct one", I, indirect_behind_a_direct_one_in_indirect},
    {"2.7.5.3: indirect buffer outside", I, indirect_buffer_outside},
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

static struct bed_guest *prepare_with(uint64_t features, uint64_t history)
{
	struct bed_guest *guest = bed_new(&(struct bed_options){.history = history});

	bed_negotiate(guest, features);
	bed_ring(guest, BED_RECEIVE, SIZE, 0xfffa);
	bed_ring(guest, BED_TRANSMIT, SIZE, 0xfffa);
	return guest;
}

static struct bed_guest *prepare(uint64_t features)
{
	return prepare_with(features, 0);
}

/* What was typed at a broken receiveq and not lost by it comes first now. */
static void read_leftover(struct bed_guest *guest)
{
	while (byte_ring_used(&guest->backend.backend.port->input) > 0 ||
	       test_backend_typing(&guest->backend) > 0) {
		bed_add_post(guest, 65536);
		driver_kick(&guest->ring[BED_RECEIVE]);
		driver_await(&guest->ring[BED_RECEIVE]);
	}
}

static void break_ring(struct bed_guest *guest, const struct hostile_case *c, uint32_t index)
{
	struct victim victim = {
	    .guest = guest,
	    .ring = &guest->ring[index],
	    .flag = index == BED_RECEIVE ? WRITE : 0,
	    .buffer = bed_bytes(guest, bed_pattern(64), 64),
	    .table = guest_memory_alloc(&guest->memory, 0, 256, 16),
	};

	/* Enough that no chain could hold it. */
	if (index == BED_RECEIVE)
		test_backend_type(&guest->backend, bed_pattern(5000), 5000);
	c->spoil(&victim);
	driver_kick_always(victim.ring);
	frontend_await_fd(&guest->frontend, victim.ring->err, POLLIN, c->name);
	assert_true(driver_take_error(victim.ring));
}

/* A broken ring takes nothing more, also if what is wrong is put right. */
static void expect_dead(struct bed_guest *guest, uint32_t index)
{
	struct driver_queue *ring = &guest->ring[index];
	uint16_t used = driver_load16(driver_used_idx(ring));

	test_backend_forget(&guest->backend);
	driver_store16(driver_avail_idx(ring), ring->avail_idx);
	describe(&(struct victim){.ring = ring, .flag = index == BED_RECEIVE ? WRITE : 0}, 0,
	         guest->memory.region[0].gpa, 4, 0, 0);
	offer(&(struct victim){.ring = ring}, 0);
	driver_kick_always(ring);
	bed_settle(guest->bed);
	assert_int_equal(driver_load16(driver_used_idx(ring)), used);
	assert_false(driver_take_error(ring));
	bed_expect_output(guest, NULL, 0);
}

static void start_again(struct bed_guest *guest, uint32_t index)
{
	driver_queue_stop(&guest->ring[index]);
	bed_ring(guest, index, SIZE, 3);
	if (index == BED_RECEIVE)
		read_leftover(guest);
}

static void each_breaks(uint32_t index)
{
	for (size_t i = 0; i < CASES; i++) {
		struct bed_guest *guest = prepare(cases[i].features);

		for (unsigned int round = 0; round < 2; round++) {
			break_ring(guest, &cases[i], index);
			expect_dead(guest, index);
			if (index == BED_TRANSMIT)
				bed_type(guest, "the other ring works");
			else
				bed_print(guest, "the other ring works");
			start_again(guest, index);
			bed_print(guest, "both work again");
			bed_type(guest, "both work again");
		}
		bed_free(guest->bed);
	}
}

static void each_breaks_the_transmitq(void **state)
{
	(void)state;
	each_breaks(BED_TRANSMIT);
}

static void each_breaks_the_receiveq(void **state)
{
	(void)state;
	each_breaks(BED_RECEIVE);
}

/* Without an err descriptor it breaks silently; one that comes later may be told of it. */
static void a_ring_may_break_without_err_descriptor(void **state)
{
	struct bed_guest *guest = prepare(0);
	struct victim victim = {.guest = guest, .ring = &guest->ring[BED_TRANSMIT]};

	(void)state;
	assert_int_equal(frontend_set_vring_err(&guest->frontend, BED_TRANSMIT, -1), 0);
	head_at_the_end(&victim);
	driver_kick_always(victim.ring);
	bed_settle(guest->bed);
	assert_int_equal(frontend_set_vring_err(&guest->frontend, BED_TRANSMIT, victim.ring->err),
	                 0);
	bed_settle(guest->bed);
	driver_take_error(victim.ring);
	expect_dead(guest, BED_TRANSMIT);
	start_again(guest, BED_TRANSMIT);
	bed_print(guest, "works");
}

/* R9: a descriptor is copied once; what the guest writes over it afterwards isn't looked at. */
static void a_descriptor_is_read_once(void **state)
{
	struct bed_guest *guest = prepare_with(0, 16); /* less than a chain */
	struct driver_queue *ring = &guest->ring[BED_TRANSMIT];
	const uint8_t *pattern = bed_pattern(30);
	struct driver_buffer buffers[3];

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		buffers[i] =
		    (struct driver_buffer){bed_bytes(guest, pattern + 10 * i, 10), 10, false};
	test_backend_allow(&guest->backend, 15);
	assert_true(driver_add(ring, buffers, 3, 0));
	driver_kick(ring);
	bed_settle(guest->bed);
	bed_expect_output(guest, pattern, 15);
	/* In the middle of the second: the first and the second are of no meaning any more. */
	for (unsigned int i = 0; i < 2; i++)
		driver_write_desc(driver_desc_at(ring, i), 1, 0xffffffff, NEXT | INDIRECT, 0xffff);
	*driver_avail_entry(ring, 0xfffa & (SIZE - 1)) = 0xffff;
	test_backend_allow(&guest->backend, 1000);
	driver_await(ring);
	bed_expect_output(guest, pattern + 15, 15);
	bed_print(guest, "the ring is well");
}

/* R9: one that wasn't read yet counts as it is then. */
static void a_descriptor_changed_before_it_is_read_counts(void **state)
{
	struct bed_guest *guest = prepare_with(0, 8); /* less than a chain */
	struct driver_queue *ring = &guest->ring[BED_TRANSMIT];
	struct driver_buffer buffers[2] = {{bed_bytes(guest, "0123456789", 10), 10, false},
	                                   {bed_bytes(guest, "abcdefghij", 10), 10, false}};

	(void)state;
	test_backend_allow(&guest->backend, 5);
	assert_true(driver_add(ring, buffers, 2, 0));
	driver_kick(ring);
	bed_settle(guest->bed);
	driver_desc_at(ring, 1)->addr = guest_memory_outside(&guest->memory, 4096);
	test_backend_allow(&guest->backend, 1000);
	frontend_await_fd(&guest->frontend, ring->err, POLLIN, "an error");
	assert_int_equal(driver_used_count(ring), 0);
	bed_expect_output(guest, "0123456789", 10);
	driver_take_error(ring);
	start_again(guest, BED_TRANSMIT);
	bed_print(guest, "works");
}

/* The device's own fields in guest memory are written, never read back while it works. */
static void what_the_device_writes_is_not_trusted(void **state)
{
	struct bed_guest *guest = prepare(0);
	struct driver_queue *ring = &guest->ring[BED_TRANSMIT];

	(void)state;
	for (uint16_t i = 0; i < 40; i++) {
		uint16_t right = driver_load16(driver_used_idx(ring));

		driver_store16(driver_used_idx(ring), (uint16_t)(right + 0x1234 * (i + 1)));
		driver_store16(driver_avail_event(ring), 0x5555);
		*driver_used_flags(ring) = 0xffff;
		bed_add_print(guest, "x", 1);
		driver_publish(ring);
		driver_kick_always(ring);
		bed_settle(guest->bed);
		assert_int_equal(driver_load16(driver_used_idx(ring)), (uint16_t)(right + 1));
		driver_await(ring);
	}
	assert_int_equal(guest->backend.output_size, 40);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    BED_TEST(each_breaks_the_transmitq),
	    BED_TEST(each_breaks_the_receiveq),
	    BED_TEST(a_ring_may_break_without_err_descriptor),
	    BED_TEST(a_descriptor_is_read_once),
	    BED_TEST(a_descriptor_changed_before_it_is_read_counts),
	    BED_TEST(what_the_device_writes_is_not_trusted),
	};

	return BED_RUN(tests);
}
