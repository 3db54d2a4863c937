# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""
clang-tidy finds nothing in our C. Takes the build folder with compile_commands.json.

A file is looked at again when anything has changed that clang-tidy sees: the file, what it includes,
the command, the checks, clang-tidy itself. What nothing was found in is remembered in the build
folder.
"""

import functools
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import sources

FOLDERS = ["src", "tests", "bench", "fuzz"]
# What only gcc knows, and what clang-tidy can do without.
GCC_ONLY = ("-fsanitize", "-fno-sanitize", "-Werror", "-fanalyzer")


def commands(build):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        found = {}
        for entry in json.load(file):
            path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), sources.ROOT)
            words = [w for w in shlex.split(entry["command"]) if not w.startswith(GCC_ONLY)]
            found[path] = {**entry, "command": shlex.join(words)}
    return found


@functools.lru_cache(maxsize=None)
def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def key(entry, tool):
    """Of all that clang-tidy sees; None if the compiler can't tell what is included."""
    words = shlex.split(entry["command"])
    at = words.index("-o")
    seen = subprocess.run(["clang", *words[1:at], *words[at + 2:], "-M", "-MT", "x"],
                          cwd=entry["directory"], capture_output=True, text=True)
    if seen.returncode != 0:
        return None
    # As make has it: blanks in names and ends of lines are escaped.
    names = shlex.split(seen.stdout.partition(":")[2].replace("\\\n", " "))
    files = [digest(os.path.join(entry["directory"], name)) for name in names]
    return hashlib.sha256("\n".join([tool, entry["command"], *files]).encode()).hexdigest()


def run(folder, memory, tool, entry, path):
    known = key(entry, tool)
    mark = os.path.join(memory, known) if known else None
    if mark and os.path.exists(mark):
        return path, 0, ""
    done = subprocess.run(["clang-tidy", "--quiet", "--warnings-as-errors=*", "-p", folder, path],
                          cwd=sources.ROOT, capture_output=True, text=True)
    if mark and done.returncode == 0:
        with open(mark, "w", encoding="utf-8"):
            pass
    return path, done.returncode, done.stdout


def main():
    sources.need("clang-tidy")
    found = commands(sys.argv[1])
    paths = sources.files(FOLDERS, ".c")
    unbuilt = [p for p in paths if p not in found]
    if unbuilt:
        sys.exit("not in compile_commands.json: " + " ".join(unbuilt))
    memory = os.path.join(sys.argv[1], "tidy")
    os.makedirs(memory, exist_ok=True)
    tool = subprocess.run(["clang-tidy", "--version"], check=True, capture_output=True,
                          text=True).stdout + sources.read(".clang-tidy")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as file:
            json.dump([found[p] for p in paths], file)
        results = list(pool.map(lambda path: run(folder, memory, tool, found[path], path), paths))
    problems = [output.strip() for _, code, output in results if code != 0]
    sources.end(problems, f"{len(paths)} files, nothing found")


main()
