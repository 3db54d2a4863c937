#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Debian 12's kernel, the oldest supported: its guest is logged in to through
the daemon, and inside of it our own unit and conformance tests pass."""

import os
import pathlib
import re

from harness import ROOT, Failure, check, run, run_program

# One program or data file a line; written by CMake.
LIST = pathlib.Path(os.environ.get('KERNEL61_TESTS', ROOT / 'build/release/kernel61-tests.txt'))
BASE = ROOT / 'build/guest/debian12/initramfs.img'


def kernel61(case):
    pack = case.dir / 'tests.img'
    run_program([ROOT / 'scripts/pack', pack, LIST], check=True)
    initrd = case.dir / 'initramfs.img'
    initrd.write_bytes(BASE.read_bytes() + pack.read_bytes())

    daemon = case.daemon()
    client = case.client(daemon)
    guest = case.guest(daemon, kernel='debian12', initrd=initrd, memory=1024)
    client.login()
    release = client.run('uname -r')
    check(release.startswith(b'6.1.'), f'the guest\'s kernel is {release}')

    # The tests' output goes to the emulated serial port, whose log is shown
    # when this fails; then the guest is off. Each test begins with a line of its own,
    # so that this shows which one hangs; the programs' own deadline is for others.
    client.send(b'SUPPORT_DEADLINE_MS=3600000 /packed/run\r')
    guest.wait('running the tests in the guest', lambda: guest.serial.stat().st_size)
    output = guest.serial.read_text(errors='replace')
    verdict = re.search(r'^packed: (\d+) failed of (\d+)\r?$', output, re.MULTILINE)
    if not verdict:
        raise Failure('no verdict from the guest')
    times = re.findall(r'^packed: .*/(\S+): exit status \d+, (\d+) s', output, re.MULTILINE)
    slowest = sorted(times, key=lambda time: -int(time[1]))[:8]
    print(f'{verdict[2]} test programs ran on {release.decode().strip()}; the slowest: '
          + ', '.join(f'{name} {seconds} s' for name, seconds in slowest))
    for line in re.findall(r'^.*(?:ERROR  |FAILED  |LINE  ).*$', output, re.MULTILINE):
        print(line)
    failed = re.findall(r'^packed: (.+): exit status ([1-9]\d*)', output, re.MULTILINE)
    check(int(verdict[1]) == 0 and not failed, f'failed in the guest: {failed}')
    listed = sum(os.access(line, os.X_OK) for line in LIST.read_text().splitlines())
    check(int(verdict[2]) == listed > 0, f'{verdict[2]} of {listed} programs ran')


run(kernel61)
