# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Rings of a console as a driver may make them: right ones with rare shapes, and wrong ones. A wrong
one may cost the driver its ring, or the frontend its connection, and nobody else anything."""

from seeds_base import (EVENT_IDX, FILE, GPA, INDIRECT, INDIRECT_DESC, NEXT, OFFSET, RING, SIZE,
                        UVA, VERSION_1, WRITE, Conversation, region, ring_at, u)

TABLE = 0x30000  # of indirect descriptors, from the region's start
TX, RX = 1, 0


def console(about, features=0, **how):
    return Conversation(about).console(features, **how)


def fine(name, conversation, chains=1):
    return name, conversation.used(TX, chains).survival()


# What is right, if rare.

def plain():
    yield fine('print', console('One buffer with text.').ram(0x30000, 'hex=68656c6c6f')
               .desc(TX, 0, GPA + 0x30000, 5).offer(TX, 0))
    yield fine('empty-buffer', console('A descriptor without bytes.').desc(TX, 0, GPA, 0)
               .offer(TX, 0))
    yield fine('empty-then-full', console('One without bytes, then one with some.')
               .desc(TX, 0, GPA, 0, NEXT, 1).desc(TX, 1, GPA + 0x20000, 4).offer(TX, 0))
    chain = console('A chain of all descriptors.')
    for i in range(16):
        chain.desc(TX, i, GPA + 0x20000 + i, 1, NEXT if i < 15 else 0, i + 1)
    yield fine('longest-chain', chain.offer(TX, 0))
    full = console('As many chains as there are entries.')
    for i in range(16):
        full.desc(TX, i, GPA + 0x20000, 100)
    yield fine('all-entries', full.offer(TX, *range(16)), 16)
    yield fine('backwards', console('A chain that leads to lower indices.')
               .desc(TX, 9, GPA + 0x20000, 1, NEXT, 3).desc(TX, 3, GPA + 0x20000, 1).offer(TX, 9))
    yield fine('same-head-twice', console('The same head in two entries.')
               .desc(TX, 0, GPA + 0x20000, 3).offer(TX, 0, 0), 2)
    yield fine('writable-in-transmitq', console('A buffer for the device to write, where it reads.')
               .desc(TX, 0, GPA + 0x20000, 16, WRITE).offer(TX, 0))
    yield fine('both-directions', console('A chain with buffers of both directions.')
               .desc(TX, 0, GPA + 0x20000, 4, NEXT, 1).desc(TX, 1, GPA + 0x21000, 4, WRITE)
               .offer(TX, 0))
    yield fine('whole-region', console('A buffer that is all of the region.')
               .desc(TX, 0, GPA, SIZE).offer(TX, 0))
    yield fine('last-byte', console('A buffer that is the last byte of the region.')
               .desc(TX, 0, GPA + SIZE - 1, 1).offer(TX, 0))


def at_the_wrap():
    wrap = console('Indices that pass 65535.', base=0xfffe)
    for i in range(4):
        wrap.desc(TX, i, GPA + 0x20000, 1)
    yield fine('index-wraps', wrap.offer(TX, 0, 1).offer(TX, 2, 3), 4)
    event = console('Indices that pass 65535, with EVENT_IDX.', EVENT_IDX, base=0xfffe)
    for i in range(4):
        event.desc(TX, i, GPA + 0x20000, 1)
    yield fine('index-wraps-event-idx', event.offer(TX, 0, 1).offer(TX, 2, 3), 4)
    yield fine('index-passes-a-byte', console('From 0xff to 0x100.', base=0xff)
               .desc(TX, 0, GPA + 0x20000, 1).offer(TX, 0))


def calls():
    called = console('The driver wants to be called.').desc(TX, 0, GPA + 0x20000, 1).offer(TX, 0)
    yield 'call', called.add('expect call call1').survival()
    quiet = console('The driver doesn\'t want to be called.').ram(ring_at(TX)[1], 'u16=1')
    quiet.desc(TX, 0, GPA + 0x20000, 1).offer(TX, 0).used(TX, 1)
    yield 'no-call', quiet.add('expect no-call call1').survival()
    later = console('A call is wanted after the second chain.', EVENT_IDX)
    later.ram(ring_at(TX)[1] + 4 + 2 * 16, 'u16=1')
    later.desc(TX, 0, GPA + 0x20000, 1).desc(TX, 1, GPA + 0x20000, 1).offer(TX, 0).used(TX, 1)
    yield 'call-at-event', later.offer(TX, 1).used(TX, 2).add('expect call call1').survival()


def receiving():
    """Buffers to be written to. Whether something is written is the backend's affair."""
    posted = console('Receive buffers, then output.', vrings=(RX, TX))
    for i in range(4):
        posted.desc(RX, i, posted.buffer(RX, i), 0x1000, WRITE)
    posted.offer(RX, 0, 1, 2, 3).desc(TX, 0, GPA + 0x20000, 32).offer(TX, 0)
    yield fine('receive-buffers', posted)
    small = console('Receive buffers of a byte, and of none.', vrings=(RX, TX))
    for i in range(4):
        small.desc(RX, i, small.buffer(RX, i), i % 2, WRITE)
    small.offer(RX, 0, 1, 2, 3).desc(TX, 0, GPA + 0x20000, 32).offer(TX, 0)
    yield fine('receive-buffers-small', small)
    readable = console('Receive buffers that mustn\'t be written to.', vrings=(RX, TX))
    readable.desc(RX, 0, readable.buffer(RX), 64).offer(RX, 0)
    readable.desc(TX, 0, GPA + 0x20000, 32).offer(TX, 0)
    yield fine('receive-buffers-readable', readable)
    own = console('A receive buffer that is the receive ring itself.', vrings=(RX, TX))
    own.desc(RX, 0, GPA + ring_at(RX)[0], 0x3000, WRITE).offer(RX, 0)
    own.desc(TX, 0, GPA + 0x20000, 0x3000).offer(TX, 0)
    yield 'receive-buffer-is-the-ring', own.survival()


