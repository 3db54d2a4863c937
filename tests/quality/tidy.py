# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""clang-tidy finds nothing in our C. Takes the build folder with compile_commands.json."""

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


def run(folder, path):
    done = subprocess.run(["clang-tidy", "--quiet", "--warnings-as-errors=*", "-p", folder, path],
                          cwd=sources.ROOT, capture_output=True, text=True)
    return path, done.returncode, done.stdout


def main():
    sources.need("clang-tidy")
    found = commands(sys.argv[1])
    paths = sources.files(FOLDERS, ".c")
    unbuilt = [p for p in paths if p not in found]
    if unbuilt:
        sys.exit("not in compile_commands.json: " + " ".join(unbuilt))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as file:
            json.dump([found[p] for p in paths], file)
        results = list(pool.map(lambda path: run(folder, path), paths))
    problems = [output.strip() for _, code, output in results if code != 0]
    sources.end(problems, f"{len(paths)} files, nothing found")


main()
