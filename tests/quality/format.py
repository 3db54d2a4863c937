# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Every C file has the form of .clang-format."""

import subprocess
import sys

import sources

sources.need("clang-format")
paths = sources.files(["src", "tests", "fuzz", "bench"], (".c", ".h"))
done = subprocess.run(["clang-format", "--dry-run", "-Werror", "--style=file"] + paths,
                      cwd=sources.ROOT, capture_output=True, text=True)
if done.returncode != 0:
    lines = [line for line in done.stderr.splitlines() if "error:" in line]
    wrong = sorted({line.split(":")[0] for line in lines})
    print("\n".join(lines[:20]))
    sys.exit(f"{len(wrong)} files to be formatted: " + " ".join(wrong))
print(f"{len(paths)} files are formatted")
