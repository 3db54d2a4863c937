# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""
What tests/support/vmm_sequences.c, from which corpus/conversation/vmm is made, has each VMM say is
what it was recorded to say: the same messages with the same flags in the same order, for the same
vring, with new eventfds and known ones at the same places. Recordings go on for longer, and the
guests differ: in their memory, rings and features, and in whether they read the configuration.
"""

import os
import re
import sys

# What depends on the guest, not on the VMM.
LEFT_OUT = {'GET_CONFIG'}
OF_A_VRING = re.compile(r'SET_VRING_|GET_VRING_BASE')
WITH_VALUE = {'SET_VRING_ENABLE'}
NAMES = {'cloud-hypervisor.txt', 'crosvm.txt', 'libkrun.txt', 'qemu-10.txt',
         'qemu-11.txt'}
SHORTEST = 40


def messages(path):
    """Each message as text that can be compared; regions added one by one are one."""
    found, names = [], {}
    with open(path, encoding='utf-8') as file:
        lines = [line.split() for line in file if line.startswith('send ')]
    for _, request, *words in lines:
        if request in LEFT_OUT or request == 'ADD_MEM_REG' and found[-1].startswith(request):
            continue
        message = [request]
        message += (word for word in words if word == 'need-reply' or word.startswith('flags='))
        numbers = [word for word in words if word.startswith('u32=')]
        if OF_A_VRING.match(request):
            message += numbers[:2 if request in WITH_VALUE else 1]
        for files in (word[4:].split(',') for word in words if word.startswith('fds=')):
            if not files[0].startswith('memfd-'):
                message += (str(names.setdefault(name, len(names))) for name in files)
        found.append(' '.join(message))
    return found


def compare(made, recorded):
    """What differs, or nothing."""
    wanted, got = messages(made), messages(recorded)
    if len(wanted) < SHORTEST:
        return f'{made}: only {len(wanted)} messages'
    for number, (ours, theirs) in enumerate(zip(wanted, got), 1):
        if ours != theirs:
            return f'{made}, message {number} is "{ours}", but recorded was "{theirs}"'
    if len(wanted) > len(got):
        return f'{recorded} ends before {made}'
    return None


def main():
    if len(sys.argv) != 2:
        sys.exit('usage: recorded_test.py CORPUS/conversation')
    made = os.path.join(sys.argv[1], 'vmm')
    if set(os.listdir(made)) != NAMES:
        sys.exit(f'{made} has other VMMs than this test knows')
    wrong = [compare(os.path.join(made, name), os.path.join(sys.argv[1], 'recorded', name))
             for name in sorted(NAMES)]
    if any(wrong):
        sys.exit('\n'.join(filter(None, wrong)))
    print(f'{len(NAMES)} VMMs say what they were recorded to say')


main()
