#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A client that never reads while the guest writes 50 MB: the guest is not
slower for it, a client that reads gets everything in order, and the stuck one,
once it reads, gets what is left, in order, and is told of what is not."""

import re

from harness import check, check_same_bytes, run

NOTICE = re.compile(rb'\r\n\[vhost-user-console:[^\r\n]*\r\n')
LINE = '%08d' + 91 * 'x' + '\n'
LINES = 500_000
# Written by awk into a file first: what writes a terminal line by line is slower
# than all else.
# Each way that often, in turn; the fastest of each counts, so that what else the
# machine does is no matter.
ROUNDS = 3
AWK = f'BEGIN {{ for (i = 0; i < {LINES}; i++) printf "{LINE[:-1]}\\n", i }}'


def write(client):
    """Lets the guest write the lines; returns the seconds by its own clock."""
    # Without the terminal's output processing, which has the kernel write each
    # line by itself; the shell's own output isn't used to that.
    output = client.run('stty -opost; read start rest </proc/uptime; cat /tmp/lines; '
                        'read end rest </proc/uptime; stty opost; echo "$start $end"')
    wanted = ''.join(LINE % i for i in range(LINES)).encode()
    check_same_bytes(output[:len(wanted)], wanted, 'what the reading client got')
    start, end = map(float, output[len(wanted):].split())
    return end - start


def stuck_client(case):
    # A ring in which this client, in a thread beside ours and on a machine that
    # does other things too, is never behind by more than it holds.
    daemon = case.daemon('--history=16M')
    client = case.client(daemon)
    case.guest(daemon)
    client.login()
    client.run(f"awk '{AWK}' >/tmp/lines")
    alone, beside = [], []
    for _ in range(ROUNDS):
        alone.append(write(client))
        stuck = case.client(daemon, reading=False, buffer=4096)
        beside.append(write(client))
        if len(beside) < ROUNDS:
            stuck.reset()
    print(f'{alone} s alone, {beside} s beside a stuck client')
    # A guest held up by the stuck client stands still; the rest is what else the
    # machine does.
    check(min(beside) < 5 * min(alone) + 10,
          f'{min(beside):.1f} s beside a stuck client, {min(alone):.1f} s alone')

    stuck.start_reading()
    client.run('echo all is $((40 + 2))')
    stuck.expect(rb'all is 42\r\n')
    everything = bytes(client.data)
    pieces = NOTICE.split(bytes(stuck.data[:stuck.cursor]))
    check(len(pieces) >= 2, 'the stuck client was not told that output is missing')
    at = 0
    for number, piece in enumerate(pieces):
        found = everything.find(piece, at)
        check(found >= 0, f'the stuck client\'s piece {number} of {len(piece)} bytes is not of '
                          f'the guest\'s output, in order: {piece[:100]!r} … {piece[-100:]!r}')
        at = found + len(piece)
    check(everything.startswith(pieces[0]), 'the stuck client did not get the beginning')
    check(everything[:at].endswith(b'all is 42\r\n'), 'the stuck client did not get the end')


run(stuck_client)
