# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What the end-to-end tests stand on: the daemon, QEMU with a Linux guest, the
clients, a terminal; and all of it gone at the end.

A test is one file with one function, run by `run`. It gets a Case, through
which everything it starts is started, so that whatever happens nothing is left
behind: every process is ended by its own pid, dies with the test if the test is
killed, and the temporary folder goes. When a test fails, the ends of all logs
are printed.

No test decides anything by the clock, for it runs beside others and on slow
machines. For those who write one:

1. Wait for what happens: `wait(what, condition)`, `stream.expect(pattern)`,
   `stream.run(command)`, `tmux.expect(pattern)`, `process.wait(what)`. None takes
   a number of seconds: each fails once nothing has happened for `patience()`
   seconds, which grow with this machine's slowness. Bytes that come are progress.
2. Where something long is waited for that shows its progress elsewhere, say so:
   `wait(what, condition, progress=lambda: path.stat().st_size)`.
3. Never sleep to let something happen. What must not happen is looked for at the
   end, after something that would have come behind it.
4. A program that is run to its end: `run_program`, never subprocess's `timeout`.
   A socket's timeout is `patience()`.
5. Keys: wait for what the last ones did before the next ones. Typing is not
   repeated, unless a key too many does no harm.
6. The guest's shell asks the terminal for its cursor's place at each prompt, and
   the answer is typed like any key: before keys that mean something together
   (an escape key and its command), `tmux.park()`; before a program in the guest
   that takes each byte, `tmux.guest_takes(count, number)`.
7. Before ^C: what it is to end must have put something out by itself (`tmux.sleep()`).
8. Patterns match what a command prints, not the echo of what was typed:
   `echo done $((40 + 2))` and `done 42`.
9. What takes how long in the guest and here has no order: a loop in the guest
   ends when the test says so, not after some number of turns.
10. Upper bounds of time are no test's affair; lower ones may be ("not before"), and
   what is compared with another measurement of the same machine.
11. tests/quality/waits.py finds what breaks these rules.

Exit status: 0 passed, 1 failed, 77 skipped (with a line `SKIP: name: why`).

Environment: VHOST_USER_CONSOLE is the daemon under test (else the release
preset's); E2E_KEEP=1 keeps the temporary folder; E2E_PATIENCE is the patience in
seconds, for whoever writes a test and doesn't want to wait for its failures.
"""

import contextlib
import ctypes
import functools
import itertools
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
DAEMON = os.environ.get('VHOST_USER_CONSOLE', str(ROOT / 'build/release/vhost-user-console'))
GUESTS = ROOT / 'build/guest'
QEMU = GUESTS / 'qemu-system-x86_64'

PROMPT = rb'guest# '
DEVICE = 'vhost-user-test-device-pci,chardev=con0,virtio-id=3,num_vqs={},config_size=12'
# So long nothing at all may happen on a machine like the one where this was written, with nothing
# beside: ten times the longest silence of all tests there.
PATIENCE_SECONDS = 120
# What the loop of `slowness` takes there.
LOOP_SECONDS = 0.032
# A whole test, whatever progress it makes: the longest takes a tenth of it there.
TEST_SECONDS = 800

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """The test's verdict: not as it should be."""


class Skip(Exception):
    """This machine can't run the test; the text says why."""


def check(condition, what):
    if not condition:
        raise Failure(what)


def check_equal(got, wanted, what):
    if got != wanted:
        raise Failure(f'{what}: got {short(got)}, wanted {short(wanted)}')


def check_same_bytes(got, wanted, what):
    """Like check_equal for long data: says where the first difference is."""
    if got == wanted:
        return
    at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b),
              min(len(got), len(wanted)))
    raise Failure(f'{what}: {len(got)} bytes, wanted {len(wanted)}; first difference at {at}: '
                  f'got …{bytes(got[max(0, at - 40):at + 40])!r}, '
                  f'wanted …{bytes(wanted[max(0, at - 40):at + 40])!r}')


def short(value):
    text = repr(value)
    return text if len(text) < 600 else text[:300] + ' … ' + text[-300:]


