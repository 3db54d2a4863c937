# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""
--help, the manual page and README's table name the same options, with the same letters, values'
names and defaults; and mandoc finds nothing in the manual page. Takes the program.

--help is what the others are compared with: it is made from the table that the program reads its
options by. The manual page names values in its own way.
"""

import re
import subprocess
import sys

import sources

MANUAL = "man/vhost-user-console.8"
# What mandoc says of the manual pages that this machine has.
OTHERS = re.compile(r"mandoc\.db|referenced manual not found")
# README has a row for these two that says no more than their letters.
LETTERS_ONLY = {"help", "version"}


class Option:
    def __init__(self, name, letter=None, value=None, default=None):
        self.name, self.letter, self.value, self.default = name, letter, value, default


def first_clause(text):
    """A default without markup and what is said about it: `info`; nested: ... -> info."""
    return re.split(r"[;,.](?:\s|$)", " ".join(text.replace("`", "").split()), maxsplit=1)[0] or None


def from_help(text):
    """{name: Option} of --help's lines: "  -c, --socket-count=N   number of guests [1]"."""
    found = {}
    for letter, name, value, rest in re.findall(
            r"^  (?:-(\w), |    )--([a-z-]+)(?:=(\S+))? +(.*)$", text, re.MULTILINE):
        default = re.search(r"\[([^[]+)\]$", rest)
        found[name] = Option(name, letter or None, value or None,
                             default and first_clause(default[1]))
    return found


def manual_default(text):
    """Of an item's text: "The default is X." or "X (the default)"."""
    text = re.sub(r"^\.(Cm|Ar|Dv) ", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\.Fl -", "--", text, flags=re.MULTILINE).replace("\n", " ")
    text = re.sub(r" ([;,.])", r"\1", text).replace("\\(rB", "]")
    told = re.search(r"(\S+) \(the default\b|The default is (.*)", text)
    return told and first_clause(told[1] or told[2])


def from_manual(text):
    """The same of the manual page's list of options."""
    begin = text.index("The options are:")
    found = {}
    for head, body in re.findall(r"^\.It (Fl .*)\n((?:(?!\.It |\.El).*\n)*)",
                                 text[begin:text.index("\n.El", begin) + 1], re.MULTILINE):
        name = re.search(r"Fl -([a-z-]+)", head)[1]
        letter = re.match(r"Fl (\w) ", head)
        found[name] = Option(name, letter and letter[1], "=" in head or None, manual_default(body))
    return found


def row_options(cell, letters):
    """The options of a row's first cell, in order: `-c`, `--count=N`, or letters alone."""
    found = []
    letter = None
    for short, name, value in re.findall(r"`(?:-(\w)|--([a-z-]+)(?:=(\S+))?)`", cell):
        if short and letters.get(short) in LETTERS_ONLY:
            found.append(Option(letters[short], short))
        elif short:
            letter = short
        else:
            found.append(Option(name, letter, value or None))
            letter = None
    return found


def from_readme(text, letters):
    """The same of README's table. `letters` is {letter: name}."""
    rows = re.search(r"^\| option \|.*\n\|.*\n((?:\|.*\n)+)", text, re.MULTILINE)[1]
    found = {}
    for row in rows.splitlines():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        options = row_options(cells[0], letters)
        defaults = cells[2].split(",") if len(options) > 1 else [cells[2]]
        for option, default in zip(options, defaults + [""] * len(options)):
            option.default = first_clause("" if default == "required" else default)
            found[option.name] = option
    return found


def compare(where, truth, found):
    for name in sorted(truth.keys() | found.keys()):
        if name not in found:
            yield f"{where} doesn't name --{name}"
        elif name not in truth:
            yield f"{where} names --{name}, --help doesn't"
        else:
            for field in ("letter", "value", "default"):
                wanted, got = getattr(truth[name], field), getattr(found[name], field)
                if got != wanted:
                    yield f"{where}: the {field} of --{name} is {got}, in --help {wanted}"


def judge(text_help, text_manual, text_readme):
    truth = from_help(text_help)
    if not truth:
        return ["no options in --help"]
    letters = {option.letter: option.name for option in truth.values()}
    manual = from_manual(text_manual)
    for name, option in manual.items():
        if option.value and name in truth:
            option.value = truth[name].value or "any"
    return (list(compare(MANUAL, truth, manual)) +
            list(compare("README.md", truth, from_readme(text_readme, letters))))


def lint():
    done = subprocess.run(["mandoc", "-Tlint", MANUAL], cwd=sources.ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return [line for line in done.stdout.splitlines() if not OTHERS.search(line)]


def self_test():
    """Each change has to give so many problems."""
    text_help = "  -c, --count=N     guests [1]\n      --mode=MODE   mode [0600; or so]\n  -h, --help   this\n"
    manual = (".Pp\nThe options are:\n.Bl\n.It Fl c Ar n , Fl -count Ns = Ns Ar n\nMany.\n"
              "The default is 1.\n.It Fl -mode Ns = Ns Ar mode\n.Cm 0600\n(the default; or so).\n"
              ".It Fl h , Fl -help\nHelp.\n.El\n.Bl\n.It Fl x\n.El\n")
    readme = ("| option | meaning | default |\n|---|---|---|\n| `-c`, `--count=N` | guests | 1 |\n"
              "| `--mode=MODE` | mode | `0600`, or so |\n| `-h` | help | |\n\n| other | table |\n")
    texts = (text_help, manual, readme)
    rows = [(0, "", "", 0), (0, "-c,", "-d,", 2), (0, "=N", "=M", 1), (0, "[1]", "[2]", 2),
            (0, "count", "kount", 4), (0, text_help, "", 1), (1, "Fl c Ar n , ", "", 1),
            (1, "is 1", "is 12", 1), (1, "0600", "0660", 1), (1, " Ns = Ns Ar mode", "", 1),
            (1, "-help", "-halp", 2), (2, "0600", "", 1), (2, "`-h`", "`-V`", 1),
            (2, "`-c`, ", "", 1), (2, "| 1 |", "| |", 1), (2, "=MODE", "", 1)]
    wrong = []
    for which, old, new, expected in rows:
        changed = [text.replace(old, new) if i == which else text for i, text in enumerate(texts)]
        found = judge(*changed)
        if len(found) != expected:
            wrong.append(f"{old!r} -> {new!r} in text {which}: {found}, expected {expected}")
    sources.end(wrong, f"{len(rows)} rows as they should be")


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    done = subprocess.run([sys.argv[1], "--help"], capture_output=True, text=True, check=True)
    problems = judge(done.stdout, sources.read(MANUAL), sources.read("README.md"))
    if not problems:
        sources.need("mandoc")
        problems += lint()
    sources.end(problems, "they say the same")


main()
