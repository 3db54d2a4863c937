# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""
What a peer sends is dealt with in memory that is there (rule R3 of docs/hostile-peers.md): the
libraries that do so call no allocator, but for the table of a guest's memory regions, which there
are 64 of at most. Takes the libraries; needs nm.
"""

import shutil
import subprocess
import sys

import sources

ALLOCATORS = {"malloc", "calloc", "realloc", "reallocarray", "strdup", "strndup", "asprintf",
              "vasprintf", "aligned_alloc", "posix_memalign", "open_memstream"}
ALLOWED = {("gmem.c.o", "reallocarray")}


def called(library):
    """Names that the library's members want from elsewhere."""
    listed = subprocess.run(["nm", "-A", "-u", library], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        where, _, name = line.rpartition(" U ")
        if where:
            yield where.strip(), name.split("@")[0]


def main():
    if not shutil.which("nm"):
        print("SKIP: there is no nm")
        sys.exit(sources.SKIP)
    names = [(where, name) for library in sys.argv[1:] for where, name in called(library)]
    problems = [f"{where} {name}()" for where, name in names if name in ALLOCATORS and
                (where.rstrip(":").rpartition(":")[2], name) not in ALLOWED]
    if not names:
        problems.append("no library calls anything: is it the right file?")
    sources.end(problems, f"{len(names)} calls, none of them for memory")


main()