# Indirect tables.

def table(about, length=32, flags=INDIRECT_DESC, address=GPA + TABLE, features=INDIRECT):
    return console(about, features).desc(TX, 0, address, length, flags, 1)


def indirect():
    yield fine('indirect', table('An indirect table of two.')
               .desc_at(TABLE, GPA + 0x20000, 8, NEXT, 1).desc_at(TABLE + 16, GPA + 0x21000, 8)
               .offer(TX, 0))
    yield fine('indirect-after-direct', console('A direct buffer, then a table.', INDIRECT)
               .desc(TX, 0, GPA + 0x20000, 8, NEXT, 1)
               .desc(TX, 1, GPA + TABLE, 16, INDIRECT_DESC)
               .desc_at(TABLE, GPA + 0x21000, 8).offer(TX, 0))
    yield fine('indirect-larger-than-ring', table('A table with more entries than the ring.', 64 * 16)
               .desc_at(TABLE, GPA + 0x20000, 8, NEXT, 63)
               .desc_at(TABLE + 63 * 16, GPA + 0x20000, 8).offer(TX, 0))


def indirect_wrong():
    good = lambda c: c.desc_at(TABLE, GPA + 0x20000, 8)
    yield 'indirect-nested', table('A table in a table.').desc_at(
        TABLE, GPA + TABLE, 32, INDIRECT_DESC)
    yield 'indirect-with-next', good(table('A table that isn\'t the last.', 16,
                                           INDIRECT_DESC | NEXT))
    yield 'indirect-not-negotiated', good(table('A table that nobody negotiated.', 16, features=0))
    for length in (0, 1, 15, 17, 0xffffffff, 0xfffffff0):
        yield f'indirect-length-{length:#x}', good(table(f'A table of {length:#x} bytes.', length))
    yield 'indirect-outside', table('A table that isn\'t in memory.', address=0x1000)
    yield 'indirect-crosses-end', table('A table half behind the end of memory.',
                                        address=GPA + SIZE - 16)
    yield 'indirect-at-2-64', table('A table that passes the end of the address space.',
                                    address=0xfffffffffffffff0)
    yield 'indirect-loops', table('A table that loops.').desc_at(
        TABLE, GPA + 0x20000, 1, NEXT, 1).desc_at(TABLE + 16, GPA + 0x20000, 1, NEXT, 0)
    yield 'indirect-next-outside', table('A next behind the end of the table.').desc_at(
        TABLE, GPA + 0x20000, 1, NEXT, 2)


