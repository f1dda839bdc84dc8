"""Bytes through a tunnel, compared at the other end: TCP streams, UDP datagrams in bursts, raw packets, captures.

Both ends are sockets of this process, each in its namespace, so that what is sent and what arrives are
compared as values. SPDX-License-Identifier: ISC
"""
import errno
import hashlib
import os
import random
import select
import socket
import struct
import threading
import time

SOL_UDP, UDP_SEGMENT = 17, 103
SO_RCVBUFFORCE, SO_SNDBUFFORCE = 33, 32
IP_MTU, IP_MTU_DISCOVER, IP_RECVERR, IPV6_MTU, IPV6_MTU_DISCOVER = 14, 10, 11, 24, 23
PMTUDISC_DONT, PMTUDISC_WANT, PMTUDISC_DO, PMTUDISC_PROBE = range(4)
WAIT = 5.0  # s until something that does not come is lost
# Of datagrams that are under way at once: no queue is too short for them, as TUN's is for more than 500 packets, even
# when the daemon does not get to run.
BURST, PACKET_COST = 60000, 300
ETH_P_ALL = 3
PACKET_OUTGOING = 4


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Beside(threading.Thread):
    """Runs a function beside the main thread from now on; finish() waits for its end and raises what it raised."""

    def __init__(self, function, *args):
        super().__init__()
        self._function, self._args, self._error = function, args, None
        self.start()

    def run(self):
        try:
            self._function(*self._args)
        except Exception as e:  # told by finish()
            self._error = e

    def finish(self):
        self.join()
        if self._error:
            raise self._error


# -- TCP ----------------------------------------------------------------------


def _pour(ns, source, target, port, size, chunk):
    """Sends size bytes in sends of `chunk`; returns their digest."""
    digest, block = hashlib.sha256(), os.urandom(1 << 20)
    with ns.call(socket.socket, family_of(target)) as s:
        s.settimeout(30)
        s.bind((source, 0))
        s.connect((target, port))
        for at in range(0, size, chunk):
            begin = at * 7 % (1 << 19)  # no two chunks of a MiB are the same
            part = block[begin:begin + min(chunk, size - at)]
            digest.update(part)
            s.sendall(part)
    return digest.hexdigest()


def _drink(listener):
    """Receives a stream to its end; returns its digest and length."""
    digest, length = hashlib.sha256(), 0
    with listener.accept()[0] as s:
        s.settimeout(30)
        while part := s.recv(1 << 18):
            digest.update(part)
            length += len(part)
    return digest.hexdigest(), length


