#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Where io_uring is blocked, by a container's seccomp filter as here, the start
fails with one line that names the cause."""

import ctypes
import errno
import platform
import struct
import subprocess

from harness import DAEMON, LIBC, Skip, check, check_equal, run, run_program

IO_URING_SETUP = 425  # the same on all architectures since 5.1, alpha apart
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
PR_SET_NO_NEW_PRIVS = 38
LOAD_NUMBER, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7fff0000, 0x00050000


class Program(ctypes.Structure):
    """struct sock_fprog"""
    _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_char_p)]


def block(error):
    """A function for the child: io_uring_setup fails with this error from now on."""
    code = b''.join(struct.pack('HBBI', *instruction) for instruction in [
        (LOAD_NUMBER, 0, 0, 0),
        (JUMP_EQUAL, 0, 1, IO_URING_SETUP),
        (RETURN, 0, 0, ERRNO | error),
        (RETURN, 0, 0, ALLOW),
    ])
    program = Program(len(code) // 8, code)

    def install():
        if LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or \
                LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
            raise OSError(ctypes.get_errno(), 'prctl')
    return install


def seccomp_iouring(case):
    if not platform.machine().startswith(('x86_64', 'aarch64')):
        raise Skip(f'written for no {platform.machine()}')
    # EPERM is what containers and the sysctl answer, ENOSYS a kernel without it.
    for error in errno.EPERM, errno.ENOSYS:
        path = case.dir / 'con.sock'
        result = run_program([DAEMON, f'--socket-path={path}', '--backend=network',
                              f'--tcp-port={case.ports(1)}'], preexec_fn=block(error),
                             stdin=subprocess.DEVNULL, capture_output=True, text=True)
        check_equal(result.returncode, 1, 'exit status')
        check_equal(result.stdout, '', 'standard output')
        check_equal(result.stderr.count('\n'), 1, f'lines on standard error ({result.stderr!r})')
        check('io_uring' in result.stderr, f'does not name io_uring: {result.stderr!r}')
        check(not path.with_name('con.sock0').exists(), 'a socket was left behind')


run(seccomp_iouring)
