# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""
Writes the seeds of the corpus into its folder: those that are made by rule, and those that the
program seeds_vmm makes out of the recorded sequences of VMMs.

With --check it writes nothing and says what of the folder isn't as it would write it.
"""

import os
import subprocess
import sys
import tempfile

import seeds_control
import seeds_messages
import seeds_rings
import seeds_states
import seeds_targets
import seeds_vulnerabilities

LICENCE = '# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause\n'
FOLDERS = {
    'control': seeds_control,
    'message': seeds_messages,
    'ring': seeds_rings,
    'state': seeds_states,
    'vulnerability': seeds_vulnerabilities,
}


def of_vmms(program):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, folder], check=True)
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), 'rb') as file:
                yield f'conversation/vmm/{name}', file.read()


def files(seeds_vmm):
    """{path below the corpus: bytes} of every seed."""
    found = dict(of_vmms(seeds_vmm))
    for folder, module in FOLDERS.items():
        for name, conversation in module.seeds():
            path = f'conversation/{folder}/{name}.txt'
            if path in found:
                sys.exit(f'{path} twice')
            found[path] = (LICENCE + conversation.text()).encode()
    for path, content in seeds_targets.seeds():
        found[path] = content
    return found


def write(corpus, wanted):
    for path, content in wanted.items():
        whole = os.path.join(corpus, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, 'wb') as file:
            file.write(content)


def check(corpus, wanted):
    wrong = []
    for path, content in wanted.items():
        whole = os.path.join(corpus, path)
        if not os.path.isfile(whole):
            wrong.append(f'{path} is missing')
            continue
        with open(whole, 'rb') as file:
            if file.read() != content:
                wrong.append(f'{path} is another')
    for folder in [*(f'conversation/{name}' for name in FOLDERS), 'conversation/vmm']:
        for base, _, names in os.walk(os.path.join(corpus, folder)):
            for name in names:
                path = os.path.relpath(os.path.join(base, name), corpus)
                if path not in wanted:
                    wrong.append(f'{path} is nobody\'s')
    return wrong


def main():
    arguments = [a for a in sys.argv[1:] if a != '--check']
    if len(arguments) != 2:
        sys.exit('usage: seeds.py [--check] CORPUS SEEDS_VMM')
    wanted = files(arguments[1])
    if '--check' not in sys.argv:
        write(arguments[0], wanted)
        print(f'{len(wanted)} seeds')
        return
    wrong = check(arguments[0], wanted)
    if wrong:
        sys.exit('\n'.join(wrong))
    print(f'{len(wanted)} seeds as they should be')


main()