def tcp(source_ns, source, target_ns, target, size, port=7000, chunk=1 << 18, window=None):
    """
    One stream through the tunnel; raises when other bytes arrive. Returns Mbit/s. window: the receive buffer, so that
    the stream fills no queue of the tunnel and what goes beside it is not lost there.
    """
    with target_ns.call(socket.socket, family_of(target)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if window:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        listener.settimeout(WAIT)
        listener.bind((target, port))
        listener.listen(1)
        got = []
        began = time.monotonic()
        receiver = Beside(lambda: got.extend(_drink(listener)))
        try:
            sent = _pour(source_ns, source, target, port, size, chunk)
        finally:
            receiver.join()
        receiver.finish()
    if got != [sent, size]:
        raise AssertionError(f"TCP {source} to {target}: of {size} bytes came {got[1]}, and other ones")
    return size * 8 / (time.monotonic() - began) / 1e6


# -- UDP ----------------------------------------------------------------------


class UdpFlow:
    """Datagrams of one pair of ports. What was sent is in .sent, what came in .got: (bytes, traffic class)."""

    def __init__(self, source_ns, source, target_ns, target, port):
        family = family_of(target)
        self.six = family == socket.AF_INET6
        self.name, self.peer = f"UDP {source} to {target} port {port}", (target, port)
        self.rx = target_ns.call(socket.socket, family, socket.SOCK_DGRAM)
        self.rx.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
        if self.six:
            self.rx.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        else:
            self.rx.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        self.rx.bind((target, port))
        self.rx.setblocking(False)
        self.tx = source_ns.call(socket.socket, family, socket.SOCK_DGRAM)
        self.tx.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 24)
        self.tx.bind((source, 0))
        self.sent, self.got, self.tos, self.df = [], [], 0, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.rx.close()
        self.tx.close()

    def set_tos(self, tos):
        """Traffic class of what is sent from now on."""
        self.tos = tos
        if self.six:
            self.tx.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, tos)
        else:
            self.tx.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)

    def set_discover(self, how):
        """PMTUDISC_DONT, WANT, DO or PROBE: whether what is sent from now on has DF (IPv6: may be cut)."""
        if self.six:
            self.tx.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, how)
        else:
            self.tx.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, how)

    def mtu(self):
        """What the sender's kernel holds for the path."""
        self.tx.connect(self.peer)
        if self.six:
            return self.tx.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU)
        return self.tx.getsockopt(socket.IPPROTO_IP, IP_MTU)

    def told(self):
        """The MTU that an ICMP error for a datagram of ours named (IPv4), or None; to be called before and after."""
        self.tx.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        try:
            ancillary = self.tx.recvmsg(512, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)[1]
        except BlockingIOError:
            return None
        code, origin, _, _, _, info, _ = struct.unpack_from("IBBBBII", ancillary[-1][2])
        return info if (code, origin) == (errno.EMSGSIZE, 2) else None

    def send(self, data):
        self.tx.sendto(data, self.peer)
        self.sent.append((data, self.tos))

    def send_segments(self, data, size):
        """One send that the kernel, or the tunnel, is to cut into datagrams of `size` bytes."""
        self.tx.sendmsg([data], [(SOL_UDP, UDP_SEGMENT, struct.pack("H", size))], 0, self.peer)
        self.sent += [(data[at:at + size], self.tos) for at in range(0, len(data), size)]

    def _take(self):
        while True:
            try:
                data, ancillary, _, _ = self.rx.recvmsg(65536, 64)
            except BlockingIOError:
                return
            self.got.append((data, ancillary[0][2][0]))

    def settle(self, timeout=WAIT):
        """
        Waits for what was sent, and raises unless it came, once, unchanged and in order; forgets it then. What differs
        in DSCP is queued apart on the way (RFC 2983) and has an order only among itself.
        """
        deadline = time.monotonic() + timeout
        self._take()
        while len(self.got) < len(self.sent) and (left := deadline - time.monotonic()) > 0:
            select.select([self.rx], [], [], left)
            self._take()
        for dscp in {tos >> 2 for _, tos in self.sent + self.got}:
            sent, got = ([d for d in side if d[1] >> 2 == dscp] for side in (self.sent, self.got))
            if sent != got:
                raise AssertionError(f"{self.name}, DSCP {dscp}: {difference(sent, got)}")
        self.sent, self.got = [], []


def difference(sent, got):
    """Where two lists of (bytes, traffic class) part, in words."""
    at = next((i for i, (a, b) in enumerate(zip(sent, got)) if a != b), min(len(sent), len(got)))
    there = got[at] if at < len(got) else None
    kind = "other bytes" if there not in sent else "in another order, or twice"
    return (f"{len(sent)} sent, {len(got)} received; number {at} differs: "
            + (f"{kind}: {len(there[0])} bytes, class {there[1]:#x}" if there else "it is missing"))


