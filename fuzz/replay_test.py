# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""
vhost-user-replay finds what is wrong with a backend: it is given one that has each of the faults in
turn. Takes the program's path; as `replay_test.py SOCKET FAULT` it is that backend.
"""

import array
import json
import os
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

GET_FEATURES, SET_OWNER, SET_VRING_CALL, SET_BACKEND_REQ_FD = 1, 3, 13, 21
CONFIG_CHANGE_MSG = 2

CONVERSATION = '''conversation 1
file event eventfd
file peer socket
send GET_FEATURES
expect reply GET_FEATURES u64=0x140000000
send SET_VRING_CALL need-reply fds=event u64=0
expect ack 0
expect call event
expect no-call event
send SET_BACKEND_REQ_FD need-reply fds=peer
expect ack 0
expect config-change peer
send SET_OWNER need-reply
expect ack 0
send SET_OWNER need-reply
expect ack 0
'''

# Fault: the outcome that it has to get, and the exit status.
FAULTS = {
    'none': ('as expected', 0),
    'refuses': ('refused', 1),
    'closes': ('closed', 1),
    'hangs': ('hung', 1),
    'hangs-for-all': ('hung', 1),
    'dies': ('died', 1),
    'calls-nobody': ('hung', 1),
    'calls-without-end': ('otherwise', 1),
    'tells-no-change': ('hung', 1),
    'tells-another': ('otherwise', 1),
    'answers-wrong': ('otherwise', 1),
    'answers-twice': ('otherwise', 1),
    'leaks-descriptors': ('leaked', 1),
    'leaks-memory': ('leaked', 1),
}

# The same with a backend for each conversation, which serves one connection and ends.
FRESH_FAULTS = {
    'none': ('as expected', 0),
    'dies': ('closed', 1),
    'is-killed': ('died', 1),
    'hangs-for-all': ('hung', 1),
    'stays': ('hung', 1),
}


# The backend.

kept = []


def answer(connection, request, payload):
    connection.sendall(struct.pack('<III', request, 5, len(payload)) + payload)


def use(request, fds, fault):
    """What a backend does with the descriptors of a message."""
    if request == SET_VRING_CALL and fault != 'calls-nobody':
        os.write(fds[0], struct.pack('<Q', 1))
    if request == SET_VRING_CALL and fault == 'calls-without-end':
        fd = os.dup(fds[0])
        threading.Thread(target=keep_calling, args=[fd], daemon=True).start()
    if request == SET_BACKEND_REQ_FD and fault != 'tells-no-change':
        message = 3 if fault == 'tells-another' else CONFIG_CHANGE_MSG
        os.write(fds[0], struct.pack('<III', message, 1, 0))


def keep_calling(fd):
    while True:
        os.write(fd, struct.pack('<Q', 1))
        time.sleep(0.001)


def take(connection, request, fds, fault):
    """Answers one message. False if the connection ends with it."""
    ack = struct.pack('<Q', 0)
    use(request, fds, fault)
    if fault == 'leaks-descriptors':
        kept.extend(fds)
    else:
        for fd in fds:
            os.close(fd)
    if request == GET_FEATURES:
        answer(connection, request, struct.pack('<Q', 0x140000000))
        return True
    if request == SET_OWNER:
        if fault == 'dies':
            os._exit(3)
        if fault == 'is-killed':
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == 'closes':
            return False
        if fault == 'hangs':
            return True
        if fault == 'hangs-for-all':
            while True:
                socket.socketpair()[0].recv(1)
        if fault == 'refuses':
            ack = struct.pack('<Q', 1)
        if fault == 'answers-wrong':
            request = SET_VRING_CALL
        if fault == 'answers-twice':
            answer(connection, request, ack + ack)
            return True
        if fault == 'leaks-memory':
            kept.append(b'x' * 4_000_000)
    answer(connection, request, ack)
    return True


def serve(connection, fault):
    while True:
        data, control, _, _ = connection.recvmsg(12, 4096)
        if len(data) < 12:
            return
        fds = array.array('i')
        for _, _, passed in control:
            fds.frombytes(passed)
        request, _, size = struct.unpack('<III', data)
        while size > 0:
            size -= len(connection.recv(size))
        if not take(connection, request, fds, fault):
            return


def serve_one(listener, fault):
    connection, _ = listener.accept()
    try:
        serve(connection, fault)
    except ConnectionError:
        pass
    connection.close()


def backend(path, fault, once):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        serve_one(listener, fault)
        while not once:
            serve_one(listener, fault)
    while fault == 'stays':
        signal.pause()


# The test.

def outcome(replay, folder, fault, fresh, hangs):
    # Whoever hangs is waited for in vain.
    deadline = 3000 if hangs else 120000
    command = f'{sys.executable} -B {shlex.quote(os.path.abspath(__file__))} {{socket}} {fault} {fresh}'
    done = subprocess.run([replay, '--json', f'--deadline={deadline}', f'--spawn={command}', *fresh.split(),
                           '--log=' + os.path.join(folder, 'log'),
                           os.path.join(folder, 'conversation.txt')],
                          capture_output=True, text=True)
    played = json.loads(done.stdout) if done.stdout.strip() else [{'outcome': done.stderr}]
    return played[0]['outcome'], done.returncode


def test(replay):
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'conversation.txt'), 'w', encoding='utf-8') as file:
            file.write(CONVERSATION)
        for fresh, faults in (('', FAULTS), ('--fresh', FRESH_FAULTS)):
            for fault, expected in faults.items():
                got = outcome(replay, folder, fault, fresh, expected[0] == 'hung')
                if got != expected:
                    wrong.append(f'{fault} {fresh}: {got}, not {expected}')
    if wrong:
        sys.exit('\n'.join(wrong))
    print(f'{len(FAULTS) + len(FRESH_FAULTS)} backends as they should be')


if len(sys.argv) >= 3:
    backend(sys.argv[1], sys.argv[2], once=len(sys.argv) > 3)
else:
    test(sys.argv[1])
