# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Every message of the vhost-user specification alone: as it should be, and with a wrong size,
version, flag and number of descriptors."""

from seeds_base import (BACKEND_REQ, CONFIG, MEM_SLOTS, MQ, Conversation, ring_at, region, u, UVA)

DESC, AVAIL, USED = (UVA + part for part in ring_at(0))

# Name: payload, descriptors' files, protocol features it belongs to, and what is expected of a
# right one: an acknowledgement of 0, a reply's size, or None where the specification leaves it
# open what a backend says to it alone.
KNOWN = {
    'GET_FEATURES': ('', [], 0, 8),
    'SET_FEATURES': ('u64=0x140000000', [], 0, 'ack'),
    'SET_OWNER': ('', [], 0, 'ack'),
    'RESET_OWNER': ('', [], 0, None),
    'SET_MEM_TABLE': (f'{u(1, 0)} {region()}', ['ram memfd 0x200000'], 0, 'ack'),
    'SET_VRING_NUM': (u(0, 64), [], 0, 'ack'),
    'SET_VRING_ADDR': (f'{u(0, 0)} {u(DESC, USED, AVAIL, 0, width=64)}', [], 0, None),
    'SET_VRING_BASE': (u(0, 0), [], 0, 'ack'),
    'GET_VRING_BASE': (u(0, 0), [], 0, 8),
    'SET_VRING_KICK': ('u64=0', ['kick eventfd'], 0, None),
    'SET_VRING_CALL': ('u64=0', ['call eventfd'], 0, 'ack'),
    'SET_VRING_ERR': ('u64=0', ['err eventfd'], 0, 'ack'),
    'GET_PROTOCOL_FEATURES': ('', [], 0, 8),
    'SET_PROTOCOL_FEATURES': ('u64=8', [], 0, 'ack'),
    'GET_QUEUE_NUM': ('', [], MQ, 8),
    'SET_VRING_ENABLE': (u(0, 1), [], 0, 'ack'),
    'SET_BACKEND_REQ_FD': ('', ['peer socket'], BACKEND_REQ, 'ack'),
    'GET_CONFIG': (f'{u(0, 4, 0)} zeros=4', [], CONFIG, 16),
    'SET_CONFIG': (f'{u(8, 4, 0)} zeros=4', [], CONFIG, 'ack'),
    'GET_MAX_MEM_SLOTS': ('', [], MEM_SLOTS, 8),
    'ADD_MEM_REG': (f'u64=0 {region()}', ['ram memfd 0x200000'], MEM_SLOTS, 'ack'),
    'REM_MEM_REG': (f'u64=0 {region()}', [], MEM_SLOTS, None),
}

# Those that a backend may not know: what it says to them is its own affair, it has to live on.
OTHERS = {
    'SET_LOG_BASE': ('u64=0x1000 u64=0', ['log memfd 0x1000']),
    'SET_LOG_FD': ('', ['log eventfd']),
    'SEND_RARP': ('u64=0x665544332211', []),
    'NET_SET_MTU': ('u64=1500', []),
    'IOTLB_MSG': ('u64=0 u64=0x1000 u64=0x2000 u8=3 u8=2 zeros=6', []),
    'SET_VRING_ENDIAN': (u(0, 0), []),
    'CREATE_CRYPTO_SESSION': ('zeros=656', []),
    'CLOSE_CRYPTO_SESSION': ('u64=0', []),
    'POSTCOPY_ADVISE': ('', []),
    'POSTCOPY_LISTEN': ('', []),
    'POSTCOPY_END': ('', []),
    'GET_INFLIGHT_FD': ('u64=0 u64=0 u16=2 u16=256 zeros=4', []),
    'SET_INFLIGHT_FD': ('u64=0x4000 u64=0 u16=2 u16=256 zeros=4', ['inflight memfd 0x4000']),
    'GPU_SET_SOCKET': ('', ['gpu socket']),
    'RESET_DEVICE': ('', []),
    'VRING_KICK': (u(0, 0), []),
    'SET_STATUS': ('u64=15', []),
    'GET_STATUS': ('', []),
    'GET_SHARED_OBJECT': ('zeros=16', []),
    'SET_DEVICE_STATE_FD': (u(0, 0), ['state pipe']),
    'CHECK_DEVICE_STATE': ('', []),
    'GET_SHMEM_CONFIG': ('', []),
}

VRING_STATES = ('SET_VRING_NUM', 'SET_VRING_BASE', 'GET_VRING_BASE', 'SET_VRING_ENABLE')
VRING_FDS = ('SET_VRING_KICK', 'SET_VRING_CALL', 'SET_VRING_ERR')


def payload_size(pieces):
    sizes = {'u8': 1, 'u16': 2, 'u32': 4, 'u64': 8}
    total = 0
    for piece in pieces.split():
        key, value = piece.split('=')
        total += int(value) if key == 'zeros' else sizes[key]
    return total


def shorter(pieces):
    """The payload without its last byte."""
    *before, last = pieces.split()
    key, value = last.split('=')
    if key == 'zeros':
        end = f'zeros={int(value) - 1}'
    else:
        size = payload_size(last)
        end = 'hex=' + int(value, 0).to_bytes(size, 'little')[:-1].hex()
    return ' '.join(before + [end])


class Message:
    def __init__(self, name, payload, files, protocol=0, answer=None, known=True):
        self.name, self.payload, self.files = name, payload, files
        self.protocol, self.answer, self.known = protocol, answer, known
        self.size = payload_size(payload)

    def begin(self, about):
        conversation = Conversation(f'{self.name}: {about}.')
        conversation.negotiate(self.protocol, owner=self.name != 'SET_OWNER')
        if self.name == 'SET_FEATURES':
            conversation.need('needs features 0x100000000')
        if self.name == 'SET_VRING_ENABLE':
            conversation.features()
        return conversation.add(*(f'file {file}' for file in self.files))

    def line(self, *words, payload=None, fds=None):
        names = [file.split()[0] for file in self.files] if fds is None else fds
        end = self.payload if payload is None else payload
        words = [self.name, *words] + ([f'fds={",".join(names)}'] if names else [])
        return ' '.join(words + ([end] if end else []))

    def wrong(self, about, *words, **how):
        """A message that has to be refused; an unknown one may be ignored."""
        conversation = self.begin(about)
        if self.known:
            return conversation.refused(self.line(*words, **how))
        return conversation.survives(self.line(*words, **how))

    def right(self):
        conversation = self.begin('as it should be')
        if self.name == 'SET_CONFIG':
            conversation.need('needs console')
        if self.answer == 'ack':
            return conversation.fine(self.line())
        if self.answer is None:
            return conversation.survives(self.line())
        return conversation.add(f'send {self.line()}',
                                f'expect reply {self.name} size={self.answer}',
                                'expect nothing')

    def bare(self):
        conversation = Conversation(f'{self.name}: the first message there is.')
        conversation.add(*(f'file {file}' for file in self.files))
        return conversation.add(f'send {self.line()}').survival()

    def cut(self, at):
        conversation = self.begin(f'{at} of its bytes, then the connection ends')
        return conversation.add(f'send {self.line(f"size={self.size + 8}")}', 'hangup')

    def too_many(self, count):
        conversation = self.begin(f'with {count} descriptors')
        conversation.add('file extra eventfd')
        names = [file.split()[0] for file in self.files]
        line = self.line(fds=names + ['extra'] * (count - len(names)))
        return conversation.refused(line) if self.known else conversation.survives(line)

    def other_kinds(self):
        for kind in ('eventfd', 'socket', 'pipe', 'closed', 'memfd 0x1000', 'memfd 0'):
            name = self.files[0].split()[0]
            if self.files[0] == f'{name} {kind}':
                continue
            conversation = Conversation(f'{self.name}: with a {kind} for its descriptor.')
            conversation.negotiate(self.protocol).add(f'file {name} {kind}')
            yield kind.replace(' ', '-'), conversation.survives(self.line())

    def everything(self):
        yield 'right', self.right()
        yield 'bare', self.bare()
        yield 'cut-short', self.cut(12 + self.size)
        yield 'size-one-more', self.wrong('one byte too long', payload=f'{self.payload} u8=0')
        if self.payload:
            yield 'size-one-less', self.wrong('one byte too short', payload=shorter(self.payload))
            yield 'size-0', self.wrong('without payload', payload='')
        if self.files:
            yield 'fds-none', self.wrong('without its descriptor', fds=[])
        yield 'fds-one-more', self.too_many(len(self.files) + 1)
        if not self.known:
            return
        yield 'fds-9', self.too_many(9)
        yield 'size-4g', self.wrong('a size of 4 GiB', 'size=0xffffffff', payload='')
        yield 'version-0', self.wrong('version 0', 'flags=0x8')
        yield 'version-2', self.wrong('version 2', 'flags=0xa')
        yield 'version-3', self.wrong('version 3', 'flags=0xb')
        if isinstance(self.answer, int):
            # An acknowledgement that says no would look like the answer.
            yield 'flag-reply', self.begin('with the flag of a reply').survives(
                self.line('flags=0xd'))
        else:
            yield 'flag-reply', self.wrong('with the flag of a reply', 'flags=0xd')
        yield 'flags-reserved', self.begin('with the reserved flags').survives(
            self.line('flags=0xfffffff9'))
        if self.files:
            for kind, conversation in self.other_kinds():
                yield f'fd-is-{kind}', conversation


def asks_for_both(name, message):
    """A question with NEED_REPLY is answered once."""
    conversation = message.begin('with NEED_REPLY, which its answer stands for')
    return conversation.add(f'send {message.line("need-reply")}',
                            f'expect reply {name} size={message.answer}', 'expect nothing')


def without_ack(message):
    conversation = message.begin('without NEED_REPLY: nothing comes')
    if message.name == 'SET_CONFIG':
        conversation.need('needs console')
    return conversation.add(f'send {message.line()}', 'expect nothing').survival()


def vrings(name):
    """Indices behind the last vring, at each width that a backend may cut them to."""
    for index in (0xff, 0x100, 0x10000, 0x80000000, 0xffffffff):
        conversation = Conversation(f'{name}: vring {index:#x}.').negotiate()
        if name == 'SET_VRING_ENABLE':
            conversation.features()
        if name in VRING_FDS and index >= 0x10000 and not index & 0x1ff:
            # Only the last nine bits mean something.
            conversation.add('file event eventfd').survives(f'{name} fds=event u64={index:#x}')
        elif name in VRING_FDS:
            conversation.add('file event eventfd').refused(f'{name} fds=event u64={index:#x}')
        elif name == 'SET_VRING_ADDR':
            conversation.refused(f'{name} {u(index, 0)} {u(DESC, USED, AVAIL, 0, width=64)}')
        else:
            conversation.refused(f'{name} {u(index, 1)}')
        yield f'vring-{index:#x}', conversation


def values():
    """(message's name, what is in it, conversation) for values out of range."""
    def one(name, what, pieces, words='', protocol=0, files=(), open_to=False):
        conversation = Conversation(f'{name}: {what}.').negotiate(protocol)
        if name == 'SET_VRING_ENABLE':
            conversation.features()
        conversation.add(*(f'file {file}' for file in files))
        line = f'{name} {words} {pieces}'.replace('  ', ' ')
        return name, conversation.survives(line) if open_to else conversation.refused(line)

    for num in (0, 3, 0x10000, 0xffffffff):
        yield f'num-{num:#x}', one('SET_VRING_NUM', f'{num:#x} entries', u(0, num))
    # What the specification doesn't forbid, and most backends take, has to be survived (open_to).
    yield 'base-0x10000', one('SET_VRING_BASE', 'an index of more than 16 bits', u(0, 0x10000),
                              open_to=True)
    yield 'enable-2', one('SET_VRING_ENABLE', 'neither on nor off', u(0, 2))
    for name in VRING_FDS:
        yield 'bit-9', one(name, 'a bit that means nothing', 'u64=0x200', 'fds=event',
                           files=['event eventfd'], open_to=True)
        yield 'nofd-with-fd', one(name, 'says there is no descriptor, and has one', 'u64=0x100',
                                  'fds=event', files=['event eventfd'])
    for offset, size in ((0, 0), (0, 257), (256, 1), (0xfffffff0, 0x20)):
        pieces = f'{u(offset, size, 0)} zeros={min(size, 300)}'
        for name in ('GET_CONFIG', 'SET_CONFIG'):
            yield (f'range-{offset:#x}-{size:#x}',
                   one(name, f'{size:#x} bytes at {offset:#x}', pieces, protocol=CONFIG,
                       open_to=size == 0))
    yield 'all-bits', one('SET_FEATURES', 'every bit', 'u64=0xffffffffffffffff')
    yield 'all-bits', one('SET_PROTOCOL_FEATURES', 'every bit', 'u64=0xffffffffffffffff',
                          open_to=True)


def unaligned():
    """Addresses that virtio doesn't allow."""
    for part, addresses in (('desc', (DESC + 8, USED, AVAIL)), ('used', (DESC, USED + 2, AVAIL)),
                            ('avail', (DESC, USED, AVAIL + 1))):
        conversation = Conversation(f'SET_VRING_ADDR: {part} not aligned.').negotiate()
        yield part, conversation.survives(
            f'SET_VRING_ADDR {u(0, 0)} {u(*addresses, 0, width=64)}')


def nofd():
    for name in ('SET_VRING_CALL', 'SET_VRING_ERR'):
        conversation = Conversation(f'{name}: there is no descriptor, and there needn\'t be.')
        yield name, conversation.negotiate().fine(f'{name} u64=0x100')
    conversation = Conversation('SET_VRING_KICK: no descriptor, so the ring is to be polled.')
    yield 'SET_VRING_KICK', conversation.negotiate().survives('SET_VRING_KICK u64=0x100')


def seeds():
    messages = [Message(name, *rest) for name, rest in KNOWN.items()]
    messages += [Message(name, *rest, known=False) for name, rest in OTHERS.items()]
    for message in messages:
        for how, conversation in message.everything():
            yield f'{message.name}/{how}', conversation
        if isinstance(message.answer, int):
            yield f'{message.name}/need-reply', asks_for_both(message.name, message)
        if message.answer == 'ack':
            yield f'{message.name}/no-need-reply', without_ack(message)
    for name in VRING_STATES + VRING_FDS + ('SET_VRING_ADDR',):
        for how, conversation in vrings(name):
            yield f'{name}/{how}', conversation
    for what, (name, conversation) in values():
        yield f'{name}/{what}', conversation
    for part, conversation in unaligned():
        yield f'SET_VRING_ADDR/unaligned-{part}', conversation
    for name, conversation in nofd():
        yield f'{name}/nofd', conversation
    for number in (0, 45, 0xff, 0xffffffff):
        yield (f'unknown/{number:#x}', Conversation(f'Message {number:#x}, which there isn\'t.')
               .negotiate().refused(f'{number}'))
