#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A hundred thousand numbered lines come out of a guest complete and in order."""

from harness import check_same_bytes, run

LINES = 100_000


def lines(case):
    daemon = case.daemon()
    client = case.client(daemon)
    case.guest(daemon)
    client.login()
    # By way of a file: seq itself writes a terminal line by line.
    output = client.run(f'seq 1 {LINES} >/tmp/lines; cat /tmp/lines')
    check_same_bytes(output, b''.join(b'%d\r\n' % i for i in range(1, LINES + 1)), 'the lines')


run(lines)
