#!/usr/bin/python3
"""Takes a running, unmodified strongSwan through a switchover: sets its outbound ESP
sequence numbers back, through /proc/PID/mem, as if a standby with older state had taken over.

    rewind.py PID --by N [--nonce] [--spi SPI]      set back
    rewind.py PID                                   only show

What is written (names of src/libipsec and src/libstrongswan/crypto/iv of 5.9.8):

    private_esp_context_t          private_iv_gen_t (iv_gen_seq.c; AES-GCM, ChaCha20)
      0  six method pointers         0  three method pointers
     48  aead                       24  prevl  last number that made an IV, low water
     56  last_seqno   <- number     32  prevh  the same with bit 63 set, high water
     60  seqno_index                40  salt (pointer)
     64  window_size = 128
     72  window {ptr, len}: empty when outbound
     88  inbound

An explicit IV is salt XOR number.  The generator does not make an IV twice: for a number
not above prevl it sets bit 63; for one that is then not above prevh it fails, and the
packet is dropped.  So there are two kinds of rewind:

    "number"  sets last_seqno back: the numbers repeat; the IVs have bit 63 set and differ.
              It works once over the same range: the second time, charon sends nothing
              until it has passed the numbers that were already repeated.
    "nonce"   sets prevl and prevh back, too: number and IV, and so the nonce, repeat.

AES-CBC has random IVs and no such generator: only "number" is possible.

To find live contexts, and not stale memory, this program does not search the heap, but
walks charon's own SAD, from the exported symbol `ipsec` of libipsec.so on:

    ipsec -> SA manager -> list of SAs -> entry -> SA (SPI) -> ESP context -> AEAD -> IV generator

Each step checks the shape of what it finds (a run of pointers into the code of the
library that the object belongs to, a window size of 128, an empty window).  scan() finds
contexts by shape alone, in all writable memory, to verify the walk.

So that a write cannot race with charon, charon is stopped for about a millisecond
(SIGSTOP, until all of its threads have stopped).  If a thread uses the SA (`locked`, which
libipsec sets from before it takes a number until the packet is sealed), or the SA awaits
its deletion, charon runs on and the rewind is tried again.
"""

import argparse
import os
import re
import signal
import struct
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass

WINDOW_SIZE = 128
IV_UNUSED = (1 << 64) - 1       # prevl and prevh before their first use
IV_HIGH = 1 << 63
_MAX_RUN = 64                   # method pointers counted at most
_MAX_SAS = 10000


class RewindError(Exception):
    """The memory does not look like strongSwan's, or an SA cannot be rewound; the text says why."""


@dataclass(frozen=True)
class Sa:
    """One ESP SA of charon's SAD, as found in memory."""

    spi: int
    inbound: bool
    number: int                 # last sequence number used (inbound: highest received)
    iv_low: int | None          # prevl; None: IVs are random (AES-CBC); IV_UNUSED: no IV made yet
    iv_high: int | None         # prevh
    busy: bool                  # in use by a thread, or about to be deleted
    context: int                # address; so is iv_generator
    iv_generator: int | None


@dataclass(frozen=True)
class Rewound:
    """What rewind() did to one SA."""

    spi: int
    old: int                    # the last number used before ...
    new: int                    # ... and after: the next packet has new + 1
    nonces_repeat: bool
    at: float                   # time.time() of the rewind
    paused: float               # seconds for which charon was stopped


class _Memory:
    """The memory of a process, and the code ranges of its libraries."""

    def __init__(self, pid):
        self.pid = pid
        self._file = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        self.maps = []          # (start, end, permissions, path)
        with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as file:
            for line in file:
                where, permissions, _, _, _, *path = line.split(maxsplit=5)
                start, end = (int(part, 16) for part in where.split("-"))
                self.maps.append((start, end, permissions, path[0].strip() if path else ""))

    def close(self):
        os.close(self._file)

    def read(self, address, length):
        try:
            data = os.pread(self._file, length, address)
        except (OSError, OverflowError) as error:
            raise RewindError(f"cannot read {address:#x}: {error}") from None
        if len(data) != length:
            raise RewindError(f"cannot read {address:#x}")
        return data

    def words(self, address, count):
        return struct.unpack(f"<{count}Q", self.read(address, 8 * count))

    def word(self, address):
        return self.words(address, 1)[0]

    def write(self, address, data):
        if os.pwrite(self._file, data, address) != len(data):
            raise RewindError(f"cannot write {address:#x}")

    def library(self, name):
        """Returns (path, base address, [code ranges]) of the mapped library NAME.so."""
        mine = [m for m in self.maps if os.path.basename(m[3]).startswith(f"{name}.so")]
        if not mine:
            raise RewindError(f"process {self.pid} has no {name}.so: not a charon with kernel-libipsec")
        code = [range(start, end) for start, end, permissions, _ in mine if "x" in permissions]
        return mine[0][3], mine[0][0], code

    def methods(self, address, code=None):
        """Returns how many method pointers an object begins with; code: ranges they must be in."""
        if code is None:
            code = [range(start, end) for start, end, permissions, _ in self.maps
                    if "x" in permissions]
        count = 0
        while count < _MAX_RUN and any(self.word(address + 8 * count) in c for c in code):
            count += 1
        return count


