# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""shellcheck finds nothing in the shell scripts."""

import re
import subprocess
import sys

import sources

SHELL = re.compile(r"^#!\s*(/usr)?/bin/(env\s+)?(busybox\s+)?(ba|da|k)?sh\b")


def is_shell(path):
    if path.endswith(".sh"):
        return True
    try:
        return bool(SHELL.match(sources.read(path)[:80]))
    except UnicodeDecodeError:
        return False


sources.need("shellcheck")
paths = [p for p in sources.files([".ci", "scripts", "tests", "fuzz", "bench"], "") if is_shell(p)]
if not paths:
    print("no shell scripts")
    sys.exit(sources.SKIP)
done = subprocess.run(["shellcheck", "--external-sources", "--source-path=SCRIPTDIR"] + paths,
                      cwd=sources.ROOT)
sys.exit(done.returncode)
