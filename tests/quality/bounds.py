# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""
docs/hostile-peers.md says what the sources do: each number of its table of bounds is that of the
constant, and each function that a rule names, and each test, exists.

With --self-test it makes sure that it would notice.
"""

import os
import re
import sys

import sources

PAGE = "docs/hostile-peers.md"

# The beginning of a row of the table, and what its second column has to say: the constant, where it
# is, and how its number is written there.
BOUNDS = [
    ("descriptors of a message", "FD_BAG_MAX", "src/base/fd.h", "count"),
    ("payload of a message", "WIRE_PAYLOAD_MAX", "src/protocol/wire.h", "bytes"),
    ("memory regions of a guest", "GMEM_REGIONS_MAX", "src/virtqueue/gmem.h", "count"),
    ("vrings of a guest", "CONSOLE_PORTS_MAX", "src/console/console.h", "count"),
    ("entries of a vring", "VIRTQ_SIZE_MAX", "src/virtqueue/virtq.h", "count"),
    ("bytes and descriptors of a port a turn", "PORT_BUDGET_BYTES", "src/console/port.h", "size"),
    ("bytes and descriptors of a port a turn", "PORT_BUDGET_DESCS", "src/console/port.h", "count"),
    ("borders between memory regions", "VIRTQ_BORDERS_MAX", "src/virtqueue/virtq.h", "count"),
    ("descriptors of a control queue", "CONSOLE_BUDGET_DESCS", "src/console/console.h", "count"),
    ("output that waits in a client's socket", "NETWORK_SEND_BUFFER", "src/backends/network.h",
     "size"),
    ("output that is sent at once", "LOOP_SEND_BYTES", "src/loop/loop.h", "size"),
    ("output that is sent at once", "LOOP_SEND_OVERHEAD", "src/loop/loop.h", "size"),
    ("input that waits", "GUEST_PORT_INPUT_BYTES", "src/guest_port.h", "size"),
    ("a chain that a data port has begun", "GUEST_PORT_SPILL_BYTES", "src/guest_port.h", "size"),
    ("clients of a port", "SERVER_CLIENTS_MAX", "src/backends/server.h", "count"),
    ("clients that are told to go", "LEAVING_MAX", "src/backends/client.c", "count"),
    ("clients that are told to go", "LEAVE_MS", "src/backends/client.c", "seconds"),
    ("telnet answers", "ANSWER_BYTES", "src/backends/telnet_codec.c", "size"),
    ("clients of the control socket", "CONTROL_CLIENTS_MAX", "src/control/control.h", "count"),
    ("a line of the control socket", "CONTROL_REQUEST_LINE_MAX", "src/control/request.h", "bytes"),
    ("log lines", "LOG_LIMIT_BURST", "src/base/log.h", "count"),
    ("log lines", "LINE_BYTES", "src/base/log.c", "bytes"),
    ("descriptors of a frontend that are being closed", "CHANNEL_FDS_MAX",
     "src/protocol/channel.h", "count"),
    ("entries of the submission queue", "ENTRIES_BASE", "src/daemon.c", "count"),
    ("entries of the submission queue", "ENTRIES_PER_GUEST", "src/daemon.c", "count"),
]


def constant(text, name):
    """The number that the text defines the name as, or None."""
    found = re.search(rf"^#define {name}\s+(.*?)(?:/\*.*)?$", text, re.MULTILINE)
    expression = found and re.sub(r"(\d)u(?:ll)?\b", r"\1", found[1]).strip()
    if not expression or not re.fullmatch(r"[\d\s*+()]+", expression):
        return None
    return eval(expression)  # digits and signs only


def written(number, how):
    """As the page writes it."""
    if how == "seconds":
        return f"{number // 1000} s"
    if how == "bytes":
        return f"{number:,} bytes"
    if how == "count":
        return f"{number:,}"
    return f"{number >> 20} MiB" if number % (1 << 20) == 0 else f"{number >> 10} KiB"


def rows(page):
    """(first column, second column) of the table of bounds."""
    table = page[page.index("| of | most |"):].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")][:2]
            for line in table.splitlines()[2:]]


def bound_problems(page, read):
    found = rows(page)
    for begin, name, path, how in BOUNDS:
        number = constant(read(path), name)
        most = [cell for of, cell in found if of.startswith(begin)]
        if number is None:
            yield f"{path}: {name} isn't a number that this test understands"
        elif len(most) != 1:
            yield f"{PAGE}: {len(most)} rows begin with \"{begin}\""
        elif not re.search(rf"(?<![\d,]){re.escape(written(number, how))}(?![\d,]*\d)", most[0]):
            yield f"{PAGE}: \"{begin}\" is {most[0]}, and {name} {written(number, how)}"


def function_problems(page, texts):
    """A rule's `name()` has to be a function of ours, used in file.c if that follows. Elsewhere
    the page speaks of the system's calls, too."""
    rules = "\n".join(re.findall(r"^\| R\d+ .*$", page, re.MULTILINE))
    for name, _, file in re.findall(r"`(\w+)\(\)`( in (\w+\.c))?", rules):
        if not any(re.search(rf"^\w[^;=]*\b{name}\(", text, re.MULTILINE)
                   for text in texts.values()):
            yield f"{PAGE}: there is no function {name}()"
        elif file and not any(re.search(rf"\b{name}\(", text) for path, text in texts.items()
                              if os.path.basename(path) == file):
            yield f"{PAGE}: {name}() isn't used in {file}"


def test_problems(page, texts):
    """`room.name` is a test program's name, and what follows it in `a: b` one of its tests."""
    names = {"unit": "tests/unit", "conformance": "tests/conformance"}
    for room, name, _, test in re.findall(
            r"`(unit|conformance)\.(\w+)`(?:( and `[a-z.]+\w+`)?: `(\w+)`)?", page):
        path = f"{names[room]}/{name}.c"
        if path not in texts:
            yield f"{PAGE}: there is no test {room}.{name}"
        elif test and not re.search(rf"\b{test}\b", texts[path]):
            yield f"{PAGE}: {room}.{name} has no test {test}"


def problems(page, read, texts):
    yield from bound_problems(page, read)
    yield from function_problems(page, {p: t for p, t in texts.items() if p.startswith("src/")})
    yield from test_problems(page, texts)


def self_test(page, read, texts):
    """Wrong in one place, it is noticed: a number, a function, its file, a test."""
    wrong = [
        page.replace("| 128 KiB for each port |", "| 64 KiB for each port |"),
        page.replace("`session_reset()`", "`session_resets()`"),
        page.replace("`read_desc()`, `virtq_peek()`", "`read_desc()` in port.c"),
        page.replace("`conformance.framing`", "`conformance.frames`", 1),
        page.replace("`a_flood_holds_nobody`", "`a_flood_holds_somebody`"),
    ]
    for text in wrong:
        if text == page:
            yield "the self-test changes what isn't in the page any more"
        elif not list(problems(text, read, texts)):
            yield "something wrong in the page isn't noticed"


def main():
    texts = {path: sources.read(path)
             for path in sources.files(["src", "tests"], (".c", ".h"))}
    page = sources.read(PAGE)
    check = self_test if "--self-test" in sys.argv else problems
    sources.end(list(check(page, sources.read, texts)), f"{PAGE} says what the sources do")


main()