class Bursts:
    """Seeded datagrams of every size over some flows, in bursts that fit all queues on the way."""

    def __init__(self, flows, seed):
        self.flows, self.random = flows, random.Random(seed)
        self.whole = flows[0].mtu() - (48 if flows[0].six else 28)  # the largest payload in one packet
        self.count = 0
        self.pool = self.random.randbytes(1 << 17)

    def _bytes(self, size):
        """Bytes that differ from one datagram to the next, as far as they can."""
        at = self.random.randrange(1 << 16)
        self.count += 1
        return (struct.pack("!I", self.count) + self.pool[at:at + size])[:size]

    def _size(self):
        whole = self.whole
        kinds = (0, 1, 2, 33, 333, 512, whole - 1, whole, whole + 1, 2 * whole, 4321, 9001)
        return self.random.choice(kinds + (self.random.randint(3, whole),) * 4)

    def _segments(self, flow):
        size = min(self.whole, self.random.choice((1, 7, 100, 333, 1000, self.whole - 1, self.whole)))
        count = self.random.randint(2, min(64, 48000 // size))
        last = self.random.choice((0, 1, size // 2, size - 1))  # 0: an exact multiple
        data = b"".join(self._bytes(size) for _ in range(count - (last > 0))) + self._bytes(last)
        flow.send_segments(data, size)
        return len(data) + PACKET_COST * count

    def _run(self, flow):
        """Datagrams of one size from one flow: what a train and a run are made of."""
        size = self._size()
        count = self.random.randint(1, max(1, min(40, 20000 // (size + 1))))
        for _ in range(count):
            flow.send(self._bytes(size))
        return (size + PACKET_COST) * count

    def send(self, before=lambda flow: None):
        """Some ten kilobytes in a few hundred packets over all flows. before: called for a flow ahead of its sends."""
        sent = 0
        while sent < BURST:
            flow = self.random.choice(self.flows)
            before(flow)
            sent += self._segments(flow) if self.random.random() < 0.3 else self._run(flow)

    def burst(self, before=lambda flow: None):
        """One send() that is compared with what comes; returns the number of datagrams."""
        self.send(before)
        number = sum(len(f.sent) for f in self.flows)
        for flow in self.flows:
            flow.settle()
        return number


# -- ICMP ---------------------------------------------------------------------


def echoes(ns, source, target, size, count, pause=0.01):
    """
    Sends echo requests of `size` bytes, and raises unless each is answered with its own bytes. ping(8) would not do: it
    gives an answer two round trips after the last request, which on a busy machine is no time.
    """
    family = family_of(target)
    six = family == socket.AF_INET6
    protocol, request, reply = (socket.IPPROTO_ICMPV6, 128, 129) if six else (socket.IPPROTO_ICMP, 8, 0)
    expected = {i: os.urandom(size) for i in range(count)}
    with ns.call(socket.socket, family, socket.SOCK_RAW, protocol) as s:
        s.bind((source, 0))
        for number, payload in list(expected.items()):
            echo = struct.pack("!BBHHH", request, 0, 0, size, number) + payload
            if not six:  # the kernel fills in ICMPv6's
                echo = echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]
            s.sendto(echo, (target, 0))
            _take_echoes(s, six, reply, expected, time.monotonic() + pause)
        _take_echoes(s, six, reply, expected, time.monotonic() + WAIT)
    if expected:
        raise AssertionError(f"ICMP {source} to {target}: {len(expected)} of {count} echoes of {size} bytes missing")


def _take_echoes(s, six, reply, expected, until):
    """Strikes from `expected` what is answered; until that time, or until nothing is left."""
    while expected and (left := until - time.monotonic()) > 0:
        if not select.select([s], [], [], left)[0]:
            return
        data = s.recv(1 << 16)
        echo = data if six else data[(data[0] & 15) * 4:]
        kind, _, _, size, number = struct.unpack_from("!BBHHH", echo)
        if kind == reply and size == len(echo) - 8 and expected.get(number) == echo[8:]:
            del expected[number]


# -- raw packets and captures ---------------------------------------------------


def checksum(data):
    """The Internet checksum (RFC 1071) of the bytes."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(source, target, protocol, transport, identification=0):
    """An IP packet of UDP (17) or TCP (6), whose checksum field is filled in."""
    family = family_of(target)
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    at = 6 if protocol == 17 else 16
    pseudo = ends + struct.pack("!II", len(transport), protocol)
    value = checksum(pseudo + transport) or 0xffff
    transport = transport[:at] + struct.pack("!H", value) + transport[at + 2:]
    if family == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, len(transport), protocol, 64) + ends + transport
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(transport), identification, 0x4000, 64, protocol, 0) + ends
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + transport


def udp_packet(source, target, sport, dport, payload, identification=0):
    return packet(source, target, 17, struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload, identification)


def tcp_packet(source, target, sport, dport, sequence, payload, identification=0):
    """A data segment with ACK and a timestamp option."""
    head = struct.pack("!HHIIBBHHH", sport, dport, sequence, 1, 8 << 4, 0x10, 1000, 0, 0)
    return packet(source, target, 6, head + b"\x01\x01\x08\x0a" + bytes(7) + b"\x01" + payload, identification)


def spoilt(data, offset):
    """The packet with another byte there, of the checksum for one."""
    return data[:offset] + bytes([data[offset] ^ 0x5a]) + data[offset + 1:]


class RawSender:
    """Sends whole IP packets as they are, by the routes of a namespace."""

    def __init__(self, ns, target):
        self.family = family_of(target)
        self.target = target
        self.socket = ns.call(socket.socket, self.family, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(self, data):
        self.socket.sendto(data, (self.target, 0))

    def close(self):
        self.socket.close()


class Tap:
    """What a device receives (for a TUN device: what its owner writes), whole packets from the IP header on."""

    def __init__(self, ns, device):
        self.socket = ns.call(socket.socket, socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
        self.socket.bind((device, ETH_P_ALL))
        self.socket.setblocking(False)
        self.packets = []

    def take(self):
        """All that has come so far."""
        while True:
            try:
                data, where = self.socket.recvfrom(1 << 16)
            except BlockingIOError:
                return self.packets
            if where[2] != PACKET_OUTGOING:
                self.packets.append(data)

    def close(self):
        self.socket.close()
