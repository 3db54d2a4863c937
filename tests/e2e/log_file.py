#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The log has all that the guest printed, whether or not somebody watches, and
nothing is lost or doubled when logrotate moves it away; a full disk holds nothing
up and is reported once."""

import os
import re
import shutil
import signal
import stat
import subprocess

from harness import SOON, Skip, check, check_equal, check_same_bytes, run, wait

ROTATIONS = 5
# In each file; enough that a line can be cut at either end.
SOME_LINES = 50
LINE = re.compile(rb'line (\d+)\r\n')
RUN_INIT = re.compile(rb'Run /init as init process\r?\n')


def logrotate(case, daemon, log, *how):
    """Rotates the log now, however small it is."""
    config = case.dir / 'logrotate.conf'
    config.write_text(f'{log} {{\n    rotate 100\n    nocompress\n    '
                      + '\n    '.join(how).format(pid=daemon.pid) + '\n}\n')
    config.chmod(0o644)
    result = subprocess.run(['logrotate', '--force', '--state', case.dir / 'logrotate.state',
                             config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            timeout=SOON * 2, check=False)
    check_equal((result.returncode, result.stdout), (0, b''), 'logrotate')


def files(log):
    """The log's files, oldest first."""
    found = [path for path in log.parent.iterdir() if path.name.startswith(log.name)]
    return sorted(found, key=lambda path: -int(path.name[len(log.name) + 1:] or 0))


def contents(log):
    return [path.read_bytes() for path in files(log)]


def lines_while(case, daemon, client, log, rotate):
    """The guest prints numbered lines while the log is rotated; returns how many
    lines they were."""
    # Until a line is typed. Without echo: that line would stand among them.
    client.send(b'stty -echo; echo begin $((40 + 2)); i=0; until read -t 0 x; do i=$((i+1)); '
                b'echo line $i; done; read x; stty echo; echo last $i\r')
    client.expect(rb'begin 42\r\n')
    for _ in range(ROTATIONS):
        # Lines before, and lines in the new file after: the guest prints on.
        wait('lines in the log', lambda: len(LINE.findall(log.read_bytes())) >= SOME_LINES, 60)
        count = len(files(log))
        rotate()
        check_equal(len(files(log)), count + 1, 'files after a rotation')
        check(b'last ' not in client.data[client.cursor:], 'the guest has stopped printing')
    wait('lines in the log', lambda: len(LINE.findall(log.read_bytes())) >= SOME_LINES, 60)
    client.send(b'\r')
    _, last = client.expect(rb'last (\d+)\r\n', seconds=60)
    client.expect(rb'guest# ')
    wait('the last line is in the log', lambda: b'last %s\r\n' % last in log.read_bytes())
    return int(last)


def unwatched(case):
    """A boot that nobody watches; returns daemon, guest and log."""
    logs = case.dir / 'logs'
    logs.mkdir(mode=0o700)
    daemon = case.daemon(f'--log-file={logs}/guest%i.log', count=2)
    log = logs / 'guest0.log'
    # Not quiet: the kernel's messages are long.
    guest = case.guest(daemon, append='console=ttyS0 console=hvc0')
    wait('the log has the boot', lambda: b'guest login: ' in log.read_bytes(), 120)
    text = log.read_bytes()
    # The serial port has the kernel's messages too; hvc0 from where it is a console.
    # After init has begun it writes there as well, maybe between them.
    serial = wait('the serial port has the boot',
                  lambda: RUN_INIT.search(guest.serial.read_bytes()))
    printed = serial.string[:serial.end()].partition(b'console [hvc0] enabled\r\n')[2]
    check(printed.count(b'\n') > 20, f'the kernel printed little: {printed!r}')
    init = RUN_INIT.search(text)
    check(init, f'no start of init in the log: {text!r}')
    check_same_bytes(text[:init.end()], printed, 'the log of the kernel\'s messages')
    check(b'no disk, no network' in text[init.end():], 'no greeting in the log')
    check_equal((logs / 'guest1.log').read_bytes(), b'', 'the log of a guest that isn\'t there')
    check_equal(stat.S_IMODE(log.stat().st_mode) & ~0o640, 0, 'mode of the log beyond 0640')
    return daemon, log


def full(case):
    """The disk is full, later it isn't."""
    log = case.dir / 'full0'
    log.symlink_to('/dev/full')
    daemon = case.daemon(f'--log-file={case.dir}/full', name='full')
    client = case.client(daemon)
    case.guest(daemon)
    client.login()
    # Several retries, with output for each.
    client.run('for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.5; done')
    check_equal(client.run('seq 1 3'), b'1\r\n2\r\n3\r\n', 'output with a full disk')
    told = [line for line in daemon.log.read_text().splitlines() if 'warning' in line]
    check_equal(len(told), 1, f'warnings {told}')
    check('full0' in told[0] and 'No space left' in told[0], f'the warning is {told[0]!r}')

    # Room again, in another file.
    log.unlink()
    daemon.signal(signal.SIGHUP)
    wait('the log is a file', lambda: client.run('echo room $((40 + 2))') and log.exists())
    client.run('echo room $((50 + 2))')
    wait('the log has lines again', lambda: b'\nroom 52\r\n' in log.read_bytes())
    told = [line for line in daemon.log.read_text().splitlines() if 'warning' in line]
    check_equal(len(told), 1, f'warnings {told}')
    client.reset()


def log_file(case):
    os.environ['PATH'] += ':/usr/sbin'
    if not shutil.which('logrotate'):
        raise Skip('no logrotate')
    daemon, log = unwatched(case)
    # What is kept for late clients is the log up to here.
    client = case.client(daemon)
    client.login()
    resources = daemon.resources()

    last = lines_while(case, daemon, client, log, lambda: logrotate(
        case, daemon, log, 'create 0640', 'postrotate', '    kill -HUP {pid}', 'endscript'))
    wait('the log has what the client has',
         lambda: sum(map(len, contents(log))) >= len(client.data))
    text = b''.join(contents(log))
    check_same_bytes(text, bytes(client.data), 'the log\'s files, one after the other')
    check_equal([int(n) for n in LINE.findall(text)], list(range(1, last + 1)),
                'the lines over all files')
    check_equal(daemon.resources(), resources, 'open files after rotations')

    # By way of a copy: what is printed between copy and truncation is lost, and
    # lines may be cut there; but nothing comes twice, and there are no holes.
    older = len(files(log))
    last = lines_while(case, daemon, client, log, lambda: logrotate(
        case, daemon, log, 'copytruncate'))
    texts = contents(log)
    # The file that was the newest is the first with new lines.
    newer = texts[older - 1:]
    check_equal(len(newer), ROTATIONS + 1, 'files with lines')
    newer[0] = newer[0][newer[0].rindex(b'begin 42\r\n'):]
    check(all(b'\0' not in text for text in texts), 'NUL bytes in a log')
    numbers = []
    for text in newer:
        whole = text[text.index(b'\n') + 1:]
        found = [int(n) for n in LINE.findall(whole)]
        check_equal(found, list(range(found[0], found[0] + len(found))), 'lines in one file')
        numbers += found
    check_equal(numbers, sorted(set(numbers)), 'the lines over all files')
    check_equal((numbers[0], numbers[-1]), (1, last), 'the first and the last line')
    client.reset()
    daemon.stop()

    full(case)


run(log_file, seconds=400)
