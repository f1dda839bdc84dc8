"""Captures IKE messages on a link whose rate is too high to capture all packets. SPDX-License-Identifier: ISC"""
import ctypes
import socket
import struct
import threading

SO_ATTACH_FILTER = 26
SO_TIMESTAMPNS = 35
ETH_P_ALL = 3
CREATE_CHILD_SA = 36
INITIATOR, RESPONSE = 0x08, 0x20  # flags of the IKE header (RFC 7296 3.1)

# Classic BPF for packets that begin with their IPv4 header: accepts UDP to port 4500 whose first word is the non-ESP
# marker (RFC 3948 2.2). (code, jump if true, jump if false, operand)
IKE_FILTER = [
    (0x30, 0, 0, 9),        # ldb [9]           protocol
    (0x15, 0, 5, 17),       # jeq #17           else refuse
    (0xb1, 0, 0, 0),        # ldx 4*([0]&0xf)   length of the IPv4 header
    (0x48, 0, 0, 2),        # ldh [x+2]         destination port
    (0x15, 0, 2, 4500),     # jeq #4500         else refuse
    (0x40, 0, 0, 8),        # ld [x+8]          marker
    (0x15, 1, 0, 0),        # jeq #0            accept
    (0x06, 0, 0, 0),        # ret #0            refuse
    (0x06, 0, 0, 0xffff),   # ret #65535        accept
]


def attach(sock, steps):
    """Attaches a classic BPF program to a socket (struct sock_fprog)."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(steps), ctypes.addressof(code)))


def parse(packet):
    """Returns (SPI of the initiator, exchange, flags, message ID) of an IPv4 packet that the filter has accepted."""
    at = (packet[0] & 15) * 4 + 8 + 4
    if len(packet) < at + 28:
        return None
    return packet[at:at + 8], packet[at + 18], packet[at + 19], packet[at + 20:at + 24]


class IkeSniffer:
    """seen: [(time in seconds, SPI of the initiator, exchange, flags, message ID)], in both directions of the device."""

    def __init__(self, ns, device):
        self.seen = []
        self._socket = ns.call(self._open, device)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @staticmethod
    def _open(device):
        # without a protocol, so that it receives nothing before bind(); SOCK_DGRAM: packets begin with the IP header
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        attach(sock, IKE_FILTER)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.bind((device, ETH_P_ALL))
        sock.settimeout(0.1)
        return sock

    def _run(self):
        while not self._end.is_set():
            try:
                data, ancillary, _, _ = self._socket.recvmsg(4096, 64)
            except TimeoutError:
                continue
            message = parse(data)
            stamps = [value for level, kind, value in ancillary
                      if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS]
            if message and stamps:
                seconds, nanoseconds = struct.unpack("@ll", stamps[0][:struct.calcsize("@ll")])
                self.seen.append((seconds + nanoseconds / 1e9, *message))

    def stop(self):
        self._end.set()
        self._thread.join()
        self._socket.close()
        return self.seen


def exchanges(seen, kind=CREATE_CHILD_SA):
    """Pairs requests and responses; returns {"ms": [time between them], "sent_again": number of retransmitted requests,
    "open": number of requests without a response}."""
    asked, answered, again = {}, {}, 0
    for when, spi, exchange, flags, number in seen:
        if exchange != kind:
            continue
        if not flags & RESPONSE:
            key = (spi, number, flags & INITIATOR)
            again += key in asked
            asked.setdefault(key, when)
        else:  # sent by the other side
            key = (spi, number, flags & INITIATOR ^ INITIATOR)
            if key in asked:
                answered.setdefault(key, when)
    return {"ms": [(when - asked[key]) * 1e3 for key, when in answered.items()], "sent_again": again,
            "open": len(asked) - len(answered)}
