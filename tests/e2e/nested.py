#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The nested backend with a person at a terminal: log in, ^C to the guest, the
escape key's commands, and the terminal as it was before on every way out."""

import os
import pathlib
import shlex
import signal

from harness import DAEMON, check, check_equal, exists, listening, process_state
from harness import processes_with, run, wait

NONBLOCK = 0o4000


class Terminal:
    """The daemon in a terminal, started anew for each way out."""

    def __init__(self, case):
        self.case = case
        self.tmux = case.tmux()
        self.before = self.tmux.settings()
        self.path = case.dir / 'con.sock'
        self.sockets = [f'{self.path}0']
        self.ends = 0

    def start(self):
        """Types the command; returns the daemon's pid."""
        self.tmux.type(f'{shlex.quote(DAEMON)} --socket-path={self.path}', 'Enter')
        option = f'--socket-path={self.path}'
        pid, = wait('the daemon runs', lambda: processes_with(option))
        wait('the daemon listens', lambda: self.sockets[0] in listening(pid))
        wait('the terminal is raw', lambda: self.tmux.settings() != self.before)
        return pid

    def modes(self):
        """Whether the alternate screen, the mouse's reports, application cursor keys are on."""
        return self.tmux.command(
            'display-message', '-p',
            '#{alternate_on} #{mouse_standard_flag} #{keypad_cursor_flag}').strip()

    def ended(self, pid, status=0):
        """The shell is back, as it was."""
        wait('the daemon ends', lambda: not exists(pid))
        # Not in one line with the command: the shell goes on in its line when
        # the command is only stopped.
        self.ends += 1
        self.tmux.type(f'echo "end {self.ends} with $?"', 'Enter')
        # The prompt may come before what was typed or after it.
        self.tmux.expect(rf'^(\$ )?end {self.ends} with {status}$')
        if status == 0:
            check(not os.path.lexists(self.sockets[0]), 'the socket is still there')
        check_equal(self.tmux.settings(), self.before, 'the terminal\'s settings after')
        check_equal(self.modes(), '0 0 0', 'the terminal\'s modes after')


def nested(case):
    terminal = Terminal(case)
    tmux = terminal.tmux

    pid = terminal.start()
    tmux.expect(r'Ctrl-\]')
    info = pathlib.Path(f'/proc/{pid}/fdinfo/0').read_text()
    flags = int(info.split('flags:')[1].split()[0], 8)
    check(not flags & NONBLOCK, 'the terminal\'s open file was set non-blocking')
    guest = case.guest(terminal)
    tmux.expect(r'guest login: ')
    tmux.type('root', 'Enter')
    tmux.expect(r'^guest# ')
    tmux.sleep()
    tmux.type('', 'C-c')
    tmux.type('echo after $((50 + 2))', 'Enter')
    tmux.expect(r'^after 52$')

    # All keys are the guest's: ^C, ^Z, ^\ and, by the escape key twice, ^].
    tmux.guest_takes(4, 60)
    tmux.type('', 'C-c', 'C-z', 'C-\\', 'C-]', 'C-]')
    tmux.expect(r' 03 1a 1c 1d$')

    # From here on the guest's shell asks the terminal nothing: the answer would come
    # between two keys of ours, or to the outer shell.
    tmux.park()

    # The escape key and ?: help.
    helped = tmux.screen().count('Ctrl-]')
    tmux.type('', 'C-]')
    tmux.type('?')
    wait('help on the screen', lambda: tmux.screen().count('Ctrl-]') > helped)
    tmux.type('helped', 'Enter')
    tmux.expect(r'^helped$', count=2)

    # The guest's own modes, in which it asks the terminal nothing, either.
    tmux.type('', 'C-c')
    tmux.type(r"printf '\033[?1049h\033[?1000h\033[?1h'; echo cat $((80 + 2)); cat", 'Enter')
    tmux.expect(r'^cat 82$')
    check_equal(terminal.modes(), '1 1 1', 'the modes that the guest has switched')

    # Stopped by another, the terminal is the shell's; gone on, it is ours.
    raw = tmux.settings()
    os.kill(pid, signal.SIGTSTP)
    wait('the daemon is stopped', lambda: process_state(pid) == 'T')
    tmux.expect(r'Stopped')
    check_equal(tmux.settings(), terminal.before, 'the terminal\'s settings while stopped')
    check_equal(terminal.modes(), '0 0 0', 'the terminal\'s modes while stopped')
    tmux.type('fg', 'Enter')
    wait('the terminal is raw again', lambda: tmux.settings() == raw)
    wait('the guest\'s modes are back', lambda: terminal.modes() == '1 1 1')
    tmux.type('resumed', 'Enter')
    tmux.expect(r'^resumed$', count=2)

    # The VMM gone and a new one: the person stays where they are.
    guest.kill()
    check(exists(pid), 'the daemon ended with the guest')
    tmux.type('', 'C-]', '.')
    terminal.ended(pid)

    pid = terminal.start()
    guest = case.guest(terminal)
    tmux.expect(r'guest login: ', count=2)
    guest.kill()
    case.guest(terminal)
    tmux.expect(r'guest login: ', count=3)
    os.kill(pid, signal.SIGTERM)
    terminal.ended(pid)

    pid = terminal.start()
    os.kill(pid, signal.SIGINT)
    terminal.ended(pid)

    # A crash, as by an assertion of ours; the socket that is left is no matter.
    pid = terminal.start()
    os.kill(pid, signal.SIGABRT)
    terminal.ended(pid, status=128 + signal.SIGABRT)

    # The terminal hangs up.
    pid = terminal.start()
    tmux.command('kill-session')
    wait('the daemon ends with its terminal', lambda: not exists(pid))
    check(not os.path.lexists(terminal.sockets[0]), 'the socket is still there after a hangup')


run(nested)
