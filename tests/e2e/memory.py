#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What many clients took goes back to the system when they go, though some stay."""

import pathlib
import re
import resource
import socket

from harness import DAEMON, Skip, check, run, wait

GUESTS = 20
CLIENTS = 60  # of each guest
STAYING = 15  # every so manyth stays: between them are holes


def heap_kib(daemon):
    """The process's own memory in use; its maps of guests and the arena are shared.
    Counted page by page: what /proc says in status lags behind."""
    rollup = pathlib.Path(f'/proc/{daemon.pid}/smaps_rollup').read_text()
    return int(re.search(r'^Anonymous:\s+(\d+) kB$', rollup, re.MULTILINE).group(1))


def memory(case):
    if b'__asan_init' in pathlib.Path(DAEMON).read_bytes():
        raise Skip('a sanitizer keeps what was freed')
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < GUESTS * CLIENTS + 200:
        raise Skip(f'only {hard} open files (ulimit -Hn)')
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    daemon = case.daemon(count=GUESTS)
    files = daemon.resources()[0]
    before = heap_kib(daemon)
    clients = []
    for number in range(GUESTS * CLIENTS):
        client = socket.create_connection(('127.0.0.1', daemon.port + number % GUESTS))
        case.cleanup.callback(client.close)
        clients.append(client)
    wait('all have come', lambda: daemon.resources()[0] == files + len(clients))
    most = heap_kib(daemon)
    check(most > before + 1024, f'{len(clients)} clients took nothing: {before} to {most} KiB')

    # A client without unread output that closes is found gone at its next use:
    # a reset is told at once.
    for number, client in enumerate(clients):
        if number % STAYING:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            client.close()
    stay = len(clients) // STAYING
    daemon.wait_resources((files + stay, daemon.resources()[1]), 'most have gone')
    wait('their memory goes back', lambda: heap_kib(daemon) < before + (most - before) / 3,
         lambda: heap_kib(daemon))


run(memory)