def measure_slowness():
    """How many times as long as there everything takes here, with what else runs
    now. At least 1, and at most 10: by then all takes long enough."""
    begin = time.monotonic()
    for _ in range(1_000_000):
        pass
    return min(max((time.monotonic() - begin) / LOOP_SECONDS, 1), 10)


# Measured at the start of a test, which fits most of them.
slowness = functools.lru_cache(maxsize=None)(measure_slowness)


def patience():
    """The seconds without any progress after which a wait is in vain."""
    return float(os.environ.get('E2E_PATIENCE') or PATIENCE_SECONDS * slowness())


class Silence:
    """How long there has been no progress."""

    longest = (0, 'nothing')

    def __init__(self, what):
        self.what = what
        self.progress = None
        self.since = time.monotonic()

    def too_long(self, progress):
        """To be asked often, with anything that changes as long as there is progress."""
        seconds = time.monotonic() - self.since
        Silence.longest = max(Silence.longest, (seconds, self.what))
        if progress != self.progress:
            self.progress = progress
            self.since = time.monotonic()
            return False
        # What else runs may have become more since the test began.
        return seconds > patience() and (
            'E2E_PATIENCE' in os.environ or seconds > PATIENCE_SECONDS * measure_slowness())


def wait(what, condition, progress=lambda: None):
    """Returns the condition's first true value; fails when for too long it has none
    and there is no progress either."""
    silence = Silence(what)
    for number in itertools.count(1):
        value = condition()
        if value:
            return value
        if silence.too_long(progress()):
            raise Failure(f'in vain, with {patience():.0f} s of silence: {what}')
        # Soon, and not so often later on: looking takes time from what is waited for.
        time.sleep(min(0.01 * number, 0.3))


def run_program(arguments, **options):
    """subprocess.run for a program that ends by itself."""
    return subprocess.run([str(a) for a in arguments], timeout=patience(), **options)


def exists(pid):
    """Whether the process runs (a zombie doesn't)."""
    try:
        return process_state(pid) not in 'ZX'
    except OSError:
        return False


def process_state(pid):
    text = pathlib.Path(f'/proc/{pid}/stat').read_text()
    return text.rpartition(')')[2].split()[0]


def processes_with(text):
    """The pids of running processes that have the text in their command line."""
    found = []
    for entry in pathlib.Path('/proc').iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if os.fsencode(text) in (entry / 'cmdline').read_bytes() and exists(entry.name):
                found.append(int(entry.name))
    return found


def listening(pid):
    """The Unix sockets' paths and the TCP ports on which the process listens. By
    its own open files: of a killed process's sockets some live on for a moment."""
    inodes = set()
    with contextlib.suppress(OSError):
        for entry in os.scandir(f'/proc/{pid}/fd'):
            with contextlib.suppress(OSError):
                inodes.add(os.readlink(entry.path))
    found = set()
    for line in pathlib.Path('/proc/net/unix').read_text().splitlines()[1:]:
        field = line.split(maxsplit=7)
        if len(field) == 8 and int(field[3], 16) & 0x10000 and f'socket:[{field[6]}]' in inodes:
            found.add(field[7])
    for line in pathlib.Path('/proc/net/tcp').read_text().splitlines()[1:]:
        field = line.split()
        if field[3] == '0A' and f'socket:[{field[9]}]' in inodes:
            found.add(int(field[1].partition(':')[2], 16))
    return found


class Process:
    """A child that dies with us and whose end is waited for."""

    def __init__(self, case, name, arguments, preexec=None, **options):
        def prepare():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if preexec:
                preexec()
        self.name = name
        self.log = case.dir / f'{name}.log'
        output = open(self.log, 'ab')
        options.setdefault('stdin', subprocess.DEVNULL)
        options.setdefault('stdout', output)
        options.setdefault('stderr', output)
        self.child = subprocess.Popen([str(a) for a in arguments], preexec_fn=prepare, **options)
        output.close()
        self.pid = self.child.pid
        case.logs.append(self.log)
        case.cleanup.callback(self.kill)

    def running(self):
        return self.child.poll() is None

    def signal(self, number):
        self.child.send_signal(number)

    def kill(self):
        """Ends it without asking; also when it has ended already."""
        self.child.kill()
        self.child.wait()

    def wait(self, what, progress=lambda: None):
        """Waits for its end; returns its exit status."""
        wait(f'{self.name} ends {what}', lambda: not self.running(), progress)
        return self.child.returncode


