#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A ring that fails ends the program with a line, and no socket and no link is left behind."""

import os
import pathlib
import subprocess
import sys
import tempfile

program = sys.argv[1]
with tempfile.TemporaryDirectory() as folder:
    result = subprocess.run(
        [program, f'--socket-path={folder}/guest', f'--control-socket={folder}/control',
         f'--port=uds-path={folder}/client', f'--port=pty={folder}/line', '-c', '2'],
        env={**os.environ, 'RING_FAILS': '1'}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60, check=False)
    left = sorted(path.name for path in pathlib.Path(folder).iterdir())
sys.stderr.buffer.write(result.stderr)
if b'ready for 2 guests' not in result.stderr:
    sys.exit('it was not at work')
if result.returncode != 1 or b'io_uring has failed' not in result.stderr:
    sys.exit(f'exit status {result.returncode}, and no line that says so')
if left:
    sys.exit(f'left behind: {left}')
