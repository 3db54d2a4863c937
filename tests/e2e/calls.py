#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The system calls that the loop's thread makes itself, in a whole life, are those of the list in
docs/hostile-peers.md, which says for each why it can't wait. No guest is needed."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

from harness import Skip, check, check_equal, patience, run, wait

PAGE = pathlib.Path(__file__).parents[2] / 'docs/hostile-peers.md'
HEADING = '## System calls of the loop\'s thread'
CALL = re.compile(r'^(\d+) +(?:<\.\.\. )?(\w+)[( ]')


def listed():
    """The names in the first column of the page's table."""
    section = PAGE.read_text().partition(HEADING)[2].partition('\n## ')[0]
    rows = [line.split('|')[1] for line in section.splitlines() if line.startswith('| `')]
    return {name for row in rows for name in re.findall(r'`(\w+)`', row)}


def ask(path, line):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(patience())
        sock.connect(os.fspath(path))
        sock.sendall(line.encode() + b'\n')
        answer = b''
        while not re.search(rb'^(ok|error .*)\n', answer, re.MULTILINE):
            answer += sock.recv(4096)
    return answer


def stranger(path, kind):
    """Somebody's socket that isn't accepted from."""
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.bind(os.fspath(path))
    sock.listen(0)
    for _ in range(3):
        client = socket.socket(socket.AF_UNIX, kind)
        client.setblocking(False)
        try:
            client.connect(os.fspath(path))
        except BlockingIOError:
            break
    return sock


def live(case, daemon, control):
    """Everything that can be asked for while guests are served."""
    for name in ('stream', 'seqpacket'):
        kind = socket.SOCK_STREAM if name == 'stream' else socket.SOCK_SEQPACKET
        with stranger(case.dir / f'{name}0', kind):
            answer = ask(control, f'port-add 0 name=x,uds-path={case.dir}/{name}')
            check(b'error' in answer, f'a stranger\'s socket: {answer}')
    # One that nobody has any more.
    socket.socket(socket.AF_UNIX).bind(os.fspath(case.dir / 'stale0'))
    os.mkfifo(case.dir / 'fifo')
    for spec in (f'uds-path={case.dir}/stale', f'pty={case.dir}/line', 'tcp-port=%d' % case.ports(1),
                 f'backend=null,log-file={case.dir}/log%i', f'backend=null,log-file={case.dir}/fifo'):
        check_equal(ask(control, f'port-add 0 name=x,{spec}'), b'ok\n', f'port-add {spec}')
        if 'pty' in spec:
            os.close(os.open(case.dir / 'line0', os.O_RDWR | os.O_NOCTTY))
        daemon.signal(signal.SIGHUP)
        ask(control, 'list')
        check_equal(ask(control, 'port-remove 0 x'), b'ok\n', f'port-remove {spec}')
    for path in daemon.sockets:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(b'not a message')


def calls(case):
    if not shutil.which('strace'):
        raise Skip('no strace')
    probe = subprocess.run(['strace', '-o', '/dev/null', 'true'], capture_output=True, text=True)
    if probe.returncode != 0:
        raise Skip(f'strace can\'t trace here: {probe.stderr.strip()}')
    log, control = case.dir / 'strace', case.dir / 'control'
    daemon = case.daemon(f'--control-socket={control}', '--max-ports=3', count=2, backend='null',
                         wrapper=['strace', '-D', '-f', '-o', log])
    wait('the control socket', control.exists)
    start = log.stat().st_size
    live(case, daemon, control)
    daemon.stop()
    wait('strace is done', lambda: b'+++ exited' in log.read_bytes())
    made = {match[2] for match in map(CALL.match, log.read_text()[start:].splitlines()[1:])
            if match and int(match[1]) == daemon.pid}
    print('made:', *sorted(made))
    check_equal(sorted(made - listed()), [], 'calls that the page doesn\'t list')


run(calls)