class Daemon(Process):
    """vhost-user-console, listening."""

    def __init__(self, case, *arguments, count=1, backend='network', name='daemon',
                 path=None, port=None, wrapper=(), **options):
        self.path = path or case.dir / f'{name}.sock'
        self.port = port or case.ports(count)
        self.sockets = [f'{self.path}{i}' for i in range(count)]
        self.listens = set(self.sockets)
        if backend == 'network':
            self.listens |= set(range(self.port, self.port + count))
            arguments = (f'--tcp-port={self.port}', *arguments)
        super().__init__(case, name, [
            *wrapper, DAEMON, f'--socket-path={self.path}', f'--socket-count={count}',
            f'--backend={backend}', *arguments], **options)
        case.daemons.append(self)
        self.wait_listening()

    def wait_listening(self):
        def ready():
            check(self.running(), f'{self.name} ended at its start: '
                                  f'{self.log.read_text(errors="replace")}')
            return self.listens <= listening(self.pid)
        wait(f'{self.name} listens on {self.listens}', ready)

    def resources(self):
        """What must come back to what it was: open files, shared mappings."""
        files = len(os.listdir(f'/proc/{self.pid}/fd'))
        maps = pathlib.Path(f'/proc/{self.pid}/maps').read_text().splitlines()
        return files, sum(line.split()[1].endswith('s') for line in maps)

    def wait_resources(self, wanted, what):
        try:
            wait(what, lambda: self.resources() == wanted, self.resources)
        except Failure:
            links = [os.readlink(f'/proc/{self.pid}/fd/{fd}')
                     for fd in os.listdir(f'/proc/{self.pid}/fd')]
            raise Failure(f'{what}: (open files, shared mappings) are {self.resources()}, '
                          f'wanted {wanted}; open: {sorted(links)}') from None

    def stop(self, number=signal.SIGTERM):
        """Ends it as a service manager would: with 0, sockets gone."""
        self.signal(number)
        self.check_end(f'after {signal.Signals(number).name}')

    def check_end(self, what):
        check_equal(self.wait(what), 0, f'{self.name}\'s exit status {what}')
        for path in self.sockets:
            check(not os.path.lexists(path), f'{path} still there {what}')


class Guest(Process):
    """QEMU with a Linux guest whose hvc0 is the daemon's."""

    _number = itertools.count()

    def __init__(self, case, daemon, index=0, kernel='current', append='console=ttyS0 console=hvc0 quiet',
                 initrd=None, memory=256, vqs=4, memory_options='', device=None, more=()):
        if not (GUESTS / kernel / 'vmlinuz').exists() or not QEMU.exists():
            raise Skip(f'no guest in {GUESTS}: run scripts/guest test')
        name = f'qemu{next(self._number)}'
        self.serial = case.dir / f'{name}.serial'
        case.logs.append(self.serial)
        super().__init__(case, name, [
            QEMU, '-no-user-config', '-nodefaults', '-display', 'none', '-monitor', 'none',
            '-machine', 'q35,accel=tcg,memory-backend=mem0', '-m', f'{memory}M{memory_options}',
            '-object', f'memory-backend-memfd,id=mem0,size={memory}M,share=on',
            '-chardev', f'socket,id=con0,path={daemon.sockets[index]}', *more,
            '-device', device or DEVICE.format(vqs),
            '-serial', f'file:{self.serial}',
            '-kernel', GUESTS / kernel / 'vmlinuz',
            '-initrd', initrd or GUESTS / kernel / 'initramfs.img',
            # Without it a kernel may take a busy machine's late timer for none at all.
            '-append', f'{append} no_timer_check'])


