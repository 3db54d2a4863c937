# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Messages at moments when a careless backend isn't ready for them, and messages in pieces."""

from seeds_base import (BACKEND_REQ, CONFIG, DEVICE_STATE, FILE, GPA, LOG_ALL, LOG_SHMFD,
                        MEM_SLOTS, PROTOCOL, RESET_DEVICE, SIZE, UVA, VERSION_1, WRITE, Conversation,
                        region, ring_at, u)

RX, TX = 0, 1
DESC, AVAIL, USED = (UVA + part for part in ring_at(TX))
ADDR = f'SET_VRING_ADDR {u(TX, 0)} {u(DESC, USED, AVAIL, 0, width=64)}'
# Any backend has vring 0.
ADDR_RX = f'SET_VRING_ADDR {u(RX, 0)} {u(DESC, USED, AVAIL, 0, width=64)}'


def console(about, **how):
    return Conversation(about).console(**how)


def works(conversation, chains=1):
    """The ring still works: so many chains have been used with this one."""
    conversation.desc(TX, 0, GPA + 0x20000, 4).offer(TX, 0)
    return conversation.used(TX, chains).survival()


def early():
    yield 'addr-before-memory', Conversation('Addresses before there is memory.').negotiate(
        ).features().survives(ADDR_RX)
    kick = Conversation('A kick before anything else of the ring.').negotiate().features()
    yield 'kick-first', kick.add('file kick eventfd').survives(
        f'SET_VRING_KICK fds=kick u64={RX}')
    kick = Conversation('A kick for a ring that has no size.').negotiate().features().memory()
    yield 'kick-before-num', kick.add('file kick eventfd').fine(ADDR_RX).survives(
        f'SET_VRING_KICK fds=kick u64={RX}')
    kick = Conversation('A kick for a ring without memory.').negotiate().features()
    kick.add('file kick eventfd').fine(f'SET_VRING_NUM {u(RX, 16)}')
    yield 'kick-before-memory', kick.add(f'send {ADDR_RX}').survives(
        f'SET_VRING_KICK fds=kick u64={RX}')
    yield 'enable-unconfigured', Conversation('Enabled without a ring.').negotiate().features(
        ).fine(f'SET_VRING_ENABLE {u(RX, 1)}')
    yield 'base-unconfigured', Conversation('The base of a ring that never ran.').negotiate().add(
        f'send GET_VRING_BASE {u(RX, 0)}', 'expect reply GET_VRING_BASE size=8')


def without_protocol_features():
    old = Conversation('A frontend that takes no protocol features: rings need no enabling.')
    old.need('needs console').need('needs features 0x100000000')
    old.add('send GET_FEATURES', 'expect reply GET_FEATURES size=8', 'send SET_OWNER',
            f'send SET_FEATURES u64={VERSION_1:#x}', f'file ram memfd {FILE:#x}',
            f'send SET_MEM_TABLE fds=ram {u(1, 0)} {region()}', 'file kick1 eventfd',
            f'send SET_VRING_NUM {u(TX, 16)}', f'send SET_VRING_BASE {u(TX, 0)}', f'send {ADDR}',
            f'send SET_VRING_KICK fds=kick1 u64={TX}')
    old.avail[TX], old.base[TX], old.size[TX] = 0, 0, 16
    yield 'without-protocol-features', works(old)


def running():
    same = console('The same memory again, while the ring runs.')
    yield 'memory-again', works(same.fine(f'SET_MEM_TABLE fds=ram {u(1, 0)} {region()}'))
    gone = console('Memory without the ring\'s, while it runs.')
    gone.add('file other memfd 0x100000')
    yield 'memory-without-ring', gone.survives(
        f'SET_MEM_TABLE fds=other {u(1, 0)} {region(0x90000000, 0x1000, 0x7f9900000000, 0)}')
    yield 'memory-empty', console('No memory at all, while the ring runs.').survives(
        f'SET_MEM_TABLE {u(0, 0)}')
    yield 'addr-again', works(console('The same addresses while it runs.').fine(ADDR))
    yield 'num-while-running', console('Another size while it runs.').survives(
        f'SET_VRING_NUM {u(TX, 32)}')
    yield 'base-while-running', console('Another base while it runs.').survives(
        f'SET_VRING_BASE {u(TX, 5)}')
    yield 'reset-owner-while-running', console('RESET_OWNER while it runs.').survives(
        'RESET_OWNER')
    features = console('The features again while it runs.')
    yield 'features-while-running', works(features.fine(f'SET_FEATURES u64={VERSION_1 | PROTOCOL:#x}'))


