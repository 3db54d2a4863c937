# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What the seeds are written with: a conversation as it grows, with the messages that most of them
begin with. The sizes and addresses are the same everywhere, and no two of a byte's four addresses
(guest's, frontend's, in the file, ours) coincide."""

VERSION_1 = 1 << 32
PROTOCOL = 1 << 30
INDIRECT = 1 << 28
EVENT_IDX = 1 << 29

MQ, LOG_SHMFD, REPLY_ACK, BACKEND_REQ, CONFIG, RESET_DEVICE = 1, 2, 8, 0x20, 0x200, 0x2000
MEM_SLOTS, DEVICE_STATE = 0x8000, 0x80000
LOG_ALL = 1 << 26

NEXT, WRITE, INDIRECT_DESC = 1, 2, 4

GPA = 0x40000000
UVA = 0x7f1200000000
OFFSET = 0x3000
SIZE = 0x100000
FILE = 0x200000

RING = 16  # entries
BUFFER = 0x40000  # from the region's start; each vring has 64 KiB of it


def u(*values, width=32):
    return ' '.join(f'u{width}={value:#x}' for value in values)


def region(gpa=GPA, size=SIZE, uva=UVA, offset=OFFSET):
    return u(gpa, size, uva, offset, width=64)


def ring_at(vring, size=RING):
    """(descriptors, available, used) of a vring, from the region's start."""
    if size > 256:
        start, part = 0xa0000 + vring * 0x10000, 0x4000
    else:
        start, part = 0x1000 + vring * 0x4000, 0x1000
    return start, start + part, start + 2 * part


class Conversation:
    """Lines; `fine` and its like add a message with what is expected back."""

    def __init__(self, *about):
        self.about = about
        self.needs = []
        self.lines = []
        self.avail = {}
        self.base = {}
        self.size = {}

    def text(self):
        head = [f'# {line}' for line in self.about]
        return '\n'.join(head + ['conversation 1'] + self.needs + self.lines) + '\n'

    def need(self, what):
        if what not in self.needs:
            self.needs.append(what)
        return self

    def add(self, *lines):
        self.lines += lines
        return self

    def fine(self, message):
        return self.add(f'send {message.replace(" ", " need-reply ", 1)}' if ' ' in message
                        else f'send {message} need-reply', 'expect ack 0')

    def refused(self, message):
        first, _, rest = message.partition(' ')
        return self.add(f'send {first} need-reply {rest}'.rstrip(), 'expect refused')

    def survives(self, message):
        first, _, rest = message.partition(' ')
        return self.add(f'send {first} need-reply {rest}'.rstrip(), 'expect survival')

    # The beginning of a connection.
    def negotiate(self, protocol=0, owner=True):
        protocol |= REPLY_ACK
        self.need(f'needs protocol-features {protocol:#x}')
        self.add('send GET_FEATURES', 'expect reply GET_FEATURES size=8',
                        'send GET_PROTOCOL_FEATURES',
                        'expect reply GET_PROTOCOL_FEATURES size=8',
                        f'send SET_PROTOCOL_FEATURES u64={protocol:#x}')
        return self.fine('SET_OWNER') if owner else self

    def features(self, features=0):
        features |= VERSION_1
        self.need(f'needs features {features:#x}')
        return self.fine(f'SET_FEATURES u64={features | PROTOCOL:#x}')

    def memory(self):
        self.add(f'file ram memfd {FILE:#x}')
        return self.fine(f'SET_MEM_TABLE fds=ram {u(1, 0)} {region()}')

    def vring(self, vring, base=0, size=RING):
        self.avail[vring] = self.base[vring] = base
        self.size[vring] = size
        desc, avail, used = (UVA + part for part in self.ring_at(vring))
        self.add(f'file kick{vring} eventfd', f'file call{vring} eventfd',
                 f'file err{vring} eventfd')
        if base:
            self.ram(self.ring_at(vring)[2] + 2, f'u16={base:#x}')
            self.ram(self.ring_at(vring)[1] + 2, f'u16={base:#x}')
        self.fine(f'SET_VRING_NUM {u(vring, size)}')
        self.fine(f'SET_VRING_BASE {u(vring, base)}')
        self.fine(f'SET_VRING_ADDR {u(vring, 0)} {u(desc, used, avail, 0, width=64)}')
        self.fine(f'SET_VRING_CALL fds=call{vring} u64={vring}')
        self.fine(f'SET_VRING_ERR fds=err{vring} u64={vring}')
        self.fine(f'SET_VRING_KICK fds=kick{vring} u64={vring}')
        return self.fine(f'SET_VRING_ENABLE {u(vring, 1)}')

    def console(self, features=0, vrings=(1,), base=0, protocol=0, size=RING):
        """A console at work, with these vrings."""
        self.need('needs console')
        self.negotiate(protocol).features(features).memory()
        for vring in vrings:
            self.vring(vring, base, size)
        return self

    # Rings.
    def ring_at(self, vring):
        return ring_at(vring, self.size.get(vring, RING))

    def ram(self, at, pieces):
        return self.add(f'write ram {OFFSET + at:#x} {pieces}')

    def desc(self, vring, index, address, length, flags=0, following=0):
        return self.desc_at(self.ring_at(vring)[0] + 16 * index, address, length, flags, following)

    def desc_at(self, at, address, length, flags=0, following=0):
        return self.ram(at, f'u64={address:#x} u32={length:#x} u16={flags} u16={following}')

    def buffer(self, vring, number=0):
        return GPA + BUFFER + vring * 0x10000 + number * 0x1000

    def offer(self, vring, *heads):
        """Makes the heads available and kicks."""
        at = self.ring_at(vring)[1]
        for head in heads:
            self.ram(at + 4 + 2 * (self.avail[vring] % self.size[vring]), f'u16={head:#x}')
            self.avail[vring] = self.avail[vring] + 1 & 0xffff
        self.ram(at + 2, f'u16={self.avail[vring]:#x}')
        return self.add(f'kick kick{vring}')

    def used(self, vring, count):
        """Waits until so many chains have come back."""
        index = self.base[vring] + count & 0xffff
        return self.add(f'expect memory ram {OFFSET + self.ring_at(vring)[2] + 2:#x} u16={index:#x}')

    def broken(self, vring):
        return self.add(f'expect error err{vring}').survival()

    def survival(self):
        return self.add('expect survival')
