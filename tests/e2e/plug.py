#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Ports are added to a running guest and removed through the control socket: the
guest sees them come and go, bytes go both ways, what was left is still delivered, a
name and a path can be used again, and what is wrong changes nothing."""

import os
import socket

from guest_ports import MAKE_LINKS, ends
from harness import check, check_equal, check_same_bytes, listening, patience, run, wait
from unix_client import UnixClient

MAX_PORTS = 3
REST = 1 << 20
DATA, OTHER = 'org.example.data', 'com.example.other'


class Control:
    """The control socket as a program uses it."""

    def __init__(self, case, path):
        self.socket = socket.socket(socket.AF_UNIX)
        case.cleanup.callback(self.socket.close)
        self.socket.settimeout(patience())
        self.socket.connect(str(path))
        self.file = self.socket.makefile('r', encoding='utf-8', newline='\n')

    def send(self, request):
        self.socket.sendall(f'{request}\n'.encode())

    def answer(self):
        """The lines before the last one, and that."""
        lines = []
        while True:
            line = self.file.readline()
            check(line.endswith('\n'), f'an answer ends with {line!r}')
            lines.append(line.rstrip('\n'))
            if lines[-1] == 'ok' or lines[-1].startswith('error '):
                return lines[:-1], lines[-1]

    def ask(self, request):
        self.send(request)
        return self.answer()

    def do(self, request):
        check_equal(self.ask(request), ([], 'ok'), request)

    def list(self):
        lines, last = self.ask('list')
        check_equal(last, 'ok', 'the end of list')
        return lines


def names(console):
    """Of the ports that the guest sees."""
    return set(console.run('cat /sys/class/virtio-ports/*/name 2>/dev/null; :').decode().split())


def wait_names(console, *wanted):
    wait(f'the guest sees {wanted}', lambda: names(console) == set(wanted))
    console.run(f'rm -rf /dev/virtio-ports; {MAKE_LINKS}')


def connect(case, daemon, path, **options):
    check(path in listening(daemon.pid), f'nobody listens on {path}')
    return UnixClient(case, path, **options)


def open_in_guest(console, name, file):
    """Descriptor 3 is the port, and a cat reads from it into the file."""
    # Linux has a port that nobody has open on this side at its end: not before it is told.
    console.run(f'exec 3<>/dev/virtio-ports/{name}; echo ready >&3')
    console.run(f'cat <&3 >{file} & echo $! >/tmp/cat')


def check_both_ways(console, client, file, text):
    start = len(client.data)
    client.send(f'{text} to the guest\n'.encode())
    wait(f'the guest has {text}',
         lambda: console.run(f'cat {file}').strip() == f'{text} to the guest'.encode())
    console.run(f'echo {text} from the guest >&3')
    client.wait_data(start + len(text) + len(' from the guest\n'))
    check_equal(bytes(client.data[start:]), f'{text} from the guest\n'.encode(), 'what came')


def check_gone(console, client, path):
    """The guest's reader and the client have come to their ends, and the socket is gone."""
    check(not os.path.lexists(path), f'{path} is still there')
    client.wait_end()
    ends(console, '/tmp/cat')
    console.run('exec 3>&-')


def check_life(case, daemon, console, control, text):
    """Of a data port, from end to end."""
    path = str(case.dir / 'data0')
    place = f'{DATA} data uds'

    control.do(f'port-add 0 name={DATA},type=data,uds-path={path[:-1]}')
    check_equal(control.list()[2:], [f'port 0 1 {place} closed 0 {path}'], 'the list')
    wait_names(console, DATA)
    client = connect(case, daemon, path)
    open_in_guest(console, DATA, '/tmp/got')
    client.expect(b'ready\n')
    check_equal(control.list()[2:], [f'port 0 1 {place} open 1 {path}'], 'the list')
    check_both_ways(console, client, '/tmp/got', text)

    control.do(f'port-remove 0 {DATA}')
    check_equal(control.list()[2:], [], 'the ports but the first')
    check_gone(console, client, path)
    wait_names(console)


def fill(case, daemon, console, control):
    """A data port whose client doesn't read what the guest has written, and its path."""
    path = str(case.dir / 'rest0')
    control.do(f'port-add 0 name={DATA},type=data,history=2M,uds-path={path[:-1]}')
    wait_names(console, DATA)
    client = connect(case, daemon, path, reading=False)
    console.run(f'head -c {REST} /dev/zero >/dev/virtio-ports/{DATA}')
    return client, path


def check_rest(case, daemon, console, control):
    """What the guest has written before a port is removed is for who is there still."""
    client, path = fill(case, daemon, console, control)
    control.send(f'port-remove 0 {DATA}')
    client.start_reading()
    check_equal(control.answer(), ([], 'ok'), 'the answer once all is written')
    client.wait_end()
    check_same_bytes(bytes(client.data), bytes(REST), 'what was left')
    check(not os.path.lexists(path), f'{path} is still there')
    wait_names(console)


