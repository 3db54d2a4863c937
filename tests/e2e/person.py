# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Somebody at a guest's console in a terminal, for the tests that look at its
window's size."""

import re

from harness import Failure, check_equal, wait


class Person:
    """Has a tmux, and in it whatever the test starts there."""

    def __init__(self, case):
        self.tmux = case.tmux()
        self.logins = 0
        self.asked = 0

    def login(self):
        """After power-on or a reboot."""
        self.logins += 1
        self.tmux.expect(r'guest login: ', count=self.logins)
        self.tmux.type('root', 'Enter')
        self.tmux.expect(r'^guest login: root\n(.*\n)*?guest# ', count=self.logins)

    def window(self):
        """Rows and columns, as `stty size` prints them."""
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
        return wait('stty size answers', lambda: pattern.search(self.tmux.screen()))[1].strip()

    def wait_size(self, wanted, what):
        seen = []

        def right():
            seen.append(self.size())
            return seen[-1] == wanted
        try:
            wait(what, right)
        except Failure:
            check_equal(seen[-1:], [wanted], f'stty size in the guest, {what}')
            raise
