# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""
docs/hostile-peers.md names each function of src/ that asserts something, how many times it does,
and why no stranger can make it fail. So a new assertion has to be thought about, and an old one that
has gone leaves the page; and the tests that the page names for that are there.
"""

import os
import re
import sys

import sources

PAGE = "docs/hostile-peers.md"
HEADING = "## Assertions"
ASSERT = re.compile(r"(?<![\w_])assert\s*\(")
ROW = re.compile(r"^\| `([^`]+)`: `(\w+)\(\)`(?: ×(\d+))? \| (.*?) \|(.*?)\|$", re.MULTILINE)
TEST = re.compile(r"`((?:unit|conformance|fuzz|faults|soak)\.[\w.]+)`")


def without_comments(text):
    """Comments become nothing but their line ends."""
    return re.sub(r"/\*.*?\*/", lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL)


def asserting(text):
    """{function: how often it asserts}. A body's braces are alone in their lines' first columns."""
    found, head = {}, None
    for line in without_comments(text).splitlines():
        if line[:1].isalpha() and "(" in line and not line.endswith(";"):
            head = re.search(r"(\w+)\(", line)[1]
        count = len(ASSERT.findall(line))
        if count:
            found[head] = found.get(head, 0) + count
    return found


def listed(page):
    """({(file, function): how often}, names of tests, rows without a reason)."""
    section = page.split(HEADING + "\n", 1)[1].split("\n## ", 1)[0] if HEADING in page else ""
    rows = ROW.findall(section)
    return ({(file, function): int(count or 1) for file, function, count, _, _ in rows},
            {name for row in rows for name in TEST.findall(row[4])},
            [f"{file}: {function}()" for file, function, _, why, _ in rows if len(why) < 10])


def judge(tree, page, is_test):
    truth = {(path, function): count for path, text in tree.items()
             for function, count in asserting(text).items()}
    found, tests, bare = listed(page)
    problems = [f"{PAGE}: {row} has no reason" for row in bare]
    for key in sorted(truth.keys() | found.keys(), key=str):
        if truth.get(key, 0) != found.get(key, 0):
            problems.append(f"{key[0]}: {key[1]}() asserts {truth.get(key, 0)} times, "
                            f"{PAGE} says {found.get(key, 0)}")
    problems += [f"{PAGE}: there is no test {name}" for name in sorted(tests) if not is_test(name)]
    return problems


def is_test(name):
    """Whether it is a program's or a target's: files have the tests' names."""
    label, rest = name.split(".", 1)
    places = {"unit": f"tests/unit/{rest}.c", "conformance": f"tests/conformance/{rest}.c",
              "fuzz": f"fuzz/{rest.replace('target.', 'target_')}.c",
              "faults": "tests/faults/run", "soak": "tests/soak/run"}
    return os.path.exists(os.path.join(sources.ROOT, places[label]))


def self_test():
    """Each row has to give so many problems."""
    code = ("static int f(struct x *x,\n             int y)\n{\n\tassert(x);\n}\n\n"
            "void g(void)\n{\n\tstatic_assert(1, \"\");\n\t/* assert(0) */\n\tassert(1);\n"
            "\tassert(2);\n}\n_Static_assert(1, \"\");\n")
    page = (f"# x\n\n{HEADING}\n\n| where | why | test |\n|---|---|---|\n"
            "| `a/b.c`: `f()` | nobody gives it NULL | `unit.b` |\n"
            "| `a/b.c`: `g()` ×2 | they are constants | |\n\n## Other\n\n"
            "| `a/b.c`: `h()` | in another section | `unit.none` |\n")
    rows = [("", "", "", "", 0), ("assert(1);\n\t", "", "", "", 1), ("assert(x)", "", "", "", 1),
            ("g(void)", "k(void)", "", "", 2), ("", "", "×2", "×3", 1), ("", "", " ×2", "", 1),
            ("", "", "nobody gives it NULL", "", 1), ("", "", "`unit.b`", "`unit.c`", 1),
            ("", "", HEADING, "## Else", 2), ("/* assert(0) */", "assert(0);", "", "", 1)]
    wrong = []
    for old, new, page_old, page_new, expected in rows:
        found = judge({"a/b.c": code.replace(old, new) if old else code},
                      page.replace(page_old, page_new) if page_old else page,
                      lambda name: name == "unit.b")
        if len(found) != expected:
            wrong.append(f"{old or page_old!r}: {found}, expected {expected} problems")
    sources.end(wrong, f"{len(rows)} rows as they should be")


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    paths = sources.files(["src"], (".c", ".h"))
    tree = {os.path.relpath(path, "src"): sources.read(path) for path in paths}
    sources.end(judge(tree, sources.read(PAGE), is_test),
                f"{len(tree)} files, each assertion is on the page")


main()
