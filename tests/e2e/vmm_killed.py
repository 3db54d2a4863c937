#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""QEMU is killed and a new one started on the same socket; the client stays."""

from harness import run


def vmm_killed(case):
    daemon = case.daemon()
    client = case.client(daemon)
    without = daemon.resources()
    for number in range(1, 4):
        guest = case.guest(daemon)
        client.login()
        client.run(f'echo guest number {number}')
        if number == 2:
            # Also in the middle of its output.
            client.send(b'yes\r')
            client.wait_data(len(client.data) + 10_000)
        guest.kill()
        daemon.wait_resources(without, f'after QEMU number {number} was killed')


run(vmm_killed)
