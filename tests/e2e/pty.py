#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A person logs in to a guest with the programs people have for serial lines,
leaves and comes back with another; the guest prints on meanwhile. The link to
the pseudo terminal is there as long as the daemon."""

import os
import re
import shutil
import stat

from harness import Skip, check, check_equal, run, run_program, wait

# How each is started and how a person leaves it: keys, and what shows before the next.
PROGRAMS = {
    'tio': ('tio {}', [(('C-t', 'q'), None)]),
    'picocom': ('picocom --quiet --nolock {}', [(('C-a', 'C-x'), None)]),
    # It leaves the terminal as its own (TIOCEXCL).
    'screen': ('screen -q {} 115200', [(('C-a', 'k'), 'Really kill this window'), (('y',), None)]),
}


class Person:
    """Somebody at a terminal, who runs one of the programs after the other."""

    def __init__(self, case, link):
        self.tmux = case.tmux()
        self.link = link
        # screen keeps its sockets there; the default is for root only.
        folder = case.dir / 'screen'
        folder.mkdir(mode=0o700)
        self.tmux.type(f'export SCREENDIR={folder}', 'Enter')

    def attach(self, program):
        self.tmux.type('clear', 'Enter')
        wait('the screen has a prompt alone', lambda: re.search(
            r'\A\$ ?\n*\Z', self.tmux.command('capture-pane', '-p')))
        self.tmux.command('clear-history')
        self.tmux.type(f'{PROGRAMS[program][0].format(self.link)}', 'Enter')

    def leave(self, program):
        """With the guest's shell at its prompt, which is left in a cat."""
        self.tmux.park()
        for keys, shown in PROGRAMS[program][1]:
            self.tmux.type('', *keys)
            if shown:
                self.tmux.expect(shown)
        # Not before it is gone, or the program would take it.
        wait(f'{program} ends', self.shell_waits)
        self.tmux.type(f'echo left {program} $((40 + 2))', 'Enter')
        self.tmux.expect(rf'left {program} 42$')

    def shell_waits(self):
        return self.tmux.command('display-message', '-p', '#{pane_current_command}').strip() == 'sh'

    def run(self, command, answer):
        self.tmux.type(command, 'Enter')
        self.tmux.expect(answer)



def pty(case):
    for program in PROGRAMS:
        if not shutil.which(program):
            raise Skip(f'no {program}: run scripts/setup test')

    path = case.dir / 'line'
    link = f'{path}0'
    # What an earlier run has left behind.
    os.symlink('/dev/pts/999999', link)
    daemon = case.daemon(f'--pty={path}', '--client-mode=0640', backend='pty')
    daemon.sockets.append(link)
    wait('the link leads to a terminal', lambda: os.path.exists(link))
    mode = os.stat(link).st_mode
    check(stat.S_ISCHR(mode), f'{link} is no terminal')
    check_equal(oct(stat.S_IMODE(mode)), oct(0o640), f'mode of {link}')
    before = daemon.resources()

    person = Person(case, link)
    tmux = person.tmux
    guest = case.guest(daemon)
    person.attach('tio')
    tmux.expect(r'^guest login: ')
    tmux.type('root', 'Enter')
    tmux.expect(r'^guest# ')
    person.run('echo tio $((50 + 2))', r'^tio 52$')
    # ^C is the guest's.
    tmux.sleep()
    tmux.type('', 'C-c')
    tmux.expect(r'^\^Cguest# $|^guest# $')
    # Prints on while nobody is there.
    person.run('(sleep 5; echo gone $((60 + 2))) & echo begun $((70 + 2))', r'^begun 72$')
    person.leave('tio')
    running = daemon.resources()

    # Back with others: each sees what was printed meanwhile and before, and goes on.
    for program in ('picocom', 'screen', 'tio'):
        person.attach(program)
        tmux.expect(r'gone 62$')
        tmux.expect(r'^tio 52$')
        tmux.expect(r'^begun 72$')
        tmux.unpark()
        person.run(f'echo {program} again $((80 + 2))', rf'^{program} again 82$')
        if program != 'tio':
            person.leave(program)
            daemon.wait_resources(running, f'after {program} has gone')

    # The window, as it is set on the terminal: noticed at once.
    run_program(['stty', '-F', link, 'cols', '101', 'rows', '37'], check=True)
    person.run('stty size', r'^37 101$')

    # The guest goes and comes, the person stays.
    guest.kill()
    guest = case.guest(daemon)
    tmux.expect(r'^guest login: ', count=2)
    tmux.type('root', 'Enter')
    tmux.expect(r'built-in commands\.\s+guest# ', count=2)
    person.run('echo anew $((90 + 2))', r'^anew 92$')
    person.leave('tio')

    # From a script, without any program.
    check(os.path.exists(link), f'{link} is gone while the daemon runs')
    with open(link, 'w', encoding='ascii') as line:
        line.write('\r\x04echo script $((100 + 2)) > /dev/hvc0\r')
    person.attach('picocom')
    tmux.expect(r'^script 102$')
    person.leave('picocom')
    guest.kill()
    daemon.wait_resources(before, 'after the guest and the person have gone')

    # `stop` looks for the link; who is there is told.
    person.attach('picocom')
    tmux.expect(r'^script 102$')
    daemon.stop()
    wait('picocom ends with the daemon', person.shell_waits)


run(pty)
