#!/usr/bin/python3
"""Shows the kernel's ESP SAs, and changes the sequence number of one. SPDX-License-Identifier: ISC

    xfrm_state.py list                  all SAs, as a JSON list
    xfrm_state.py rewind SPI BY         sets the number back by BY: XFRM_MSG_NEWAE, as a daemon that synchronizes SAs does
    xfrm_state.py set SPI NUMBER        sets the number to NUMBER in the same way
    xfrm_state.py install SPI BY        deletes the SA and adds it again with a number that is lower by BY, as the standby
                                        of a cluster has it. The kernel then starts another sequence of IVs
    xfrm_state.py flush                 deletes all SAs and policies

SPI is hexadecimal. A number is 64 bits long for an SA with ESN. Runs inside the machine of uml.py. The structures are
those of linux/xfrm.h; XFRMA_REPLAY_ESN_VAL holds the numbers of an SA with ESN or with a window of more than 32, and
XFRMA_REPLAY_VAL those of any other.
"""
import json
import os
import socket
import struct
import sys

NEWSA, DELSA, GETSA, UPDSA, FLUSHSA, FLUSHPOLICY, NEWAE, GETAE = 0x10, 0x11, 0x12, 0x1a, 0x1c, 0x1d, 0x1e, 0x1f
REQUEST, ACK, REPLACE, DUMP, CREATE, EXCL = 1, 4, 0x100, 0x300, 0x400, 0x200
ERROR, DONE = 2, 3
NETLINK_XFRM = 6
ENCAP, REPLAY_VAL, REPLAY_ESN_VAL = 4, 10, 23
STATE_ESN = 128                         # XFRM_STATE_ESN
USERSA_INFO = 224                       # octets
# in struct xfrm_usersa_info, from its start
DADDR, SPI, PROTO, SADDR, FAMILY, MODE, WINDOW, FLAGS = 56, 72, 76, 80, 212, 214, 215, 216
ESN_OSEQ = 4                            # in struct xfrm_replay_state_esn: bmp_len, oseq, seq, oseq_hi, seq_hi, window
OSEQ = 0                                # in struct xfrm_replay_state: oseq, seq, bitmap


class Xfrm:
    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM)
        self.socket.bind((0, 0))
        self.socket.settimeout(5)

    def ask(self, kind, flags, body):
        """Sends a request; returns the bodies of the messages that answer it. Raises OSError."""
        self.socket.send(struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, 1, 0) + body)
        bodies = []
        while True:
            data = self.socket.recv(1 << 20)
            while data:
                length, kind, _, _, _ = struct.unpack_from("=IHHII", data)
                body, data = data[16:length], data[(length + 3) & ~3:]
                if kind == ERROR:
                    error = -struct.unpack_from("=i", body)[0]
                    if error:
                        raise OSError(error, os.strerror(error))
                    return bodies
                if kind == DONE:
                    return bodies
                bodies.append(body)
                if not flags & (DUMP | ACK):
                    return bodies

    def states(self):
        """Returns all SAs, as [(struct xfrm_usersa_info, {attribute: value})]."""
        return [(body[:USERSA_INFO], attributes(body[USERSA_INFO:])) for body in self.ask(GETSA, DUMP, b"")]


def attributes(data):
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        found[kind] = data[4:length]
        data = data[(length + 3) & ~3:]
    return found


def packed(found):
    out = b""
    for kind, value in found.items():
        out += struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
    return out


def number(info, found):
    """Returns the number of the last packet sent."""
    if REPLAY_ESN_VAL not in found:
        return struct.unpack_from("=I", found.get(REPLAY_VAL, bytes(12)))[0]
    _, low, _, high = struct.unpack_from("=IIII", found[REPLAY_ESN_VAL])
    return low | (high << 32 if info[FLAGS] & STATE_ESN else 0)


def with_number(found, value):
    """Returns the replay attribute with another number of the last packet sent."""
    if REPLAY_ESN_VAL in found:
        replay = bytearray(found[REPLAY_ESN_VAL])
        struct.pack_into("=I", replay, ESN_OSEQ, value & 0xffffffff)
        struct.pack_into("=I", replay, ESN_OSEQ + 8, value >> 32)
        return {REPLAY_ESN_VAL: bytes(replay)}
    replay = bytearray(found.get(REPLAY_VAL, bytes(12)))
    struct.pack_into("=I", replay, OSEQ, value)
    return {REPLAY_VAL: bytes(replay)}


def shown(info, found):
    family = struct.unpack_from("=H", info, FAMILY)[0]
    size = 4 if family == socket.AF_INET else 16
    replay = found.get(REPLAY_ESN_VAL)
    return {"spi": info[SPI:SPI + 4].hex(), "source": socket.inet_ntop(family, info[SADDR:SADDR + size]),
            "destination": socket.inet_ntop(family, info[DADDR:DADDR + size]), "number": number(info, found),
            "window": struct.unpack_from("=I", replay, 20)[0] if replay else info[WINDOW],
            "esn": bool(info[FLAGS] & STATE_ESN), "udp": ENCAP in found}


def identity(info):
    """Returns the struct xfrm_usersa_id of an SA."""
    return info[DADDR:DADDR + 16] + info[SPI:SPI + 4] + info[FAMILY:FAMILY + 2] + info[PROTO:PROTO + 1] + b"\0"


def lower(now, by):
    if by > now:
        raise SystemExit(f"the number is {now}, which cannot be set back by {by}")
    return now - by


def change(xfrm, info, value_of):
    """Sets the number to value_of(number) by XFRM_MSG_NEWAE; returns it."""
    # struct xfrm_aevent_id: sa_id, saddr, flags, reqid. The number in a dump may be old; this one is not.
    aevent = identity(info) + info[SADDR:SADDR + 16] + bytes(8)
    fresh = attributes(xfrm.ask(GETAE, 0, aevent)[0][len(aevent):])
    value = value_of(number(info, fresh))
    xfrm.ask(NEWAE, ACK | REPLACE, aevent + packed(with_number(fresh, value)))
    return value


def rewind(xfrm, info, _found, by):
    return change(xfrm, info, lambda now: lower(now, by))


def set_number(xfrm, info, _found, value):
    return change(xfrm, info, lambda _: value)


def install(xfrm, info, found, by):
    value = lower(number(info, found), by)
    xfrm.ask(DELSA, ACK, identity(info))
    state = info + packed({**found, **with_number(found, value)})
    try:
        xfrm.ask(NEWSA, ACK | CREATE | EXCL, state)
    except FileExistsError:             # a packet in between left a larval SA, with the SPI of the policy's template
        xfrm.ask(UPDSA, ACK, state)
    return value


def flush(xfrm):
    xfrm.ask(FLUSHSA, ACK, b"\0")
    try:
        xfrm.ask(FLUSHPOLICY, ACK, b"")
    except OSError as error:
        if error.errno != 3:            # ESRCH: there is none
            raise


CHANGES = {"rewind": rewind, "set": set_number, "install": install}


def main(argv):
    xfrm = Xfrm()
    if argv == ["list"]:
        print(json.dumps([shown(*state) for state in xfrm.states()]))
    elif argv == ["flush"]:
        flush(xfrm)
    elif len(argv) == 3 and argv[0] in CHANGES:
        matching = [s for s in xfrm.states() if int(s[0][SPI:SPI + 4].hex(), 16) == int(argv[1], 16)]
        if len(matching) != 1:
            raise SystemExit(f"{len(matching)} SAs with SPI {argv[1]}")
        print(CHANGES[argv[0]](xfrm, *matching[0], int(argv[2])))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
