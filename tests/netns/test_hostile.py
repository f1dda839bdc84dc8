#!/usr/bin/python3
# A hostile peer with valid credentials attacks a gateway that also serves an honest peer. SPDX-License-Identifier: ISC
"""
tests/netns/hostile runs for MENDIP_SECONDS (20) with MENDIP_SEED (1); "make soak-hostile" runs it for half an hour. The
gateway must keep running, the honest peer of the same connection must lose no packet, and the resources that the
hostile peer uses must stay within the limits of doc/threat-model.md.
"""
import json
import os
import re
import subprocess
import time

from daemons import BUILD, PSK, Mendip, child, config, expect, main, testbed, settle

SECONDS = int(os.environ.get("MENDIP_SECONDS", "20"))
SEED = int(os.environ.get("MENDIP_SEED", "1"))
RATE = 400  # actions of the hostile peer per second
HONEST_RATE = 100
PEER_CHILDREN, LOG_RATE, LOG_BURST, RECOVERY_BURST, OUTSIDER_RATE, OUTSIDER_BURST = 256, 10, 300, 3000, 5, 20
HISTORY_MIB = 16
MEMORY_MIB = 64  # besides the histories: 2 x 256 live CHILD SAs and as many retired ones, 24 IKE SAs and their tasks


def sanitized():
    """Returns whether mendipd is built with AddressSanitizer, whose own memory would falsify the figures."""
    with open(f"{BUILD}/mendipd", "rb") as f:
        return b"__asan_init" in f.read()


def rss_mib(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmRSS"))


def of_peer(status, name):
    """Returns the connections of this peer."""
    return [c for c in status["connections"] if c.get("peer") == name]


def sas_of(status, name):
    """Returns (number of the peer's live CHILD SAs, number of its retired ones)."""
    sas = [s for c in of_peer(status, name) for k in c["children"] for s in k["sas"]]
    retired = sum(s["state"] == "retired" for s in sas)
    return len(sas) - retired, retired


class Watch:
    """Polls the gateway's status and memory, and keeps the greatest values."""

    def __init__(self, gw):
        self.gw, self.first, self.memory = gw, rss_mib(gw), []
        self.live = self.retired = self.slowest = 0

    def look(self):
        expect(self.gw.process.poll() is None, f"the gateway ended: {self.gw.tail(60)}")
        began = time.monotonic()
        status = self.gw.ctl("status")
        self.slowest = max(self.slowest, time.monotonic() - began)
        live, retired = sas_of(status, "evil.example")
        self.live, self.retired = max(self.live, live), max(self.retired, retired)
        self.memory.append(rss_mib(self.gw))
        return status


def lines_of(daemon):
    with open(daemon.log, encoding="utf-8", errors="replace") as f:
        return f.readlines()


def most_frequent(lines):
    kinds = {}
    for line in lines:
        kind = re.sub(r"[0-9a-f]{8,}|\d+", "#", line.split(" ", 1)[1])[:90]
        kinds[kind] = kinds.get(kind, 0) + 1
    return sorted(((n, k.strip()) for k, n in kinds.items()), reverse=True)[:8]


def check_limits(watch, lines):
    live, retired = watch.live, watch.retired
    # each IKE SA that the gateway initiates logs a line, whatever caused it: one in two seconds, and the retries
    allowed = LOG_BURST + RECOVERY_BURST + OUTSIDER_BURST + (2 * LOG_RATE + OUTSIDER_RATE + 1) * SECONDS
    lines = [line for line in lines if "similar lines suppressed" not in line]
    print(f"# lines: {most_frequent(lines)}")
    print(f"# at most {live} live and {retired} retired CHILD SAs, {watch.first:.1f} MiB before, {max(watch.memory):.1f} "
          f"at most, {watch.memory[-1]:.1f} at the end; {len(lines)} lines, {allowed} allowed; "
          f"status within {watch.slowest * 1e3:.0f} ms")
    expect(live <= 2 * PEER_CHILDREN, f"{live} live CHILD SAs")
    expect(retired <= 16 + 2 * PEER_CHILDREN, f"{retired} retired CHILD SAs")
    expect(len(lines) <= allowed, f"{len(lines)} lines instead of {allowed}: {most_frequent(lines)}")
    if not sanitized():
        grown = max(watch.memory) - watch.first
        expect(grown < HISTORY_MIB + MEMORY_MIB, f"{grown:.1f} MiB more")


def counted(status):
    ike = {k: v for k, v in status["ike"].items() if v}
    verdicts = {k: v for k, v in status["verdicts"].items() if v}
    print(f"# {ike} {verdicts}")
    # the gateway processed the hostile peer's messages and packets, as they are authentic
    for name in ("unexpected", "old_message", "retransmitted", "auth_failed"):
        expect(ike.get(name, 0) > 0, f"no message was {name}: {ike}")
    for names in (("fresh",), ("rewound", "bridged"), ("replayed",), ("auth_failed",)):
        expect(any(verdicts.get(n, 0) for n in names), f"no packet was {' or '.join(names)}: {verdicts}")


def hostile_beside_honest():
    with testbed.Testbed("hostile") as bed:
        left, right = bed.pair("branch", "gw")
        evil = bed.namespace("evil")
        bed.link(evil, "eth0", "203.0.113.1/24", right, "eth1", "203.0.113.2/24")
        gw = Mendip(bed, right, lambda s: config(
            s, {"net": child("10.2.0.0/16", ["10.1.0.0/16", "10.3.0.0/16"])}, "%any", "gw.example.net", "*.example",
            "branch", daemon=f'history_memory = "{HISTORY_MIB}M";').replace('log = "debug"', 'log = "info"'))
        kids = {"net": child("10.1.0.0/16", "10.2.0.0/16", start_action="start")}
        branch = Mendip(bed, left, lambda s: config(s, kids, right.outer))
        branch.wait_up()
        flows = [bed.flow(left, left.inner, right, right.inner, rate=HONEST_RATE),
                 bed.flow(right, right.inner, left, left.inner, rate=HONEST_RATE, port=9001)]
        settle(0.5)
        before, spi, watch = len(lines_of(gw)), branch.spi(), Watch(gw)
        peer = evil.popen(f"{BUILD}/tests/netns/hostile", "203.0.113.2", "evil.example", "gw.example.net", PSK,
                          "10.3.0.0/24", "10.2.0.0/16", SECONDS, RATE, SEED, stdout=subprocess.PIPE, text=True)
        while peer.poll() is None:
            watch.look()
            time.sleep(1)
        expect(peer.returncode == 0, f"the hostile peer ended with {peer.returncode}")
        did = json.loads(peer.stdout.read())
        print(f"# {did}")
        expect(did["ups"] > 3 and did["ask"] > SECONDS, "it did not get in, or did nothing")
        status = watch.look()
        counted(status)
        check_limits(watch, lines_of(gw)[before:])
        results = [f.stop() for f in flows]
        print(f"# the honest peer: {[r.lost for r in results]} of {[r.sent for r in results]} lost, longest gap "
              f"{max(r.longest_gap_ms for r in results):.0f} ms")
        expect(branch.spi() == spi, "the honest peer's SA is another one")
        expect(all(r.lost == 0 for r in results), f"{[r.lost_ranges for r in results]} lost")


main([hostile_beside_honest])
