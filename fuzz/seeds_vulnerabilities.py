# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What other backends have fallen for, one conversation for each: named by its CVE, or by the commit
that repaired it. Each is written anew from the public description, as the nearest thing that can be
said to a console."""

from seeds_base import (CONFIG, EVENT_IDX, GPA, INDIRECT, INDIRECT_DESC, MEM_SLOTS, NEXT, OFFSET,
                        SIZE, UVA, WRITE, Conversation, region, ring_at, u)

RX, TX = 0, 1
TABLE = 0x30000


def console(*about, **how):
    return Conversation(*about).console(**how)


def addresses():
    yield ('CVE-2018-1059-buffer-crosses-region',
           console('DPDK: an address was translated by its start alone.')
           .desc(TX, 0, GPA + SIZE - 4, 0x1000).offer(TX, 0).broken(TX))
    yield ('CVE-2018-1059-table-crosses-region',
           console('DPDK: the same for an indirect table.', features=INDIRECT)
           .desc(TX, 0, GPA + SIZE - 32, 0x1000, INDIRECT_DESC).offer(TX, 0).broken(TX))
    log = Conversation('DPDK: the log\'s size and offset overflowed.').negotiate()
    log.add('file log memfd 0x1000')
    yield 'CVE-2020-10722-log', log.survives(
        'SET_LOG_BASE fds=log u64=0xffffffffffffffff u64=0x1000')
    region_sum = Conversation('DPDK: the same sum, for a memory region.').negotiate()
    region_sum.add('file ram memfd 0x1000')
    yield 'CVE-2020-10722-region', region_sum.refused(
        f'SET_MEM_TABLE fds=ram {u(1, 0)} {region(GPA, 0xfffffffffffff000, UVA, 0x2000)}')
    yield ('CVE-2020-10725', console('DPDK: a descriptor of no bytes with a bad address.')
           .desc(TX, 0, 0xdead0000, 0, NEXT, 1).desc(TX, 1, GPA + 0x20000, 4).offer(TX, 0)
           .used(TX, 1).survival())
    offset = Conversation('passt: an offset beyond the length.').negotiate(CONFIG)
    yield 'CVE-2024-11614', offset.refused(f'GET_CONFIG {u(0xfffffff0, 0x20, 0)} zeros=32')


def indices():
    narrowed = Conversation('DPDK: an index was made 16 bits wide, then checked.').negotiate()
    narrowed.add('file event eventfd')
    narrowed.refused(f'SET_VRING_NUM {u(0x10000, 16)}')
    narrowed.refused(f'SET_VRING_ENABLE {u(0x10001, 1)}')
    yield 'CVE-2020-10723', narrowed.refused(f'GET_VRING_BASE {u(0x10000, 0)}')
    inner = Conversation('DPDK: lengths inside the payload were believed.').negotiate(CONFIG)
    inner.refused(f'GET_CONFIG {u(0, 256, 0)} zeros=4')
    yield 'CVE-2020-10724', inner.survives(f'CREATE_CRYPTO_SESSION {u(0xffffffff, width=32)} '
                                           + 'zeros=64 ' + u(0xffffffff, 0xffffffff))
    inflight = Conversation('DPDK: the number of queues was an index unchecked.').negotiate()
    inflight.add('file inflight memfd 0x1000')
    yield 'CVE-2021-3839', inflight.survives(
        'SET_INFLIGHT_FD fds=inflight u64=0x1000 u64=0 u16=0xffff u16=256 zeros=4')
    yield ('virtio-queue-38c442d', Conversation('rust-vmm: a base beyond the ring\'s indices.')
           .negotiate().survives(f'SET_VRING_BASE {u(RX, 0x12345678)}')
           .refused(f'SET_VRING_BASE {u(0x100, 0)}'))
    jump = console('rust-vmm: more available than the ring has.')
    yield 'virtio-queue-InvalidAvailRingIndex', jump.ram(
        ring_at(TX)[1] + 2, 'u16=0x11').add('kick kick1').broken(TX)
    ready = Conversation('rust-vmm: a queue was walked before it was ready.').need('needs console')
    ready.negotiate().features().memory().add('file kick eventfd')
    ready.add(f'send SET_VRING_ENABLE {u(TX, 1)}').survives(f'SET_VRING_KICK fds=kick u64={TX}')
    yield 'virtio-queue-0.7.1-not-ready', ready.add('kick kick').survival()


def leaks():
    """What is lost each time: a replay counts the backend's descriptors and mappings."""
    extra = Conversation('DPDK: descriptors that no message has were never closed.').negotiate()
    extra.add('file extra eventfd')
    for _ in range(32):
        extra.refused(f'SET_VRING_NUM fds={",".join(["extra"] * 8)} {u(RX, 16)}')
    yield 'CVE-2019-14818-descriptors', extra
    num = Conversation('DPDK: each SET_VRING_NUM took memory.').negotiate()
    for i in range(64):
        num.fine(f'SET_VRING_NUM {u(RX, 64 >> i % 4)}')
    yield 'CVE-2019-14818-memory', num
    inflight = Conversation('DPDK: each GET_INFLIGHT_FD made a file and a mapping.').negotiate()
    for _ in range(32):
        inflight.survives('GET_INFLIGHT_FD u64=0 u64=0 u16=2 u16=256 zeros=4')
    yield 'CVE-2020-10726', inflight
    again = Conversation('The same with what is installed anew each time.').negotiate()
    again.add('file ram memfd 0x200000', 'file event eventfd')
    for _ in range(32):
        again.fine(f'SET_MEM_TABLE fds=ram {u(1, 0)} {region()}')
        again.fine(f'SET_VRING_CALL fds=event u64={RX}').fine(f'SET_VRING_ERR fds=event u64={RX}')
    yield 'CVE-2020-10726-installed-again', again
    refused = Conversation('DPDK: descriptors of inflight messages were leaked.').negotiate()
    refused.add('file event eventfd')
    for _ in range(32):
        refused.survives(f'SET_INFLIGHT_FD fds={",".join(["event"] * 4)} zeros=24')
    yield 'CVE-2022-0669', refused
    lost = Conversation('DPDK: more descriptors than there is room for, some of them lost.')
    lost.negotiate().add('file event eventfd')
    yield 'dpdk-218daf1664', lost.refused(
        f'SET_VRING_CALL fds={",".join(["event"] * 253)} u64={RX}')
    half = Conversation('DPDK: descriptors of a message that ends too soon.').negotiate()
    half.add('file event eventfd')
    for _ in range(8):
        half.add(f'send SET_VRING_CALL fds=event size=8 u32={RX}', 'connect')
    yield 'dpdk-585283f9a7', half


