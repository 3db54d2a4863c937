#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Under load the daemon makes one system call only: io_uring_enter."""

import collections
import re
import shutil
import subprocess

from harness import Skip, check_equal, run

# Enough for thousands of system calls; each is slow while it is traced.
PIECE = 1 << 16
CALL = re.compile(rb'^(?:\d+ +)?(?:<\.\.\. )?(\w+)')


def strace(case):
    if not shutil.which('strace'):
        raise Skip('no strace')
    # As strace's own question, so that a machine without ptrace is told from a
    # daemon that doesn't start.
    probe = subprocess.run(['strace', '-o', '/dev/null', 'true'], capture_output=True, text=True)
    if probe.returncode != 0:
        raise Skip(f'strace can\'t trace here: {probe.stderr.strip()}')

    log = case.dir / 'strace'
    # -D: the tracer is the detached one, the daemon stays our child.
    daemon = case.daemon(wrapper=['strace', '-D', '-f', '-o', log])
    case.logs.append(log)
    client = case.client(daemon)
    case.guest(daemon)
    client.login()

    # From the guest to the client.
    client.send(b'seq 1 100000000\r')
    client.wait_data(len(client.data) + PIECE)
    steady(log, client, 'while the guest writes')
    client.send(b'\x03')
    client.expect(rb'guest# ')

    # From the client to the guest, whose terminal echoes it.
    client.send(b'stty raw -echo; echo READY; cat\r')
    client.expect(rb'READY\r?\n')
    case.background(lambda: client.send(b'typed into the guest\r' * 100_000))
    client.wait_data(len(client.data) + PIECE)
    steady(log, client, 'while a client writes')


def steady(log, client, what):
    """Looks at the system calls while a further piece of data goes through."""
    start = log.stat().st_size
    client.wait_data(len(client.data) + PIECE)
    end = log.stat().st_size
    with open(log, 'rb') as file:
        file.seek(start)
        # The first and the last line may be cut.
        lines = file.read(end - start).split(b'\n')[1:-1]
    calls = collections.Counter(CALL.match(line)[1] for line in lines)
    print(f'{what}: {dict(calls)}')
    check_equal(set(calls), {b'io_uring_enter'}, f'system calls {what}')


run(strace)
