"""Sends traffic through a tunnel and compares what arrives: TCP streams, bursts of UDP, raw packets, captures.

Both ends are sockets of this process, each in its namespace, so that the bytes sent and the bytes received are
compared directly. SPDX-License-Identifier: ISC
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
WAIT = 5.0  # s after which a packet that has not arrived is taken as lost
# The size of a burst, and what each datagram counts in it beside its payload. All queues can hold a burst even while the
# daemon does not run: that of a TUN device has 500 packets.
BURST, PACKET_COST = 60000, 300
ETH_P_ALL = 3
PACKET_OUTGOING = 4


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Beside(threading.Thread):
    """Runs a function in a thread from now on; finish() waits for its end and raises the exception that it raised."""

    def __init__(self, function, *args):
        super().__init__()
        self._function, self._args, self._error = function, args, None
        self.start()

    def run(self):
        try:
            self._function(*self._args)
        except Exception as e:  # raised by finish()
            self._error = e

    def finish(self):
        self.join()
        if self._error:
            raise self._error


# -- TCP ----------------------------------------------------------------------


def _pour(ns, source, target, port, size, chunk):
    """Sends `size` bytes, `chunk` bytes per call; returns their digest."""
    digest, block = hashlib.sha256(), os.urandom(1 << 20)
    with ns.call(socket.socket, family_of(target)) as s:
        s.settimeout(30)
        s.bind((source, 0))
        s.connect((target, port))
        for at in range(0, size, chunk):
            begin = at * 7 % (1 << 19)  # so that consecutive chunks differ
            part = block[begin:begin + min(chunk, size - at)]
            digest.update(part)
            s.sendall(part)
    return digest.hexdigest()


def _drink(listener):
    """Accepts a connection and receives to its end; returns the digest and the length of the stream."""
    digest, length = hashlib.sha256(), 0
    with listener.accept()[0] as s:
        s.settimeout(30)
        while part := s.recv(1 << 18):
            digest.update(part)
            length += len(part)
    return digest.hexdigest(), length


def tcp(source_ns, source, target_ns, target, size, port=7000, chunk=1 << 18, window=None):
    """
    Sends one stream through the tunnel; returns Mbit/s, and raises when the bytes that arrive differ. window: the size
    of the receive buffer; a small one keeps the stream from filling the tunnel's queues and displacing other traffic.
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
    """
    Datagrams between one pair of ports. .sent and .got list what was sent and what was received, each as (bytes,
    traffic class).
    """

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
        """Sets the traffic class of the datagrams sent from now on."""
        self.tos = tos
        if self.six:
            self.tx.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, tos)
        else:
            self.tx.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)

    def set_discover(self, how):
        """
        Sets PMTUDISC_DONT, WANT, DO or PROBE: whether the datagrams sent from now on have DF (IPv6: whether they may be
        fragmented).
        """
        if self.six:
            self.tx.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, how)
        else:
            self.tx.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, how)

    def mtu(self):
        """Returns the path MTU that the sender's kernel has for the destination."""
        self.tx.connect(self.peer)
        if self.six:
            return self.tx.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU)
        return self.tx.getsockopt(socket.IPPROTO_IP, IP_MTU)

    def told(self):
        """
        Returns the MTU in an ICMP error that the kernel received for a datagram of this flow (IPv4), or None. The first
        call enables the errors, so call it before sending, too.
        """
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
        """Sends `data` in one UDP_SEGMENT call, which the kernel or the tunnel is to cut into datagrams of `size` bytes."""
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
        Waits for the datagrams sent so far, and raises unless each arrived once, unchanged and in order; then clears
        both lists. Datagrams of different DSCPs may be queued separately on the way (RFC 2983): their order is checked
        per DSCP.
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
    """Describes the first difference of two lists of (bytes, traffic class)."""
    at = next((i for i, (a, b) in enumerate(zip(sent, got)) if a != b), min(len(sent), len(got)))
    there = got[at] if at < len(got) else None
    kind = "other bytes" if there not in sent else "in another order, or twice"
    return (f"{len(sent)} sent, {len(got)} received; number {at} differs: "
            + (f"{kind}: {len(there[0])} bytes, class {there[1]:#x}" if there else "it is missing"))