class Stream:
    """A guest's console as a client sees it: all that came (`data`), and how far
    the test has read in it (`cursor`). A thread of its own reads at full speed."""

    def __init__(self, case, name):
        self.name = name
        self.data = bytearray()
        self.cursor = 0
        self.ended = False
        self.changed = threading.Condition()
        self.commands = itertools.count(1)
        self.reader = None
        self.stop_reader, self.stopped = os.pipe()
        case.streams.append(self)

    # What the kinds of stream do each in their own way.
    def send(self, data):
        raise NotImplementedError

    def fileno(self):
        """What is read from."""
        raise NotImplementedError

    def start_reading(self):
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def stop_reading(self):
        """Afterwards what is read from can be closed: under a read it would live on."""
        os.write(self.stopped, b'x')
        if self.reader:
            self.reader.join()

    def _read(self):
        fd = self.fileno()
        while True:
            data = b''
            with contextlib.suppress(OSError):
                if self.stop_reader not in select.select([fd, self.stop_reader], [], [])[0]:
                    data = os.read(fd, 1 << 18)
            with self.changed:
                self.data += data
                self.ended = not data
                self.changed.notify_all()
                if self.ended:
                    return

    def _await(self, what, condition, progress=lambda: None):
        """Waits for the condition's first true value as long as something comes, or
        there is progress elsewhere."""
        silence = Silence(f'{self.name}: {what}')
        with self.changed:
            while True:
                value = condition()
                if value:
                    return value
                if self.ended or silence.too_long((len(self.data), progress())):
                    why = 'ended' if self.ended else f'{patience():.0f} s of silence'
                    raise Failure(f'{self.name}: {why} without {what}; {len(self.data)} bytes, '
                                  f'last: {bytes(self.data[-300:])!r}')
                self.changed.wait(1)

    def expect(self, pattern, progress=lambda: None):
        """Waits for the pattern after the cursor; moves the cursor behind it."""
        regex = re.compile(pattern, re.DOTALL)
        start = self.cursor

        def found():
            nonlocal start
            match = regex.search(self.data, start)
            # No pattern of ours is longer than this; don't search again and
            # again in what is long since read.
            start = max(self.cursor, len(self.data) - 4096)
            if not match:
                return None
            self.cursor = match.end()
            # A match holds on to the bytearray, which then can't grow.
            return [match.group(i) for i in range(regex.groups + 1)]
        return self._await(repr(pattern), found, progress)

    def wait_data(self, size):
        """Waits until that many bytes have come in all."""
        self._await(f'{size} bytes', lambda: len(self.data) >= size)

    def wait_end(self):
        self._await('an end', lambda: self.ended)

    # The guest's shell.
    def login(self):
        """From power-on or a running getty to a shell's prompt."""
        self.expect(rb'guest login: ')
        self.send(b'root\r')
        self.expect(PROMPT)
        # The kernel's own messages would stand in the middle of a command's output.
        check_equal(self.run('dmesg -n 1'), b'', 'output of dmesg -n 1')

    def run(self, command, status=0, progress=lambda: None):
        """Runs the command in the guest's shell; returns its output as the
        terminal shows it. The shell prints the status, so that neither mark
        matches the echo of what is typed."""
        number = next(self.commands)
        self.send(f'echo B{number}=$?;{command};echo E{number}=$?\r'.encode())
        self.expect(rb'\bB%d=\d+\r\n' % number)
        start = self.cursor
        mark, got = self.expect(rb'\bE%d=(\d+)\r\n' % number, progress)
        output = bytes(self.data[start:self.cursor - len(mark)])
        self.expect(PROMPT)
        check_equal(int(got), status, f'exit status of {command!r} in the guest '
                                      f'(output {short(output)})')
        return output


