#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The command line as a whole program: spellings, usage errors (exit 2, one
line that names the option), failures of the start (exit 1, one line that names
the cause), what becomes of socket files, and --fd. No guest is needed."""

import ctypes
import json
import os
import re
import resource
import signal
import socket
import stat
import struct
import subprocess

from harness import DAEMON, Process, check, check_equal, listening, patience, run, run_program, wait

PR_CAPBSET_DROP = 24
CAP_SYS_RESOURCE = 24

NAMES = ('socket-path', 'socket-count', 'tcp-port', 'backend', 'max-queue-size', 'fd',
         'print-capabilities', 'socket-mode', 'socket-group', 'client-mode', 'client-group', 'listen-address', 'history',
         'log-level', 'port', 'max-ports', 'resize-order', 'control-socket', 'help', 'version')

# What is wrong, and what the line must name. A usage error must show before
# anything is done, so /nowhere is never looked at.
PATH = '--socket-path=/nowhere/con.sock'
NETWORK = '--backend=network'
USAGE_ERRORS = [
    ([], 'socket-path'),
    (['-s'], 'socket-path'),
    (['--socket-path'], 'socket-path'),
    (['--socket-path='], 'socket-path'),
    ([NETWORK, '-c', '2'], 'socket-path'),
    ([PATH, NETWORK, '-c', '0'], 'socket-count'),
    ([PATH, NETWORK, '-c', '-1'], 'socket-count'),
    ([PATH, NETWORK, '-c', 'two'], 'socket-count'),
    ([PATH, NETWORK, '-c', '2x'], 'socket-count'),
    ([PATH, NETWORK, '--socket-count=99999999999999999999'], 'socket-count'),
    ([PATH, NETWORK, '-p', '65536'], 'tcp-port'),
    ([PATH, NETWORK, '-p', '-1'], 'tcp-port'),
    ([PATH, NETWORK, '-p', 'http'], 'tcp-port'),
    ([PATH, NETWORK, '-p', '4294967376'], 'tcp-port'),
    ([PATH, NETWORK, '-p', '65535', '-c', '2'], 'tcp-port'),
    ([PATH, NETWORK, '-p', '65530', '-c', '7'], 'tcp-port'),
    ([PATH, '-b', 'telepathy'], 'backend'),
    ([PATH, '-b', 'net'], 'backend'),
    ([PATH, '-c', '2'], 'backend'),
    ([PATH, '-b', 'nested', '-c', '2'], 'backend'),
    ([PATH, '-q', '100'], 'max-queue-size'),
    ([PATH, '-q', '0'], 'max-queue-size'),
    ([PATH, '-q', '65536'], 'max-queue-size'),
    ([PATH, '-q', 'many'], 'max-queue-size'),
    ([PATH, '--fd=3'], 'fd'),
    (['--fd=3', PATH], 'fd'),
    (['--fd=-1'], 'fd'),
    (['--fd=three'], 'fd'),
    (['--fd=3', NETWORK, '-c', '2'], 'fd'),
    ([PATH, '--socket-mode=9'], 'socket-mode'),
    ([PATH, '--socket-mode=10000'], 'socket-mode'),
    ([PATH, '--socket-mode=rw'], 'socket-mode'),
    ([PATH, '--socket-group=no such group'], 'socket-group'),
    ([PATH, '--listen-address=nowhere'], 'listen-address'),
    ([PATH, '--listen-address=127.0.0.256'], 'listen-address'),
    ([PATH, '--history=lots'], 'history'),
    ([PATH, '--history=-1'], 'history'),
    ([PATH, '--log-level=loud'], 'log-level'),
    ([PATH, '--port=tcp-port=http'], 'tcp-port=http'),
    ([PATH, '--port=name=a b'], 'name=a b'),
    ([PATH, '--port=name=a,b=c'], 'b: no such key'),
    ([PATH, '--port=name=a,tcp-port=7', '--port=name=b,tcp-port=7'], 'port a of guest 0'),
    ([PATH, NETWORK, '--max-ports=32'], 'max-ports'),
    ([PATH, NETWORK, '--control-socket=/nowhere/con.sock0'], 'control-socket'),
    ([PATH, *['--port=type=data'] * 32], 'at most 31'),
    # Abbreviations, and what is no option at all.
    (['--socket-pat=/nowhere/con.sock'], '--socket-pat'),
    ([PATH, '--back=network'], '--back'),
    ([PATH, '--his=4096'], '--his'),
    ([PATH, '--hel'], '--hel'),
    ([PATH, '--bogus'], '--bogus'),
    ([PATH, '-z'], '-z'),
    ([PATH, 'extra'], 'extra'),
    ([PATH, '--help=me'], 'help'),
]


def command(*arguments, **options):
    return run_program([DAEMON, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, **options)


def check_refused(result, status, named, what):
    """Ended with the status and one line on standard error that names it."""
    what = f'{what}: {result.stderr!r}'
    check_equal(result.returncode, status, f'exit status with {what}')
    check_equal(result.stdout, '', f'standard output with {what}')
    check(re.fullmatch(r'[^\n]+\n', result.stderr), f'not one line with {what}')
    check(str(named) in result.stderr, f'{named} is not named with {what}')


def usage_errors():
    for arguments, named in USAGE_ERRORS:
        result = command(*arguments)
        check_refused(result, 2, named, ' '.join(arguments))


def told():
    """--help, --version, --print-capabilities."""
    for arguments in ['--help'], ['-h']:
        result = command(*arguments)
        check_equal((result.returncode, result.stderr), (0, ''), f'{arguments}')
        for name in NAMES:
            check(f'--{name}' in result.stdout, f'--{name} is not in --help')
    for arguments in ['--version'], ['-V']:
        result = command(*arguments)
        check_equal((result.returncode, result.stderr), (0, ''), f'{arguments}')
        check(re.fullmatch(r'vhost-user-console \d+\.\d+\S*\n', result.stdout),
              f'version: {result.stdout!r}')
    # By QEMU's conventions everything else is ignored with this one.
    for others in [], ['-c', '0'], ['--bogus', 'extra'], ['--help']:
        for arguments in ['--print-capabilities', *others], [*others, '--print-capabilities']:
            result = command(*arguments)
            check_equal((result.returncode, result.stderr), (0, ''), f'{arguments}')
            check_equal(json.loads(result.stdout)['type'], 'console', f'{arguments}')


def spellings(case):
    for number, option in enumerate([['-s', '{}'], ['-s{}'], ['--socket-path', '{}'],
                                     ['--socket-path={}']]):
        path = case.dir / f'spelling{number}'
        daemon = Process(case, f'spelling{number}',
                         [DAEMON, *(o.format(path) for o in option), '-c2', '-bnetwork',
                          '-p', case.ports(2), '-q', '32768'])
        wait(f'both sockets with {option}',
             lambda: {f'{path}0', f'{path}1'} <= listening(daemon.pid))
        check(not path.exists(), f'{path} without a number')
        daemon.signal(signal.SIGINT)
        check_equal(daemon.wait('after SIGINT'), 0, 'exit status after SIGINT')
        check(not path.with_name(f'{path.name}0').exists(), 'socket left after SIGINT')


def limit_files():
    """For a child: 64 open files at most, even for root."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def file_limit(case):
    """The soft limit is raised; of a hard one that is too low the start says what is missing."""
    path = case.dir / 'many'
    arguments = ['-s', path, '-c', 40, NETWORK, '-p', case.ports(40)]
    result = command(*arguments, preexec_fn=limit_files)
    check_equal(result.returncode, 1, 'exit status with 64 open files')
    warning, error = result.stderr.splitlines()
    for part in '40 guests', 'have 64', 'ulimit -Hn':
        check(part in warning, f'{part} is not in {warning!r}')
    check('Too many open files' in error, f'not the cause: {error!r}')
    check(not path.with_name('many0').exists(), 'a socket was left behind')
    daemon = Process(case, 'many', ['prlimit', '--nofile=64:', DAEMON, *map(str, arguments)])
    wait('40 guests\' sockets', lambda: f'{path}39' in listening(daemon.pid))
    daemon.signal(signal.SIGTERM)
    check_equal(daemon.wait('after SIGTERM'), 0, 'exit status after SIGTERM')


