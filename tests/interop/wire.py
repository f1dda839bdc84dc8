"""Captures packets with tcpdump, and decrypts and checks them with tshark.

The keys come from strongSwan's log (chd = 4), or from Mendip's option key_log.
SPDX-License-Identifier: ISC
"""
import signal
import struct
from collections import Counter
from dataclasses import dataclass, field

import testbed

# tshark's names of (encryption, authentication) for each proposal
ALGORITHMS = {
    "aes128gcm16": ("AES-GCM with 16 octet ICV [RFC4106]", "NULL"),
    "aes256gcm16": ("AES-GCM with 16 octet ICV [RFC4106]", "NULL"),
    "aes128-sha256": ("AES-CBC [RFC3602]", "HMAC-SHA-256-128 [RFC4868]"),
    "aes256-sha256": ("AES-CBC [RFC3602]", "HMAC-SHA-256-128 [RFC4868]"),
}
PLAIN_PORTS = "7000-7999"  # the tests' ports: tshark must not dissect their payloads, which are random
# and of those of IKE
IKE_ALGORITHMS = {
    "aes128-sha256-x25519": ("AES-CBC-128 [RFC3602]", "HMAC_SHA2_256_128 [RFC4868]"),
    "aes256gcm16-prfsha384-ecp256": ("AES-GCM-256 with 16 octet ICV [RFC5282]", "NONE [RFC4306]"),
}
LAYERS = ("ip", "udp", "tcp", "icmp", "icmpv6")
FILE_HEADER, FRAME_HEADER = 24, 16  # lengths of a pcap file's headers, in bytes
NATT = (4500).to_bytes(2, "big")
BAD, GOOD = "0", "1"  # values of *.checksum.status
INIT = "34"
YES = ("1", "True")  # true, as written by tshark 4.0 (Debian 12) and 4.4 (Debian 13)


class Capture:
    """
    Captures what a device receives (direction "inout": what it sends, too), with tcpdump, until stop(), which raises if
    the kernel dropped a frame.
    """

    def __init__(self, bed, ns, device="eth0", direction="in"):
        self.path, self._log = bed.path(f"{ns.short}-{device}.pcap"), bed.path(f"{ns.short}-{device}.tcpdump")
        self._process = ns.popen("tcpdump", "-i", device, "-Q", direction, "-Z", "root", "-B", "32768", "-s", "0", "-U",
                                 "-w", self.path, log=self._log)
        if not testbed.wait_until(lambda: "listening on" in self._said()):
            raise testbed.TestbedError(f"tcpdump: {self._said()}")

    def _said(self):
        with open(self._log, encoding="utf-8") as f:
            return f.read()

    def stop(self, esp, timeout=5):
        """Ends the capture when the file has `esp` ESP packets, or after `timeout`; returns the path of the file."""
        testbed.wait_until(lambda: sum(map(is_esp, frames(self.path))) >= esp, timeout)
        self._process.send_signal(signal.SIGINT)
        self._process.wait(10)
        if "\n0 packets dropped by kernel" not in self._said():
            raise testbed.TestbedError(f"tcpdump: {self._said()}")
        return self.path


@dataclass
class Seen:
    """What tshark found in a capture: frame numbers of what is bad, and counts of what is good."""

    numbers: Counter = field(default_factory=Counter)   # (SPI, sequence number)
    bad_icv: list = field(default_factory=list)
    unchecked: list = field(default_factory=list)       # ESP packets whose ICV was not checked
    bad_checksum: list = field(default_factory=list)    # (frame, layer)
    good: Counter = field(default_factory=Counter)      # by "icv" and LAYERS
    longest: int = 0

    def duplicates(self):
        return [n for n, count in self.numbers.items() if count > 1]


