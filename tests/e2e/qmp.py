# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""QEMU's monitor for programs (QMP), for tests that plug and unplug."""

import json
import socket

from harness import Failure, patience, wait


def option(case):
    """What QEMU has to be told."""
    return '-qmp', f'unix:{case.dir}/qmp,server=on,wait=off'


class Qmp:
    """A monitor of the case's guest that was started with `option`."""

    def __init__(self, case):
        self.events = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(patience())
        case.cleanup.callback(self.socket.close)
        wait('QEMU\'s monitor listens', lambda: self._connects(f'{case.dir}/qmp'))
        self.file = self.socket.makefile('r', encoding='utf-8')
        self._read()
        self.do('qmp_capabilities')

    def _connects(self, path):
        return self.socket.connect_ex(path) == 0

    def _read(self):
        line = self.file.readline()
        if not line:
            raise Failure('QEMU has closed its monitor')
        return json.loads(line)

    def send(self, command, **arguments):
        """Has a command run, whose answer nobody waits for."""
        request = {'execute': command, 'arguments': arguments}
        self.socket.sendall(json.dumps(request).encode() + b'\n')

    def do(self, command, **arguments):
        """Runs a command, which must succeed; returns what it answers."""
        self.send(command, **arguments)
        while True:
            message = self._read()
            if 'event' in message:
                self.events.append(message)
            elif 'error' in message:
                raise Failure(f'{command} {arguments}: {message["error"]}')
            else:
                return message['return']

    def wait_event(self, name, **data):
        """Waits for such an event with these data among others, and forgets it and all before."""
        while True:
            event = self.events.pop(0) if self.events else self._read()
            if event.get('event') == name and data.items() <= event['data'].items():
                return
