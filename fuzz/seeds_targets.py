# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Seeds of the fuzz targets that don't take conversations. (Those of `request` and `session` are
made out of the conversations by each build.)"""

import struct
import zlib

GPA = 0x40000000
DESC, AVAIL, USED = 0, 0x1000, 0x2000
NEXT, WRITE, INDIRECT = 1, 2, 4
TABLE, BUFFER = 0x4000, 0x8000


class Ring:
    """An input of the target virtq (target_virtq.c)."""

    def __init__(self, size_log=4, features=0, base=0):
        self.head = struct.pack('<BBH', size_log, features, base)
        self.entries, self.base, self.count = 1 << size_log, base, 0
        self.changes, self.pieces = b'', b''
        if base:
            self.put(USED + 2, struct.pack('<H', base))

    def put(self, at, content):
        self.pieces += struct.pack('<HB', at, len(content)) + content
        return self

    def desc(self, index, address, length, flags=0, following=0, table=DESC):
        return self.put(table + 16 * index, struct.pack('<QIHH', address, length, flags, following))

    def offer(self, *heads):
        for head in heads:
            at = (self.base + self.count) % self.entries
            self.put(AVAIL + 4 + 2 * at, struct.pack('<H', head))
            self.count += 1
        return self.put(AVAIL + 2, struct.pack('<H', self.base + self.count & 0xffff))

    def change(self, at, value):
        self.changes += struct.pack('<HH', at, value)
        return self

    def bytes(self):
        return self.head + bytes([len(self.changes) // 4]) + self.changes + self.pieces


def rings():
    yield 'one', Ring().desc(0, GPA + BUFFER, 100).offer(0)
    yield 'chain', Ring().desc(0, GPA + BUFFER, 8, NEXT, 1).desc(1, GPA + BUFFER, 8, WRITE).offer(0)
    yield 'loop', Ring().desc(0, GPA + BUFFER, 8, NEXT, 1).desc(1, GPA, 8, NEXT, 0).offer(0)
    yield 'wrap', Ring(base=0xffff).desc(0, GPA + BUFFER, 8).offer(0, 0, 0)
    yield 'event-idx', Ring(features=2).desc(0, GPA + BUFFER, 8).offer(0, 0)
    yield 'one-entry', Ring(size_log=0).desc(0, GPA + BUFFER, 8).offer(0)
    yield 'head-outside', Ring().offer(16)
    yield 'next-outside', Ring().desc(0, GPA + BUFFER, 8, NEXT, 99).offer(0)
    yield 'buffer-outside', Ring().desc(0, 0, 8).offer(0)
    yield 'buffer-empty', Ring().desc(0, 0, 0).offer(0)
    yield 'buffer-is-the-ring', Ring().desc(0, GPA, 0x10000, WRITE).offer(0, 0, 0)
    yield 'index-jumps', Ring().put(AVAIL + 2, b'\x11\0')
    yield 'no-interrupt', Ring().put(AVAIL, b'\1\0').desc(0, GPA + BUFFER, 8).offer(0)


def tables():
    def table(length=32, flags=INDIRECT, features=1, address=GPA + TABLE):
        return Ring(features=features).desc(0, address, length, flags).offer(0)

    yield 'table', table().desc(0, GPA + BUFFER, 4, NEXT, 1, TABLE).desc(1, GPA, 4, table=TABLE)
    yield 'table-nested', table().desc(0, GPA + TABLE, 16, INDIRECT, table=TABLE)
    yield 'table-with-next', table(flags=INDIRECT | NEXT)
    yield 'table-length', table(length=17)
    yield 'table-outside', table(address=0)
    yield 'table-not-negotiated', table(features=0)
    yield 'table-loops', table().desc(0, GPA, 0, NEXT, 0, TABLE)


def changes():
    """The second thread's: it writes the value and takes it back, over and over."""
    one = lambda features=0: Ring(features=features).desc(0, GPA + BUFFER, 64).offer(*[0] * 16)
    yield 'change-address', one().change(DESC, 0xffff).change(DESC + 2, 0)
    yield 'change-length', one().change(DESC + 10, 0xffff)
    yield 'change-flags', one(1).change(DESC + 12, INDIRECT).change(DESC + 12, NEXT | WRITE)
    yield 'change-next', one().change(DESC + 12, NEXT).change(DESC + 14, 0xffff)
    yield 'change-index', one().change(AVAIL + 2, 0xffff)
    yield 'change-head', one().change(AVAIL + 4, 0xffff)
    table = Ring(features=1).desc(0, GPA + TABLE, 32, INDIRECT).offer(*[0] * 16)
    table.desc(0, GPA + BUFFER, 4, NEXT, 1, TABLE).desc(1, GPA + BUFFER, 4, table=TABLE)
    yield 'change-table', table.change(DESC + 8, 0xfff0).change(TABLE + 12, INDIRECT).change(
        TABLE + 14, 0x7fff)


