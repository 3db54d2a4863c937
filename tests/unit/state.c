/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the format of the saved state (docs/device-state.md): what is written is read again, byte
 * by byte as the page has it, and whatever else comes is refused or in range.
 */
#include "unit.h"

#include "console/state.h"

#include <stdlib.h>
#include <string.h>

/* The state that most tests begin with: a console, a data port and one that has gone. */
static struct state example(void)
{
	static char output[] = "printed", more[] = " twice", input[] = "typed", spill[] = "rest";

	return (struct state){
	    .driver_ready = true,
	    .driver_stopped = true,
	    .stopped_at = 0xabcd,
	    .ports_count = 3,
	    .ports = {{.kind = STATE_CONSOLE,
	               .handshake = {.pending = 1 << 5, .known = true, .ready = true, .open = true},
	               .cols = 80,
	               .rows = 25,
	               .bytes = {{{output, 7}, {more, 6}}, {{input, 5}}}},
	              {.id = 3,
	               .kind = STATE_DATA,
	               .name = "org.x",
	               .name_len = 5,
	               .handshake = {.known = true},
	               .bytes = {{{output, 7}}, {{input, 0}}, {{spill, 4}}}},
	              {.id = 30, .kind = STATE_GONE, .handshake = {.pending = 1 << 2}}},
	};
}

/* In memory of exactly its size: ASan sees what is read beyond. */
static enum state_verdict parse(const uint8_t *bytes, size_t len, struct state *ret)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	enum state_verdict verdict;

	memcpy(copy, bytes, len);
	verdict = state_parse(copy, len, ret);
	free(copy);
	return verdict;
}

static size_t write_example(uint8_t *ret_bytes, size_t room)
{
	struct state source = example();
	struct iovec pieces[STATE_PIECES_MAX];
	uint8_t *heads = malloc(state_size_max());
	unsigned int count = state_write(&source, heads, pieces);
	size_t size = 0;

	for (unsigned int i = 0; i < count; i++) {
		assert_true(pieces[i].iov_len > 0 && pieces[i].iov_len <= room - size);
		memcpy(ret_bytes + size, pieces[i].iov_base, pieces[i].iov_len);
		size += pieces[i].iov_len;
	}
	assert_int_equal(size, state_size(&source));
	free(heads);
	return size;
}

TEST(a_state_is_written_as_the_page_has_it)
{
	static const uint8_t expected[] =
	    "vhostcon\1\0\0\0\5\0\xcd\xab\3\0\0\0\0\0\0\0\xba\0\0\0\0\0\0\0"
	    "\0\0\0\0\0\7\x20\0\x50\0\x19\0\0\0\0\0"
	    "\x0d\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0printed twicetyped"
	    "\3\0\0\0\1\1\0\5\0\0\0\0\0\0\0\0"
	    "\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0org.xprintedrest"
	    "\x1e\0\0\0\2\0\4\0\0\0\0\0\0\0\0\0"
	    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
	uint8_t bytes[512];
	size_t size = write_example(bytes, sizeof(bytes));

	assert_int_equal(size, sizeof(expected) - 1);
	assert_memory_equal(bytes, expected, size);
}

TEST(what_is_written_is_read_again)
{
	struct state wanted = example(), got;
	uint8_t bytes[512];
	size_t size = write_example(bytes, sizeof(bytes));

	assert_int_equal(state_parse(bytes, size, &got), STATE_OK);
	assert_int_equal(got.driver_ready, true);
	assert_int_equal(got.driver_rests, false);
	assert_int_equal(got.driver_stopped, true);
	assert_int_equal(got.stopped_at, 0xabcd);
	assert_int_equal(got.ports_count, 3);
	for (unsigned int i = 0; i < 3; i++) {
		const struct state_port *a = &got.ports[i], *b = &wanted.ports[i];

		assert_int_equal(a->id, b->id);
		assert_int_equal(a->kind, b->kind);
		assert_int_equal(a->cols, b->cols);
		assert_int_equal(a->rows, b->rows);
		assert_memory_equal(&a->handshake, &b->handshake, sizeof(a->handshake));
		assert_int_equal(a->name_len, b->name_len);
		for (unsigned int k = 0; k < STATE_BYTES; k++)
			assert_int_equal(state_bytes_len(a, (enum state_bytes)k),
			                 state_bytes_len(b, (enum state_bytes)k));
	}
	assert_memory_equal(got.ports[0].bytes[STATE_OUTPUT][0].iov_base, "printed twice", 13);
	assert_memory_equal(got.ports[0].bytes[STATE_INPUT][0].iov_base, "typed", 5);
	assert_memory_equal(got.ports[1].name, "org.x", 5);
	assert_memory_equal(got.ports[1].bytes[STATE_SPILL][0].iov_base, "rest", 4);
}

