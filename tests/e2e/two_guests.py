#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Two guests of one daemon: one floods, one is killed; the other never knows."""

from harness import check, check_equal, run


def two_guests(case):
    daemon = case.daemon(count=2)
    clients = [case.client(daemon, index=i) for i in range(2)]
    guests = [case.guest(daemon, index=i) for i in range(2)]
    for number, client in enumerate(clients):
        client.login()
        client.run(f'hostname g{number}')

    clients[0].send(b'while :; do echo flooding; done\r')
    clients[0].wait_data(len(clients[0].data) + 100_000)
    size = len(clients[0].data)
    for number in range(20):
        check_equal(clients[1].run(f'echo $(hostname) $(({number} + 1000))'),
                    b'g1 %d\r\n' % (number + 1000), 'the quiet guest beside a flooding one')
    clients[0].wait_data(size + 100_000)

    guests[0].kill()
    check_equal(clients[1].run('hostname'), b'g1\r\n', 'after the other guest was killed')
    guests[0] = case.guest(daemon, index=0)
    clients[0].login()
    check_equal(clients[0].run('hostname'), b'guest\r\n', 'the new guest')
    check_equal(clients[1].run('hostname'), b'g1\r\n', 'beside the new guest')
    check(b'flooding' not in clients[1].data, 'one guest\'s output at the other\'s client')
    check(guests[1].running(), 'the quiet guest ended')


run(two_guests)