def wrong():
    yield 'loop-of-one', console('A descriptor whose next is itself.').desc(
        TX, 0, GPA + 0x20000, 1, NEXT, 0)
    yield 'loop-of-two', console('Two descriptors that follow each other.').desc(
        TX, 0, GPA + 0x20000, 1, NEXT, 1).desc(TX, 1, GPA + 0x20000, 1, NEXT, 0)
    yield 'loop-of-empty-ones', console('A loop without bytes.').desc(
        TX, 0, 0, 0, NEXT, 1).desc(TX, 1, 0, 0, NEXT, 0)
    for following in (16, 0x7fff, 0xffff):
        yield f'next-{following:#x}', console(f'A next of {following:#x} of 16.').desc(
            TX, 0, GPA + 0x20000, 1, NEXT, following)
    for address, length, what in ((0, 1, 'at-0'), (GPA - 1, 2, 'before'), (GPA + SIZE, 1, 'behind'),
                                  (GPA + SIZE - 1, 2, 'crosses-end'), (GPA, 0xffffffff, '4g'),
                                  (0xffffffffffffffff, 2, 'at-2-64'), (UVA, 1, 'frontends')):
        yield f'buffer-{what}', console(f'A buffer of {length:#x} at {address:#x}.').desc(
            TX, 0, address, length)
    yield 'second-buffer-outside', console('A good buffer, then one outside.').desc(
        TX, 0, GPA + 0x20000, 4, NEXT, 1).desc(TX, 1, 0, 4)


def wrong_available():
    for head in (16, 0x8000, 0xffff):
        yield (f'head-{head:#x}', console(f'An available entry of {head:#x} of 16.')
               .offer(TX, head).broken(TX))
    for index in (17, 0x8000, 0xffff):
        jump = console(f'The available index jumps by {index:#x}.')
        yield f'index-jumps-{index:#x}', jump.ram(ring_at(TX)[1] + 2, f'u16={index:#x}').add(
            'kick kick1').broken(TX)
    back = console('The available index goes back.', base=100)
    yield 'index-goes-back', back.ram(ring_at(TX)[1] + 2, 'u16=99').add('kick kick1').broken(TX)


def regions():
    """Buffers across two regions, which lie together for the guest alone."""
    about = 'A buffer over two neighbouring regions of two files.'
    two = Conversation(about).need('needs console').negotiate().features(INDIRECT)
    two.add(f'file ram memfd {FILE:#x}', f'file more memfd {FILE:#x}')
    both = f'{region()} {region(GPA + SIZE, SIZE, 0x7f5500000000, 0x11000)}'
    two.fine(f'SET_MEM_TABLE fds=ram,more {u(2, 0)} {both}').vring(TX)
    yield fine('buffer-over-two-regions', two.desc(TX, 0, GPA + SIZE - 8, 16).offer(TX, 0))
    over = Conversation('An indirect table over two neighbouring regions.')
    over.need('needs console').negotiate().features(INDIRECT)
    over.add(f'file ram memfd {FILE:#x}', f'file more memfd {FILE:#x}')
    over.fine(f'SET_MEM_TABLE fds=ram,more {u(2, 0)} {both}').vring(TX)
    over.desc(TX, 0, GPA + SIZE - 16, 32, INDIRECT_DESC)
    over.desc_at(SIZE - 16, GPA + 0x20000, 4, NEXT, 1)
    over.add(f'write more {0x11000:#x} u64={GPA + 0x20000:#x} u32=4 u16=0 u16=0')
    yield fine('indirect-over-two-regions', over.offer(TX, 0))


def over_an_edge():
    """An entry of an indirect table over the edge of two regions, whose mappings lie apart."""
    over = Conversation('An entry of an indirect table over two neighbouring regions.')
    over.need('needs console').negotiate().features(INDIRECT)
    over.add(f'file ram memfd {FILE:#x}', f'file more memfd {FILE:#x}')
    both = f'{region()} {region(GPA + SIZE, SIZE, 0x7f5500000000, 0x11000)}'
    over.fine(f'SET_MEM_TABLE fds=ram,more {u(2, 0)} {both}').vring(TX)
    over.desc(TX, 0, GPA + SIZE - 8, 32, INDIRECT_DESC).offer(TX, 0)
    yield 'indirect-entry-over-two-regions', over.survival()
    odd = Conversation('A region at an odd place of its file, so that no ring in it is aligned.')
    odd.need('needs console').negotiate().features().add(f'file ram memfd {FILE:#x}')
    odd.fine(f'SET_MEM_TABLE fds=ram {u(1, 0)} {region(offset=OFFSET + 1)}')
    addresses = (UVA + part for part in (0x1000, 0x3000, 0x2000))
    odd.fine(f'SET_VRING_NUM {u(TX, 16)}')
    odd.add(f'send SET_VRING_ADDR need-reply {u(TX, 0)} {u(*addresses, 0, width=64)}',
            'file kick1 eventfd', f'send SET_VRING_KICK need-reply fds=kick1 u64={TX}', 'kick kick1')
    yield 'region-at-an-odd-offset', odd.survival()


