#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A person logs in to a guest over a Unix socket, goes and comes back; who may
connect is as the options say, and the socket goes with the daemon."""

import os
import stat

from harness import check, check_equal, check_same_bytes, listening, run, wait
from unix_client import UnixClient


def start(case, name, mask, *arguments):
    """The daemon and the socket for clients, which must go with the daemon. The
    mask is the process's umask: the sockets' mode isn't its affair."""
    path = case.dir / f'{name}.client'
    daemon = case.daemon(f'--uds-path={path}', *arguments, backend='uds', name=name,
                         preexec=lambda: os.umask(mask))
    daemon.sockets.append(f'{path}0')
    wait('the daemon listens for clients', lambda: f'{path}0' in listening(daemon.pid))
    return daemon, f'{path}0'


def check_mode(path, wanted):
    mode = os.lstat(path).st_mode
    check(stat.S_ISSOCK(mode), f'{path} is no socket')
    check_equal(oct(stat.S_IMODE(mode)), oct(wanted), f'mode of {path}')


def uds(case):
    # Who may use consoles may not take the frontends' place, nor the other way round.
    daemon, path = start(case, 'shared', 0o077, '--client-mode=0660')
    check_mode(path, 0o660)
    check_mode(daemon.sockets[0], 0o600)
    daemon.stop()
    daemon, path = start(case, 'vmms', 0o077, '--socket-mode=0660')
    check_mode(path, 0o600)
    check_mode(daemon.sockets[0], 0o660)
    daemon.stop()

    daemon, path = start(case, 'private', 0o000)
    check_mode(path, 0o600)
    check_mode(daemon.sockets[0], 0o600)
    before = daemon.resources()
    client = UnixClient(case, path)
    guest = case.guest(daemon)
    client.login()
    running = daemon.resources()
    check_equal(client.run('uname -n'), b'guest\r\n', 'uname -n in the guest')

    # Gone, while the guest prints on; back, with what came meanwhile.
    client.send(b'echo away $((40 + 2)); i=0; while [ $i -lt 2000 ]; do i=$((i+1)); '
                b'echo line $i; done; echo back $((50 + 2))\r')
    client.expect(rb'\naway 42\r\n')
    client.close()
    # Every client is sent what is kept, so this one sees all of it again.
    client = UnixClient(case, path)
    client.expect(rb'\naway 42\r\n')
    start_of_lines = client.cursor
    mark, = client.expect(rb'back 52\r\n')
    check_same_bytes(bytes(client.data[start_of_lines:client.cursor - len(mark)]),
                     b''.join(b'line %d\r\n' % i for i in range(1, 2001)),
                     'the lines for the client that came back')
    client.expect(rb'guest# ')
    check_equal(client.run('echo $((60 + 2))'), b'62\r\n', 'the shell after the client is back')
    daemon.wait_resources(running, 'after a client has gone and one has come')

    # Nobody there.
    client.close()
    guest.kill()
    daemon.wait_resources(before, 'after the guest and the client have gone')

    # SIGTERM with a client and a guest: `stop` looks for the sockets.
    client = UnixClient(case, path)
    guest = case.guest(daemon)
    client.expect(rb'back 52\r\n')
    client.login()
    check(os.path.lexists(path), 'the socket for clients isn\'t there')
    daemon.stop()
    client.wait_end()
    check(guest.running(), 'QEMU ended with the daemon')


run(uds)
