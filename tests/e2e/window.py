#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The guest's terminal has the size of the window that the nested backend is in:
at login, after the window's size has changed, and after a reboot; with both
kernels. A new VMM of the same daemon is told it too."""

import os
import shlex
import signal

from harness import DAEMON, check_equal, exists, listening, processes_with, run, wait
from person import Person


def window(case):
    person = Person(case)
    tmux = person.tmux
    path = case.dir / 'con.sock'
    option = f'--socket-path={path}'
    tmux.type(f'{shlex.quote(DAEMON)} {option}', 'Enter')
    pid, = wait('the daemon runs', lambda: processes_with(option))
    person.sockets = [f'{path}0']
    wait('the daemon listens', lambda: person.sockets[0] in listening(pid))

    sizes = iter([(40, 100), (24, 80), (57, 133), (31, 91)])
    for kernel in ('current', 'debian12'):
        guest = case.guest(person, kernel=kernel)
        person.login()
        check_equal(person.size(), person.window(), f'{kernel}: stty size at the first login')
        for rows, columns in (next(sizes), next(sizes)):
            wanted = person.resize(rows, columns)
            person.wait_size(wanted, f'{kernel}: after a resize')
        tmux.type('reboot -f', 'Enter')
        person.login()
        check_equal(person.size(), person.window(), f'{kernel}: stty size after a reboot')
        guest.kill()

    os.kill(pid, signal.SIGTERM)
    wait('the daemon ends', lambda: not exists(pid))


run(window)
