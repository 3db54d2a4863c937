/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds the format of `list`, which scripts rely on: its fields, their number and their order.
 */
#include "unit.h"

#include "control/listing.h"

#include <stdlib.h>
#include <string.h>

static struct {
	FILE *out;
	char *text;
	size_t len;
} f;

static void begin(void)
{
	f.out = open_memstream(&f.text, &f.len);
}

static void expect(const char *text)
{
	fclose(f.out);
	assert_string_equal(f.text, text);
	free(f.text);
}

TEST(a_guest_has_four_fields)
{
	begin();
	control_listing_guest(f.out, &(struct control_guest_line){0, true, "/run/con.sock0"});
	control_listing_guest(f.out, &(struct control_guest_line){65535, false, NULL});
	expect("guest 0 connected /run/con.sock0\n"
	       "guest 65535 waiting -\n");
}

TEST(a_port_has_nine_fields)
{
	struct control_port_line tcp = {
	    .backend = "network",
	    .open = true,
	    .clients = 2,
	    .tcp_address = "127.0.0.1",
	    .tcp_port = 12345,
	};
	struct control_port_line uds = {
	    .guest = 1,
	    .port = 30,
	    .name = "org.example.agent.0",
	    .data = true,
	    .backend = "uds",
	    .uds_path = "/run/agent",
	};
	struct control_port_line neither = {.backend = "null"};

	begin();
	control_listing_port(f.out, &tcp);
	tcp.tcp_address = "::1";
	control_listing_port(f.out, &tcp);
	control_listing_port(f.out, &uds);
	control_listing_port(f.out, &neither);
	expect("port 0 0 - console network open 2 127.0.0.1:12345\n"
	       "port 0 0 - console network open 2 [::1]:12345\n"
	       "port 1 30 org.example.agent.0 data uds closed 0 /run/agent\n"
	       "port 0 0 - console null closed 0 -\n");
}

/* Whatever a name or path is: one field, not empty, and told from the sign for none. */
TEST(texts_stay_in_their_field)
{
	static const struct {
		const char *text, *field;
	} rows[] = {
	    {"", "-"},
	    {"-", "\\055"},
	    {"--", "--"},
	    {"a b", "a\\040b"},
	    {" ", "\\040"},
	    {"a\\040b", "a\\134040b"},
	    {"a\nport 0 0", "a\\012port\\0400\\0400"},
	    {"\t\x1b[2J\x7f", "\\011\\033[2J\\177"},
	    {"\xc3\xbc", "\xc3\xbc"},
	    {"%s%n", "%s%n"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct control_port_line port = {
		    .name = rows[i].text,
		    .backend = "uds",
		    .uds_path = rows[i].text,
		};
		char expected[256];

		begin();
		control_listing_guest(f.out,
		                      &(struct control_guest_line){.socket_path = rows[i].text});
		control_listing_port(f.out, &port);
		snprintf(expected, sizeof(expected),
		         "guest 0 waiting %s\nport 0 0 %s console uds closed 0 %s\n", rows[i].field,
		         rows[i].field, rows[i].field);
		expect(expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(a_guest_has_four_fields),
	    UNIT(a_port_has_nine_fields),
	    UNIT(texts_stay_in_their_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
