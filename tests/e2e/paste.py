#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A megabyte of any bytes pasted into a guest arrives byte for byte."""

import hashlib
import random

from harness import check_equal, run

SIZE = 1 << 20
# hvc takes 0x0f as the sysrq key.
SYSRQ = 0x0f


def paste(case):
    daemon = case.daemon()
    client = case.client(daemon)
    case.guest(daemon)
    client.login()
    data = random.Random(1).randbytes(SIZE).replace(bytes([SYSRQ]), b'\n')
    check_equal(len(set(data)), 255, 'different bytes in the test data')

    client.send(b'stty raw -echo; echo READY; head -c %d | sha256sum; stty sane\r' % SIZE)
    client.expect(rb'READY\r?\n')
    client.send(data)
    _, got = client.expect(rb'\b([0-9a-f]{64})  -')
    check_equal(got.decode(), hashlib.sha256(data).hexdigest(), 'checksum in the guest')

    # And nothing of it is left over: the shell takes what is typed next.
    client.expect(rb'guest# ')
    check_equal(client.run('echo ok'), b'ok\r\n', 'after the paste')


run(paste)
