#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A client that comes after the guest's boot gets what was put out before:
complete and in order, up to --history, without what the guest's shell asks its
terminal; with less history the end of it, from the beginning of a line."""

import re

from harness import PROMPT, check, check_same_bytes, run

NOTICE = re.compile(rb'\r\n\[vhost-user-console:[^\r\n]*\r\n')
SMALL = 4096
# Busybox's shell asks for the cursor's position behind each prompt.
ASKS = b'\x1b[6n'


def compare(case, history, *arguments):
    daemon = case.daemon(*arguments, name=f'daemon{history}')
    early = case.client(daemon)
    # Not quiet: the kernel's messages are what is to come late. Those from before
    # hvc0 was there are added by dmesg.
    guest = case.guest(daemon, append='console=ttyS0 console=hvc0')
    early.login()
    early.run('dmesg')
    early.expect(re.escape(ASKS))
    before = len(early.data)

    late = [case.client(daemon), case.client(daemon)]
    for client in late:
        client.expect(PROMPT)
    early.run('echo "to all: $((40 + 2))"')
    for client in late:
        client.expect(rb'to all: 42\r\n')
        client.expect(rb'E\d+=0\r\n' + PROMPT)
    # What the shell's line editor sends after its prompt may still be under way.
    before -= early.data[:before].count(ASKS) * len(ASKS)
    wanted = bytes(early.data).replace(ASKS, b'')
    end = wanted.rindex(PROMPT) + len(PROMPT)
    for client in late:
        got = bytes(client.data)
        check(ASKS not in got[:got.index(b'to all')], f'{client.name} is asked again')
        got = got[:got.rindex(PROMPT) + len(PROMPT)].replace(ASKS, b'')
        if len(wanted) <= history:
            check_same_bytes(got, wanted[:end], f'{client.name}: the guest\'s output')
            continue
        got = NOTICE.sub(b'', got, count=1) if NOTICE.match(got) else got
        check_same_bytes(got, wanted[end - len(got):end], f'{client.name}: the output\'s end')
        check(wanted[:end - len(got)].endswith(b'\n'), f'{client.name} begins within a line')
        kept = len(got) - (end - before)
        check(history // 2 <= kept <= history,
              f'{client.name}: {kept} bytes of earlier output with a history of {history}')
    guest.kill()
    daemon.stop()
    return before


def late(case):
    size = compare(case, 1 << 18)
    check(SMALL * 2 < size < 1 << 18, f'the boot\'s output is {size} bytes: no test')
    compare(case, SMALL, f'--history={SMALL}')


run(late)
