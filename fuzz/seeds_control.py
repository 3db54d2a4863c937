# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Control messages of a console with several ports (virtio 1.3, 5.3.6.2): a driver's usual ones, and
those of a driver that means no good. For backends that offer MULTIPORT."""

from seeds_base import GPA, NEXT, OFFSET, WRITE, Conversation, ring_at, u

MULTIPORT = 2
RX, TX = 2, 3  # the control messages' vrings
READY, ADD, REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, OPEN, NAME = range(8)
NO_PORT = 0xffffffff
MESSAGES = 0x60000  # where they are, from the region's start


def console(about, vrings=(RX, TX), **how):
    conversation = Conversation(about).need('needs vrings 4')
    return conversation.console(MULTIPORT, vrings=vrings, **how)


def post(conversation, count=8, length=128, vring=RX):
    """Buffers for the device's messages."""
    for i in range(count):
        conversation.desc(vring, i, conversation.buffer(vring, i), length, WRITE)
    return conversation.offer(vring, *range(count))


def say(conversation, *messages):
    """Each (port, event, value) in a buffer of its own."""
    for i, (port, event, value) in enumerate(messages):
        at = MESSAGES + 16 * i
        conversation.ram(at, f'u32={port:#x} u16={event} u16={value}')
        conversation.desc(TX, i, GPA + at, 8)
    return conversation.offer(TX, *range(len(messages)))


def taken(conversation, count):
    return conversation.used(TX, count).survival()


def usual():
    greet = say(post(console('A driver that asks for the ports.')), (NO_PORT, READY, 1))
    yield 'ready', taken(greet.add('expect call call2'), 1)
    known = post(console('A driver that takes port 0 and opens it.'))
    known = say(known, (NO_PORT, READY, 1), (0, PORT_READY, 1), (0, OPEN, 1))
    yield 'port-0', taken(known, 3)
    all_ports = post(console('A driver that takes all that it may be told of.',
                             vrings=(0, 1, RX, TX)))
    all_ports = say(all_ports, (NO_PORT, READY, 1), *((i, PORT_READY, 1) for i in range(4)),
                    *((i, OPEN, 1) for i in range(4)))
    yield 'all-ports', taken(all_ports, 9)
    late = say(console('Messages before there are buffers for the answers.'),
               (NO_PORT, READY, 1), (0, PORT_READY, 1))
    yield 'buffers-late', taken(post(late).add('expect call call2'), 2)


def ports():
    """The virtqueues of a second port, at work."""
    second = console('A second port that is opened, written to and read from.', vrings=(2, 3, 4, 5))
    second.need('needs vrings 6')
    post(second)
    say(second, (NO_PORT, READY, 1), (0, PORT_READY, 1), (1, PORT_READY, 1), (1, OPEN, 1))
    post(second, 4, 256, vring=4)
    for i in range(4):
        second.desc(5, i, GPA + 0x20000, 100)
    second.offer(5, 0, 1, 2, 3)
    for what in range(12):  # on the people's side, in the fuzz target `session`
        second.add(f'pause {what}', 'kick kick5', 'kick kick4')
    yield 'second-port', taken(second, 4)
    before = console('A second port that the driver uses before it has said anything.',
                     vrings=(4, 5))
    before.need('needs vrings 6')
    yield 'second-port-unannounced', before.desc(5, 0, GPA + 0x20000, 100).offer(5, 0).survival()
    closing = console('A port that is opened and closed in turn.', vrings=(2, 3, 4, 5))
    closing.need('needs vrings 6')
    post(closing)
    say(closing, (NO_PORT, READY, 1), (1, PORT_READY, 1), *((1, OPEN, i % 2) for i in range(10)))
    yield 'open-and-close', taken(closing, 12)


def people():
    """What happens on the other side (a `pause`, in the fuzz target `session`) while a driver works."""
    busy = Conversation('Ports come and go, windows change, while the driver works.')
    busy.need('needs vrings 6').console(MULTIPORT | 1, vrings=(2, 3, 4, 5))
    post(busy)
    say(busy, (NO_PORT, READY, 1), *((i, PORT_READY, 1) for i in range(3)),
        *((i, OPEN, 1) for i in range(3)))
    busy.desc(5, 0, GPA + 0x20000, 0x800)
    for what in (26, 7, 11, 7, 11, 4, 5, 30, 3, 3, 7):  # 7: port 1 goes, or is back
        busy.add(f'pause {what}').offer(5, 0)
        post(busy)
    yield 'people', taken(busy, 7)
    large = console('A chain of a data port that is larger than its ring, and the ring stops.',
                    vrings=(2, 3, 4, 5))
    large.need('needs vrings 6')
    say(post(large), (NO_PORT, READY, 1), (1, PORT_READY, 1), (1, OPEN, 1))
    for i in range(12):
        large.desc(5, i, GPA + 0x20000, 0x1000, NEXT if i < 11 else 0, i + 1)
    large.offer(5, 0).add(f'send GET_VRING_BASE {u(5, 0)}', 'expect reply GET_VRING_BASE size=8')
    for _ in range(4):  # what is left goes to those who read, little by little
        large.add('kick kick4')
    yield 'data-port-stops-in-a-chain', taken(large, 3)


