#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A person logs in to a guest over TCP; the guest's VMM and the client go, and
nothing of them is left in the daemon; SIGTERM under a running guest ends it."""

from harness import check, run


def login(case):
    daemon = case.daemon()
    before = daemon.resources()
    client = case.client(daemon)
    guest = case.guest(daemon)
    client.login()
    check(client.run('uname -n') == b'guest\r\n', 'uname -n in the guest')
    check(b'hvc0' in client.run('cat /proc/consoles'), 'the guest has no console on hvc0')
    guest.kill()
    client.reset()
    daemon.wait_resources(before, 'after the guest and the client have gone')

    client = case.client(daemon)
    guest = case.guest(daemon)
    client.expect(rb'hvc0.*E3=0\r\n')  # kept from the first guest
    client.login()
    daemon.stop()
    client.wait_end()
    check(guest.running(), 'QEMU ended with the daemon')


run(login)
