#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A guest with three ports: logins on hvc0 and hvc1, the window's size of a telnet
client on hvc0, and a data port by its name, through which much data goes both ways
at once while its client is stopped and continued at random; with both kernels."""

import pathlib
import random
import select
import signal
import subprocess
import sys
import threading
import time

from guest_ports import MAKE_LINKS, ends
from harness import GUESTS, ROOT, Client, Failure, Process, Skip, check, check_equal
from harness import listening, patience, run, wait

MIB = 1 << 20
IAC, SB, SE, WILL, NAWS = 255, 250, 240, 251, 31
SECOND, DATA = 'com.example.second', 'org.example.data.0'
DEVICE = f'/dev/virtio-ports/{DATA}'

# As scripts/guest has it, and one more login.
INITTAB = b"""::sysinit:/etc/rc
::respawn:/etc/login
::respawn:/etc/login.hvc1
::ctrlaltdel:/sbin/reboot
"""


class TelnetClient(Client):
    """One that tells its window's size and else answers nothing."""

    def send(self, data):
        super().send(data.replace(b'\xff', b'\xff\xff').replace(b'\r', b'\r\0'))

    def window(self, columns, rows):
        super().send(bytes((IAC, WILL, NAWS, IAC, SB, NAWS, 0, columns, 0, rows, IAC, SE)))

    def wait_size(self, columns, rows, what):
        wanted = f'{rows} {columns}'.encode()
        seen = []

        def right():
            seen.append(self.run('stty size').strip())
            return seen[-1] == wanted
        try:
            wait(what, right)
        except Failure:
            check_equal(seen[-1:], [wanted], f'stty size in the guest, {what}')
            raise