def sa_option(esp, spi, encryption, integrity=b""):
    """Returns a row of tshark's table of SAs, as an option."""
    cipher, auth = ALGORITHMS[esp]
    keys = ["0x" + key.hex() if key else "" for key in (encryption, integrity)]
    row = ("IPv4", "*", "*", f"0x{spi:08x}", cipher, keys[0], auth, keys[1])
    return "uat:esp_sa:" + ",".join(f'"{value}"' for value in row)


def _tshark(path, sas):
    """Returns a dict of fields per frame."""
    fields = ["frame.number", "frame.len", "esp.spi", "esp.sequence", "esp.icv_good", "esp.icv_bad",
              *(f"{layer}.checksum.status" for layer in LAYERS)]
    options = ["esp.enable_encryption_decode:TRUE", "esp.enable_authentication_check:TRUE", "ip.check_checksum:TRUE",
               "udp.check_checksum:TRUE", "tcp.check_checksum:TRUE", "tcp.desegment_tcp_streams:FALSE",
               "tcp.analyze_sequence_numbers:FALSE", *sas]  # analysis of streams would hide ESP's fields
    done = testbed.run("tshark", "-n", "-r", path, "-d", f"udp.port=={PLAIN_PORTS},data", "-d",
                      f"tcp.port=={PLAIN_PORTS},data", *(a for option in options for a in ("-o", option)),
                      "-T", "fields", *(a for name in fields for a in ("-e", name)), timeout=120)
    return [dict(zip(fields, line.split("\t"))) for line in done.stdout.splitlines()]


def look(path, *sas):
    """Decrypts and checks a capture with SAs made by sa_option(); returns Seen."""
    seen = Seen()
    for row in _tshark(path, sas):
        number = int(row["frame.number"])
        seen.longest = max(seen.longest, int(row["frame.len"]))
        if row["esp.spi"]:
            seen.numbers[row["esp.spi"], int(row["esp.sequence"])] += 1
            if row["esp.icv_bad"] in YES:
                seen.bad_icv.append(number)
            elif row["esp.icv_good"] in YES:
                seen.good["icv"] += 1
            else:
                seen.unchecked.append(number)
        for layer in LAYERS:
            statuses = row[f"{layer}.checksum.status"].split(",")
            seen.good[layer] += statuses.count(GOOD)
            if BAD in statuses:
                seen.bad_checksum.append((number, layer))
    return seen


@dataclass
class SeenIke:
    """What tshark found of IKE in a capture: frame numbers of what is bad, and what messages hold."""

    bad: list = field(default_factory=list)             # malformed, or not decrypted
    fragments: list = field(default_factory=list)       # (exchange, message ID, number, total)
    payloads: dict = field(default_factory=dict)        # (exchange, response?) to the types in the last complete message
    longest: int = 0                                    # IP datagram of a fragment


def ike_option(ike, spi_i, spi_r, keys):
    """Returns a row of tshark's table of IKE SAs, as an option; keys: Charon.ike_keys()."""
    cipher, auth = IKE_ALGORITHMS[ike]
    row = (spi_i, spi_r, keys["Sk_ei"].hex(), keys["Sk_er"].hex(), cipher, keys.get("Sk_ai", b"").hex(),
           keys.get("Sk_ar", b"").hex(), auth)
    return "uat:ikev2_decryption_table:" + ",".join(f'"{value}"' if i in (4, 7) else value for i, value in enumerate(row))


