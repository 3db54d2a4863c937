# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""
Sizes that read well (design, section 2): functions nearly all under 60 lines with a median of
about 12, files under 600.

Functions are found by their form, which quality.format holds: the body's brace is the first
character of a line, and so is its end.
"""

import statistics
import sys

import sources

FUNCTION_LINES = 60
LONG_SHARE = 0.01  # "nearly all"
MEDIAN_LINES = 16
FILE_LINES = 600


def functions(text):
    """(name's line, lines of the body) of each function."""
    begin, head = None, ""
    for number, line in enumerate(text.splitlines(), 1):
        if line == "{" and begin is None:
            begin = number
        elif line == "}" and begin is not None:
            yield head, number - begin - 1
            begin = None
        elif begin is None and line and line[0].isalpha():
            head = line


def judge(tree):
    problems, lengths, long = [], [], []
    for path, text in sorted(tree.items()):
        lines = text.count("\n")
        if lines >= FILE_LINES:
            problems.append(f"{path}: {lines} lines, {FILE_LINES - 1} are the most")
        for head, length in functions(text):
            lengths.append(length)
            if length >= FUNCTION_LINES:
                long.append(f"{path}: {length} lines in {head}")
    if lengths and len(long) > LONG_SHARE * len(lengths):
        problems += long
        problems.append(f"{len(long)} of {len(lengths)} functions have {FUNCTION_LINES} lines "
                        "or more")
    if lengths and statistics.median(lengths) > MEDIAN_LINES:
        problems.append(f"the median function has {statistics.median(lengths)} lines")
    return problems, lengths


def self_test():
    def function(lines):
        return "static int f(void)\n{\n" + "\tx();\n" * lines + "}\n"

    rows = [
        (function(10), 0),
        (function(FUNCTION_LINES), 3),
        (function(1) * 110 + function(FUNCTION_LINES), 0),
        (function(3) * 20 + function(FUNCTION_LINES), 2),
        ("\n" * (FILE_LINES - 1), 0),
        ("\n" * FILE_LINES, 1),
        (function(20) * 3, 1),
    ]
    wrong = [f"row {i}: {judge({'a.c': text})[0]}, expected {expected} problems"
             for i, (text, expected) in enumerate(rows) if len(judge({"a.c": text})[0]) != expected]
    sources.end(wrong, f"{len(rows)} rows as they should be")


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    problems = []
    for folders in (["src"], ["tests", "fuzz", "bench"]):
        tree = {p: sources.read(p) for p in sources.files(folders, (".c", ".h"))}
        found, lengths = judge(tree)
        problems += found
        if lengths:
            print(f"{' '.join(folders)}: {len(tree)} files, {len(lengths)} functions, median "
                  f"{statistics.median(lengths):g} lines, longest {max(lengths)}")
    sources.end(problems, "fine")


main()