def races():
    """What is looked at twice: the kick, then the change."""
    desc = OFFSET + ring_at(TX)[0]
    changes = {
        'CVE-2020-14374': ('a copy longer than what was checked', f'u64={GPA:#x} u32=0xffffffff'),
        'CVE-2020-14375': ('a descriptor changed after the check', 'u64=0xdead0000 u32=64'),
        'CVE-2020-14376': ('a length unchecked', f'u64={GPA + SIZE - 1:#x} u32=2'),
        'CVE-2020-14377': ('a chain shorter than its header', f'u64={GPA:#x} u32=1 u16=0'),
        'CVE-2020-14378': ('a number that goes below zero', f'u64={GPA:#x} u32=0'),
        'dpdk-285e6b8b18': ('a table\'s length fetched twice',
                            f'u64={GPA + TABLE:#x} u32=0x100010 u16=4'),
    }
    for name, (what, pieces) in changes.items():
        race = console(f'DPDK: {what}.', features=INDIRECT)
        for _ in range(16):
            race.desc(TX, 0, GPA + 0x20000, 64).offer(TX, 0).add(f'write ram {desc:#x} {pieces}')
        yield name, race.survival()


def chains():
    short = console('DPDK: a header over many descriptors, and a chain without end.')
    for i in range(15):
        short.desc(TX, i, GPA + 0x20000 + i, 1, NEXT, i + 1)
    yield 'CVE-2022-2132', short.desc(TX, 15, GPA + 0x20000, 1, NEXT, 0).offer(TX, 0).broken(TX)
    bounds = Conversation('DPDK: a control queue\'s chain walked beyond its bounds.')
    bounds.need('needs features 0x2').need('needs vrings 4')
    bounds.console(vrings=(2, 3), features=2)
    bounds.desc(3, 0, GPA + 0x60000, 7, NEXT, 16).offer(3, 0)
    yield 'dpdk-7cc4f260bf', bounds.survival()
    control = Conversation('QEMU: a control buffer shorter than the message written to it.')
    control.need('needs features 0x2').need('needs vrings 4')
    control.console(vrings=(2, 3), features=2)
    for i in range(4):
        control.desc(2, i, control.buffer(2, i), 4, WRITE)
    control.offer(2, 0, 1, 2, 3)
    control.ram(0x60000, 'u32=0xffffffff u16=0 u16=1').desc(3, 0, GPA + 0x60000, 8).offer(3, 0)
    yield 'CVE-2015-5745', control.survival()
    flight = console('QEMU: more in flight than the ring has.')
    flight.desc(TX, 0, GPA + 0x20000, 1)
    yield 'CVE-2016-5403', flight.offer(TX, *[0] * 17).broken(TX)
    entry = console('QEMU: a buffer that is the device\'s own ring.', vrings=(RX, TX))
    entry.desc(RX, 0, GPA + ring_at(TX)[0], 0x3000, WRITE).offer(RX, 0)
    yield 'CVE-2024-3446', entry.desc(TX, 0, GPA + ring_at(TX)[0], 0x3000).offer(TX, 0).survival()
    torn = console('rust-vmm: an index copied byte by byte.', base=0xff)
    yield 'CVE-2020-13759', torn.desc(TX, 0, GPA + 0x20000, 1).offer(TX, 0).used(TX, 1).survival()