def replaced():
    kick = console('Another eventfd to kick with, while it runs.')
    kick.add('file second eventfd').fine(f'SET_VRING_KICK fds=second u64={TX}')
    kick.desc(TX, 0, GPA + 0x20000, 4).offer(TX, 0)
    yield 'kick-replaced', kick.add('kick second').used(TX, 1).survival()
    call = console('Another eventfd to call with, while it runs.')
    call.add('file second eventfd').fine(f'SET_VRING_CALL fds=second u64={TX}')
    call.desc(TX, 0, GPA + 0x20000, 4).offer(TX, 0)
    yield 'call-replaced', call.add('expect call second').survival()
    none = console('No more calls, while it runs.').fine(f'SET_VRING_CALL u64={0x100 | TX:#x}')
    yield 'call-none', works(none)
    closed = console('Our eventfds are closed; the backend has its own.')
    closed.desc(TX, 0, GPA + 0x20000, 4).offer(TX, 0)
    yield 'eventfds-closed', closed.add('close call1', 'close kick1').used(TX, 1).survival()


def stopped():
    base = console('Stopped, and started where it was.')
    base.desc(TX, 0, GPA + 0x20000, 4).offer(TX, 0).used(TX, 1)
    base.add(f'send GET_VRING_BASE {u(TX, 0)}', f'expect reply GET_VRING_BASE {u(TX, 1)}')
    base.fine(f'SET_VRING_BASE {u(TX, 1)}').fine(f'SET_VRING_KICK fds=kick1 u64={TX}')
    yield 'stop-and-start', works(base, 2)
    twice = console('Stopped twice.')
    for _ in range(2):
        twice.add(f'send GET_VRING_BASE {u(TX, 0)}', f'expect reply GET_VRING_BASE {u(TX, 0)}')
    yield 'stop-twice', twice.survival()
    paused = console('Disabled: nothing is taken until it is enabled.')
    paused.fine(f'SET_VRING_ENABLE {u(TX, 0)}').desc(TX, 0, GPA + 0x20000, 4).offer(TX, 0)
    paused.fine(f'SET_VRING_ENABLE {u(TX, 1)}')
    yield 'disable-and-enable', paused.used(TX, 1).survival()
    large = console('Stopped while a large chain may be half done.')
    for i in range(16):
        large.desc(TX, i, GPA, SIZE, 1 if i < 15 else 0, i + 1)
    large.offer(TX, 0).add(f'send GET_VRING_BASE {u(TX, 0)}',
                           'expect reply GET_VRING_BASE size=8')
    yield 'stop-in-a-chain', large.survival()


LOG = GPA + 0x8000000  # the guest addresses that the log has bits for, and 0x1000 bytes more a page
LOG_SIZE = LOG // 0x8000


def logged(about, log=f'memfd {LOG_SIZE:#x}', size=LOG_SIZE, offset=0, protocol=LOG_SHMFD):
    conversation = console(about, features=LOG_ALL, protocol=protocol).add(f'file log {log}')
    return conversation, f'SET_LOG_BASE fds=log {u(size, offset, width=64)}'


