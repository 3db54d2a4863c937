# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""
Reads the #includes of src/ and fails on an arrow that the design doesn't have (section 2):

  main -> daemon -> guest -> {channel, console, backends, loop}; channel -> session, loop;
  daemon -> control -> loop;
  session -> request, virtqueue; console -> virtqueue, backend.h; backends -> loop, backend.h;
  virtq -> gmem; everything -> base. No arrow goes up.

Pure rooms see neither the loop nor a socket, and only the loop sees io_uring. A file that no room
names is an error too: whoever adds one says where it belongs.
"""

import os
import re
import sys

import sources

# Each file's room is the first of these that begins its path (without .c or .h).
ROOMS = [
    ("base/", "base"),
    ("loop/", "loop"),
    ("protocol/wire", "wire"),
    ("protocol/frame", "request"),
    ("protocol/request", "request"),
    ("protocol/session", "session"),
    ("protocol/session_impl", "session"),
    ("protocol/session_memory", "session"),
    ("protocol/session_vrings", "session"),
    ("protocol/channel", "channel"),
    ("virtqueue/dirty_log", "gmem"),
    ("virtqueue/gmem", "gmem"),
    ("virtqueue/virtq", "virtq"),
    ("console/", "console"),
    ("backends/backend", "backend.h"),
    ("backends/escape_key", "terminal text"),
    ("backends/replay", "terminal text"),
    ("backends/sequence", "terminal text"),
    ("backends/terminal_modes", "terminal text"),
    ("backends/", "backends"),
    ("control/listing", "control text"),
    ("control/request", "control text"),
    ("control/", "control"),
    ("config", "config"),
    ("overlaps", "config"),
    ("port_spec", "config"),
    ("settings", "config"),
    ("values", "config"),
    ("options", "options"),
    ("guest_port", "guest_port"),
    ("guest_device", "guest"),
    ("guest_hints", "guest"),
    ("guest_input", "guest"),
    ("guest_slots", "guest"),
    ("guest_state", "guest"),
    ("guest", "guest"),
    ("process/", "process"),
    ("daemon_control", "daemon"),
    ("daemon_fds", "daemon"),
    ("daemon", "daemon"),
    ("main", "main"),
]

# What each room may include besides itself; arrows are followed by their includes, too.
MAY = {
    "base": set(),
    "loop": {"base"},
    "wire": {"base"},
    "gmem": {"base"},
    "virtq": {"base", "gmem"},
    "request": {"base", "wire", "gmem", "virtq"},
    "session": {"base", "wire", "request", "gmem", "virtq"},
    "channel": {"base", "wire", "request", "session", "loop"},
    "backend.h": {"base"},
    "console": {"base", "gmem", "virtq", "backend.h"},
    "terminal text": {"base"},
    "backends": {"base", "loop", "backend.h", "terminal text"},
    "control text": {"base"},
    "control": {"base", "loop", "control text"},
    "config": {"base", "backends"},
    "options": {"base", "config", "backends"},
    "guest_port": {"base", "config", "loop", "backend.h", "backends"},
    "guest": {"base", "config", "loop", "wire", "request", "session", "channel", "console",
              "gmem", "virtq", "backend.h", "backends", "guest_port"},
    "process": {"base"},
    "daemon": {"base", "config", "control", "control text", "guest", "guest_port", "loop",
               "backends", "process"},
    "main": {"base", "config", "daemon", "options", "process"},
}

PURE = {"wire", "gmem", "virtq", "request", "session", "console", "backend.h", "control text",
        "terminal text"}
LOOP_ONLY = re.compile(r"^(liburing(/.*)?\.h|linux/io_uring\.h|sys/epoll\.h)$")
# Libraries that one file knows.
ONE_FILE = {"libtelnet.h": "backends/telnet_codec.c"}
# SIGBUS is how the kernel tells of a frontend's file that has become shorter.
ALLOWED = {("virtqueue/gmem.c", "signal.h")}
# Sockets, and whatever waits.
NOT_PURE = re.compile(
    r"^(sys/(socket|un|epoll|eventfd|signalfd|timerfd|select|poll|ioctl)\.h|poll\.h|netdb\.h|"
    r"netinet/.*|arpa/.*|termios\.h|pty\.h|signal\.h|pthread\.h|linux/time_types\.h)$")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def room_of(path):
    stem = os.path.splitext(path)[0]
    for begin, room in ROOMS:
        if stem == begin or (begin.endswith("/") and stem.startswith(begin)):
            return room
    return None


def judge_own(path, room, target, known):
    other = room_of(target)
    if target not in known:
        return f'{path}: "{target}" isn\'t a path from src/'
    if other is None:
        return None  # told of where it is judged itself
    if other != room and other not in MAY[room]:
        return f"{path}: {room} must not include {target} ({other})"
    return None


def judge_system(path, room, target):
    if LOOP_ONLY.match(target) and room != "loop":
        return f"{path}: only the loop may include <{target}>"
    if ONE_FILE.get(target, path) != path:
        return f"{path}: only {ONE_FILE[target]} may include <{target}>"
    if NOT_PURE.match(target) and room in PURE and (path, target) not in ALLOWED:
        return f"{path}: {room} must not see a socket or wait: <{target}>"
    return None


def judge(tree):
    """The problems of {path from src/: text}."""
    problems = []
    for path, text in sorted(tree.items()):
        room = room_of(path)
        if room is None:
            problems.append(f"{path}: belongs to no room that layers.py knows")
            continue
        for kind, target in INCLUDE.findall(text):
            if kind == '"':
                problem = judge_own(path, room, target, tree)
            else:
                problem = judge_system(path, room, target)
            if problem:
                problems.append(problem)
    return problems


def self_test():
    """Each row has to give so many problems."""
    header = {"base/a.h": "", "loop/loop.h": "", "console/port.h": "", "backends/backend.h": "",
              "protocol/session.h": "", "backends/client.h": "", "guest.h": "",
              "control/request.h": "", "control/control.h": "", "virtqueue/gmem.h": "",
              "virtqueue/virtq.h": "", "protocol/request.h": ""}
    rows = [
        ("console/port.c", '#include "backends/backend.h"', 0),
        ("console/port.c", '#include "backends/client.h"', 1),
        ("console/port.c", '#include "loop/loop.h"', 1),
        ("console/port.c", '  #  include "loop/loop.h"', 1),
        ("console/port.c", "#include <sys/socket.h>", 1),
        ("console/port.c", "#include <liburing.h>", 1),
        ("base/b.c", '#include "loop/loop.h"', 1),
        ("base/b.c", "#include <sys/socket.h>", 0),
        ("virtqueue/gmem.c", '#include "virtqueue/virtq.h"', 1),
        ("virtqueue/virtq.c", '#include "virtqueue/gmem.h"', 0),
        ("protocol/request.c", '#include "protocol/session.h"', 1),
        ("protocol/session.c", '#include "protocol/request.h"', 0),
        ("protocol/session.c", "#include <poll.h>", 1),
        ("protocol/channel.c", '#include "console/port.h"', 1),
        ("backends/client.c", '#include "guest.h"', 1),
        ("backends/client.c", '#include "loop/loop.h"', 0),
        ("backends/client.c", "#include <liburing/io_uring.h>", 1),
        ("loop/loop.c", "#include <liburing.h>", 0),
        ("loop/loop.c", '#include "backends/backend.h"', 1),
        ("backends/client.c", "#include <libtelnet.h>", 1),
        ("backends/telnet_codec.c", "#include <libtelnet.h>", 0),
        ("virtqueue/gmem.c", "#include <signal.h>", 0),
        ("virtqueue/virtq.c", "#include <signal.h>", 1),
        ("control/control.c", '#include "control/request.h"', 0),
        ("control/control.c", '#include "guest.h"', 1),
        ("control/control.c", '#include "backends/client.h"', 1),
        ("control/request.c", '#include "loop/loop.h"', 1),
        ("control/request.c", "#include <sys/socket.h>", 1),
        ("daemon.c", '#include "control/control.h"', 0),
        ("guest.c", '#include "control/control.h"', 1),
        ("guest.c", '#include "../base/a.h"', 1),
        ("new_room/x.c", "", 1),
        ("guesthouse.c", "", 1),
    ]
    wrong = []
    for path, text, expected in rows:
        found = judge({**header, path: text})
        if len(found) != expected:
            wrong.append(f"{path} with {text!r}: {found}, expected {expected} problems")
    sources.end(wrong, f"{len(rows)} rows as they should be")


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    paths = sources.files(["src"], (".c", ".h"))
    tree = {os.path.relpath(path, "src"): sources.read(path) for path in paths}
    if not tree:
        sys.exit("no files in src/")
    sources.end(judge(tree), f"{len(tree)} files, no wrong arrow")


main()
