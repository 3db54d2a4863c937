#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The guest's terminal has the size of the window that the nested backend is in:
at login, after the window's size has changed, and after a reboot; with both
kernels. A new VMM of the same daemon is told it too."""

import os
import re
import signal

from harness import BOOT_SECONDS, DAEMON, SOON, check_equal, exists, listening, processes_with
from harness import run, wait


class Console:
    """The guest's console in a terminal, and who is logged in there."""

    def __init__(self, case):
        self.tmux = case.tmux()
        self.logins = 0
        self.asked = 0

    def login(self):
        """After power-on or a reboot."""
        self.logins += 1
        self.tmux.expect(r'guest login: ', count=self.logins, seconds=BOOT_SECONDS)
        self.tmux.type('root', 'Enter')
        self.tmux.expect(r'^guest login: root\n(.*\n)*?guest# ', count=self.logins,
                         seconds=BOOT_SECONDS)

    def window(self):
        return self.tmux.command('display-message', '-p', '#{pane_height} #{pane_width}').strip()

    def resize(self, rows, columns):
        """Returns the window's size, which is tmux's affair."""
        self.tmux.command('resize-window', '-x', str(columns), '-y', str(rows))
        return wait('tmux resizes its window',
                    lambda: self.window().endswith(f' {columns}') and self.window())

    def size(self):
        """What the guest takes the terminal's size for."""
        self.asked += 1
        self.tmux.type(f'echo "s$(({self.asked}))" $(stty size)', 'Enter')
        pattern = re.compile(rf'^s{self.asked} (.*)$', re.MULTILINE)
        # A screen is looked at while it is drawn: the prompt after it ends the answer.
        answer = wait('stty size answers', lambda: pattern.search(self.tmux.screen()), SOON)
        return answer[1].strip()

    def wait_size(self, wanted, what):
        seen = []

        def right():
            seen.append(self.size())
            return seen[-1] == wanted
        try:
            wait(what, right)
        except Exception:
            check_equal(seen[-1:], [wanted], f'stty size in the guest, {what}')
            raise


def window(case):
    console = Console(case)
    tmux = console.tmux
    path = case.dir / 'con.sock'
    option = f'--socket-path={path}'
    tmux.type(f'{DAEMON} {option}', 'Enter')
    pid, = wait('the daemon runs', lambda: processes_with(option))
    console.sockets = [f'{path}0']
    wait('the daemon listens', lambda: console.sockets[0] in listening(pid))

    sizes = iter([(40, 100), (24, 80), (57, 133), (31, 91)])
    for kernel in ('current', 'debian12'):
        guest = case.guest(console, kernel=kernel)
        console.login()
        check_equal(console.size(), console.window(), f'{kernel}: stty size at the first login')
        for rows, columns in (next(sizes), next(sizes)):
            wanted = console.resize(rows, columns)
            console.wait_size(wanted, f'{kernel}: after a resize')
        tmux.type('reboot -f', 'Enter')
        console.login()
        check_equal(console.size(), console.window(), f'{kernel}: stty size after a reboot')
        guest.kill()

    os.kill(pid, signal.SIGTERM)
    wait('the daemon ends', lambda: not exists(pid))


run(window, seconds=560)
