#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What was typed for a guest that then went, and that it never read, is not typed to
the next one: not after a reset of the machine, not to another machine. What was typed
to one that was only paused is."""

import pathlib
import signal

import qmp
from harness import check, run, wait

# More than the 64 buffers of 4 KiB that the driver has given, and less than waits here besides.
JUNK = 360 << 10
TOLD = rb'\[vhost-user-console: (\d+) bytes typed before were not read by the guest and are dropped\]'


def unread(client):
    """How many bytes of the client's are in the sockets between it and the daemon."""
    ports = set(socket_port for _, socket_port in (client.socket.getsockname(),
                                                   client.socket.getpeername()))
    waiting = 0
    for line in pathlib.Path('/proc/net/tcp').read_text().splitlines()[1:]:
        field = line.split()
        ends = {int(field[i].partition(':')[2], 16) for i in (1, 2)}
        if ends == ports:
            waiting += sum(int(queue, 16) for queue in field[4].split(':'))
    return waiting


def jam(client, guest):
    """The machine stands still, and has a command waiting behind what it can't take."""
    client.send(b"stty -icanon -echo; echo RE'ADY'; sleep 100000\r")
    client.expect(rb'READY\r\n')
    guest.signal(signal.SIGSTOP)
    client.send(b'x' * JUNK + b'\rtouch /tmp/typed\r')
    wait('the daemon has all that was typed', lambda: unread(client) == 0)


def check_next(client):
    """The next one has been typed nothing, and takes what is typed now."""
    told = int(client.expect(TOLD)[1])
    check(0 < told < JUNK, f'{told} bytes were dropped')
    start = client.cursor
    client.login()
    client.run('test ! -e /tmp/typed')
    check(b'xxxx' not in client.data[start:], 'the next guest was typed junk')


def stale_input(case):
    daemon = case.daemon()
    client = case.client(daemon)
    guest = case.guest(daemon, more=qmp.option(case))
    client.login()
    monitor = qmp.Qmp(case)

    monitor.do('stop')
    client.send(b'touch /tmp/paused\r')
    wait('the daemon has what was typed', lambda: unread(client) == 0)
    monitor.do('cont')
    client.run('test -e /tmp/paused')

    # It is reset as soon as it goes on, with most of that still to be read.
    jam(client, guest)
    monitor.send('system_reset')
    guest.signal(signal.SIGCONT)
    check_next(client)

    jam(client, guest)
    guest.kill()
    case.guest(daemon)
    check_next(client)


run(stale_input)
