#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A client of a data port, in a process of its own so that it can be stopped:
waits for the line "go", then sends SIZE random bytes and receives as many, both at
once, prints both MD5 sums, stays until its input ends, and goes with a reset.

    data_client.py PORT SIZE
"""

import hashlib
import os
import select
import socket
import struct
import sys


def main():
    port, size = int(sys.argv[1]), int(sys.argv[2])
    connection = socket.create_connection(('127.0.0.1', port))
    # The guest writes that once it knows that somebody is there.
    line = connection.recv(3, socket.MSG_WAITALL)
    if line != b'go\n':
        sys.exit(f'{line} came first')
    connection.setblocking(False)
    sent, received = hashlib.md5(), hashlib.md5()
    to_send = to_receive = size
    block = b''
    while to_send or to_receive:
        readable, writable, _ = select.select([connection], [connection] if to_send else [], [])
        if writable:
            block = block or os.urandom(min(1 << 20, to_send))
            taken = connection.send(block)
            sent.update(block[:taken])
            block = block[taken:]
            to_send -= taken
        if readable:
            data = connection.recv(1 << 18)
            if not data or len(data) > to_receive:
                sys.exit(f'{len(data)} bytes, where {to_receive} were missing')
            received.update(data)
            # For who waits: how far it has come.
            if to_receive >> 20 != (to_receive - len(data)) >> 20:
                print('.', end='', file=sys.stderr, flush=True)
            to_receive -= len(data)
    print(sent.hexdigest(), received.hexdigest(), flush=True)
    sys.stdin.read()
    # With a reset, which the other side sees at once (as harness.py's Client.reset).
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    connection.close()


main()
