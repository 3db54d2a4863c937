/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the parser of messages: which there are, what the exact size and number of descriptors of
 * each is, and what the verdict on a header is. What their numbers may be is in request_values.c.
 */
#include "unit.h"

#include "request_fixture.h"

TEST(every_message_of_the_issue_is_known_by_its_name)
{
	for (size_t i = 0; i < ROWS(messages); i++) {
		const struct message *m = &messages[i];
		struct request request;

		if (parse(m->id, m->payload, m->size, m->fds, &request) != REQUEST_OK)
			fail_msg("%s is refused", m->name);
		assert_int_equal(request.id, m->id);
		assert_string_equal(request_name(m->id), m->name);
		assert_int_equal(request_is_answered(m->id), m->answered);
	}
}

TEST(every_other_message_is_unknown)
{
	static const uint32_t more[] = {VHOST_USER_REQUEST_MAX,
	                                100,
	                                255,
	                                256,
	                                0x7fffffff,
	                                0x80000000,
	                                0x80000001,
	                                0xffffffff,
	                                0x10001};
	uint8_t payload[WIRE_PAYLOAD_MAX] = {0};

	for (size_t i = 0; i < 64 + ROWS(more); i++) {
		uint32_t id = i < 64 ? (uint32_t)i : more[i - 64];
		struct request request;

		if (message_of(id))
			continue;
		for (uint32_t size = 0; size <= sizeof(payload); size += 8) {
			if (parse(id, payload, size, 0, &request) != REQUEST_UNKNOWN)
				fail_msg("message %u of %u bytes", id, size);
		}
		assert_int_equal(parse(id, payload, 8, FD_BAG_MAX, &request), REQUEST_UNKNOWN);
		assert_false(request_is_answered(id));
		assert_string_equal(request_name(id), "unknown message");
	}
}

TEST(every_other_size_is_refused)
{
	for (size_t i = 0; i < ROWS(messages); i++) {
		const struct message *m = &messages[i];
		uint8_t payload[WIRE_PAYLOAD_MAX] = {0};

		memcpy(payload, m->payload, sizeof(m->payload));
		for (uint32_t size = 0; size <= sizeof(payload); size++) {
			struct request request;
			enum request_verdict v;

			if (size == m->size)
				continue;
			v = parse(m->id, payload, size, m->fds, &request);
			if (v != REQUEST_BAD_SIZE)
				fail_msg("%s of %u bytes: %s", m->name, size,
				         request_verdict_text(v));
		}
	}
}

TEST(every_other_number_of_descriptors_is_refused)
{
	for (size_t i = 0; i < ROWS(messages); i++) {
		const struct message *m = &messages[i];

		for (unsigned int fds = 0; fds <= FD_BAG_MAX; fds++) {
			bool fine = fds >= m->min_fds && fds <= m->max_fds;
			struct request request;
			enum request_verdict v = parse(m->id, m->payload, m->size, fds, &request);

			if (v != (fine ? REQUEST_OK : REQUEST_BAD_FDS))
				fail_msg("%s with %u descriptors: %s", m->name, fds,
				         request_verdict_text(v));
		}
	}
}

TEST(a_reply_is_no_request)
{
	for (size_t i = 0; i < ROWS(messages); i++) {
		struct request_header header = {
		    .request = messages[i].id, .size = messages[i].size, .is_reply = true};
		struct request request;

		assert_int_equal(
		    request_parse(&header, messages[i].payload, messages[i].fds, &limits, &request),
		    REQUEST_NOT_A_REQUEST);
	}
}

/* Headers. */

TEST(headers_are_judged)
{
	static const struct {
		uint32_t flags, size;
		enum request_verdict verdict;
		bool need_reply, is_reply;
	} rows[] = {
	    {1, 0, REQUEST_OK},
	    {1, WIRE_PAYLOAD_MAX, REQUEST_OK},
	    {1, WIRE_PAYLOAD_MAX + 1, REQUEST_TOO_LONG},
	    {1, 0x80000000, REQUEST_TOO_LONG},
	    {1, 0xffffffff, REQUEST_TOO_LONG},
	    {9, 8, REQUEST_OK, .need_reply = true},
	    {5, 8, REQUEST_OK, .is_reply = true},
	    {13, 8, REQUEST_OK, .need_reply = true, .is_reply = true},
	    {0, 8, REQUEST_BAD_VERSION},
	    {2, 8, REQUEST_BAD_VERSION},
	    {3, 8, REQUEST_BAD_VERSION},
	    {8, 8, REQUEST_BAD_VERSION, .need_reply = true},
	    {0xfffffff0 | 1, 8, REQUEST_OK},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct wire_header wire = {le32_of(0x12345678), le32_of(rows[i].flags),
		                           le32_of(rows[i].size)};
		struct request_header header = {.request = 77};

		assert_int_equal(request_parse_header(&wire, &header), rows[i].verdict);
		if (rows[i].verdict == REQUEST_TOO_LONG)
			continue;
		assert_int_equal(header.request, 0x12345678);
		assert_int_equal(header.size, rows[i].size);
		assert_int_equal(header.need_reply, rows[i].need_reply);
		assert_int_equal(header.is_reply, rows[i].is_reply);
	}
}

TEST(every_verdict_has_a_text)
{
	for (unsigned int v = REQUEST_OK; v <= REQUEST_BAD_VALUE; v++)
		assert_true(strlen(request_verdict_text((enum request_verdict)v)) > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(every_message_of_the_issue_is_known_by_its_name),
	    UNIT(every_other_message_is_unknown),
	    UNIT(every_other_size_is_refused),
	    UNIT(every_other_number_of_descriptors_is_refused),
	    UNIT(a_reply_is_no_request),
	    UNIT(headers_are_judged),
	    UNIT(every_verdict_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