def long_tables():
    """Loops that are longer than a device may go in one piece."""
    for what, length in (('bytes', 1), ('empty', 0)):
        chain = console(f'A table of 8192 entries whose first leads to itself, {length} bytes each.',
                        INDIRECT)
        chain.desc(TX, 0, GPA + TABLE, 8192 * 16, INDIRECT_DESC)
        chain.desc_at(TABLE, GPA + 0x20000, length, NEXT, 0)
        yield f'indirect-loops-8192-{what}', chain.offer(TX, 0).broken(TX)


def changed():
    """What changes after the kick: the backend sees the one or the other, or breaks the ring."""
    def change(about, after, features=0):
        conversation = console(about, features)
        for _ in range(8):
            conversation.desc(TX, 0, GPA + 0x20000, 64, NEXT, 1).desc(TX, 1, GPA + 0x21000, 64)
            conversation.offer(TX, 0).add(*after)
        return conversation.survival()

    def desc(index, pieces):
        return f'write ram {OFFSET + ring_at(TX)[0] + 16 * index:#x} {pieces}'

    yield 'changed-address', change('A buffer moves out of memory.', [desc(0, 'u64=0')])
    yield 'changed-length', change('A buffer grows beyond memory.',
                                   [desc(0, f'u64={GPA + 0x20000:#x} u32=0xffffffff')])
    yield 'changed-next', change('A next moves behind the table.',
                                 [desc(0, f'u64={GPA + 0x20000:#x} u32=64 u16=1 u16=0xffff')])
    yield 'changed-to-indirect', change('A buffer becomes a table.',
                                        [desc(1, f'u64={GPA:#x} u32=16 u16=4 u16=0')], INDIRECT)
    index = OFFSET + ring_at(TX)[1] + 2
    yield 'changed-index', change('The available index jumps.', [f'write ram {index:#x} u16=0x4000'])
    used = OFFSET + ring_at(TX)[2]
    yield 'changed-used', change('The used ring is written over.', [f'write ram {used:#x} zeros=136'])


def sizes():
    for size in (1, 2, 256, 1024):
        conversation = console(f'A ring of {size}.', size=size)
        yield f'size-{size}', conversation.desc(TX, 0, GPA + 0x20000, 8).offer(TX, 0).used(TX, 1)
    addr = Conversation('A ring whose used part ends behind the region.').need('needs console')
    addr.negotiate().features().memory().fine(f'SET_VRING_NUM {u(TX, RING)}')
    at = [UVA, UVA + SIZE - 16, UVA + 0x2000]
    addr.add(f'send SET_VRING_ADDR need-reply {u(TX, 0)} {u(*at, 0, width=64)}',
             'file kick1 eventfd', f'send SET_VRING_KICK need-reply fds=kick1 u64={TX}')
    yield 'used-crosses-end', addr.survival()
    for name, about, parts in (
            ('descriptors', 'Descriptors that reach into the available ring.', (0x1000, 0x3000, 0x10f0)),
            ('indices', 'One index that is the available and the used one.', (0x1000, 0x2000, 0x2000))):
        overlap = Conversation(about).need('needs console')
        overlap.negotiate().features().memory().fine(f'SET_VRING_NUM {u(TX, RING)}')
        overlap.add(f'send SET_VRING_ADDR need-reply {u(TX, 0)} '
                    f'{u(*(UVA + part for part in parts), 0, width=64)}',
                    'file kick1 eventfd', f'send SET_VRING_KICK need-reply fds=kick1 u64={TX}')
        yield f'overlapping-{name}', overlap.survival()


def seeds():
    for group in (plain, at_the_wrap, calls, receiving, indirect, regions, over_an_edge,
                  long_tables, sizes, changed):
        yield from group()
    for group in (wrong, indirect_wrong):
        for name, conversation in group():
            yield name, conversation.offer(TX, 0).broken(TX)
    yield from wrong_available()