def ends():
    after = console('DPDK: work that goes on after its memory is gone.', vrings=(RX, TX))
    for i in range(16):
        after.desc(TX, i, GPA, SIZE)
    after.offer(TX, *range(16)).add('hangup', 'connect', 'send GET_FEATURES')
    yield 'dpdk-73ea44370d', after.add('expect reply GET_FEATURES size=8')
    other = console('DPDK: the same when the memory is exchanged.', vrings=(RX, TX))
    for i in range(16):
        other.desc(TX, i, GPA, SIZE)
    yield 'dpdk-21d9fb6bad', other.offer(TX, *range(16)).survives(f'SET_MEM_TABLE {u(0, 0)}')
    stale = console('DPDK: what was in flight before a reboot came back after it.')
    stale.desc(TX, 0, GPA + 0x20000, 4).offer(TX, 0).used(TX, 1)
    stale.add(f'send GET_VRING_BASE {u(TX, 0)}', 'expect reply GET_VRING_BASE size=8')
    stale.ram(ring_at(TX)[1] + 2, 'u16=0').ram(ring_at(TX)[2] + 2, 'u16=0')
    stale.avail[TX] = 0
    stale.fine(f'SET_VRING_BASE {u(TX, 0)}').fine(f'SET_VRING_KICK fds=kick1 u64={TX}')
    yield 'dpdk-e4a01eea66', stale.desc(TX, 0, GPA + 0x20000, 4).offer(TX, 0).used(TX, 1).survival()
    cut = console('Every backend: the file of the memory becomes shorter under its mapping.')
    cut.desc(TX, 0, GPA + 0x20000, 0x8000).add('truncate ram 0', 'kick kick1')
    yield 'memfd-truncated', cut.survival()
    second = Conversation('The same for a second region, with the rings in the first.')
    second.need('needs console').negotiate().features()
    second.add('file ram memfd 0x200000', 'file more memfd 0x200000')
    both = f'{region()} {region(0x80000000, SIZE, 0x7f5500000000, 0x11000)}'
    second.fine(f'SET_MEM_TABLE fds=ram,more {u(2, 0)} {both}').vring(TX)
    second.add('truncate more 0').desc(TX, 0, 0x80000000, 64).offer(TX, 0)
    yield 'memfd-truncated-second', second.survival()


