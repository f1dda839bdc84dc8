"""The measurements of one contender, or of Mendip alone. SPDX-License-Identifier: ISC"""
import json
import os
import re
import socket
import statistics
import subprocess
import threading
import time

from contenders import ESP, IKE, Mendip, child, testbed
from report import outage, summary
from sniffer import IkeSniffer, exchanges

GIB = 1 << 30
SMALL = 36  # bytes of UDP payload in an IP packet of 64


# -- throughput and CPU -----------------------------------------------------------


def iperf(contender, seconds, *options):
    """Runs iperf3 from left to right; returns (its JSON "end", CPU seconds of each daemon)."""
    before = contender.cpu_seconds()
    done = contender.left.run("iperf3", "-c", "10.2.0.1", "-t", seconds, "-J", *options, timeout=seconds + 30)
    used = [b - a for a, b in zip(before, contender.cpu_seconds())]
    return json.loads(done.stdout)["end"], used


def throughput(contender, seconds, streams=1, both=False):
    """Returns {"gbit": Gbit/s received, in both directions together, "cpu_gib": [CPU seconds per GiB, of each daemon]}."""
    end, used = iperf(contender, seconds, "-P", streams, *(["--bidir"] if both else []))
    sums = [end["sum_received"]] + ([end["sum_received_bidir_reverse"]] if both else [])
    total = sum(s["bytes"] for s in sums)
    if total == 0:
        raise RuntimeError("no byte arrived")
    return {"gbit": sum(s["bits_per_second"] for s in sums) / 1e9, "cpu_gib": [u / (total / GIB) for u in used]}


def small_packets(contender, seconds, rate=40000):
    """Sends 64-byte UDP packets at this rate; returns the CPU microseconds of both daemons per packet that arrived."""
    end, used = iperf(contender, seconds, "-u", "-l", SMALL, "-b", rate * SMALL * 8)
    sent, lost = end["sum"]["packets"], end["sum"]["lost_packets"]
    if sent <= lost:
        raise RuntimeError("no packet arrived")
    return {"us": sum(used) * 1e6 / (sent - lost), "offered": sent / end["sum"]["seconds"],
            "lost_percent": 100 * lost / sent}


class Load:
    """TCP at full rate in both directions through a contender; the constructor returns when it flows."""

    def __init__(self, contender):
        self.contender = contender
        self.process = self._start()
        deadline, before = time.monotonic() + 20, contender.cpu_seconds()
        while min(b - a for a, b in zip(before, contender.cpu_seconds())) < 0.3:
            if time.monotonic() > deadline:
                raise RuntimeError("no load")
            if self.process.poll() is not None:  # the server was still busy with the previous client
                self.process = self._start()
            time.sleep(0.05)

    def _start(self):
        return self.contender.left.popen("iperf3", "-c", "10.2.0.1", "-t", 3600, "--bidir",
                                         log=self.contender.bed.path("load.log"))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        ended = self.process.poll()
        self.process.stop()
        if ended is not None and kind is None:
            raise RuntimeError("the load ended early")


# -- control and IKE under load ----------------------------------------------------


def control_under_load(pair, count):
    """Measures the milliseconds of `mendipctl status`, its process included, while TCP runs at full rate."""
    times = []
    with Load(pair):
        for _ in range(count):
            began = time.monotonic()
            if pair.branch.run("status").returncode:
                raise RuntimeError("status was refused")
            times.append((time.monotonic() - began) * 1e3)
    return summary(times)


def rekeys_under_load(pair, seconds):
    """Measures CREATE_CHILD_SA exchanges on the wire: rekeys of the child by command, of the IKE SA by rekey_time."""
    with Load(pair):
        sniffer = IkeSniffer(pair.left, "eth0")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pair.branch.ctl("rekey", "net")
            time.sleep(0.1)
        # wait for the last responses before the sniffer stops
        testbed.wait_until(lambda: exchanges(sniffer.seen)["open"] == 0, 5)
        seen = exchanges(sniffer.stop())
    if not seen["ms"]:
        raise RuntimeError("no exchange was seen")
    return {**summary(seen["ms"]), "sent_again": seen["sent_again"], "unanswered": seen["open"]}


