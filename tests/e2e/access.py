#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Two telnet clients, a watcher that types and a log at once on a guest that
floods: everything in order at each, each gap marked with its exact size; what
the watcher types goes nowhere; when the writer goes, the next one writes. And
on a Unix socket a client takes over with what it types."""

import re
import socket

from harness import Client, PROMPT, Stream, check, check_equal, listening, run, wait

MARK = re.compile(rb'\r\n\[vhost-user-console: ([^\r\n]*)\]\r\n')
SKIPPED = re.compile(rb'(\d+) bytes skipped')
LINE = '%08d' + 91 * 'x' + '\n'
# More than the sockets and the history hold together.
LINES = 200_000
AWK = f'BEGIN {{ for (i = 0; i < {LINES}; i++) printf "{LINE[:-1]}\\n", i }}'
# What the daemon asks of a telnet client when it comes, and it never answers.
GREETING = b'\xff\xfb\x01\xff\xfb\x03\xff\xfd\x03\xff\xfb\x00\xff\xfd\x1f'
# For the cursor's place, at each prompt.
QUESTION = b'\x1b[6n'
WATCHES = b'you only watch, another client writes'
WRITES = b'you write now'


def pieces(data):
    """([(position in the guest's output, bytes)], what else it was told, where it ends), all without
    the shell's questions, which who comes late isn't sent."""
    data = data.replace(QUESTION, b'')
    found, told, position, start = [], [], 0, 0
    for mark in MARK.finditer(data):
        found.append((position, data[start:mark.start()]))
        position += mark.start() - start
        skipped = SKIPPED.fullmatch(mark[1])
        if skipped:
            position += int(skipped[1])
        else:
            told.append(mark[1])
        start = mark.end()
    found.append((position, data[start:]))
    return found, told, position + len(data) - start


class Output:
    """The guest's output by positions, put together from what everybody saw of it."""

    def __init__(self, size):
        self.bytes = bytearray(size)
        self.known = bytearray(size)

    def add(self, name, found):
        """What is known already has to be the same."""
        for position, data in found:
            end = position + len(data)
            known = self.known[position:end]
            before = self.bytes[position:end]
            if known.count(1) == len(known):
                same = before == data
            else:
                same = all(not k or b == d for k, b, d in zip(known, before, data))
            check(same, f'{name} saw something else at {position} to {end} than others')
            self.bytes[position:end] = data
            self.known[position:end] = b'\1' * len(data)

    def check_flood(self, start):
        """Every known byte of the flood that begins at `start` is the right one."""
        wanted = ''.join(LINE % i for i in range(LINES)).encode()
        got = bytes(self.bytes[start:start + len(wanted)])
        known = self.known[start:start + len(wanted)]
        check(known.count(1) > len(wanted) // 2, 'hardly anything of the flood was seen')
        check(got == wanted or all(not k or g == w for k, g, w in zip(known, got, wanted)),
              'the flood is not what the guest wrote')


def flood(client):
    client.run('stty -opost; cat /tmp/lines; stty opost; echo')


def flooded_guest(case):
    log = case.dir / 'flood.log'
    daemon = case.daemon('--tcp-protocol=telnet', '--access=watch', '--history=1M',
                         f'--log-file={log}')
    one = case.client(daemon)
    guest = case.guest(daemon)
    one.login()
    one.run(f"awk '{AWK}' >/tmp/lines")
    two = case.client(daemon, reading=False, buffer=4096)
    watcher = case.client(daemon)
    watcher.expect(rb'/tmp/lines.*' + PROMPT)
    # It types all the while, more than the daemon would ever keep.
    case.background(lambda: [watcher.send(b'echo nonsense\r' * 100) for _ in range(1000)])
    flood(one)
    two.start_reading()
    two.expect(rb'bytes skipped')
    flood(one)
    one.run('echo all is $((40 + 2))')
    end = rb'all is 42\r\n.*?' + PROMPT
    clients = {'the writer': one, 'the second client': two, 'the watcher': watcher}
    for client in clients.values():
        client.cursor = max(0, len(client.data) - 4096)
        client.expect(end)
    wait('the log has it all', lambda: log_end(log, end))

    seen = {name: bytes(client.data[len(GREETING):]) for name, client in clients.items()}
    for name, client in clients.items():
        check_equal(bytes(client.data[:len(GREETING)]), GREETING, f'what {name} was asked')
    seen['the log'] = log_of(log).read_bytes()
    split = {name: pieces(data) for name, data in seen.items()}
    for name, (_, _, size) in split.items():
        check_equal(size, split['the writer'][2], f'where the output ends for {name}')
    output = Output(split['the writer'][2])
    for name, (found, _, _) in split.items():
        output.add(name, found)
    check(b'nonsense' not in output.bytes, 'what the watcher typed has reached the guest')
    starts = [m.start() for m in re.finditer(rb'(?<=\n)00000000x', bytes(output.bytes))]
    check_equal(len(starts), 2, 'floods in the output')
    for start in starts:
        output.check_flood(start)
    check(len(split['the second client'][0]) > 1, 'the second client missed nothing')
    for name, wanted in (('the writer', []), ('the second client', []), ('the watcher', [WATCHES]),
                         ('the log', [])):
        check_equal(split[name][1], wanted, f'what else {name} was told')
    print({name: f'{len(found) - 1} marks' for name, (found, _, _) in split.items()})
    return guest, one, two, watcher


def log_of(pattern):
    return pattern.with_name(pattern.name + '0')


def log_end(pattern, end):
    return re.search(end, log_of(pattern).read_bytes()[-4096:], re.DOTALL)


def next_writes(one, two, watcher):
    """The writer goes: the one that came after it writes."""
    one.reset()
    two.expect(re.escape(WRITES))
    two.send(b'echo second $((50 + 2))\r')
    two.expect(rb'\nsecond 52\r\n')
    watcher.expect(rb'\nsecond 52\r\n')
    check(WRITES not in watcher.data, 'the watcher was told that it writes')


class UnixClient(Client):
    """A client of one guest's console on its Unix socket."""

    def __init__(self, case, path):
        Stream.__init__(self, case, f'client{next(self._number)}')
        self.socket = socket.socket(socket.AF_UNIX)
        case.cleanup.callback(self.close)
        self.socket.connect(path)
        self.start_reading()


def who_types_takes_over(case):
    path = case.dir / 'client'
    daemon = case.daemon(f'--uds-path={path}', '--access=exclusive', backend='uds', name='uds')
    wait('the daemon listens for clients', lambda: f'{path}0' in listening(daemon.pid))
    one = UnixClient(case, f'{path}0')
    case.guest(daemon)
    one.login()
    two = UnixClient(case, f'{path}0')
    # It only watches, behind what is kept, until it types.
    two.expect(rb'dmesg -n 1.*' + PROMPT)
    check_equal(one.run('echo $((60 + 1))'), b'61\r\n', 'the shell of the first client')
    two.expect(rb'61\r\n.*' + PROMPT)
    check_equal(two.run('echo $((60 + 2))'), b'62\r\n', 'the shell of the client that types')
    one.expect(rb'\r\n\[vhost-user-console: another client has taken over\]\r\n')
    one.wait_end()


def access(case):
    guest, one, two, watcher = flooded_guest(case)
    next_writes(one, two, watcher)
    guest.kill()
    who_types_takes_over(case)


run(access)
