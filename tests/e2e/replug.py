#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The device is unplugged and plugged again on one connection of QEMU's: the console works
each time, also after memory was added and after a reboot in between, and nothing is left over."""

import qmp
from harness import DEVICE, check, check_equal, run

ID = 'console'


def plug(monitor, vqs=4):
    options = (option.split('=') for option in DEVICE.format(vqs).split(',')[1:])
    numbers = {name: int(text) if text.isdigit() else text for name, text in options}
    monitor.do('device_add', driver=DEVICE.split(',', maxsplit=1)[0], id=ID, bus='downstream', **numbers)


def unplug(monitor):
    monitor.do('device_del', id=ID)
    monitor.wait_event('DEVICE_DELETED', device=ID)


def add_memory(monitor, number):
    """32 MiB, in the table of the device that is plugged next: the guest needn't take them."""
    monitor.do('object-add', **{'qom-type': 'memory-backend-memfd', 'id': f'more{number}',
                                'size': 32 << 20, 'share': True})
    monitor.do('device_add', driver='pc-dimm', id=f'dimm{number}', memdev=f'more{number}')


def replug(case):
    daemon = case.daemon('--log-level=debug')
    client = case.client(daemon)
    # Linux 7.3 takes no more input after the first time, from QEMU's own virtconsole neither.
    guest = case.guest(daemon, kernel='debian12', memory_options=',slots=4,maxmem=1G',
                       device=f'{DEVICE.format(4)},id={ID},bus=downstream',
                       more=('-device', 'pcie-root-port,id=downstream', *qmp.option(case)))
    monitor = qmp.Qmp(case)
    client.login()
    files, maps = daemon.resources()
    for number in range(6):
        client.run(f'echo {number} >/tmp/number')
        unplug(monitor)
        if number in (1, 3):
            add_memory(monitor, number)
            files, maps = files + 1, maps + 1
        plug(monitor)
        client.login()
        check_equal(client.run('cat /tmp/number'), b'%d\r\n' % number, 'the same guest')
        check_equal(client.run('seq 20000 | md5sum'), client.run('seq 20000 | md5sum'), 'sums')
        daemon.wait_resources((files, maps), f'with the device plugged again, {number}')
        if number == 2:
            monitor.do('system_reset')
            client.login()
            daemon.wait_resources((files, maps), 'after a reboot')
    check('refused' not in daemon.log.read_text(), 'a message was refused')
    check(guest.running(), 'QEMU has ended')


run(replug)