# -- switchover under load ------------------------------------------------------------


class Stream:
    """A TCP stream at full rate from the gateway to the branch; arrivals: [(time, bytes)]."""

    PORT = 7000

    def __init__(self, pair):
        self.arrivals, self._end = [], threading.Event()
        server = pair.left.call(lambda: socket.create_server((pair.left.inner, self.PORT)))
        self._sender = pair.right.call(socket.socket)
        self._sender.bind((pair.right.inner, 0))
        self._sender.settimeout(10)
        self._sender.connect((pair.left.inner, self.PORT))
        self._receiver, _ = server.accept()
        self._receiver.settimeout(10)
        server.close()
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._receive, self._send)]
        for t in self._threads:
            t.start()

    def _send(self):
        block = bytes(1 << 18)
        try:
            while not self._end.is_set():
                self._sender.sendall(block)
        except OSError:
            pass  # shows in the arrivals

    def _receive(self):
        block = bytearray(1 << 20)
        try:
            while (n := self._receiver.recv_into(block)) > 0:
                self.arrivals.append((time.monotonic(), n))
        except OSError:
            pass

    def stop(self):
        self._end.set()
        self._sender.shutdown(socket.SHUT_RDWR)
        for t in self._threads:
            t.join(5)
        self._sender.close()
        self._receiver.close()


def lost_packets(daemon):
    """Returns the number of authentic packets whose numbers the windows refused, over all SAs so far."""
    verdicts = daemon.ctl("status")["verdicts"]
    return sum(verdicts[v] for v in ("rewound", "stale", "unverified"))


def rewind_under_load(pair, back, seconds=1.5):
    """Rewinds the gateway during a TCP stream from it at full rate; returns figures of the branch and the receiver."""
    known = {r["id"] for r in pair.branch.switchover()["records"]}

    def recovered():
        new = [r for r in pair.branch.switchover()["records"] if r["id"] not in known]
        return new[0] if new and new[0]["first_fresh_ms"] is not None else None
    stream = Stream(pair)
    try:
        time.sleep(seconds)  # to measure the rate before the rewind
        lost, at = lost_packets(pair.branch), time.monotonic()
        pair.gateway.ctl("fault", "rewind", str(back))
        record = testbed.wait_until(recovered, 10)
        time.sleep(seconds)  # to measure the rate after it
    finally:
        stream.stop()
    if not record:
        raise RuntimeError(f"no recovery: {pair.branch.switchover()['records'][:1]}")
    return {**outage(stream.arrivals, at, seconds / 2), "lost": lost_packets(pair.branch) - lost,
            **{k: record[k] for k in ("criterion", "rung", "response_ms", "first_fresh_ms")}}


# -- memory -------------------------------------------------------------------------------


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def settled_rss(daemons):
    """Waits until no daemon's RSS changes for a second; returns [KiB of each]."""
    deadline, last = time.monotonic() + 240, None
    while time.monotonic() < deadline:
        now = [rss_kib(d.process.pid) for d in daemons]
        if now == last:
            return now
        last = now
        time.sleep(1)
    raise RuntimeError("memory does not settle")


CHILDREN = 64  # maximum of one connection


def many_children(control, count, side, remote, start):
    """Returns a configuration with `count` children, CHILDREN per connection."""
    def net(which, i):
        return f"10.{which}.{i >> 8}.{i & 255}/32"
    more, conns = ({"start_action": "start"} if start else {}), []
    for k in range(0, count, CHILDREN):
        kids = "".join(f" c{i}: {child(net(side, i), net(3 - side, i), esp_proposals=ESP, **more)};"
                       for i in range(k, min(k + CHILDREN, count)))
        ids = [f"branch{k}.example", f"gw{k}.example"]
        if side == 2:
            ids.reverse()
        conns.append(f'''p{k}: {{ local: {{ id = "{ids[0]}"; auth = "psk"; }}; remote_addrs = [ "{remote}" ];
  remote: {{ id = "{ids[1]}"; auth = "psk"; }}; proposals = [ "{IKE}" ]; children: {{{kids} }}; }};''')
    return (f'daemon: {{ control = "{control}"; log = "info"; }};\nconnections: {{\n' + "\n".join(conns)
            + '\n};\nsecrets: { ike_peer: { secret = "a secret for figures"; }; };\n')


