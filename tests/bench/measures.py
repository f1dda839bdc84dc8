"""What is measured of one contender, or of Mendip alone. SPDX-License-Identifier: ISC"""
import json
import os
import re
import socket
import statistics
import struct
import subprocess
import threading
import time

from contenders import ESP, IKE, Mendip, child, config, netlab, quiet

GIB = 1 << 30


# -- throughput and CPU -----------------------------------------------------------


def iperf(contender, seconds, *options):
    """One run of iperf3 from left to right; (its JSON "end", CPU seconds of each daemon)."""
    before = contender.cpu_seconds()
    done = contender.left.run("iperf3", "-c", "10.2.0.1", "-t", seconds, "-J", *options, timeout=seconds + 30)
    used = [b - a for a, b in zip(before, contender.cpu_seconds())]
    return json.loads(done.stdout)["end"], used


def throughput(contender, seconds, streams=1, both=False):
    """{"gbit": received both ways together, "cpu_gib": [CPU seconds a GiB, each daemon]}."""
    end, used = iperf(contender, seconds, "-P", streams, *(["--bidir"] if both else []))
    sums = [end["sum_received"]] + ([end["sum_received_bidir_reverse"]] if both else [])
    total = sum(s["bytes"] for s in sums)
    return {"gbit": sum(s["bits_per_second"] for s in sums) / 1e9, "cpu_gib": [u / (total / GIB) for u in used]}


def small_packets(contender, seconds, rate=40000):
    """64-byte UDP packets; CPU microseconds of both daemons a packet, and what was lost."""
    end, used = iperf(contender, seconds, "-u", "-l", 36, "-b", rate * 36 * 8)
    got = end["sum"]
    return {"us": sum(used) * 1e6 / max(got["packets"], 1), "rate": got["packets"] / seconds,
            "lost": got["lost_percent"]}


class Load:
    """TCP at full rate, both ways, until it is stopped."""

    def __init__(self, contender, seconds):
        self.process = contender.left.popen("iperf3", "-c", "10.2.0.1", "-t", seconds, "--bidir",
                                            log=contender.lab.path("load.log"))
        time.sleep(1)

    def stop(self):
        self.process.stop()


# -- control and IKE under load ----------------------------------------------------


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


def summary(values_ms):
    return {"n": len(values_ms), "median": statistics.median(values_ms), "p99": percentile(values_ms, 99),
            "max": max(values_ms)}


def control_under_load(pair, count):
    """Milliseconds of `mendipctl status`, the process included, while TCP runs at full rate."""
    load, times = Load(pair, 3600), []
    for _ in range(count):
        began = time.monotonic()
        pair.branch.ctl("status")
        times.append((time.monotonic() - began) * 1e3)
    load.stop()
    return summary(times)


# udp port 4500 and the non-ESP marker: ldh [20+2] and so on, for a packet that begins with its IP header
IKE_FILTER = [(0x30, 0, 0, 9), (0x15, 0, 5, 17), (0xb1, 0, 0, 0), (0x48, 0, 0, 2), (0x15, 0, 2, 4500),
              (0x40, 0, 0, 8), (0x15, 1, 0, 0), (0x06, 0, 0, 0), (0x06, 0, 0, 0xffff)]


class IkeSniffer:
    """When each IKE message passed the branch's outer device; the kernel throws all else away."""

    def __init__(self, ns):
        self.seen = []  # (time, SPIi, exchange type, flags, message ID)
        self._socket = ns.call(self._open)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @staticmethod
    def _open():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        code = b"".join(struct.pack("HBBI", *step) for step in IKE_FILTER)
        buf = (b"" + code)
        import ctypes
        store = ctypes.create_string_buffer(buf)
        s.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HxxxxxxQ", len(IKE_FILTER), ctypes.addressof(store)))
        s.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
        s.bind(("eth0", 3))
        s.settimeout(0.2)
        return s

    def _run(self):
        while self._socket.fileno() >= 0:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(4096, 64)
            except (TimeoutError, socket.timeout):
                continue
            except OSError:
                return
            at = (data[0] & 15) * 4 + 8 + 4
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
            self.seen.append((seconds + nanoseconds / 1e9, data[at:at + 8], data[at + 18], data[at + 19],
                              data[at + 20:at + 24]))

    def stop(self):
        self._socket.close()
        self._thread.join()
        return self.seen


def exchanges(seen, kind=36):
    """[ms from request to response of each CREATE_CHILD_SA], and how many messages were sent again."""
    asked, times, again = {}, [], 0
    for when, spi, exchange, flags, number in seen:
        if exchange != kind:
            continue
        key = (spi, number, flags & 0x08)
        if not flags & 0x20:
            again += key in asked
            asked.setdefault(key, when)
        else:
            begun = asked.get((spi, number, 0x08 - (flags & 0x08)))
            if begun is not None:
                times.append((when - begun) * 1e3)
    return times, again