def _symbol(path, name):
    """Returns the value of a symbol that a 64-bit ELF library exports."""
    with open(path, "rb") as file:
        elf = file.read()
    if elf[:5] != b"\x7fELF\x02":
        raise RewindError(f"{path} is no 64-bit ELF file")
    table, = struct.unpack_from("<Q", elf, 40)
    size, count = struct.unpack_from("<HH", elf, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", elf, table + i * size) for i in range(count)]
    for _, kind, _, _, offset, length, link, *_ in sections:
        if kind != 11:                                  # SHT_DYNSYM
            continue
        strings = sections[link][4]
        for at in range(offset, offset + length, 24):
            label, _, _, section, value, _ = struct.unpack_from("<IBBHQQ", elf, at)
            start = strings + label
            if section and elf[start:elf.index(b"\0", start)] == name.encode():
                return value
    raise RewindError(f"{path} exports no symbol {name}")


class _Daemon:
    """Walks the SAD of one charon."""

    def __init__(self, memory):
        self.memory = memory
        path, base, self._ipsec = memory.library("libipsec")
        _, _, self._strongswan = memory.library("libstrongswan")
        self._root = memory.word(base + _symbol(path, "ipsec"))

    def sas(self):
        """Returns all SAs as [Sa]; raises RewindError when an object does not have the expected shape."""
        found = []
        for entry in self._entries():
            sa, flags, _, waiting = self.memory.words(entry, 4)
            busy = bool(flags & 0xff) or bool(waiting >> 32 & 0xff)
            found.append(self._sa(sa, busy))
        return found

    def _entries(self):
        """Yields the SAD's entries. The manager is the member of `ipsec` with 10 methods; its list follows them."""
        for manager in self.memory.words(self._root, 4):
            if self.memory.methods(manager, self._ipsec) == 10:
                break
        else:
            raise RewindError("no SA manager found: another version of strongSwan?")
        sas = self.memory.word(manager + 80)
        header = sas + 8 * self.memory.methods(sas, self._strongswan)
        count, element, _ = self.memory.words(header, 3)
        if header == sas or count > _MAX_SAS:
            raise RewindError("no list of SAs found: another version of strongSwan?")
        for _ in range(count):
            entry, _, element = self.memory.words(element, 3)
            yield entry

    def _sa(self, sa, busy):
        methods = self.memory.methods(sa, self._ipsec)
        spi = struct.unpack(">I", self.memory.read(sa + 8 * methods, 4))[0]
        for pointer in self.memory.words(sa + 8 * methods, 32):
            if context := read_context(self.memory, pointer, self._ipsec):
                number, inbound, aead = context
                break
        else:
            raise RewindError(f"SA {spi:08x}: no ESP context found: another version of strongSwan?")
        generator = None if inbound else self._iv_generator(aead)
        low, high = self.memory.words(generator + 24, 2) if generator else (None, None)
        return Sa(spi, inbound, number, low, high, busy, pointer, generator)

    def _iv_generator(self, aead):
        """Returns the sequential IV generator that an AEAD owns, or None if its IVs are random."""
        members = self.memory.methods(aead)
        for pointer in self.memory.words(aead + 8 * members, 16):
            try:
                if self.memory.methods(pointer, self._strongswan) != 3:
                    continue
                low, high, salt = self.memory.words(pointer + 24, 3)
                self.memory.read(salt, 8)
            except RewindError:
                continue                                # not a pointer
            if (low == IV_UNUSED or low < 1 << 32) and (high == IV_UNUSED or high >> 32 == 1 << 31):
                return pointer
        return None


def read_context(memory, address, code):
    """Returns (number, inbound, aead) if an ESP context is at that address, else None."""
    try:
        if memory.methods(address, code) != 6:
            return None
        aead, number, _, size, _, window, length, inbound = struct.unpack(
            "<QIIIIQQB", memory.read(address + 48, 41))
    except RewindError:
        return None                                     # not a pointer
    empty = not window and not length
    if size != WINDOW_SIZE or inbound > 1 or empty == bool(inbound) or not aead:
        return None
    return number, bool(inbound), aead


@contextmanager
def _opened(pid):
    memory = _Memory(pid)
    try:
        yield memory
    finally:
        memory.close()


@contextmanager
def _frozen(pid):
    """Stops charon during the with-block and yields its memory; raises if the process is not a charon."""
    with _opened(pid) as memory:
        memory.library("libipsec")
        with _stopped(pid):
            yield memory


@contextmanager
def _stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 2
        while any(state not in "TtZX" for state in _thread_states(pid)):
            if time.monotonic() > deadline:
                raise RewindError(f"process {pid} does not stop")
            time.sleep(0.0001)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _thread_states(pid):
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii", errors="replace") as file:
                yield file.read().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            pass                                        # the thread has ended


def show(pid):
    """Returns all ESP SAs of a charon as [Sa], in the order of its SAD."""
    with _frozen(pid) as memory:
        return _Daemon(memory).sas()


def scan(pid):
    """Returns the addresses of all outbound ESP contexts, found by shape alone in all writable memory.

    charon runs meanwhile, so that contexts made or freed during the scan may be missed or listed.
    """
    with _opened(pid) as memory:
        _, _, code = memory.library("libipsec")
        uppers = {address >> 16 for part in code for address in range(part.start, part.stop, 4096)}
        upper = b"|".join(re.escape(struct.pack("<Q", u)[:6]) for u in uppers)
        methods = re.compile(b"(?:..(?:" + upper + b")){6,}", re.DOTALL)
        found = []
        for start, end, permissions, path in memory.maps:
            if not permissions.startswith("rw") or path.startswith("/") or end - start > 1 << 27:
                continue
            try:
                data = memory.read(start, end - start)
            except RewindError:
                continue                                # unmapped meanwhile
            for match in methods.finditer(data):
                context = read_context(memory, start + match.start(), code)
                if context and not context[1]:
                    found.append(start + match.start())
        return found


def rewind(pid, by=None, which="number", spi=None, to=None):
    """Set the sequence numbers of all outbound SAs, or of that with this SPI, back; returns [Rewound].

    by: how far (at most to 0; a negative value jumps forward), or to: the number that is
    then the last one used.  which: "number" or "nonce", see above.  Raises RewindError and
    writes nothing if there is no such SA, or if "nonce" is asked of an SA with random IVs.
    """
    if which not in ("number", "nonce") or (by is None) == (to is None):
        raise ValueError("which is number or nonce; give either by or to")
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with _frozen(pid) as memory:
            stood = time.monotonic()
            chosen = [sa for sa in _Daemon(memory).sas()
                      if not sa.inbound and spi in (None, sa.spi)]
            if not chosen:
                raise RewindError(f"process {pid} has no outbound SA"
                                  + (f" {spi:08x}" if spi is not None else ""))
            for sa in chosen:
                if which == "nonce" and sa.iv_generator is None:
                    raise RewindError(f"SA {sa.spi:08x} has random IVs")
            if not any(sa.busy for sa in chosen):
                return [_rewind_one(memory, sa, sa.number - by if to is None else to,
                                    which == "nonce", stood) for sa in chosen]
        time.sleep(0.001)
    raise RewindError(f"process {pid} is too busy")


def _rewind_one(memory, sa, number, nonce, stood):
    number = min(max(number, 0), (1 << 32) - 1)
    if nonce and sa.iv_low != IV_UNUSED:
        high = sa.iv_high if sa.iv_high == IV_UNUSED else min(sa.iv_high, number | IV_HIGH)
        memory.write(sa.iv_generator + 24, struct.pack("<QQ", number, high))
    memory.write(sa.context + 56, struct.pack("<I", number))
    return Rewound(sa.spi, sa.number, number, nonce, time.time(), time.monotonic() - stood)


def _water(value):
    return "unused" if value == IV_UNUSED else str(value & ~IV_HIGH)


def main(argv=None):
    """The command line program; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("pid", type=int)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--by", type=int, metavar="N", help="set back by N (negative: jump forward)")
    group.add_argument("--to", type=int, metavar="N", help="set to N")
    parser.add_argument("--nonce", action="store_true", help="the IV generator too: nonces repeat")
    parser.add_argument("--spi", type=lambda text: int(text, 16), help="only this SPI (hex)")
    args = parser.parse_args(argv)
    try:
        for sa in show(args.pid):
            way = "in " if sa.inbound else "out"
            ivs = ("" if sa.inbound else " IVs random" if sa.iv_generator is None else
                   f" IVs low {_water(sa.iv_low)} high {_water(sa.iv_high)}")
            print(f"found {way} {sa.spi:08x} number {sa.number}{ivs} at {sa.context:#x}")
        if args.by is None and args.to is None:
            return 0
        for done in rewind(args.pid, args.by, "nonce" if args.nonce else "number", args.spi, args.to):
            print(f"wrote out {done.spi:08x} number {done.old} -> {done.new}"
                  f"{', nonces repeat' if done.nonces_repeat else ''}"
                  f", charon stood {done.paused * 1000:.1f} ms")
    except (RewindError, OSError) as error:
        print(f"rewind.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
