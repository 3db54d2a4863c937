# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""
No end-to-end test waits by the clock (tests/e2e/harness.py says how they wait), and no test has a
time of its own for ctest.
"""

import re
import sys

import sources

E2E = [
    (re.compile(r"\bseconds=|\bBOOT_SECONDS\b|\bSOON\b"), "a wait has no seconds of its own"),
    (re.compile(r"\btime\.sleep\("), "nothing is slept for"),
    (re.compile(r"\btimeout="), "run_program, not a timeout"),
    (re.compile(r"\bsettimeout\((?!patience\(\))"), "a socket's timeout is patience()"),
    (re.compile(r"\bSO_(SND|RCV)TIMEO\b"), "a socket's timeout is patience()"),
    (re.compile(r"\bsignal\.alarm\("), "run() has the only one"),
]
CTEST = [(re.compile(r"\bTIMEOUT\b"), "the one for all is in the top CMakeLists.txt")]
# What is measured there is that nothing happens for a time.
MAY = {"tests/e2e/idle.py": "time.sleep"}


def find(paths, rules):
    for path in paths:
        for number, line in enumerate(sources.read(path).splitlines(), 1):
            for rule, why in rules:
                if rule.search(line) and MAY.get(path, "\n") not in line:
                    yield f"{path}:{number}: {line.strip()}: {why}"


def main():
    tests = [p for p in sources.files(["tests/e2e"], ".py") if p != "tests/e2e/harness.py"]
    lists = [p for p in sources.files(["tests", "bench", "fuzz"], "CMakeLists.txt")]
    problems = list(find(tests, E2E)) + list(find(lists, CTEST))
    sources.end(problems, f"{len(tests)} end-to-end tests wait for what happens")


if sys.argv[1:] == ["--self-test"]:
    bad = ["client.expect(b'x', seconds=5)", "time.sleep(1)", "run([], timeout=3)",
           "s.settimeout(3)", "s.setsockopt(SOL_SOCKET, SO_SNDTIMEO, x)", "signal.alarm(3)"]
    good = ["s.settimeout(patience())", "client.expect(b'x')"]
    hits = [any(rule.search(line) for rule, _ in E2E) for line in bad + good]
    sys.exit(hits != [True] * len(bad) + [False] * len(good))
main()
