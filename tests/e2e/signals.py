#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Every signal and every limit of setrlimit(2): nothing ends the daemon without
a line that says why. No guest is needed."""

import itertools
import os
import resource
import signal

from harness import DAEMON, Process, check, check_equal, run, wait

ENDS = {signal.SIGTERM: 0, signal.SIGINT: 0, signal.SIGXCPU: 1}
# What the default action does, after a line.
DIES = {signal.SIGQUIT, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS,
        signal.SIGFPE, signal.SIGSEGV, signal.SIGSYS}
# Without a line, and nothing happens.
QUIET = {signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGURG,
         signal.SIGWINCH, signal.SIGCONT, signal.SIGTTOU}
# The C library's own, which Python's valid_signals() leaves out.
RESERVED = set(range(32, signal.SIGRTMIN))
# The process stops until SIGCONT, as it was asked to.
STOPS = {signal.SIGSTOP, signal.SIGTSTP}
KILLS = {signal.SIGKILL}

# Set low at the start, and what the line names; the rest of the limits isn't used.
LIMITS = [
    ('RLIMIT_CPU', 1000, b'ulimit -t'),
    ('RLIMIT_FSIZE', 1 << 30, b'ulimit -f'),
    ('RLIMIT_DATA', 1 << 32, b'ulimit -d'),
    ('RLIMIT_AS', 1 << 40, b'ulimit -v'),
    ('RLIMIT_NPROC', 20, b'ulimit -u'),
    ('RLIMIT_STACK', 128 << 10, b'ulimit -s'),
]
TOO_LOW = [
    ('RLIMIT_FSIZE', 4096, b'ulimit -f'),
    ('RLIMIT_AS', 24 << 20, b'ulimit -v'),
]
UNUSED = ['RLIMIT_CORE', 'RLIMIT_MEMLOCK', 'RLIMIT_MSGQUEUE', 'RLIMIT_NICE', 'RLIMIT_RTPRIO',
          'RLIMIT_RTTIME', 'RLIMIT_SIGPENDING', 'RLIMIT_RSS']


NUMBERS = itertools.count()


def start(case, limits=(), *options):
    def limit():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for name, value in limits:
            resource.setrlimit(getattr(resource, name), (value, value))
    return case.daemon(*options, name=f'daemon{next(NUMBERS)}', backend='null', preexec=limit)


def lines(daemon):
    return daemon.log.read_bytes()


def lives(daemon, what):
    """It still does what it is asked to: it ends in order."""
    check(daemon.running(), f'the daemon has gone: {what}')
    daemon.stop()


def judge_signal(case, number):
    name = signal.Signals(number).name if number in list(signal.Signals) else f'signal {number}'
    daemon = start(case)
    before = lines(daemon)
    daemon.signal(number)
    if number in ENDS:
        check_equal(daemon.wait(name), ENDS[number], f'exit status after {name}')
        check(number != signal.SIGXCPU or b'processor time' in lines(daemon), name)
    elif number in DIES:
        check_equal(daemon.wait(name), -number, f'exit status after {name}')
        check(name.encode() in lines(daemon)[len(before):], f'no line for {name}')
    elif number in QUIET | RESERVED:
        lives(daemon, name)
        check(name.encode() not in lines(daemon), f'a line for {name}')
    else:
        wait(f'a line for {name}', lambda: b'nothing is done' in lines(daemon)[len(before):])
        lives(daemon, name)


def judge_limits(case):
    for name, value, named in LIMITS:
        daemon = start(case, [(name, value)])
        check(named in lines(daemon), f'no line names {name}: {lines(daemon)}')
        lives(daemon, name)
    for name, value, named in TOO_LOW:
        process = Process(case, f'low{next(NUMBERS)}', [DAEMON, f'--socket-path={case.dir}/low',
                                                      '--backend=null', '-c', '64'],
                          preexec=lambda: resource.setrlimit(getattr(resource, name),
                                                             (value, value)))
        check_equal(process.wait(name), 1, f'exit status with {name} of {value}')
        check(named in lines(process), f'no line names {name}: {lines(process)}')
    for name in UNUSED:
        value = 0 if name != 'RLIMIT_RTTIME' else 1000
        daemon = start(case, [(name, value)])
        check(b'ulimit' not in lines(daemon), f'a line for {name}: {lines(daemon)}')
        lives(daemon, name)


def signals(case):
    sanitized = 'ASAN_OPTIONS' in os.environ
    for number in sorted(signal.valid_signals() | RESERVED):
        if number in STOPS | KILLS or (sanitized and number in DIES):
            continue
        judge_signal(case, number)
    judge_limits(case)


run(signals)