TEST(a_state_that_is_cut_off_or_longer_is_refused)
{
	uint8_t bytes[512] = {0};
	size_t size = write_example(bytes, sizeof(bytes));
	struct state got;

	for (size_t len = 0; len <= sizeof(bytes); len++) {
		assert_int_equal(parse(bytes, len, &got), len == size ? STATE_OK : STATE_BAD_SIZE);
		/* Also where the size that it says is the one that it has. */
		bytes[24] = (uint8_t)len;
		bytes[25] = (uint8_t)(len >> 8);
		assert_int_equal(parse(bytes, len, &got), len == size ? STATE_OK : STATE_BAD_SIZE);
		bytes[24] = (uint8_t)size;
		bytes[25] = (uint8_t)(size >> 8);
	}
}

TEST(each_field_is_judged)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum state_verdict verdict;
	} rows[] = {
	    {0, 'V', STATE_NO_STATE},
	    {7, 0, STATE_NO_STATE},
	    {8, 0, STATE_BAD_VERSION},
	    {8, 2, STATE_BAD_VERSION},
	    {11, 1, STATE_BAD_VERSION},
	    {12, 8, STATE_BAD_VALUE}, /* the driver's flags */
	    {13, 1, STATE_BAD_VALUE},
	    {16, 32, STATE_BAD_VALUE}, /* ports */
	    {19, 1, STATE_BAD_VALUE},
	    {16, 4, STATE_BAD_SIZE},
	    {16, 2, STATE_BAD_SIZE},
	    {20, 1, STATE_BAD_VALUE}, /* zero */
	    {31, 1, STATE_BAD_SIZE},
	    {32, 31, STATE_BAD_VALUE}, /* a port's number */
	    {35, 1, STATE_BAD_VALUE},
	    {32, 3, STATE_BAD_VALUE}, /* the next one's */
	    {32, 4, STATE_BAD_VALUE},
	    {36, 3, STATE_BAD_VALUE}, /* kind */
	    {36, 2, STATE_BAD_VALUE}, /* one that has gone has nothing */
	    {37, 8, STATE_BAD_VALUE}, /* flags */
	    {37, 6, STATE_BAD_VALUE}, /* ready, and unknown */
	    {37, 5, STATE_BAD_VALUE}, /* open, and not ready */
	    {37, 0, STATE_OK},
	    {38, 0x01, STATE_BAD_VALUE}, /* messages that no device sends */
	    {38, 0x08, STATE_BAD_VALUE},
	    {38, 0x76, STATE_OK},
	    {38, 0x80, STATE_BAD_VALUE}, /* a name, which it hasn't got */
	    {96, 0xc6, STATE_OK},        /* the data port's */
	    {96, 0x10, STATE_BAD_VALUE}, /* it is no console */
	    {96, 0x20, STATE_BAD_VALUE}, /* and has no window */
	    {151, 1, STATE_BAD_VALUE},   /* one that has gone, and is known */
	    {152, 0, STATE_BAD_VALUE},   /* or not to be told of */
	    {152, 0x06, STATE_BAD_VALUE},
	    {39, 65, STATE_BAD_VALUE},  /* a name's length */
	    {44, 1, STATE_BAD_VALUE},   /* zero */
	    {48, 0xff, STATE_BAD_SIZE}, /* lengths */
	    {55, 0xff, STATE_BAD_SIZE},
	    {63, 0x80, STATE_BAD_SIZE},
	    {64, 1, STATE_BAD_VALUE}, /* a console has no spill */
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		uint8_t bytes[512];
		size_t size = write_example(bytes, sizeof(bytes));
		enum state_verdict verdict;
		struct state got;

		bytes[rows[i].at] = rows[i].value;
		verdict = parse(bytes, size, &got);
		if (verdict != rows[i].verdict)
			fail_msg("byte %zu = %u: %s", rows[i].at, rows[i].value,
			         state_verdict_text(verdict));
		assert_true(strlen(state_verdict_text(verdict)) > 3);
	}
}

TEST(any_bytes_come_out_in_range_or_refused)
{
	unsigned int random = 815;

	for (unsigned int i = 0; i < 200000; i++) {
		uint8_t bytes[512];
		size_t size = write_example(bytes, sizeof(bytes)), total = 0;
		struct state got;

		assert_true(size > 0);
		if (size == 0) /* the analyzer doesn't know that this ends the test */
			return;
		for (unsigned int k = 0; k <= i % 3; k++) {
			random = random * 1103515245 + 12345;
			bytes[(random >> 8) % size] = (uint8_t)(random >> 20);
		}
		if (state_parse(bytes, size, &got) != STATE_OK)
			continue;
		assert_true(got.ports_count <= STATE_PORTS_MAX);
		for (unsigned int k = 0; k < got.ports_count; k++) {
			const struct state_port *port = &got.ports[k];

			assert_true(port->id < STATE_PORTS_MAX && port->kind < STATE_KINDS);
			assert_true(port->name_len <= HANDSHAKE_NAME_MAX);
			for (unsigned int s = 0; s < STATE_BYTES; s++)
				total += state_bytes_len(port, (enum state_bytes)s);
		}
		assert_true(total <= size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_state_is_written_as_the_page_has_it),        UNIT(what_is_written_is_read_again),
	    UNIT(a_state_that_is_cut_off_or_longer_is_refused), UNIT(each_field_is_judged),
	    UNIT(any_bytes_come_out_in_range_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
