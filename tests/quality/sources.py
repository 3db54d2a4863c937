# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Which files there are: those of the checkout that git knows or would add, or all without git."""

import os
import shutil
import subprocess
import sys

SKIP = 77
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


# Folders that a checkout without git may have, too.
NOT_SOURCE = {".git", "build"}


def from_git(folders):
    if not shutil.which("git") or not os.path.exists(os.path.join(ROOT, ".git")):
        return None
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
         "--exclude-standard", "--"] + folders,
        cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        return None
    return [path for path in listed.stdout.split("\0") if path]


def from_folders(folders):
    for folder in folders:
        for base, inner, names in os.walk(os.path.join(ROOT, folder)):
            inner[:] = [name for name in inner if name not in NOT_SOURCE]
            for name in names:
                yield os.path.relpath(os.path.join(base, name), ROOT)


def files(folders, endings):
    """Paths of the files in these folders, relative to the root, in order."""
    there = [f for f in folders if os.path.isdir(os.path.join(ROOT, f))]
    found = from_git(there) if there else []
    if found is None:
        found = from_folders(there)
    return sorted({p for p in found
                   if p.endswith(endings) and os.path.isfile(os.path.join(ROOT, p))})


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def need(tool):
    if not shutil.which(tool):
        print(f"{tool} isn't installed: skipped")
        sys.exit(SKIP)


def end(problems, fine):
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    print(fine)