def archive(files):
    """The files, by path, as a cpio archive of the kind that an initramfs is."""
    out = bytearray()
    for number, (path, (mode, data)) in enumerate([*files.items(), ('TRAILER!!!', (0, b''))]):
        name = path.encode() + b'\0'
        fields = (number + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        out += b'070701' + b''.join(b'%08x' % field for field in fields) + name
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def make_initrd(case, kernel):
    """The guest's own with a login on hvc1 as well."""
    base = GUESTS / kernel / 'initramfs.img'
    if not base.exists():
        raise Skip(f'no guest in {GUESTS}: run scripts/guest test')
    login = (ROOT / 'scripts/guest-login').read_bytes().replace(b'hvc0', b'hvc1')
    initrd = case.dir / f'{kernel}.img'
    # Compressed, since only so it may begin anywhere in an initramfs.
    more = subprocess.run(['gzip', '-1n'], check=True, stdout=subprocess.PIPE, input=archive({
        'etc/inittab': (0o100644, INITTAB), 'etc/login.hvc1': (0o100755, login)})).stdout
    initrd.write_bytes(base.read_bytes() + more)
    return initrd


class DataClient(Process):
    """data_client.py; `finish` waits for what it has to say."""

    def __init__(self, case, port, size, name):
        program = pathlib.Path(__file__).with_name('data_client.py')
        super().__init__(case, name, [sys.executable, '-B', program, port, size],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def stop_at_random(self, generator, ended):
        """Stops and continues it, each for a moment, until the event; how often."""
        stops = 0
        while not ended.wait(generator.uniform(0.02, 0.6)):
            self.signal(signal.SIGSTOP)
            stops += 1
            ended.wait(generator.uniform(0.02, 0.6))
            self.signal(signal.SIGCONT)
        return stops

    def finish(self):
        """The MD5 sums of what it has sent and received."""
        check(select.select([self.child.stdout], [], [], patience())[0],
              f'{self.name} hasn\'t all that it waits for')
        sums = self.child.stdout.readline().decode().split()
        check_equal(len(sums), 2, f'{self.name}\'s last words')
        self.child.stdin.close()
        check_equal(self.wait('after its last words'), 0, f'{self.name}\'s exit status')
        return sums


def check_cat(case, daemon, console):
    """A shell's way: what comes cat reads, to the client's end; dd writes."""
    client = case.client(daemon, index=2)
    client.send(b'to the guest\n' * 1000)
    # To Linux a port that nobody has open on this side is at its end: should cat be early, again.
    console.run(f'rm -f /tmp/got; until [ -s /tmp/got ]; do cat {DEVICE} >>/tmp/got; done & '
                'echo $! >/tmp/cat')
    wait('cat has it all', lambda: console.run('wc -c </tmp/got').strip() == b'13000')
    client.reset()
    ends(console, '/tmp/cat')
    check_equal(console.run('sort -u /tmp/got').strip(), b'to the guest', 'what cat read')
    # Nobody is there: who writes waits, and nothing is lost.
    console.run(f'dd if=/etc/inittab of={DEVICE} 2>/dev/null & echo $! >/tmp/dd')
    check_equal(console.run('sleep 1; kill -0 $(cat /tmp/dd); echo $?').strip(), b'0',
                'whether dd waits for a client')
    client = case.client(daemon, index=2)
    client.wait_data(len(INITTAB))
    check_equal(bytes(client.data), INITTAB, 'what dd sent')
    ends(console, '/tmp/dd')
    client.reset()


def check_bulk(case, daemon, console, kernel, size):
    """`size` bytes each way at once, and the other consoles work meanwhile."""
    generator = random.Random()
    seed = generator.randrange(1 << 32)
    generator.seed(seed)
    console.run(f'dd if=/dev/urandom of=/tmp/big bs=1M count={size // MIB} 2>/dev/null')
    in_guest = console.run('md5sum </tmp/big').split()[0].decode()
    # The device can be opened once: both ways through one descriptor. 32 KiB a write is more
    # than the port keeps. A write waits for the client, a read would be at its end without.
    client = DataClient(case, daemon.port + 2, size, f'data-{kernel}')
    ended, stops = threading.Event(), []
    thread = threading.Thread(
        target=lambda: stops.append(client.stop_at_random(generator, ended)), daemon=True)
    thread.start()
    begin = time.monotonic()
    try:
        received = console.run(f'exec 3<>{DEVICE}; echo go >&3; dd if=/tmp/big bs=32k >&3 2>/dev/null & '
                               f'head -c {size} <&3 | md5sum; wait; exec 3>&-',
                               progress=lambda: client.log.stat().st_size)
    finally:
        ended.set()
        thread.join()
    seconds = time.monotonic() - begin
    sent, came = client.finish()
    what = f'{size // MIB} MiB, {kernel}, seed {seed}, stopped {stops[0]} times'
    check_equal(came, in_guest, f'MD5 of what the guest sent ({what})')
    check_equal(received.split()[0].decode(), sent, f'MD5 of what the guest received ({what})')
    print(f'{what}: {seconds:.1f} s for both ways')


def check_guest(case, kernel, size):
    first = case.ports(3)
    ports = (f'--port=type=console,tcp-port={first},tcp-protocol=telnet',
             f'--port=name={SECOND},type=console,tcp-port={first + 1}',
             f'--port=name={DATA},type=data,tcp-port={first + 2},history=4096')
    daemon = case.daemon(*ports, port=first, name=f'daemon-{kernel}')
    wait('the other ports listen', lambda: {first + 1, first + 2} <= listening(daemon.pid))
    before = daemon.resources()
    console = TelnetClient(case, daemon)
    second = case.client(daemon, index=1)
    console.window(100, 40)
    guest = case.guest(daemon, kernel=kernel, initrd=make_initrd(case, kernel), memory=512, vqs=8)

    console.login()
    second.login()
    check_equal(console.run('tty').strip(), b'/dev/hvc0', 'the first console')
    check_equal(second.run('tty').strip(), b'/dev/hvc1', 'the second console')
    console.wait_size(100, 40, f'{kernel}: of the window at login')
    for columns, rows in ((132, 43), (80, 24)):
        console.window(columns, rows)
        console.wait_size(columns, rows, f'{kernel}: after a resize')

    console.run(MAKE_LINKS)
    names = console.run('ls /dev/virtio-ports').split()
    check({SECOND.encode(), DATA.encode()} <= set(names), f'the guest\'s ports are {names}')
    check_cat(case, daemon, console)
    check_bulk(case, daemon, console, kernel, size)
    second.run('true')
    guest.kill()
    console.reset()
    second.reset()
    daemon.wait_resources(before, f'{kernel}: after the guest and the clients have gone')


def ports(case):
    check_guest(case, 'current', 100 * MIB)
    check_guest(case, 'debian12', 8 * MIB)


run(ports)