def check_refused(control, console, request, why):
    before = control.list(), names(console)
    lines, last = control.ask(request)
    check_equal(lines, [], f'what comes before the error of {request!r}')
    check(last.startswith('error ') and why in last, f'{request!r} is answered by {last!r}')
    check_equal((control.list(), names(console)), before, f'what {request!r} has changed')


def check_two(case, daemon, console, control):
    """A data port and a console besides the first, which are as many as there can be."""
    data, other = str(case.dir / 'data0'), str(case.dir / 'other0')

    control.do(f'port-add 0 name={DATA},type=data,uds-path={data[:-1]}')
    control.do(f'port-add 0 name={OTHER},type=console,uds-path={other[:-1]}')
    check_equal([line.split()[:5] for line in control.list()[2:]],
                [['port', '0', '1', DATA, 'data'], ['port', '0', '2', OTHER, 'console']],
                'the ports but the first')
    wait_names(console, DATA, OTHER)
    data_client, other_client = connect(case, daemon, data), connect(case, daemon, other)
    open_in_guest(console, DATA, '/tmp/got')
    data_client.expect(b'ready\n')
    console.run('until (: </dev/hvc1) 2>/dev/null; do sleep 0.1; done; echo on hvc1 >/dev/hvc1')
    other_client.expect(rb'on hvc1\r\n')
    check_both_ways(console, data_client, '/tmp/got', 'beside another')

    check_refusals(control, console, daemon, other)

    control.do('port-remove 0 2')
    check(not os.path.lexists(other), f'{other} is still there')
    other_client.wait_end()
    wait_names(console, DATA)
    control.do(f'port-remove 0 {DATA}')
    check_gone(console, data_client, data)
    wait_names(console)


def check_refusals(control, console, daemon, other):
    for request, why in (
            ('port-add 0 name=org.example.more,type=data,backend=null', '--max-ports'),
            (f'port-add 0 name={DATA},type=data,backend=null', 'name'),
            (f'port-add 0 name=more,type=data,uds-path={other[:-1]}', other[:-1]),
            (f'port-add 0 name=more,type=data,tcp-port={daemon.port}', str(daemon.port)),
            ('port-add 0 name=more,type=block', 'type'),
            ('port-add 0 name=more,colour=red', 'colour'),
            ('port-add 1 name=more,type=data,backend=null', 'no guest 1'),
            ('port-remove 0 more', 'no such port'),
            ('port-remove 0 0', 'first port'),
            ('port-remove 1 more', 'no guest 1'),
            ('port-move 0 more', 'port-move'),
    ):
        check_refused(control, console, request, why)


def check_pty(case, console, control):
    path = str(case.dir / 'line0')
    control.do(f'port-add 0 name={OTHER},pty={path[:-1]}')
    check_equal(control.list()[2:], [f'port 0 1 {OTHER} console pty closed 0 {path}'], 'the list')
    wait_names(console, OTHER)
    check(os.path.exists(path), f'{path} isn\'t there')
    control.do(f'port-remove 0 {OTHER}')
    check(not os.path.lexists(path), f'{path} is still there')
    wait_names(console)


def check_end(case, daemon, console, control):
    """The end doesn't wait for what is left, nor for who has asked for the removal."""
    client, path = fill(case, daemon, console, control)
    other = Control(case, daemon.control)
    control.send(f'port-remove 0 {DATA}')
    wait('the port is on its way out', lambda: len(other.list()) == 2)
    daemon.sockets += [path, daemon.control]
    daemon.stop()
    client.start_reading()
    client.wait_end()
    # On a very slow machine the removal may have given up waiting for the client before.
    check(control.file.read() in ('', 'ok\n'), 'an answer to who asked for the removal')


def plug(case):
    path = case.dir / 'control'
    daemon = case.daemon(f'--max-ports={MAX_PORTS}', '--history=2M', f'--control-socket={path}')
    daemon.control = str(path)
    control = Control(case, path)
    place = f'port 0 0 - console network closed 0 127.0.0.1:{daemon.port}'
    check_equal(control.list(), [f'guest 0 waiting {daemon.sockets[0]}', place], 'the list')
    console = case.client(daemon)
    case.guest(daemon, vqs=2 * (MAX_PORTS + 1))
    console.login()
    wait_names(console)
    before = daemon.resources()
    # The second time all is as if it were the first one.
    check_life(case, daemon, console, control, 'once')
    check_life(case, daemon, console, control, 'again')
    check_rest(case, daemon, console, control)
    check_two(case, daemon, console, control)
    check_pty(case, console, control)
    daemon.wait_resources(before, 'after the last removal')
    check_equal(control.list()[0], f'guest 0 connected {daemon.sockets[0]}', 'the guest')
    check_end(case, daemon, console, control)


run(plug)