def look_ike(path, *sas):
    """Decrypts the IKE messages of a capture, puts fragments together, and returns SeenIke."""
    fields = ["frame.number", "ip.len", "isakmp.exchangetype", "isakmp.flag_r", "isakmp.messageid",
              "isakmp.typepayload", "isakmp.frag.number", "isakmp.frag.total", "isakmp.enc.decrypted",
              "isakmp.reassembled.length", "_ws.malformed", "isakmp.fragment.error", "isakmp.fragment_number.invalid"]
    done = testbed.run("tshark", "-n", "-r", path, "-Y", "isakmp", *(a for sa in sas for a in ("-o", sa)), "-T", "fields",
                       *(a for name in fields for a in ("-e", name)), timeout=120)
    seen = SeenIke()
    for line in done.stdout.splitlines():
        row = dict(zip(fields, line.split("\t")))
        exchange, number = row["isakmp.exchangetype"], int(row["frame.number"])
        if not exchange or exchange == INIT:
            continue
        types = [int(t) for t in row["isakmp.typepayload"].split(",") if t]
        part = row["isakmp.frag.number"]
        whole = not part or row["isakmp.reassembled.length"]
        if not row["isakmp.enc.decrypted"] or row["_ws.malformed"] or row["isakmp.fragment.error"] or row[
                "isakmp.fragment_number.invalid"]:
            seen.bad.append(number)
        if part:
            seen.fragments.append((int(exchange), int(row["isakmp.messageid"], 16), int(part),
                                   int(row["isakmp.frag.total"])))
            seen.longest = max(seen.longest, int(row["ip.len"]))
        if whole:
            seen.payloads[int(exchange), row["isakmp.flag_r"] in YES] = types
    return seen


@dataclass
class Shown:
    """What tshark shows of a capture with the keys in a folder."""

    malformed: list = field(default_factory=list)       # frames
    payloads: set = field(default_factory=set)          # names of IKEv2 payloads, those inside SK too
    closed: list = field(default_factory=list)          # frames with an SK payload in which nothing is seen
    icmp: int = 0                                       # packets inside ESP


PAYLOADS = {33: "SA", 34: "KE", 35: "IDi", 36: "IDr", 37: "CERT", 38: "CERTREQ", 39: "AUTH", 40: "Nonce", 41: "N", 42: "D",
            43: "V", 44: "TSi", 45: "TSr", 46: "SK", 47: "CP", 48: "EAP", 53: "SKF"}


def decrypted_by(folder, path):
    """Decrypts a capture by the tables that key_log wrote to the folder, which is tshark's profile; returns Shown."""
    shown = Shown()
    fields = ["frame.number", "isakmp.nextpayload", "isakmp.exchangetype", "icmp.type", "_ws.malformed"]
    done = testbed.run("env", f"WIRESHARK_CONFIG_DIR={folder}", "tshark", "-n", "-r", path, "-o",
                       "esp.enable_encryption_decode:TRUE", "-T", "fields", *(a for f in fields for a in ("-e", f)),
                       timeout=120)
    for line in done.stdout.splitlines():
        row = dict(zip(fields, line.split("\t")))
        kinds = [PAYLOADS.get(int(n), n) for n in row["isakmp.nextpayload"].split(",") if n and n != "0"]
        shown.payloads |= set(kinds)
        if "SK" in kinds and kinds[-1] == "SK":
            shown.closed.append(int(row["frame.number"]))
        shown.icmp += row["icmp.type"] != ""
        if row["_ws.malformed"]:
            shown.malformed.append(int(row["frame.number"]))
    return shown


def frames(path):
    """Yields the complete frames in a capture file, which may still be written."""
    with open(path, "rb") as file:
        data = file.read()
    at = FILE_HEADER
    while at + FRAME_HEADER <= len(data):
        length = struct.unpack_from("I", data, at + 8)[0]
        at += FRAME_HEADER + length
        if at <= len(data):
            yield data[at - length:at]


def is_esp(frame):
    """Returns whether a frame has ESP in UDP: to port 4500, and neither IKE nor a keepalive (RFC 3948 2)."""
    return (len(frame) > 60 and frame[12:14] == b"\x08\0" and frame[23] == 17 and frame[36:38] == NATT
            and frame[42:46] != bytes(4))


def flip(path, number, offset):
    """Flips a bit of frame `number` (from 1, as tshark counts) in a capture; offset 1 is its last byte."""
    every = list(frames(path))
    end = FILE_HEADER + sum(FRAME_HEADER + len(frame) for frame in every[:number])
    with open(path, "r+b") as file:
        file.seek(end - offset)
        file.write(bytes([every[number - 1][-offset] ^ 0x10]))
