/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the two rings of a virtqueue (virtio 1.3, 2.7): chains come in order and go back, indices
 * wrap at every size, batches are published once, calls and kicks happen when the other side wants
 * them and not otherwise.
 */
#include "unit.h"

#include "virtq_fixture.h"

#include <string.h>

static struct virtq_chain peek(struct virtq_fixture *f)
{
	struct virtq_chain chain;

	assert_int_equal(virtq_peek(&f->vq, &chain), VIRTQ_OK);
	return chain;
}

static void assert_nothing_to_peek(struct virtq_fixture *f)
{
	struct virtq_chain chain;

	assert_int_equal(virtq_peek(&f->vq, &chain), VIRTQ_END);
}

/* Takes and returns `count` chains without publishing. */
static void pass(struct virtq_fixture *f, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		struct virtq_chain chain = peek(f);

		virtq_push(&f->vq, &chain);
	}
}

TEST(chains_come_in_order_and_go_back_with_what_was_written)
{
	struct virtq_fixture f;
	struct driver_used used;

	virtq_fixture_init(&f, 8, 0, 0);
	assert_nothing_to_peek(&f);
	for (uint32_t i = 0; i < 8; i++) {
		struct driver_buffer buffer = {.gpa = f.data + 64 * i, .len = 64, .write = true};

		assert_true(driver_add(&f.driver, &buffer, 1, 100 + i));
	}
	assert_nothing_to_peek(&f);
	driver_publish(&f.driver);
	for (uint32_t i = 0; i < 8; i++) {
		struct virtq_chain chain = peek(&f);
		void *bytes;
		size_t len;

		assert_int_equal(virtq_chain_ready(&f.vq, &chain, true), VIRTQ_OK);
		assert_int_equal(virtq_chain_next(&f.vq, &chain, 3 + i, &bytes, &len), VIRTQ_OK);
		assert_int_equal(len, 3 + i);
		assert_ptr_equal(bytes, gmem_guest(&f.gmem, f.data + 64 * i, 1));
		virtq_push(&f.vq, &chain);
		/* Not seen before it is published. */
		assert_int_equal(driver_used_count(&f.driver), 0);
	}
	assert_nothing_to_peek(&f);
	virtq_publish(&f.vq);
	for (uint32_t i = 0; i < 8; i++) {
		assert_true(driver_harvest(&f.driver, &used));
		assert_int_equal(used.cookie, 100 + i);
		assert_int_equal(used.len, 3 + i);
	}
	virtq_fixture_deinit(&f);
}

TEST(a_chain_stays_the_next_one_until_it_is_given_back)
{
	struct virtq_addresses addresses;
	struct virtq_fixture f;

	virtq_fixture_init(&f, 8, 0xffff, 0);
	virtq_fixture_add(&f, 10, false);
	virtq_fixture_add(&f, 20, false);
	driver_publish(&f.driver);
	for (unsigned int i = 0; i < 2; i++) {
		uint16_t head = peek(&f).head;

		assert_int_equal(peek(&f).head, head);
		addresses = virtq_fixture_addresses(&f);
		virtq_stop(&f.vq);
		assert_true(virtq_start(&f.vq, &addresses, 8, i == 0));
		assert_int_equal(peek(&f).head, head);
		assert_int_equal(f.state.next_avail, (uint16_t)(0xffff + i));
		pass(&f, 1);
		/* A start reads the used index from the ring. */
		virtq_publish(&f.vq);
	}
	assert_nothing_to_peek(&f);
	virtq_fixture_deinit(&f);
}

TEST(indices_wrap_at_every_size)
{
	static const uint64_t features[] = {0, F_EVENT_IDX};

	for (uint32_t size = 1; size <= VIRTQ_SIZE_MAX; size *= 2) {
		for (size_t k = 0; k < ROWS(features); k++) {
			struct virtq_fixture f;

			virtq_fixture_init(&f, (uint16_t)size, 0xfffd, features[k]);
			for (unsigned int i = 0; i < 8; i++) {
				struct driver_used used;

				virtq_fixture_add(&f, 10 + i, false);
				driver_publish(&f.driver);
				pass(&f, 1);
				assert_nothing_to_peek(&f);
				virtq_publish(&f.vq);
				assert_true(driver_harvest(&f.driver, &used));
				assert_int_equal(driver_outstanding(&f.driver), 0);
			}
			assert_int_equal(f.state.next_avail, 5);
			assert_int_equal(f.state.next_used, 5);
			virtq_fixture_deinit(&f);
		}
	}
}

