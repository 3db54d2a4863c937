#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The guest reboots; its client stays, sees the second boot and logs in again."""

from harness import check, run


def reboot(case):
    daemon = case.daemon()
    client = case.client(daemon)
    guest = case.guest(daemon)
    client.login()
    running = daemon.resources()
    for _ in range(2):
        client.run('touch /tmp/here')
        client.send(b'reboot -f\r')
        client.login()
        client.run('test ! -e /tmp/here')
        check(guest.running(), 'QEMU ended')
    daemon.wait_resources(running, 'after two reboots')


run(reboot)
