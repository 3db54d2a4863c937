#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Clients go and come back, politely or not: the guest never notices, and who
comes sees what was put out before and in between."""

from harness import check, check_equal, check_same_bytes, run

TICKS = b''.join(b'tick %d\r\n' % i for i in range(1, 41))


def reattach(case):
    daemon = case.daemon()
    nobody = daemon.resources()
    first = case.client(daemon)
    guest = case.guest(daemon)
    first.login()
    first.run('mark=kept')
    first.run("for i in $(seq 1 40); do echo tick $i; sleep 0.1; done >/tmp/out & "
              "tail -f /tmp/out & true")
    first.expect(rb'tick 3\r\n')
    with_guest = daemon.resources()
    first.close()

    # Mid-way, while the guest writes on.
    daemon.wait_resources((with_guest[0] - 1, with_guest[1]), 'after the first client went')
    second = case.client(daemon)
    second.expect(rb'guest login: ')
    second.expect(rb'tick 8\r\n')
    second.reset()
    daemon.wait_resources((with_guest[0] - 1, with_guest[1]), 'after the second client\'s reset')

    third = case.client(daemon)
    third.expect(rb'tick 40\r\n')
    fourth = case.client(daemon)
    fourth.expect(rb'tick 40\r\n')
    for client in third, fourth:
        start = client.data.index(b'tick 1\r\n')
        check_same_bytes(bytes(client.data[start:start + len(TICKS)]), TICKS,
                         f'{client.name}: what came in between')
    check(guest.running(), 'the guest went with a client')
    # The same shell: none of it looked like a hangup to the guest.
    third.send(b'\r')
    third.expect(rb'guest# ')
    check_equal(third.run('echo $mark'), b'kept\r\n', 'the shell\'s variable')

    guest.kill()
    third.reset()
    fourth.reset()
    daemon.wait_resources(nobody, 'after all have gone')


run(reattach)