def socket_files(case):
    """Stale ones are replaced, live ones and other files are left alone."""
    daemon = case.daemon(name='first')
    path = daemon.path
    result = command(f'--socket-path={path}', NETWORK, f'--tcp-port={case.ports(1)}')
    check_refused(result, 1, daemon.sockets[0], 'a socket in use')
    check(daemon.running(), 'the first daemon ended')
    with socket.socket(socket.AF_UNIX) as frontend:
        frontend.connect(daemon.sockets[0])
        get_features(frontend)
    check_equal(stat.S_IMODE(os.stat(daemon.sockets[0]).st_mode), 0o600, 'the socket\'s mode')

    daemon.kill()
    check(os.path.lexists(daemon.sockets[0]), 'no stale socket to try with')
    again = case.daemon('--socket-mode=0660', f'--socket-group={os.getgid()}', name='again',
                        path=path)
    check_equal(stat.S_IMODE(os.stat(again.sockets[0]).st_mode), 0o660, 'the socket\'s mode')
    check_equal(os.stat(again.sockets[0]).st_gid, os.getgid(), 'the socket\'s group')
    # At once after its end, as a service manager starts it: the kernel ends what
    # a killed process's ring holds a moment after the process.
    for number in range(30):
        again.kill()
        again = case.daemon(name=f'again{number}', path=path, port=daemon.port)
    again.stop()

    plain = case.dir / 'file0'
    plain.write_text('precious')
    result = command(f'--socket-path={case.dir}/file', NETWORK, f'--tcp-port={case.ports(1)}')
    check_refused(result, 1, plain, 'a file in the socket\'s place')
    check_equal(plain.read_text(), 'precious', 'the file in the socket\'s place')