def rekeys_under_load(pair, seconds):
    """CREATE_CHILD_SA exchanges, of the IKE SA by its time and of the child by command, on the wire."""
    load, sniffer = Load(pair, 3600), IkeSniffer(pair.left)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pair.branch.ctl("rekey", "net")
        time.sleep(0.1)
    times, again = exchanges(sniffer.stop())
    load.stop()
    return {**summary(times), "sent_again": again}


# -- switchover under load ------------------------------------------------------------


def rewind_under_load(pair, back, seconds=3.0):
    """The gateway's numbers go back under a full-rate TCP stream from it; what the branch's receiver saw."""
    counts = []
    server = pair.left.call(lambda: socket.create_server(("10.1.0.1", 7000)))
    sender = pair.right.call(socket.socket)
    sender.bind((pair.right.inner, 0))
    stop = threading.Event()

    def send():
        sender.connect(("10.1.0.1", 7000))
        block = bytes(1 << 20)
        try:
            while not stop.is_set():
                sender.send(block)
        except OSError:
            pass

    def receive():
        peer, _ = server.accept()
        block = bytearray(1 << 20)
        while not stop.is_set():
            n = peer.recv_into(block)
            if n == 0:
                return
            counts.append((time.monotonic(), n))
        peer.close()

    threads = [threading.Thread(target=f, daemon=True) for f in (receive, send)]
    for t in threads:
        t.start()
    time.sleep(seconds)
    recoveries = len(pair.branch.switchover()["records"])
    lost = pair.branch.sa()["verdicts"]["rewound"]
    at = time.monotonic()
    pair.gateway.ctl("fault", "rewind", str(back))
    time.sleep(seconds)
    stop.set()
    state = pair.branch.switchover()
    for t in threads:
        t.join(2)
    sender.close()
    server.close()
    records = state["records"]
    if len(records) == recoveries:
        raise RuntimeError("no recovery")
    return {**outage(counts, at), "record": {k: records[0][k] for k in (
        "criterion", "rung", "lost", "first_fresh_ms", "response_ms")}, "rewound_before": lost}


def outage(counts, at):
    """The longest time without a byte after `at`, and the rate before and after it."""
    after = [t for t, _ in counts if t >= at - 0.01]
    gap, end = max((b - a, b) for a, b in zip(after, after[1:]))

    def gbit(since, until):
        return sum(n for t, n in counts if since <= t < until) * 8 / (until - since) / 1e9
    return {"gap_ms": gap * 1e3, "before_gbit": gbit(at - 1, at), "after_gbit": gbit(end + 0.1, end + 1.1)}


# -- memory -------------------------------------------------------------------------------


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def children_rss(lab, count, build):
    """KiB of RSS of each daemon with `count` CHILD SA pairs up, before traffic, and how long it took."""
    left, right = lab.pair(f"m{count}-l", f"m{count}-r")
    names = [f"c{i}" for i in range(count)]

    def net(side, i):
        return f"10.{side}.{i >> 8}.{i & 255}/32"
    kids = {n: child(net(1, i), net(2, i), start_action="start", esp_proposals=ESP) for i, n in enumerate(names)}
    kids_gw = {n: child(net(2, i), net(1, i), esp_proposals=ESP) for i, n in enumerate(names)}
    gateway = Mendip(lab, right, lambda s: quiet(config(s, kids_gw, "%any", "gw.example.net", "*.example", "branch",
                                                        proposals=IKE)), build=build)
    began = time.monotonic()
    branch = Mendip(lab, left, lambda s: quiet(config(s, kids, right.outer, proposals=IKE)), build=build)
    netlab.wait_until(lambda: branch.up(*names) and gateway.up(*names), 240, step=1)
    if not (branch.up(*names) and gateway.up(*names)):
        raise RuntimeError(f"{count} children do not come up")
    took = time.monotonic() - began
    result = [rss_kib(d.process.pid) for d in (branch, gateway)]
    for daemon in (branch, gateway):
        daemon.process.stop()
    return {"rss_kib": result, "seconds": took}


# -- in memory -----------------------------------------------------------------------------


def esp_bench(build, *args):
    done = subprocess.run([f"{build}/tests/bench/esp_bench", *map(str, args)], capture_output=True, text=True,
                          check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def instructions(build, detect, packets):
    """Instructions within esp_open, by callgrind, for so many packets."""
    out = f"{build}/callgrind.{os.getpid()}"
    subprocess.run(["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=esp_open",
                    f"--callgrind-out-file={out}", f"{build}/tests/bench/esp_bench", "open", detect, str(packets)],
                   capture_output=True, check=True)
    with open(out, encoding="utf-8") as f:
        text = f.read()
    os.unlink(out)
    return int(re.search(r"^(?:summary|totals): (\d+)", text, re.M)[1])


def detection_instructions(build, packets=32768):
    """Instructions a packet with each kind of detection, less those with none."""
    off = instructions(build, "off", packets)
    return {d: (instructions(build, d, packets) - off) / packets for d in ("proof", "pattern", "both")}
