#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A person with a stock telnet: keys one by one, no double echo, ^C to the guest,
and the window's size; and a client that speaks hardly any telnet, for the bytes
on the wire and for telnet's own keys."""

import re
import shutil
import socket

from harness import PROMPT, Skip, check, check_equal, run, wait
from person import Person

IAC, SB, SE, WILL, DO, NAWS, ECHO, SGA = 255, 250, 240, 251, 253, 31, 1, 3


def telnet(case):
    if not shutil.which('telnet'):
        raise Skip('no telnet')
    daemon = case.daemon('--tcp-protocol=telnet')
    before = daemon.resources()
    person = Person(case)
    tmux = person.tmux
    tmux.type(f'telnet localhost {daemon.port}', 'Enter')
    tmux.expect(r'^Connected to ')
    guest = case.guest(daemon)
    person.login()
    check_equal(person.size(), person.window(), 'stty size at login')
    for rows, columns in ((40, 100), (24, 80), (57, 133)):
        person.wait_size(person.resize(rows, columns), 'after a resize')

    # Each key is there once, and Enter is one key.
    tmux.type('clear', 'Enter')
    # With the prompt back: what is typed before that is echoed twice, by the guest itself.
    wait('the screen has a prompt alone',
         lambda: re.search(r'\Aguest# ?\n*\Z', tmux.command('capture-pane', '-p')))
    tmux.type('echo single $((2 + 3))', 'Enter')
    tmux.expect(r'^single 5$')
    shown = r'\Aguest# echo single \$\(\(2 \+ 3\)\)\nsingle 5\nguest# ?\n*\Z'
    wait('one echo, one answer, one prompt',
         lambda: re.search(shown, tmux.command('capture-pane', '-p')))
    # What doesn't end a line comes at once, and Enter alone reads as one line.
    tmux.guest_takes(3, 60)
    tmux.type('x', 'Enter')
    tmux.type('y')
    tmux.expect(r' 78 0d 79\n\s*guest#')

    tmux.sleep()
    tmux.type('', 'C-c')
    tmux.type('echo after $((50 + 2))', 'Enter')
    tmux.expect(r'^after 52$')

    # A client that answers nothing: no option is on but what the server does by
    # itself. It is asked, and sees the guest's 0xff doubled.
    raw = case.client(daemon)
    raw.wait_data(15)
    asked = bytes(raw.data[:15])
    for verb, option in ((WILL, ECHO), (WILL, SGA), (DO, NAWS)):
        check(bytes((IAC, verb, option)) in asked, f'no {verb} {option} in {asked!r}')
    # The prompt it finds, then a line of its own with telnet's line end.
    raw.expect(rb'after 52\r\n')
    raw.expect(rb'guest# ')
    raw.send(b"printf '<a\\377b\\377\\377c>\\n'\r\0")
    _, got = raw.expect(rb'\r\n<(a[^\n]*c)>\r\n')
    check_equal(bytes(got), b'a\xff\xffb\xff\xff\xff\xffc', 'bytes 0xff on the wire')
    # So does a late one, to which it is history.
    late = case.client(daemon)
    _, got = late.expect(rb'\r\n<(a[^\n]*c)>\r\n')
    check_equal(bytes(got), b'a\xff\xffb\xff\xff\xff\xffc', 'bytes 0xff in the history')
    late.reset()
    # And the other way.
    tmux.guest_takes(3, 70)
    raw.expect(rb'\nraw 72\n')
    raw.send(b'\xff\xff1\xff\xff')
    raw.expect(rb' ff 31 ff\n')
    raw.expect(rb'guest# ')
    # What it says with telnet's own commands are keys; Enter is one, in binary too;
    # what it says of an option that nobody agreed on is nothing.
    for number, sent, shown in (
            (80, b'\xff\xf7\xff\xf8\xff\xf4', b'7f 15 03'),  # EC, EL, IP
            (90, b'\xff\xee\xff\xed\xff\xec', b'1c 1a 04'),  # ABORT, SUSP, EOF
            (100, b'\xff\xfb\x00' b'1\r\n2', b'31 0d 32'),
            (110, b'1\r\x002', b'31 0d 32'),
            (120, b'\xff\xfa\x56\xff\xf0' b'x\x9cy', b'78 9c 79')):
        tmux.guest_takes(3, number)
        raw.expect(rb'\nraw %d\n' % (number + 2))
        raw.send(sent)
        raw.expect(b' ' + shown + rb'\n')
        raw.expect(rb'guest# ')
    # An urgent byte, too, is where it was sent: "Synch", RFC 854.
    tmux.guest_takes(3, 130)
    raw.expect(rb'\nraw 132\n')
    raw.socket.send(b'1\xff\xf2', socket.MSG_OOB)
    raw.send(b'23')
    raw.expect(rb' 31 32 33\n')
    raw.expect(rb'guest# ')

    # The window told last counts, until its client goes.
    wanted = person.window()
    check_equal(person.size(), wanted, 'stty size beside a client that told none')
    raw.send(bytes((IAC, WILL, NAWS, IAC, SB, NAWS, 0, 111, 0, 44, IAC, SE)))
    person.wait_size('44 111', 'of the second client')
    raw.reset()
    person.wait_size(wanted, 'after the second client has gone')

    tmux.park()
    tmux.type('', 'C-]')
    tmux.expect(r'^telnet> ?')
    tmux.type('quit', 'Enter')
    tmux.expect(r'^Connection closed\.')
    # Of a closed connection the daemon learns when it next has output for it; until
    # then it could be a client that has only ended its input.
    other = case.client(daemon)
    other.expect(rb'parked %d\r\n.*parked %d\r\n' % (tmux.parked, tmux.parked))
    other.send(b'\x03')
    other.expect(PROMPT)
    other.send(b'echo other $((80 + 2))\r\0')
    other.expect(rb'\nother 82\r\n')
    other.reset()
    guest.kill()
    daemon.wait_resources(before, 'after the guest and the clients have gone')


run(telnet)