TEST(a_whole_ring_goes_through_at_once_across_the_wrap)
{
	for (uint32_t size = 1; size <= VIRTQ_SIZE_MAX; size *= 2) {
		struct virtq_fixture f;
		struct driver_used used;

		virtq_fixture_init(&f, (uint16_t)size, (uint16_t)(0x10000 - size / 2 - 1), 0);
		for (uint32_t i = 0; i < size; i++)
			virtq_fixture_add(&f, 1, false);
		driver_publish(&f.driver);
		pass(&f, size);
		assert_nothing_to_peek(&f);
		virtq_publish(&f.vq);
		for (uint32_t i = 0; i < size; i++)
			assert_true(driver_harvest(&f.driver, &used));
		assert_false(driver_harvest(&f.driver, &used));
		virtq_fixture_deinit(&f);
	}
}

TEST(an_available_index_that_jumps_breaks_the_queue)
{
	static const struct {
		uint16_t ahead; /* of where we are */
		enum virtq_result result;
	} rows[] = {
	    {0, VIRTQ_END},    {1, VIRTQ_OK},          {8, VIRTQ_OK},
	    {9, VIRTQ_BROKEN}, {0x8000, VIRTQ_BROKEN}, {0xffff, VIRTQ_BROKEN},
	};
	static const uint16_t bases[] = {0, 5, 0xfffc};

	for (size_t i = 0; i < ROWS(rows) * ROWS(bases); i++) {
		uint16_t base = bases[i / ROWS(rows)];
		struct virtq_fixture f;
		struct virtq_chain chain;

		virtq_fixture_init(&f, 8, base, 0);
		driver_store16(driver_avail_idx(&f.driver),
		               (uint16_t)(base + rows[i % ROWS(rows)].ahead));
		assert_int_equal(virtq_peek(&f.vq, &chain), rows[i % ROWS(rows)].result);
		virtq_fixture_deinit(&f);
	}
}

TEST(a_broken_queue_gives_nothing_until_it_is_started_again)
{
	struct virtq_addresses addresses;
	struct virtq_fixture f;
	struct virtq_chain chain;

	virtq_fixture_init(&f, 8, 3, 0);
	driver_store16(driver_avail_idx(&f.driver), 100);
	assert_int_equal(virtq_peek(&f.vq, &chain), VIRTQ_BROKEN);
	assert_non_null(f.vq.broken);
	/* The driver repents: that doesn't help. */
	driver_store16(driver_avail_idx(&f.driver), 4);
	assert_int_equal(virtq_peek(&f.vq, &chain), VIRTQ_BROKEN);
	assert_int_equal(f.state.next_avail, 3);
	addresses = virtq_fixture_addresses(&f);
	assert_true(virtq_start(&f.vq, &addresses, 8, true));
	assert_int_equal(virtq_peek(&f.vq, &chain), VIRTQ_BROKEN);
	virtq_stop(&f.vq);
	assert_true(virtq_start(&f.vq, &addresses, 8, false));
	assert_null(f.vq.broken);
	assert_int_equal(virtq_peek(&f.vq, &chain), VIRTQ_OK);
	virtq_fixture_deinit(&f);
}

/* Calls. */

TEST(without_event_idx_a_call_comes_unless_the_driver_says_no)
{
	struct virtq_fixture f;

	virtq_fixture_init(&f, 8, 0, 0);
	assert_false(virtq_publish(&f.vq));
	for (unsigned int i = 0; i < 4; i++) {
		bool wanted = i % 2 == 0;

		driver_ask_calls(&f.driver, wanted);
		virtq_fixture_add(&f, 1, false);
		driver_publish(&f.driver);
		pass(&f, 1);
		assert_int_equal(virtq_publish(&f.vq), wanted);
		assert_false(virtq_publish(&f.vq));
	}
	/* used_event isn't looked at. */
	driver_ask_calls(&f.driver, true);
	*driver_used_event(&f.driver) = 0x1234;
	virtq_fixture_add(&f, 1, false);
	driver_publish(&f.driver);
	pass(&f, 1);
	assert_true(virtq_publish(&f.vq));
	virtq_fixture_deinit(&f);
}

