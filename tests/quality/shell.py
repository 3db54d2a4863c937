# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""shellcheck finds nothing in the shell scripts."""

import re
import subprocess
import sys

import sources

# What runs by itself says so in its first line; what is only sourced tells shellcheck.
SHELL = re.compile(r"^#!\s*(/usr)?/bin/(env\s+)?(busybox\s+)?(ba|da|k)?sh\b|"
                   r"^# shellcheck shell=\w+$", re.MULTILINE)


def is_shell(path):
    if path.endswith(".sh"):
        return True
    try:
        return bool(SHELL.search(sources.read(path)[:160]))
    except UnicodeDecodeError:
        return False


sources.need("shellcheck")
# Wherever they are: try and check lie at the top.
paths = [p for p in sources.files(["."], "") if is_shell(p)]
done = subprocess.run(["shellcheck", "--external-sources", "--source-path=SCRIPTDIR"] + paths,
                      cwd=sources.ROOT)
if done.returncode != 0:
    sys.exit(done.returncode)
print(f"{len(paths)} scripts, nothing found: " + " ".join(paths))