def zlib_stream(byte, repeats):
    """A byte and `repeats` matches of 258 more (RFC 1950, 1951), the same with each zlib: fixed
    Huffman codes, 13 bits for each match."""
    bits = '1' + '10' + f'{0x30 + byte:08b}' + ('11000101' + '00000') * repeats + '0000000'
    bits += '0' * (-len(bits) % 8)
    body = bytes(int(bits[at:at + 8][::-1], 2) for at in range(0, len(bits), 8))
    check = zlib.adler32(bytes([byte]) * (1 + 258 * repeats))
    return b'\x78\x01' + body + struct.pack('>I', check)


def compressed(option, repeats):
    """A subnegotiation of MUD clients' compression, and such a stream."""
    return b'\xff\xfa' + bytes([option]) + b'\xff\xf0' + zlib_stream(ord('A'), repeats)


def telnet():
    iac, do, will, dont, wont, sb, se = (bytes([n]) for n in (255, 253, 251, 254, 252, 250, 240))
    naws = iac + sb + b'\x1f\0\x50\0\x18' + iac + se
    rows = {
        'plain': b'hello\r\nworld\r\0',
        'client': iac + do + b'\x01' + iac + do + b'\x03' + iac + will + b'\x1f' + naws + b'root\r\0',
        'binary': iac + will + b'\0' + b'a\r\nb\r\0' + iac + wont + b'\0' + b'a\r\nb\r\0',
        'escaped': iac + iac + b'x' + iac + iac,
        'commands': b''.join(iac + bytes([n]) for n in range(241, 250)),
        'window-doubled': iac + sb + b'\x1f\0' + iac + iac + b'\x01' + iac + iac + iac + se,
        'window-short': iac + sb + b'\x1f\0P' + iac + se,
        'other-subnegotiation': iac + sb + b'\x18\0xterm' + iac + se,
        'endless-subnegotiation': iac + sb + b'\x1f' + b'x' * 1000,
        'refused-options': b''.join(iac + verb + bytes([n]) for verb in (do, will, dont, wont)
                                    for n in (5, 24, 34, 36, 39, 255)),
        'are-you-there': iac + b'\xf6' + b'x' + (iac + b'\xf6') * 50,
        'compression': iac + will + b'\x56' + iac + sb + b'\x56' + iac + se + b'x',
        'compressed-1-kib': compressed(86, 4),
        'compressed-8-kib': compressed(86, 32),
        'compressed-256-kib': compressed(86, 1024),
        'compressed-agreed': iac + will + b'\x56' + iac + do + b'\x56' + compressed(86, 32),
        'compressed-broken': compressed(86, 32)[:20] + b'x' * 40,
        'compressed-commands': iac + sb + b'\x56' + iac + se + zlib_stream(0x7f, 32) + iac + b'\xf6',
        'compressed-first-version': iac + sb + b'\x55\xfb' + se + zlib_stream(ord('A'), 32),
        'compressed-first-version-repaired': compressed(85, 32),
        'keys': b''.join(b'x' + iac + bytes([n]) for n in range(236, 250)) * 4,
        'enter': b'\r\n\r\0\r\r\n\n\0' + iac + will + b'\0' + b'\r\n\r\0\r' + iac + b'\xf7\n',
        'environment': iac + sb + b'\x27\0\0USER\1root\3x\1\2' + iac + iac + iac + se + b'x',
        'games': iac + sb + b'\x5dzmp.ping\0' + iac + se + iac + sb + b'\x46\1NAME\2a' + iac + se,
        'command-in-subnegotiation': iac + sb + b'\x1f\0P' + iac + b'\xf7' + naws,
        'subnegotiations-nested': (iac + sb + b'\x1f') * 20 + naws,
        'subnegotiation-without-option': iac + sb + iac + se + iac + sb + iac + iac + iac + se,
        'all-escaped': (iac + iac) * 200,
        'cut': b'x' + iac,
    }
    for name, content in rows.items():
        yield f'{name}', b'\x3f' + content
        yield f'{name}-in-pieces', b'\x81' + content
        yield f'{name}-for-data', b'\x62' + content


