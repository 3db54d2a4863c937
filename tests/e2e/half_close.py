#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A client that closes its sending side, as `printf … | nc -N` does, has its
last input taken and still gets the output until it hangs up."""

import pathlib
import socket

from harness import check, run, wait

KEEPALIVE = 2  # a timer's kind in /proc/net/tcp


def keepalive(port):
    """In how many seconds the one connection of this local port gets a keepalive;
    None as long as another timer runs for it."""
    for line in pathlib.Path('/proc/net/tcp').read_text().splitlines()[1:]:
        _, local, _, state, _, when, *_ = line.split()
        if int(local.partition(':')[2], 16) == port and state == '01':
            kind, ticks = (int(part, 16) for part in when.split(':'))
            return ticks / 100 if kind == KEEPALIVE else None
    return None


def half_close(case):
    daemon = case.daemon()
    client = case.client(daemon)
    case.guest(daemon)
    client.login()
    alone = daemon.resources()

    half = case.client(daemon)
    half.expect(rb'guest# ')
    half.send(b'for i in 1 2 3 4 5; do echo half $((i * 100)); sleep 0.3; done\r')
    half.socket.shutdown(socket.SHUT_WR)
    for i in range(1, 6):
        half.expect(rb'half %d\r\n' % (i * 100))
    client.expect(rb'half 500\r\n')
    client.expect(rb'guest# ')
    client.run('echo later $((40 + 2))')
    half.expect(rb'later 42\r\n')
    # A client that has hung up looks like one that is half closed until something
    # is sent to it: output or, at a silent guest, a keepalive.
    half.close()
    client.run('echo on')
    daemon.wait_resources(alone, 'after the half-closed client hung up')
    seconds = wait('a keepalive for the idle connection', lambda: keepalive(daemon.port))
    check(0 < seconds <= 30, f'the first keepalive comes after {seconds} s')


run(half_close)
