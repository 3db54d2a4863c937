#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Two clients at one console: both write, both see all of it."""

from harness import PROMPT, check_same_bytes, run


def two_clients(case):
    daemon = case.daemon()
    one, two = case.client(daemon), case.client(daemon)
    case.guest(daemon)
    one.login()
    two.expect(rb'dmesg -n 1.*E1=0\r\n' + PROMPT)
    for number in range(1, 6):
        one.send(b'echo one $((%d * 1000))\r' % number)
        for client in one, two:
            client.expect(rb'one %d\r\n' % (number * 1000) + PROMPT)
        two.send(b'echo two $((%d * 1000))\r' % number)
        for client in one, two:
            client.expect(rb'two %d\r\n' % (number * 1000) + PROMPT)
    one.run('seq 1 5000')
    two.expect(rb'\b5000\r\n.*E2=0\r\n' + PROMPT)
    check_same_bytes(bytes(two.data[:two.cursor]), bytes(one.data[:one.cursor]),
                     'what the second client saw')


run(two_clients)
