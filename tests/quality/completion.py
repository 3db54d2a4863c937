# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""
The completion for bash offers what the program takes, in a real bash with Debian's
bash-completion. Takes the program.

What each option takes is known here again, by name, so that a change of the program's words that
leaves the completion with nothing to offer shows.
"""

import os
import re
import subprocess
import sys
import tempfile

import sources

LIBRARY = "/usr/share/bash-completion/bash_completion"
# As bash has it where bash-completion is installed: words are cut at "=", which is a word.
SCRIPT = r"""
shopt -s extglob progcomp
. "$LIBRARY"
_completion_loader vhost-user-console
compopt() { [[ $* != *nospace* ]] || echo nospace; }
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
function=$(complete -p vhost-user-console | sed 's/.*-F \([^ ]*\) .*/\1/')
"$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""

LEVELS = {"error", "warning", "info", "debug"}
FILES = {"here-a", "here-b"}
# What is typed, and what is offered: these and no others, whatever options there are. After a
# "nospace" no blank is added, since a value follows.
ROWS = [
    ("--backend=ne", {"nested", "network"}),
    ("-b ec", {"echo"}),
    ("--backend=telepathy", set()),
    ("--log-level=", LEVELS),
    ("--socket-path=x --log-level w", {"warning"}),
    ("--tcp-protocol=", {"raw", "telnet"}),
    ("--telnet-break ", {"ignore", "sysrq"}),
    ("--socket-path=here", FILES),
    ("-s here", FILES),
    ("--uds-path here-a", {"here-a"}),
    ("--log-file=here", FILES),
    ("--socket-group=roo", {"root"}),
    ("--tcp-port=", set()),
    ("-c ", set()),
    ("--history=", set()),
    ("--log-lev", {"--log-level=", "nospace"}),
    ("-s x --print", {"--print-capabilities"}),
    ("--version --he", {"--help"}),
    ("--version=", set()),
    ("--bogus --he", {"--help"}),
    ("here", set()),
]


def words(line):
    """The line's words as readline cuts it, the last one maybe empty."""
    cut = [part for word in line.split(" ") for part in re.split("(=)", word) if part]
    return cut + [""] if line.endswith((" ", "=")) else cut


def complete(program, folder, typed):
    line = f"{program} {typed}"
    done = subprocess.run(
        ["bash", "--norc", "-c", SCRIPT, "bash", line, *words(line)], cwd=folder, text=True,
        stdin=subprocess.DEVNULL, capture_output=True,
        env={**os.environ, "LIBRARY": LIBRARY, "BASH_COMPLETION_USER_DIR": folder})
    if done.returncode != 0 or done.stderr:
        return {f"failed with {done.returncode}: {done.stderr}"}
    return set(done.stdout.split())


def names(program):
    """All options, by --help; those with a value with a '='."""
    text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    return {name + value for name, value in
            re.findall(r"^  (?:-\w, |    )(--[a-z-]+)(=?)", text, re.MULTILINE)}


def backends(program):
    text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    kinds = re.search(r"^Backends:\n((?:  .*\n)+)", text, re.MULTILINE)[1]
    return {line.split()[0] for line in kinds.splitlines()}


def judge(program, folder):
    every, kinds = names(program) | {"nospace"}, backends(program)
    rows = [("", every), ("--", every), ("-s x -", every),
            ("--backend=", kinds), ("--backend ", kinds), ("-b ", kinds)]
    # Whatever a value may be, it is no option.
    rows += [(f"{name}--", set()) for name in sorted(every) if name.endswith("=")]
    for typed, wanted in rows + ROWS:
        got = complete(program, folder, typed)
        if got != wanted:
            yield f"after {typed!r} are offered {sorted(got)}, not {sorted(wanted)}"


def main():
    program = os.path.abspath(sys.argv[1])
    sources.need("bash")
    if not os.path.exists(LIBRARY):
        print("bash-completion isn't installed: skipped")
        sys.exit(sources.SKIP)
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(os.path.join(sources.ROOT, "completions/bash"), f"{folder}/completions")
        for name in FILES:
            open(f"{folder}/{name}", "w", encoding="utf-8").close()
        # By a name without blanks, wherever the checkout lies.
        os.mkdir(f"{folder}/bin")
        link = f"{folder}/bin/{os.path.basename(program)}"
        os.symlink(program, link)
        sources.end(list(judge(link, folder)), "all lines are completed as they should be")


main()