def logs():
    used, base = logged('A migration: the used ring is logged, and so its page is marked.')
    at = GPA + ring_at(TX)[2]
    used.add(f'send {base}', 'expect reply SET_LOG_BASE u64=0').fine(
        f'SET_VRING_ADDR {u(TX, 1)} {u(DESC, USED, AVAIL, at, width=64)}')
    used.desc(TX, 0, GPA + 0x20000, 4).offer(TX, 0).used(TX, 1)
    bit = f'u8={1 << at // 0x1000 % 8:#x}'
    yield 'log', used.add(f'expect memory log {at // 0x8000:#x} {bit} mask {bit}').survival()
    for name, about, how in (
            ('log-behind-its-file', 'A log behind the end of its file.', {'offset': 1}),
            ('log-at-the-top', 'A log beyond the address space.', {'offset': (1 << 64) - 8}),
            ('log-of-everything', 'A log of 2^64 - 1.', {'size': (1 << 64) - 1}),
            ('log-empty', 'A log of no bytes.', {'size': 0}),
            ('log-too-small', 'A log that hasn\'t bits for all of the memory.', {'size': 8}),
            ('log-of-a-pipe', 'A log that is a pipe.', {'log': 'pipe'})):
        wrong, base = logged(about, **how)
        yield name, wrong.add(f'send {base}', 'expect refused')
    short, base = logged('The log becomes shorter while it is written.')
    short.add(f'send {base}', 'expect reply SET_LOG_BASE u64=0').fine(
        f'SET_VRING_ADDR {u(TX, 1)} {u(DESC, USED, AVAIL, at, width=64)}')
    short.add('truncate log 0').desc(TX, 0, GPA + 0x20000, 4).offer(TX, 0)
    yield 'log-truncated', short.survival()
    beyond, base = logged('A used ring that the log has no bits for.')
    beyond.add(f'send {base}', 'expect reply SET_LOG_BASE u64=0')
    yield 'log-without-the-used-ring', beyond.survives(
        f'SET_VRING_ADDR {u(TX, 1)} {u(DESC, USED, AVAIL, (1 << 64) - 64, width=64)}')
    later, base = logged('The same, said before there is a log.')
    later.fine(f'SET_VRING_ADDR {u(TX, 1)} {u(DESC, USED, AVAIL, (1 << 64) - 64, width=64)}')
    yield 'log-before-the-used-ring', later.add(f'send {base}', 'expect refused')
    typed, base = logged('A migration while somebody types: the receive buffers are logged.')
    typed.vring(RX).add(f'send {base}', 'expect reply SET_LOG_BASE u64=0')
    for i in range(2):
        typed.desc(RX, i, typed.buffer(RX, i), 24, WRITE)
    yield 'log-of-receive-buffers', typed.offer(RX, 0, 1).survival()
    beyond, base = logged('A receive buffer in memory that has come since, which the log has no '
                          'bits for.', protocol=LOG_SHMFD | MEM_SLOTS)
    beyond.vring(RX).add(f'send {base}', 'expect reply SET_LOG_BASE u64=0')
    beyond.add('file more memfd 0x4000').survives(
        f'ADD_MEM_REG fds=more u64=0 {region(0x80000000, 0x1000, 0x7f8800000000, 0x2000)}')
    beyond.desc(RX, 0, 0x80000000, 24, WRITE)
    yield 'log-without-the-buffer', beyond.offer(RX, 0).survival()
    again, base = logged('A hundred logs, each in place of the one before.')
    again.add(*[f'send {base}', 'expect reply SET_LOG_BASE u64=0'] * 100)
    yield 'log-100', works(again)


def reset_device():
    reset = console('RESET_DEVICE while it runs: no ring is left.', protocol=RESET_DEVICE)
    reset.fine('RESET_DEVICE').refused(f'SET_VRING_KICK fds=kick1 u64={TX}')
    yield 'reset-device', reset
    again = console('RESET_DEVICE, and set up anew.', protocol=RESET_DEVICE).fine('RESET_DEVICE')
    again.features().fine(f'SET_VRING_NUM {u(TX, 16)}').fine(f'SET_VRING_BASE {u(TX, 0)}').fine(ADDR)
    again.fine(f'SET_VRING_CALL fds=call1 u64={TX}').fine(f'SET_VRING_KICK fds=kick1 u64={TX}')
    yield 'reset-device-and-again', works(again.fine(f'SET_VRING_ENABLE {u(TX, 1)}'))


def device_states():
    def stopped_one(about, file):
        conversation = Conversation(about).negotiate(DEVICE_STATE).features()
        return conversation.add(f'file state {file}')

    check = ['send CHECK_DEVICE_STATE', 'expect reply CHECK_DEVICE_STATE size=8']
    set_fd = 'expect reply SET_DEVICE_STATE_FD u64=0x100'
    saved = stopped_one('A state is saved into a file.', 'memfd 0x100000')
    saved.add(f'send SET_DEVICE_STATE_FD fds=state {u(0, 0)}', set_fd, *check)
    yield 'device-state-saved', saved.survival()
    loaded = stopped_one('What is loaded is no state: zeros.', 'memfd 0x1000')
    loaded.add(f'send SET_DEVICE_STATE_FD fds=state {u(1, 0)}', set_fd, *check)
    yield 'device-state-of-zeros', loaded.survival()
    large = stopped_one('A state of a tebibyte.', 'memfd 0x10000000000')
    large.add(f'send SET_DEVICE_STATE_FD fds=state {u(1, 0)}', set_fd, *check)
    yield 'device-state-of-a-tebibyte', large.survival()
    closed = stopped_one('A state into a socket whose other end is closed.', 'closed')
    closed.add(f'send SET_DEVICE_STATE_FD fds=state {u(0, 0)}', set_fd, *check)
    yield 'device-state-closed', closed.survival()
    for name, about, what in (('direction', 'Neither saved nor loaded.', u(2, 0)),
                              ('phase', 'In a phase that there isn\'t.', u(0, 1))):
        wrong = stopped_one(about, 'pipe')
        yield f'device-state-{name}', wrong.refused(f'SET_DEVICE_STATE_FD fds=state {what}')
    eventfd = stopped_one('A state into an eventfd.', 'eventfd')
    yield 'device-state-eventfd', eventfd.refused(f'SET_DEVICE_STATE_FD fds=state {u(0, 0)}')
    runs = console('A state while a ring runs.', protocol=DEVICE_STATE).add('file state pipe')
    yield 'device-state-while-running', runs.refused(f'SET_DEVICE_STATE_FD fds=state {u(0, 0)}')
    leaves = stopped_one('The frontend leaves before there is any state.', 'socket')
    leaves.add(f'send SET_DEVICE_STATE_FD fds=state {u(1, 0)}', set_fd,
               'send CHECK_DEVICE_STATE', 'hangup', 'connect', 'send GET_FEATURES',
               'expect reply GET_FEATURES size=8')
    yield 'device-state-left', leaves


