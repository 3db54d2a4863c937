# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A client on a Unix socket, for the tests of those."""

import socket

from harness import Client, Stream


class UnixClient(Client):
    """A client of one guest's console on its Unix socket."""

    def __init__(self, case, path, reading=True):
        Stream.__init__(self, case, f'client{next(self._number)}')
        self.socket = socket.socket(socket.AF_UNIX)
        case.cleanup.callback(self.close)
        self.limit_sends()
        self.socket.connect(str(path))
        if reading:
            self.start_reading()