class Client(Stream):
    """A TCP client of one guest's console."""

    _number = itertools.count()

    def __init__(self, case, daemon, index=0, reading=True, buffer=None):
        super().__init__(case, f'client{next(self._number)}')
        self.socket = socket.socket()
        case.cleanup.callback(self.close)
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.limit_sends()
        self.socket.connect(('127.0.0.1', daemon.port + index))
        if reading:
            self.start_reading()

    def limit_sends(self):
        """A send that the daemon holds back for ever must fail, not hang."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO,
                               struct.pack('ll', int(patience()), 0))

    def send(self, data):
        self.socket.sendall(data)

    def fileno(self):
        return self.socket.fileno()

    def close(self):
        self.stop_reading()
        self.socket.close()

    def reset(self):
        """Goes with RST, which the other side sees at once (unlike `close`, which
        it can't tell from a client that has only ended its input)."""
        self.stop_reading()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.socket.close()


class Pipe(Stream):
    """A console by a pair of pipes: write end (or None) and read end."""

    def __init__(self, case, name, write, read):
        super().__init__(case, name)
        self.write, self.read = write, read
        self.start_reading()

    def send(self, data):
        self.write.write(data)
        self.write.flush()

    def fileno(self):
        return self.read.fileno()

    def close(self):
        """Closes the read end: who writes to it gets EPIPE."""
        self.stop_reading()
        self.read.close()


class Tmux:
    """A terminal with a person at it: a private tmux with one shell."""

    def __init__(self, case):
        if not shutil.which('tmux'):
            raise Skip('no tmux')
        self.socket = case.dir / 'tmux'
        self.parked = 0
        environment = dict(os.environ, LC_ALL='C.UTF-8', TERM='xterm', SHELL='/bin/sh', PS1='$ ')
        environment.pop('TMUX', None)
        self.environment = environment
        # -D: not a daemon, so it is our child and dies with us.
        server = Process(case, 'tmux', ['tmux', '-S', self.socket, '-f', '/dev/null', '-D'],
                         env=environment)
        wait('tmux listens', lambda: str(self.socket) in listening(server.pid))
        self.command('new-session', '-d', '-x', '120', '-y', '50', '-c', str(case.dir), 'exec sh')
        self.tty = self.command('display-message', '-p', '#{pane_tty}').strip()
        case.screens.append(self)
        self.expect(r'^\$ ')

    def command(self, *arguments):
        return run_program(['tmux', '-S', self.socket, *arguments], env=self.environment,
                           check=True, stdout=subprocess.PIPE, text=True).stdout

    def type(self, text, *keys):
        """Types the text as it is, then keys by tmux's names (`C-c`, `Enter`)."""
        if text:
            self.command('send-keys', '-l', '--', text)
        if keys:
            self.command('send-keys', *keys)

    def screen(self):
        """All that the terminal showed and shows, without lines' trailing blanks."""
        return self.command('capture-pane', '-p', '-J', '-S', '-')

    def expect(self, pattern, count=1):
        """Waits until the screen has the pattern that many times in all."""
        regex = re.compile(pattern, re.MULTILINE)
        shown = ''

        def found():
            nonlocal shown
            shown = self.screen()
            return len(regex.findall(shown)) >= count
        wait(f'{count} × {pattern!r} on the screen', found, lambda: shown)

    def settings(self):
        """The terminal's settings, as `stty -g` prints them."""
        return run_program(['stty', '-F', self.tty, '-g'], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.strip()

    # The guest's shell asks the terminal for its cursor's place whenever it has
    # shown a prompt. The terminal answers when it has read that, so anything the
    # shell shows after its prompt, seen on the screen, means that the answer was
    # typed before all that is typed from then on.
    def park(self):
        """From the guest's prompt into a cat, which asks the terminal nothing, with
        all earlier answers read: what is typed next comes as it is."""
        self.parked += 1
        self.type(f'echo park $(({self.parked} + 500)); cat', 'Enter')
        self.expect(rf'^park {self.parked + 500}$')
        self.type(f'parked {self.parked}', 'Enter')
        self.expect(rf'parked {self.parked}$', count=2)

    def sleep(self):
        """At the guest's prompt: a program that ^C ends, once it would. The shell's
        echo of a command comes before the command has the terminal, and a ^C in
        between ends nothing."""
        self.parked += 1
        self.type(f"sh -c 'echo sleep $(({self.parked} + 500)); sleep 100000'", 'Enter')
        self.expect(rf'^sleep {self.parked + 500}$')

    def unpark(self):
        """Back to the guest's prompt."""
        self.type('', 'C-c')
        self.expect(rf'parked {self.parked}\n(.*\n)*?.*\^C\n?(.*\n)*?guest# ')

    def guest_takes(self, count, number):
        """At the guest's prompt: shows the next `count` bytes as `od -An -tx1` does."""
        self.type(f'echo ask $(({number} + 1)); read x; stty raw -echo; echo raw $(({number} + 2)); '
                  f'head -c {count} | od -An -tx1; stty sane', 'Enter')
        self.expect(rf'^ask {number + 1}$')
        # With the answer in the line that is thrown away.
        self.type('', 'Enter')
        self.expect(rf'^\s*raw {number + 2}$')


class Case:
    """One test's belongings."""

    # Ports are dealt out in blocks. Each block is held as an abstract Unix
    # socket, which the kernel gives back whatever becomes of us.
    _BLOCK = 128

    def __init__(self, name):
        self.name = name
        self.cleanup = contextlib.ExitStack()
        self.logs, self.streams, self.screens, self.daemons = [], [], [], []
        # Short, since a Unix socket's path has 107 bytes at most.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='vuc-'))
        if os.environ.get('E2E_KEEP') != '1':
            self.cleanup.callback(shutil.rmtree, self.dir, ignore_errors=True)

    def ports(self, count):
        """The first of that many free ports of 127.0.0.1 in a row."""
        check(count <= self._BLOCK, 'too many ports')
        for base in range(20000, 32000, self._BLOCK):
            holder = socket.socket(socket.AF_UNIX)
            try:
                holder.bind(f'\0vhost-user-console-e2e-{base}')
                for port in range(base, base + count):
                    with socket.socket() as probe:
                        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        probe.bind(('127.0.0.1', port))
            except OSError:
                holder.close()
                continue
            self.cleanup.callback(holder.close)
            return base
        raise Failure('no free ports')

    def daemon(self, *arguments, **options):
        return Daemon(self, *arguments, **options)

    def guest(self, daemon, **options):
        return Guest(self, daemon, **options)

    def client(self, daemon, **options):
        return Client(self, daemon, **options)

    def tmux(self):
        return Tmux(self)

    def background(self, action):
        """Runs it in a thread of its own; what it meets when all ends is nobody's."""
        def quietly():
            with contextlib.suppress(OSError):
                action()
        threading.Thread(target=quietly, daemon=True).start()

    def finish(self):
        """The end of a test that passed: every daemon still there ends well, and
        none has told of a mistake of its own."""
        for daemon in self.daemons:
            if daemon.running():
                daemon.stop()
            log = daemon.log.read_text(errors='replace')
            for word in ('Sanitizer', 'runtime error', 'ssertion'):
                check(word not in log, f'{daemon.name} says: {log}')

    def report(self):
        """What there is to see after a failure."""
        for log in self.logs:
            print(f'---- {log.name}', file=sys.stderr)
            with contextlib.suppress(OSError):
                print(log.read_bytes()[-4000:].decode(errors='replace'), file=sys.stderr)
        for stream in self.streams:
            print(f'---- {stream.name}: {len(stream.data)} bytes, read to {stream.cursor}, '
                  f'ended: {stream.ended}; its end:\n{bytes(stream.data[-1500:])!r}',
                  file=sys.stderr)
        for screen in self.screens:
            print('---- terminal', file=sys.stderr)
            with contextlib.suppress(Exception):
                print(screen.screen(), file=sys.stderr)


def run(test):
    """Runs the test and exits."""
    name = pathlib.Path(sys.argv[0]).stem
    seconds = int(TEST_SECONDS * min(slowness(), 4))

    def too_long(_signal, _frame):
        raise Failure(f'not finished within {seconds} s')
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    # ctest and ^C end a test so: let it clean up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    case = Case(name)
    status = 1
    try:
        try:
            if not os.access(DAEMON, os.X_OK):
                raise Failure(f'no daemon at {DAEMON}')
            test(case)
            case.finish()
            status = 0
            print('longest silence: %.1f s (%s)' % Silence.longest)
        except Skip as skip:
            print(f'SKIP: {name}: {skip}')
            status = 77
        except BaseException as problem:
            if isinstance(problem, Failure):
                traceback.print_tb(problem.__traceback__, file=sys.stderr)
                print(f'FAILED: {name}: {problem}', file=sys.stderr)
            else:
                traceback.print_exc()
            case.report()
    finally:
        signal.alarm(0)
        case.cleanup.close()
    # Reading threads may still hang in a read; there is nothing to wait for.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
