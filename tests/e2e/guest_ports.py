# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What the tests of a guest's ports have in common."""

from harness import wait

# What udev does where there is one.
MAKE_LINKS = ('mkdir -p /dev/virtio-ports; for p in /sys/class/virtio-ports/*; do '
              'ln -sf ../${p##*/} "/dev/virtio-ports/$(cat $p/name)"; done')


def ends(console, file):
    """Waits until the guest's process whose number is in the file has ended."""
    wait(f'the process in {file} ends',
         lambda: console.run(f'kill -0 $(cat {file}) 2>/dev/null; echo $?').strip() == b'1')