def blobs():
    count = Conversation('rust-vmm: a length in a header was believed.').negotiate()
    count.add('file ram memfd 0x200000')
    yield 'CVE-2023-50711', count.refused(f'SET_MEM_TABLE fds=ram {u(8, 0)} {region()}')
    slices = Conversation('rust-vmm: a slice beyond its region.').negotiate()
    slices.add('file ram memfd 0x1000')
    yield 'CVE-2023-41051', slices.refused(
        f'SET_MEM_TABLE fds=ram {u(1, 0)} {region(GPA, 0x1001, UVA, 0)}')
    gpu = Conversation('vhost-user-gpu: messages that leak, told again and again.').negotiate()
    for _ in range(16):
        gpu.add('send GPU_SET_SOCKET need-reply').survival()
    yield 'CVE-2021-3544', gpu
    yield 'CVE-2021-3545', Conversation('vhost-user-gpu: memory that was never written is shown.'
                                        ).negotiate(CONFIG).need('needs console').add(
        f'send GET_CONFIG {u(0, 256, 0)} zeros=256',
        'expect reply GET_CONFIG size=268 ' + f'{u(0, 256, 0)} zeros=256 mask '
        + u(0xffffffff, 0xffffffff, 0) + ' zeros=12 ' + 'hex=' + 'ff' * 244)
    yield 'CVE-2021-3546', Conversation('vhost-user-gpu: a write beyond the end.').negotiate(
        CONFIG).refused(f'SET_CONFIG {u(255, 16, 0)} zeros=16')


def libvhost_user():
    """Read in QEMU 11.1's library, whose line is named; whether they were reported isn't known."""
    table = Conversation('libvhost-user.c:1092: more regions than its table has.').negotiate()
    table.add('file ram memfd 0x1000')
    yield 'libvhost-user-1092', table.refused(f'SET_MEM_TABLE fds=ram {u(64, 0)} {region()}')
    yield ('libvhost-user-1196', Conversation('libvhost-user.c:1196: a ring of no entries.')
           .negotiate().refused(f'SET_VRING_NUM {u(RX, 0)}'))
    start = Conversation('libvhost-user.c:287: rings translated by their start alone.')
    start.need('needs console').negotiate().features().memory()
    start.add('file kick eventfd').fine(f'SET_VRING_NUM {u(TX, 16)}')
    at = [UVA + SIZE - 16, UVA + SIZE - 4, UVA + SIZE - 2]
    start.add(f'send SET_VRING_ADDR need-reply {u(TX, 0)} {u(*at, 0, width=64)}')
    start.add(f'send SET_VRING_KICK need-reply fds=kick u64={TX}', 'kick kick')
    yield 'libvhost-user-287', start.survival()
    offset = Conversation('libvhost-user.c:2094: offsets beyond what is mapped.').negotiate()
    offset.add('file inflight memfd 0x1000')
    yield 'libvhost-user-2094', offset.survives(
        'SET_INFLIGHT_FD fds=inflight u64=0x1000 u64=0x100000 u16=2 u16=256 zeros=4')
    yield 'libvhost-user-537', Conversation('libvhost-user.c:537: a payload that ends too soon.'
                                            ).negotiate().add('send SET_FEATURES size=8 u8=1')


def seeds():
    for group in (addresses, indices, leaks, races, chains, ends, blobs, libvhost_user):
        yield from group()