def ups(daemon):
    """Returns how many CHILD SAs have come up, by the daemon's log."""
    with open(daemon.log, encoding="utf-8") as f:
        return f.read().count(": CHILD SA up: ")


def children_rss(bed, count, build):
    """Returns the RSS of each daemon in KiB with `count` CHILD SA pairs up and no traffic, and how long that took."""
    left, right = bed.pair(f"m{count}-l", f"m{count}-r")
    gateway = Mendip(bed, right, lambda s: many_children(s, count, 2, "%any", False), build=build)
    began = time.monotonic()
    branch = Mendip(bed, left, lambda s: many_children(s, count, 1, right.outer, True), build=build)
    daemons = (branch, gateway)
    # by the logs, as the answer to `status` would take memory itself
    if not testbed.wait_until(lambda: min(ups(d) for d in daemons) >= count, 240, step=0.5):
        raise RuntimeError(f"only {[ups(d) for d in daemons]} of {count} children come up")
    took, result = time.monotonic() - began, settled_rss(daemons)
    if not all(d.up(*(f"c{i}" for i in range(count))) for d in daemons):
        raise RuntimeError(f"not all of {count} children are up")
    for daemon in daemons:
        daemon.process.stop()
    return {"rss_kib": result, "seconds": took}


def memory(bed, build, few=1000, many=10000):
    """Returns the KiB per CHILD SA pair, the greater of the two daemons' figures, and details."""
    at = {n: children_rss(bed, n, build) for n in (few, many)}
    pair = [(b - a) / (many - few) for a, b in zip(at[few]["rss_kib"], at[many]["rss_kib"])]
    return {"kib_pair": max(pair), "kib_pair_each": pair, "at": {str(n): v for n, v in at.items()}}


# -- in memory -----------------------------------------------------------------------------


def esp_bench(build, *args):
    """Runs tests/bench/esp_bench; returns the JSON objects that it prints."""
    done = subprocess.run([f"{build}/tests/bench/esp_bench", *map(str, args)], capture_output=True, text=True,
                          check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def medians_of_rows(runs):
    """Returns the rows of one run of esp_bench with the medians of several runs."""
    return [{k: statistics.median(r[k] for r in rows) if isinstance(v, float) else v for k, v in rows[0].items()}
            for rows in zip(*runs)]


def instructions(build, function, *args):
    """Returns the instructions of a function of esp_bench, including those that it calls, by callgrind."""
    out = f"{build}/callgrind.{os.getpid()}"
    try:
        subprocess.run(["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--toggle-collect={function}",
                        f"--callgrind-out-file={out}", f"{build}/tests/bench/esp_bench", *map(str, args)],
                       capture_output=True, check=True)
        with open(out, encoding="utf-8") as f:
            return int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M)[1])
    finally:
        if os.path.exists(out):
            os.unlink(out)


def slope(build, function, what, few, many):
    """Returns instructions per packet, from runs of two lengths, so that one-time costs cancel out."""
    return (instructions(build, function, *what, many) - instructions(build, function, *what, few)) / (many - few)


def detection(build, few=8192, many=24576):
    """Returns the instructions per opened packet with each value of `detect`."""
    return {d: slope(build, "esp_open", ("open", d), few, many) for d in ("off", "proof", "pattern", "both")}


def lookup(build, rounds, count=20000):
    """
    Returns [{"sas", "route_ns", "sad_find_ns", "route_instructions", "sad_find_instructions"}], from 10 SAs to 10,000.
    """
    rows = esp_bench(build, "lookup", rounds)
    for row in rows:
        for name, function in (("route", "route_many"), ("sad_find", "find_many")):
            row[f"{name}_instructions"] = instructions(build, function, "find", row["sas"], count) / count
    return rows


def medians(dicts, *fields):
    """Returns {field: median over the dicts}."""
    return {f: statistics.median(d[f] for d in dicts) for f in fields}