def start_failures(case):
    port = case.ports(2)
    missing = case.dir / 'missing' / 'con.sock'
    check_refused(command(f'--socket-path={missing}', NETWORK, f'--tcp-port={port}'),
                  1, missing, 'a missing directory')
    long_path = case.dir / ('x' * 108)
    check_refused(command(f'--socket-path={long_path}', NETWORK, f'--tcp-port={port}'),
                  1, long_path, 'a path too long')

    # The second guest's port is taken: the first guest's things go again.
    path = case.dir / 'ports'
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', port + 1))
        taken.listen()
        result = command(f'--socket-path={path}', NETWORK, f'--tcp-port={port}', '-c2')
        check_refused(result, 1, port + 1, 'a port in use')
    check(not list(case.dir.glob('ports*')), 'sockets left behind by a start that failed')
    check_refused(command('--fd=77', NETWORK, f'--tcp-port={port}'), 1, '77', 'a closed --fd')
    with open('/dev/null', 'rb') as null:
        check_refused(command(f'--fd={null.fileno()}', NETWORK, f'--tcp-port={port}',
                              pass_fds=[null.fileno()]), 1, null.fileno(), 'an --fd that is no socket')


def get_features(connection):
    """Asks as a frontend does first: GET_FEATURES, version 1, no payload."""
    connection.settimeout(patience())
    connection.sendall(struct.pack('=III', 1, 1, 0))
    reply = connection.recv(64)
    check_equal(len(reply), 20, 'bytes of the answer to GET_FEATURES')
    request, flags, size, features = struct.unpack('=IIIQ', reply)
    check_equal((request, flags, size), (1, 5, 8), 'the answer\'s header')
    check(features & 1 << 32, 'no VERSION_1')


def fds(case):
    """--fd with a listening socket serves who connects, again and again; with a
    connected one it serves that, and ends with it."""
    path = case.dir / 'given'
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    daemon = Process(case, 'listening', [DAEMON, f'--fd={listener.fileno()}', NETWORK,
                                         f'--tcp-port={case.ports(1)}'],
                     pass_fds=[listener.fileno()])
    listener.close()
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as frontend:
            frontend.connect(str(path))
            get_features(frontend)
    check(daemon.running(), 'ended with its frontend')
    daemon.signal(signal.SIGTERM)
    check_equal(daemon.wait('after SIGTERM'), 0, 'exit status after SIGTERM')
    check(path.exists(), 'removed a socket that was given to it')

    for backend in 'network', 'nested':
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        daemon = Process(case, f'connected-{backend}', [
            DAEMON, f'--fd={theirs.fileno()}', f'--backend={backend}',
            f'--tcp-port={case.ports(1)}'], pass_fds=[theirs.fileno()])
        theirs.close()
        get_features(ours)
        check(daemon.running(), 'ended under its frontend')
        ours.close()
        check_equal(daemon.wait('after its only frontend has gone'), 0,
                    f'{backend}: exit status after its only frontend has gone')


def options(case):
    usage_errors()
    told()
    spellings(case)
    file_limit(case)
    socket_files(case)
    start_failures(case)
    fds(case)


run(options)