/* virtio 1.3, 2.7.7.2: a call when the used index passes used_event. */
static bool event_passed(uint16_t event, uint16_t old, uint16_t new)
{
	for (uint16_t i = old; i != new; i++) {
		if (i == event)
			return true;
	}
	return false;
}

TEST(with_event_idx_a_call_comes_when_the_event_is_passed)
{
	static const uint16_t bases[] = {0, 100, 0x7fff, 0xfffd, 0xfffe, 0xffff};

	for (size_t b = 0; b < ROWS(bases); b++) {
		for (uint16_t batch = 1; batch <= 4; batch++) {
			for (int event = -6; event <= 8; event++) {
				uint16_t old = (uint16_t)(bases[b] + 1);
				uint16_t used_event = (uint16_t)(old + event);
				struct virtq_fixture f;

				virtq_fixture_init(&f, 8, bases[b], F_EVENT_IDX);
				/* The flag isn't looked at. */
				*driver_avail_flags(&f.driver) = 1;
				for (unsigned int i = 0; i < 1u + batch; i++)
					virtq_fixture_add(&f, 1, false);
				driver_publish(&f.driver);
				pass(&f, 1);
				virtq_publish(&f.vq);
				driver_set_used_event(&f.driver, used_event);
				pass(&f, batch);
				assert_int_equal(
				    virtq_publish(&f.vq),
				    event_passed(used_event, old, (uint16_t)(old + batch)));
				virtq_fixture_deinit(&f);
			}
		}
	}
}

/* Nobody knows what the driver asked for before: better once too often. */
TEST(with_event_idx_the_first_publication_after_a_start_calls)
{
	struct virtq_fixture f;

	virtq_fixture_init(&f, 8, 0, F_EVENT_IDX);
	driver_set_used_event(&f.driver, 0x4000);
	virtq_fixture_add(&f, 1, false);
	driver_publish(&f.driver);
	pass(&f, 1);
	assert_true(virtq_publish(&f.vq));
	virtq_fixture_deinit(&f);
}

TEST(an_event_between_two_publications_is_not_missed)
{
	struct virtq_fixture f;

	virtq_fixture_init(&f, 8, 0xfffe, F_EVENT_IDX);
	for (unsigned int i = 0; i < 5; i++)
		virtq_fixture_add(&f, 1, false);
	driver_publish(&f.driver);
	pass(&f, 1);
	virtq_publish(&f.vq); /* 0xffff */
	driver_set_used_event(&f.driver, 0x0001);
	pass(&f, 1);
	assert_false(virtq_publish(&f.vq)); /* 0x0000 */
	pass(&f, 1);
	assert_false(virtq_publish(&f.vq)); /* 0x0001 */
	pass(&f, 1);
	assert_true(virtq_publish(&f.vq)); /* 0x0002: entry 1 is used */
	pass(&f, 1);
	assert_false(virtq_publish(&f.vq));
	virtq_fixture_deinit(&f);
}

/* Kicks. */

TEST(kicks_are_asked_for_and_asked_off)
{
	static const uint64_t features[] = {0, F_EVENT_IDX};
	static const uint16_t bases[] = {0, 0xfffe, 0xffff};

	for (size_t i = 0; i < ROWS(features) * ROWS(bases); i++) {
		bool event_idx = features[i % 2];
		struct virtq_fixture f;

		virtq_fixture_init(&f, 8, bases[i / 2], features[i % 2]);
		driver_wants_kick(&f.driver);
		assert_false(virtq_kicks_on(&f.vq));
		virtq_fixture_add(&f, 1, false);
		driver_publish(&f.driver);
		assert_true(driver_wants_kick(&f.driver));
		virtq_kicks_off(&f.vq);
		virtq_fixture_add(&f, 1, false);
		driver_publish(&f.driver);
		assert_false(driver_wants_kick(&f.driver));
		assert_int_equal(*driver_used_flags(&f.driver), event_idx ? 0 : 1);
		pass(&f, 2);
		assert_false(virtq_kicks_on(&f.vq));
		assert_int_equal(*driver_used_flags(&f.driver), 0);
		virtq_fixture_add(&f, 1, false);
		driver_publish(&f.driver);
		assert_true(driver_wants_kick(&f.driver));
		virtq_fixture_deinit(&f);
	}
}