def bases():
    far = console('A base that is the available index: what waits isn\'t passed over.')
    far.fine(f'SET_VRING_ENABLE {u(TX, 0)}').desc(TX, 0, GPA + 0x20000, 4).offer(TX, 0)
    far.add(f'send GET_VRING_BASE {u(TX, 0)}', 'expect reply GET_VRING_BASE size=8')
    far.fine(f'SET_VRING_BASE {u(TX, 1)}').fine(f'SET_VRING_KICK fds=kick1 u64={TX}')
    yield 'base-of-what-is-available', far.fine(f'SET_VRING_ENABLE {u(TX, 1)}').survival()


def slots():
    added = console('Regions added and removed one by one.', protocol=MEM_SLOTS)
    added.add('file more memfd 0x4000')
    one = f'u64=0 {region(0x80000000, 0x1000, 0x7f8800000000, 0x2000)}'
    added.fine(f'ADD_MEM_REG fds=more {one}').fine(f'REM_MEM_REG {one}')
    added.fine(f'ADD_MEM_REG fds=more {one}').fine(f'REM_MEM_REG fds=more {one}')
    yield 'region-added-and-removed', works(added.refused(f'REM_MEM_REG {one}'))
    lost = console('The ring\'s region is removed while it runs.', protocol=MEM_SLOTS)
    yield 'region-of-the-ring-removed', lost.survives(f'REM_MEM_REG u64=0 {region()}')
    overlap = console('A region over another.', protocol=MEM_SLOTS)
    yield 'region-overlaps', overlap.refused(
        f'ADD_MEM_REG fds=ram u64=0 {region(GPA + 0x1000, 0x1000, 0x7f8800000000, 0)}')
    many = Conversation('More regions than there are slots, if there are fewer than 600.')
    many.negotiate(MEM_SLOTS).features().add('file ram memfd 0x1000')
    for i in range(600):
        many.add(f'send ADD_MEM_REG fds=ram u64=0 '
                 f'{region(0x100000000 + i * 0x1000, 0x1000, UVA + i * 0x1000, 0)}')
    yield 'regions-600', many.survival()


def regions():
    def one(name, about, *how, file='memfd 0x4000'):
        conversation = Conversation(about).negotiate().features().add(f'file ram {file}')
        return name, conversation.refused(f'SET_MEM_TABLE fds=ram {u(1, 0)} {region(*how)}')

    top = 0xfffffffffffff000
    yield one('region-empty', 'A region of no bytes.', GPA, 0, UVA, 0)
    yield one('region-behind-its-file', 'A region behind the end of its file.', GPA, 0x4000, UVA, 1)
    yield one('region-at-the-top', 'A region beyond the address space.', top, 0x2000, UVA, 0)
    yield one('region-user-at-the-top', 'The same for the frontend.', GPA, 0x2000, top, 0)
    yield one('region-offset-at-the-top', 'The same in the file.', GPA, 0x2000, UVA, top)
    yield one('region-of-everything', 'A region of 2^64 - 1.', 0, 0xffffffffffffffff, 0, 0)
    yield one('region-of-a-pipe', 'A region that is a pipe.', GPA, 0x1000, UVA, 0, file='pipe')
    two = Conversation('Two regions, one over the other for the guest.').negotiate().features()
    two.add('file ram memfd 0x4000')
    both = f'{region(GPA, 0x2000, UVA, 0)} {region(GPA + 0x1000, 0x1000, UVA + 0x10000, 0)}'
    yield 'regions-overlap', two.refused(f'SET_MEM_TABLE fds=ram,ram {u(2, 0)} {both}')
    eight = Conversation('Eight regions, the most of a table.').negotiate().features()
    eight.add('file ram memfd 0x8000')
    table = ' '.join(region(GPA + i * 0x2000, 0x1000, UVA + i * 0x3000, i * 0x1000)
                     for i in range(8))
    yield 'regions-8', eight.fine(f'SET_MEM_TABLE fds={",".join(["ram"] * 8)} {u(8, 0)} {table}')


