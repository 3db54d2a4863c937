#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""README's first command, ./try, in a terminal: to the guest's login and shell,
and out of it, each way leaving nothing behind."""

import os
import shlex

from harness import ROOT, check, check_equal, processes_with, run, wait


def start(case, tmux, shown):
    temp = case.dir / f'try{shown}'
    temp.mkdir()
    tmux.type(f'TMPDIR={temp} {shlex.quote(str(ROOT))}/try; echo "try ended with $?"', 'Enter')
    tmux.expect(r'guest login: ', count=shown)
    prompts = tmux.screen().count('guest# ')
    tmux.type('root', 'Enter')
    tmux.expect(r'guest# ', count=prompts + 1)
    tmux.type(f'echo at $(hostname) $((40 + {shown}))', 'Enter')
    tmux.expect(rf'^at guest {40 + shown}$')
    check(processes_with(str(temp)), 'no process with the temporary folder: no test')
    return temp


def ended(tmux, temp, before, shown):
    tmux.expect(r'^try ended with 0$', count=shown)
    check_equal(tmux.settings(), before, 'the terminal\'s settings after')
    wait('no process is left', lambda: not processes_with(str(temp)))
    check_equal(os.listdir(temp), [], 'left in the temporary folder')


def try_(case):
    tmux = case.tmux()
    before = tmux.settings()
    temp = start(case, tmux, 1)
    tmux.park()
    tmux.type('', 'C-]', '.')
    ended(tmux, temp, before, 1)

    temp = start(case, tmux, 2)
    tmux.type('poweroff -f', 'Enter')
    ended(tmux, temp, before, 2)
    tmux.expect(r'guest .*off')


run(try_)
