# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""
Writes the seeds of the corpus that are made by rule, into the folder that is given.

With --check it writes nothing and says what of the folder isn't as it would write it.
"""

import os
import sys

import seeds_messages
import seeds_rings
import seeds_states
import seeds_targets
import seeds_vulnerabilities

LICENCE = '# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause\n'
FOLDERS = {
    'message': seeds_messages,
    'ring': seeds_rings,
    'state': seeds_states,
    'vulnerability': seeds_vulnerabilities,
}


def files():
    """{path below the corpus: bytes} of every seed."""
    found = {}
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
    for folder in FOLDERS:
        for base, _, names in os.walk(os.path.join(corpus, 'conversation', folder)):
            for name in names:
                path = os.path.relpath(os.path.join(base, name), corpus)
                if path not in wanted:
                    wrong.append(f'{path} is nobody\'s')
    return wrong


def main():
    arguments = [a for a in sys.argv[1:] if a != '--check']
    if len(arguments) != 1:
        sys.exit('usage: seeds.py [--check] CORPUS')
    wanted = files()
    if '--check' not in sys.argv:
        write(arguments[0], wanted)
        print(f'{len(wanted)} seeds')
        return
    wrong = check(arguments[0], wanted)
    if wrong:
        sys.exit('\n'.join(wrong))
    print(f'{len(wanted)} seeds as they should be')


main()
