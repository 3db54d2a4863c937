#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""logrotate moves the log of a guest that prints all the time. With `create` and
SIGHUP not a byte is lost or doubled; with `copytruncate` each rotation loses one
piece at most, what came between its copy and its truncation.

Looked at is what lies between the first and the last of numbered lines, which
the guest's shell prints when nothing else in the guest does any more."""

import os
import re
import shutil
import subprocess

from harness import Failure, Skip, check, check_equal, check_same_bytes, run, run_program, wait

ROTATIONS = 5
# In each file; so many can't be mistaken for others, wherever the file cuts a line.
SOME_LINES = 80

CREATE = ('create 0640', 'postrotate', '    kill -HUP {pid}', 'endscript')
COPYTRUNCATE = ('copytruncate',)

# Until ^C, and line by line, so that the pace is the guest's sleep and not the console's.
PRINT = ("awk 'BEGIN {{ for (i = 1; ; i++) "
         "printf \"{tag} %06d %04x\\n\", i, (i * 40503) % 65536 }}' | "
         'while read -r line; do echo "$line"; usleep 2000; done\r')


def expected(tag, lines):
    return b''.join(b'%s %06d %04x\r\n' % (tag, i, i * 40503 % 65536) for i in range(1, lines + 1))


def files(log):
    """The log's files, oldest first."""
    found = [path for path in log.parent.iterdir() if path.name.startswith(log.name)]
    return sorted(found, key=lambda path: -int(path.name[len(log.name) + 1:] or 0))


def count_lines(tag, path):
    """How many of the numbered lines it has."""
    return len(re.findall(rb'%s \d{6} ' % tag, path.read_bytes()))


def logrotate(case, daemon, log, how):
    """Rotates the log now, however small it is."""
    before = len(files(log))
    config = case.dir / 'logrotate.conf'
    config.write_text(f'{log} {{\n    rotate 100\n    nocompress\n    '
                      + '\n    '.join(how).format(pid=daemon.pid) + '\n}\n')
    config.chmod(0o644)
    result = run_program(['logrotate', '--force', '--state', case.dir / 'logrotate.state', config],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    check_equal((result.returncode, result.stdout), (0, b''), 'logrotate')
    check_equal(len(files(log)), before + 1, 'the log\'s files after a rotation')


def rotate_meanwhile(case, daemon, client, log, tag, how):
    """The guest prints its lines, and the log is rotated meanwhile. Returns the
    lines as they are in the log's files, oldest first."""
    start = client.cursor
    client.send(PRINT.format(tag=tag.decode()).encode())
    for _ in range(ROTATIONS):
        # The daemon writes to this file, so that each rotation finds it at work.
        wait('lines in the log', lambda: count_lines(tag, log) >= SOME_LINES,
             lambda: log.stat().st_size)
        logrotate(case, daemon, log, how)
    wait('lines in the last log', lambda: count_lines(tag, log) >= SOME_LINES,
         lambda: log.stat().st_size)
    client.send(b'\x03')
    client.expect(rb'guest# ')
    printed = bytes(client.data[start:])
    lines = re.findall(rb'^%s \d{6} [0-9a-f]{4}\r\n' % tag, printed, re.MULTILINE)
    wanted = expected(tag, len(lines))
    first, last = lines[0], lines[-1]
    check_same_bytes(printed[printed.index(first):printed.index(last) + len(last)], wanted,
                     'the client\'s lines')
    wait('the last line is in the log', lambda: last in log.read_bytes())

    pieces = [path.read_bytes() for path in files(log)[-ROTATIONS - 1:]]
    check(first in pieces[0], 'the first line isn\'t in the first file')
    pieces[0] = pieces[0][pieces[0].index(first):]
    pieces[-1] = pieces[-1][:pieces[-1].index(last) + len(last)]
    return wanted, pieces


def missing(wanted, pieces):
    """How much is missing before each piece but the first, which together are
    what was wanted, in order, nothing twice."""
    at, gaps = 0, []
    for number, piece in enumerate(pieces):
        found = wanted.find(piece, at)
        if found < 0:
            raise Failure(f'file {number + 1} of {len(pieces)}, of {len(piece)} bytes, isn\'t a '
                          f'piece of what comes after {wanted[max(0, at - 50):at]!r}: it begins '
                          f'with {piece[:50]!r} and ends with {piece[-50:]!r}')
        gaps.append(found - at)
        at = found + len(piece)
    check_equal((gaps[0], at), (0, len(wanted)), 'where the lines in the log begin and end')
    return gaps[1:]


def rotate(case):
    os.environ['PATH'] += ':/usr/sbin'
    if not shutil.which('logrotate'):
        raise Skip('no logrotate')
    # logrotate doesn't touch a log in a folder that others may write to.
    logs = case.dir / 'logs'
    logs.mkdir(mode=0o700)
    daemon = case.daemon(f'--log-file={logs}/guest%i.log')
    log = logs / 'guest0.log'
    client = case.client(daemon)
    case.guest(daemon)
    client.login()
    resources = daemon.resources()

    wanted, pieces = rotate_meanwhile(case, daemon, client, log, b'create', CREATE)
    check_same_bytes(b''.join(pieces), wanted, 'the lines in the log\'s files')
    wanted, pieces = rotate_meanwhile(case, daemon, client, log, b'truncate', COPYTRUNCATE)
    print(f'copytruncate lost {missing(wanted, pieces)} bytes of {len(wanted)}')
    daemon.wait_resources(resources, 'after the rotations')


run(rotate)
