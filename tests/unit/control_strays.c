/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Holds for the control socket what uds_strays.c does for clients: descriptors that come with
 * requests are closed beside the loop where the kernel can't refuse them.
 */
#include "unit.h"

#include "control_fixture.h"
#include "lingering.h"
#include "turning.h"

#include <sys/socket.h>
#include <unistd.h>

static struct control_fixture f;

static int send_slow(int client)
{
	int peer, fd = lingering_socket(&peer);

	if (support_send_fd(client, fd) < 0)
		support_die("a descriptor can't be sent");
	close(fd);
	return peer;
}

/* The byte that carries it is the beginning of a request. */
TEST(what_comes_with_a_request_is_closed_beside_the_loop)
{
	int client, other, peer;

	control_fixture_init(&f);
	client = control_connect(&f);
	other = control_connect(&f);
	turn_some(f.loop);
	peer = send_slow(client);
	turn_until(f.loop, loop_discards(f.loop) == 1);
	close(peer);
	turn_until(f.loop, loop_discards(f.loop) == 0);
	control_send(&f, client, "\n");
	control_send(&f, other, "list\n");
	control_expect_list(&f, other);
	close(client);
	close(other);
	control_fixture_deinit(&f);
}

/* It waits in the socket while a request is being answered. */
TEST(what_waits_unread_is_closed_beside_the_loop)
{
	int client, peer;

	control_fixture_init(&f);
	client = control_connect(&f);
	control_send(&f, client, "port-add 0 later\n");
	turn_until(f.loop, f.later == 1);
	peer = send_slow(client);
	turn_some(f.loop);
	control_stop(&f.control);
	turn_until(f.loop, f.stops == 1);
	assert_true(loop_discards(f.loop) > 0);
	close(peer);
	turn_until(f.loop, loop_discards(f.loop) == 0);
	close(client);
	control_fixture_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(what_comes_with_a_request_is_closed_beside_the_loop),
	    UNIT(what_waits_unread_is_closed_beside_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