def unusual():
    for port in (1, 30, 31, 0x7fffffff, NO_PORT):
        odd = say(post(console(f'Messages about port {port:#x}.')), (NO_PORT, READY, 1),
                  (port, PORT_READY, 1), (port, OPEN, 1), (port, OPEN, 0), (port, PORT_READY, 0))
        yield f'port-{port:#x}', taken(odd, 5)
    for event in (ADD, REMOVE, CONSOLE_PORT, RESIZE, NAME, 8, 0xffff):
        odd = say(post(console(f'Event {event:#x}, which is no driver\'s to send.')),
                  (NO_PORT, READY, 1), (0, event, 1), (NO_PORT, event, 0xffff))
        yield f'event-{event:#x}', taken(odd, 3)
    for value in (0, 2, 0xffff):
        odd = say(post(console(f'Values of {value:#x}.')), (NO_PORT, READY, value),
                  (0, PORT_READY, value), (0, OPEN, value))
        yield f'value-{value:#x}', taken(odd, 3)
    again = say(post(console('Everything twice.')), *[(NO_PORT, READY, 1)] * 2,
                *[(0, PORT_READY, 1)] * 2, *[(0, OPEN, 1)] * 2)
    yield 'twice', taken(again, 6)
    many = console('More messages than are looked at in one go.', size=512)
    many.ram(MESSAGES, f'u32={NO_PORT:#x} u16=0 u16=1').desc(TX, 0, GPA + MESSAGES, 8)
    yield 'messages-400', taken(many.offer(TX, *[0] * 400), 400)


def shapes():
    pieces = post(console('A message byte by byte, over eight descriptors.'))
    pieces.ram(MESSAGES, f'u32={NO_PORT:#x} u16=0 u16=1')
    for i in range(8):
        pieces.desc(TX, i, GPA + MESSAGES + i, 1, NEXT if i < 7 else 0, i + 1)
    yield 'byte-by-byte', taken(pieces.offer(TX, 0).add('expect call call2'), 1)
    for length in (0, 1, 7):
        short = post(console(f'A message of {length} bytes.')).desc(TX, 0, GPA + MESSAGES, length)
        yield f'short-{length}', taken(short.offer(TX, 0), 1)
    long = post(console('A message with 4096 bytes behind it.'))
    long.ram(MESSAGES, f'u32={NO_PORT:#x} u16=0 u16=1').desc(TX, 0, GPA + MESSAGES, 4104)
    yield 'long', taken(long.offer(TX, 0), 1)
    for length in (0, 1, 7, 8):
        tiny = say(post(console(f'Buffers of {length} bytes for the answers.'), length=length),
                   (NO_PORT, READY, 1), (0, PORT_READY, 1))
        yield f'answers-into-{length}', taken(tiny, 2)
    split = console('An answer over descriptors of a byte.')
    for i in range(16):
        split.desc(RX, i, split.buffer(RX) + i, 1, WRITE | NEXT if i < 15 else WRITE, i + 1)
    yield 'answer-byte-by-byte', taken(say(split.offer(RX, 0), (NO_PORT, READY, 1)), 1)
    readable = console('A buffer for answers that mustn\'t be written to.')
    readable.desc(RX, 0, readable.buffer(RX), 64).offer(RX, 0)
    yield 'answers-into-readable', taken(say(readable, (NO_PORT, READY, 1)), 1)
    wrong = console('A broken ring for the answers.').desc(RX, 0, 0, 64, WRITE).offer(RX, 0)
    yield 'answers-into-nothing', say(wrong, (NO_PORT, READY, 1)).survival()
    loop = console('A message that loops.').desc(TX, 0, GPA, 0, NEXT, 0)
    yield 'loop', loop.offer(TX, 0).broken(TX)


def restarts():
    """The control transmitq stops, and goes on where it was or elsewhere."""
    for base, what in ((1, 'goes on'), (0, 'begins anew')):
        again = say(post(console(f'The control messages stop, and the driver {what}.')),
                    (NO_PORT, READY, 1)).used(TX, 1)
        again.add(f'send GET_VRING_BASE {u(TX, 0)}', 'expect reply GET_VRING_BASE size=8')
        if base == 0:
            again.ram(ring_at(TX)[1] + 2, 'u16=0').ram(ring_at(TX)[2] + 2, 'u16=0')
            again.avail[TX] = 0
        again.fine(f'SET_VRING_BASE {u(TX, base)}').fine(f'SET_VRING_KICK fds=kick3 u64={TX}')
        yield f'restart-at-{base}', taken(say(again, (0, PORT_READY, 1)), base + 1)
    changed = post(console('A message that changes after the kick.'))
    for _ in range(16):
        say(changed, (NO_PORT, READY, 1))
        changed.add(f'write ram {OFFSET + MESSAGES:#x} u32=0x1e u16=6 u16=0xffff')
    yield 'changed', changed.survival()


def without_multiport():
    plain = Conversation('Control messages of a driver that hasn\'t taken MULTIPORT.')
    plain.need('needs vrings 4').console(vrings=(RX, TX))
    yield 'not-negotiated', say(post(plain), (NO_PORT, READY, 1)).survival()


def seeds():
    for group in (usual, ports, people, unusual, shapes, restarts, without_multiport):
        yield from group()