class Bursts:
    """Sends pseudo-random datagrams of all sizes over some flows, in bursts that fit all queues on the way."""

    def __init__(self, flows, seed):
        self.flows, self.random = flows, random.Random(seed)
        self.whole = flows[0].mtu() - (48 if flows[0].six else 28)  # the largest payload in one packet
        self.count = 0
        self.pool = self.random.randbytes(1 << 17)

    def _bytes(self, size):
        """Returns `size` bytes that begin with a counter, so that datagrams differ as far as their size allows."""
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
        """Sends datagrams of one size on one flow: the daemon can make a train of them, and a super-packet of a run."""
        size = self._size()
        count = self.random.randint(1, max(1, min(40, 20000 // (size + 1))))
        for _ in range(count):
            flow.send(self._bytes(size))
        return (size + PACKET_COST) * count

    def send(self, before=lambda flow: None):
        """
        Sends one burst, of at most a few hundred packets, over all flows. before(flow) is called before each group of
        sends on a flow.
        """
        sent = 0
        while sent < BURST:
            flow = self.random.choice(self.flows)
            before(flow)
            sent += self._segments(flow) if self.random.random() < 0.3 else self._run(flow)

    def burst(self, before=lambda flow: None):
        """Sends one burst and checks that it arrives; returns the number of datagrams."""
        self.send(before)
        number = sum(len(f.sent) for f in self.flows)
        for flow in self.flows:
            flow.settle()
        return number


# -- ICMP ---------------------------------------------------------------------


def echoes(ns, source, target, size, count, pause=0.01):
    """
    Sends echo requests of `size` bytes, and raises unless each is answered with the same bytes. ping(8) is not used: it
    waits only two round-trip times after the last request, which is too short on a busy machine.
    """
    family = family_of(target)
    six = family == socket.AF_INET6
    protocol, request, reply = (socket.IPPROTO_ICMPV6, 128, 129) if six else (socket.IPPROTO_ICMP, 8, 0)
    expected = {i: os.urandom(size) for i in range(count)}
    with ns.call(socket.socket, family, socket.SOCK_RAW, protocol) as s:
        s.bind((source, 0))
        for number, payload in list(expected.items()):
            echo = struct.pack("!BBHHH", request, 0, 0, size, number) + payload
            if not six:  # the kernel computes the checksum of ICMPv6
                echo = echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]
            s.sendto(echo, (target, 0))
            _take_echoes(s, six, reply, expected, time.monotonic() + pause)
        _take_echoes(s, six, reply, expected, time.monotonic() + WAIT)
    if expected:
        raise AssertionError(f"ICMP {source} to {target}: {len(expected)} of {count} echoes of {size} bytes missing")


def _take_echoes(s, six, reply, expected, until):
    """Removes the answered requests from `expected`, until the time `until` or until it is empty."""
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
    """Returns the Internet checksum (RFC 1071) of the bytes."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(source, target, protocol, transport, identification=0):
    """Returns an IP packet with a UDP (17) or TCP (6) datagram, whose checksum it fills in."""
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
    """Returns a data segment with ACK and a timestamp option."""
    head = struct.pack("!HHIIBBHHH", sport, dport, sequence, 1, 8 << 4, 0x10, 1000, 0, 0)
    return packet(source, target, 6, head + b"\x01\x01\x08\x0a" + bytes(7) + b"\x01" + payload, identification)


def spoilt(data, offset):
    """Returns the packet with the byte at `offset` changed, such as one of its checksum."""
    return data[:offset] + bytes([data[offset] ^ 0x5a]) + data[offset + 1:]


class RawSender:
    """Sends whole IP packets unchanged, by the routes of a namespace."""

    def __init__(self, ns, target):
        self.family = family_of(target)
        self.target = target
        self.socket = ns.call(socket.socket, self.family, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(self, data):
        self.socket.sendto(data, (self.target, 0))

    def close(self):
        self.socket.close()


class Tap:
    """Captures the packets that a device receives (a TUN device: that its owner writes), from the IP header on."""

    def __init__(self, ns, device):
        self.socket = ns.call(socket.socket, socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
        self.socket.bind((device, ETH_P_ALL))
        self.socket.setblocking(False)
        self.packets = []

    def take(self):
        """Returns all packets captured so far."""
        while True:
            try:
                data, where = self.socket.recvfrom(1 << 16)
            except BlockingIOError:
                return self.packets
            if where[2] != PACKET_OUTGOING:
                self.packets.append(data)

    def close(self):
        self.socket.close()
