#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Mistakes on QEMU's command line: the daemon's log names the option, once."""

import itertools

from harness import check_equal, run, wait

DEVICE = 'vhost-user-test-device-pci,chardev=con0,virtio-id=3'
NUMBER = itertools.count()


def start(case, device, *arguments):
    daemon = case.daemon(*arguments, name=f'daemon{next(NUMBER)}')
    client = case.client(daemon)
    return daemon, client, case.guest(daemon, device=device)


def wait_hint(daemon, *words):
    """One line that has all of these words."""
    def lines():
        return [line for line in daemon.log.read_text().splitlines()
                if all(word in line for word in words)]
    wait(f'a line with {words}', lines)
    return lambda: check_equal(len(lines()), 1, f'lines with {words}')


def end(daemon, guest, check_once):
    guest.kill()
    wait('the frontend is gone', lambda: 'frontend gone' in daemon.log.read_text())
    check_once()
    daemon.stop()


def too_few_vrings(case):
    daemon, _, guest = start(case, f'{DEVICE},config_size=12')
    end(daemon, guest, wait_hint(daemon, '1 vring,', 'at least 2', 'num_vqs=4'))


def no_configuration_space(case):
    daemon, client, guest = start(case, f'{DEVICE},num_vqs=4')
    client.login()
    end(daemon, guest, wait_hint(daemon, 'config_size=12', 'window size'))


def large_rings(case):
    daemon, _, guest = start(case, f'{DEVICE},num_vqs=4,config_size=12,vq_size=1024',
                             '--max-queue-size=512')
    end(daemon, guest, wait_hint(daemon, '1024 entries', '--max-queue-size=512', '-q 1024'))


def hints(case):
    too_few_vrings(case)
    no_configuration_space(case)
    large_rings(case)


run(hints)
