#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The guest's driver lets the device go and takes it again; the client stays."""

from harness import check_equal, run

REBIND = '''cd /sys/bus/virtio/drivers/virtio_console; \
for device in virtio[0-9]*; do echo $device >unbind; echo $device >bind; done'''


def send_rebind(client):
    # In a session of its own: the one at the console is hung up.
    client.send(f"setsid sh -c '{REBIND}' >/dev/ttyS0 2>&1 </dev/null &\r".encode())


def rebind(case):
    daemon = case.daemon()
    client = case.client(daemon)
    guest = case.guest(daemon, kernel='debian12')
    client.login()
    running = daemon.resources()
    for number in range(1, 4):
        client.run(f'echo {number} >/tmp/number')
        send_rebind(client)
        client.login()
        check_equal(client.run('cat /tmp/number'), b'%d\r\n' % number, 'the same guest')
    daemon.wait_resources(running, 'after the driver came back')
    guest.kill()

    # Linux 7.3 takes no input after this any more, from QEMU's own virtconsole
    # neither: there it is the output that must go on.
    case.guest(daemon)
    client.login()
    send_rebind(client)
    client.expect(rb'guest login: ')


run(rebind)
