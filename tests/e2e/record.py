#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A guest boots with vhost-user-record between its VMM and the daemon: its console
works, and what was written down is a conversation that another daemon answers in
the same way. Takes the folder of the tools from VHOST_USER_TOOLS."""

import os
import pathlib
import shlex
import types

from harness import DAEMON, Process, check, check_equal, listening, patience, run, run_program, wait

TOOLS = pathlib.Path(os.environ.get('VHOST_USER_TOOLS', pathlib.Path(DAEMON).parent))


def tool(name, *arguments):
    done = run_program([TOOLS / name, *arguments], capture_output=True, text=True)
    check_equal(done.returncode, 0, f'{name}\'s exit status ({done.stdout}{done.stderr})')
    return done.stdout


def record(case):
    daemon = case.daemon()
    listen, recorded = case.dir / 'record.sock', case.dir / 'recorded.txt'
    recorder = Process(case, 'recorder', [TOOLS / 'vhost-user-record', listen, daemon.sockets[0],
                                          recorded])
    wait('the recorder listens', lambda: str(listen) in listening(recorder.pid))
    client = case.client(daemon)
    guest = case.guest(types.SimpleNamespace(sockets=[listen]))
    client.login()
    check_equal(client.run('uname -n'), b'guest\r\n', 'uname -n in the guest')
    guest.kill()
    wait('the recorder has seen the end', lambda: 'hangup' in recorded.read_text())
    recorder.signal(15)
    check_equal(recorder.wait('after SIGTERM'), 0, 'the recorder\'s exit status')
    check(not listen.exists(), 'the recorder left its socket behind')

    lines = recorded.read_text().splitlines()
    for start in ('send SET_VRING_KICK', 'expect ack 0', 'file memfd-'):
        check(any(line.startswith(start) for line in lines), f'no line {start}…')
    tool('vhost-user-conversation', 'check', recorded)
    played = tool('vhost-user-replay', '--append=0', f'--deadline={patience() * 1000:.0f}',
                  f'--spawn={shlex.quote(DAEMON)} -s {{socket}} -b null',
                  recorded)
    check('as expected' in played.splitlines()[0], f'the replay says {played}')


run(record)