def pieces():
    def begin(about):
        return Conversation(about).negotiate()

    base = f'SET_VRING_BASE {u(0, 0)}'
    yield 'byte-by-byte', begin('A message byte by byte.').fine(
        f'SET_VRING_NUM split={",".join(map(str, range(1, 17)))} {u(0, 16)}')
    late = begin('The header in two parts, the descriptor with its middle.')
    late.add('file call eventfd')
    yield 'descriptor-in-the-header', late.survives(
        f'SET_VRING_CALL fds=call fds-at=6 split=6 u64={RX}')
    late = begin('The descriptor with the payload.').add('file call eventfd')
    yield 'descriptor-with-the-payload', late.survives(
        f'SET_VRING_CALL fds=call fds-at=12 split=12 u64={RX}')
    slow = begin('A pause between two messages.').fine(base).add('pause 30')
    yield 'pause', slow.fine(base)
    yield 'half-a-header', begin('Half a header, then the end.').add('bytes u32=1 u16=1')
    yield 'one-byte', Conversation('One byte, then the end.').add('bytes u8=1')
    yield 'nothing', Conversation('Nothing at all, then the end.').add('hangup')
    yield 'half-a-payload', begin('Half a payload, then the end.').add(
        'send SET_FEATURES size=8 u32=0', 'hangup')
    two = begin('Two messages in one piece.')
    two.add(f'bytes {u(10, 9, 8, 0, 0)} {u(10, 9, 8, 0, 0)}',
            'expect reply SET_VRING_BASE u64=0', 'expect reply SET_VRING_BASE u64=0')
    yield 'two-in-one', two.survival()
    many = begin('A hundred questions before the first answer is read.')
    many.add('bytes ' + ' '.join(u(1, 1, 0) for _ in range(100)))
    yield 'hundred-in-one', many.add(*['expect reply GET_FEATURES size=8'] * 100)


    gone = begin('A hundred questions, and nobody waits for the answers.')
    yield 'hundred-and-gone', gone.add('bytes ' + ' '.join(u(1, 1, 0) for _ in range(100)))


def connections():
    conversation = console('The frontend leaves with the ring at work, and comes again.')
    conversation.desc(TX, 0, GPA + 0x20000, 4).offer(TX, 0).add('hangup', 'connect')
    yield 'reconnect', conversation.add('send GET_FEATURES', 'expect reply GET_FEATURES size=8')
    many = Conversation('Twenty connections, one after the other.')
    for _ in range(20):
        many.add('send GET_FEATURES', 'expect reply GET_FEATURES size=8', 'connect')
    yield 'reconnect-20', many


def config():
    conversation = Conversation('Configuration before anything else, as libkrun may ask.')
    conversation.need('needs console').negotiate(CONFIG)
    yield 'config-early', conversation.add(
        f'send GET_CONFIG {u(0, 4, 0)} zeros=4', 'expect reply GET_CONFIG size=16')
    conversation = Conversation('Configuration behind its end.').need('needs console')
    conversation.negotiate(CONFIG).survives(f'SET_CONFIG {u(16, 4, 0)} zeros=4')
    yield 'config-behind-its-end', conversation.add(
        f'send GET_CONFIG {u(16, 4, 0)} zeros=4', 'expect survival')
    conversation = Conversation('The emergency write of a byte, two and four.')
    conversation.need('needs console').need('needs features 0x4').negotiate(CONFIG)
    for size in (1, 2, 4):
        conversation.fine(f'SET_CONFIG {u(8, size, 0)} u8=0x41'
                          + (f' zeros={size - 1}' if size > 1 else ''))
    yield 'emergency-write', conversation.fine(f'SET_CONFIG {u(0, 12, 0)} zeros=8 u32=0x42')
    channel = Conversation('The backend\'s channel, twice, and one that is closed.')
    channel.negotiate(BACKEND_REQ).add('file one socket', 'file two socket', 'file three closed')
    channel.fine('SET_BACKEND_REQ_FD fds=one').fine('SET_BACKEND_REQ_FD fds=two')
    yield 'backend-channel', channel.survives('SET_BACKEND_REQ_FD fds=three')


def seeds():
    for group in (early, without_protocol_features, running, replaced, stopped, logs, reset_device,
                  device_states, bases, slots, regions, pieces, connections, config):
        yield from group()