TEST(a_chain_that_came_before_kicks_were_asked_for_is_told)
{
	static const uint64_t features[] = {0, F_EVENT_IDX};

	for (size_t i = 0; i < ROWS(features); i++) {
		struct virtq_fixture f;

		virtq_fixture_init(&f, 8, 0xffff, features[i]);
		virtq_kicks_off(&f.vq);
		virtq_fixture_add(&f, 1, false);
		virtq_fixture_add(&f, 1, false);
		driver_publish(&f.driver);
		assert_true(virtq_kicks_on(&f.vq));
		pass(&f, 1);
		assert_true(virtq_kicks_on(&f.vq));
		pass(&f, 1);
		assert_false(virtq_kicks_on(&f.vq));
		virtq_fixture_deinit(&f);
	}
}

/* The start. */

TEST(addresses_have_to_be_aligned)
{
	for (uint64_t i = 0; i < 32; i++) {
		assert_int_equal(virtq_aligned(&(struct virtq_addresses){0x1000 + i, 0, 0}),
		                 i % 16 == 0);
		assert_int_equal(virtq_aligned(&(struct virtq_addresses){0, 0x1000 + i, 0}),
		                 i % 2 == 0);
		assert_int_equal(virtq_aligned(&(struct virtq_addresses){0, 0, 0x1000 + i}),
		                 i % 4 == 0);
	}
	assert_true(virtq_aligned(&(struct virtq_addresses){-16ull, -2ull, -4ull}));
}

TEST(a_start_takes_the_used_index_from_the_ring_and_a_resume_does_not)
{
	struct virtq_addresses addresses;
	struct virtq_fixture f;

	virtq_fixture_init(&f, 8, 0xabcd, 0);
	assert_int_equal(f.state.next_used, 0xabcd);
	assert_int_equal(f.state.next_avail, 0xabcd);
	*driver_used_idx(&f.driver) = 0x1234;
	addresses = virtq_fixture_addresses(&f);
	assert_true(virtq_start(&f.vq, &addresses, 8, true));
	assert_int_equal(f.state.next_used, 0xabcd);
	assert_true(virtq_start(&f.vq, &addresses, 8, false));
	assert_int_equal(f.state.next_used, 0x1234);
	assert_int_equal(f.state.next_avail, 0xabcd);
	virtq_fixture_deinit(&f);
}

/* Where a part of the ring of `size` may end: the event field behind it belongs to it. */
TEST(each_part_has_to_lie_wholly_in_one_region)
{
	enum { SIZE = 16 };
	struct virtq_fixture f;

	virtq_fixture_init(&f, SIZE, 0, 0);
	for (unsigned int part = 0; part < 3; part++) {
		const uint64_t len = part == 0   ? driver_desc_bytes(SIZE)
		                     : part == 1 ? driver_avail_bytes(SIZE)
		                                 : driver_used_bytes(SIZE);
		const uint64_t align = part == 0 ? 16 : part == 1 ? 2 : 4;
		const struct guest_region *r = &f.memory.region[1];
		uint64_t end = r->uva + r->size, at = (end - len) & ~(align - 1);

		for (unsigned int over = 0; over < 2; over++) {
			struct virtq_addresses addresses = virtq_fixture_addresses(&f);
			uint64_t *address = part == 0   ? &addresses.desc
			                    : part == 1 ? &addresses.avail
			                                : &addresses.used;
			bool started;

			*address = over ? at + align : at;
			started = virtq_start(&f.vq, &addresses, SIZE, false);
			assert_int_equal(started, !over);
			assert_int_equal(virtq_started(&f.vq), !over);
			*address = r->uva - align;
			assert_false(virtq_start(&f.vq, &addresses, SIZE, false));
			*address = -align;
			assert_false(virtq_start(&f.vq, &addresses, SIZE, false));
			/* A guest address isn't a user address. */
			*address = f.driver.desc_gpa;
			assert_false(virtq_start(&f.vq, &addresses, SIZE, false));
			assert_false(virtq_started(&f.vq));
		}
	}
	virtq_fixture_deinit(&f);
}