def terminal():
    """What a guest prints and what a terminal sends, in pieces of each length."""
    st = b'\x1b\\'
    rows = {
        'text': b'login: \xe2\x82\xac\r\n\x1b[1mbold\x1b[m\x1b(0lqk\x1b(B\x0e\x0f',
        'keys': b'a\x1d?\x1d\x1d\x1b[93;5u?\x1b[93;5:1u\x1b[93;5:3u\x1b[46;1:1u\x1b[27;5;93~.',
        'alternate-keys': b'\x1b[1098::93;5u\x1b[47:63;2;63u\x1b[57442;5u\x1b[57442;1:3u',
        'reports': b'\x1d\x1b[5;8R\x1b[?64;1c\x1b[M !!\x1b[<0;1;1M\x1bOP\x1b[[A\x1b[I.',
        'paste': b'\x1d\x1b[200~a.\x1d.\x1b[201~.',
        'modes': b'\x1b[?1049;1000;1006;2004h\x1b[?25l\x1b[?6h\x1b[4h\x1b[12l\x1b=\x1b[2;5r\x1b[5 q',
        'keyboards': b'\x1b[>1u\x1b[?1049h\x1b[>5u\x1b[=3;2u\x1b[<9u\x1b[>4;2m\x1b[>4m',
        'colours': b'\x1b]4;1;red\x07\x1b]11;#000' + st + b'\x1b]104\x07\x1b]8;;http://a?b' + st,
        'resets': b'\x1b[?1000h\x1bc\x1b[?1h\x1b[!p\x1b[?2l\x1b<\x1b%@\x1b G',
        'questions': b'\x1b[6n\x1b[c\x1b[>c\x1b[18t\x1b[?u\x05\x1bZ\x1b[?1$p',
        'questions-in-strings': b'\x1b]11;?' + st + b'\x1bP$qm' + st + b'\x1bP+q544e' + st +
                                b'\x1b_Ga=q;' + st + b'\x1b]1337;ReportCellSize\x07\x1b]52;c;?\x07',
        'no-questions': b'\x1b]0;?\x07\x1b[>4n\x1b[?1c\x1b[22;0t\x1bPq#0' + st + b'\x1b_Ga=T;' + st,
        'eight-bits': b'\x9b6n\xc2\x9b6n\x9d11;?\x9c\x9a\x90$qm\x9c\xc3\x9b6n',
        'cut-off': b'\x1b[6\x1b[5nn\x1b]0;x\x1b[6n\x1b[6\x18n\x1b[\xc3\xa9\x1b]2;x',
        'endless': b'\x1b]4;?' + b'x' * 2000 + b'\x1b[' + b'1;' * 100,
    }
    for name, content in rows.items():
        yield name, b'\x3f' + content
        yield f'{name}-in-pieces', b'\0' + content


def saved_state(*ports, version=1, driver=5, stopped_at=7, more=0):
    content = b''.join(ports)
    return struct.pack('<8sIHHIIQ', b'vhostcon', version, driver, stopped_at, len(ports), 0,
                       32 + len(content) + more) + content


def saved_port(number, kind=0, flags=7, pending=0, name=b'', output=b'', given=(), typed=b'in',
               spill=b''):
    if kind == 2:
        typed = b''
    lengths = given or (len(output), len(typed), len(spill))
    return struct.pack('<IBBBBHHI3Q', number, kind, flags, pending, len(name), 80, 25, 0,
                       *lengths) + name + output + typed + spill


