#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The nested backend without a terminal is a filter: its input's end stops only
the input, its output's end ends it with 0; /dev/null, files and pipes do."""

import subprocess

from harness import Pipe, check, check_equal, run, wait


def pipes(case):
    """Log in by the pipes; close the input; then the output."""
    daemon = case.daemon(backend='nested', name='pipes', stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
    console = Pipe(case, 'pipes', daemon.child.stdin, daemon.child.stdout)
    case.guest(daemon)
    console.login()
    check_equal(console.run('echo $((40 + 2))'), b'42\r\n', 'by pipes')
    check_equal(console.run('seq 1 20000'), b''.join(b'%d\r\n' % i for i in range(1, 20001)),
                'many lines by pipes')
    console.send(b'while :; do echo tick $((40 + 2)); sleep 0.2; done\r')
    console.expect(rb'tick 42\r\n')
    daemon.child.stdin.close()
    for _ in range(10):
        console.expect(rb'tick 42\r\n')
    check(daemon.running(), 'ended with its input')
    console.close()
    daemon.check_end('after its output was closed')


def nothing_in(case):
    """Input from /dev/null, output to a pipe."""
    daemon = case.daemon(backend='nested', name='null', stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE)
    console = Pipe(case, 'null', None, daemon.child.stdout)
    case.guest(daemon)
    console.expect(rb'guest login: ')
    daemon.stop()
    console.wait_end()


def files(case):
    """Input from a file, output to a file."""
    typed, shown = case.dir / 'typed', case.dir / 'shown'
    typed.write_bytes(b'')
    with open(typed, 'rb') as source, open(shown, 'wb') as sink:
        daemon = case.daemon(backend='nested', name='files', stdin=source, stdout=sink)
    case.guest(daemon)
    wait('the login prompt in the file', lambda: b'guest login: ' in shown.read_bytes())
    check(daemon.running(), 'ended with its input, a file')
    daemon.stop()


def filter_(case):
    pipes(case)
    nothing_in(case)
    files(case)


run(filter_)
