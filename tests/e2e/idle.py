#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""With a hundred guests' sockets and all idle the daemon never wakes up."""

import pathlib
import socket
import time

from harness import Failure, run, wait

GUESTS = 100
# More than twice as long as any timer of the daemon that could run by mistake.
WINDOW_SECONDS = 12


def activity(pid):
    """What any wake-up would change: context switches, processor time."""
    status = pathlib.Path(f'/proc/{pid}/status').read_text()
    switches = [line for line in status.splitlines() if 'ctxt_switches' in line]
    ticks = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[11:13]
    return switches, ticks


def idle(case):
    daemon = case.daemon(count=GUESTS)
    before = daemon.resources()[0]
    # One real guest with a person at it; the other VMMs have connected only.
    client = case.client(daemon)
    case.guest(daemon)
    client.login()
    for index in range(1, GUESTS):
        frontend = socket.socket(socket.AF_UNIX)
        case.cleanup.callback(frontend.close)
        frontend.connect(daemon.sockets[index])
        case.client(daemon, index=index)
    wait('all have been accepted',
         lambda: daemon.resources()[0] >= before + 2 * GUESTS)

    # A measurement, not a synchronisation: the time is what is looked at. The
    # guest may have something to do at first, so one window of several will do.
    seen = []
    for _ in range(5):
        start = activity(daemon.pid)
        time.sleep(WINDOW_SECONDS)
        if activity(daemon.pid) == start:
            return
        seen.append((start, activity(daemon.pid)))
    raise Failure(f'woken up in each of {len(seen)} windows of {WINDOW_SECONDS} s: {seen[-3:]}')


run(idle)