def refused_states():
    one = saved_port(0, output=b'printed')
    data = saved_port(2, 1, name=b'data', output=b'out', spill=b'spill')
    yield 'no-state', b'x' * 64
    yield 'short', saved_state()[:31]
    yield 'version', saved_state(one, version=2)
    yield 'driver', saved_state(one, driver=8)
    yield 'size', saved_state(one, more=1)
    yield 'more', saved_state(one, more=1) + b'x'
    yield 'twice', saved_state(one, one)
    yield 'order', saved_state(data, one)
    yield 'number', saved_state(saved_port(31))
    yield 'kind', saved_state(saved_port(0, 3))
    yield 'flags', saved_state(saved_port(0, flags=4))
    yield 'pending', saved_state(saved_port(0, pending=9))
    yield 'name', saved_state(saved_port(0, name=b'n' * 65))
    yield 'console-with-spill', saved_state(saved_port(0, spill=b'x'))
    yield 'gone-with-output', saved_state(saved_port(0, 2, 0, 4, output=b'x', given=(1, 0, 0)))
    yield 'gone-and-known', saved_state(saved_port(0, 2, 1, 4, given=(0, 0, 0)))
    yield 'length', saved_state(saved_port(0, given=((1 << 64) - 1, 0, 0)))
    yield 'lengths', saved_state(saved_port(0, given=(1 << 63, 1 << 63, 2)))
    yield 'cut-port', saved_state(one[:39])
    yield 'cut-name', saved_state(saved_port(0, name=b'name')[:41], more=0)
    yield 'data-as-a-console', saved_state(saved_port(2, 1, pending=0x10, name=b'data'))


def states():
    """Those that are read. The console of target_state.c has a port without a name, a `named` one
    and `data`; its rings take 4096 bytes of output, 1024 of input and 1024 of spill."""
    one = saved_port(0, output=b'printed')
    named = saved_port(1, name=b'named', output=b'more')
    data = saved_port(2, 1, name=b'data', output=b'out', spill=b'spill')
    gone = saved_port(3, 2, 0, 4)
    much = bytes(range(251)) * 20
    yield 'empty', saved_state(driver=0)
    yield 'one', saved_state(one)
    yield 'all-kinds', saved_state(one, named, data, gone)
    yield 'no-driver', saved_state(one, data, driver=0)
    yield 'another-driver', saved_state(one, named, data, gone, stopped_at=8)
    yield 'a-driver-that-rests', saved_state(one, named, driver=6)
    yield 'messages', saved_state(saved_port(0, pending=0x76),
                                  saved_port(1, flags=0, pending=2, name=b'named'),
                                  saved_port(2, 1, pending=0xc0, name=b'data'))
    yield 'gone-and-another-here', saved_state(one, saved_port(2, 2, 0, 4))
    yield 'gone-beyond', saved_state(one, saved_port(30, 2, 0, 4))
    yield 'none-here', saved_state(one, saved_port(3))
    yield 'another-type', saved_state(one, saved_port(2, name=b'data'))
    yield 'another-name', saved_state(one, saved_port(1, name=b'names'))
    yield 'history-too-long', saved_state(saved_port(0, output=much))
    yield 'input-full', saved_state(saved_port(0, typed=much[:1024]))
    yield 'input-too-long', saved_state(saved_port(0, typed=much[:1025]))
    yield 'data-into-the-spill', saved_state(saved_port(2, 1, name=b'data', output=much))
    yield 'spill-full', saved_state(saved_port(2, 1, name=b'data', spill=much[:1024]))
    yield 'spill-too-long', saved_state(saved_port(2, 1, name=b'data', spill=much[:1025]))
    yield 'data-too-long', saved_state(saved_port(2, 1, name=b'data', output=much,
                                                  spill=much[:101]))


def seeds():
    for group in (rings, tables, changes):
        for name, ring in group():
            yield f'virtq/{name}', ring.bytes()
    for name, content in telnet():
        yield f'telnet/{name}', content
    for name, content in terminal():
        yield f'terminal/{name}', content
    for group in (refused_states, states):
        for name, content in group():
            yield f'state/{name}', content