/* The frontend's addresses are aligned, but the file's offset shifts our mapping. */
TEST(a_mapping_that_misaligns_the_ring_is_refused)
{
	static const struct {
		uint64_t shift;
		bool fine;
	} rows[] = {{0, true}, {16, true}, {1, false}, {2, false}, {4, false}, {8, false}};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct virtq_addresses addresses = {0x70000000, 0x70001000, 0x70002000};
		struct virtq_state indices = {0};
		struct guest_memory memory = {0};
		struct virtq vq;
		struct gmem gmem;

		guest_memory_add(&memory, 0x40000000, 0x70000000, 0x3000 + rows[i].shift, 0x100000,
		                 -1);
		gmem_fixture_map_all(&gmem, &memory);
		virtq_init(&vq, &gmem, &indices);
		assert_int_equal(virtq_start(&vq, &addresses, 16, false), rows[i].fine);
		gmem_deinit(&gmem);
		guest_memory_deinit(&memory);
	}
}

/*
 * A frontend that knows only what is available, or something else again, when the queue starts: it
 * goes on where the used ring is, so that no buffer is passed over or taken twice. Where that can't
 * be, because the driver can't have made so much available, the frontend's word stands.
 */
TEST(a_queue_goes_on_at_its_used_index_whatever_the_frontend_says)
{
	static const struct {
		uint16_t used, avail, base, next;
	} rows[] = {
	    {0, 8, 8, 0}, {0, 8, 3, 0},      {5, 8, 8, 5},           {5, 8, 5, 5},
	    {8, 8, 8, 8}, {8, 8, 0, 8},      {0xfffe, 6, 6, 0xfffe}, {0, 9, 9, 9}, /* a ring of 8 */
	    {9, 8, 8, 8}, {0x8000, 0, 0, 0},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct virtq_addresses addresses;
		struct virtq_fixture f;

		virtq_fixture_init(&f, 8, 0, 0);
		addresses = virtq_fixture_addresses(&f);
		f.vq.used->idx = le16_of(rows[i].used);
		driver_store16(driver_avail_idx(&f.driver), rows[i].avail);
		f.state.next_avail = rows[i].base;
		assert_true(virtq_start(&f.vq, &addresses, 8, false));
		assert_int_equal(f.state.next_avail, rows[i].next);
		assert_int_equal(f.state.next_used, rows[i].used);
		/* Found again after the memory has changed, it goes on as it was. */
		f.vq.used->idx = le16_of(77);
		assert_true(virtq_start(&f.vq, &addresses, 8, true));
		assert_int_equal(f.state.next_avail, rows[i].next);
		assert_int_equal(f.state.next_used, rows[i].used);
		virtq_fixture_deinit(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_queue_goes_on_at_its_used_index_whatever_the_frontend_says),
	    UNIT(chains_come_in_order_and_go_back_with_what_was_written),
	    UNIT(a_chain_stays_the_next_one_until_it_is_given_back),
	    UNIT(indices_wrap_at_every_size),
	    UNIT(a_whole_ring_goes_through_at_once_across_the_wrap),
	    UNIT(an_available_index_that_jumps_breaks_the_queue),
	    UNIT(a_broken_queue_gives_nothing_until_it_is_started_again),
	    UNIT(without_event_idx_a_call_comes_unless_the_driver_says_no),
	    UNIT(with_event_idx_a_call_comes_when_the_event_is_passed),
	    UNIT(with_event_idx_the_first_publication_after_a_start_calls),
	    UNIT(an_event_between_two_publications_is_not_missed),
	    UNIT(kicks_are_asked_for_and_asked_off),
	    UNIT(a_chain_that_came_before_kicks_were_asked_for_is_told),
	    UNIT(addresses_have_to_be_aligned),
	    UNIT(a_start_takes_the_used_index_from_the_ring_and_a_resume_does_not),
	    UNIT(each_part_has_to_lie_wholly_in_one_region),
	    UNIT(a_mapping_that_misaligns_the_ring_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
